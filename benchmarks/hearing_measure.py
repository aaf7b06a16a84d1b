"""Computes the results of each peer in every part of the benchmark from its scores."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hearing_dcase
import numpy as np
from hearing_build import UPLOADS
from hearing_conditions import Condition
from hearing_manifest import (
    CRIES,
    CRYING_NIGHT,
    LOOK_ALIKES,
    MIXTURES,
    NIGHTS,
    VALIDATION,
    Benchmark,
    Scene,
)
from hearing_peers import Float64, Peer
from hearing_scores import Job
from sklearn.metrics import average_precision_score, roc_auc_score
from tqdm import tqdm

from yamnet_cry.distill import intervals, nights
from yamnet_cry.distill.event_metrics import alarm_times, bound_errors, judged_alarms, onset_counts
from yamnet_cry.events import find_events

#: Maximum of false alarms per hour in the validation nights, with which every peer's threshold is chosen.
RATE = 2.0

#: False alarms per hour at which recall is reported.
RATES = (0.5, 1.0, 2.0, 5.0, 10.0)

CURVE_POINTS = 40
CURVE_TOP = 60.0
SCENES_A_RATIO = 30


def condition_scenes(benchmark: Benchmark) -> list[Scene]:
    """Returns the mixtures that are scored in every condition: the first 30 with a cry at each ratio."""
    found: dict[str, list[Scene]] = defaultdict(list)
    for scene in benchmark.part(MIXTURES):
        if scene.sounds:
            found[scene.label].append(scene)
    return [scene for scenes in found.values() for scene in scenes[:SCENES_A_RATIO]]


def condition_jobs(benchmark: Benchmark, condition: Condition) -> list[Job]:
    """Returns the jobs of a condition; empty if it needs room responses and there are none."""
    scenes, rooms = condition_scenes(benchmark), benchmark.responses
    if condition.name != "through a room":
        return [Job(scene, condition) for scene in scenes]
    return [Job(scene, condition, rooms[number % len(rooms)]) for number, scene in enumerate(scenes) if rooms]


def all_jobs(benchmark: Benchmark, conditions: Iterable[Condition]) -> list[Job]:
    """Returns all jobs."""
    changed = [job for condition in conditions for job in condition_jobs(benchmark, condition)]
    return [*(Job(scene) for scene in benchmark.scenes), *changed]


@dataclass
class Measurer:
    """Measures one peer at one threshold.

    Attributes:
        benchmark: The benchmark.
        scores: Scores by scorer and key of a job.
        conditions: Conditions that were scored.
        peer: The peer.
    """

    benchmark: Benchmark
    scores: Mapping[tuple[str, str], Float64]
    conditions: Sequence[Condition]
    peer: Peer

    def __post_init__(self) -> None:
        validation = self._tracks(VALIDATION)
        threshold = self.peer.threshold
        if threshold is None:
            threshold = nights.threshold_for(validation, self.peer.settings, RATE)
        self.threshold = threshold
        self.validation_alarms = nights.false_alarms(validation, threshold, self.peer.settings)

    def _track(self, job: Job) -> Float64:
        return self.scores[self.peer.scorer, job.key][:, self.peer.track]

    def _tracks(self, part: str) -> list[Float64]:
        return [self._track(Job(scene)) for scene in self.benchmark.part(part)]

    def _alarms(self, job: Job, threshold: float | None = None) -> list[float]:
        at = self.threshold if threshold is None else threshold
        return alarm_times(self._track(job), at, self.peer.settings)

    def _cry_groups(self, scene: Scene) -> list[str]:
        clips = (self.benchmark.clips[sound.clip] for sound in scene.sounds)
        return [clip.group for clip in clips if clip.cry]

    def everything(self) -> dict[str, Any]:
        """Returns all results of the peer."""
        return {
            "name": self.peer.name,
            "threshold": self.threshold,
            "threshold_is": "shipped" if self.peer.threshold is not None else "chosen on validation",
            "validation": {
                "false_alarms": self.validation_alarms,
                "hours": nights.hours_of(self._tracks(VALIDATION)),
            },
            "nights": self.nights(),
            "mixtures": self.mixtures(),
            "look_alikes": self.look_alikes(),
            "cries": self.cries(),
            "crying_night": self.crying_night(),
            "conditions": self.in_conditions(),
            **self.curve(),
        }

    def nights(self) -> dict[str, Any]:
        """Counts false alarms in hours without crying."""
        hours: dict[tuple[str, str], float] = defaultdict(float)
        alarms: dict[tuple[str, str], int] = defaultdict(int)
        raised_by: dict[str, int] = defaultdict(int)
        for scene in self.benchmark.part(NIGHTS):
            for clip, start, stop in scene.background:
                hours[scene.label, self.benchmark.clips[clip].group] += (stop - start) / 16_000 / 3600
            for event in find_events(self._track(Job(scene)), self.threshold, self.peer.settings):
                clip_id = self.benchmark.clip_at(scene, (event.start + event.end) / 2)
                alarms[scene.label, clip_id.group] += 1
                raised_by[clip_id.name] += 1
        by_kind = {}
        for kind in dict.fromkeys(kind for kind, _ in hours):
            own = [key for key in hours if key[0] == kind]
            by_kind[kind] = self._rate({key: alarms[key] for key in own}, {key: hours[key] for key in own})
        return {
            **self._rate({key: alarms[key] for key in hours}, hours),
            "by_kind": by_kind,
            "raised_by": dict(sorted(raised_by.items(), key=lambda each: (-each[1], each[0]))[:20]),
        }

    @staticmethod
    def _rate(alarms: Mapping[Any, int], hours: Mapping[Any, float]) -> dict[str, Any]:
        counts, lengths = np.array([alarms[key] for key in hours]), np.array(list(hours.values()))
        by_groups = intervals.over_groups(
            [str(key) for key in hours],
            lambda weights: float((weights * counts).sum() / (weights * lengths).sum()),
        )
        return {
            "hours": float(lengths.sum()),
            "groups": len(lengths),
            "groups_with_alarms": int((counts > 0).sum()),
            "false_alarms": int(counts.sum()),
            "an_hour": intervals.poisson(int(counts.sum()), float(lengths.sum())),
            "an_hour_over_groups": by_groups,
        }

    def mixtures(self) -> dict[str, Any]:
        """Measures recall, latency, and accuracy of events in mixtures."""
        scenes = self.benchmark.part(MIXTURES)
        jobs = [Job(scene) for scene in scenes]
        tracks = [self._track(job) for job in jobs]
        cries = [self.benchmark.cries(scene) for scene in scenes]
        events = [find_events(track, self.threshold, self.peer.settings) for track in tracks]
        dcase = hearing_dcase.onset_metrics(cries, events)
        own = [onset_counts(truth, found) for truth, found in zip(cries, events, strict=True)]
        total = sum(own[1:], own[0])
        if abs(total.error_rate - dcase["error_rate"]) > 1e-9:
            raise AssertionError(f"sed_eval counts otherwise: {dcase}, and here {total}")
        by_ratio = {}
        for label in dict.fromkeys(scene.label for scene in scenes if scene.sounds):
            by_ratio[label] = self._found([job for job in jobs if job.scene.label == label])
        errors = [
            each for truth, found in zip(cries, events, strict=True) for each in bound_errors(truth, found)
        ]
        low, high = hearing_dcase.psds(cries, tracks, scenes[0].seconds)
        return {
            **self._found(jobs),
            "by_ratio": by_ratio,
            "onset_within_half_a_second": dcase,
            "psds": {"overlap_0.7": low, "overlap_0.1": high},
            "start_error": _spread([start for start, _ in errors]),
            "end_error": _spread([end for _, end in errors]),
        }

    def _found(self, jobs: Sequence[Job]) -> dict[str, Any]:
        latencies: list[float | None] = []
        groups: list[str] = []
        false = 0
        for job in jobs:
            judged = judged_alarms(self.benchmark.cries(job.scene), self._alarms(job))
            false += len(judged.false)
            latencies += judged.latencies
            groups += self._cry_groups(job.scene)
        found = np.array([latency is not None for latency in latencies], np.float64)
        known = [latency for latency in latencies if latency is not None]
        hours = sum(job.scene.seconds for job in jobs) / 3600
        return {
            "cries": len(latencies),
            "groups": len(set(groups)),
            "found": len(known),
            "recall": intervals.over_groups(
                groups,
                lambda weights: float((weights * found).sum() / weights.sum()) if weights.any() else np.nan,
            ),
            "latency": {
                "median": float(np.median(known)) if known else None,
                "p95": float(np.quantile(known, 0.95)) if known else None,
            },
            "false_alarms": false,
            "hours": hours,
        }

    def look_alikes(self) -> dict[str, Any]:
        """Counts look-alikes that raise an event, by category."""
        events: dict[str, list[bool]] = defaultdict(list)
        groups: dict[str, set[str]] = defaultdict(set)
        for scene in self.benchmark.part(LOOK_ALIKES):
            events[scene.label].append(bool(self._alarms(Job(scene))))
            groups[scene.label].add(self.benchmark.clips[scene.sounds[0].clip].group)
        every = [raised for each in events.values() for raised in each]
        by_category = {
            category: {
                "clips": len(raised),
                "groups": len(groups[category]),
                "raised": sum(raised),
                "share": intervals.share(sum(raised), len(raised)),
            }
            for category, raised in sorted(events.items())
        }
        return {
            "clips": len(every),
            "raised": sum(every),
            "share": intervals.share(sum(every), len(every)),
            "by_category": by_category,
        }

    def cries(self) -> dict[str, Any]:
        """Ranks single cries against look-alikes, by the highest smoothed score that could start an event."""
        cries, others = self.benchmark.part(CRIES), self.benchmark.part(LOOK_ALIKES)
        checked = [scene for scene in others if scene.label != UPLOADS]
        raised = sum(bool(self._alarms(Job(scene))) for scene in cries)
        return {
            "clips": len(cries),
            "raised": raised,
            "share": intervals.share(raised, len(cries)),
            "auc": self._ranked(roc_auc_score, cries, others),
            "average_precision": self._ranked(average_precision_score, cries, others),
            "average_precision_without_uploads": self._ranked(average_precision_score, cries, checked),
        }

    def _ranked(self, metric: Any, cries: Sequence[Scene], others: Sequence[Scene]) -> dict[str, float]:
        is_cry = np.repeat([True, False], [len(cries), len(others)])
        scenes = [*cries, *others]
        levels = np.array(
            [nights.peaks(self._track(Job(scene)), self.peer.settings).max() for scene in scenes]
        )
        groups = [self.benchmark.clips[scene.sounds[0].clip].group for scene in scenes]

        def statistic(weights: Float64) -> float:
            if not (weights[is_cry].any() and weights[~is_cry].any()):
                return float("nan")
            return float(metric(is_cry, levels, sample_weight=weights))

        return intervals.over_groups(groups, statistic)

    def crying_night(self) -> dict[str, Any]:
        """Measures recall, latency and false alarms in a long night with cries."""
        jobs = [Job(scene) for scene in self.benchmark.part(CRYING_NIGHT)]
        cries = found = false = 0
        latencies: list[float] = []
        starts: list[float] = []
        for job in jobs:
            truth = self.benchmark.cries(job.scene)
            judged = judged_alarms(truth, self._alarms(job))
            events = find_events(self._track(job), self.threshold, self.peer.settings)
            starts += [start for start, _ in bound_errors(truth, events)]
            cries, found = cries + len(truth), found + judged.found
            false += len(judged.false)
            latencies += [latency for latency in judged.latencies if latency is not None]
        hours = sum(job.scene.seconds for job in jobs) / 3600
        return {
            "hours": hours,
            "cries": cries,
            "found": found,
            "recall": intervals.share(found, cries),
            "missed": cries - found,
            "false_alarms": false,
            "an_hour": intervals.poisson(false, hours),
            "latency_median": float(np.median(latencies)) if latencies else None,
            "start_error": _spread(starts),
        }

    def in_conditions(self) -> dict[str, Any]:
        """Measures recall of the same mixtures, unchanged and in every condition."""
        plain = [Job(scene) for scene in condition_scenes(self.benchmark)]
        found = {"as they are": self._found(plain)}
        for condition in self.conditions:
            jobs = condition_jobs(self.benchmark, condition)
            if jobs:
                found[condition.name] = self._found(jobs)
        return found

    def curve(self) -> dict[str, Any]:
        """Measures recall in mixtures and false alarms in nights as functions of the threshold."""
        quiet, hours = self._tracks(NIGHTS), nights.hours_of(self._tracks(NIGHTS))
        jobs = [Job(scene) for scene in self.benchmark.part(MIXTURES) if scene.sounds]
        peaks = np.sort(np.concatenate([nights.peaks(track, self.peer.settings) for track in quiet]))[::-1]
        ranks = np.geomspace(1, min(len(peaks), CURVE_TOP * hours), CURVE_POINTS).astype(int) - 1
        points = []
        # In descending order, each just above a peak: the lowest threshold with the same number of peaks.
        for threshold in map(nights.above, peaks[np.unique(ranks)].tolist()):
            alarms = nights.false_alarms(quiet, threshold, self.peer.settings)
            caught = sum(
                judged_alarms(self.benchmark.cries(job.scene), self._alarms(job, threshold)).found
                for job in jobs
            )
            points.append({"threshold": threshold, "an_hour": alarms / hours, "recall": caught / len(jobs)})
        at = {
            f"{rate:g}": max((p["recall"] for p in points if p["an_hour"] <= rate), default=0.0)
            for rate in RATES
        }
        return {"curve": points, "recall_at": at}


def _spread(errors: Sequence[float]) -> dict[str, float | None]:
    if not errors:
        return {"count": 0, "mean": None, "median": None, "median_absolute": None, "p95_absolute": None}
    sizes = np.abs(errors)
    return {
        "count": len(errors),
        "mean": float(np.mean(errors)),
        "median": float(np.median(errors)),
        "median_absolute": float(np.median(sizes)),
        "p95_absolute": float(np.quantile(sizes, 0.95)),
    }


def contents(benchmark: Benchmark) -> dict[str, Any]:
    """Returns hours, recordings and groups of every part and kind."""
    found: dict[str, Any] = {}
    for scene in benchmark.scenes:
        used = {clip for clip, _, _ in scene.background} | {sound.clip for sound in scene.sounds}
        part = found.setdefault(scene.part, {})
        for key in ("all", scene.label):
            if key:
                own = part.setdefault(key, {"scenes": 0, "hours": 0.0, "clips": set()})
                own["scenes"] += 1
                own["hours"] += scene.seconds / 3600
                own["clips"] |= used
    for part in found.values():
        for own in part.values():
            own["groups"] = len({benchmark.clips[clip].group for clip in own["clips"]})
            own["clips"] = len(own["clips"])
    return found


def measure(
    benchmark: Benchmark,
    scores: Mapping[tuple[str, str], Float64],
    conditions: Sequence[Condition],
    peers: Sequence[Peer],
) -> dict[str, Any]:
    """Returns the results of all peers.

    Args:
        benchmark: The benchmark.
        scores: Scores by scorer and key of a job, see `hearing_scores.score`.
        conditions: Conditions that were scored.
        peers: The peers.
    """
    return {
        "benchmark": benchmark.version,
        "seed": benchmark.seed,
        "rate_on_validation": RATE,
        "contents": contents(benchmark),
        "peers": [
            Measurer(benchmark, scores, conditions, peer).everything()
            for peer in tqdm(peers, desc="measures", unit="peer")
        ],
    }
