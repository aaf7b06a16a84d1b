"""Runs a model on a corpus on a cluster, for evaluation."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa

from yamnet_cry.classifier import Classifier
from yamnet_cry.cluster import engine
from yamnet_cry.cluster.partitions import Rows
from yamnet_cry.cluster.passes import Answer, Item
from yamnet_cry.distill import clip_pass
from yamnet_cry.distill.clip_pass import CLIPS_PER_PARTITION, origin, partitions_of
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.hearing import as_detector, hear
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.errors import AudioError, CorpusError

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
    """Runs a model on every clip on a cluster, except those with results in the partitions.

    Logs a warning if clips cannot be read.

    Args:
        cluster: See `engine.connected`.
        classifier: The model.
        clips: The clips; every machine must be able to read them.
        folder: Path or URL of the partitions, accessible from every machine; `clip_pass.default_partitions`
            by default.
        clips_per_partition: Clips per partition; at most this many are run again when a process dies.
        progress: Whether to show a progress bar.

    Returns:
        The clips that could be read, and the results of `hearing.hear` for them: float64 of shape (clips, n).

    Raises:
        YamnetCryError: If the cluster or the partitions cannot be used. Finished partitions are kept.
        CorpusError: If no clip can be read.
    """
    if classifier.config.task.group:
        classifier = as_detector(classifier)
    answers = partitions_of(f"evaluate {classifier.fingerprint}", folder)
    with engine.connected(cluster) as connection:
        clip_pass.run(
            connection,
            clips,
            partial(_Hearer, classifier),
            answers,
            description="evaluation",
            clips_per_partition=clips_per_partition,
            progress=progress,
        )
    rows, reasons = Rows(answers.results(), _HEARD), answers.reasons()
    readable = clip_pass.readable(clips, reasons, answers)
    if not readable:
        raise CorpusError(f"no clip can be read: {reasons[origin(clips[0])]}")
    return readable, np.stack([_values(rows.of(origin(clip))) for clip in readable])


def _values(found: pa.Array | None) -> Float64:
    assert found is not None
    return np.asarray(found.flatten().to_numpy(zero_copy_only=False), np.float64)


class _Hearer:
    """Runs a model on clips, in a process of the cluster."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    def __call__(self, items: Sequence[Item]) -> Iterator[Answer | AudioError]:
        for item in items:
            try:
                said = hear(self._classifier, item.source)
            except AudioError as error:
                yield AudioError(f"{item.name}: {error}")
                continue
            yield Answer(pa.table({"clip": [item.name], _HEARD: [said.tolist()]}))
