"""Linear probes, which turn an encoder that outputs embeddings into a teacher with labels."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from yamnet_cry.distill.sampling import of_each
from yamnet_cry.distill.teacher import EMBEDDING
from yamnet_cry.distill.windows import Opinion, Windows
from yamnet_cry.frontend import Float32
from yamnet_cry.task import Task

_LOG = logging.getLogger(__name__)

# Inverse strengths of regularisation to try; the best one on validation windows is used.
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MOST_STEPS = 500


def fitted(windows: Windows, task: Task) -> Windows:
    """Replaces embeddings by logits of the task's labels, from logistic regression on labelled clips.

    The regression is fitted to training windows; the strength of its regularisation is chosen by the log loss
    on validation windows. Views have the same weight as the clips that they were made of.

    Args:
        windows: The corpus; the logits of teachers of other kinds are kept.
        task: A task without a group.
    """
    opinions = [
        opinion if opinion.kind != EMBEDDING else _with_labels(opinion, windows, task)
        for opinion in windows.opinions
    ]
    return replace(windows, opinions=opinions)


def _with_labels(opinion: Opinion, windows: Windows, task: Task) -> Opinion:
    known = of_each(windows, task)
    used = windows.labelled
    if task.kind == "exclusive":
        # Digital silence has the same probability for every label.
        used = used & (known.max(axis=1) == 1.0)
    of_window = np.arange(len(windows))
    if opinion.role == "clips":
        # One row per clip; the label is that of its first window.
        first = np.unique(windows.clip_index, return_index=True)[1]
        known, of_window = known[first], first
    train, val = (
        np.flatnonzero(used[of_window] & windows.in_split(split)[of_window]) for split in ("train", "val")
    )
    # All clips at once, because the regression needs them; embeddings are small compared to spectrograms.
    embeddings = opinion.logits[:]
    scaler = StandardScaler().fit(embeddings[train])
    scaled = scaler.transform(embeddings).astype(np.float32)
    if task.kind == "exclusive":
        logits = _best(scaled, known.argmax(axis=1), train, val, task.labels)
    else:
        columns = [
            _best(scaled, known[:, number].astype(np.int64), train, val, (label,))
            for number, label in enumerate(task.labels)
        ]
        logits = np.concatenate([column[:, 1:] - column[:, :1] for column in columns], axis=1)
    return replace(opinion, labels=task.labels, kind=task.kind, logits=logits)


def _best(
    embeddings: Float32,
    truth: NDArray[np.int64],
    train: NDArray[np.int64],
    val: NDArray[np.int64],
    labels: Sequence[str],
) -> Float32:
    """Returns logits of all rows, one column per value of ``truth``, from the best model on validation."""
    tried: list[tuple[float, float, Any]] = []
    values = np.arange(truth.max() + 1)
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=_MOST_STEPS).fit(embeddings[train], truth[train])
        loss = log_loss(truth[val], model.predict_proba(embeddings[val]), labels=values)
        tried.append((loss, strength, model))
    loss, strength, model = min(tried, key=lambda each: each[:2])
    _LOG.info("linear probe of %s: log loss %.3f on validation, C = %g", ", ".join(labels), loss, strength)
    logits = model.decision_function(embeddings)
    if logits.ndim == 1:
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    return np.asarray(logits, np.float32)
