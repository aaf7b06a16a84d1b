"""Parses sources of sound: cameras, streams and microphones."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from yamnet_cry import fields
from yamnet_cry.errors import SourceError

#: URL schemes of network streams, which ffmpeg reads.
SCHEMES = ("rtsp", "rtsps", "http", "https", "srt", "rtmp")
#: The address of the default microphone, and the prefix of the addresses of others.
MICROPHONE = "device"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEYS = ("address", "user", "password", "threshold")


@dataclass(frozen=True)
class Source:
    """A source of sound.

    Attributes:
        name: Name in printed lines, messages and topics.
        address: A URL with one of `SCHEMES`, with user and password if needed, or ``device`` or
            ``device:NAME`` for a microphone.
        threshold: Threshold of this source, in [0, 1]; None for the detector's.
    """

    name: str
    # Not in the repr: it may contain a password.
    address: str = field(repr=False)
    threshold: float | None = None

    @property
    def microphone(self) -> str | None:
        """Name of the microphone, empty for the default one; None for streams."""
        kind, _, name = self.address.partition(":")
        return name if kind == MICROPHONE else None


def parse(text: str, environment: Mapping[str, str] = os.environ) -> Source:
    """Parses a source: an address, or ``NAME=ADDRESS``.

    Without a name, the source is named after the host of its address.

    Args:
        text: The source; ``${VARIABLE}`` is replaced by the environment variable, percent-encoded.
        environment: Environment variables.

    Raises:
        SourceError: If it is not a valid source.

    Examples:
        >>> parse("nursery=rtsp://camera/stream").name, parse("rtsp://viewer:secret@camera:554/stream").name
        ('nursery', 'camera')
        >>> parse("rtsp://viewer:secret@camera:554/stream")
        Source(name='camera', threshold=None)
    """
    name, equals, address = text.partition("=")
    # An address may contain = in its query.
    if not equals or "/" in name or ":" in name:
        name, address = "", text
    return _checked(name, _expanded(address, environment))


def read(path: Path, environment: Mapping[str, str] = os.environ) -> list[Source]:
    """Reads sources from a TOML file with a table ``[sources.NAME]`` for each.

    Its keys are ``address``, and optionally ``user``, ``password`` and ``threshold``; text may contain
    ``${VARIABLE}``.

    Raises:
        SourceError: If the file cannot be read, or a source is not valid.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SourceError(f"{path} is not TOML ({error})") from None
    tables = content.get("sources")
    if not isinstance(tables, dict) or not tables or len(content) > 1:
        raise SourceError(f"{path}: expected only tables [sources.NAME], one per source")
    return [_of_table(path, name, table, environment) for name, table in tables.items()]


def _of_table(path: Path, name: str, table: Any, environment: Mapping[str, str]) -> Source:
    where = f"{path}, [sources.{name}]"
    if not isinstance(table, dict) or not isinstance(table.get("address"), str):
        raise SourceError(f'{where}: expected address = "rtsp://…"')
    if unknown := sorted(set(table) - set(_KEYS)):
        raise SourceError(f"{where}: expected {', '.join(_KEYS)}. Received: {', '.join(unknown)}")
    for key in ("user", "password"):
        if not isinstance(table.get(key, ""), str):
            raise SourceError(f"{where}: expected {key} in quotes")
    threshold = table.get("threshold")
    if threshold is not None and not fields.number(0, 1).holds(threshold):
        raise SourceError(f"{where}: expected a threshold in [0, 1]. Received: {threshold!r}")
    address = _expanded(table["address"], environment)
    if "user" in table or "password" in table:
        user, password = (
            _expanded(table.get(key, ""), environment, url=False) for key in ("user", "password")
        )
        address = _with_password(address, user, password)
    return _checked(name, address, threshold)


def distinct(sources: Sequence[Source]) -> tuple[list[Source], list[str]]:
    """Removes duplicate sources.

    Returns:
        The first source of each name and address, and a sentence about each removed source.

    Examples:
        >>> kept, refused = distinct([parse("a=rtsp://camera/1"), parse("b=rtsp://camera/1")])
        >>> len(kept), refused
        (1, ['b has the same address as a and is ignored'])
    """
    kept: list[Source] = []
    refused = []
    for source in sources:
        of_name = [each for each in kept if each.name.lower() == source.name.lower()]
        of_address = [each for each in kept if each.address == source.address]
        if of_address:
            refused.append(f"{source.name} has the same address as {of_address[0].name} and is ignored")
        elif of_name:
            refused.append(f"a second source named {source.name} is ignored; rename it with NAME=ADDRESS")
        else:
            kept.append(source)
    return kept, refused


def _expanded(text: str, environment: Mapping[str, str], *, url: bool = True) -> str:
    def value(match: re.Match[str]) -> str:
        found = environment.get(match[1])
        if found is None:
            raise SourceError(f"the environment variable {match[1]} in an address is not set")
        return quote(found, safe="") if url else found

    return _VARIABLE.sub(value, text)


def _with_password(address: str, user: str, password: str) -> str:
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"))


def _checked(name: str, address: str, threshold: float | None = None) -> Source:
    shown = without_secrets(address)
    kind, _, rest = address.partition(":")
    if kind == MICROPHONE:
        return Source(_named(name or rest or "microphone", shown, given=bool(name)), address, threshold)
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise SourceError(
            f"not an address; in a password, %40 stands for @, %2F for / and %3A for :. Received: {shown}"
        ) from None
    if parts.scheme not in SCHEMES:
        raise SourceError(
            f"expected an address that begins with {', '.join(f'{each}://' for each in SCHEMES)} or "
            f"{MICROPHONE}; for files use `yamnet-cry detect`. Received: {shown}"
        )
    if not host:
        raise SourceError(f"expected a host after {parts.scheme}://. Received: {shown}")
    return Source(_named(name or host, shown, given=bool(name)), address, threshold)


def _named(name: str, shown: str, *, given: bool) -> str:
    if not given:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:32] or "source"
    if not _NAME.fullmatch(name):
        raise SourceError(
            f"expected a source name of up to 32 letters, digits, - and _. Received: {name!r} for {shown}"
        )
    return name


def without_secrets(address: str) -> str:
    """Removes what may be secret from an address: user, password and query.

    Examples:
        >>> without_secrets("rtsp://viewer:secret@camera/stream?key=1")
        'rtsp://camera/stream'
    """
    before, slashes, after = address.partition("://")
    rest, _, query = after.partition("?")
    # With @ in the query, a password may contain the question mark: then all of the rest may be secret.
    return f"{before}{slashes}{'…' if '@' in query else rest.rpartition('@')[2]}"
