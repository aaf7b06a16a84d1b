"""A pass of a cluster over the clips of a corpus, with a warning about clips that cannot be read."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from yamnet_cry.cluster import passes
from yamnet_cry.cluster.engine import Engine
from yamnet_cry.cluster.partitions import ERRORS, Partitions, short
from yamnet_cry.cluster.passes import Item, Judge, Progress
from yamnet_cry.distill.cache import default_cache
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.locations import Location

#: Clips whose results are lost at most when a process dies: 15 s of YAMNet inference, 5 MB of logits.
CLIPS_PER_PARTITION = 256

_LOG = logging.getLogger(__name__)


def default_partitions() -> Path:
    """Returns the default folder of partitions: next to the cache of this user."""
    return default_cache().with_name("partitions")


def partitions_of(maker: str, folder: str | os.PathLike[str] | None) -> Partitions:
    """Returns the partitions of one model, in a separate folder.

    Args:
        maker: Identifies the model that makes the partitions, by its weights and settings.
        folder: Path or URL of the partitions of all models; `default_partitions` by default.
    """
    place = Location.of(default_partitions() if folder is None else folder)
    return Partitions(place.child(short(maker)), maker)


def origin(clip: Clip) -> str:
    """Returns the key of a clip's rows in partitions."""
    return short(clip.origin)


def run(
    engine: Engine,
    clips: Sequence[Clip],
    make: Callable[[], Judge],
    partitions: Partitions,
    *,
    description: str,
    clips_per_partition: int = CLIPS_PER_PARTITION,
    progress: bool = True,
    tell: Callable[[Progress], object] | None = None,
) -> None:
    """Runs a model on a cluster, on all clips that are not in the partitions yet.

    Args:
        engine: The cluster.
        clips: The corpus; every machine must be able to read it.
        make: Creates the model, in every process of the cluster; must be picklable.
        partitions: Existing results; new ones are added.
        description: Text of the progress bar.
        clips_per_partition: Clips per partition; at most this many are run again when a process dies.
        progress: Whether to show a progress bar.
        tell: Called regularly with the progress of the pass.

    Raises:
        YamnetCryError: If the cluster, the model or the partitions cannot be used. Finished partitions are
            kept.
    """
    items = [Item(clip.name, origin(clip), clip) for clip in clips]
    with tqdm(total=len(items), desc=description, unit="clip", disable=not progress) as bar:

        def advance(now: Progress) -> None:
            bar.update(now.items - bar.n)
            if tell is not None:
                tell(now)

        passes.run(engine, items, make, partitions, most=clips_per_partition, tell=advance)


def readable(clips: Sequence[Clip], reasons: Mapping[str, str], partitions: Partitions) -> list[Clip]:
    """Returns the clips that could be read, and warns if others are left out.

    Args:
        clips: The corpus.
        reasons: Why clips could not be read, by `origin`; may include clips of other corpora.
        partitions: The partitions, whose folder contains all reasons.
    """
    # Once for each clip: its origin is looked up on disk or in a bucket.
    found = [(clip, reasons.get(origin(clip))) for clip in clips]
    left_out = [reason for _, reason in found if reason is not None]
    if left_out:
        _LOG.warning(
            "Warning: %s of %s clips cannot be read and are left out: %s%s; all reasons are in %s",
            f"{len(left_out):,}",
            f"{len(clips):,}",
            left_out[0],
            ", ..." if len(left_out) > 1 else "",
            partitions.folder.child(ERRORS).name,
        )
    return [clip for clip, reason in found if reason is None]
