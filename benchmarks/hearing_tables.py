"""The tables of the report, with a section for every part of the benchmark."""

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
    """Formats seconds, or a dash for None."""
    return DASH if value is None else form.format(value)


def contents(results: dict[str, Any]) -> list[str]:
    """Returns the section on the contents, by part and kind."""
    rows = [
        [part, kind, f"{own['scenes']:,}", f"{own['hours']:.2f}", f"{own['clips']:,}", f"{own['groups']:,}"]
        for part, kinds in results["contents"].items()
        for kind, own in kinds.items()
        if part not in ("look-alikes", "mixtures") or kind == "all"
    ]
    table = markdown_table(["part", "kind", "recordings", "hours", "clips", "groups"], rows)
    return ["## Contents", table]


def nights(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the section on false alarms per hour."""
    kinds = list(peers[0]["nights"]["by_kind"])
    header = [
        "",
        "threshold",
        "on validation",
        "false alarms",
        "per hour",
        "per hour, interval over groups",
        "groups with false alarms",
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
        "## Nights: false alarms per hour without crying",
        markdown_table(header, rows),
        "In brackets: the exact interval of a Poisson rate, which assumes that alarms are independent; and a "
        "bootstrap interval over groups, because clips of one author or package are similar. The columns of "
        "kinds are also false alarms per hour.",
        "Share of the cries in mixtures that are found, by the maximum number of false alarms per hour in "
        "these nights (thresholds chosen on the test audio):",
        markdown_table(["", *(f"{rate} per hour" for rate in rates)], curve),
    ]


def mixtures(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the section on recall, latency and accuracy of events."""
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
                    f"{ratio.replace('+0', '0')}: found; missed; seconds to the alarm, median and 95 %"
                    for ratio in RATIOS
                ),
                "false alarms per hour",
                "onset within 0.5 s: error rate / F1",
                "PSDS at overlap 0.7, 0.1",
            ],
            rows,
        ),
        "A cry counts as found if an alarm is raised between its onset and one second after its end. Seconds "
        "are measured from the onset to the end of the window with which a live detector raises the alarm. "
        "Error rate and F1 are computed by `sed_eval`, PSDS by `sed_scores_eval`. For comparison, on the "
        "audio of DCASE 2017 task 2, which is different audio, the baseline system has an error rate of "
        "0.80 and an F1 of 66.8 % on baby cries of the evaluation set. The backgrounds are from the "
        "nights, so the false alarms here are not independent of those.",
        "Errors of the bounds of events in seconds (late is positive), for cries that overlap an event; the "
        f"true bounds are where a clip is within {BELOW_LOUDEST_DB:g} dB of its loudest 20 ms:",
        markdown_table(
            [
                *("", "start: mean", "median", "median absolute", "95th percentile, absolute"),
                *("end: mean", "median", "median absolute", "95th percentile, absolute"),
            ],
            bounds,
        ),
    ]


def look_alikes(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the sections on look-alikes and single cries."""
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
        "In brackets: Wilson's intervals, which assume that clips are independent. Many categories have few "
        "clips and fewer authors, so their intervals are wide. `uploads without crying` are recordings "
        "that parents uploaded as crying and in which listeners heard none. Sounds of toddlers and of babies "
        "that do not cry are missing, because no openly licensed ones are known to be free of crying.",
        f"The {cries} cries, each alone, against all look-alikes: share that raises an event, "
        "and ranking by the highest smoothed score that could start one (intervals over groups):",
        markdown_table(
            ["", "cries that raise an event", "AUC", "average precision", "without uploads"], cry_rows
        ),
    ]


def crying_night(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the section on a long night with a few cries."""
    rows = []
    for peer in peers:
        night = peer["crying_night"]
        rows.append(
            [
                *(peer["name"], f"{night['found']} of {night['cries']} ({percent(night['recall'])})"),
                *(
                    str(night["missed"]),
                    f"{night['false_alarms']} ({between(night['an_hour'], '{:.1f}')} per hour)",
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
                "median absolute error of the start, s",
            ],
            rows,
        ),
    ]


def _with_alarms(found: dict[str, Any]) -> str:
    return f"{percent(found['recall'])}; {found['false_alarms']}"


def conditions(peers: Sequence[dict[str, Any]]) -> list[str]:
    """Returns the section on the same cries in all conditions."""
    names = list(peers[0]["conditions"])
    if len(names) < 2:
        return []
    rows = [[peer["name"], *(_with_alarms(peer["conditions"][name]) for name in names)] for peer in peers]
    cries = peers[0]["conditions"][names[0]]["cries"]
    return [
        "## Conditions: share of cries found; number of false alarms",
        markdown_table(["", *names], rows),
        f"The same {cries} mixtures in every column, with equal numbers of each ratio. Levels are those of "
        "the whole recording (RMS), in 16 bits, so the loudest recordings are clipped. Intervals are over "
        "groups. The columns have the same cries, so differences can be significant although intervals "
        "overlap.",
    ]
