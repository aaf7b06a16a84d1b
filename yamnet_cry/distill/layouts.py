"""Reads clips from the rows of a manifest, from class folders, and from datasets in AudioSet's layout."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from yamnet_cry import audio
from yamnet_cry.audioset import class_ids, class_names
from yamnet_cry.distill.corpus import SPLITS, UNLABELLED, Clip, split_groups
from yamnet_cry.errors import CorpusError
from yamnet_cry.task import Task

MANIFEST = "manifest.csv"

#: Required columns of a dataset in AudioSet's layout.
AUDIOSET_COLUMNS = ("video_id", "audio", "labels")

#: Maps names of splits on the Hub to `corpus.SPLITS`.
HUB_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}

_REQUIRED_COLUMNS = ("file", "split", "group")
# Separates the labels of a clip with several.
_BETWEEN_LABELS = ";"

#: Takes the name of a file and returns a function for `corpus.Clip.open`, or raises a ValueError.
Opener = Callable[[str], Callable[[], audio.AudioSource]]


def from_manifest(lines: Iterable[str], name: str, source: str, task: Task, opener: Opener) -> list[Clip]:
    """Lists the clips of a manifest.

    Args:
        lines: Lines of the file.
        name: Name of the manifest in messages.
        source: Source of clips whose row names none.
        task: The task that the labels are for.
        opener: Takes the name of a file in the manifest, and raises a ValueError if it does not exist.

    Raises:
        CorpusError: If the manifest is not valid.
        csv.Error: If it is not CSV.
    """
    reader = csv.DictReader(lines)
    rows, columns = list(reader), reader.fieldnames or []
    of_labels = "target" if task.group else "label"
    missing = [column for column in ("file", of_labels, "split", "group") if column not in columns]
    if missing:
        raise CorpusError(
            f"{name} lacks the column {', '.join(missing)}. Received: {', '.join(columns) or 'nothing'}"
        )
    if not rows:
        raise CorpusError(f"{name} lists no clips")
    return [
        _from_row(f"{name} line {number}", row, of_labels, source, task, opener)
        for number, row in enumerate(rows, start=2)
    ]


def _from_row(
    where: str, row: dict[str, str], of_labels: str, source: str, task: Task, opener: Opener
) -> Clip:
    for column in (*_REQUIRED_COLUMNS, "target") if task.group else _REQUIRED_COLUMNS:
        if not row[column]:
            raise CorpusError(f"{where}: {column} is empty")
    if row["split"] not in SPLITS:
        raise CorpusError(f"{where}: expected a split of {', '.join(SPLITS)}. Received: {row['split']!r}")
    try:
        opened = opener(row["file"])
    except ValueError as error:
        raise CorpusError(f"{where}: {error}") from None
    taken = (*_REQUIRED_COLUMNS, "source", None)
    words = [word.strip() for word in (row[of_labels] or "").split(_BETWEEN_LABELS)]
    return Clip(
        name=row["file"],
        labels=_meant([word for word in words if word], task),
        split=row["split"],
        group=row["group"],
        source=row.get("source") or source,
        open=opened,
        extra={key: value for key, value in row.items() if key not in taken},
    )


def from_class_folders(
    names: Sequence[str], folder: str, source: str, task: Task, opener: Opener
) -> list[Clip]:
    """Lists the clips of a corpus with one folder per class.

    Each subfolder of a class's folder is a group, and so is each file directly in the class's folder.

    Args:
        names: Paths of the audio files relative to the folder, with ``/`` between the parts.
        folder: Name of the folder in messages.
        source: Source of all clips.
        task: The task that the labels are for.
        opener: Takes one of the names.

    Raises:
        CorpusError: If there are no clips.
    """
    if not names:
        wanted = (
            f"folders {' and '.join(f'{name}/' for name in task.clip_labels)}"
            if task.group
            else "a folder for each class,"
        )
        raise CorpusError(f"{folder} has neither {MANIFEST} nor {wanted} with audio files")
    found: list[tuple[str, tuple[str, ...], str]] = []
    for name in names:
        word, *inner = name.split("/")
        labels = () if word == UNLABELLED else _meant([word], task)
        found.append((name, labels, inner[0] if len(inner) > 1 else f"{word}/{inner[0]}"))
    splits = split_groups((group, labels) for _, labels, group in found)
    return [
        Clip(name, labels, splits[group], group, source, open=opener(name)) for name, labels, group in found
    ]


def check_audioset(source: str, split: str, columns: Sequence[str]) -> None:
    """Rejects a dataset that is not in AudioSet's layout.

    Raises:
        CorpusError: If a column is missing, or the name of the split is not in `HUB_SPLITS`.
    """
    missing = [column for column in AUDIOSET_COLUMNS if column not in columns]
    if missing:
        raise CorpusError(
            f"{source} is not in AudioSet's layout: it lacks {', '.join(missing)}. "
            f"Received: {', '.join(columns)}"
        )
    if split not in HUB_SPLITS:
        raise CorpusError(f"{source}: expected a split of {', '.join(HUB_SPLITS)}. Received: {split!r}")


def from_audioset(
    rows: Iterable[tuple[str, Sequence[str]]],
    split: str,
    source: str,
    task: Task,
    opener: Callable[[int], Callable[[], audio.AudioSource]],
) -> list[Clip]:
    """Lists clips in AudioSet's layout.

    Args:
        rows: ``video_id`` and ``labels``, the ids of AudioSet's classes, of each clip.
        split: One of `corpus.SPLITS`.
        source: Source of all clips.
        task: The task that the labels are for.
        opener: Takes the number of a row.
    """
    names = dict(zip(class_ids(), class_names(), strict=True))
    return [
        Clip(
            name=f"{split}/{video}",
            labels=_of_audioset([names[mid] for mid in labels if mid in names], task),
            split=split,
            group=video,
            source=source,
            open=opener(number),
        )
        for number, (video, labels) in enumerate(rows)
    ]


def _meant(words: Sequence[str], task: Task) -> tuple[str, ...]:
    """For a task with a target, drops all other labels, so that such clips count as unlabelled."""
    return tuple(word for word in words if not task.group or word in task.clip_labels)


def _of_audioset(names: Sequence[str], task: Task) -> tuple[str, ...]:
    if task.group:
        target, other = task.clip_labels
        return (target,) if set(names) & set(task.group) else (other,)
    # AudioSet labels other sounds of a clip as well; a task of some of its classes ignores them.
    return tuple(name for name in names if not task.labels or name in task.labels)


def with_validation(clips: list[Clip]) -> list[Clip]:
    """Takes validation clips from the training split if a corpus has none."""
    if any(clip.split == "val" for clip in clips):
        return clips
    dealt = split_groups((clip.group, clip.labels) for clip in clips if clip.split == "train")
    return [
        replace(clip, split="val") if clip.split == "train" and dealt[clip.group] == "val" else clip
        for clip in clips
    ]
