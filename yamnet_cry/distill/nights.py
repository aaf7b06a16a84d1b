"""False alarms an hour, counted in long recordings without crying."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from yamnet_cry import batch
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import intervals
from yamnet_cry.errors import AudioError
from yamnet_cry.events import EventSettings, find_events
from yamnet_cry.features import PATCH_HOP_SECONDS
from yamnet_cry.work import seconds_of

Track = Sequence[float] | NDArray[np.float64]

#: Where the curve of false alarms against the threshold is taken, besides the threshold in use.
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def hours_of(tracks: Sequence[Track]) -> float:
    """Returns the length of tracks with a probability every 0.48 s.

    Example:
        >>> hours_of([[0.0] * 7500, [0.0] * 3750])
        1.5
    """
    return sum(map(len, tracks)) * PATCH_HOP_SECONDS / 3600


def false_alarms(tracks: Sequence[Track], threshold: float, settings: EventSettings) -> int:
    """Counts the events in recordings without crying."""
    return sum(len(find_events(track, threshold, settings)) for track in tracks)


def threshold_for(tracks: Sequence[Track], settings: EventSettings, per_hour: float) -> float:
    """Returns the lowest threshold, of those that make a difference, with no more false alarms than wanted.

    Args:
        tracks: Probabilities of recordings without crying, one every 0.48 s.
        settings: How events are made of them.
        per_hour: False alarms an hour that are accepted.

    Example:
        >>> track = [0.0] * 7490 + [0.3] * 5 + [0.6] * 5
        >>> settings = EventSettings(smoothing=1, votes=1, window=1)
        >>> false_alarms([track], threshold_for([track], settings, 1.0), settings)
        1
    """
    accepted = per_hour * hours_of(tracks)
    # Averages decide, so a threshold just above one of them is the next that changes anything.
    levels = np.unique(np.concatenate([_averages(track, settings.smoothing) for track in tracks]))
    # Events are the fewer the higher the threshold, as long as they are too few to run into each other.
    low, high = 0, len(levels)
    while low < high:
        middle = (low + high) // 2
        if false_alarms(tracks, _above(levels[middle]), settings) <= accepted:
            high = middle
        else:
            low = middle + 1
    return _above(levels[min(low, len(levels) - 1)])


def _averages(track: Track, smoothing: int) -> NDArray[np.float64]:
    values = np.asarray(track, np.float64)
    counts = np.minimum(np.arange(1, len(values) + 1), smoothing)
    return np.convolve(values, np.ones(smoothing))[: len(values)] / counts


def _above(level: float) -> float:
    # Further away than the last bits, in which a moving average depends on the order of its sum.
    return min(1.0, float(level) * (1 + 1e-9) + 1e-15)


def measure(detector: CryDetector, folder: Path, *, progress: bool = True) -> dict[str, Any]:
    """Counts the false alarms of a detector in a folder of long recordings without crying.

    Args:
        detector: At its own threshold.
        folder: With recordings of rooms, in it or in folders within it. Nobody may cry in them: every
            event counts as a false alarm.
        progress: Whether to show a progress bar.

    Returns:
        ``hours``, ``recordings``, ``threshold``, ``false_alarms``; ``false_alarms_per_hour`` with the exact
        interval of a Poisson rate; ``by_recording`` with the hours and events of each; and ``curve``: at
        other thresholds, the same rate, and ``recall``, the share of crying clips that still raise an
        event on validation, where the model knows it.

    Raises:
        AudioError: If there are no recordings, or one cannot be read.
    """
    if not folder.is_dir():
        raise AudioError(f"{folder} is no folder; name one with long recordings in which nobody cries")
    files, left_out = batch.find([str(folder)])
    if left_out:
        raise AudioError(f"{folder} holds {batch.need_ffmpeg(left_out)}")
    tracks: list[NDArray[np.float64]] = []
    by_recording = []
    total = sum(map(seconds_of, files))
    with tqdm(total=round(total), desc="nights", unit="s", disable=not progress) as bar:
        for file in files:
            before = bar.n
            heard = detector(file, progress=lambda seconds, before=before: _advance(bar, before + seconds))
            tracks.append(heard.probabilities)
            events = [{"start": event.start, "end": event.end, "peak": event.peak} for event in heard.events]
            name = file.relative_to(folder).as_posix()
            by_recording.append({"file": name, "hours": hours_of(tracks[-1:]), "events": events})
    hours = hours_of(tracks)
    alarms = sum(len(each["events"]) for each in by_recording)
    recall = detector.config.event_recall
    curve = []
    for threshold in sorted({*THRESHOLDS, detector.threshold}):
        count = false_alarms(tracks, threshold, detector.config.events)
        point = {"threshold": threshold, "false_alarms": count}
        point["false_alarms_per_hour"] = intervals.poisson(count, hours)
        point["recall"] = None if recall is None else recall.at(threshold)
        curve.append(point)
    return {
        "hours": hours,
        "recordings": len(files),
        "threshold": detector.threshold,
        "false_alarms": alarms,
        "false_alarms_per_hour": intervals.poisson(alarms, hours),
        "by_recording": by_recording,
        "curve": curve,
    }


def _advance(bar: Any, seconds: float) -> None:
    bar.update(max(0, round(seconds) - bar.n))


def summary(measured: dict[str, Any]) -> str:
    """Says in a line what `measure` found.

    Example:
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
