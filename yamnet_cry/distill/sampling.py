"""What an epoch is made of: teacher-as-filter, and negatives drawn anew each time."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from yamnet_cry.audioset import CRY_CLASSES
from yamnet_cry.distill.corpus import CRY, NOT_CRY
from yamnet_cry.distill.recipes import Sampling, Selection
from yamnet_cry.distill.targets import Windows
from yamnet_cry.errors import CorpusError
from yamnet_cry.frontend import Float32

Indices = NDArray[np.int64]


def sigmoid_score(logits: Float32) -> Float32:
    """Returns sigmoid(logits)[19] + sigmoid(logits)[20], in [0, 2], of shape (windows,).

    Example:
        >>> sigmoid_score(np.zeros((1, 521), np.float32)).tolist()
        [1.0]
    """
    crying = logits[:, list(CRY_CLASSES)].astype(np.float64)
    # tanh keeps the sigmoid of large negative logits from overflowing.
    return (0.5 * (1.0 + np.tanh(0.5 * crying))).sum(axis=1).astype(np.float32)


def select(windows: Windows, split: str, selection: Selection) -> tuple[Indices, Indices]:
    """Keeps the windows of which the teacher is sure; labels play no part.

    Returns:
        Indices of the positive and of the negative windows.

    Raises:
        CorpusError: If either is empty.
    """
    score = sigmoid_score(windows.logits)
    inside = windows.in_split(split)
    positive = np.flatnonzero(inside & (score > selection.positive_above))
    negative = np.flatnonzero(inside & (score < selection.negative_below))
    if not len(positive) or not len(negative):
        raise CorpusError(
            f"the teacher finds {len(positive)} crying and {len(negative)} other windows among the "
            f"{inside.sum()} of split {split!r}; training needs both"
        )
    return positive, negative


def labels(windows: Windows, selection: Selection) -> Float32:
    """Says of each window how probably it is crying: the clip's label says what, the teacher says where.

    Returns:
        float32 of shape (windows,): 0 in clips without crying; in crying clips 1 where the teacher's score
        is not below ``selection.negative_below``, and -1, not known, elsewhere; in clips that nobody
        labelled the teacher's score, no more than 1.
    """
    score = np.minimum(sigmoid_score(windows.logits), np.float32(1.0))
    target = np.array([clip.target for clip in windows.clips])[windows.clip_index]
    crying = np.where(score < selection.negative_below, np.float32(-1.0), np.float32(1.0))
    return np.select([target == CRY, target == NOT_CRY], [crying, np.float32(0.0)], score).astype(np.float32)


def targets(windows: Windows, index: Indices, known: Float32) -> Float32:
    """Gathers what `losses.DistillationLoss` takes: float32 of shape (windows, 522)."""
    return np.concatenate([windows.logits[index], known[index, None]], axis=1, dtype=np.float32)


class Epochs(keras.utils.PyDataset):
    """Batches of patches and teacher logits: all positives, and freshly drawn negatives.

    What an epoch holds depends on the seed and the number of the epoch alone, so a resumed run
    continues exactly as it would have.

    Args:
        windows: The corpus.
        positive: Indices of positive windows.
        negative: Indices of negative windows.
        known: What `labels` says of all windows.
        sampling: How many negatives to draw.
        batch_size: Windows in a batch; the last batch may be smaller.
        seed: Seed of the draws.
        epoch: The epoch to start with, counted from 0.
    """

    def __init__(
        self,
        windows: Windows,
        positive: Indices,
        negative: Indices,
        known: Float32,
        sampling: Sampling,
        batch_size: int,
        seed: int,
        epoch: int = 0,
    ) -> None:
        super().__init__()
        self._windows, self._positive, self._negative, self._known = windows, positive, negative, known
        self._count = min(len(negative), sampling.negatives_per_positive * len(positive))
        self._batch_size, self._seed, self._epoch = batch_size, seed, epoch
        self._draw()

    def _draw(self) -> None:
        generator = np.random.default_rng((self._seed, self._epoch))
        negative = generator.choice(self._negative, self._count, replace=False)
        self._order = generator.permutation(np.concatenate([self._positive, negative]))

    def on_epoch_end(self) -> None:
        """Draws the next epoch's negatives; Keras calls it."""
        self._epoch += 1
        self._draw()

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        index = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return self._windows.patches(index), targets(self._windows, index, self._known)
