"""Time and cost of a pass on many machines, calculated and simulated."""

import json
import math
from dataclasses import replace

import pytest
import scale_report
from hypothesis import given
from hypothesis import strategies as st
from scale_model import Assumed, Measured, bill, simulated

MEASURED = Measured({"decoding": 0.01, "teacher": 0.09}, 100, 0.5, 0.01, 20.0, 1e6, 2e4)
CALM = Assumed("some", 4, 1.0, 10.0, 5_000, 0.0, 60.0)


def test_the_report_is_that_of_its_figures():
    content = json.loads((scale_report.HERE / "scale.json").read_text(encoding="utf-8"))
    assert scale_report.REPORT.read_text(encoding="utf-8") == scale_report.text(content)


def test_the_simulation_gives_what_was_measured_with_two_workers():
    content = json.loads((scale_report.HERE / "scale.json").read_text(encoding="utf-8"))
    seconds = content["measured"]["workers"]["2"]["seconds"]
    assert scale_report.predicted(content, 2).seconds == pytest.approx(seconds, rel=0.15)
    # With one worker it reproduces the run it was derived from.
    alone = content["measured"]["workers"]["1"]["seconds"]
    assert scale_report.predicted(content, 1).seconds == pytest.approx(alone, rel=0.05)


def test_a_bill_by_hand():
    found = bill(MEASURED, CALM, 2, clips=8_000)
    # 80 tasks of 10.5 s on eight cores, half a task of waiting for the last one, and the startup.
    assert found.hours * 3600 == pytest.approx(20 + 80 * 10.5 / 8 + 10.5 / 2)
    assert found.dollars == pytest.approx(2 * found.hours)
    assert (found.bottleneck, found.limits["teacher"]) == ("teacher", pytest.approx(90.0))
    assert found.limits["network"] == pytest.approx(8_000 * 1.02e6 * 8 / 20e9)
    assert found.limits["requests"] == pytest.approx((8_000 + 160) / 5_000)
    assert found.limits["driver"] == pytest.approx(0.8)
    slow = replace(CALM, requests=10)
    assert bill(MEASURED, slow, 2, clips=8_000).bottleneck == "requests"


def test_without_failures_it_is_arithmetic():
    run = simulated(MEASURED, CALM, 2, 80)
    # The driver assigns ten rounds of tasks to eight cores.
    assert run.seconds == pytest.approx(20 + 10 * 10.5, abs=80 * 0.01)
    assert (run.done, run.lost, run.failures) == (80, 0, 0)
    assert 0.8 < run.busy < 1


def test_a_driver_that_is_slow_holds_up_everything():
    slow = replace(MEASURED, driver_seconds=30.0)
    assert simulated(slow, CALM, 100, 80).seconds == pytest.approx(20 + 80 * 30.0 + 10.5)


@given(st.integers(1, 20), st.integers(1, 200), st.floats(0.0, 99.0), st.floats(0.0, 1.0), st.integers(0, 5))
def test_every_task_is_done_once_whatever_is_taken_away(machines, tasks, reclaimed, spread, seed):
    stormy = replace(CALM, reclaimed=reclaimed)
    run = simulated(MEASURED, stormy, machines, tasks, spread=spread, seed=seed)
    assert run.done == tasks
    assert 0 < run.busy <= 1
    assert run == simulated(MEASURED, stormy, machines, tasks, spread=spread, seed=seed)
    assert (run.lost == 0) or run.failures
    least = MEASURED.start_seconds
    assert run.seconds > least
    assert math.isfinite(run.seconds)
