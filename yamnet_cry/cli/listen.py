"""yamnet-cry listen."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from yamnet_cry import audio
from yamnet_cry.audio import capture
from yamnet_cry.cli.hook import Hook, parsed
from yamnet_cry.cli.interruption import SilenceWatch, Stopped, StopSignals
from yamnet_cry.cli.options import MODEL, PRIOR, REVISION, THRESHOLD
from yamnet_cry.cli.reporter import OutputLost, Reporter
from yamnet_cry.cli.status import StatusLine
from yamnet_cry.errors import InputEnded

if TYPE_CHECKING:
    from yamnet_cry.detector import CryDetector


class _Ended(click.ClickException):
    """Listening ended though nobody stopped it: who keeps it running must be able to tell."""

    exit_code = 3


@click.command()
@click.argument("source", required=False, metavar="[-]")
@click.option("--device", help="Microphone: part of its name or its number; the default one if not given.")
@click.option(
    "--rate",
    type=click.IntRange(audio.MIN_SAMPLE_RATE, audio.MAX_SAMPLE_RATE),
    default=16_000,
    show_default=True,
    help="Sample rate of raw samples on stdin.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, audio.MAX_CHANNELS),
    default=1,
    show_default=True,
    help="Channels of raw samples on stdin.",
)
@click.option(
    "--format",
    "encoding",
    type=click.Choice(list(capture.ENCODINGS)),
    show_default="s16le",
    help="Encoding of raw samples on stdin; given, anything but WAV is taken for raw samples.",
)
@MODEL
@REVISION
@THRESHOLD
@PRIOR
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object a line.")
@click.option("--updates", is_flag=True, help="With --json, print an object every 0.48 s as well.")
@click.option("--on-event", metavar="COMMAND", help="Run COMMAND when crying starts and when it ends.")
@click.option("--quiet", is_flag=True, help="Show no meter.")
def listen(
    source: str | None,
    device: str | None,
    rate: int,
    channels: int,
    encoding: str | None,
    model: str | None,
    revision: str | None,
    threshold: float | None,
    prior: float | None,
    as_json: bool,
    updates: bool,
    on_event: str | None,
    quiet: bool,
) -> None:
    """Listen to a microphone, or with - to stdin, and tell when a baby cries.

    On stdin WAV is understood as it is, and anything else as raw samples:

    \b
        ffmpeg -i rtsp://camera/stream -f wav - | yamnet-cry listen -

    Prints a line when crying starts and another when it ends, with the time of day and the seconds
    since listening began. A meter on stderr shows the level and the probability.

    --json prints these objects; at, started_at and ended_at are times of day in ISO 8601:

    \b
        {"event": "started", "start", "started_at", "probability"}
        {"event": "ended", "start", "started_at", "end", "ended_at", "seconds", "peak", "mean",
         "interrupted": whether listening ended before the crying did}
        {"event": "update", "time", "at", "probability", "level", "crying"}, with --updates

    COMMAND is run without a shell, while listening goes on. The same values are in its environment:
    YAMNET_CRY_EVENT (started or ended), YAMNET_CRY_START, YAMNET_CRY_STARTED_AT and so on. At the end,
    commands that wait have ten seconds.

    \b
    Exit codes:
        0  stopped, by Ctrl-C, SIGTERM or SIGHUP
        2  listening cannot start, or the sound cannot be used
        3  ended though nobody stopped it: stdin or the microphone ended, or the output cannot be written
    """  # noqa: D301 (click takes the backspace for "leave this paragraph as it is")
    from yamnet_cry.detector import CryDetector

    if source not in (None, "-"):
        raise click.UsageError(f"{source!r} is not -; for files there is `yamnet-cry detect`.")
    if updates and not as_json:
        raise click.UsageError("--updates needs --json.")
    command = parsed(on_event)
    detector = CryDetector.from_pretrained(model, revision=revision)
    detector.set(threshold=threshold, prior=prior)
    status = StatusLine(quiet=quiet)

    def warn(text: str) -> None:
        status.clear()
        click.echo(f"Warning: {text}", err=True)

    def opened() -> capture.Blocks:
        if source is None:
            return capture.microphone(device, warn)
        raw = capture.Format(rate, channels, encoding or capture.Format.encoding)
        return capture.pipe(sys.stdin.buffer, raw, surely_raw=encoding is not None)

    signals = StopSignals()
    with Hook(command, warn) as hook:
        reporter = Reporter(status, hook, as_json=as_json, updates=updates)
        reason = None
        try:
            with signals, SilenceWatch(warn) as watch:
                _listen(detector, opened, signals, watch, reporter)
        except Stopped:
            pass
        except InputEnded as error:
            reason = f"{error} after {_hours(reporter.clock.seconds)}"
        except OutputLost as error:
            # Python would try once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            reason = f"the output cannot be written: {error}"
        finally:
            status.clear()
    # Ctrl-C ends the programs on both sides of a pipe too; then nobody is surprised.
    if reason is not None and not signals.asked:
        raise _Ended(reason)


def _listen(
    detector: "CryDetector",
    opened: Callable[[], capture.Blocks],
    signals: StopSignals,
    watch: SilenceWatch,
    reporter: Reporter,
) -> None:
    """Reports what is heard, to the end; whatever ends it, an event that is going on is closed.

    Raises:
        Stopped: If somebody asked for the end.
        InputEnded: If nobody did.
        AudioError: If the sound cannot be used.
    """
    with signals.while_waiting():
        blocks, sample_rate = opened()
    listener = detector.listener(sample_rate)
    try:
        while True:
            with signals.while_waiting():
                block = next(blocks, None)
            if block is None:
                raise InputEnded("stdin ended")
            watch.feed()
            reporter.clock.advance(len(block) / sample_rate)
            reporter.report(listener.push(block))
    finally:
        if reporter.clock.seconds:
            reporter.report(listener.finish())


def _hours(seconds: float) -> str:
    # Blocks of a tenth of a second do not add up exactly.
    minutes, rest = divmod(int(round(seconds, 3)), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
