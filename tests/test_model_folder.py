import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from yamnet_cry import Classifier, CryDetector
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.calibration import Calibration
from yamnet_cry.demo import nursery
from yamnet_cry.errors import ModelError
from yamnet_cry.events import EventSettings
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import config as model_config
from yamnet_cry.model import keras_file
from yamnet_cry.model.config import ModelConfig
from yamnet_cry.model.folder import (
    CONFIG,
    KERAS,
    KERAS_WEIGHTS,
    LARGEST,
    TFLITE,
    fingerprint,
    load,
)
from yamnet_cry.model.keras_file import unpack_keras
from yamnet_cry.task import Task


def edit(folder, **changes):
    path = folder / CONFIG
    config = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del config[key]
        else:
            config[key] = value
    path.write_text(json.dumps(config))


def as_version_1(values: dict) -> dict:
    """The config that releases before 0.2 wrote for the same model: classes and score instead of the task."""
    task = values["task"]
    old = {key: value for key, value in values.items() if key != "task"}
    return {
        **old,
        "format_version": 1,
        "classes": {"count": len(task["labels"]), "cry": [19, 20]},
        "score": model_config.SCORE,
    }


@pytest.fixture(params=[1, 2])
def version(request, model_copy) -> int:
    """The released folder in this version of the format."""
    written = load(model_copy)[0].to_json()
    assert json.loads(written)["format_version"] == 2
    if request.param == 1:
        written = json.dumps(as_version_1(json.loads(written)))
    (model_copy / CONFIG).write_text(written)
    return request.param


@pytest.mark.parametrize("other", [{}, {"event_recall": None}, {"keras": {}}])
def test_config_reads_as_it_was_written(released, model_copy, other):
    config = replace(load(released)[0], **other)
    (model_copy / CONFIG).write_text(config.to_json())
    again, *_ = load(model_copy)
    assert again == config
    assert again.to_json() == config.to_json()


def test_version_1_reads_as_version_2_and_names_no_task(released, model_copy):
    config, model, _ = load(released)
    values = json.loads(config.to_json())
    assert values["task"] == CRY_TASK.to_dict()
    assert values["task"]["group"] == ["Crying, sobbing", "Baby cry, infant cry"]
    (model_copy / CONFIG).write_text(json.dumps(as_version_1(values)))
    again, other, _ = load(model_copy)
    assert (again, other) == (config, model)
    assert again.to_json() == config.to_json()
    assert config.files[TFLITE] == fingerprint(model)
    assert config.files[KERAS] == fingerprint((released / KERAS).read_bytes())


def test_people_can_read_it(released):
    """Labels and Keras' config are on one line each; the rest is formatted by json."""
    text = load(released)[0].to_json()
    lines = text.splitlines()
    assert sum('"Baby cry, infant cry"' in line for line in lines) == 1
    assert max(len(line) for line in lines if not line.startswith(('  "task"', '  "config"'))) < 110
    assert text.startswith(
        '{\n  "format": "yamnet-cry",\n  "format_version": 2,\n  "front_end": {\n    "name"'
    )


def test_both_versions_score_to_the_same_bits(version, model_copy):
    wave = (nursery(), 16_000)
    found, expected = CryDetector.from_pretrained(model_copy)(wave), CryDetector.from_pretrained()(wave)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.to_dict() == expected.to_dict()


def test_a_folder_of_any_sounds(small_model):
    config, *_ = load(small_model)
    assert config.task == Task(("silence", "hum", "hiss"))
    written = json.loads((small_model / CONFIG).read_text())
    assert not set(written) & {"threshold", "calibration", "events", "event_recall", "classes", "score"}
    assert config.to_json() == (small_model / CONFIG).read_text()
    assert (config.threshold, config.calibration(0.25), config.events) == (0.5, 0.25, EventSettings())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": None}, "lacks the field 'task'"),
        ({"task": "pets"}, "expected task to be an object. Received: 'pets'"),
        ({"task": {"labels": ["a"]}}, "lacks the field 'task.kind'"),
        ({"task": {"kind": "both", "target": "", "group": [], "labels": ["a"]}}, "exclusive or independent"),
        ({"task": {"kind": "exclusive", "target": "", "group": [], "labels": []}}, "no labels. Copy or"),
        (
            {"task": {"kind": "exclusive", "target": "", "group": [], "labels": ["a", "a"]}},
            "expected task.labels to be a list of at most 10000 different names",
        ),
        (
            {"task": {"kind": "exclusive", "target": "a", "group": ["b"], "labels": ["a"]}},
            "expected task.group to name labels of the task. Received: 'b'",
        ),
        (
            {"task": {"kind": "exclusive", "target": "a", "group": ["a"], "labels": ["a"]}},
            "lacks the field 'threshold'",
        ),
        ({"threshold": 0.5}, "expected no field 'threshold', which only a task with a group has"),
        ({"event_recall": {}}, "expected no field 'event_recall', which only"),
    ],
)
def test_a_config_of_any_sounds_that_cannot_be_used(small_model, tmp_path, changes, message):
    folder = tmp_path / "model"
    shutil.copytree(small_model, folder)
    edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        Classifier.from_pretrained(folder)


def test_a_task_needs_labels():
    with pytest.raises(ValueError, match="expected task.labels to name each logit"):
        ModelConfig(task=Task(), recipe="a", parameters={}, files={}, package_version="1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": None}, "lacks the field 'classes'"),
        ({"classes": {"count": 521}}, "lacks the field 'classes.cry'"),
        ({"classes": {"count": 12, "cry": [3]}}, "expected classes.count to be 521. Received: 12"),
        ({"classes": {"count": 521, "cry": [19]}}, "classes.cry to be .19, 20.. Received: .19."),
        ({"score": "sigmoid(logits)[20]"}, "expected score to be 'softmax.* Received: 'sigmoid"),
    ],
)
def test_a_config_of_version_1_that_cannot_be_used(release_0_1_0, model_copy, changes, message):
    shutil.copyfile(release_0_1_0 / CONFIG, model_copy / CONFIG)
    edit(model_copy, **changes)
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)


def test_a_folder_from_before_recall_was_kept(version, model_copy):
    edit(model_copy, event_recall=None)
    config, *_ = load(model_copy)
    assert config.event_recall is None
    assert "event_recall" not in json.loads(config.to_json())


@pytest.mark.parametrize("name", [CONFIG, TFLITE])
def test_a_missing_file(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=f"is not a model folder: it has no {name}"):
        CryDetector.from_pretrained(model_copy)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"")
    with pytest.raises(ModelError, match="is not a model folder"):
        CryDetector.from_pretrained(tmp_path)


@pytest.mark.parametrize("cut", [0, 1_000])
def test_a_model_cut_short(model_copy, cut):
    path = model_copy / TFLITE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        ModelError, match=f'is not the file that {CONFIG} describes.*Received: .*"?bytes"?.*{cut}'
    ):
        CryDetector.from_pretrained(model_copy)


def test_a_model_with_one_flipped_bit(model_copy):
    path = model_copy / TFLITE
    content = bytearray(path.read_bytes())
    content[60_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file"):
        CryDetector.from_pretrained(model_copy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[1, 2]", r"expected an object. Received: \[1, 2\]"),
        (b'{"model_type": "bert"}', "is not a yamnet-cry configuration.*Received: None"),
    ],
)
def test_a_corrupt_or_foreign_config(model_copy, content, message):
    (model_copy / CONFIG).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 3}, "version 3; this package reads 1 and 2: pip install --upgrade yamnet-cry"),
        ({"format_version": 0}, "version 0; this package reads 1 and 2$"),
        ({"format_version": "x"}, "version 'x'; this package reads 1 and 2$"),
        ({"format_version": True}, "version True; this package reads 1 and 2$"),
        (
            {"front_end": {"name": "mfcc"}},
            "does not support its front end: it lacks the field 'front_end.sample_rate'",
        ),
        (
            {"front_end": {**YAMNET.to_dict(), "mel_bands": "64"}},
            "expected front_end.mel_bands to be a whole",
        ),
        ({"front_end": {**YAMNET.to_dict(), "dither": 1}}, "front_end has an unknown field 'dither'"),
        (
            {"front_end": {**YAMNET.to_dict(), "mel_bands": 40}},
            "front_end.mel_bands is 40. Received: .* 64, 1",
        ),
        ({"front_end": {**YAMNET.to_dict(), "frame_hop": 128}}, "frame_hop: expected 160, received 128$"),
        ({"front_end": {**YAMNET.to_dict(), "centred": True}}, "centred: expected False, received True$"),
        ({"front_end": None}, "expected front_end to be an object. Received: None"),
        ({"threshold": None}, "lacks the field 'threshold'"),
        ({"threshold": 3}, "expected threshold to be a number from 0 to 1. Received: 3"),
        ({"threshold": True}, "expected threshold to be a number from 0 to 1. Received: True"),
        ({"threshold": "high"}, "Received: 'high'"),
        ({"recipe": "x */ int main(void) {"}, "expected recipe to be 1 to 64 of the characters a-z"),
        ({"recipe": "cry\n"}, "expected recipe to be"),
        ({"recipe": ""}, "expected recipe to be"),
        ({"recipe": ["cry"]}, "expected recipe to be"),
        ({"package_version": "1 | <b>"}, "expected package_version to be a version such as 1.2.3"),
        ({"files": []}, "expected files to be an object"),
        ({"files": {TFLITE: {"bytes": 1}}}, f"lacks the field 'files.{TFLITE}.sha256'"),
        (
            {"files": {TFLITE: {"bytes": "1", "sha256": "0" * 64}}},
            f"expected files.{TFLITE}.bytes to be a whole",
        ),
        ({"files": {TFLITE: {"bytes": 1, "sha256": "x"}}}, "sha256 to be 64 hexadecimal digits"),
        ({"parameters": {}}, "lacks the field 'parameters.total'"),
        ({"parameters": [1, 2]}, "expected parameters to be an object"),
        ({"parameters": {"total": 1.5, "trainable": 1}}, "expected parameters.total to be a whole number"),
        ({"calibration": None}, "lacks the field 'calibration'"),
        ({"calibration": {"slope": 1}}, "lacks the field 'calibration.intercept'"),
        ({"calibration": {"slope": -1, "intercept": 0}}, "expected calibration.slope to be .* Received: -1"),
        ({"calibration": {"slope": "a", "intercept": 0}}, "expected calibration.slope to be a number"),
        ({"calibration": "platt"}, "expected calibration to be an object"),
        ({"events": None}, "lacks the field 'events'"),
        ({"events": {"smoothing": 0}}, "expected events.smoothing to be a whole number from 1 to 16"),
        ({"events": {"smoothing": 2.5}}, "expected events.smoothing to be .* Received: 2.5"),
        ({"events": {"smoothing": 1e30}}, "expected events.smoothing to be .* Received: 1e"),
        ({"events": {"smoothing": True}}, "expected events.smoothing to be .* Received: True"),
        ({"events": {"window": 10**9}}, "expected events.window to be a whole number from 1 to 16"),
        ({"events": {"votes": 3, "window": 2}}, "expected smoothing >= 1, 1 <= votes <= window"),
        ({"events": {"hold_seconds": "2"}}, "expected events.hold_seconds to be a number from 0 to 3600"),
        ({"event_recall": []}, "expected event_recall to be an object"),
        ({"event_recall": {"clips": 1}}, "lacks the field 'event_recall.groups'"),
        (
            {"event_recall": {"clips": 1, "groups": 1, "thresholds": [0, 2], "recall": [1, 0]}},
            "expected event_recall.thresholds to be a list of at most 1000 numbers from 0 to 1",
        ),
        (
            {"event_recall": {"clips": 1, "groups": 1, "thresholds": [0, 1], "recall": [0, 1]}},
            "shares in .0, 1. that never rise",
        ),
        ({"events": {"patience": 3}}, "events has an unknown field 'patience'; known: smoothing"),
    ],
)
def test_a_config_that_cannot_be_used(version, model_copy, changes, message):
    edit(model_copy, **changes)
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"slope": ', '"slope": NaN, "": ', "is not JSON .NaN is not a finite number"),
        ('"hold_seconds": 2.0', '"hold_seconds": 1e999', "is not JSON .1e999 is not a finite number"),
        ('"hold_seconds": 2.0', '"hold_seconds": -Infinity', "is not JSON .-Infinity is not a finite"),
        ('"total": ', '"total": 1' + "0" * 9_000 + ', "": ', "is not JSON .the number 1000.* is too large"),
        ('"recipe"', '"threshold": 0, "recipe"', "is not JSON .the key 'threshold' appears twice"),
        ('"parameters": {', '"parameters": ' + "[" * 90_000 + "{", "is not JSON .it is nested too deeply"),
        ('"recipe"', '"a": ' + "[" * 200 + "]" * 200 + ', "recipe"', "is not JSON .it is nested too deeply"),
    ],
)
def test_json_beyond_the_standard(model_copy, old, new, message):
    path = model_copy / CONFIG
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)


def test_every_reading_of_a_field_ends_in_one_line(version, model_copy):
    """A field of any type is either used, or refused with the field's name."""
    original = (model_copy / CONFIG).read_text()
    fields = [(key,) for key in ("recipe", "threshold", "package_version", "format", "front_end")]
    fields += [
        (top, key) for top in ("calibration", "events", "parameters") for key in json.loads(original)[top]
    ]
    fields += [("task", key) for key in CRY_TASK.to_dict() if version == 2]
    for *above, last in fields:
        for value in (None, True, -1, 0, 2**62, 1e300, "", "x\n", [], {}, [[]], {"a": {}}):
            config = json.loads(original)
            (config[above[0]] if above else config)[last] = value
            (model_copy / CONFIG).write_text(json.dumps(config))
            told = ""
            try:
                load(model_copy)
            except ModelError as error:
                told = str(error)
            assert not told or last.removesuffix("_end") in told
            assert "\n" not in told


def rezipped(path, **parts: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (content | {name.replace("__", "."): data for name, data in parts.items()}).items():
            archive.writestr(name, data)


def test_a_keras_file_that_unpacks_to_gigabytes(model_copy, monkeypatch):
    path = model_copy / KERAS
    monkeypatch.setitem(keras_file.LARGEST_PARTS, KERAS_WEIGHTS, 10**6)
    rezipped(path, **{KERAS_WEIGHTS: bytes(2 * 10**6)})
    assert path.stat().st_size < 50_000
    with pytest.raises(ModelError, match=f"{KERAS_WEIGHTS} exceeds the size limit.*1,000,000.*2,000,000"):
        unpack_keras(path)


def test_a_keras_file_with_more_in_it(model_copy):
    rezipped(model_copy / KERAS, **{"assets/run.py": b"import os"})
    with pytest.raises(ModelError, match=r"is not a Keras model: it contains .'assets/run.py'"):
        unpack_keras(model_copy / KERAS)


def test_a_keras_file_larger_than_any(model_copy):
    with (model_copy / KERAS).open("r+b") as file:
        file.truncate(LARGEST[KERAS] + 1)
    with pytest.raises(ModelError, match=r"model.keras exceeds the size limit.*Received: 134,217,729"):
        _ = CryDetector.from_pretrained(model_copy).keras_model


def test_the_release_0_1_0_reads_as_it_did(release_0_1_0):
    """Its config has the score's pooling of windows, and no recall, prior or context network."""
    old = CryDetector.from_pretrained(release_0_1_0)
    assert old.config.calibration == Calibration(1.614995142375937, 0.9770408447000969)
    assert (old.config.event_recall, old.context, old.prior) == (None, None, None)
    assert old.config.events == EventSettings()
    with pytest.raises(ValueError, match="this model has no calibration prior"):
        old.prior = 0.1
    with pytest.raises(ModelError, match="this model has no calibration prior; set its threshold instead"):
        old.set(prior=0.1)
    result = old((nursery(), 16_000))
    assert result.track is None
    np.testing.assert_array_equal(result.probabilities, old.config.calibration(result.scores))
    # Scores may differ by one step of the network's input.
    assert [(event.start, event.end) for event in result.events] == [(5.76, 14.16)]
    assert result.score == pytest.approx(0.3964, abs=2e-3)
