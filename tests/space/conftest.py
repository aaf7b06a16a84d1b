"""The page as users get it: served by the program in a separate process."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from yamnet_cry.audio.ffmpeg import program
from yamnet_cry.demo import nursery


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's temporary folder."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[str]:
    uploads = tmp_path_factory.mktemp("uploads")
    process = subprocess.Popen(
        [sys.executable, "-m", "yamnet_cry", "space", "--port", "0"],
        env={
            **os.environ,
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
            "GRADIO_TEMP_DIR": str(uploads),
            "GRADIO_ANALYTICS_ENABLED": "False",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.match(r"(http://\S+) \(stop with Ctrl-C\)", process.stdout.readline())
    assert found, "it says where it is"
    yield found[1]
    process.terminate()
    process.wait(timeout=20)
    process.stdout.close()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings to upload, and files that are not recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    soundfile.write(folder / "night.wav", nursery(), 16_000)
    soundfile.write(folder / "five minutes.wav", np.tile(nursery(), 15), 16_000)
    soundfile.write(folder / "silence.flac", np.zeros(160_000), 16_000)
    if ffmpeg := program():
        made = [ffmpeg, "-v", "error", "-i", folder / "night.wav"]
        picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5", "-shortest", "-c:v", "mpeg4"]
        subprocess.run([*made, *picture, "-c:a", "aac", folder / "phone.mov"], check=True)
        subprocess.run([*made, "-c:a", "aac", folder / "memo.m4a"], check=True)
        subprocess.run([*made, "-c:a", "libopus", folder / "browser.webm"], check=True)
    (folder / "broken.wav").write_bytes(b"RIFF nothing of the kind" * 100)
    (folder / "empty.wav").write_bytes(b"")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return program


@pytest.fixture(scope="session")
def spoken(tmp_path_factory) -> Path:
    """The sound of the browser's microphone, in a loop."""
    path = tmp_path_factory.mktemp("microphone") / "baby.wav"
    soundfile.write(path, np.concatenate([nursery(), np.zeros(160_000)]), 16_000, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(chromium, spoken):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                "--no-sandbox",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}",
            ],
        )
        yield opened
        opened.close()
