"""Where clips come from: a folder with a manifest, one folder a class, or a well-known dataset."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry import audio
from yamnet_cry.audioset import CRY_TASK, class_ids, class_names
from yamnet_cry.distill import speech_commands
from yamnet_cry.distill.corpus import SPLITS, UNLABELLED, Clip, check_listing, split_groups
from yamnet_cry.errors import CorpusError
from yamnet_cry.task import Task

MANIFEST = "manifest.csv"
HUB_PREFIX = "hf://"

_REQUIRED_COLUMNS = ("file", "split", "group")
_AUDIOSET_COLUMNS = ("video_id", "audio", "labels")
_HUB_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
# What stands between the labels of a clip that has several.
_BETWEEN_LABELS = ";"


def load(*sources: str, task: Task = CRY_TASK) -> list[Clip]:
    """Lists the clips of a corpus, or of several together.

    Args:
        sources: Each is a folder with ``manifest.csv``; another manifest, ``*.csv``, in the folder of its
            clips; Speech Commands as it is unpacked; a folder with one folder a class; or ``hf://`` and a
            dataset in AudioSet's layout, ``hf://OWNER/NAME[@REVISION][/CONFIG]`` or ``hf://`` and a local
            folder of Parquet files. Of a manifest, the column ``target`` says which clips hold the target of
            a task that has one, and the column ``label`` which labels, with ``;`` between them, a clip has
            for other tasks. A clip whose label is empty is unlabelled, as are those in a folder
            ``unlabelled``; so is, for a task with a target, a clip with another word than it and its
            opposite, such as ``cry`` and ``not_cry``. Of labels that may come together,
            ``none`` says that a clip has none of them.
        task: What the labels are for.

    Raises:
        CorpusError: If there is no such corpus, or it cannot be used as it stands.
    """
    clips = [clip for source in sources for clip in _listed(source, task)]
    check_listing(clips)
    return clips


def _listed(source: str, task: Task) -> list[Clip]:
    if source.startswith(HUB_PREFIX):
        return _from_parquet(source, task)
    if (Path(source) / MANIFEST).is_file():
        return _from_manifest(Path(source) / MANIFEST, task)
    if speech_commands.found(Path(source)):
        return speech_commands.clips(Path(source), task)
    if Path(source).is_file() and Path(source).suffix.lower() == ".csv":
        return _from_manifest(Path(source), task)
    if Path(source).is_dir():
        return _from_class_folders(Path(source), task)
    raise CorpusError(
        f"a corpus is a folder with {MANIFEST}, a manifest of another name, Speech Commands, a folder with "
        f"one folder a class, or {HUB_PREFIX}OWNER/NAME. Received: {source!r}"
    )


def _meant(words: Sequence[str], task: Task) -> tuple[str, ...]:
    """Leaves out, of a task with a target, words for anything else: such clips count as unlabelled."""
    return tuple(word for word in words if not task.group or word in task.clip_labels)


def _from_manifest(path: Path, task: Task) -> list[Clip]:
    folder = path.parent
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read as CSV in UTF-8 ({error})") from None
    of_labels = "target" if task.group else "label"
    required = ("file", of_labels, "split", "group")
    missing = [column for column in required if column not in columns]
    if missing:
        raise CorpusError(
            f"{path} lacks the column {', '.join(missing)}. Received: {', '.join(columns) or 'nothing'}"
        )
    if not rows:
        raise CorpusError(f"{path} lists no clips")
    return [_from_row(folder, path, number, row, of_labels, task) for number, row in enumerate(rows, start=2)]


def _from_row(folder: Path, path: Path, number: int, row: dict[str, str], of_labels: str, task: Task) -> Clip:
    for column in (*_REQUIRED_COLUMNS, "target") if task.group else _REQUIRED_COLUMNS:
        if not row[column]:
            raise CorpusError(f"{path} line {number}: {column} is empty")
    if row["split"] not in SPLITS:
        raise CorpusError(
            f"{path} line {number}: split is one of {', '.join(SPLITS)}. Received: {row['split']!r}"
        )
    file = folder / row["file"]
    try:
        inside, exists = file.resolve().is_relative_to(folder.resolve()), file.is_file()
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} line {number}: {row['file']!r} is no file name ({error})") from None
    if not inside:
        raise CorpusError(f"{path} line {number}: {row['file']} lies outside the folder")
    if not exists:
        raise CorpusError(f"{path} line {number}: {row['file']} does not exist")
    taken = (*_REQUIRED_COLUMNS, "source", None)
    words = [word.strip() for word in (row[of_labels] or "").split(_BETWEEN_LABELS)]
    return Clip(
        name=row["file"],
        labels=_meant([word for word in words if word], task),
        split=row["split"],
        group=row["group"],
        source=row.get("source") or folder.resolve().name,
        open=lambda: file,
        extra={key: value for key, value in row.items() if key not in taken},
    )


def _from_class_folders(folder: Path, task: Task) -> list[Clip]:
    """Files directly in a class folder are groups of their own; each folder within one is a group."""
    known = audio.suffixes()
    files = sorted(p for p in folder.glob("*/**/*") if p.suffix.lower() in known and p.is_file())
    if not files:
        wanted = (
            f"folders {' and '.join(f'{name}/' for name in task.clip_labels)}"
            if task.group
            else "a folder for each class,"
        )
        raise CorpusError(f"{folder} has neither {MANIFEST} nor {wanted} with audio files")
    found: list[tuple[Path, tuple[str, ...], str]] = []
    for file in files:
        name, *inner = file.relative_to(folder).parts
        labels = () if name == UNLABELLED else _meant([name], task)
        found.append((file, labels, inner[0] if len(inner) > 1 else f"{name}/{inner[0]}"))
    splits = split_groups((group, labels) for _, labels, group in found)
    return [
        Clip(
            name=file.relative_to(folder).as_posix(),
            labels=labels,
            split=splits[group],
            group=group,
            source=folder.resolve().name,
            open=lambda file=file: file,  # type: ignore[misc]
        )
        for file, labels, group in found
    ]


def _from_parquet(source: str, task: Task) -> list[Clip]:
    from datasets import Audio, DatasetDict, load_dataset

    location = source.removeprefix(HUB_PREFIX)
    path, revision, config = _parse_hub_location(location)
    try:
        splits: DatasetDict = load_dataset(path, config, revision=revision)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(f"{source} could not be loaded: {reason}") from error
    clips: list[Clip] = []
    for split_name, dataset in splits.items():
        missing = [column for column in _AUDIOSET_COLUMNS if column not in dataset.column_names]
        if missing:
            raise CorpusError(
                f"{source} is not in AudioSet's layout: it lacks {', '.join(missing)}. "
                f"Received: {', '.join(dataset.column_names)}"
            )
        if split_name not in _HUB_SPLITS:
            raise CorpusError(f"{source}: split is one of {', '.join(_HUB_SPLITS)}. Received: {split_name!r}")
        # Decoding by datasets would need torch; soundfile reads the same bytes.
        dataset = dataset.cast_column("audio", Audio(decode=False))
        clips += _audioset_clips(location, dataset, _HUB_SPLITS[split_name], task)
    if not any(clip.split == "val" for clip in clips):
        clips = _with_validation(clips)
    return clips


def _parse_hub_location(location: str) -> tuple[str, str | None, str | None]:
    if Path(location).is_dir():
        return location, None, None
    name, _, rest = location.partition("@")
    revision, _, config = rest.partition("/")
    if not rest:
        owner, _, name = location.partition("/")
        name, _, config = name.partition("/")
        name = f"{owner}/{name}"
    return name, revision or None, config or None


def _audioset_clips(location: str, dataset: Any, split: str, task: Task) -> list[Clip]:
    names = dict(zip(class_ids(), class_names(), strict=True))
    light = dataset.select_columns(["video_id", "labels"])
    return [
        Clip(
            name=f"{split}/{row['video_id']}",
            labels=_of_audioset([names[mid] for mid in row["labels"] if mid in names], task),
            split=split,
            group=row["video_id"],
            source=location,
            open=lambda dataset=dataset, index=index: BytesIO(dataset[index]["audio"]["bytes"]),  # type: ignore[misc]
        )
        for index, row in enumerate(light)
    ]


def _of_audioset(names: Sequence[str], task: Task) -> tuple[str, ...]:
    if task.group:
        target, other = task.clip_labels
        return (target,) if set(names) & set(task.group) else (other,)
    # AudioSet says what else there is in a clip; a task of some of its classes does not ask.
    return tuple(name for name in names if not task.labels or name in task.labels)


def _with_validation(clips: list[Clip]) -> list[Clip]:
    """Takes validation clips from the training split of a corpus that comes without any."""
    dealt = split_groups((clip.group, clip.labels) for clip in clips if clip.split == "train")
    return [
        replace(clip, split="val") if clip.split == "train" and dealt[clip.group] == "val" else clip
        for clip in clips
    ]
