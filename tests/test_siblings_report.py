"""The reports on the sibling recipes agree with the measurements."""

import json

import pytest
import siblings_figures
import siblings_report
import siblings_runs

from yamnet_cry.distill import recipes
from yamnet_cry.distill.recipes import AED, KWS


@pytest.mark.slow
@pytest.mark.parametrize("name", list(siblings_report.REPORTS))
def test_reports_are_those_of_the_results(name):
    runs = siblings_report.results(name)
    text = siblings_report.REPORTS[name](runs) if runs else ""
    path = siblings_report.DOCS / f"{name}.md"
    assert (path.read_text(encoding="utf-8") if path.is_file() else "") == text


def test_the_table_is_that_of_the_results():
    assert siblings_report.TABLE.read_text(encoding="utf-8") == siblings_report.summary() + "\n"


@pytest.mark.parametrize("name", list(siblings_runs.RUNS))
def test_every_run_is_one_that_the_recipe_can_do(name):
    runs = list(siblings_runs.RUNS[name]())
    assert len({run.name for run in runs}) == len({run.folder for run in runs}) == len(runs)
    for run in runs:
        recipes.get(run.recipe, run.settings)
    known = {run.name for run in runs} | {siblings_runs.WHISPER, siblings_runs.MN04}
    assert {teacher for run in runs for teacher in run.teachers} <= known


def test_the_source_tried_nine_ways_of_teaching_and_so_are_tried_here():
    """Three temperatures and three label weights; with labels alone, temperature has no effect."""
    for student in siblings_runs.STUDENTS.values():
        ways = [run for run in siblings_runs.ser() if run.name.startswith(f"random/{student}/")]
        assert len([run for run in ways if "iterative" not in run.name]) == 7


def test_a_missing_run_is_a_dash():
    assert siblings_report.accuracy({}, "random/Wav2Small") == "-"
    assert siblings_report.of_folds({}, ["a", "b", "c"]) == "-"
    assert siblings_report.pooled({}, "DS-CNN/taught", KWS.task) == {}


def of_fold(clips):
    return {"clips": clips, "models": {"int8": {}}}


def test_folds_are_measured_together():
    # Five speakers with two clips each; one speaker is always misclassified.
    runs = {
        f"fold {fold}/x": of_fold([[f"s{fold}", [1], 1 if fold else 0], [f"s{fold}", [2], 2 if fold else 0]])
        for fold in range(5)
    }
    found = siblings_report.pooled(runs, "x", KWS.task)
    assert found["accuracy"]["value"] == 0.8
    assert found["accuracy"]["low"] < 0.8 < found["accuracy"]["high"]
    assert found["f1 no"]["value"] == pytest.approx(8 / 9)


def test_labels_that_come_together_are_ranked():
    runs = {
        f"fold {fold}/x": of_fold([[f"a{fold}", [0], [900, 1, 1]], [f"b{fold}", [], [100, 5, 5]]])
        for fold in range(5)
    }
    found = siblings_report.pooled(runs, "x", AED.task)
    assert found["average_precision Dog"]["value"] == 1.0
    assert "average_precision Gunshot, gunfire" not in found


def test_confusions_are_added_up_and_drawn(tmp_path):
    runs = {name: {"models": {"int8": {"confusion": [[3, 1], [0, 4]]}}} for name in "ab"}
    counts = siblings_report.confusion_of(runs, ["a", "b"])
    assert counts.tolist() == [[6, 2], [0, 8]]
    assert siblings_report.confusion_of(runs, ["a", "c"]) is None
    siblings_report.draw_confusions(tmp_path / "x.png", {"one": counts, "none": None}, ["left", "right"])
    assert (tmp_path / "x.png").stat().st_size > 5_000


def test_results_are_a_run_a_line():
    for path in siblings_report.DOCS.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) == len(json.loads(text)) + 2
        # No absolute path of a machine.
        assert '"/' not in text
        assert " /" not in text


def test_errors_are_compared_on_the_same_clips():
    # One label has two groups; the distilled model is better on one of them, and not on the other.
    def folds(answer):
        return {
            f"fold {fold}/{name}": of_fold(
                [
                    [f"a{fold}", [0], [900, 0, 0]],
                    [f"b{fold}", [0], [said, 0, 0]],
                    [f"c{fold}", [], [500, 0, 0]],
                    [f"d{fold}", [1], [0, 900, 0]],
                    [f"e{fold}", [2], [0, 0, 900]],
                ]
            )
            for fold in range(5)
            for name, said in answer.items()
        }

    runs = folds({"good": 800, "bad": 100})
    same = siblings_figures.error_ratio(runs, "bad", "bad", AED.task)
    assert (same["value"], same["low"], same["high"]) == (1.0, 1.0, 1.0)
    better = siblings_figures.error_ratio(runs, "good", "bad", AED.task)
    assert better["value"] == better["high"] == 0.0
    assert siblings_figures.error_ratio({}, "good", "bad", AED.task) == {}
