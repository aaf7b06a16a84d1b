"""A cluster that is missing or incompatible is reported in one line."""

import os
import socket
import subprocess
import sys

import pytest
from small_cluster import SMALL
from tiny_workers import Doubling, Dying, DyingJudge, refuse

from yamnet_cry import cluster as clusters
from yamnet_cry.cluster import engine, passes
from yamnet_cry.cluster.partitions import Partitions
from yamnet_cry.cluster.passes import Item
from yamnet_cry.errors import AudioError, ClusterError
from yamnet_cry.locations import Location

pytestmark = pytest.mark.slow


def test_the_extra_that_is_missing(monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda name: None if name == "ray" else object())
    with pytest.raises(ImportError, match=r'--cluster needs ray: pip install "yamnet-cry\[cluster\]"'):
        clusters.require_extra()


ray = pytest.importorskip("ray", reason="needs the extra cluster")


@pytest.mark.parametrize("address", ["nowhere", "host:port", ":6379", "10.0.0.1"])
def test_what_is_no_address(address):
    with (
        pytest.raises(ClusterError, match=f"expected auto or HOST:PORT, .*Received: '{address}'"),
        engine.connected(address),
    ):
        pass


def test_nobody_answers():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=f"no Ray cluster at {address} .*`ray start --head` prints"),
            engine.connected(address),
        ):
            pass


def test_none_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # In a separate process, because Ray caches addresses in this one.
    code = """
import ray
from yamnet_cry.cluster import engine, passes
from yamnet_cry.cluster.partitions import Partitions
from yamnet_cry.cluster.passes import Item
from yamnet_cry.errors import ClusterError
try:
    with engine.connected("auto"):
        pass
except ClusterError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_without_ray(tmp_path), check=False
    )
    if not done.stdout and _ray_runs_here():
        pytest.skip("another cluster of Ray runs on this machine")
    assert done.stdout.startswith("no Ray cluster runs on this machine; start one with `ray start --head`")
    assert len(done.stdout.splitlines()) == 1


def _ray_runs_here() -> bool:
    """Whether Ray would find a cluster: it searches process names, including those of parallel tests."""
    import psutil

    return any("gcs_server" in process.info["name"] for process in psutil.process_iter(["name"]))


def _without_ray(folder):
    return {**os.environ, "RAY_TMPDIR": str(folder), "TMPDIR": str(folder)}


def test_tasks_are_done_on_the_cluster(address):
    with engine.connected(address) as connection:
        assert sorted(connection.run(range(5), Doubling)) == [0, 2, 4, 6, 8]
        assert list(connection.run([], Doubling)) == []


def test_what_a_worker_raises_is_raised_here(address):
    with engine.connected(address) as connection, pytest.raises(AudioError, match="13 is not heard"):
        list(connection.run([13], Doubling))


def test_a_worker_that_cannot_be_made(address):
    with engine.connected(address) as connection, pytest.raises(ClusterError, match="no such model here"):
        list(connection.run([1, 2], refuse))


def test_a_task_whose_process_dies_is_begun_again(address):
    with engine.connected(address) as connection:
        assert sorted(connection.run(["deadly", "other"], Dying)) == [1, 4]


def test_a_recording_that_ends_processes_is_found_among_the_errors(address, tmp_path):
    partitions = Partitions(Location.of(tmp_path), "judge")
    items = [Item(name, f"origin of {name}", None) for name in ("a", "torn", "b", "deadly", "c", "d")]
    with engine.connected(address) as connection:
        passes.run(connection, items, DyingJudge, partitions, most=6, tell=lambda now: None)
    judged = [entry.name for partition in partitions.results() for entry in partition.entries]
    assert sorted(judged) == ["a", "b", "c", "d"]
    assert partitions.reasons() == {
        "origin of torn": "torn",
        "origin of deadly": "deadly: every process that read it crashed; it may be damaged or too long",
    }


def test_another_version_on_a_machine(head, address, tmp_path):
    about = tmp_path / "yamnet_cry-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: yamnet-cry\nVersion: 9.9\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    node = head.add_node(num_cpus=1, env_vars={"PYTHONPATH": path}, **SMALL)
    head.wait_for_nodes()
    try:
        with (
            pytest.raises(ClusterError, match="on all machines of the cluster, as here. Received: 9.9 on "),
            engine.connected(address),
        ):
            pass
    finally:
        head.remove_node(node)
