"""Compares the events that a run of the soak reported with the expected ones."""

import itertools
from collections import Counter
from typing import Any

from soak_watch import Program
from soak_world import ENDINGS, STALL, Hook, Source, Subscriber


def delivered(program: Program, hook: Hook, subscriber: Subscriber) -> dict[str, Any]:
    """Counts the messages of stdout that arrived at each output."""
    told = [message for _, message in program.messages if message["event"] in ("started", "ended")]
    names = Counter((message["id"], message["event"]) for message in told)
    ways = {}
    for way, messages in (
        ("webhook", [body for body in hook.bodies if body["event"] in ("started", "ended")]),
        ("mqtt", [message for _, message in subscriber.events]),
    ):
        got = Counter((message["id"], message["event"]) for message in messages)
        ways[way] = {
            "messages": len(messages),
            "missing": len(names - Counter(got.keys())),
            "unknown": len(got.keys() - names.keys()),
            "twice": sum(got.values()) - len(got),
            "out_of_order": _out_of_order(messages, told),
        }
    deaf = [message for _, message in program.messages if message["event"] in ("deaf", "hearing")]
    hooked = [body for body in hook.bodies if body["event"] in ("deaf", "hearing")]
    sources = {message["source"] for message in told}
    return {
        "told": len(told),
        "ids": len({identity for identity, _ in names}),
        "twice_on_stdout": sum(names.values()) - len(names),
        "unpaired": sum(_unpaired([m for m in told if m["source"] == name]) for name in sources),
        "ways": ways,
        "deaf_and_hearing": {"stdout": len(deaf), "webhook": len(hooked)},
        "left_out": sum(
            "dropped" in text or "was lost" in text or "is lost" in text for _, text in program.warnings
        ),
        "refused_by_webhook": hook.refused,
    }


def compared(
    program: Program, sources: list[Source], heard: dict[str, list[list[dict[str, float]]]]
) -> dict[str, Any]:
    """Compares reported events with the detector's on the same audio, segment by segment."""
    same = planned = loose = 0
    wrong: list[dict[str, Any]] = []
    ended = {m["id"]: m for _, m in program.messages if m["event"] == "ended"}
    starts = [(at, m) for at, m in program.messages if m["event"] == "started"]
    for source in sources:
        for number, segment in enumerate(source.segments):
            following = [each.begun for each in source.segments[number + 1 :] if each.begun]
            until = min(following, default=float("inf"))
            found = [
                {key: ended.get(m["id"], m).get(key) for key in ("start", "end")}
                for at, m in starts
                if m["source"] == source.name and segment.begun <= at < until
            ]
            wanted = list(heard[source.name][number])
            planned += len(wanted)
            # An event in progress when a connection breaks need not arrive.
            if segment.ending == ENDINGS[3]:
                loose += 1
                wanted, found = wanted[:-1], found[: len(wanted) - 1]
            if _alike(found, wanted):
                same += len(wanted)
            else:
                wrong.append(
                    {
                        "source": source.name,
                        "segment": number,
                        "ending": segment.ending,
                        "finished": segment.finished,
                        "wanted": wanted,
                        "found": found,
                    }
                )
    return {"expected": planned, "same": same, "open_ended": loose, "wrong": wrong}


def recovery(
    program: Program, sources: list[Source], returned: list[float], subscriber: Subscriber
) -> dict[str, Any]:
    """Returns the seconds from the restart of cameras to their sound, and of the broker to its next message.

    Args:
        program: The program.
        sources: Its cameras.
        returned: Times of the broker's restarts.
        subscriber: Subscriber of the broker.
    """
    recovered: dict[str, list[float]] = {"killed": [], STALL: []}
    for source in sources:
        hears = [at for at, m in program.messages if m["event"] == "hearing" and m["source"] == source.name]
        # No sound follows the last one.
        for segment in source.segments[:-1]:
            after = [at - segment.restored for at in hears if at >= segment.restored]
            recovered[STALL if segment.ending == STALL else "killed"].append(_soonest(after))
    broker = [_soonest([at - back for at in subscriber.online if at >= back]) for back in returned]
    return {"sources": recovered["killed"], "stalls": recovered[STALL], "broker": broker}


def _soonest(seconds: list[float]) -> float:
    return round(min(seconds, default=float("inf")), 2)


def _alike(found: list[dict[str, Any]], wanted: list[dict[str, float]]) -> bool:
    return len(found) == len(wanted) and all(
        abs((a[key] or -1) - b[key]) < 0.011
        for a, b in zip(found, wanted, strict=True)
        for key in ("start", "end")
    )


def _unpaired(told: list[dict[str, Any]]) -> int:
    """Counts messages that violate the order of started and ended, in pairs with the same id."""
    wrong = 0
    current: str | None = None
    for message in told:
        started = message["event"] == "started"
        wrong += (current is not None) if started else (current != message["id"])
        current = message["id"] if started else None
    return wrong + (current is not None)


def _out_of_order(messages: list[dict[str, Any]], told: list[dict[str, Any]]) -> int:
    """Counts messages that first arrived before one that was reported earlier."""
    place = {(m["id"], m["event"]): number for number, m in enumerate(told)}
    seen = list(dict.fromkeys((m["id"], m["event"]) for m in messages))
    numbers = [place[key] for key in seen if key in place]
    return sum(b < a for a, b in itertools.pairwise(numbers))
