"""False alarms per hour, counted in long recordings without crying."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from yamnet_cry.audio.files import find, need_ffmpeg, seconds_of
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import intervals
from yamnet_cry.errors import AudioError
from yamnet_cry.events import EventSettings, find_events
from yamnet_cry.frontend import YAMNET

Track = Sequence[float] | NDArray[np.float64]

#: Thresholds of the curve of false alarms, in addition to the detector's own threshold.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def hours_of(tracks: Sequence[Track]) -> float:
    """Returns the total length in hours of tracks with a probability every 0.48 s.

    Examples:
        >>> hours_of([[0.0] * 7500, [0.0] * 3750])
        1.5
    """
    return sum(map(len, tracks)) * YAMNET.patch_hop_seconds / 3600


def false_alarms(tracks: Sequence[Track], threshold: float, settings: EventSettings) -> int:
    """Counts the events in recordings without crying."""
    return sum(len(find_events(track, threshold, settings)) for track in tracks)


def threshold_for(tracks: Sequence[Track], settings: EventSettings, per_hour: float) -> float:
    """Returns the lowest threshold with at most a given rate of false alarms.

    Args:
        tracks: Probabilities of recordings without crying, one every 0.48 s.
        settings: How events are derived from probabilities.
        per_hour: Accepted false alarms per hour.

    Examples:
        >>> track = [0.0] * 7490 + [0.3] * 5 + [0.6] * 5
        >>> settings = EventSettings(smoothing=1, votes=1, window=1)
        >>> false_alarms([track], threshold_for([track], settings, 1.0), settings)
        1
    """
    accepted = per_hour * hours_of(tracks)
    # Events depend on moving averages, so only thresholds just above one of them need to be tried.
    levels = np.unique(np.concatenate([averages(track, settings.smoothing) for track in tracks]))[::-1]

    def too_many(rank: int) -> bool:
        return false_alarms(tracks, above(levels[rank]), settings) > accepted

    # Search from the top down: the number of events grows with a lower threshold only until events merge;
    # at the lowest threshold, everything is one event.
    good, bad = 0, 1
    while bad < len(levels) and not too_many(bad):
        good, bad = bad, 2 * bad
    bad = min(bad, len(levels))
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if too_many(middle) else (middle, bad)
    return above(levels[good])


def averages(track: Track, smoothing: int) -> NDArray[np.float64]:
    """Returns the moving average that events are derived from, over each window and those before it."""
    values = np.asarray(track, np.float64)
    counts = np.minimum(np.arange(1, len(values) + 1), smoothing)
    return np.convolve(values, np.ones(smoothing))[: len(values)] / counts


def peaks(track: Track, settings: EventSettings) -> NDArray[np.float64]:
    """Returns the highest moving average in every 20 windows (about ten seconds).

    False alarms appear or disappear at thresholds near these values.

    Examples:
        >>> peaks([0.0] * 20 + [0.5, 0.7, 0.1], EventSettings()).round(2).tolist()
        [0.0, 0.6]
    """
    values = averages(track, settings.smoothing)
    return np.array([values[start : start + 20].max() for start in range(0, len(values), 20)])


def above(level: float) -> float:
    """Returns a threshold just above a level."""
    # By more than the rounding error of a moving average, which depends on the order of summation.
    return min(1.0, float(level) * (1 + 1e-9) + 1e-15)


def measure(detector: CryDetector, folder: Path, *, progress: bool = True) -> dict[str, Any]:
    """Counts the false alarms of a detector in a folder of long recordings without crying.

    Args:
        detector: The detector, used at its own threshold.
        folder: Folder of recordings of rooms, searched recursively. They must not contain crying, because
            every event counts as a false alarm.
        progress: Whether to show a progress bar.

    Returns:
        ``hours``, ``recordings``, ``threshold``, ``false_alarms``; ``false_alarms_per_hour`` with the exact
        interval of a Poisson rate; ``by_recording`` with the hours and events of each; and ``curve``: for
        several thresholds, the same rate, and ``recall``, the share of crying validation clips that raise an
        event, or None if the model does not record it.

    Raises:
        AudioError: If there are no recordings, or one cannot be read.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder} is not a folder; pass a folder of long recordings without crying")
    files, left_out = find([str(folder)])
    if left_out:
        raise AudioError(f"{folder} holds {need_ffmpeg(left_out)}")
    tracks: list[NDArray[np.float64]] = []
    by_recording: list[dict[str, Any]] = []
    alarms = 0
    with tqdm(total=round(sum(map(seconds_of, files))), desc="nights", unit="s", disable=not progress) as bar:
        for file in files:
            heard = detector(file, progress=_Advance(bar))
            tracks.append(heard.probabilities)
            alarms += len(heard.events)
            events = [asdict(event) for event in heard.events]
            name = file.relative_to(folder).as_posix()
            by_recording.append({"file": name, "hours": hours_of(tracks[-1:]), "events": events})
    hours = hours_of(tracks)
    recall = detector.config.event_recall
    curve: list[dict[str, Any]] = []
    for threshold in sorted({*THRESHOLDS, detector.threshold}):
        count = false_alarms(tracks, threshold, detector.config.events)
        curve.append(
            {
                "threshold": threshold,
                "false_alarms": count,
                "false_alarms_per_hour": intervals.poisson(count, hours),
                "recall": None if recall is None else recall.at(threshold),
            }
        )
    return {
        "hours": hours,
        "recordings": len(files),
        "threshold": detector.threshold,
        "false_alarms": alarms,
        "false_alarms_per_hour": intervals.poisson(alarms, hours),
        "by_recording": by_recording,
        "curve": curve,
    }


class _Advance:
    """Updates a progress bar over all recordings from the progress of one, which starts at 0."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._before = bar, bar.n

    def __call__(self, seconds: float) -> None:
        self._bar.update(max(0, self._before + round(seconds) - self._bar.n))


def summary(measured: dict[str, Any]) -> str:
    """Returns a one-line summary of the result of `measure`.

    Examples:
        >>> rate = {"value": 0.5, "low": 0.06, "high": 1.81}
        >>> found = {"hours": 4.0, "recordings": 1, "threshold": 0.5, "false_alarms": 2}
        >>> print(summary({**found, "false_alarms_per_hour": rate}))
        2 false alarms in 4.0 hours (1 recording) at threshold 0.500:
        0.50 an hour (95 % interval 0.06 to 1.81)
    """
    rate = measured["false_alarms_per_hour"]
    alarms, recordings = measured["false_alarms"], measured["recordings"]
    return (
        f"{alarms:,} false alarm{'s' * (alarms != 1)} in {measured['hours']:.1f} hours "
        f"({recordings:,} recording{'s' * (recordings != 1)}) at threshold {measured['threshold']:.3f}: "
        f"{rate['value']:.2f} an hour (95 % interval {rate['low']:.2f} to {rate['high']:.2f})"
    )
