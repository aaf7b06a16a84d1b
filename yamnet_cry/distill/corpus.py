"""A corpus: clips with a target, a split and a group, from a manifest, from folders, or from the Hub."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from yamnet_cry import audio
from yamnet_cry.audioset import CRY_CLASSES, class_ids
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import Float32

CRY, NOT_CRY = "cry", "not_cry"
SPLITS = ("train", "val", "test")
MANIFEST = "manifest.csv"
HUB_PREFIX = "hf://"

_REQUIRED_COLUMNS = ("file", "target", "split", "group")
_AUDIOSET_COLUMNS = ("video_id", "audio", "labels")
_HUB_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
# Of groups that come without a split, every so-many-th goes to test, and as many to validation.
_ONE_IN = 7


@dataclass(frozen=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique within the corpus.
        target: ``cry``, ``not_cry``, or anything else for unlabelled audio, which only the teacher judges.
        split: ``train``, ``val`` or ``test``.
        group: What must not cross splits and is resampled as one: a household, an uploader, a speaker.
        source: The collection it comes from, for metrics by source.
        extra: Further columns of a manifest, carried along.
        open: Returns what `audio.read` takes.
    """

    name: str
    target: str
    split: str
    group: str
    source: str
    open: Callable[[], audio.AudioSource] = field(repr=False, compare=False)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        """Whether the clip counts in metrics."""
        return self.target in (CRY, NOT_CRY)

    def read(self) -> Float32:
        """Decodes the clip: float32 samples at 16 kHz, of shape (samples,).

        Raises:
            AudioError: If it cannot be decoded.
        """
        return audio.read(self.open())


def load(*sources: str) -> list[Clip]:
    """Lists the clips of a corpus, or of several together.

    Args:
        sources: Each is a folder with ``manifest.csv``; a folder with one folder a class (``cry``,
            ``not_cry``, any other is unlabelled); or ``hf://`` and a dataset in AudioSet's layout,
            ``hf://OWNER/NAME[@REVISION][/CONFIG]`` or ``hf://`` and a local folder of Parquet files.

    Raises:
        CorpusError: If there is no such corpus, or it cannot be used as it stands.
    """
    clips = [clip for source in sources for clip in _listed(source)]
    _check_names(clips)
    _check_groups(clips)
    return clips


def _listed(source: str) -> list[Clip]:
    if source.startswith(HUB_PREFIX):
        return _from_parquet(source)
    if (Path(source) / MANIFEST).is_file():
        return _from_manifest(Path(source))
    if Path(source).is_dir():
        return _from_class_folders(Path(source))
    raise CorpusError(
        f"a corpus is a folder with {MANIFEST}, a folder with one folder a class, or "
        f"{HUB_PREFIX}OWNER/NAME. Received: {source!r}"
    )


def require(clips: Iterable[Clip], split: str) -> list[Clip]:
    """Returns the labelled clips of a split.

    Raises:
        CorpusError: If cry or not_cry is missing among them.
    """
    chosen = [clip for clip in clips if clip.split == split and clip.is_labelled]
    found = {clip.target for clip in chosen}
    if found != {CRY, NOT_CRY}:
        raise CorpusError(
            f"split {split!r} needs clips of both {CRY} and {NOT_CRY}. "
            f"Received: {', '.join(sorted(found)) or 'none'}"
        )
    return chosen


def _check_names(clips: list[Clip]) -> None:
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise CorpusError(f"the corpus lists {clip.name} more than once; rename one of them")
        seen.add(clip.name)


def _check_groups(clips: list[Clip]) -> None:
    first: dict[str, Clip] = {}
    for clip in clips:
        other = first.setdefault(clip.group, clip)
        if other.split != clip.split:
            raise CorpusError(
                f"group {clip.group!r} crosses splits: {other.name} is in {other.split}, {clip.name} in "
                f"{clip.split}. Metrics would be flattered; keep each group in one split"
            )


def _from_manifest(folder: Path) -> list[Clip]:
    path = folder / MANIFEST
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path} cannot be read as CSV in UTF-8 ({error})") from None
    missing = [column for column in _REQUIRED_COLUMNS if column not in columns]
    if missing:
        raise CorpusError(
            f"{path} lacks the column {', '.join(missing)}. Received: {', '.join(columns) or 'nothing'}"
        )
    if not rows:
        raise CorpusError(f"{path} lists no clips")
    return [_from_row(folder, path, number, row) for number, row in enumerate(rows, start=2)]


def _from_row(folder: Path, path: Path, number: int, row: dict[str, str]) -> Clip:
    for column in _REQUIRED_COLUMNS:
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
    extra = {key: value for key, value in row.items() if key not in (*_REQUIRED_COLUMNS, "source", None)}
    return Clip(
        name=row["file"],
        target=row["target"],
        split=row["split"],
        group=row["group"],
        source=row.get("source") or folder.resolve().name,
        open=lambda: file,
        extra=extra,
    )


def _from_class_folders(folder: Path) -> list[Clip]:
    """Files directly in a class folder are groups of their own; each folder within one is a group."""
    files = sorted(p for p in folder.glob("*/**/*") if p.suffix.lower() in audio.SUFFIXES and p.is_file())
    if not files:
        raise CorpusError(
            f"{folder} has neither {MANIFEST} nor folders {CRY}/ and {NOT_CRY}/ with audio files"
        )
    found: list[tuple[Path, str, str]] = []
    for file in files:
        target, *inner = file.relative_to(folder).parts
        found.append((file, target, inner[0] if len(inner) > 1 else f"{target}/{inner[0]}"))
    splits = _split_groups((group, target) for _, target, group in found)
    return [
        Clip(
            name=file.relative_to(folder).as_posix(),
            target=target,
            split=splits[group],
            group=group,
            source=folder.resolve().name,
            open=lambda file=file: file,  # type: ignore[misc]
        )
        for file, target, group in found
    ]


def _split_groups(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Deals groups to splits, in an order that depends on their names alone, evenly for every target."""
    targets: dict[str, set[str]] = defaultdict(set)
    for group, target in pairs:
        targets[group].add(target)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group in sorted(targets, key=lambda group: hashlib.sha256(group.encode()).digest()):
        strata[tuple(sorted(targets[group]))].append(group)
    dealt = {0: "test", 1: "val"}
    return {
        group: dealt.get(position % _ONE_IN, "train")
        for groups in strata.values()
        for position, group in enumerate(groups)
    }


def _from_parquet(source: str) -> list[Clip]:
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
        clips += _audioset_clips(location, dataset, _HUB_SPLITS[split_name])
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


def _audioset_clips(location: str, dataset: Any, split: str) -> list[Clip]:
    crying = {class_ids()[index] for index in CRY_CLASSES}
    light = dataset.select_columns(["video_id", "labels"])
    return [
        Clip(
            name=f"{split}/{row['video_id']}",
            target=CRY if crying & set(row["labels"]) else NOT_CRY,
            split=split,
            group=row["video_id"],
            source=location,
            open=lambda dataset=dataset, index=index: BytesIO(dataset[index]["audio"]["bytes"]),  # type: ignore[misc]
        )
        for index, row in enumerate(light)
    ]


def _with_validation(clips: list[Clip]) -> list[Clip]:
    """Takes validation clips from the training split of a corpus that comes without any."""
    dealt = _split_groups((clip.group, clip.target) for clip in clips if clip.split == "train")
    return [
        replace(clip, split="val") if clip.split == "train" and dealt[clip.group] == "val" else clip
        for clip in clips
    ]
