"""The rules that decide which events are reported."""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yamnet_cry.events import Event
from yamnet_cry.home import alarm as home_alarm
from yamnet_cry.home.alarm import Alarm, Hours, Rules
from yamnet_cry.home.clock import StreamClock
from yamnet_cry.streaming import Update

NOON = datetime(2026, 3, 1, 12).astimezone()


class Room:
    """An alarm whose stream began at a given time, and the messages it sent."""

    def __init__(self, rules: Rules, began: datetime = NOON) -> None:
        self.heard: list[dict] = []
        self.told: list[dict] = []
        self.alarm = Alarm("nursery", rules, heard=self.heard.append, tell=self.told.append)
        clock = StreamClock(lambda: began.timestamp())
        clock.advance(1e-6)
        self.alarm.connect(clock)

    def cry(self, start: float, end: float, *, closing: bool = False) -> None:
        """Pushes a cry between two times, window by window and one second late."""
        moment = start + 1.0
        self.alarm.take(Update(moment, 0.9, -30.0, crying=True, started=start))
        while moment + 0.48 < end + 1.0:
            moment += 0.48
            self.alarm.take(Update(moment, 0.8, -30.0, crying=True))
        event = Event(start, end, 0.9, 0.8)
        self.alarm.take(Update(end + 1.0, 0.1, -60.0, finished=(event,), closing=closing))

    @property
    def kinds(self) -> list[tuple[str, float]]:
        return [(message["event"], message["start"]) for message in self.told]


def test_without_rules_all_is_told_at_once():
    room = Room(Rules())
    room.cry(2.0, 10.0)
    assert room.kinds == [("started", 2.0), ("ended", 2.0)]
    assert room.told == room.heard
    started, ended = room.told
    assert started["id"] == ended["id"]
    late = datetime.fromisoformat(started["started_at"]) - NOON - timedelta(seconds=2)
    assert abs(late) <= timedelta(milliseconds=2)
    assert (ended["seconds"], ended["peak"], ended["interrupted"]) == (8.0, 0.9, False)


def test_crying_must_last():
    room = Room(Rules(least_seconds=5.0))
    room.cry(2.0, 6.0)
    assert (room.kinds, len(room.heard)) == ([], 2)
    room.cry(20.0, 30.0)
    assert room.kinds == [("started", 20.0), ("ended", 20.0)]


def test_after_an_alarm_there_is_none_for_a_while():
    room = Room(Rules(cool_down=60.0))
    room.cry(0.0, 10.0)
    room.cry(20.0, 40.0)
    # This cry still continues when the minute is over.
    room.cry(60.0, 90.0)
    assert room.kinds == [("started", 0.0), ("ended", 0.0), ("started", 60.0), ("ended", 60.0)]
    assert len(room.heard) == 6


def test_quiet_hours_go_over_midnight():
    rules = Rules(quiet_hours=(Hours.parse("22:00-6:30"),))
    at_night = Room(rules, NOON.replace(hour=23))
    at_night.cry(0.0, 10.0)
    assert (at_night.kinds, len(at_night.heard)) == ([], 2)
    by_day = Room(rules)
    by_day.cry(0.0, 10.0)
    assert by_day.kinds == [("started", 0.0), ("ended", 0.0)]
    into_the_day = Room(rules, NOON.replace(hour=6, minute=29))
    into_the_day.cry(40.0, 80.0)
    assert into_the_day.kinds == [("started", 40.0), ("ended", 40.0)]


@pytest.mark.parametrize("text", ["", "22-6", "25:00-6:00", "9:00-9:00", "9:00 to 10:00"])
def test_hours_that_are_none(text):
    with pytest.raises(ValueError, match="expected hours such as 9:00-17:30. Received"):
        Hours.parse(text)


def test_muting_holds_back_what_starts_and_never_what_ends(monkeypatch):
    monkeypatch.setattr(home_alarm, "now", lambda: NOON)
    room = Room(Rules())
    room.alarm.mute(1.0)
    room.cry(0.0, 30.0)
    assert room.told == []
    # Crying that continues when the minute is over is reported then.
    room.cry(40.0, 80.0)
    assert room.kinds == [("started", 40.0), ("ended", 40.0)]
    assert room.alarm.muted_until is None
    room.alarm.take(Update(100.0, 0.9, -30.0, crying=True, started=99.0))
    assert room.alarm.crying
    room.alarm.mute(30.0)
    room.alarm.take(Update(111.0, 0.1, -30.0, finished=(Event(99.0, 110.0, 0.9, 0.8),)))
    assert room.kinds[-2:] == [("started", 99.0), ("ended", 99.0)]
    room.alarm.mute(0)
    assert room.alarm.muted_until is None


def test_what_the_end_of_the_stream_alone_made_an_event_of():
    room = Room(Rules())
    event = Event(0.0, 0.9, 0.8, 0.8)
    room.alarm.take(Update(0.96, 0.8, -30.0, started=0.0, finished=(event,), closing=True))
    assert room.kinds == [("started", 0.0), ("ended", 0.0)]
    assert room.told[1]["interrupted"] is True


def test_the_stream_may_begin_again():
    room = Room(Rules(cool_down=3_600.0))
    room.cry(0.0, 10.0)
    clock = StreamClock(lambda: (NOON + timedelta(minutes=30)).timestamp())
    clock.advance(1e-6)
    room.alarm.connect(clock)
    room.cry(0.0, 10.0)
    assert room.kinds == [("started", 0.0), ("ended", 0.0)]


@pytest.mark.parametrize("cool_down", [0.0, 60.0])
def test_a_clock_that_was_set_back_holds_no_alarm_back(cool_down):
    room = Room(Rules(cool_down=cool_down))
    room.cry(0.0, 10.0)
    clock = StreamClock(lambda: (NOON - timedelta(hours=5)).timestamp())
    clock.advance(1e-6)
    room.alarm.connect(clock)
    room.cry(0.0, 10.0)
    assert [kind for kind, _ in room.kinds] == ["started", "ended"] * 2


def test_a_clock_that_was_set_back_does_not_make_muting_last_longer(monkeypatch):
    monkeypatch.setattr(home_alarm, "now", lambda: NOON + timedelta(hours=5))
    passed = [0.0]
    monkeypatch.setattr(home_alarm, "monotonic", lambda: passed[0])
    room = Room(Rules())
    room.alarm.mute(30.0)
    passed[0] = 29.9 * 60
    room.cry(0.0, 10.0)
    assert room.told == []
    passed[0] = 30.0 * 60
    room.cry(20.0, 30.0)
    assert room.kinds == [("started", 20.0), ("ended", 20.0)]
    assert room.alarm.muted_until is None


@given(
    stretches=st.lists(st.tuples(st.floats(0.5, 40), st.floats(0.5, 40)), max_size=12),
    least=st.floats(0, 20),
    cool_down=st.floats(0, 60),
    begin=st.times(),
    muted=st.sets(st.integers(0, 12)),
)
def test_every_start_has_its_end(stretches, least, cool_down, begin, muted):
    hours = Hours(begin, time((begin.hour + 1) % 24, begin.minute))
    room = Room(Rules(least, cool_down, (hours,)))
    moment = 0.0
    for number, (pause, length) in enumerate(stretches):
        room.alarm.muted_until = NOON + timedelta(seconds=moment + 30) if number in muted else None
        room.cry(moment + pause, moment + pause + length)
        moment += pause + length
    told = room.told
    assert len(room.heard) == 2 * len(stretches)
    assert [message["event"] for message in told] == ["started", "ended"] * (len(told) // 2)
    for started, ended in zip(told[::2], told[1::2], strict=True):
        assert started["id"] == ended["id"]
        # The end of a cry is known a second later here.
        assert ended["seconds"] + 1.0 >= least - 1e-6
