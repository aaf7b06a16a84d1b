"""A corpus: clips with labels, a split and a group, and whether a task can be learnt from them."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from yamnet_cry import audio
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import Float32
from yamnet_cry.task import NONE, Task

_LOG = logging.getLogger(__name__)

CRY, NOT_CRY = CRY_TASK.clip_labels
SPLITS = ("train", "val", "test")
#: What clips without labels are called: in counts, and as a folder beside those of the classes.
UNLABELLED = "unlabelled"

# Of groups that come without a split, every so-many-th goes to test, and as many to validation.
_ONE_IN = 7
# With fewer training groups of a label than this, what is learnt is their places and people.
_FEW_GROUPS = 5
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique within the corpus.
        labels: What can be heard in it, in the words of `Task.clip_labels`; `task.NONE` if it is known that
            none of several independent labels can; empty where nobody knows, and only teachers judge.
        split: ``train``, ``val`` or ``test``.
        group: What must not cross splits and is resampled as one: a household, an uploader, a speaker.
        source: The collection it comes from, for metrics by source.
        extra: Further columns of a manifest, carried along.
        open: Returns what `audio.read` takes. If it has an attribute ``origin``, the audio is known again by
            that, without being read: where it lies, its size and when it changed, or what it is made of.
    """

    name: str
    labels: tuple[str, ...]
    split: str
    group: str
    source: str
    open: Callable[[], audio.AudioSource] = field(repr=False, compare=False)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """By what its audio is known again without being read; its name, if ``open`` says nothing else."""
        return str(getattr(self.open, "origin", self.name))

    def read(self) -> Float32:
        """Decodes the clip: float32 samples at 16 kHz, of shape (samples,).

        Raises:
            AudioError: If it cannot be decoded.
        """
        return audio.read(self.open())


def completed(task: Task, clips: Iterable[Clip]) -> Task:
    """Returns the task with the labels of a corpus, if it has none of its own.

    Raises:
        CorpusError: If the corpus has fewer than two labels.
    """
    if task.labels:
        return task
    nothing = {NONE} if task.kind == "independent" else set()
    labels = sorted({label for clip in clips for label in clip.labels} - nothing)
    if len(labels) < 2:
        raise CorpusError(
            f"expected clips of at least two labels. Received: {', '.join(labels) or 'none'}. "
            "A corpus has one folder per class, or a manifest with a column label"
        )
    try:
        return replace(task, labels=tuple(labels))
    except ValueError as error:
        raise CorpusError(str(error)) from None


def check_listing(clips: Sequence[Clip]) -> None:
    """Refuses a corpus in which metrics would be flattered, or clips cannot be told apart.

    Raises:
        CorpusError: If a name comes twice, or a group crosses splits.
    """
    seen: set[str] = set()
    first: dict[str, Clip] = {}
    for clip in clips:
        if clip.name in seen:
            raise CorpusError(f"the corpus lists {clip.name} more than once; rename one of them")
        seen.add(clip.name)
        other = first.setdefault(clip.group, clip)
        if other.split != clip.split:
            raise CorpusError(
                f"group {clip.group!r} crosses splits: {other.name} is in {other.split}, {clip.name} in "
                f"{clip.split}. This would inflate the metrics; keep each group in one split"
            )


def check(clips: Sequence[Clip], task: Task) -> None:
    """Refuses a corpus that a task cannot be learnt from, and warns of one from which it hardly can.

    Args:
        clips: The corpus.
        task: With its labels.

    Raises:
        CorpusError: If a clip has labels that the task does not know or more than it allows, or a label is
            missing in the training split or has too few groups to be in all, or validation or test are empty.
    """
    if task.group:
        if not any(clip.labels for clip in clips):
            raise CorpusError(
                f"expected clips of {' and '.join(task.clip_labels)}. Received: none; for other sounds use "
                "--recipe sounds"
            )
        for split in ("val", "test"):
            labelled(clips, split, task)
        return
    check_labels(clips, task)
    for label in task.labels:
        own = [clip for clip in clips if label in clip.labels]
        groups = {split: {clip.group for clip in own if clip.split == split} for split in SPLITS}
        missing = [split for split, found in groups.items() if not found]
        total = len(set().union(*groups.values()))
        if missing and "train" not in missing and total >= len(SPLITS):
            # Whoever names splits, as of one speaker after the other, may have none of it in one.
            _LOG.warning("Warning: no clip of %r in %s", label, " and ".join(missing))
        elif missing:
            raise CorpusError(
                f"label {label!r} has {len(own)} clips from {total} groups, and none in "
                f"{' and '.join(missing)}: every label needs at least three groups, one for each of "
                f"{', '.join(SPLITS)}. A group is recorded together: a subfolder of the class's "
                "folder, or a single file"
            )
        if len(groups["train"]) < _FEW_GROUPS:
            _LOG.warning(
                "Warning: %r has only %d training groups; record it in more places and from more sources",
                label,
                len(groups["train"]),
            )
    # Whoever names splits may have forgotten one; better said now than after training.
    for split in ("val", "test"):
        labelled(clips, split, task)


def labelled(clips: Iterable[Clip], split: str, task: Task = CRY_TASK) -> list[Clip]:
    """Returns the labelled clips of a split, those that count in metrics.

    Raises:
        CorpusError: If there are none, or, of a task with a group, none with it or none without it.
    """
    chosen = [clip for clip in clips if clip.split == split and clip.labels]
    found = {label for clip in chosen for label in clip.labels}
    if not task.group and chosen:
        return chosen
    if found != set(task.clip_labels):
        raise CorpusError(
            f"split {split!r} needs clips of both {' and '.join(task.clip_labels)}. "
            f"Received: {', '.join(sorted(found)) or 'none'}"
        )
    return chosen


def counts(clips: Sequence[Clip], labels: Sequence[str]) -> list[tuple[str, dict[str, int], int]]:
    """Counts clips for each label: its name, the clips of every split, and the groups of all.

    Args:
        clips: The corpus.
        labels: In the order wanted; clips without any come last, if there are some.
    """
    rows = []
    for label in (*labels, UNLABELLED):
        own = [clip for clip in clips if (label in clip.labels if label != UNLABELLED else not clip.labels)]
        by_split = {split: sum(clip.split == split for clip in own) for split in SPLITS}
        if own or label != UNLABELLED:
            rows.append((label, by_split, len({clip.group for clip in own})))
    return rows


def split_groups(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Deals groups to splits, in an order that depends on their names alone, evenly for every label.

    Args:
        pairs: The group and the labels of each clip.

    Returns:
        The split of each group.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for group, own in pairs:
        labels[group].update(own)
    strata: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for group in sorted(labels, key=lambda group: hashlib.sha256(group.encode()).digest()):
        strata[tuple(sorted(labels[group]))].append(group)
    dealt = {0: "test", 1: "val"}
    return {
        group: dealt.get(position % _ONE_IN, "train")
        for groups in strata.values()
        for position, group in enumerate(groups)
    }


def check_labels(clips: Iterable[Clip], task: Task) -> None:
    """Refuses labels that a task without a group does not know, and more of them than it allows.

    Raises:
        CorpusError: If a clip has such.
    """
    for clip in clips:
        _check_labels(clip, task)


def _check_labels(clip: Clip, task: Task) -> None:
    if clip.labels == (NONE,) and task.kind == "independent":
        return
    unknown = [label for label in clip.labels if label not in task.labels]
    if unknown:
        known = ", ".join(task.labels[:_SHOWN]) + (", ..." if len(task.labels) > _SHOWN else "")
        raise CorpusError(
            f"{clip.name} is labelled {unknown[0]!r}, which is not a label of the task. Expected: {known}"
        )
    if task.kind == "exclusive" and len(clip.labels) > 1:
        raise CorpusError(
            f"{clip.name} has {len(clip.labels)} labels ({', '.join(clip.labels)}), but the task allows one; "
            "for overlapping sounds use --set task.kind=independent --set loss.target=sigmoid"
        )
