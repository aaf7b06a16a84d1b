"""yamnet-cry listen."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from yamnet_cry import audio
from yamnet_cry.audio import capture
from yamnet_cry.cli import listening
from yamnet_cry.cli.interruption import Stopped, StopSignals
from yamnet_cry.cli.options import MODEL, PRIOR, REVISION, THRESHOLD
from yamnet_cry.cli.status import StatusLine


class _Ended(click.ClickException):
    """Listening ended without being stopped, which supervisors detect by the exit code."""

    exit_code = 3


def _hours(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Any, ...]:
    from yamnet_cry.home.alarm import Hours

    try:
        return tuple(map(Hours.parse, values))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--source", "named", multiple=True, metavar="NAME=ADDRESS", help="Add a named source. May be repeated."
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="TOML file with one table [sources.NAME] per source: address, and optionally user, password and "
    "threshold.",
)
@click.option("--device", help="Microphone: its number or part of its name. Default: the system's.")
@click.option(
    "--rate",
    type=click.IntRange(audio.MIN_SAMPLE_RATE, audio.MAX_SAMPLE_RATE),
    default=16_000,
    show_default=True,
    help="Sample rate of raw samples on stdin, in Hz.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, audio.MAX_CHANNELS),
    default=1,
    show_default=True,
    help="Number of channels of raw samples on stdin.",
)
@click.option(
    "--format",
    "encoding",
    type=click.Choice(list(capture.ENCODINGS)),
    show_default="s16le",
    help="Encoding of raw samples on stdin. If given, any input that is not WAV is read as raw samples.",
)
@MODEL
@REVISION
@THRESHOLD
@PRIOR
@click.option(
    "--least",
    "least_seconds",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Minimum duration of crying before it is reported.",
)
@click.option(
    "--cool-down",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause after the end of crying during which no new crying is reported.",
)
@click.option(
    "--quiet-hours",
    multiple=True,
    callback=_hours,
    metavar="HH:MM-HH:MM",
    help="Do not report crying at this time of day (local time). May be repeated.",
)
@click.option(
    "--on-event",
    metavar="COMMAND",
    help="Run COMMAND when crying starts or ends, and when a source is lost or restored.",
)
@click.option("--webhook", metavar="URL", help="POST the same events as JSON to URL, with retries.")
@click.option(
    "--frigate",
    metavar="URL",
    help="Create events in Frigate through its API at http://HOST:5000/CAMERA (the port without login). "
    "Without /CAMERA, the source's name is the camera's name.",
)
@click.option(
    "--mqtt",
    metavar="URL",
    help="Publish to Home Assistant and other MQTT clients through the broker at mqtt://[USER@]HOST[:PORT] "
    "or mqtts://…; set the password in YAMNET_CRY_MQTT_PASSWORD.",
)
@click.option(
    "--clips",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Record clips of crying to DIR, for `yamnet-cry review`.",
)
@click.option(
    "--pre-roll",
    type=click.FloatRange(0, 60),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Audio before the crying to include in clips and Frigate events.",
)
@click.option(
    "--keep", metavar="TIME", help="Delete clips older than TIME, for example 7d or 12h. Default: never."
)
@click.option(
    "--keep-bytes", metavar="SIZE", help="Delete the oldest clips when all exceed SIZE, for example 1G."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the state of all sources to FILE every 10 s, for `yamnet-cry health`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object per line.")
@click.option("--updates", is_flag=True, help="With --json: also print an update every 0.48 s, and states.")
@click.option("--quiet", is_flag=True, help="Hide the meter on stderr.")
def listen(
    sources: tuple[str, ...],
    named: tuple[str, ...],
    config: Path | None,
    device: str | None,
    rate: int,
    channels: int,
    encoding: str | None,
    as_json: bool,
    updates: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Detect crying live, from cameras, streams and microphones.

    A SOURCE is a URL that begins with rtsp://, rtsps://, http://, https://, srt:// or rtmp://, or
    device (device:NAME) for a microphone. A source that fails, or delivers no sound for 10 s, is reported
    and reopened until it works again. ${VARIABLE} in an address is replaced by the environment variable,
    which keeps passwords out of the command:

    \b
        yamnet-cry listen --source nursery='rtsp://user:${CAMERA}@192.168.1.20/stream1'

    Without SOURCE it listens to the default microphone, and with - to stdin until its end. Stdin may be WAV
    or raw samples:

    \b
        arecord -f S16_LE -r 16000 | yamnet-cry listen -

    Prints a line when crying starts and when it ends, with the time of day and the time
    since the source was opened. A meter on stderr shows the level (dBFS) and the probability.

    --json prints these objects; at, started_at and ended_at are ISO 8601 timestamps:

    \b
        {"event": "started", "id", "source", "start", "started_at", "probability"}
        {"event": "ended", "id", "source", "start", "started_at", "end", "ended_at", "seconds", "peak",
         "mean", "interrupted": whether listening stopped before the crying ended}
        {"event": "deaf", "source", "at", "reason"}, when the sound of a source is lost
        {"event": "hearing", "source", "at"}, when the sound is restored
        {"event": "update", "source", "time", "at", "probability", "level", "crying"}, with --updates
        {"event": "state", "source", "at", "hearing", "reason", "crying", "probability", "level",
         "last_frame", "restarts", "uptime", "dropped_seconds", "gaps", "muted_until"}, with --updates

    COMMAND runs in the background, without a shell. Its environment contains the same values:
    YAMNET_CRY_EVENT (started, ended, deaf or hearing), YAMNET_CRY_SOURCE, YAMNET_CRY_STARTED_AT and so
    on. At exit, pending commands and messages have ten seconds to finish.

    SIGUSR1 mutes all sources for 30 minutes: no crying is reported. SIGUSR2 unmutes them.

    \b
    Exit codes:
        0  stopped, by Ctrl-C, SIGTERM or SIGHUP
        2  listening cannot start, or stdin is not usable audio
        3  ended without being stopped: stdin or the microphone ended, or stdout cannot be written
    """  # noqa: D301 (the backspace tells click not to rewrap the paragraph)
    if updates and not as_json:
        raise click.UsageError("--updates needs --json.")
    if device is not None and (sources or named or config):
        raise click.UsageError("--device cannot be combined with SOURCE; add the source device:NAME instead.")
    if "-" in sources and (len(sources) > 1 or named or config):
        raise click.UsageError("- (stdin) cannot be combined with other sources.")
    raw = capture.Format(rate, channels, encoding or capture.Format.encoding)
    stdin = listening.Stdin(raw, surely_raw=encoding is not None) if sources == ("-",) else None
    status = StatusLine(quiet=quiet)
    signals = StopSignals()
    reason = None
    with listening.Listening(
        listening.Settings(**settings),
        [] if stdin is not None else [*sources, *named],
        config,
        device,
        stdin,
        listening.Output(status, as_json=as_json, updates=updates),
    ) as all_of_it:
        try:
            with signals:
                reason = all_of_it.run(signals)
        except Stopped:
            pass
        finally:
            status.clear()
    reason = all_of_it.lost or reason
    if all_of_it.lost:
        # Otherwise Python would try to flush stdout again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Ctrl-C also ends the other programs of a pipeline, which is no failure.
    if reason is not None and not signals.asked:
        raise _Ended(reason)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Print nothing.")
def health(file: Path, quiet: bool) -> None:
    """Check that `listen --state FILE` is running and receives sound from every source.

    \b
    Exit codes:
        0  all sources deliver sound
        1  FILE is no longer updated, or a source delivers no sound
        2  FILE cannot be read
    """  # noqa: D301
    from yamnet_cry.home import state

    well, lines = state.check(file)
    if not quiet:
        click.echo("\n".join(lines))
    if not well:
        raise SystemExit(1)
