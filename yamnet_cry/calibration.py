"""From a score to the probability that a baby cries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Scores of exactly 0 and 1 have no log-odds; int8 logits come close to both.
_SMALLEST = 1e-6

#: Windows in ten seconds, as long as the clips that calibrations are fitted on, or longer.
POOLED_WINDOWS = 20


def log_odds(scores: ArrayLike) -> NDArray[np.float64]:
    """Returns log(s / (1 - s)) of scores in [0, 1], kept finite.

    Example:
        >>> log_odds([0.0, 0.5, 1.0]).round(1).tolist()
        [-13.8, 0.0, 13.8]
    """
    clipped = np.clip(np.asarray(scores, np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def pooled(scores: ArrayLike) -> float:
    """Returns what is calibrated: the quadratic mean of window scores, over the loudest ten seconds.

    Babies breathe between cries, and a plain mean counts the breaths against them; a maximum believes
    the worst single mistake. Chosen on validation (docs/experiments/006). Ten seconds of crying are
    ten seconds of crying in a whole night, too; shorter recordings are taken whole.

    Args:
        scores: Of shape (windows,), in [0, 1].

    Example:
        >>> round(pooled([0.0, 1.0, 0.0, 1.0]), 3)
        0.707
        >>> pooled([1.0] * 20 + [0.0] * 1_000)
        1.0
    """
    squares = np.square(np.asarray(scores, np.float64))
    count = min(len(squares), POOLED_WINDOWS)
    sums = np.cumsum(np.concatenate([[0.0], squares]))
    return float(np.sqrt(max(0.0, (sums[count:] - sums[:-count]).max()) / count))


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of a score's log-odds: probability = sigmoid(slope * log-odds + intercept).

    It keeps the order of scores, and with it every metric of ranking (Platt 1999).

    Attributes:
        slope: Positive.
        intercept: In log-odds.

    Raises:
        ValueError: If they are not finite, or the slope would turn the order round.
    """

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not (0 < self.slope < np.inf and np.isfinite(self.intercept)):
            raise ValueError(f"expected a positive slope and a finite intercept. Received: {self}")

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns probabilities in [0, 1], float64 of the shape of the scores.

        Example:
            >>> Calibration(slope=1.0, intercept=0.0)([0.25, 0.5]).round(6).tolist()
            [0.25, 0.5]
        """
        return 0.5 * (1.0 + np.tanh(0.5 * (self.slope * log_odds(scores) + self.intercept)))
