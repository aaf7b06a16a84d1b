"""Audio input: converts files, arrays and streams to blocks of mono float32 samples at 16 kHz."""

from yamnet_cry.audio.recording import (
    MAX_CHANNELS,
    MAX_SAMPLE_RATE,
    MIN_SAMPLE_RATE,
    NEED_FFMPEG,
    SUFFIXES,
    AudioSource,
    LiveAudio,
    blocks,
    describe,
    read,
    suffixes,
)

__all__ = [
    "MAX_CHANNELS",
    "MAX_SAMPLE_RATE",
    "MIN_SAMPLE_RATE",
    "NEED_FFMPEG",
    "SUFFIXES",
    "AudioSource",
    "LiveAudio",
    "blocks",
    "describe",
    "read",
    "suffixes",
]
