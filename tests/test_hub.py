"""from_pretrained through the real huggingface_hub, against a loopback server that answers as the Hub."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from yamnet_cry import CryDetector, hub
from yamnet_cry.errors import ModelError
from yamnet_cry.model_folder import CARD, CONFIG, KERAS, TFLITE

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub:
    """One public repository, user/model, of which main and v1 are the same commit."""

    def __init__(self, folder: Path) -> None:
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.downloads: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                """Stays quiet."""

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                status, headers, body = hub.answer(self.path.split("?")[0], self.command)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str, method: str) -> tuple[int, dict[str, str], bytes]:
        parts = path.strip("/").split("/")
        if path.startswith("/api/models/user/model"):
            rest = parts[4:]
            if rest and rest[-1] not in ("main", "v1", COMMIT):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            if rest and rest[0] == "tree":
                listing = [
                    {
                        "type": "file",
                        "path": name,
                        "size": len(content),
                        "oid": hashlib.sha1(content).hexdigest(),
                    }
                    for name, content in self.files.items()
                ]
                return 200, {"Content-Type": "application/json"}, json.dumps(listing).encode()
            info = {
                "id": "user/model",
                "sha": COMMIT,
                "siblings": [{"rfilename": name} for name in self.files],
            }
            return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
        if parts[:3] == ["user", "model", "resolve"] and parts[-1] in self.files:
            content = self.files[parts[-1]]
            if method == "GET":
                self.downloads.append(parts[-1])
            return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content
        if "broken" in path:
            return 500, {}, b""
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"


@pytest.fixture
def loopback(released) -> Iterator[LoopbackHub]:
    server = LoopbackHub(released)
    yield server
    server.server.shutdown()
    server.server.server_close()


def in_fresh_process(
    address: str, cache: Path, code: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


LOAD = "from yamnet_cry import CryDetector; print(CryDetector.from_pretrained('user/model', revision={!r}))"


@pytest.mark.parametrize("revision", [None, "v1", COMMIT])
def test_a_repository_gives_the_detector_of_its_folder(loopback, tmp_path, released, revision):
    result = in_fresh_process(loopback.address, tmp_path / "home", LOAD.format(revision))
    assert result.stdout.strip() == repr(CryDetector.from_pretrained(released)), result.stderr
    assert sorted(loopback.downloads) == sorted([CONFIG, TFLITE])
    assert {KERAS, CARD} <= set(loopback.files)


def test_what_was_downloaded_once_needs_no_network(loopback, tmp_path):
    first = in_fresh_process(loopback.address, tmp_path / "home", LOAD.format(None))
    offline = in_fresh_process("http://127.0.0.1:9", tmp_path / "home", LOAD.format(None), HF_HUB_OFFLINE="1")
    assert offline.stdout == first.stdout != "", offline.stderr


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]


def test_a_revision_that_is_not_there(loopback, tmp_path):
    result = in_fresh_process(loopback.address, tmp_path / "home", LOAD.format("v9"))
    assert error_of(result) == "yamnet_cry.errors.ModelError: the Hub's user/model has no revision 'v9'"


def test_a_repository_that_is_not_there(loopback, tmp_path):
    code = LOAD.format(None).replace("user/model", "user/other")
    result = in_fresh_process(loopback.address, tmp_path / "home", code)
    assert "the Hub shows no user/other (HTTP 404), and there is no such folder here" in error_of(result)


def test_a_hub_that_cannot_be_reached(tmp_path):
    result = in_fresh_process("http://127.0.0.1:9", tmp_path / "home", LOAD.format(None))
    assert "ModelError: user/model is not in the local cache and the Hub cannot be reached" in error_of(
        result
    )


def test_a_model_corrupted_on_its_way_is_refused(loopback, tmp_path):
    content = bytearray(loopback.files[TFLITE])
    content[5_000] ^= 255
    loopback.files[TFLITE] = bytes(content)
    result = in_fresh_process(loopback.address, tmp_path / "home", LOAD.format(None))
    assert f"is not the file that {CONFIG} describes" in error_of(result)


@pytest.mark.parametrize("name", ["no such folder", "a/b/c", "", "plain"])
def test_what_is_neither_folder_nor_repository(name):
    with pytest.raises(ModelError, match="no such model folder, and no repository id such as user/model"):
        hub.locate(name)


def test_folders_have_no_revisions(released):
    with pytest.raises(ModelError, match=r"is a folder, which has no revisions. Received: revision='v1'"):
        hub.locate(released, "v1")
    with pytest.raises(ModelError, match="the bundled model has no revisions"):
        hub.locate(None, "v1")
