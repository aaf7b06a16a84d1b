"""Recognises encoded audio by its first bytes, so that it is not read as raw samples."""

from collections.abc import Callable, Iterator

#: Number of bytes that `name_of` needs, if the stream has as many.
HEAD_BYTES = 16_384

# Offset, bytes, name. Raw samples begin with one of these about once in a hundred million streams.
_SIGNATURES = (
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3\x02", "MP3"),
    (0, b"ID3\x03", "MP3"),
    (0, b"ID3\x04", "MP3"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (4, b"ftyp", "MP4 or M4A"),
    (4, b"styp", "MP4 or M4A"),
    (4, b"moov", "MP4 or M4A"),
    (4, b"mdat", "MP4 or M4A"),
    (0, b"#!AMR", "AMR"),
    (0, b"FORM", "AIFF"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b"caff", "CAF"),
    (0, b".snd", "AU"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"TTA1", "TTA"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (0, b"FLV\x01", "FLV"),
)

# Noise may contain a frame header by chance, even a second one at the right distance, but never four.
_FRAMES = 4

_LAYER_2, _LAYER_3 = 2, 1
_MPEG_1, _RESERVED = 3, 1
_KILOBITS = {
    (True, _LAYER_2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, _LAYER_3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, _LAYER_2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, _LAYER_3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {_MPEG_1: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

_TS_PACKET, _TS_PACKETS = 188, 8


def name_of(head: bytes) -> str | None:
    """Returns the name of the format of encoded audio; None for anything else, such as raw samples.

    Args:
        head: The first `HEAD_BYTES` bytes; fewer if there are no more.

    Examples:
        >>> name_of(b"OggS..."), name_of(bytes(100))
        ('Ogg', None)
    """
    for offset, signature, name in _SIGNATURES:
        if head.startswith(signature, offset):
            return name
    if _has_frames(head, _mpeg_frame):
        return "MP3 or MP2"
    if _has_frames(head, _adts_frame):
        return "AAC"
    if _is_transport_stream(head):
        return "MPEG-TS"
    return None


def _has_frames(head: bytes, frame: Callable[[bytes], tuple[int, object] | None]) -> bool:
    """Whether consecutive frames start at any position: radio streams may start in the middle of a frame.

    Args:
        head: The bytes to search.
        frame: Parses a header of seven bytes; returns the length of its frame, and fields that are equal in
            all frames.
    """

    def starts() -> Iterator[int]:
        start = head.find(b"\xff")
        while start >= 0:
            yield start
            start = head.find(b"\xff", start + 1)

    def follow(start: int) -> bool:
        shared = None
        for _ in range(_FRAMES):
            found = frame(head[start : start + 7])
            if found is None or (shared is not None and found[1] != shared):
                return False
            length, shared = found
            start += length
        return True

    return any(map(follow, starts()))


def _mpeg_frame(header: bytes) -> tuple[int, object] | None:
    """Parses a frame of MPEG audio, layer II or III (I is unused, and samples just below zero match it)."""
    if len(header) < 4 or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bit_rate, sample_rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    emphasis = header[3] & 3
    if version == _RESERVED or layer not in (_LAYER_2, _LAYER_3):
        return None
    if bit_rate in (0, 15) or sample_rate == 3 or emphasis == 2:
        return None
    bits = 1000 * _KILOBITS[version == _MPEG_1, layer][bit_rate - 1]
    samples = 576 if layer == _LAYER_3 and version != _MPEG_1 else 1152
    length = samples // 8 * bits // _SAMPLE_RATES[version][sample_rate] + padding
    return length, (header[1], sample_rate)


def _adts_frame(header: bytes) -> tuple[int, object] | None:
    """Parses a frame of AAC in ADTS, the format of streams."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return (length, (header[1], header[2], header[3] & 0xC0)) if length > 7 else None


def _is_transport_stream(head: bytes) -> bool:
    for start in range(min(_TS_PACKET, len(head))):
        headers = [head[at : at + 4] for at in range(start, len(head) - 3, _TS_PACKET)]
        if (
            len(headers) >= _TS_PACKETS
            and all(h[0] == 0x47 and h[1] < 0x80 and h[3] & 0x30 for h in headers)
            # Packets have counters, so headers differ; equal bytes every 94 samples are a tone.
            and len(set(headers)) > 1
        ):
            return True
    return False
