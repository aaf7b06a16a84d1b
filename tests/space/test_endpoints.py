"""The page's API: gradio_client against the running server."""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from yamnet_cry import CryDetector
from yamnet_cry.audio.ffmpeg import program
from yamnet_cry.demo import nursery

pytestmark = pytest.mark.slow

SPACE = Path(__file__).parents[2] / "space"


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False)


def test_programs_get_what_the_detector_says(client, recordings):
    found = client.predict(handle_file(recordings / "night.wav"), 0.5, api_name="/detect")
    expected = CryDetector.from_pretrained()(recordings / "night.wav").to_dict()
    assert {key: found[key] for key in expected} == json.loads(json.dumps(expected))
    assert (found["file"], found["is_cry"]) == ("night.wav", True)
    assert "Baby cry, infant cry" in found["classes"]


@pytest.mark.parametrize("name", ["memo.m4a", "phone.mov"])
def test_programs_may_send_what_ffmpeg_decodes(client, recordings, name):
    if program() is None:
        pytest.skip("no ffmpeg")
    found = client.predict(handle_file(recordings / name), 0.5, api_name="/detect")
    assert (found["file"], found["is_cry"], found["truncated"]) == (name, True, False)


def test_bad_recordings_are_explained(client, recordings):
    with pytest.raises(AppError, match="broken.wav is not audio that can be decoded"):
        client.predict(handle_file(recordings / "broken.wav"), 0.5, api_name="/detect")


def test_twenty_visitors_at_once_are_all_answered_and_none_mixed_up(address, tmp_path):
    """Each visitor's recording has crying at a different time."""

    def visit(number: int) -> tuple[float, float]:
        first = 3.0 + 0.5 * number
        path = tmp_path / f"visitor-{number}.wav"
        soundfile.write(path, nursery(20.0, first, first + 3.0, seed=number), 16_000)
        found = Client(address, verbose=False).predict(handle_file(path), 0.5, api_name="/detect")
        assert found["file"] == path.name
        return first, found["events"][0]["start"]

    with ThreadPoolExecutor(20) as executor:
        starts = np.array(list(executor.map(visit, range(20))))
    assert np.abs(starts[:, 0] - starts[:, 1]).max() < 1.5
    assert len(set(starts[:, 1])) > 10


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "../../etc/passwd"])
def test_no_file_of_the_server_can_be_read(address, path):
    assert httpx.get(f"{address}gradio_api/file={path}").status_code in (400, 403, 404)
    given = {"path": path, "meta": {"_type": "gradio.FileData"}}
    joined = httpx.post(f"{address}gradio_api/call/detect", json={"data": [given, 0.5]})
    answer = joined.text
    if joined.status_code == 200:
        answer = httpx.get(f"{address}gradio_api/call/detect/{joined.json()['event_id']}", timeout=30).text
        assert answer.startswith("event: error")
    assert "root:" not in answer
    assert "PATH=" not in answer


def test_the_microphones_sound_is_deleted_and_nothing_else(address, recordings):
    config = httpx.get(f"{address}config").json()
    stream = next(each["id"] for each in config["dependencies"] if each["api_name"] == "listen")

    def listened(session: str, age: float) -> bool:
        """Whether an upload still exists after the microphone's endpoint has processed it."""
        with (recordings / "night.wav").open("rb") as file:
            (path,) = httpx.post(
                f"{address}gradio_api/upload", files={"files": (f"{session}.wav", file)}
            ).json()
        os.utime(path, (time.time() - age, time.time() - age))
        given = {"path": path, "meta": {"_type": "gradio.FileData"}, "is_stream": True}
        body = {"data": [given, None, 0.5], "fn_index": stream, "session_hash": session}
        assert httpx.post(f"{address}gradio_api/queue/join", json=body).status_code == 200
        queue = f"{address}gradio_api/queue/data?session_hash={session}"
        with httpx.stream("GET", queue, timeout=30) as answer:
            heard = next(line for line in answer.iter_lines() if '"output"' in line)
        assert "Cried once" in heard
        return Path(path).exists()

    assert not listened("said", age=0.0)
    assert listened("uploaded", age=60.0)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [None, 0.5],
        [{"path": "x"}, 0.5],
        [{"path": None, "meta": {"_type": "gradio.FileData"}}, 0.5],
        [[], {}],
        [{"path": "http://127.0.0.1:9/x.wav", "meta": {"_type": "gradio.FileData"}}, 0.5],
        ["\x00", 1e308],
    ],
)
def test_what_programs_send_that_is_no_recording(address, data):
    joined = httpx.post(f"{address}gradio_api/call/detect", json={"data": data})
    if joined.status_code == 200:
        answer = httpx.get(f"{address}gradio_api/call/detect/{joined.json()['event_id']}", timeout=30).text
        assert answer.startswith("event: error")
        assert "Traceback" not in answer
    else:
        assert 400 <= joined.status_code < 500


def test_the_server_leaves_nothing_in_the_temporary_folder(client, recordings, temporary):
    client.predict(handle_file(recordings / "night.wav"), 0.5, api_name="/detect")
    assert list(temporary.iterdir()) == []


def test_uploads_are_limited(address):
    from yamnet_cry.space.page import MAX_MEGABYTES

    large = b"RIFF" + bytes(MAX_MEGABYTES * 1_100_000)
    answer = httpx.post(f"{address}gradio_api/upload", files={"files": ("large.wav", large)}, timeout=120)
    assert answer.status_code == 413


def test_the_space_folder_is_what_the_hub_wants():
    from huggingface_hub import RepoCard

    data = RepoCard.load(SPACE / "README.md", ignore_metadata_errors=False).data.to_dict()
    assert (data["sdk"], data["app_file"], data["python_version"]) == ("gradio", "app.py", "3.11")
    assert re.fullmatch(r"\d+\.\d+\.\d+", data["sdk_version"])
    assert data["sdk_version"].split(".")[0] == version("gradio").split(".")[0]
    assert len(data["short_description"]) <= 60
    assert {"title", "emoji", "colorFrom", "colorTo"} <= set(data)
    assert (SPACE / "requirements.txt").read_text() == f"yamnet-cry[space]=={version('yamnet-cry')}\n"


@pytest.mark.parametrize("named", ["variable", "option"])
def test_another_model_may_be_named(tmp_path, named):
    environment = {**os.environ, "YAMNET_CRY_MODEL": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "yamnet_cry", "space"]
    if named == "option":
        environment["YAMNET_CRY_MODEL"] = ""
        command += ["--model", str(tmp_path / "nowhere")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Error: expected a model folder or a repository id" in result.stderr


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("", "the bundled model has no revisions; pass a repository"),
        ("hub", "hub is a folder, which has no revisions"),
    ],
)
def test_a_revision_is_of_the_model_that_the_variable_names(named, message):
    result = subprocess.run(
        [sys.executable, "-m", "yamnet_cry", "space", "--revision", "v9"],
        env={**os.environ, "YAMNET_CRY_MODEL": named},
        cwd=SPACE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 2
    assert f"Error: {message}" in result.stderr
