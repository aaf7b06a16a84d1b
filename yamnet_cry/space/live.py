"""Live detection for one visitor's microphone, in bounded memory, and its HTML."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import soundfile
from numpy.typing import ArrayLike

from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import AudioError
from yamnet_cry.events import Event
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.results import clock, duration
from yamnet_cry.space.recording import card
from yamnet_cry.streaming import SILENCE_DBFS, Listener, Update

SHOWN_SECONDS = 60

#: Chunks of a microphone's sound last half a second; several are joined when the server is busy.
MAX_PIECE_SECONDS = 30
_MAX_PIECE_VALUES = 2**24

_WINDOWS = round(SHOWN_SECONDS / YAMNET.patch_hop_seconds)
_EVENTS = 20
_WIDTH, _HEIGHT = 600, 160


@dataclass
class Session:
    """State of the detection for one visitor's microphone.

    Attributes:
        detector: The detector, shared by all visitors.
        sensitivity: 1 minus the threshold, in [0, 1].
        recent: The updates of the last minute.
        events: The last 20 events that have ended.
        count: Total number of events that have ended.
    """

    detector: CryDetector
    sensitivity: float
    recent: deque[Update] = field(default_factory=lambda: deque(maxlen=_WINDOWS))
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=_EVENTS))
    count: int = 0
    _listener: Listener | None = None
    _sample_rate: int = 0

    def push(self, part: ArrayLike, sample_rate: int) -> None:
        """Processes the next chunk; if the sample rate changes, a new stream begins.

        Raises:
            AudioError: If the samples cannot be used.
        """
        if self._listener is None or sample_rate != self._sample_rate:
            self.finish()
            self._listener, self._sample_rate = self._new_listener(sample_rate), sample_rate
        self._take(self._listener.push(part))

    def finish(self) -> None:
        """Ends the stream, and the active event."""
        if self._listener is not None and self.recent:
            self._take(self._listener.finish())
        self._listener = None

    def _new_listener(self, sample_rate: int) -> Listener:
        return self.detector.listener(sample_rate, threshold=round(1.0 - self.sensitivity, 4))

    def _take(self, updates: Iterable[Update]) -> None:
        for update in updates:
            self.recent.append(update)
            self.events.extend(update.finished)
            self.count += len(update.finished)


def piece(path: str | Path) -> tuple[Float32, int]:
    """Reads a chunk of a microphone's sound, in bounded memory.

    Returns:
        float32 samples of shape (samples, channels), and their sample rate in hertz.

    Raises:
        AudioError: If it is not audio, or longer than `MAX_PIECE_SECONDS`.
    """
    try:
        with soundfile.SoundFile(path) as sound:
            rate = sound.samplerate
            # Headers may claim any rate and any number of channels.
            frames = min(MAX_PIECE_SECONDS * rate, _MAX_PIECE_VALUES // max(1, sound.channels))
            samples = sound.read(frames + 1, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError):
        raise AudioError("part of the microphone's audio was lost; record again") from None
    if len(samples) > frames:
        raise AudioError(
            f"the audio chunk is longer than {MAX_PIECE_SECONDS} s or too large; upload it as a recording"
        )
    return samples, rate


def show(session: Session | None) -> str:
    """Returns a session as HTML: a sentence, two meters, a chart of the last minute, and the events."""
    if session is None or not session.recent:
        return _panel("quiet", "Press record to start.", SILENCE_DBFS, 0.0, "", "")
    latest = session.recent[-1]
    state = "Crying" if latest.crying else "No crying"
    said = f"{state} at {clock(latest.time)}"
    threshold = 1.0 - session.sensitivity
    return _panel(
        "crying" if latest.crying else "quiet",
        said,
        latest.level,
        latest.probability,
        _chart(list(session.recent), threshold),
        _listed(session),
    )


def _panel(state: str, said: str, level: float, probability: float, chart: str, events: str) -> str:
    return (
        card(state, said)
        + _meter("level", max(0.0, min(1.0, (level + 80) / 80)), f"{level:.0f} dBFS" if chart else "")
        + _meter("crying", probability, f"{probability * 100:.0f} %" if chart else "")
        + chart
        + events
    )


def _meter(name: str, share: float, value: str) -> str:
    return (
        f'<div class="meter"><span>{name}</span><div class="bar"><div class="{name}" '
        f'style="width:{share * 100:.0f}%"></div></div><span>{value}</span></div>'
    )


def _chart(updates: list[Update], threshold: float) -> str:
    """Returns the probabilities of the last minute as SVG, the newest at the right."""
    end = updates[-1].time

    def x_of(time: float) -> float:
        return _WIDTH * (1.0 - (end - time) / SHOWN_SECONDS)

    points = " ".join(
        f"{x_of(update.time):.1f},{_HEIGHT * (1 - update.probability):.1f}" for update in updates
    )
    left, line = x_of(updates[0].time), _HEIGHT * (1 - threshold)
    shades = "".join(
        f'<rect x="{x_of(update.time) - step:.1f}" y="0" width="{step:.1f}" height="{_HEIGHT}"/>'
        for update in updates
        if update.crying
        for step in (_WIDTH * YAMNET.patch_hop_seconds / SHOWN_SECONDS,)
    )
    return (
        f'<svg class="track" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="probability of crying in the last minute"><g class="shade">{shades}</g>'
        f'<polygon points="{left:.1f},{_HEIGHT} {points} {_WIDTH},{_HEIGHT}"/><polyline points="{points}"/>'
        f'<line x1="0" x2="{_WIDTH}" y1="{line:.1f}" y2="{line:.1f}"/></svg>'
        '<div class="axis"><span>a minute ago</span><span>probability of crying</span><span>now</span></div>'
    )


def _listed(session: Session) -> str:
    if not session.count:
        return '<p class="events">No event yet.</p>'
    rows = "".join(
        f"<li>{clock(event.start)} to {clock(event.end)}: cried for {duration(event.seconds)}, "
        f"peak {event.peak * 100:.0f} %</li>"
        for event in reversed(session.events)
    )
    times = "once" if session.count == 1 else f"{session.count} times"
    return f'<div class="events">Cried {times}:<ul>{rows}</ul></div>'
