"""A model hears a corpus on a cluster, for its evaluation."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from yamnet_cry.classifier import Classifier
from yamnet_cry.cluster import engine, passes
from yamnet_cry.cluster.partitions import Partitions, Rows, short
from yamnet_cry.cluster.passes import Answer, Item
from yamnet_cry.distill import evaluate
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.labelling import CLIPS_PER_PARTITION, default_partitions, warn_of
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.errors import AudioError, CorpusError
from yamnet_cry.locations import Location

_HEARD = "heard"


def heard(
    cluster: str,
    classifier: Classifier,
    clips: Sequence[Clip],
    folder: str | os.PathLike[str] | None = None,
    *,
    clips_per_partition: int = CLIPS_PER_PARTITION,
    progress: bool = True,
) -> tuple[list[Clip], Float64]:
    """Lets a model hear every clip on a cluster, once.

    Args:
        cluster: See `engine.connected`.
        classifier: The model.
        clips: Which every machine must be able to read.
        folder: Path or URL of the partitions, which every machine sees; `labelling.default_partitions` by
            default.
        clips_per_partition: So many are heard again when a process dies.
        progress: Whether to show a progress bar.

    Returns:
        The clips that could be read, with a warning if those are not all, and what `evaluate.hear` says of
        them: float64 of shape (clips, n).

    Raises:
        YamnetCryError: If the cluster or the partitions cannot be used. What is done stays done.
        CorpusError: If no clip can be read.
    """
    if classifier.config.task.group:
        classifier = evaluate.as_detector(classifier)
    maker = f"evaluate {classifier.fingerprint}"
    place = Location.of(default_partitions() if folder is None else folder)
    answers = Partitions(place.child(short(maker)), maker)
    items = [Item(clip.name, short(clip.origin), clip) for clip in clips]
    with (
        engine.connected(cluster) as connection,
        tqdm(total=len(items), desc="evaluation", unit="clip", disable=not progress) as bar,
    ):
        passes.run(
            connection,
            items,
            partial(_Hearer, classifier),
            answers,
            most=clips_per_partition,
            tell=lambda now: bar.update(now.items - bar.n),
        )
    rows, reasons = Rows(answers.results(), _HEARD), answers.reasons()
    readable = [clip for clip, item in zip(clips, items, strict=True) if item.origin not in reasons]
    if not readable:
        raise CorpusError(f"no clip can be read: {next(iter(reasons.values()))}")
    if len(readable) < len(clips):
        warn_of(next(iter(reasons.values())), len(clips) - len(readable), len(clips), answers)
    return readable, np.stack([_values(rows.of(short(clip.origin))) for clip in readable])


def _values(found: pa.Array | None) -> Float64:
    assert found is not None
    return np.asarray(found.flatten().to_numpy(zero_copy_only=False), np.float64)


class _Hearer:
    """Hears clips, in a process of the cluster."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __call__(self, items: Sequence[Item]) -> Iterator[Answer | AudioError]:
        for item in items:
            try:
                said = evaluate.hear(self._classifier, item.source)
            except AudioError as error:
                yield AudioError(f"{item.name}: {error}")
                continue
            yield Answer(pa.table({"clip": [item.name], _HEARD: [said.tolist()]}))
