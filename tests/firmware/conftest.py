"""The kit of the released model, and its C code as a library that Python can call."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from yamnet_cry import CryDetector, formats
from yamnet_cry.events import Event
from yamnet_cry.features import FRAME_HOP, FRAME_LENGTH, MEL_BANDS, PATCH_FRAMES

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
SOURCES = ("yamnet_cry_frontend.c", "yamnet_cry_events.c")
BUILDS = {"float": (), "fixed": ("-DYAMNET_CRY_FIXED_POINT",)}


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc")
    return found


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("firmware") / "kit"
    formats.write(CryDetector.from_pretrained(), "firmware", folder)
    return folder


def compiled(compiler: str, out: Path, *arguments: str | Path) -> Path:
    subprocess.run([compiler, *arguments, "-o", out, "-lm"], check=True)
    return out


class Firmware:
    """The C code, called hop by hop as a device does."""

    def __init__(self, library: Path) -> None:
        code = ctypes.CDLL(str(library))
        code.yamnet_cry_frontend_push.restype = ctypes.c_void_p
        code.yamnet_cry_score.restype = ctypes.c_float
        code.yamnet_cry_probability.restype = ctypes.c_double
        code.yamnet_cry_probability.argtypes = [ctypes.c_float]
        code.yamnet_cry_events_reset.argtypes = [ctypes.c_void_p, ctypes.c_double]
        code.yamnet_cry_events_push.argtypes = [ctypes.c_void_p, ctypes.c_double, ctypes.c_void_p]
        code.yamnet_cry_events_push.restype = ctypes.c_bool
        code.yamnet_cry_events_finish.restype = ctypes.c_bool
        self.code = code

    def log_mel(self, samples: np.ndarray) -> np.ndarray:
        """Float build only: int16 samples to float32 of shape (frames, 64)."""
        frames = 1 + (len(samples) - FRAME_LENGTH) // FRAME_HOP
        found = np.empty((frames, MEL_BANDS), np.float32)
        for number, row in enumerate(found):
            frame = np.ascontiguousarray(samples[number * FRAME_HOP :][:FRAME_LENGTH])
            self.code.yamnet_cry_log_mel(_pointer(frame), _pointer(row))
        return found

    def patches(self, samples: np.ndarray) -> np.ndarray:
        """int16 samples to the network's inputs: int8 of shape (patches, 96, 64)."""
        state = ctypes.create_string_buffer(16_384)
        self.code.yamnet_cry_frontend_reset(state)
        found = []
        for start in range(0, len(samples) - FRAME_HOP + 1, FRAME_HOP):
            patch = self.code.yamnet_cry_frontend_push(state, _pointer(samples[start:]))
            if patch:
                content = ctypes.string_at(patch, PATCH_FRAMES * MEL_BANDS)
                found.append(np.frombuffer(content, np.int8).reshape(PATCH_FRAMES, MEL_BANDS))
        return np.array(found, np.int8).reshape(-1, PATCH_FRAMES, MEL_BANDS)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        return np.array([self.code.yamnet_cry_score(_pointer(np.ascontiguousarray(row))) for row in logits])

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        return np.array([self.code.yamnet_cry_probability(float(score)) for score in scores])

    def events(self, probabilities: np.ndarray, threshold: float) -> list[Event]:
        state, ended = ctypes.create_string_buffer(4_096), (ctypes.c_double * 4)()
        self.code.yamnet_cry_events_reset(state, threshold)
        found = []
        for probability in probabilities:
            if self.code.yamnet_cry_events_push(state, float(probability), ended):
                found.append(Event(*ended))
        if self.code.yamnet_cry_events_finish(state, ended):
            found.append(Event(*ended))
        return found


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@pytest.fixture(scope="session", params=BUILDS)
def build(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def firmware(compiler: str, kit: Path, build: str, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    library = tmp_path_factory.mktemp("library") / f"{build}.so"
    flags = (*STRICT, "-O2", "-fPIC", "-shared", *BUILDS[build])
    return Firmware(compiled(compiler, library, *flags, *(kit / source for source in SOURCES)))
