"""The kit of the released model, and its C code as a library that Python can call."""

import shutil
from pathlib import Path

import pytest
from firmware_chain import Firmware

from yamnet_cry import CryDetector, export
from yamnet_cry.firmware.kit import BUILDS


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("no gcc")
    return found


@pytest.fixture(scope="session")
def micro() -> None:
    """TFLite-Micro, which has wheels for Linux on x86-64 alone."""
    pytest.importorskip("tflite_micro.python.tflite_micro", reason="no TFLite-Micro here")


@pytest.fixture(scope="session")
def kit(micro: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("firmware") / "kit"
    export.write(CryDetector.from_pretrained(), "firmware", folder)
    return folder


@pytest.fixture(scope="session", params=BUILDS)
def build(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def firmware(compiler: str, kit: Path, build: str, tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    return Firmware.compiled(kit, build, tmp_path_factory.mktemp("library"))
