"""The result of one recording on the page, shown at any sensitivity without scoring it again."""

import base64
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError
from yamnet_cry.frontend import Float32
from yamnet_cry.report.plot import draw, overview, verdict
from yamnet_cry.report.text import CSV_COLUMNS, csv_rows, label_track
from yamnet_cry.results import Detection, clock, duration

MAX_MINUTES = 120


@dataclass(frozen=True, eq=False)
class Heard:
    """The result of a recording, and the data needed to show it again.

    Attributes:
        name: The recording's name.
        result: Result of the detector, without the logits, which take megabytes per visitor.
        spectrogram: Spectrogram for the picture, see `overview`.
        classes: The eight AudioSet classes with the largest mean shares over the whole recording.
    """

    name: str
    result: Detection
    spectrogram: Float32
    classes: dict[str, float]

    def at(self, sensitivity: float) -> "Heard":
        """Returns the result at another sensitivity: 1 minus the threshold, in [0, 1]."""
        return replace(self, result=replace(self.result, threshold=round(1.0 - sensitivity, 4)))

    def headline(self) -> str:
        """Returns the verdict and its probability as HTML."""
        sure = f"A baby cries in it with a probability of {self.result.probability * 100:.0f} %."
        if self.result.truncated:
            sure += " The file is truncated; only this part was scored."
        return card("crying" if self.result.is_cry else "quiet", verdict(self.result), sure)

    def table(self) -> str:
        """Returns an HTML table with one row per event."""
        rows = [
            (clock(event.start), clock(event.end), duration(event.seconds), f"{event.peak * 100:.0f} %")
            for event in self.result.events
        ]
        lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in rows]
        head = "".join(f"<th>{name}</th>" for name in ("from", "to", "duration", "peak"))
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f'<div class="events"><table><tr>{head}</tr>{body}</table></div>'

    def picture(self, *, dark: bool = False) -> bytes:
        """Returns spectrogram, probability and events as a PNG file, without a title."""
        return draw(self.result, self.spectrogram, title="", dark=dark)

    def downloads(self) -> str:
        """Returns links to the files of `files` as HTML with data URLs: the server stores no files."""
        links = []
        labels = ("a spreadsheet (CSV)", "Audacity")
        for (name, text), label in zip(self.files().items(), labels, strict=True):
            content = base64.b64encode(text.encode()).decode()
            target = f"data:text/plain;charset=utf-8;base64,{content}"
            links.append(f'<a download="{escape(name)}" href="{target}">Events for {label}</a>')
        return f'<div class="events">{"".join(links)}</div>'

    def files(self) -> dict[str, str]:
        """Returns the events for a spreadsheet and for Audacity: texts by file name."""
        stem = Path(self.name).stem or "recording"
        table = ",".join(CSV_COLUMNS) + "\n" + csv_rows(self.name, self.result)
        return {f"{stem}.csv": table, f"{stem}.txt": label_track(self.result.events)}


def card(kind: str, sentence: str, more: str = "") -> str:
    """Returns the verdict at the top of the page, as HTML.

    Args:
        kind: ``crying``, ``quiet`` or ``problem``; determines the colour.
        sentence: Plain text.
        more: Plain text, shown smaller.
    """
    below = f"<br>{escape(more)}" if more else ""
    return f'<div class="verdict {kind}" role="status"><strong>{escape(sentence)}</strong>{below}</div>'


def hear(detector: CryDetector, path: str | Path) -> Heard:
    """Scores a recording, and returns the data that the page shows.

    Raises:
        AudioError: If it cannot be read, or is too long.
    """
    name = Path(path).name

    def limit(seconds: float) -> None:
        if seconds > 60 * MAX_MINUTES:
            raise AudioError(
                f"{name} is longer than {MAX_MINUTES} minutes, the limit of this page; for whole nights "
                "`pip install yamnet-cry` and use `yamnet-cry detect`"
            )

    try:
        result = detector(path, classes=True, progress=limit)
        classes = dict(result.top(count=8))
        return Heard(name, result.without_logits(), overview(path, len(result.scores)), classes)
    except AudioError as error:
        # Show the visitor's file name, not its path on the server.
        raise AudioError(str(error).replace(str(path), name)) from None
