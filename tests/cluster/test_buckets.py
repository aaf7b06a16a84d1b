"""Detection on a cluster, from bucket to bucket: local servers that speak the protocols of S3 and GCS.

Needs moto[server], gcsfs and gcp-storage-emulator. They are not in the extra ``test``, because they install a
hundred megabytes.
"""

import socket

import pytest
from click.testing import CliRunner
from small_cluster import cluster

from yamnet_cry import CryDetector
from yamnet_cry.cli import main
from yamnet_cry.locations import Location

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="needs the extra cluster")


def s3(monkeypatch):
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    s3fs = pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    # Every server of a process has the same buckets.
    s3fs.S3FileSystem().makedirs("nursery", exist_ok=True)
    return server.stop


def gs(monkeypatch):
    gcsfs = pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    server = emulator.create_server(host, port, in_memory=True, default_bucket="nursery")
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{host}:{port}")
    gcsfs.GCSFileSystem.clear_instance_cache()
    return server.stop


# What the servers themselves leave behind.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", [s3, gs])
def test_from_a_bucket_into_a_bucket(start, recordings, monkeypatch):
    stop = start(monkeypatch)
    try:
        bucket = Location.of(f"{start.__name__}://nursery")
        for path in sorted(recordings.rglob("*.*")):
            name = path.relative_to(recordings).as_posix()
            bucket.child(f"audio/{name}").write(path.read_bytes())
        with cluster(2) as started:
            first, again = (detected(bucket, started.address) for _ in range(2))
        ours = [file for file in bucket.child("results").listed() if "errors" not in file.name]
        events = rows(ours)
    finally:
        stop()
    assert first.stdout.startswith("6 recordings, ")
    assert "broken.wav" in first.stderr
    assert again.stderr.startswith("8 of 8 recordings are already done")
    detector = CryDetector.from_pretrained()
    expected = {
        f"{bucket.name}/audio/{path.relative_to(recordings).as_posix()}": detector(path).probability
        for path in [*recordings.glob("?.wav"), recordings / "late" / "quiet.flac"]
    }
    assert events == expected


def detected(bucket, address):
    import ray

    out = bucket.child("results").name
    try:
        return CliRunner().invoke(
            main, ["detect", f"{bucket.name}/audio/**", "--cluster", address, "--out", out]
        )
    finally:
        ray.shutdown()


def rows(files):
    """The probability of each recording."""
    from io import BytesIO

    import pyarrow.parquet as pq

    found = [row for file in files for row in pq.read_table(BytesIO(file.read())).to_pylist()]
    return {row["file"]: row["probability"] for row in found}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", [s3, gs])
def test_a_file_that_changes_is_another(start, monkeypatch):
    stop = start(monkeypatch)
    try:
        file = Location.of(f"{start.__name__}://nursery/audio/a.wav")
        file.write(b"first")
        (before,) = file.listed()
        file.write(b"second")
        (after,) = Location.of(f"{start.__name__}://nursery/audio").listed()
        assert (after.name, after.size, after.read()) == (file.name, 6, b"second")
        assert before.origin != after.origin
        assert file.exists()
        assert not file.child("b").exists()
    finally:
        stop()
