"""yamnet-cry listen."""

import json
import os
import queue
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from yamnet_cry import audio, live
from yamnet_cry.cli.options import MODEL, REVISION, THRESHOLD
from yamnet_cry.cli.status import StatusLine, bar
from yamnet_cry.errors import RunError

# A command that hangs must not pile up thousands of others behind it.
_MOST_WAITING = 100


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
    type=click.Choice(list(live.FORMATS)),
    default="s16le",
    show_default=True,
    help="Encoding of raw samples on stdin.",
)
@MODEL
@REVISION
@THRESHOLD
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object a line.")
@click.option(
    "--on-event",
    metavar="COMMAND",
    help="Run this when crying starts and when it ends; see above for what it is told.",
)
@click.option("--quiet", is_flag=True, help="Show no meter.")
def listen(
    source: str | None,
    device: str | None,
    rate: int,
    channels: int,
    encoding: str,
    model: str | None,
    revision: str | None,
    threshold: float | None,
    as_json: bool,
    on_event: str | None,
    quiet: bool,
) -> None:
    """Listen to a microphone, or with - to stdin, and tell when a baby cries.

    On stdin WAV is understood as it is, and anything else as raw samples:

    \b
        ffmpeg -i rtsp://camera/stream -f wav - | yamnet-cry listen -

    Prints a line when crying starts and another when it ends. A meter on stderr shows the level and
    the probability. The COMMAND of --on-event is run without a shell, and sound goes on being heard
    meanwhile; its environment has YAMNET_CRY_EVENT (started or ended), YAMNET_CRY_START and, once it
    is known, YAMNET_CRY_END, YAMNET_CRY_PEAK and YAMNET_CRY_MEAN, times in seconds.
    """  # noqa: D301 (click takes the backspace for "leave this paragraph as it is")
    from yamnet_cry.detector import CryDetector

    if source not in (None, "-"):
        raise click.UsageError(f"{source!r} is not -; for files there is `yamnet-cry detect`.")
    command = _command(on_event)
    detector = CryDetector.from_pretrained(model, revision=revision)
    if threshold is not None:
        detector.threshold = threshold
    if source is None:
        blocks, sample_rate = live.microphone(device)
    else:
        blocks, sample_rate = live.pipe(sys.stdin.buffer, live.Format(rate, channels, encoding))
    status = StatusLine(quiet=quiet)
    try:
        with _hook(command) as tell:
            for update in detector.stream(blocks, sample_rate):
                for event in _news(update):
                    status.clear()
                    click.echo(json.dumps(event) if as_json else _line(event))
                    tell(event)
                status.show(_meter(update))
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read our lines has gone; so do we, without a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        status.clear()


def _news(update: Any) -> Iterator[dict[str, Any]]:
    for event in update.finished:
        yield {"event": "ended", **asdict(event), "seconds": event.seconds}
    if update.started is not None:
        yield {"event": "started", "start": update.started, "probability": update.probability}


def _line(event: dict[str, Any]) -> str:
    from yamnet_cry.detection import clock, duration

    if event["event"] == "started":
        return f"{clock(event['start'])} crying"
    return (
        f"{clock(event['end'])} quiet again, after {duration(event['seconds'])} "
        f"(most sure: {event['peak'] * 100:.0f} %)"
    )


def _meter(update: Any) -> str:
    from yamnet_cry.detection import clock

    return (
        f"{clock(update.time)}  {bar((update.level + 80) / 80)} {update.level:4.0f} dBFS  "
        f"{bar(update.probability)} {update.probability * 100:3.0f} %{'  crying' if update.crying else ''}"
    )


def _command(on_event: str | None) -> list[str]:
    if on_event is None:
        return []
    try:
        command = shlex.split(on_event)
    except ValueError as error:
        raise RunError(
            f"--on-event cannot be taken apart into words ({error}). Received: {on_event}"
        ) from None
    if not command or shutil.which(command[0]) is None:
        raise RunError(f"--on-event: no such program. Received: {on_event!r}")
    return command


@contextmanager
def _hook(command: list[str]) -> Iterator[Any]:
    """Runs a command for each event, one after the other, while sound goes on being heard."""
    waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING)

    def work() -> None:
        while (event := waiting.get()) is not None:
            told = {f"YAMNET_CRY_{key.upper()}": str(value) for key, value in event.items()}
            try:
                # Our own stdout is for events, and file descriptor 2 leads nowhere (see `run`).
                code = subprocess.run(
                    command,
                    env={**os.environ, **told},
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr,
                    stderr=sys.stderr,
                    check=False,
                ).returncode
            except OSError as error:
                click.echo(f"Error: --on-event: {error.strerror}", err=True)
                continue
            if code != 0:
                click.echo(f"Error: --on-event: {command[0]} ended with exit code {code}", err=True)

    def tell(event: dict[str, Any]) -> None:
        try:
            waiting.put_nowait(event)
        except queue.Full:
            click.echo("Error: --on-event: the command is too slow; an event was left out", err=True)

    if not command:
        yield lambda event: None
        return
    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        yield tell
    finally:
        # At the end of the stream the last command may finish its work.
        waiting.put(None)
        worker.join()
