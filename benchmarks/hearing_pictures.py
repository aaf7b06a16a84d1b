"""The two pictures: recall against false alarms per hour, and look-alikes that raise an alarm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

# Colour and label of each peer that is drawn.
LINES = {
    "this detector": ("tab:blue", "this detector"),
    "recipe reference": ("tab:green", "recipe reference"),
    "YAMNet, softmax, mean": ("tab:orange", "YAMNet, its teacher"),
    "EfficientAT mn04, mean": ("tab:purple", "EfficientAT mn04"),
}
TITLE = "Look-alikes that raise an alarm (number of clips);\nthresholds with equal false alarms on validation"
SHIPPED = "this detector, as shipped"
MOST_AN_HOUR = 30.0


def curve(results: dict[str, Any], path: Path) -> None:
    """Draws the share of cries found against false alarms per hour.

    Raises:
        OSError: If the file cannot be written.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    floor = 0.5 / results["peers"][0]["nights"]["hours"]
    for peer in results["peers"]:
        if peer["name"] in LINES:
            colour, label = LINES[peer["name"]]
            points = sorted((point["an_hour"], point["recall"]) for point in peer["curve"])
            # Zero is not on a logarithmic axis, so it is drawn at the left edge.
            rates = [max(rate, floor) for rate, _ in points]
            # The highest recall with at most this rate of false alarms.
            best = np.maximum.accumulate([recall for _, recall in points])
            axes.step(rates, best, where="post", color=colour, label=label, linewidth=2)
        elif peer["name"] == SHIPPED:
            x, y = peer["nights"]["an_hour"]["value"], peer["mixtures"]["recall"]["value"]
            axes.plot([max(x, floor)], [y], "o", color="tab:blue", markersize=9, zorder=3)
            axes.annotate(
                "this detector\nas shipped",
                (max(x, floor), y),
                (24, -44),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-"},
            )
    axes.set(
        xscale="log",
        xlim=(floor, MOST_AN_HOUR),
        ylim=(0, 1),
        xlabel="false alarms per hour without crying (lower is better)",
        ylabel="cries found among other sounds (higher is better)",
        title="Cries found against false alarms",
    )
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if tick > floor]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=120)


def look_alikes(results: dict[str, Any], path: Path) -> None:
    """Draws the share of look-alikes that raise an alarm, by category.

    Raises:
        OSError: If the file cannot be written.
    """
    peers = [peer for peer in results["peers"] if peer["name"] in LINES]
    own = peers[0]["look_alikes"]["by_category"]
    categories = sorted(own, key=lambda category: own[category]["share"]["value"])
    figure = Figure(figsize=(8, 0.55 * len(categories) + 1.4), layout="constrained")
    axes = figure.subplots()
    for number, peer in enumerate(peers):
        colour, label = LINES[peer["name"]]
        shares = [peer["look_alikes"]["by_category"][category]["share"] for category in categories]
        places = [row + 0.3 - 0.6 * number / max(1, len(peers) - 1) for row in range(len(categories))]
        axes.hlines(
            places,
            [share["low"] for share in shares],
            [share["high"] for share in shares],
            colour,
            alpha=0.35,
        )
        axes.plot([share["value"] for share in shares], places, "o", color=colour, label=label, clip_on=False)
    for row in range(len(categories) - 1):
        axes.axhline(row + 0.5, color="0.85", linewidth=0.8)
    names = [f"{category} ({own[category]['clips']})" for category in categories]
    axes.set_yticks(range(len(categories)), names)
    axes.set(
        xlim=(0, 0.7),
        ylim=(-0.5, len(categories) - 0.5),
        xlabel="share that raises an alarm (lower is better); lines are 95 % intervals",
        title=TITLE,
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def draw(results: dict[str, Any], folder: Path) -> Sequence[Path]:
    """Draws both pictures into a folder, and returns their paths."""
    paths = folder / "hearing-curve.png", folder / "hearing-look-alikes.png"
    curve(results, paths[0])
    look_alikes(results, paths[1])
    return paths
