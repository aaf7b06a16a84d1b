"""The unpacked Speech Commands (Warden 2018, arXiv:1804.03209): one folder per word, and lists of splits."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from yamnet_cry import audio
from yamnet_cry.distill.corpus import SPLITS, Clip
from yamnet_cry.distill.origins import File
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import SILENCE, UNKNOWN, Task

#: The lists of splits in the dataset, which separate speakers.
TESTING, VALIDATION = "testing_list.txt", "validation_list.txt"

_NOISE = "_background_noise_"
_SPEAKER_ENDS = "_nohash_"
# One in this many clips of the other words is used as unknown: about as many as there are of a keyword.
_ONE_IN = 10


def found(folder: Path) -> bool:
    """Returns whether a folder contains the unpacked Speech Commands."""
    return (folder / TESTING).is_file() and (folder / VALIDATION).is_file()


def clips(folder: Path, task: Task) -> list[Clip]:
    """Lists the clips for a task: its words and, if it has these labels, unknown and silence.

    Unknown is one clip in ten of all other words. Silence is seconds from the recordings of noise in the
    dataset; each split has as many as clips of a word, on average.

    Args:
        folder: The unpacked Speech Commands.
        task: The task; its labels are words, `UNKNOWN` and `SILENCE`.

    Raises:
        CorpusError: If a word of the task has no folder, or there is no noise for silence.
    """
    split_of = {}
    for name, split in ((TESTING, "test"), (VALIDATION, "val")):
        split_of.update(dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), split))
    words = [label for label in task.labels if label not in (UNKNOWN, SILENCE)]
    missing = [word for word in words if not (folder / word).is_dir()]
    if missing or not words:
        raise CorpusError(
            f"expected {folder} to have a folder for each word of the task. It lacks: "
            f"{', '.join(missing) or 'all, because the task has no words'}"
        )
    listed = []
    for path in sorted(folder.glob("*/*.wav")):
        name = path.relative_to(folder).as_posix()
        word = path.parent.name
        if word.startswith("_") or (word not in words and not _drawn(name, task)):
            continue
        speaker, _, _ = path.stem.partition(_SPEAKER_ENDS)
        label = word if word in words else UNKNOWN
        listed.append(_clip(name, label, split_of.get(name, "train"), speaker, folder, path))
    if SILENCE in task.labels:
        listed += _silence(folder, listed, len(words))
    return listed


def _drawn(name: str, task: Task) -> bool:
    return UNKNOWN in task.labels and _number(name) % _ONE_IN == 0


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def _clip(name: str, label: str, split: str, group: str, folder: Path, path: Path) -> Clip:
    return Clip(name, (label,), split, group, folder.resolve().name, open=File(path))


def _silence(folder: Path, listed: list[Clip], words: int) -> Iterator[Clip]:
    recordings = sorted((folder / _NOISE).glob("*.wav"))
    if not recordings:
        raise CorpusError(f"expected recordings of noise in {folder / _NOISE}, for the label silence")
    for split in SPLITS:
        spoken = sum(clip.split == split and clip.labels != (UNKNOWN,) for clip in listed)
        for number in range(round(spoken / words)):
            recording = recordings[number % len(recordings)]
            yield Clip(
                name=f"{SILENCE}/{split}-{number:04d}",
                labels=(SILENCE,),
                split=split,
                # There are few recordings, so all splits use them; a split's seconds of one are a group.
                group=f"{recording.name} {split}",
                source=folder.resolve().name,
                open=_Second(recording, number + SPLITS.index(split) / len(SPLITS)),
            )


class _Second:
    """One second of a recording, at a position computed from a number."""

    def __init__(self, recording: Path, number: float) -> None:
        self._recording, self._number = recording.absolute(), number

    @property
    def origin(self) -> str:
        return f"{File(self._recording).origin} {self._number!r}"

    def __call__(self) -> tuple[Float32, int]:
        wave = audio.read(self._recording)
        # Multiples of the golden ratio spread evenly over a circle.
        share = self._number * (np.sqrt(5) - 1) / 2 % 1
        start = int(share * max(0, len(wave) - YAMNET.sample_rate))
        return wave[start : start + YAMNET.sample_rate], YAMNET.sample_rate
