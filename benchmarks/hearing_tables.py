"""The report's sections of tables, one for every part of the benchmark."""

from collections.abc import Sequence
from typing import Any

from hearing_build import BELOW_LOUDEST_DB

from yamnet_cry.model.card import markdown_table

DASH = "\N{EN DASH}"
RATIOS = ("-6 dB", "+0 dB", "+6 dB")


def between(values: dict[str, float], form: str = "{:.2f}") -> str:
    """Formats a value with its interval."""
    low, high = form.format(values["low"]), form.format(values["high"])
    return f"{form.format(values['value'])} ({low}{DASH}{high})"


def percent(values: dict[str, float]) -> str:
    """Formats a share with its interval."""
    return f"{values['value']:.0%} ({values['low']:.0%}{DASH}{values['high']:.0%})"


def seconds(value: float | None, form: str = "{:.1f}") -> str:
    """Formats seconds, or that there are none."""
    return DASH if value is None else form.format(value)


def contents(results: dict[str, Any]) -> list[str]:
    """What there is, by part and kind."""
    rows = [
        [part, kind, f"{own['scenes']:,}", f"{own['hours']:.2f}", f"{own['clips']:,}", f"{own['groups']:,}"]
        for part, kinds in results["contents"].items()
        for kind, own in kinds.items()
        if part not in ("look-alikes", "mixtures") or kind == "all"
    ]
    table = markdown_table(["part", "kind", "recordings", "hours", "clips", "groups"], rows)
    return ["## What is in it", table]


def nights(peers: Sequence[dict[str, Any]]) -> list[str]:
    """False alarms an hour."""
    kinds = list(peers[0]["nights"]["by_kind"])
    header = [
        "",
        "threshold",
        "on validation",
        "false alarms",
        "an hour",
        "drawing groups",
        "groups with any",
        *kinds,
    ]
    rows = []
    for peer in peers:
        night, validation = peer["nights"], peer["validation"]
        rows.append(
            [
                *(peer["name"], f"{peer['threshold']:.3g}"),
                f"{validation['false_alarms']} in {validation['hours']:.1f} h",
                f"{night['false_alarms']} in {night['hours']:.1f} h",
                between(night["an_hour"]),
                between(night["an_hour_over_groups"]),
                f"{night['groups_with_alarms']} of {night['groups']}",
                *(between(night["by_kind"][kind]["an_hour"], "{:.1f}") for kind in kinds),
            ]
        )
    rates = list(peers[0]["recall_at"])
    curve = [[peer["name"], *(f"{peer['recall_at'][rate]:.0%}" for rate in rates)] for peer in peers[1:]]
    return [
        "## Nights: false alarms an hour without crying",
        markdown_table(header, rows),
        "In brackets: the exact interval of a Poisson rate, which takes alarms to be independent of each "
        "other; and, because clips of one author or package are alike, one that draws groups. The kinds "
        "are alarms an hour, too.",
        "Share of the cries in mixtures that are found when at most so many false alarms an hour are "
        "raised in these nights (thresholds chosen on the test audio itself):",
        markdown_table(["", *(f"{rate} an hour" for rate in rates)], curve),
    ]


def mixtures(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Cries found, how soon, and how well events fit them."""
    rows = []
    bounds = []
    for peer in peers:
        mixtures = peer["mixtures"]
        cells = []
        for ratio in RATIOS:
            own = mixtures["by_ratio"].get(ratio)
            if own is None:
                cells.append(DASH)
                continue
            times = f"{seconds(own['latency']['median'])}, {seconds(own['latency']['p95'])}"
            cells.append(f"{percent(own['recall'])}; {own['cries'] - own['found']} missed; {times} s")
        dcase = mixtures["onset_within_half_a_second"]
        psds = mixtures["psds"]
        alarms = mixtures["false_alarms"] / mixtures["hours"]
        rows.append(
            [
                *(peer["name"], *cells, f"{alarms:.1f}"),
                f"{dcase['error_rate']:.2f} / {dcase['f1']:.1%}",
                f"{psds['overlap_0.7']:.3f}, {psds['overlap_0.1']:.3f}",
            ]
        )
        bounds.append(
            [
                peer["name"],
                *(
                    seconds(mixtures[bound][figure], "{:.2f}" if "absolute" in figure else "{:+.2f}")
                    for bound in ("start_error", "end_error")
                    for figure in ("mean", "median", "median_absolute", "p95_absolute")
                ),
            ]
        )
    return [
        "## Mixtures: cries at known times, DCASE-style",
        markdown_table(
            [
                "",
                *(
                    f"{ratio.replace('+0', '0')}: found; seconds to the alarm (median, 95 %)"
                    for ratio in RATIOS
                ),
                "false alarms an hour",
                "onset within 0.5 s: error rate / F1",
                "PSDS at overlap 0.7, 0.1",
            ],
            rows,
        ),
        "A cry is found if an alarm is raised from its onset on and until a second after its end; "
        "seconds are those to the end of the window with which a live detector would have said so. Error "
        "rate and F1 are those of `sed_eval`, PSDS of `sed_scores_eval`. For orientation, on the "
        "original audio of DCASE 2017 task 2 (this is other audio): the baseline system's error rate is "
        "0.80 and its F1 66.8 % on baby cries of the evaluation set. These backgrounds come from the "
        "nights, so false alarms here are no further evidence.",
        "How far the bounds of events are off, in seconds (late is positive), for cries that an event "
        f"overlaps; the truth is where a clip comes within {BELOW_LOUDEST_DB:g} dB of its loudest 20 ms:",
        markdown_table(
            [
                *("", "start: mean", "median", "median of sizes", "95 % within"),
                *("end: mean", "median", "median of sizes", "95 % within"),
            ],
            bounds,
        ),
    ]


def look_alikes(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Sounds like crying, and crying alone."""
    header = ["", "clips", "groups", *(peer["name"] for peer in peers)]
    rows = [
        [category, str(own["clips"]), str(own["groups"])]
        + [percent(peer["look_alikes"]["by_category"][category]["share"]) for peer in peers]
        for category, own in peers[0]["look_alikes"]["by_category"].items()
    ]
    cries = peers[0]["cries"]["clips"]
    cry_rows = [
        [
            peer["name"],
            percent(peer["cries"]["share"]),
            between(peer["cries"]["auc"], "{:.3f}"),
            between(peer["cries"]["average_precision"], "{:.3f}"),
            between(peer["cries"]["average_precision_without_uploads"], "{:.3f}"),
        ]
        for peer in peers
    ]
    return [
        "## Look-alikes: share that raises an event",
        markdown_table(header, rows),
        "In brackets: Wilson's intervals, which take clips to be independent. Many a category holds few "
        "clips and fewer authors: read it with its interval. `uploads without crying` are recordings "
        "that parents' phones sent as crying and in which listeners found none. Toddlers and babies that "
        "do not cry are missing, because none with an open licence is known to be free of crying.",
        f"The {cries} cries themselves, each alone, against all look-alikes: share that raises an event, "
        "and ranking by the highest average that could start one (intervals from groups):",
        markdown_table(
            ["", "cries that raise an event", "AUC", "average precision", "without uploads"], cry_rows
        ),
    ]


def crying_night(peers: Sequence[dict[str, Any]]) -> list[str]:
    """A long night with a few cries."""
    rows = []
    for peer in peers:
        night = peer["crying_night"]
        rows.append(
            [
                *(peer["name"], f"{night['found']} of {night['cries']} ({percent(night['recall'])})"),
                *(
                    str(night["missed"]),
                    f"{night['false_alarms']} ({between(night['an_hour'], '{:.1f}')} an hour)",
                ),
                *(
                    seconds(night["latency_median"]),
                    seconds(night["start_error"]["median_absolute"], "{:.2f}"),
                ),
            ]
        )
    hours = peers[0]["crying_night"]["hours"]
    return [
        f"## A crying night: {hours:.0f} hours with {peers[0]['crying_night']['cries']} cries",
        markdown_table(
            [
                "",
                "found",
                "missed",
                "false alarms",
                "median seconds to the alarm",
                "median error of the start, s",
            ],
            rows,
        ),
    ]


def _with_alarms(found: dict[str, Any]) -> str:
    return f"{percent(found['recall'])}; {found['false_alarms']}"


def conditions(peers: Sequence[dict[str, Any]]) -> list[str]:
    """The same cries, quiet, loud and far."""
    names = list(peers[0]["conditions"])
    if len(names) < 2:
        return []
    rows = [[peer["name"], *(_with_alarms(peer["conditions"][name]) for name in names)] for peer in peers]
    cries = peers[0]["conditions"][names[0]]["cries"]
    return [
        "## Quiet, loud, far: share of cries found; false alarms beside them",
        markdown_table(["", *names], rows),
        f"The same {cries} mixtures in every column, as many of each ratio; levels are those of the whole "
        "recording (RMS), in 16 bits, so that the loudest are clipped. Intervals draw groups, and "
        "columns share their cries: a difference may be sure though intervals overlap.",
    ]
