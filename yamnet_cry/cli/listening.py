"""Builds what `listen` needs from its options: sources, rules and outlets."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from yamnet_cry.audio import capture
from yamnet_cry.cli.interruption import StopSignals
from yamnet_cry.cli.printer import Printer
from yamnet_cry.cli.status import StatusLine
from yamnet_cry.errors import InputEnded, SourceError
from yamnet_cry.home import inputs
from yamnet_cry.home import sources as home_sources
from yamnet_cry.home.alarm import Hours, Rules
from yamnet_cry.home.command import Command, parsed
from yamnet_cry.home.connection import Recorder
from yamnet_cry.home.frigate import Frigate
from yamnet_cry.home.outlets import Outlet, Outlets, Queued
from yamnet_cry.home.sources import MICROPHONE, Source
from yamnet_cry.home.station import Station
from yamnet_cry.home.watch import Watch
from yamnet_cry.home.webhook import Webhook

if TYPE_CHECKING:
    from yamnet_cry.detector import CryDetector

# Time limit for pending messages at exit, in seconds, and minutes for which SIGUSR1 mutes.
_FLUSH_SECONDS = 10.0
_MUTE_MINUTES = 30.0
_STDIN, _MICROPHONE = "stdin", "microphone"


@dataclass(frozen=True)
class Settings:
    """Values of the command's options of the same names."""

    model: str | None
    revision: str | None
    threshold: float | None
    prior: float | None
    least_seconds: float
    cool_down: float
    quiet_hours: tuple[Hours, ...]
    on_event: str | None
    webhook: str | None
    frigate: str | None
    mqtt: str | None
    clips: Path | None
    pre_roll: float
    keep: str | None
    keep_bytes: str | None
    state: Path | None


@dataclass(frozen=True)
class Stdin:
    """How to read standard input, see `capture.pipe`."""

    raw: capture.Format
    surely_raw: bool


@dataclass(frozen=True)
class Output:
    """What to print, see `Printer`."""

    status: StatusLine
    as_json: bool
    updates: bool


class Listening:
    """The sources and outlets of `listen`, from start to end.

    Args:
        settings: Options of the command.
        named: Addresses of sources, optionally with names.
        config: A file with more sources.
        device: The microphone, if there are no sources.
        stdin: How to read standard input, if it is the source.
        output: What to print.

    Raises:
        YamnetCryError: If a source or an outlet cannot be set up.
    """

    def __init__(
        self,
        settings: Settings,
        named: Sequence[str],
        config: Path | None,
        device: str | None,
        stdin: Stdin | None,
        output: Output,
    ) -> None:
        watched = bool(named or config)
        self._printer = Printer(
            output.status, self._look, as_json=output.as_json, updates=output.updates, names=watched
        )
        warn = self._printer.warn
        found = self._sources(named, config) if watched else []
        # Options are checked before the model is loaded.
        command = parsed(settings.on_event) if settings.on_event is not None else None
        webhook = Webhook(settings.webhook) if settings.webhook is not None else None
        frigate = Frigate(settings.frigate, settings.pre_roll) if settings.frigate is not None else None
        recorder = _recorders(settings, warn)
        detector = _detector(settings)
        names = [source.name for source in found] or [_STDIN if stdin else _MICROPHONE]
        told: list[Outlet] = []
        if command is not None:
            told.append(Queued("--on-event", Command(command), warn))
        if webhook is not None:
            told.append(Queued("--webhook", webhook, warn))
        if frigate is not None:
            told.append(Queued("--frigate", frigate, warn))
        if settings.mqtt is not None:
            from yamnet_cry.home.mqtt import Mqtt

            told.append(Mqtt(settings.mqtt, names, warn, on_mute=self._mute))
        # The printer is last: a blocked stdout must not keep messages from the others.
        self._outlets = Outlets([*told, self._printer])
        rules = Rules(settings.least_seconds, settings.cool_down, settings.quiet_hours)
        station = partial(
            Station, detector=detector, outlet=self._outlets, warn=warn, rules=rules, show=self._printer.show
        )
        if watched:
            stations = [
                station(
                    source.name,
                    partial(inputs.opened, source, warn),
                    threshold=source.threshold,
                    recorder=None if recorder is None else partial(recorder, source.name),
                )
                for source in found
            ]
        else:
            once = (
                partial(inputs.stdin, stdin.raw, surely_raw=stdin.surely_raw)
                if stdin is not None
                else partial(inputs.opened, Source(_MICROPHONE, f"{MICROPHONE}:{device or ''}"), warn)
            )
            only = None if recorder is None else partial(recorder, names[0])
            stations = [station(names[0], once, once=True, on_end=self._look, recorder=only)]
        self._stations, self._watched = stations, watched
        self._watch = Watch(stations, self._outlets, warn, file=settings.state)

    def _sources(self, named: Sequence[str], config: Path | None) -> list[Source]:
        """Parses all sources; warns of invalid ones and keeps the others."""
        listed = [] if config is None else home_sources.read(config)
        refused = []
        for text in named:
            try:
                listed.append(home_sources.parse(text))
            except SourceError as error:
                refused.append(str(error))
        kept, twice = home_sources.distinct(listed)
        if not kept:
            raise SourceError("; ".join(refused))
        for reason in (*refused, *twice):
            self._printer.warn(reason)
        return kept

    @property
    def lost(self) -> str | None:
        """Why nothing can be printed any more; None while it can."""
        error = self._printer.error
        return None if error is None else f"stdout cannot be written: {error}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.close()
        self._outlets.close(_FLUSH_SECONDS)

    def run(self, signals: StopSignals) -> str | None:
        """Listens until it is stopped or all sources have ended.

        Returns:
            Why it ended.

        Raises:
            Stopped: If the user stopped the program.
            AudioError: If the audio cannot be used.
        """
        self._listen_to_signals()
        self._watch.start()
        while self.lost is None:
            self._watch.tick()
            if not self._watched and (only := self._stations[0]).ended:
                return _why(only)
            with signals.while_waiting():
                self._watch.changed.wait(1.0)
            self._watch.changed.clear()
        return self.lost

    def _look(self) -> None:
        self._watch.changed.set()

    def _mute(self, source: str | None, minutes: float) -> None:
        self._watch.mute(source, minutes)

    def _listen_to_signals(self) -> None:
        # Windows has neither signal.
        for name, minutes in (("SIGUSR1", _MUTE_MINUTES), ("SIGUSR2", 0.0)):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, partial(self._muted_by_signal, minutes))

    def _muted_by_signal(self, minutes: float, *_: object) -> None:
        self._watch.mute(None, minutes)
        self._printer.warn(f"muted for {minutes:g} minutes" if minutes else "unmuted")


def _detector(settings: Settings) -> "CryDetector":
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(settings.model, revision=settings.revision)
    detector.set(threshold=settings.threshold, prior=settings.prior)
    return detector


def _recorders(settings: Settings, warn: Callable[[str], object]) -> Callable[[str], Recorder] | None:
    """Returns a function that makes the recorder of a source; None without --clips."""
    if settings.clips is None:
        if settings.keep is not None or settings.keep_bytes is not None:
            raise click.UsageError("--keep and --keep-bytes need --clips.")
        return None
    from yamnet_cry.home import clips, retention

    folder = settings.clips
    clips.prepare(folder)
    kept = retention.Retention(
        None if settings.keep is None else retention.parse_seconds(settings.keep),
        None if settings.keep_bytes is None else retention.parse_bytes(settings.keep_bytes),
    )
    return lambda source: clips.Recorder(folder, source, settings.pre_roll, warn, kept)


def _why(station: Station) -> str:
    """Returns why a source that is not reopened has ended.

    Raises:
        AudioError: If it could not be used.
    """
    if station.error is not None and not isinstance(station.error, InputEnded):
        raise station.error
    what = "stdin ended" if station.name == _STDIN else str(station.error)
    # Sums of blocks of 0.1 s are not exact.
    minutes, rest = divmod(int(round(station.seconds, 3)), 60)
    return f"{what} after {minutes // 60}:{minutes % 60:02d}:{rest:02d}"
