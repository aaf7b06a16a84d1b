"""The teacher pass on a cluster: bit-identical to a local one, whichever processes die meanwhile."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_cluster import SMALL, cluster
from tiny_teacher import TinyTeacher

from yamnet_cry.distill import labelling, sources, targets, teachers
from yamnet_cry.errors import ClusterError, PartitionError, TeacherError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.locations import Location

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="needs the extra cluster")


@pytest.fixture
def clips(synthetic_corpus):
    return sources.load(str(synthetic_corpus))


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "partitions"


def found(address, clips, folder, teacher, **options):
    options = {"clips_per_partition": 4, "progress": False, **options}
    make = partial(TinyTeacher, **vars_of(teacher))
    return labelling.found(address, clips, [teacher], [make], YAMNET, folder, **options)


def vars_of(teacher):
    return {"notes": teacher.notes, "seconds": teacher.seconds, "fingerprint": teacher.fingerprint}


def opinion(clips, cache, known=()):
    asked = [(TinyTeacher(), "windows", 1.0)]
    folder = cache.with_suffix(".windows")
    windows = targets.teacher_pass(clips, asked, YAMNET, cache, folder, known=known, progress=False)
    return windows.opinions[0].logits[:]


def labelled_once(folder: Path) -> bool:
    from yamnet_cry.cluster.partitions import Partitions

    (own,) = folder.iterdir()
    entries = Counter(
        entry.origin
        for partition in Partitions(Location.of(own), "tiny-1").results()
        for entry in partition.entries
    )
    return set(entries.values()) == {1}


def test_the_same_bits_as_here(address, clips, folder, tmp_path):
    told = found(address, clips, folder, TinyTeacher())
    assert told.readable == clips
    there = opinion(clips, tmp_path / "a.sqlite", told.known)
    here = opinion(clips, tmp_path / "b.sqlite")
    np.testing.assert_array_equal(there.view(np.uint32), here.view(np.uint32))
    # Partitions are read instead of running the teacher, also by runs without a cluster.
    again = found(None, clips, folder, TinyTeacher())
    assert all(again.known[0](clip) is not None for clip in clips)
    assert labelled_once(folder)


def test_yamnet_gives_the_same_bits_as_here(address, clips, folder, shared, tmp_path):
    make = partial(teachers.load, shared / "teacher" / "yamnet")
    teacher, some = make(), clips[:6]
    told = labelling.found(
        address, some, [teacher], [make], YAMNET, folder, clips_per_partition=4, progress=False
    )
    asked = [(teacher, "windows", 1.0)]
    cache = tmp_path / "c.sqlite"
    here = targets.teacher_pass(some, asked, YAMNET, cache, tmp_path / "windows", progress=False)
    there = np.concatenate([told.known[0](clip) for clip in some])
    np.testing.assert_array_equal(there.view(np.uint32), here.opinions[0].logits[:].view(np.uint32))


def test_a_second_pass_does_what_is_new_or_was_damaged(address, clips, folder, tmp_path):
    (tmp_path / "notes").mkdir()
    found(address, clips[:9], folder, TinyTeacher())
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    found(address, clips, folder, TinyTeacher())
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert labelled_once(folder)
    found(address, clips, folder, TinyTeacher(tmp_path / "notes"))
    assert list((tmp_path / "notes").iterdir()) == []
    victim, *others = sorted(folder.rglob("*.parquet"))
    before = {file: file.stat().st_mtime_ns for file in others}
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.raises(PartitionError, match=f"{victim} is damaged .*; delete it"):
        found(address, clips, folder, TinyTeacher())
    victim.unlink()
    told = found(address, clips, folder, TinyTeacher())
    assert all(told.known[0](clip) is not None for clip in clips)
    assert {file: file.stat().st_mtime_ns for file in others} == before


def test_unreadable_clips_are_left_out_and_remembered(address, folder, tmp_path, caplog):
    for split in ("train", "val"):
        soundfile.write(tmp_path / f"{split}.wav", np.zeros(16_000), 16_000)
    (tmp_path / "empty.wav").write_bytes(b"")
    rows = ["file,target,split,group", "train.wav,cry,train,a", "val.wav,cry,val,b", "empty.wav,cry,train,c"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    clips = sources.load(str(tmp_path))
    for _ in range(2):
        caplog.clear()
        told = found(address, clips, folder, TinyTeacher())
        assert [clip.name for clip in told.readable] == ["train.wav", "val.wav"]
        assert "1 of 3 clips cannot be read and are left out: empty.wav: " in caplog.text
        assert "is empty (0 bytes)" in caplog.text
    assert len(list(folder.rglob("errors/*.parquet"))) == 1


def test_a_teacher_with_other_weights_on_the_machines(address, clips, folder):
    make = partial(TinyTeacher, fingerprint="tiny-2")
    with pytest.raises(TeacherError, match="expected the same tiny on every machine of the cluster"):
        labelling.found(address, clips, [TinyTeacher()], [make], YAMNET, folder, progress=False)


def test_machines_come_and_go_and_processes_die(clips, folder, tmp_path):
    (tmp_path / "notes").mkdir()
    happened = []
    with cluster(1) as three:
        nodes = [three.add_node(num_cpus=1, **SMALL) for _ in range(2)]
        three.wait_for_nodes()

        def disturb(now):
            if now.items >= 8 and "killed" not in happened:
                for note in (tmp_path / "notes").iterdir():
                    with suppress(ProcessLookupError):
                        os.kill(int(note.name), signal.SIGKILL)
                        happened.append("killed")
                        break
            elif now.items >= 16 and "removed" not in happened:
                three.remove_node(nodes[0])
                three.add_node(num_cpus=1, **SMALL)
                happened.append("removed")

        teacher = TinyTeacher(tmp_path / "notes", seconds=0.1)
        told = found(three.address, clips, folder, teacher, clips_per_partition=2, tell=disturb)
    assert happened == ["killed", "removed"]
    assert labelled_once(folder)
    there = opinion(clips, tmp_path / "a.sqlite", told.known)
    np.testing.assert_array_equal(there, opinion(clips, tmp_path / "b.sqlite"))


def test_a_driver_that_is_killed(address, clips, folder, synthetic_corpus, tmp_path):
    program = f"""
        from functools import partial
        from pathlib import Path
        from tiny_teacher import TinyTeacher
        from yamnet_cry.distill import labelling, sources
        from yamnet_cry.frontend import YAMNET
        make = partial(TinyTeacher, seconds=0.2)
        labelling.found({address!r}, sources.load({str(synthetic_corpus)!r}), [make()], [make], YAMNET,
                        {str(folder)!r}, clips_per_partition=2, progress=False)
    """
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        deadline = time.monotonic() + 120
        while not list(folder.rglob("*.parquet")):
            assert driver.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        driver.kill()
        driver.wait()
    first = {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}
    told = found(address, clips, folder, TinyTeacher())
    assert {file: file.stat().st_mtime_ns for file in first} == first
    there = opinion(clips, tmp_path / "a.sqlite", told.known)
    np.testing.assert_array_equal(there, opinion(clips, tmp_path / "b.sqlite"))


def test_a_place_that_only_the_machines_see(address, clips):
    # Every process has its own memory:// file system.
    with pytest.raises(ClusterError, match="does not contain it here; use a bucket, or a folder that all"):
        found(address, clips, "memory://of-each-process", TinyTeacher())
