"""yamnet-cry classify, and other commands' messages about models of sounds other than crying."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from sounds import hiss, hum

from yamnet_cry import Classifier
from yamnet_cry.audio import ffmpeg
from yamnet_cry.cli import main, status


def run(*arguments: object, **named: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], **named)


@pytest.fixture
def sounds(tmp_path) -> Path:
    folder = tmp_path / "sounds"
    (folder / "inner").mkdir(parents=True)
    soundfile.write(folder / "hum.wav", hum(2), 16_000)
    soundfile.write(folder / "inner" / "hiss.flac", hiss(3), 16_000)
    return folder


def test_a_line_a_recording(sounds, small_model):
    result = run("classify", sounds, "--model", small_model)
    classifier = Classifier.from_pretrained(small_model)
    files = [sounds / "hum.wav", sounds / "inner/hiss.flac"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [f"{file}: {classifier(file)}" for file in files]
    assert result.stdout.startswith(f"{sounds / 'hum.wav'}: hum 0.9")
    one = run("classify", "--top", 1, "--model", small_model, *files)
    assert one.stdout == "".join(line.partition(",")[0] + "\n" for line in result.stdout.splitlines())


def test_json_for_machines(sounds, small_model):
    result = run("classify", "--json", sounds, "--model", small_model)
    first, second = map(json.loads, result.stdout.splitlines())
    expected = Classifier.from_pretrained(small_model)(sounds / "hum.wav").to_dict()
    assert first == {"file": str(sounds / "hum.wav"), **expected}
    assert (second["label"], second["seconds"]) == ("hiss", 3.0)


def test_a_bad_file_does_not_stop_the_others(sounds, small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "program", lambda: None)
    (tmp_path / "bad.wav").write_text("no audio")
    (sounds / "video.mp4").write_text("")
    result = run("classify", tmp_path / "bad.wav", tmp_path / "missing.wav", sounds, "--model", small_model)
    assert result.exit_code == 2
    assert len(result.stdout.splitlines()) == 2
    left_out, first, second = result.stderr.splitlines()
    assert left_out.startswith("Left out: 1 file in a format that needs ffmpeg: .mp4 (1)")
    assert first.startswith(f"Error: {tmp_path / 'bad.wav'} is not audio that can be decoded")
    assert second == f"Error: {tmp_path / 'missing.wav'}: no such file"


def test_standard_input(sounds, small_model):
    result = run("classify", "-", "--model", small_model, input=(sounds / "hum.wav").read_bytes())
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("-: hum 0.9")
    result = run("classify", "-", "--model", small_model, input=b"nothing")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: - is not audio that can be decoded")


def test_a_recording_cut_short(sounds, small_model):
    path = sounds / "hum.wav"
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16_000])
    result = run("classify", path, "--model", small_model)
    assert (result.exit_code, result.stdout[: len(f"{path}: hum")]) == (0, f"{path}: hum")
    assert result.stderr == f"Warning: {path} is truncated; only the first 1.0 s were classified\n"
    strict = run("classify", "--strict", path, "--model", small_model)
    assert (strict.exit_code, strict.stdout) == (2, "")
    assert strict.stderr.startswith(f"Error: {path} is truncated")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav"], "Missing option '--model'"),
        (["--model", "nowhere", "a.wav"], "Error: expected a model folder or a repository id"),
        (["--model", "hub", "--top", "0", "a.wav"], "0 is not in the range x>=1"),
        (["--model", "hub", "--revision", "v1", "a.wav"], "hub is a folder, which has no revisions"),
    ],
)
def test_what_cannot_be_done(monkeypatch, released, tmp_path, arguments, message):
    monkeypatch.chdir(released.parent)
    soundfile.write(tmp_path / "a.wav", hum(1), 16_000)
    result = run("classify", *[str(tmp_path / each) if each == "a.wav" else each for each in arguments])
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_it_says_how_far_it_is(sounds, small_model, monkeypatch):
    shown: list[str] = []
    monkeypatch.setattr(status.Progress, "PATIENCE", 0.0)
    monkeypatch.setattr(status.Progress, "PAUSE", 0.0)
    monkeypatch.setattr(status.StatusLine, "show", lambda _, text: shown.append(text))
    assert run("classify", sounds, "--model", small_model).exit_code == 0
    # The first recording has two of the five seconds.
    shares = [int(text.partition(" %")[0].split()[-1]) for text in shown]
    assert shares == sorted(shares)
    assert 20 < shares[0] <= 48
    assert 80 < shares[-1] <= 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_it_is_stopped(sounds, small_model, monkeypatch, number):
    heard = Classifier.__call__

    def stopped_in_the_second(self, source, **named):
        if source.name == "hiss.flac":
            signal.raise_signal(number)
        return heard(self, source, **named)

    monkeypatch.setattr(Classifier, "__call__", stopped_in_the_second)
    # The process that started the tests may ignore the signal, as a shell does for background jobs.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        result = run("classify", sounds, "--model", small_model)
    finally:
        signal.signal(number, before)
    assert (result.exit_code, len(result.stdout.splitlines())) == (2, 1)
    assert result.stderr == "Error: stopped after 1 of 2 recordings\n"


@pytest.mark.parametrize("command", ["detect", "listen", "calibrate"])
def test_what_hears_crying_alone_names_what_hears_the_rest(command, small_model, sounds, tmp_path):
    more = {"detect": [sounds], "listen": ["-"], "calibrate": [sounds / "hum.wav", "--out", tmp_path / "new"]}
    result = run(command, "--model", small_model, *more[command])
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: this model classifies silence, hum, hiss; CryDetector needs a cry detection model. "
        "Use Classifier or `yamnet-cry classify`\n"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tflite", "an INT8 TFLite file of 3,"),
        ("keras", "its probabilities of a test scene differ by at most 0.0"),
    ],
)
def test_the_network_of_any_model_is_exported(small_model, tmp_path, name, told):
    result = run("export", small_model, "--format", name, "--out", tmp_path / "out.keras")
    assert result.exit_code == 0, result.output
    assert told in result.stdout


def test_the_c_array_brings_its_labels(small_model, tmp_path):
    folder = tmp_path / "array"
    result = run("export", small_model, "--format", "c-array", "--out", folder)
    assert result.exit_code == 0, result.output
    header = (folder / "yamnet_cry_model.h").read_text()
    assert "#define YAMNET_CRY_LABELS 3\n" in header
    assert "THRESHOLD" not in header
    cpp = shutil.which("g++")
    if cpp is None:
        pytest.skip("no g++")
    source = '#include <cstdio>\n#include "yamnet_cry_model.h"\nint main() {\n'
    source += "  for (const char* label : yamnet_cry_labels) std::puts(label);\n"
    source += '  std::printf("%d\\n", yamnet_cry_model[YAMNET_CRY_MODEL_BYTES - 1]); }\n'
    (folder / "main.cc").write_text(source)
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    built = ("main.cc", "yamnet_cry_model.cc", "-o", "labels")
    subprocess.run([cpp, *flags, *built], cwd=folder, check=True)
    printed = subprocess.run([folder / "labels"], capture_output=True, text=True, check=True).stdout
    last = Classifier.from_pretrained(small_model).model[-1]
    assert printed.splitlines() == ["silence", "hum", "hiss", str(last)]


def test_the_firmware_kit_is_for_crying_alone(small_model, tmp_path):
    result = run("export", small_model, "--format", "firmware", "--out", tmp_path / "kit")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: the firmware kit needs a cry detection model; this model classifies silence, hum, hiss. "
        "Export its network alone, with --format c-array or tflite\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_hour_leaves_a_line(small_model, tmp_path):
    """In a separate process, with nothing on stderr."""
    soundfile.write(tmp_path / "hour.wav", np.zeros(16_000 * 3_600, np.int16), 16_000)
    command = [sys.executable, "-m", "yamnet_cry", "classify", tmp_path / "hour.wav", "--model", small_model]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (result.stdout[: len(f"{tmp_path}/hour.wav: silence")], result.stderr) == (
        f"{tmp_path}/hour.wav: silence",
        "",
    )
