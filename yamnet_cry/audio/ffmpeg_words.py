"""Converts the messages of ffmpeg about an input to one line without secrets."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, unquote

#: Replacement for a secret.
HIDDEN = "…"

# The component, as in "[in#0/mov @ 0x55d0] [dec:aac @ 0x55d1] "; the numbers are memory addresses.
_SPEAKER = re.compile(r"\[[^\[\]]* @ (?:0x)?[0-9a-fA-F]+\]\s*")

_ADDRESS = re.compile(r"(?<=://)[^\s'\"]*")

# Lines that only refer to earlier lines, or to the command line.
_IDLE = re.compile(
    r"^(Conversion failed|To ignore this|Error parsing options|Error opening output|Failed to set value"
    r"|Error opening input file .*\.$|Last message repeated|Nothing was written|Task finished"
    r"|Terminating thread|Not detecting m3u8)"
)
_BEFORE_THE_REASON = re.compile(
    r"^(?:(?:file|pipe|https?|rtsps?|srt|rtmps?):\S*: |Error opening input(?: files?)?: )+", re.DOTALL
)

# Video is probed to identify a stream, and never decoded: errors about it do not concern the audio.
_PICTURES = re.compile(
    r"^\[(h26[1-6]|hevc|vvc|av1|libdav1d|libaom-av1|vp[3-9]|mpeg[124](video)?|m?jpe?g|png|theora|vc1|wmv\d"
    r"|svq\d|dvvideo|prores|rawvideo|swscaler|dvbsub|webvtt|subrip|mov_text)[^\]]* @ "
)

# Patterns and messages: the first match, searching from the latest line, is shown to the user.
_OF_STREAMS = (
    (r"matches no streams", "{name} has no sound"),
    (r"\b401\b", "{name} rejects the user or password"),
    (r"\b403\b", "{name} denies access (403 Forbidden)"),
    (r"\b404\b", "{name}: no such stream (404 Not Found)"),
    (r"\b45[34]\b|\b5XX\b|\b503\b", "{name} is overloaded or failing (server error)"),
    (r"Failed to resolve hostname|Name or service not known", "{name}: no such host"),
    (r"Connection refused", "{name} refuses the connection: no server listens on this port"),
    (r"Stream ends prematurely|End of file", "{name} ended"),
    (r"timed out", "{name} does not answer in time"),
    (r"No route to host|[Nn]etwork is unreachable", "{name} cannot be reached from this network"),
    (r"certificate|\b[Tt][Ll][Ss]\b|SSL", "{name} has no valid TLS certificate or connection ({reason})"),
    (r"Protocol not found|Protocol .* not on whitelist", "{name} needs a protocol that ffmpeg cannot use"),
)
_OF_CODECS = (
    (
        r"Decoder .*not found|Unknown decoder|no decoder found|codec none|Unknown codec",
        "{name}: ffmpeg does not support its audio codec ({reason})",
    ),
)
_OF_FILES = (
    (r"matches no streams", "{name} has no sound"),
    (
        r"not on whitelist|Not detecting m3u8",
        "{name} is not audio that can be decoded: it is a playlist, a picture or text",
    ),
    (
        r"moov atom not found",
        "{name} is not audio that can be decoded: truncated before its index (moov), or not MP4",
    ),
)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Removes secrets from a text: users, passwords and keys in addresses.

    Args:
        text: Any text.
        secrets: Further strings to remove.

    Returns:
        The text in one line, without unprintable characters.

    Examples:
        >>> print(redacted("rtsp://me:p@ss@camera/1?key=x refused"))
        rtsp://…@camera/1?… refused
    """
    for secret in sorted(filter(None, set(secrets)), key=len, reverse=True):
        # A short password may occur within other words, so only whole words are replaced.
        word = rf"(?<!\w){re.escape(secret)}(?!\w)" if len(secret) < 4 else re.escape(secret)
        text = re.sub(word, HIDDEN, text)
    text = _ADDRESS.sub(lambda found: _public(found[0]), text)
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _public(address: str) -> str:
    """Returns the public part of an address without its scheme; passwords often contain @ and /."""
    rest, query, _ = address.partition("?")
    if "@" in address[len(rest) :]:
        # Either the password has a question mark or a key has an @; where they end cannot be determined.
        return HIDDEN
    user, at, host = rest.rpartition("@")
    return (HIDDEN + at if user else at) + host + (query + HIDDEN if query else "")


def secrets_of(address: str) -> set[str]:
    """Returns everything in an address that may be a secret: user, password, values of the query.

    Examples:
        >>> sorted(secrets_of("http://me:pass%21@host/?token=abc"))
        ['abc', 'me', 'me:pass!', 'me:pass%21', 'pass!', 'pass%21', 'token=abc']
    """
    before, _, rest = address.partition("://")
    user, at, _ = rest.rpartition("@")
    _, _, query = rest.partition("?")
    found = {query, *(value for _, value in parse_qsl(query))}
    if at and before:
        # A colon may be part of the user or of the password.
        parts = user.split(":")
        for number in range(len(parts)):
            found |= {":".join(parts[:number]), ":".join(parts[number:])}
    return {form for secret in found for form in (secret, unquote(secret)) if form}


def reasons(said: Sequence[str]) -> list[str]:
    """Returns the informative lines of ffmpeg's messages, without those about video or other lines.

    Examples:
        >>> reasons(["[h264 @ 0x5f] no frame!", "[matroska @ 0x5f] File ended", "Conversion failed!"])
        ['File ended']
    """
    found = []
    for line in said:
        if _PICTURES.match(line):
            continue
        line = _SPEAKER.sub("", line).strip()
        if not _IDLE.match(line):
            found.append(_BEFORE_THE_REASON.sub("", line).rstrip("."))
    return [line for line in found if line]


def of_stream(name: str, said: Sequence[str], secrets: Iterable[str] = ()) -> str | None:
    """Returns why a stream cannot be read, in one line; None if ffmpeg gave no reason.

    Examples:
        >>> of_stream("nursery", ["[in#0 @ 0x5] Error opening input: Server returned 401 Unauthorized"])
        'nursery rejects the user or password'
    """
    latest_first = reasons(said)[::-1]
    if not latest_first:
        return None
    known = _sentence(name, latest_first, (*_OF_STREAMS, *_OF_CODECS), secrets)
    return known or f"{name}: {redacted(latest_first[0], secrets)}"


def of_file(name: str, said: Sequence[str]) -> str:
    """Returns why nothing of a file can be decoded, in one line.

    Examples:
        >>> print(of_file("a.mp4", ["Stream map '0:a:0' matches no streams."]))
        a.mp4 has no sound
    """
    found = reasons(said)
    known = _sentence(name, said, _OF_FILES) or _sentence(name, found, _OF_CODECS)
    reason = redacted(found[-1]) if found else "ffmpeg gives no reason"
    return known or f"{name} is not audio that can be decoded ({reason})"


def _sentence(
    name: str, lines: Sequence[str], table: Sequence[tuple[str, str]], secrets: Iterable[str] = ()
) -> str | None:
    for line in lines:
        for pattern, sentence in table:
            if re.search(pattern, line):
                return sentence.format(name=name, reason=redacted(line, secrets))
    return None
