"""Writes soak.md and docs/pictures/soak.png from soak.json, and says what must hold.

python benchmarks/soak_report.py
"""

import json
import math
from pathlib import Path
from typing import Any

from yamnet_cry.files import write_whole

HERE = Path(__file__).parent
PICTURE = HERE.parent / "docs" / "pictures" / "soak.png"

#: Megabytes by which memory may grow, and seconds in which what comes back must be heard.
MOST_GROWTH, SOONEST = 5.0, 5.0


def checks(result: dict[str, Any]) -> dict[str, bool]:
    """Says what must hold, and whether it does."""
    resources, events, recovery = result["resources"], result["events"], result["recovery"]
    ways = events["ways"]
    return {
        "it ran to the end, and ended with exit code 0 when it was asked to": result["exit_code"] == 0,
        f"memory grew by less than {MOST_GROWTH:g} MB": resources["resident_last"]
        - resources["resident_first"]
        < MOST_GROWTH,
        "open files are as many at the end as at the beginning": resources["files_late"]
        <= resources["files_early"],
        "threads are as many at the end as at the beginning": resources["threads_late"]
        <= resources["threads_early"],
        "no zombie was seen twice": resources["zombies"] == 0,
        "no more ffmpeg than sources lived for a second, and none was left at the end": not (
            resources["too_many_children"] or result["stray"]
        ),
        "no id came twice on stdout, and each start was followed by its end": not (
            events["twice_on_stdout"] or events["unpaired"]
        ),
        "every event is what the detector hears in the same sound in one piece": not events["wrong"],
        "the webhook got every event": not (ways["webhook"]["missing"] or ways["webhook"]["unknown"]),
        "the broker's subscriber got every event": not (ways["mqtt"]["missing"] or ways["mqtt"]["unknown"]),
        "the webhook got every event once, and in order": not (
            ways["webhook"]["twice"] or ways["webhook"]["out_of_order"]
        ),
        f"a camera that came back was heard within {SOONEST:g} s": max(recovery["sources"], default=0)
        <= SOONEST,
        "a camera that stalled was given up, and heard again": math.isfinite(
            max(recovery["stalls"], default=0)
        ),
        "a broker that came back was told": math.isfinite(max(recovery["broker"], default=0)),
        "no file was left unfinished": not result["disk"]["unfinished_at_end"],
        "the state was never older than 25 s while there was room for it": result["disk"][
            "oldest_state_seconds"
        ]
        < 25,
        "no connection ended before it was to": result["mishaps"]["unplanned"] == 0,
        **{
            "at real time a source takes less than 1 % of a core, in packets of "
            f"{each['packet_milliseconds']} ms": each["percent_of_core_a_source"] < 1
            for each in result["real_time"]
        },
    }


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} times {kind}" for kind, count in counts.items())


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "not tried"
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s (longest), {len(ordered)} times"


def text(result: dict[str, Any]) -> str:
    """Writes the report."""
    mishaps, events, resources = result["mishaps"], result["events"], result["resources"]
    recovery, disk, real = result["recovery"], result["disk"], result["real_time"]
    shorter, ways = result["shorter"], result["events"]["ways"]
    least, most = shorter["PAUSES"]
    endings = {kind: count for kind, count in mishaps["endings"].items() if kind != "stalled"}
    found = checks(result)
    jumps = ", ".join(f"{hours:+g} h" for hours in mishaps["jumps_hours"])
    lines = [
        "# A day of listening",
        "",
        f"Written by `python benchmarks/soak.py --hours {result['hours']:g} --speed "
        f"{result['asked_speed']:g} --seed {result['seed']}`, on a machine with two cores that did "
        f"other work "
        "at the same time.",
        "",
        f"`yamnet-cry listen` heard {result['hours']:g} hours of sound, from two cameras together, in "
        f"{result['wall_seconds'] / 60:.1f} minutes: {result['speed']:.0f} times real time in all, half "
        f"of that "
        "for each camera, mishaps included. The cameras are RTSP servers of our own, from which ffmpeg takes "
        "the sound; the broker is mosquitto. The sound is soft noise with synthetic crying "
        "(`yamnet_cry.demo.nursery`) at known places.",
        "",
        "![Memory, open files and sources that are heard](../docs/pictures/soak.png)",
        "",
        "## What holds",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {what} | {'yes' if well else '**no**'} |" for what, well in found.items()),
        "",
        "## What was done to it",
        "",
        f"- {mishaps['kills']} times a camera was killed and started again: "
        f"{_kinds(endings)}. In its "
        f"place there was for a while: {_kinds(mishaps['outages'])}.",
        f"- {mishaps['stalls']} times a camera sent nothing more and kept the line open.",
        f"- {mishaps['digital_silences']} times it sent 90 s of digital silence.",
        f"- {mishaps['broker']} times the broker was ended, every other time by SIGKILL, and started "
        f"again up to "
        "3.5 s later.",
        f"- {mishaps['clock']} times the clock was set, by {jumps}.",
        f"- The disk of clips and states, a file system of 8 MB, was full for {disk['full_seconds']:.0f} s.",
        f"- Twice the web server answered 503 for 4 s, to {events['refused_by_webhook']} requests in all.",
        "",
        "Time that runs so fast needs shorter patience. `benchmarks/soak_child.py` sets these constants of "
        f"`yamnet_cry.home.station`, and then runs the command: no sound after {shorter['NO_SOUND']:g} "
        f"s instead "
        f"of 10, {shorter['_OPENING']:g} s instead of 20 while a camera is opened, a connection is a "
        f"good one "
        f"after {shorter['_HEALTHY']:g} s instead of 60, pauses of {least:g} to {most:g} s instead of 1 "
        f"to 120, "
        f"and {shorter['MOST_WAITING']:g} s of sound may wait instead of 10. When more would, a camera "
        "must wait, as a pipe does: on a busy machine, at this speed, sound would be left out that never is "
        "at real time. "
        "Digital silence counts seconds of sound and is not changed; nor is anything of the broker's and the "
        "web server's. It also replaces `time.time` and `yamnet_cry.home.clock.now` by ones that are "
        "wrong by "
        "as much as a file says; that is how the clock is set.",
        "",
        "## Events",
        "",
        f"The detector hears {events['expected']} events in the same sound, given to it in one piece "
        f"for each "
        f"connection. {events['same']} of them were told with the same start and end"
        + (
            f"; {events['open_ended']} connections were broken off while it cried, and their last event, of "
            "which not all may have arrived, is not compared"
            if events["open_ended"]
            else ""
        )
        + f". {len(events['wrong'])} of {mishaps['kills'] + mishaps['stalls']} connections had others.",
        "",
        f"{events['told']} messages of {events['ids']} events were told on stdout (a start and an end each):",
        "",
        "| way | messages | missing | of unknown id | came twice | out of order |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {name} | {way['messages']} | {way['missing']} | {way['unknown']} | {way['twice']} | "
            f"{way['out_of_order']} |"
            for name, way in ways.items()
        ),
        "",
        f"Messages that were left out, by the program's own count: {events['left_out']}. What is sent "
        f"to a broker "
        "that ends before it has acknowledged it comes twice; whoever reads must go by `id` and kind, "
        "as this "
        "table does. The subscriber has a durable session, and the broker writes down what it holds. Of "
        "sources "
        f"that went deaf or were heard again, stdout had {events['deaf_and_hearing']['stdout']} "
        f"messages and the "
        f"webhook {events['deaf_and_hearing']['webhook']}.",
        "",
        "## Coming back",
        "",
        "In real seconds, not those of the sound:",
        "",
        f"- from a camera's return to its sound: {_spread(recovery['sources'])}",
        f"- from a camera's silence, line open, to the sound of the next connection: "
        f"{_spread(recovery['stalls'])}, of which {shorter['NO_SOUND']:g} s are the patience above",
        f"- from a broker's return to being told so: {_spread(recovery['broker'])}",
        "",
        f"The first depends on the pause that is going on, here {most:g} s at most. With the pauses of the "
        "command, of 1 to 120 s, a camera that was away for a minute is tried again within about a "
        "minute, and "
        "one that was away for long within two.",
        "",
        "## What it took",
        "",
        "Medians of the first and of the last third of what follows the first fifth of the run: memory "
        f"{resources['resident_first']:.1f} MB and {resources['resident_last']:.1f} MB, never more than "
        f"{resources['resident_highest']:.1f} MB. "
        f"Open files: {resources['files_early']:g} and {resources['files_late']:g}, "
        f"at most {resources['files_highest']}. Threads: {resources['threads_early']:g} and "
        f"{resources['threads_late']:g}. {resources['samples']} samples, one a second. {disk['clips']} "
        "clips were left at the end; those that the clock makes older than 36 h are deleted.",
        "",
        "So that memory which is free is given back at once, and what is never freed can be seen, glibc is "
        "told: " + ", ".join(f"`{name}={value}`" for name, value in result["allocator"].items()) + ".",
        "",
        f"An hour of sound took {resources['cpu_seconds_per_hour']:.1f} s of a core: "
        f"{resources['cpu_seconds_per_hour_own']:.1f} s the program, "
        f"{resources['cpu_seconds_per_hour_ffmpeg']:.1f} s ffmpeg. It came in packets of 100 ms.",
        "",
        f"At real time, with the command as it is, for {real[0]['seconds']:.0f} s each, in % of a core "
        "for each source:",
        "",
        "| packets of | in all | ffmpeg | the detector | the rest |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {each['packet_milliseconds']} ms | {each['percent_of_core_a_source']:.2f} "
            f"| {each['ffmpeg']:.2f} | {each['detector']:.2f} | {each['own'] - each['detector']:.2f} |"
            for each in real
        ),
        "",
        "The detector's share is measured alone, without pauses. The rest is waking for each packet, caches "
        "that are cold after each pause, clips, states, and the broker's connection; other work on the "
        "machine makes all of it larger.",
    ]
    if events["wrong"]:
        lines += ["", "## Connections with other events", "", "```json"]
        lines += [json.dumps(each) for each in events["wrong"]] + ["```"]
    lines += [
        "",
        "## What it said",
        "",
        "Digits are written as 0, sources as SOURCE.",
        "",
        "| line | times |",
    ]
    lines += ["| --- | --- |"]
    lines += [f"| {line.replace('|', '/')} | {count} |" for line, count in sorted(result["warnings"].items())]
    return "\n".join(lines) + "\n"


def draw(series: dict[str, list[float]]) -> None:
    """Draws memory, open files and sources that are heard."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(8, 5), layout="constrained")
    minutes = [seconds / 60 for seconds in series["seconds"]]
    for axis, (key, label) in zip(
        axes,
        (("megabytes", "memory, MB"), ("files", "open files"), ("hearing", "sources heard")),
        strict=True,
    ):
        axis.step(minutes, series[key], where="post", linewidth=1.0)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes")
    axes[-1].set_yticks([0, 1, 2])
    figure.savefig(PICTURE, dpi=80)
    pyplot.close(figure)


def write() -> None:
    """Writes the report and the picture."""
    result = json.loads((HERE / "soak.json").read_text(encoding="utf-8"))
    write_whole(HERE / "soak.md", text(result))
    draw(result["series"])


if __name__ == "__main__":
    write()
