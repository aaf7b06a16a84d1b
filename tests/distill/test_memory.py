"""Memory of training does not grow with the audio; tracemalloc counts NumPy's arrays too."""

import tracemalloc

import numpy as np
import pytest

from yamnet_cry.distill import rows, targets
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sampling import Epochs, labels, select
from yamnet_cry.distill.sections import Sampling
from yamnet_cry.frontend import YAMNET
from yamnet_cry.task import Task

TASK = Task(("low", "high"))


class Noise:
    """Two seconds of noise that are generated each time they are read."""

    def __init__(self, number):
        self._number = number

    def __call__(self):
        return np.random.default_rng(self._number).standard_normal(32_000).astype(np.float32) * 0.1, 16_000


class Teacher:
    name, fingerprint, kind = "teacher", "teacher-1", "independent"
    labels = (*TASK.labels, *(f"label {number}" for number in range(500)))

    def logits(self, waveforms):
        counts = [len(YAMNET.patches(YAMNET.log_mel(waveform))) for waveform in waveforms]
        return [np.full((count, len(self.labels)), 0.5, np.float32) for count in counts]


def largest(count, folder):
    """Peak memory, in bytes, of a teacher pass and an epoch over a number of clips."""
    clips = [Clip(str(n), (TASK.labels[n % 2],), "train", str(n), "s", open=Noise(n)) for n in range(count)]
    teachers = [(Teacher(), "windows", 1.0), (Teacher(), "clips", 0.5)]
    tracemalloc.start()
    try:
        windows = targets.teacher_pass(
            clips, teachers, YAMNET, folder / "c.sqlite", folder / "windows", progress=False
        )
        known = labels(windows, None, TASK)
        chosen = select(windows, "train", None, TASK)
        epochs = Epochs(windows, chosen, known, Teacher.labels, Sampling(), 32, seed=0)
        seen = sum(len(epochs[number][0]) for number in range(len(epochs)))
        assert seen == len(windows) == count * 4
        return tracemalloc.get_traced_memory()[1], sum(
            path.stat().st_size for path in (folder / "windows").iterdir()
        )
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_ten_times_the_clips_take_hardly_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "CLIPS_PER_CHUNK", 8)
    monkeypatch.setattr(rows, "BLOCK", 64)
    (few, small), (many, large) = (largest(count, tmp_path / str(count)) for count in (60, 600))
    assert large > 9 * small
    # The remaining growth is a few numbers for each window and each clip.
    assert many - few < 0.05 * (large - small)
    assert many < large / 2
