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
    """Listening ended though nobody stopped it: who keeps it running must be able to tell."""

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
    "--source", "named", multiple=True, metavar="NAME=ADDRESS", help="A source with a name; may be repeated."
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Sources from a TOML file: a table [sources.NAME] for each, with address, and user, password and "
    "threshold if need be.",
)
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
@click.option(
    "--least",
    "least_seconds",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Tell nobody of crying before it has lasted so long.",
)
@click.option(
    "--cool-down",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="After crying has ended, tell nobody of more for so long.",
)
@click.option(
    "--quiet-hours",
    multiple=True,
    callback=_hours,
    metavar="HH:MM-HH:MM",
    help="Tell nobody of crying at this time of day; may be repeated.",
)
@click.option(
    "--on-event",
    metavar="COMMAND",
    help="Run COMMAND when crying starts and ends, and when a source is not heard.",
)
@click.option("--webhook", metavar="URL", help="Send the same as JSON to URL, again and again if need be.")
@click.option(
    "--frigate",
    metavar="URL",
    help="Make events in Frigate by its API at http://HOST:5000/CAMERA, the port that asks for no login; "
    "without /CAMERA, for the camera that is called as the source is.",
)
@click.option(
    "--mqtt",
    metavar="URL",
    help="Tell Home Assistant, or anybody, by the broker at mqtt://[USER@]HOST[:PORT] or mqtts://…; the "
    "password is in YAMNET_CRY_MQTT_PASSWORD.",
)
@click.option(
    "--clips",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the sound of crying in DIR, for `yamnet-cry review`.",
)
@click.option(
    "--pre-roll",
    type=click.FloatRange(0, 60),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="How much before the crying a clip, or an event in Frigate, begins.",
)
@click.option("--keep", metavar="TIME", help="Delete clips that are older, such as 7d or 12h.")
@click.option("--keep-bytes", metavar="SIZE", help="Delete the oldest clips beyond a size, such as 1G.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write how all sources are doing to FILE, every 10 s, for `yamnet-cry health`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON, one object a line.")
@click.option(
    "--updates", is_flag=True, help="With --json, print an object every 0.48 s, and states, as well."
)
@click.option("--quiet", is_flag=True, help="Show no meter.")
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
    """Listen to cameras, streams and microphones, and tell when a baby cries.

    A SOURCE is an address that begins with rtsp://, rtsps://, http://, https://, srt:// or rtmp://, or
    device (device:NAME) for a microphone. Each is watched: if it fails, or brings no sound for 10 s, that
    is told, and it is opened again until it is there. ${VARIABLE} in an address stands for a value of the
    environment, so that no password need be written down:

    \b
        yamnet-cry listen --source nursery='rtsp://user:${CAMERA}@192.168.1.20/stream1'

    Without SOURCE it listens to the default microphone, and with - to stdin, until that ends. On stdin WAV
    is understood as it is, and anything else as raw samples:

    \b
        arecord -f S16_LE -r 16000 | yamnet-cry listen -

    Prints a line when crying starts and another when it ends, with the time of day and the seconds
    since the source was opened. A meter on stderr shows the level and the probability.

    --json prints these objects; at, started_at and ended_at are times of day in ISO 8601:

    \b
        {"event": "started", "id", "source", "start", "started_at", "probability"}
        {"event": "ended", "id", "source", "start", "started_at", "end", "ended_at", "seconds", "peak",
         "mean", "interrupted": whether listening ended before the crying did}
        {"event": "deaf", "source", "at", "reason"}, when a source is not heard any more
        {"event": "hearing", "source", "at"}, when it is heard again
        {"event": "update", "source", "time", "at", "probability", "level", "crying"}, with --updates
        {"event": "state", "source", "at", "hearing", "reason", "crying", "probability", "level",
         "last_frame", "restarts", "uptime", "dropped_seconds", "gaps", "muted_until"}, with --updates

    COMMAND is run without a shell, while listening goes on. The same values are in its environment:
    YAMNET_CRY_EVENT (started, ended, deaf or hearing), YAMNET_CRY_SOURCE, YAMNET_CRY_STARTED_AT and so
    on. At the end, commands and messages that wait have ten seconds.

    SIGUSR1 mutes all sources for 30 minutes, and SIGUSR2 ends that: nobody is told of crying meanwhile.

    \b
    Exit codes:
        0  stopped, by Ctrl-C, SIGTERM or SIGHUP
        2  listening cannot start, or the sound of stdin cannot be used
        3  ended though nobody stopped it: stdin or the microphone ended, or the output cannot be written
    """  # noqa: D301 (click takes the backspace for "leave this paragraph as it is")
    if updates and not as_json:
        raise click.UsageError("--updates needs --json.")
    if device is not None and (sources or named or config):
        raise click.UsageError("--device is for listening without SOURCE; name it as device:NAME.")
    if "-" in sources and (len(sources) > 1 or named or config):
        raise click.UsageError("- cannot be listened to beside other sources.")
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
        # Python would try once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Ctrl-C ends the programs on both sides of a pipe too; then nobody is surprised.
    if reason is not None and not signals.asked:
        raise _Ended(reason)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--quiet", is_flag=True, help="Print nothing.")
def health(file: Path, quiet: bool) -> None:
    """Check that `listen --state FILE` is at work, and that every source is heard.

    \b
    Exit codes:
        0  all is well
        1  it has stopped writing, or a source is not heard
        2  FILE cannot be read
    """  # noqa: D301
    from yamnet_cry.home import state

    well, lines = state.check(file)
    if not quiet:
        click.echo("\n".join(lines))
    if not well:
        raise SystemExit(1)
