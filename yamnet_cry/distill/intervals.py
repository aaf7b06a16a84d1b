"""Confidence intervals of rates, of shares, and of statistics of grouped observations."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

CONFIDENCE = 0.95
REPLICATES = 1000
_SEED = 0

Name = TypeVar("Name", bound=Hashable)


def poisson(count: int, exposure: float) -> dict[str, float]:
    """Returns a rate with its exact interval (Garwood 1936).

    Args:
        count: Number of events.
        exposure: Length of observation, in hours or any other unit; positive.

    Returns:
        ``value``, ``low`` and ``high``, all per unit.

    Examples:
        >>> {name: round(value, 2) for name, value in poisson(0, 6.0).items()}
        {'value': 0.0, 'low': 0.0, 'high': 0.61}
    """
    tail = (1 - CONFIDENCE) / 2
    return {
        "value": count / exposure,
        "low": float(chi2.ppf(tail, 2 * count)) / 2 / exposure if count else 0.0,
        "high": float(chi2.ppf(1 - tail, 2 * count + 2)) / 2 / exposure,
    }


def share(count: int, total: int) -> dict[str, float]:
    """Returns a share with its score interval (Wilson 1927).

    Args:
        count: Number of observations with a property.
        total: Number of all observations; positive.

    Examples:
        >>> {name: round(value, 3) for name, value in share(1, 10).items()}
        {'value': 0.1, 'low': 0.018, 'high': 0.404}
    """
    z2 = float(norm.ppf((1 + CONFIDENCE) / 2)) ** 2
    value = count / total
    middle = (value + z2 / (2 * total)) / (1 + z2 / total)
    half = (z2 * (value * (1 - value) / total + z2 / (4 * total**2))) ** 0.5 / (1 + z2 / total)
    # Rounding may leave 0 and 1 just outside their own intervals.
    return {
        "value": value,
        "low": max(0.0, min(value, middle - half)),
        "high": min(1.0, max(value, middle + half)),
    }


def all_over_groups(
    groups: Sequence[str], measure: Callable[[NDArray[np.float64]], dict[Name, float]]
) -> dict[Name, dict[str, float]]:
    """Returns several statistics, each with an interval as in `over_groups`; leaves out those that are NaN.

    Args:
        groups: The group of each observation.
        measure: Takes the weight of each observation, float64 of shape (observations,), and returns
            statistics by name.
    """
    names, group_of = np.unique(groups, return_inverse=True)
    values = {name: value for name, value in measure(np.ones(len(group_of))).items() if not np.isnan(value)}
    generator = np.random.default_rng(_SEED)
    replicates: dict[Name, list[float]] = {name: [] for name in values}
    for _ in range(REPLICATES):
        drawn = generator.integers(len(names), size=len(names))
        weights = np.bincount(drawn, minlength=len(names))[group_of].astype(np.float64)
        for name, value in measure(weights).items():
            if name in replicates and not np.isnan(value):
                replicates[name].append(value)
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    found = {}
    for name, value in values.items():
        low, high = np.quantile(replicates[name], tails)
        found[name] = {"value": float(value), "low": float(low), "high": float(high)}
    return found


def over_groups(groups: Sequence[str], statistic: Callable[[NDArray[np.float64]], float]) -> dict[str, float]:
    """Returns a statistic with its bootstrap interval, for grouped observations.

    Observations of one group are similar, so replicates resample groups, not observations.

    Args:
        groups: The group of each observation.
        statistic: Takes the weight of each observation, float64 of shape (observations,), and returns a
            number, or NaN if it is undefined for a replicate, which is then left out.

    Examples:
        >>> found = np.array([1.0, 1.0, 0.0, 0.0])
        >>> over_groups(["a", "a", "b", "b"], lambda weights: float(np.average(found, weights=weights)))
        {'value': 0.5, 'low': 0.0, 'high': 1.0}
    """
    nothing = dict.fromkeys(("value", "low", "high"), math.nan)
    return all_over_groups(groups, lambda weights: {"": statistic(weights)}).get("", nothing)
