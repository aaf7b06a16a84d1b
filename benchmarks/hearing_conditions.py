"""Conditions in which scenes are changed: quiet, loud, in a room, low-passed, through a codec.

The results are not guaranteed to be bit-identical: FFTs and codecs round differently in different versions.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from yamnet_cry.distill import augment
from yamnet_cry.errors import RunError
from yamnet_cry.frontend import YAMNET, Float32

LEVELS_DBFS = (-60, -40, -20, -6)
NARROW_HERTZ = 3900.0
CODECS = {"Opus, 12 kbit/s": ("libopus", "12k", "ogg"), "AAC, 16 kbit/s": ("aac", "16k", "m4a")}


@dataclass(frozen=True)
class Condition:
    """A change that is applied to scenes.

    Attributes:
        name: Name in tables.
        version: Differs if the output differs.
    """

    name: str
    version: str = "1"


def conditions(codecs: bool = True) -> list[Condition]:
    """Returns all conditions.

    Args:
        codecs: Whether to include those that need ffmpeg.

    Raises:
        RunError: If ffmpeg is needed and not installed.
    """
    found = [Condition(f"{level} dBFS") for level in LEVELS_DBFS]
    found += [Condition("through a room"), Condition("below 4 kHz")]
    if codecs:
        version = ffmpeg_version()
        found += [Condition(name, version) for name in CODECS]
    return found


def ffmpeg_version() -> str:
    """Returns the first line of `ffmpeg -version`.

    Raises:
        RunError: If ffmpeg is not installed.
    """
    if shutil.which("ffmpeg") is None:
        raise RunError(
            "Opus and AAC need ffmpeg, which is not there: install it, or go without with --no-codecs"
        )
    shown = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True)
    return shown.stdout.splitlines()[0]


def changed(samples: Float32, condition: Condition, response: Callable[[], Float32]) -> Float32:
    """Applies a condition.

    Args:
        samples: The scene, float32 at 16 kHz.
        condition: The condition.
        response: Returns the impulse response of the room, for the condition that needs one.

    Raises:
        RunError: If ffmpeg fails.
    """
    if condition.name.endswith("dBFS"):
        level = float(condition.name.removesuffix(" dBFS"))
        # Rounded to 16 bits and clipped at full scale, like files and microphones.
        scaled = np.round(augment.at_level(samples, level) * 32768)
        return (np.clip(scaled, -32768, 32767) / 32768).astype(np.float32)
    if condition.name == "through a room":
        echo = response()
        # From the direct sound on, so that onsets stay those of the manifest.
        wet = fftconvolve(samples, echo[int(np.abs(echo).argmax()) :])[: len(samples)].astype(np.float32)
        gain = augment.rms(samples) / max(augment.rms(wet), 1e-12)
        return (wet * np.float32(gain)).astype(np.float32)
    if condition.name == "below 4 kHz":
        return augment.low_passed(samples, NARROW_HERTZ * 0.75)
    return _through_codec(samples, *CODECS[condition.name])


def _through_codec(samples: Float32, codec: str, rate: str, container: str) -> Float32:
    raw = ["-f", "f32le", "-ar", str(YAMNET.sample_rate), "-ac", "1"]
    quiet = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / f"coded.{container}")
        encode = [*quiet, *raw, "-i", "-", "-c:a", codec, "-b:a", rate, file]
        decode = [*quiet, "-i", file, *raw, "-"]
        try:
            subprocess.run(encode, check=True, capture_output=True, input=samples.astype("<f4").tobytes())
            decoded = subprocess.run(decode, check=True, capture_output=True).stdout
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip()
            raise RunError(f"ffmpeg cannot do {codec} ({reason}); go without with --no-codecs") from None
    found = np.frombuffer(decoded, "<f4").astype(np.float32)[: len(samples)]
    return np.pad(found, (0, len(samples) - len(found)))
