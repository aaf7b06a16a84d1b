import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from yamnet_cry import CryDetector, __version__
from yamnet_cry.cli import main
from yamnet_cry.demo import nursery
from yamnet_cry.false_alarms import CalibrationError


@pytest.fixture
def crying(tmp_path) -> str:
    soundfile.write(tmp_path / "nursery.wav", nursery(), 16_000)
    return str(tmp_path / "nursery.wav")


@pytest.fixture
def quiet(tmp_path) -> str:
    soundfile.write(tmp_path / "quiet.flac", nursery()[:80_000], 16_000)
    return str(tmp_path / "quiet.flac")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_detect_prints_a_line_a_file(crying, quiet):
    result = run("detect", crying, quiet)
    assert result.exit_code == 0
    detector = CryDetector.from_pretrained()
    assert result.stdout.splitlines() == [f"{file}: {detector(file)}" for file in (crying, quiet)]
    assert f"{crying}: crying for " in result.stdout
    assert f"{quiet}: no crying (probability 0.0" in result.stdout


def test_detect_prints_json_for_machines(crying, quiet):
    result = run("detect", "--json", crying, quiet)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["file"] for line in lines] == [crying, quiet]
    assert [line["is_cry"] for line in lines] == [True, False]
    assert lines[0] == {"file": crying, **CryDetector.from_pretrained()(crying).to_dict()}


def test_exit_codes_only_on_request(crying, quiet):
    assert run("detect", quiet).exit_code == 0
    assert run("detect", "--exit-code", quiet).exit_code == 1
    assert run("detect", "--exit-code", quiet, crying).exit_code == 0


@pytest.mark.slow
def test_a_bad_file_does_not_stop_the_others(crying, quiet, tmp_path):
    (tmp_path / "bad.wav").write_text("no audio")
    result = run("detect", "--exit-code", tmp_path / "bad.wav", quiet, tmp_path / "missing.wav", crying)
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"Error: {tmp_path / 'bad.wav'} is not audio that can be decoded")
    assert second == f"Error: {tmp_path / 'missing.wav'}: no such file"


def test_the_threshold_can_be_named(crying):
    assert "no crying" in run("detect", "--threshold", "1", crying).stdout
    assert run("detect", "--threshold", "2", crying).exit_code == 2


def test_another_model(crying, model_copy, tmp_path):
    assert run("detect", "--model", model_copy, crying).stdout == run("detect", crying).stdout
    result = run("detect", "--model", tmp_path / "nothing", crying)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: expected a model folder or a repository id")
    assert "Traceback" not in result.output


def test_calibrate_saves_a_detector_for_the_room(crying, tmp_path):
    wave = np.random.default_rng(0).standard_normal(16_000 * 90) * 0.001
    soundfile.write(tmp_path / "room.wav", wave, 16_000)
    tolerable = ("--false-alarms", 2)
    result = run("calibrate", tmp_path / "room.wav", "--out", tmp_path / "room", *tolerable)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{tmp_path / 'room'}: threshold 0.500, ")
    assert "from 1.5 minutes" in result.stdout
    kept = f"{CryDetector.from_pretrained().config.event_recall.at(0.5) * 100:.0f} %"
    assert f"at this threshold {kept} of crying clips still raise an event ({kept} before)" in result.stdout
    assert "to confirm 2 per hour, record 1 h 30 min of the room" in result.stdout
    assert run("detect", "--model", tmp_path / "room", crying).stdout == run("detect", crying).stdout
    again = run("calibrate", "--json", tmp_path / "room.wav", "--out", tmp_path / "second", *tolerable)
    assert json.loads(again.stdout)["threshold"] == 0.5


def test_calibrate_explains_what_it_cannot_do(crying, tmp_path):
    result = run("calibrate", crying, "--out", tmp_path / "room")
    assert result.exit_code == 2
    assert "expected at least 60 s of the room" in result.stderr
    assert not (tmp_path / "room").exists()
    assert run("calibrate", crying, "--out", tmp_path / "room", "--false-alarms", 0).exit_code == 2
    result = run("calibrate", tmp_path / "nothing.wav", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {tmp_path} already exists; choose another folder\n"


def test_calibrate_refuses_a_room_with_a_baby_in_it(tmp_path):
    wave = np.tile(nursery(), 4)
    soundfile.write(tmp_path / "room.wav", wave, 16_000)
    out = tmp_path / "room"
    result = run("calibrate", tmp_path / "room.wav", "--out", out)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: not calibrated: ")
    assert "If that is a baby, record the room again without crying" in result.stderr
    assert (result.stdout, list(tmp_path.iterdir())) == ("", [tmp_path / "room.wav"])
    report = json.loads(run("calibrate", "--json", tmp_path / "room.wav", "--out", out).stdout)
    assert report["refused"].startswith("not calibrated: ")
    assert report["recall"] < 0.8 < report["recall_before"]
    assert report["stretches"][0]["classes"][0][0] == "Baby cry, infant cry"
    assert not out.exists()
    detector = CryDetector.from_pretrained()
    with pytest.raises(CalibrationError):
        detector.calibrate(str(tmp_path / "room.wav"))
    assert detector.threshold == 0.5


def test_version_and_help():
    assert __version__ in run("--version").output
    for command in ("calibrate", "classify", "detect", "distill", "evaluate", "listen"):
        assert command in run("--help").output
        assert run(command, "--help").exit_code == 0


@pytest.mark.slow
def test_evaluate_writes_the_metrics(released, synthetic_corpus, tmp_path):
    out = tmp_path / "metrics.json"
    result = run("evaluate", released, "--audio", synthetic_corpus, "--out", out)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "metrics.png").read_bytes()[:4] == b"\x89PNG"
    metrics = json.loads(out.read_text())
    assert metrics["evaluation"]["split"] == "test"
    assert metrics["models"]["int8"]["all"]["cry"] == 4
    assert metrics["models"]["int8"]["threshold"] == CryDetector.from_pretrained(released).threshold
    (tmp_path / "metrics.png").write_text("mine")
    out.unlink()
    again = run("evaluate", released, "--audio", synthetic_corpus, "--out", out)
    assert again.exit_code == 2
    assert f"Error: {tmp_path / 'metrics.png'} would be overwritten; choose other paths" in again.stderr
    assert (tmp_path / "metrics.png").read_text() == "mine"
    assert not out.exists()
    again = run("evaluate", released, "--audio", synthetic_corpus, "--out", out, "--overwrite")
    assert again.exit_code == 0
    assert (tmp_path / "metrics.png").read_bytes()[:4] == b"\x89PNG"
    printed = run("evaluate", released, "--audio", synthetic_corpus, "--split", "val")
    assert json.loads(printed.stdout)["evaluation"]["split"] == "val"


def test_evaluate_takes_several_corpora(released, synthetic_corpus, quiet, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    manifest = ["file,target,split,group", "quiet.flac,not_cry,test,another"]
    (folder / "quiet.flac").write_bytes(Path(quiet).read_bytes())
    (folder / "manifest.csv").write_text("\n".join(manifest))
    result = run("evaluate", released, "--audio", synthetic_corpus, "--audio", folder)
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)["models"]["int8"]["all"]
    assert (measured["cry"], measured["not_cry"]) == (4, 5)


@pytest.mark.parametrize("command", ["detect", "listen", "calibrate", "export"])
def test_a_revision_without_a_model_is_refused(command, quiet, tmp_path):
    new = ["--out", tmp_path / "new"]
    more = {
        "detect": [quiet],
        "listen": [],
        "calibrate": [quiet, *new],
        "export": ["--format", "tflite", *new],
    }
    result = run(command, "--revision", "v9", *more[command])
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: the bundled model has no revisions; pass a repository as well. Received: revision='v9'\n"
    )


def test_evaluate_explains_what_it_cannot_do(released, synthetic_corpus, tmp_path):
    result = run("evaluate", released, "--audio", tmp_path / "nothing")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: a corpus is a folder with manifest.csv")
    result = run("evaluate", released, "--audio", synthetic_corpus, "--out", tmp_path / "no" / "m.json")
    assert result.exit_code == 2
    assert "m.json cannot be written (No such file or directory)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "best"], "expected one of the recipes cry, context, reference"),
        (["--set", "train.epoch=1"], "expected a setting KEY=VALUE with one of"),
        (
            ["--set", "train.epochs=0"],
            "expected train.epochs to be a whole number from 1 to 100000. Received: 0",
        ),
        (
            ["--set", "student.blocks=[[1024,1],[1024,1]]"],
            "expected a student of at most 300,000,000 multiply-acc",
        ),
        (["--teacher", "nowhere"], "expected a teacher: tfhub, yamnet_folded.npz"),
        (["--audio", "nowhere"], "a corpus is a folder with manifest.csv"),
    ],
)
def test_distill_explains_what_it_cannot_do(synthetic_corpus, small_teacher, tmp_path, arguments, message):
    given = {"--audio": synthetic_corpus, "--teacher": small_teacher, "--out": tmp_path / "model"}
    given[arguments[0]] = arguments[1]
    result = run("distill", *[part for pair in given.items() for part in pair])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {message}")
    assert not list(tmp_path.glob("model*"))


@pytest.mark.slow
def test_the_program_is_quiet_on_stderr(crying):
    """LiteRT's messages do not reach the user, Python's errors do."""
    program = str(Path(sys.executable).with_name("yamnet-cry"))
    good = subprocess.run([program, "detect", crying], capture_output=True, text=True, check=True)
    assert good.stderr == ""
    bad = subprocess.run([program, "detect", "missing.wav"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stderr) == (2, "Error: missing.wav: no such file\n")


def test_the_base_install_explains_what_distilling_needs(tmp_path):
    """The extra's packages are hidden from the import system."""
    code = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('keras', 'tensorflow') else find(name, *a)\n"
        "sys.argv = ['yamnet-cry', 'distill', '--audio', 'a', '--teacher', 'b', '--out', 'c']\n"
        "from yamnet_cry.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == (
        "Error: distillation needs keras, tensorflow, which the base install leaves out: "
        'pip install "yamnet-cry[distill]"\n'
    )


@pytest.mark.slow
def test_an_hour_is_one_line(tmp_path):
    soundfile.write(tmp_path / "hour.wav", np.zeros(16_000 * 3_600, np.int16), 16_000)
    result = run("detect", "--json", tmp_path / "hour.wav")
    assert len(json.loads(result.stdout)["scores"]) == 7_499


def test_a_prior_is_refused_by_a_model_that_does_not_know_its_own(crying, release_0_1_0):
    result = run("detect", "--model", release_0_1_0, crying, "--prior", 0.05)
    assert result.exit_code == 2
    assert "this model has no calibration prior; set its threshold instead" in result.stderr
    assert run("detect", crying, "--prior", 0).exit_code == 2
