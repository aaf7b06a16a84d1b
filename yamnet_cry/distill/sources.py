"""Loads clips from a folder with a manifest, from one folder per class, or from a well-known dataset."""

import csv
from functools import partial
from pathlib import Path

from yamnet_cry import audio
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.distill import buckets, layouts, speech_commands
from yamnet_cry.distill.corpus import Clip, check_listing
from yamnet_cry.distill.layouts import HUB_SPLITS, MANIFEST
from yamnet_cry.distill.origins import DatasetRow, File
from yamnet_cry.errors import CorpusError
from yamnet_cry.locations import is_url
from yamnet_cry.task import Task

HUB_PREFIX = "hf://"
# Prefix of files on the Hub in its fsspec file system.
_HUB_FILES = "hf://datasets/"


def load(*sources: str, task: Task = CRY_TASK) -> list[Clip]:
    """Lists the clips of one corpus, or of several together.

    Args:
        sources: Each is a folder with ``manifest.csv``; another manifest, ``*.csv``, in the folder of its
            clips; the unpacked Speech Commands; a folder with one folder per class; or a dataset in
            AudioSet's layout, ``hf://OWNER/NAME[@REVISION][/CONFIG]`` or ``hf://`` and a local folder of
            Parquet files. Manifests, folders with one folder per class, and Parquet files in AudioSet's
            layout, whose names begin with their split, may also be at a URL: ``s3://``, ``gs://``,
            ``hf://datasets/``, or any other that fsspec supports. In a manifest, for a task with a target,
            the column ``target`` contains the target or its opposite, such as ``cry`` and ``not_cry``; a clip
            with any other value, or in a folder of another name, is unlabelled. For other tasks, the column
            ``label`` contains the labels, separated by ``;``, and may be empty for unlabelled clips; for
            independent labels, ``none`` means that none of them applies. Clips in a folder ``unlabelled`` are
            unlabelled.
        task: The task that the labels are for.

    Raises:
        CorpusError: If there is no such corpus, or it is not valid.
    """
    clips = [clip for source in sources for clip in _listed(source, task)]
    check_listing(clips)
    return clips


def _listed(source: str, task: Task) -> list[Clip]:
    if is_url(source) and (not source.startswith(HUB_PREFIX) or source.startswith(_HUB_FILES)):
        return buckets.clips(source, task)
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
        f"one folder per class, {HUB_PREFIX}OWNER/NAME, or a URL such as s3://BUCKET/FOLDER. "
        f"Received: {source!r}"
    )


def _from_manifest(path: Path, task: Task) -> list[Clip]:
    folder = path.parent
    inside = folder.resolve()

    def opener(name: str) -> File:
        file = folder / name
        try:
            is_inside, exists = file.resolve().is_relative_to(inside), file.is_file()
        except (OSError, ValueError) as error:
            raise ValueError(f"{name!r} is not a file name ({error})") from None
        if not is_inside:
            raise ValueError(f"{name} is outside the folder")
        if not exists:
            raise ValueError(f"{name} does not exist")
        return File(file)

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return layouts.from_manifest(file, str(path), inside.name, task, opener)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read as CSV in UTF-8 ({error})") from None


def _from_class_folders(folder: Path, task: Task) -> list[Clip]:
    known = audio.suffixes()
    files = sorted(p for p in folder.glob("*/**/*") if p.suffix.lower() in known and p.is_file())
    return layouts.from_class_folders(
        [file.relative_to(folder).as_posix() for file in files],
        str(folder),
        folder.resolve().name,
        task,
        lambda name: File(folder / name),
    )


def _from_parquet(source: str, task: Task) -> list[Clip]:
    from datasets import Audio, DatasetDict, load_dataset

    location = source.removeprefix(HUB_PREFIX)
    path, revision, config = parse_hub_location(location)
    try:
        splits: DatasetDict = load_dataset(path, config, revision=revision)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(f"{source} could not be loaded: {reason}") from error
    clips: list[Clip] = []
    for split_name, dataset in splits.items():
        layouts.check_audioset(source, split_name, dataset.column_names)
        # Decoding by datasets would need torch; soundfile reads the same bytes.
        dataset = dataset.cast_column("audio", Audio(decode=False))
        light = dataset.select_columns(["video_id", "labels"])
        clips += layouts.from_audioset(
            ((row["video_id"], row["labels"]) for row in light),
            HUB_SPLITS[split_name],
            location,
            task,
            partial(DatasetRow, dataset),
        )
    return layouts.with_validation(clips)


def parse_hub_location(location: str) -> tuple[str, str | None, str | None]:
    """Parses the address of a dataset on the Hub, without `HUB_PREFIX`.

    Args:
        location: ``OWNER/NAME``, ``OWNER/NAME/CONFIG``, ``OWNER/NAME@REVISION`` or
            ``OWNER/NAME@REVISION/CONFIG``; or a local folder.

    Returns:
        Name or folder, revision and configuration; the latter two are None if not given.

    Examples:
        >>> parse_hub_location("agkphysics/AudioSet@v1/balanced")
        ('agkphysics/AudioSet', 'v1', 'balanced')
    """
    if Path(location).is_dir():
        return location, None, None
    name, _, rest = location.partition("@")
    revision, _, config = rest.partition("/")
    if not rest:
        owner, _, name = location.partition("/")
        name, _, config = name.partition("/")
        name = f"{owner}/{name}"
    return name, revision or None, config or None
