"""Fixtures for a local Ray cluster, where Ray is installed."""

from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from small_cluster import cluster

from yamnet_cry.demo import nursery


@pytest.fixture(scope="session")
def head() -> Iterator[object]:
    """One node with two CPUs, shared by all tests that do not damage it."""
    pytest.importorskip("ray", reason="needs the extra cluster")
    with cluster(2) as started:
        yield started


@pytest.fixture
def address(head) -> Iterator[str]:
    import ray

    yield head.address
    ray.shutdown()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A nursery recording, parts of it, and two files that are not audio."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "late").mkdir()
    wave = nursery()
    for number in range(5):
        soundfile.write(folder / f"{number}.wav", wave[number * 8_000 :][: 160_000 + number * 16_000], 16_000)
    soundfile.write(folder / "late" / "quiet.flac", np.zeros(32_000, np.float32), 16_000)
    (folder / "broken.wav").write_bytes(b"RIFF")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("no audio")
    return folder
