"""Converts a score to the probability that a baby cries, and gives the recall at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The log-odds of scores of exactly 0 and 1 are infinite; int8 logits come close to both.
_SMALLEST = 1e-6

#: Error message for setting a prior on a model without a calibration prior.
NO_PRIOR = "the prior cannot be set: this model has no calibration prior; set its threshold instead"


def log_odds(scores: ArrayLike) -> NDArray[np.float64]:
    """Returns log(s / (1 - s)) of scores in [0, 1], clipped to finite values.

    Examples:
        >>> log_odds([0.0, 0.5, 1.0]).round(1).tolist()
        [-13.8, 0.0, 13.8]
    """
    clipped = np.clip(np.asarray(scores, np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def probability(values: ArrayLike) -> NDArray[np.float64]:
    """Returns the probabilities of log-odds: the inverse of `log_odds`.

    Examples:
        >>> probability([-100.0, 0.0, 2.0]).round(3).tolist()
        [0.0, 0.5, 0.881]
    """
    # tanh keeps the exponential of large values from overflowing.
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(values, np.float64)))


def checked_prior(value: float) -> float:
    """Returns a prior as a float in (0, 1).

    Raises:
        ValueError: If it is not a number in (0, 1).

    Examples:
        >>> checked_prior(0.1)
        0.1
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < 1:
        raise ValueError(f"expected a prior between 0 and 1. Received: {value!r}")
    return float(value)


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of a score's log-odds: probability = sigmoid(slope * log-odds + intercept).

    It preserves the order of scores, and therefore every ranking metric (Platt 1999).

    Attributes:
        slope: Positive.
        intercept: In log-odds.
        prior: Share of recordings with crying for which it holds, in (0, 1); None in older models, which were
            calibrated on clips of which about a quarter cry.

    Raises:
        ValueError: If a value is not finite, the slope is not positive, or the prior is not in (0, 1).
    """

    slope: float
    intercept: float
    prior: float | None = None

    def __post_init__(self) -> None:
        if not (0 < self.slope < np.inf and np.isfinite(self.intercept)):
            raise ValueError(f"expected a positive slope and a finite intercept. Received: {self}")
        if self.prior is not None:
            checked_prior(self.prior)

    def for_prior(self, prior: float) -> "Calibration":
        """Returns the calibration for another prior (Bayes' rule).

        Args:
            prior: Share of recordings with crying, in (0, 1).

        Raises:
            ValueError: If it is not a number in (0, 1), or the prior of this calibration is None.

        Examples:
            >>> Calibration(1.0, 0.0, prior=0.5).for_prior(0.1).of_log_odds(0.0).round(3).item()
            0.1
        """
        if self.prior is None:
            raise ValueError(NO_PRIOR)
        shift = float(log_odds(checked_prior(prior)) - log_odds(self.prior))
        return replace(self, intercept=self.intercept + shift, prior=float(prior))

    def __call__(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Returns probabilities in [0, 1], float64 of the shape of the scores.

        Examples:
            >>> Calibration(slope=1.0, intercept=0.0)([0.25, 0.5]).round(6).tolist()
            [0.25, 0.5]
        """
        return self.of_log_odds(log_odds(scores))

    def of_log_odds(self, values: ArrayLike) -> NDArray[np.float64]:
        """Returns probabilities in [0, 1], float64 of the shape of the log-odds.

        Examples:
            >>> Calibration(slope=2.0, intercept=0.0).of_log_odds([0.0, 1.0]).round(3).tolist()
            [0.5, 0.881]
        """
        return probability(self.slope * np.asarray(values, np.float64) + self.intercept)


# Denser near 1, where thresholds fitted to a room usually are.
_GRID = (*(step / 20 for step in range(20)), 0.96, 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)


@dataclass(frozen=True)
class EventRecall:
    """Share of crying clips that raise an event at each threshold, measured on the validation split.

    Attributes:
        clips: Number of crying clips, at least 1.
        groups: Number of groups (households, uploaders, speakers) that the clips come from.
        thresholds: Increasing, from 0 to 1.
        recall: Shares in [0, 1] at those thresholds, non-increasing.

    Raises:
        ValueError: If a value is invalid.

    Examples:
        >>> table = EventRecall(clips=2, groups=1, thresholds=(0.0, 0.5, 1.0), recall=(1.0, 0.5, 0.0))
        >>> table.at(0.75), table.threshold_for(0.75)
        (0.25, 0.25)
    """

    clips: int
    groups: int
    thresholds: tuple[float, ...]
    recall: tuple[float, ...]

    def __post_init__(self) -> None:
        at, recall = np.asarray(self.thresholds, np.float64), np.asarray(self.recall, np.float64)
        if not (
            1 <= self.groups <= self.clips
            and len(at) == len(recall) >= 2
            and (at[0], at[-1]) == (0.0, 1.0)
            and (np.diff(at) > 0).all()
            and (np.diff(recall) <= 0).all()
            and 0 <= recall[-1] <= recall[0] <= 1
        ):
            raise ValueError(
                "expected event_recall to hold rising thresholds from 0 to 1, as many shares in [0, 1] that "
                f"never rise, and at least as many clips as groups. Received: {self}"
            )

    @classmethod
    def measured(cls, levels: Sequence[float], groups: int) -> "EventRecall":
        """Computes the recall at fixed thresholds from the levels of crying clips.

        Args:
            levels: For each crying clip, the highest threshold at which it raises an event, in [0, 1].
            groups: Number of groups that the clips come from.
        """
        shares = [float(np.mean(np.asarray(levels) >= threshold)) for threshold in _GRID]
        return cls(len(levels), groups, _GRID, tuple(round(share, 4) for share in shares))

    def moved(self, shift: float) -> "EventRecall":
        """Returns the recall after a shift is added to all log-odds, as by another prior.

        Examples:
            >>> table = EventRecall(clips=2, groups=1, thresholds=(0.0, 0.5, 1.0), recall=(1.0, 0.5, 0.0))
            >>> round(table.moved(-2.0).thresholds[1], 2)
            0.12
        """
        inner = probability(log_odds(self.thresholds[1:-1]) + shift)
        return replace(self, thresholds=(0.0, *inner.tolist(), 1.0))

    def at(self, threshold: float) -> float:
        """Returns the share of crying clips that raise an event at a threshold, interpolated linearly."""
        return float(np.interp(threshold, self.thresholds, self.recall))

    def threshold_for(self, recall: float) -> float | None:
        """Returns the highest threshold whose recall is at least the given one, or None if there is none."""
        kept = [number for number, share in enumerate(self.recall) if share >= recall]
        if not kept:
            return None
        last = kept[-1]
        if last == len(self.recall) - 1:
            return 1.0
        (low, high), (above, below) = self.thresholds[last : last + 2], self.recall[last : last + 2]
        return float(low + (high - low) * (above - recall) / (above - below))
