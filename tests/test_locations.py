"""Local files and files in buckets, by path or URL."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub, Machine

from yamnet_cry.errors import LocationError
from yamnet_cry.locations import Location


@pytest.fixture(params=["path", "file", "memory"])
def folder(request, tmp_path) -> Location:
    names = {"path": str(tmp_path), "file": tmp_path.as_uri(), "memory": f"memory://{tmp_path.name}"}
    place = Location.of(names[request.param])
    for name in ("a.wav", "b.txt", "in/c.wav"):
        place.child(name).write(name.encode())
    return place


def test_a_folder_and_those_within_it(folder):
    assert [file.relative_to(folder) for file in folder.listed()] == ["a.wav", "b.txt", "in/c.wav"]
    assert [file.size for file in folder.listed()] == [5, 5, 8]


def test_a_pattern(folder):
    assert [file.relative_to(folder) for file in folder.child("**/*.wav").listed()] == ["a.wav", "in/c.wav"]
    assert folder.child("*.mp3").listed() == []


def test_one_file(folder):
    (file,) = folder.child("a.wav").listed()
    assert file.name == folder.child("a.wav").name
    assert file.read() == b"a.wav"
    with file.open() as opened:
        assert opened.read(1) == b"a"


def test_a_file_that_changes_is_another(folder):
    (before,) = folder.child("a.wav").listed()
    folder.child("a.wav").write(b"longer than before")
    (after,) = folder.child("a.wav").listed()
    assert before.origin != after.origin
    assert after.read() == b"longer than before"


def test_nothing(folder):
    assert folder.child("none").listed() == []
    assert not folder.child("none").exists()
    assert folder.child("in").exists()
    with pytest.raises(LocationError, match="none cannot be read"):
        folder.child("none").read()


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Location.of("clips").name == str(Path("clips").absolute())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever may everything is refused nothing")
def test_a_folder_without_rights(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(LocationError, match=r"cannot be written: permission denied \(Permission"):
        Location.of(tmp_path / "locked" / "a").write(b"")


class _Refusing(BaseHTTPRequestHandler):
    """Answers as S3 does to clients without permission."""

    def _refuse(self):
        content = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = _refuse

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def bucket(monkeypatch):
    """An S3 bucket to which the client has no permission."""
    pytest.importorskip("s3fs")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield Location.of("s3://private/clips")
        server.shutdown()


def test_a_bucket_without_permission(bucket):
    message = "s3://private/clips.* cannot be {}: permission denied .*; finished work is kept"
    with pytest.raises(LocationError, match=message.format("listed")):
        bucket.listed()
    for read in (bucket.child("a.wav").read, bucket.child("a.wav").open):
        with pytest.raises(LocationError, match=message.format("read")):
            read()
    with pytest.raises(LocationError, match=message.format("written")):
        bucket.child("a.wav").write(b"a")


def test_a_dataset_of_the_hub(tmp_path):
    files = {"a.wav": b"RIFF a", "in/c.wav": b"RIFF c", "README.md": b"---"}
    code = """
from yamnet_cry.locations import Location
folder = Location.of("hf://datasets/user/clips")
for file in folder.listed():
    print(file.name, file.size, file.version != "", file.read())
with folder.child("in/c.wav").open() as opened:
    print(opened.read(4))
print(folder.child("none").exists(), folder.child("none").listed())
"""
    with LoopbackHub() as hub:
        hub.add("user/clips", files, kind="datasets")
        # The client reads the address when it is imported.
        result = Machine(hub, tmp_path).run(code=code)
    assert result.stdout.splitlines() == [
        "hf://datasets/user/clips/README.md 3 True b'---'",
        "hf://datasets/user/clips/a.wav 6 True b'RIFF a'",
        "hf://datasets/user/clips/in/c.wav 6 True b'RIFF c'",
        "b'RIFF'",
        "False []",
    ], result.stderr


def test_a_package_that_is_missing(monkeypatch):
    import fsspec

    def missing(*_arguments):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(LocationError, match="s3://b/a: s3:// needs a package .*; pip install s3fs"):
        Location.of("s3://b/a").read()


def test_a_protocol_that_nobody_knows():
    with pytest.raises(LocationError, match="xyz://a cannot be listed"):
        Location.of("xyz://a").listed()
