"""A corpus: clips with labels, a split and a group; and checks that a task can be learnt from it."""

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
#: Name of clips without labels: in counts, and as a folder next to those of the classes.
UNLABELLED = "unlabelled"

# Of groups without a given split, one in this many goes to test, and one to validation.
_ONE_IN = 7
# With fewer training groups of a label than this, the student learns their places and people instead.
_FEW_GROUPS = 5
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording of a corpus.

    Attributes:
        name: Unique within the corpus.
        labels: Labels from `Task.clip_labels`; `task.NONE` if it is known that none of several independent
            labels applies; empty if unlabelled, so that only teachers score it.
        split: ``train``, ``val`` or ``test``.
        group: Unit that must not cross splits and is resampled as one: a household, an uploader, a speaker.
        source: The collection it comes from, for metrics by source.
        extra: Other columns of the manifest.
        open: Returns what `audio.read` takes. An attribute ``origin`` identifies the audio without reading
            it: by location, size and time of change, or by what it is made of.
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
        """Identifies its audio without reading it: the ``origin`` of ``open``, or else its name."""
        return str(getattr(self.open, "origin", self.name))

    def read(self) -> Float32:
        """Decodes the clip: float32 samples at 16 kHz, of shape (samples,).

        Raises:
            AudioError: If the clip cannot be decoded.
        """
        return audio.read(self.open())


def completed(task: Task, clips: Iterable[Clip]) -> Task:
    """Returns the task, with the labels of the corpus if the task defines none.

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
    """Rejects a corpus with duplicate names, or with groups in several splits, which would inflate metrics.

    Raises:
        CorpusError: If a name occurs twice, or a group crosses splits.
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
    """Rejects a corpus that a task cannot be learnt from, and warns if a label has too little data.

    Args:
        clips: The corpus.
        task: The task, with labels.

    Raises:
        CorpusError: If a clip has unknown labels or more than the task allows, a label is missing in the
            training split or has too few groups for all splits, or validation or test are empty.
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
            # With given splits, such as one speaker per split, a label may be missing in one of them.
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
    # A manifest may lack a split; report this now rather than after training.
    for split in ("val", "test"):
        labelled(clips, split, task)


def labelled(clips: Iterable[Clip], split: str, task: Task = CRY_TASK) -> list[Clip]:
    """Returns the labelled clips of a split, which metrics are computed on.

    Raises:
        CorpusError: If there are none or, for a task with a group, none with it or none without it.
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
    """Counts clips by label: the label, its clips in each split, and its groups in all splits together.

    Args:
        clips: The corpus.
        labels: Labels in the order of the result; unlabelled clips come last, if there are any.
    """
    rows = []
    for label in (*labels, UNLABELLED):
        own = [clip for clip in clips if (label in clip.labels if label != UNLABELLED else not clip.labels)]
        by_split = {split: sum(clip.split == split for clip in own) for split in SPLITS}
        if own or label != UNLABELLED:
            rows.append((label, by_split, len({clip.group for clip in own})))
    return rows


def split_groups(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Assigns groups to splits, stratified by label, in an order that depends only on their names.

    Args:
        pairs: Group and labels of each clip.

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
    """Checks the labels of clips, for a task without a group.

    Raises:
        CorpusError: If a clip has a label that the task does not have, or more labels than it allows.
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
