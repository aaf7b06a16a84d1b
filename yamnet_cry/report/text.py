"""Results in the formats of other programs: spreadsheets, Audacity, video players."""

import csv
import io
from collections.abc import Sequence
from typing import Literal

from yamnet_cry.events import Event
from yamnet_cry.results import Detection

CSV_COLUMNS = ("file", "is_cry", "probability", "event", "start", "end", "seconds", "peak", "mean", "heard")


def csv_rows(name: str, result: Detection, heard: Sequence[str] = ()) -> str:
    r"""Returns one CSV row per event; without events, one row without times, so that no recording is missing.

    Args:
        name: The recording's name.
        result: The result of the detector.
        heard: AudioSet classes detected in each event, as text; empty if unknown.

    Examples:
        >>> from yamnet_cry.calibration import Calibration
        >>> import numpy as np
        >>> csv_rows("a.wav", Detection(np.zeros(3, np.float32), 0.5, Calibration(1.0, 0.0)))
        'a.wav,0,0.0000,,,,,,,\n'
    """
    text = io.StringIO()
    # The csv module writes a carriage return without quotes, but cannot read it without them.
    quoting: Literal[0, 1] = csv.QUOTE_ALL if "\r" in name else csv.QUOTE_MINIMAL
    writer = csv.writer(text, lineterminator="\n", quoting=quoting)
    common = [name, int(result.is_cry), f"{result.probability:.4f}"]
    for number, event in enumerate(result.events):
        times = [f"{value:.2f}" for value in (event.start, event.end, event.seconds)]
        sure = [f"{event.peak:.4f}", f"{event.mean:.4f}"]
        writer.writerow([*common, number + 1, *times, *sure, heard[number] if heard else ""])
    if not result.events:
        writer.writerow([*common, *[""] * (len(CSV_COLUMNS) - len(common))])
    return text.getvalue()


def label_track(events: Sequence[Event]) -> str:
    r"""Returns the events as a label track that Audacity imports.

    Its format: https://manual.audacityteam.org/man/importing_and_exporting_labels.html

    Examples:
        >>> label_track([Event(start=0.96, end=3.36, peak=0.9, mean=0.8)])
        '0.960000\t3.360000\tcrying 90 %\n'
    """
    lines = [f"{event.start:.6f}\t{event.end:.6f}\tcrying {event.peak * 100:.0f} %\n" for event in events]
    return "".join(lines)


def web_vtt(events: Sequence[Event]) -> str:
    """Returns the events as video subtitles in WebVTT (W3C).

    Examples:
        >>> print(web_vtt([Event(start=3600.5, end=3603.25, peak=0.9, mean=0.8)]))
        WEBVTT
        <BLANKLINE>
        01:00:00.500 --> 01:00:03.250
        Crying (90 %)
        <BLANKLINE>
    """
    cues = [
        f"\n{_timestamp(event.start)} --> {_timestamp(event.end)}\nCrying ({event.peak * 100:.0f} %)\n"
        for event in events
    ]
    return "WEBVTT\n" + "".join(cues)


def _timestamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
