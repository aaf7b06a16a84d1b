"""TFLite files whose input is samples: their front end, and the programs that run them."""

import io
import re
import sys
import zipfile
from ctypes.util import find_library
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from sounds import hiss

from yamnet_cry import Classifier, CryDetector, export
from yamnet_cry.audioset import CRY_CLASSES, NUM_CLASSES, class_names
from yamnet_cry.cli import main
from yamnet_cry.demo import nursery
from yamnet_cry.errors import ExportError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import tflite_join, waveform
from yamnet_cry.model.runtime import embedding_scale

TIME = np.arange(YAMNET.patch_samples) / YAMNET.sample_rate


@pytest.fixture(scope="module")
def detector():
    return CryDetector.from_pretrained()


@pytest.fixture(scope="module")
def folder(detector, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "frigate"
    said = export.write(detector, "frigate", out)
    assert "RFFT2D" in said
    assert "differ by at most 0.0" in said
    return out


@pytest.fixture(scope="module")
def file(folder) -> bytes:
    return (folder / "cpu_audio_model.tflite").read_bytes()


@pytest.fixture(scope="module")
def windows() -> np.ndarray:
    synthetic = [
        np.zeros_like(TIME),
        np.ones_like(TIME),
        np.sin(2 * np.pi * 1000 * TIME),
        np.sin(2 * np.pi * 440.3 * TIME),
        np.sign(np.sin(2 * np.pi * 200 * TIME)),
        np.resize(hiss(1), TIME.shape),
        np.eye(1, len(TIME), 7000)[0],
    ]
    return np.concatenate([np.float32(synthetic), YAMNET.waveforms(nursery())])


def assert_same_log_mel(windows: np.ndarray) -> None:
    graph = waveform.converted(lambda samples: waveform.log_mel(samples, YAMNET)[None], YAMNET.patch_samples)
    expected = np.stack([YAMNET.log_mel(window) for window in windows])
    np.testing.assert_allclose(waveform.answers(graph, windows), expected, rtol=0, atol=1e-3)


def test_the_front_end_in_the_graph_is_that_of_the_package(windows):
    assert_same_log_mel(windows)


def test_it_is_on_real_audio_too(shared):
    files = sorted((shared / "audio" / "esc50_subset").rglob("*.flac"))[:20]
    assert files
    heard = [YAMNET.waveforms(YAMNET.pad(soundfile.read(path, dtype="float32")[0]))[0] for path in files]
    assert_same_log_mel(np.stack(heard))


@pytest.mark.parametrize(
    "changes", [{"spectrum": "power"}, {"mean": -3.0, "standard_deviation": 2.0}, {"frame_hop": 200}]
)
def test_other_front_ends_are_computed_too(changes):
    front_end = replace(YAMNET, **changes)
    window = np.float32(0.1 * np.random.default_rng(0).standard_normal(front_end.patch_samples))
    graph = waveform.converted(lambda samples: waveform.log_mel(samples, front_end)[None], len(window))
    expected = front_end.log_mel(window)[None]
    np.testing.assert_allclose(waveform.answers(graph, window[None]), expected, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_probabilities_are_those_of_the_float_student(detector, file, windows):
    from yamnet_cry.model import context_keras

    scale = embedding_scale(detector.model, detector.context.inputs)
    context = context_keras.dequantized(detector.context, scale)
    student = context_keras.with_embedding(detector.keras_model)
    patches = np.stack([YAMNET.log_mel(window) for window in windows])[..., np.newaxis]
    logits, embeddings = (np.asarray(output) for output in student(patches, training=False))
    expected = detector.config.task.probabilities(logits)
    log_odds = np.asarray(context(embeddings[:, np.newaxis]))[:, 0]
    crying = detector.config.calibration.of_log_odds(log_odds)
    expected[:, CRY_CLASSES] = crying[:, np.newaxis]
    found = waveform.answers(file, windows)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert found.min() >= 0
    assert found.max() <= 1
    # The comparison is not trivial: silence scores low, and the synthesised baby high.
    assert crying.max() > 0.5 > 0.01 > crying[0]


def test_a_model_without_context_is_calibrated_by_its_score(release_0_1_0, detector, windows):
    old = CryDetector.from_pretrained(release_0_1_0)
    config = replace(detector.config, calibration=old.config.calibration)
    student = detector.keras_model
    file = waveform.converted(waveform.network(config, student, None), YAMNET.patch_samples)
    patches = np.stack([YAMNET.log_mel(window) for window in windows])[..., np.newaxis]
    score = config.task.score(np.asarray(student(patches, training=False)))
    found = waveform.answers(file, windows)[:, CRY_CLASSES]
    expected = config.calibration(score)[:, np.newaxis].repeat(2, axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_a_model_of_other_sounds(small_model, tmp_path):
    classifier = Classifier.from_pretrained(small_model)
    out = tmp_path / "small.tflite"
    assert "to 3 probabilities" in export.write(classifier, "waveform", out)
    (found,) = waveform.answers(out.read_bytes(), np.resize(hiss(1), (1, YAMNET.patch_samples)))
    assert classifier.config.task.labels[found.argmax()] == "hiss"
    assert found.sum() == pytest.approx(1.0, abs=1e-5)
    assert zipfile.ZipFile(out).read("labels.txt").decode().split() == ["silence", "hum", "hiss"]
    with pytest.raises(ExportError, match="needs a cry detection model; .* Use --format waveform"):
        export.write(classifier, "frigate", tmp_path / "frigate")
    assert not (tmp_path / "frigate").exists()


def test_front_ends_that_cannot_be_inside(detector):
    centred = replace(detector.config, front_end=replace(YAMNET, centred=True))
    with pytest.raises(ExportError, match="centred: expected False, received True. Export its network alone"):
        waveform.check(centred)
    odd = replace(detector.config, front_end=replace(YAMNET, fft_length=600))
    with pytest.raises(
        ExportError, match="only FFTs of powers of two; this model has front_end.fft_length 600"
    ):
        waveform.check(odd)


def test_another_backend_cannot_write_it(monkeypatch, detector):
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(ExportError, match="set KERAS_BACKEND=tensorflow. Received: KERAS_BACKEND=torch"):
        waveform.check(detector.config)


def test_what_tensorflow_cannot_convert_is_said():
    import tensorflow as tf

    with pytest.raises(ExportError, match="TensorFlow cannot write the model as TFLite in float32"):
        waveform.converted(lambda samples: tf.py_function(lambda x: x, [samples], tf.float32), 8)


def test_metadata_and_alignment(file):
    assert zipfile.ZipFile(io.BytesIO(file)).read("labels.txt").decode().splitlines() == list(class_names())
    model = schema.Model.GetRootAs(file, 0)
    entries = {model.Metadata(n).Name(): model.Metadata(n).Buffer() for n in range(model.MetadataLength())}
    metadata = model.Buffers(entries[b"TFLITE_METADATA"]).DataAsNumpy().tobytes()
    assert metadata[4:8] == b"M001"
    assert b"labels.txt" in metadata
    # Weights are aligned for processors that need it.
    places = [
        model.Buffers(number)._tab.Vector(model.Buffers(number)._tab.Offset(4))
        for number in range(model.BuffersLength())
        if model.Buffers(number).DataLength()
    ]
    assert len(places) > 20
    assert not [place for place in places if place % 16]
    graph = model.Subgraphs(0)
    assert graph.Tensors(graph.Inputs(0)).ShapeAsNumpy().tolist() == [15_600]
    assert graph.Tensors(graph.Outputs(0)).ShapeAsNumpy().tolist() == [1, NUM_CLASSES]


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(detector, file, tmp_path):
    export.write(detector, "waveform", tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == file


def frigate_detections(folder: Path, sound: bytes) -> list[tuple[str, float]]:
    """Processes s16le sound as Frigate does: in chunks, output 0, labels with scores of at least 0.5."""
    labels = (folder / "audio-labelmap.txt").read_text().splitlines()
    made = Interpreter(model_path=str(folder / "cpu_audio_model.tflite"), num_threads=2)
    made.allocate_tensors()
    found = []
    for start in range(0, len(sound) - 31_199, 31_200):
        audio = np.frombuffer(sound[start : start + 31_200], np.int16)
        made.set_tensor(made.get_input_details()[0]["index"], (audio / 32_768.0).astype(np.float32))
        made.invoke()
        scores = made.get_tensor(made.get_output_details()[0]["index"])[0]
        surest = np.argpartition(-scores, 20)[:20]
        found += [(labels[number], float(scores[number])) for number in surest if scores[number] >= 0.5]
    return found


def test_frigate_hears_crying_and_nothing_in_silence(folder):
    scene = (nursery() * 32_767).astype("<i2").tobytes()
    crying = [score for label, score in frigate_detections(folder, scene) if label == "crying"]
    assert len(crying) >= 4
    assert 0.5 < max(crying) < 1
    assert "crying" not in dict(frigate_detections(folder, bytes(31_200)))


def test_the_folder_for_frigate_says_how_to_install_it(folder):
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "audio-labelmap.txt",
        "cpu_audio_model.tflite",
    }
    text = (folder / "README.md").read_text()
    for line in (
        "- ./cpu_audio_model.tflite:/cpu_audio_model.tflite:ro",
        "- ./audio-labelmap.txt:/audio-labelmap.txt:ro",
        "threshold: 0.5 ",
        "19 (Crying, sobbing) and 20 (Baby cry, infant cry), both `crying`",
        "The other 519 classes",
    ):
        assert line in text
    labels = (folder / "audio-labelmap.txt").read_text().splitlines()
    assert len(labels) == NUM_CLASSES
    assert [number for number, label in enumerate(labels) if label == "crying"] == list(CRY_CLASSES)
    # If the first line begins with a number, Frigate reads the labels as numbered.
    assert all(re.fullmatch("[a-z][a-z0-9_]*", label) for label in labels)
    # Frigate's default labels have the same names.
    assert {"bark", "fire_alarm", "speech", "yell"} <= set(labels)


def converted_yamnet(shared: Path, out: Path) -> Path:
    """YAMNet as a TFLite file whose input is samples, like Frigate's."""
    import tensorflow as tf

    from yamnet_cry.distill.teachers import yamnet

    teacher = yamnet.YamnetTeacher(shared / "teacher" / "yamnet" / yamnet.WEIGHTS_FILE).model

    def heard(samples):
        return tf.sigmoid(teacher(waveform.log_mel(samples, YAMNET)[None, :, :, None]))

    out.write_bytes(waveform.converted(heard, YAMNET.patch_samples))
    return out


@pytest.mark.slow
def test_yamnets_own_answers_are_kept_beside_our_crying(detector, file, windows, shared, tmp_path):
    theirs = converted_yamnet(shared, tmp_path / "yamnet.tflite")
    out = tmp_path / "frigate"
    said = CliRunner().invoke(
        main, ["export", "--format", "frigate", "--with", str(theirs), "--out", str(out)]
    )
    assert said.exit_code == 0, said.output
    found = waveform.answers((out / "cpu_audio_model.tflite").read_bytes(), windows)
    others = np.delete(np.arange(NUM_CLASSES), CRY_CLASSES)
    yamnets = waveform.answers(theirs.read_bytes(), windows)
    assert np.array_equal(found[:, others], yamnets[:, others])
    crying = waveform.answers(file, windows)[:, CRY_CLASSES]
    np.testing.assert_allclose(found[:, CRY_CLASSES], crying, rtol=0, atol=1e-6)
    assert np.abs(yamnets[:, CRY_CLASSES] - crying).max() > 0.1
    readme = (out / "README.md").read_text()
    assert "The other 519 classes are those of YAMNet" in readme
    assert "the student's softmax outputs" not in readme
    scene = (nursery() * 32_767).astype("<i2").tobytes()
    assert any(label == "crying" for label, _ in frigate_detections(out, scene))


def test_files_that_cannot_stand_beside_ours(detector, file, tmp_path):
    (tmp_path / "text.tflite").write_bytes(b"no model" * 10)
    out = tmp_path / "out"
    with pytest.raises(ExportError, match="text.tflite is not a TFLite file that can be run"):
        export.write(detector, "frigate", out, yamnet=tmp_path / "text.tflite")
    student = tmp_path / "student.tflite"
    student.write_bytes(detector.model)
    with pytest.raises(
        ExportError, match=r"is not the YAMNet file of Frigate. Expected: .* \[15600\] .*\[1, 521\]"
    ):
        export.write(detector, "frigate", out, yamnet=student)
    with pytest.raises(
        ExportError, match="expected --format frigate with .*student.tflite. Received: format waveform"
    ):
        export.write(detector, "waveform", out, yamnet=student)
    with pytest.raises(
        ExportError, match=r"do not fit together. Expected: \(15600,\). Received: \(15600,\) and \(1, "
    ):
        tflite_join.joined(file, file)
    assert not out.exists()


def test_mediapipe_says_the_same(folder, file, windows):
    pytest.importorskip("mediapipe", reason="MediaPipe, which runs the file too, is not installed")
    if sys.platform == "linux" and find_library("EGL") is None:
        pytest.skip("MediaPipe loads libEGL, which is missing: apt-get install libegl1")
    from mediapipe.tasks import python as tasks
    from mediapipe.tasks.python import audio
    from mediapipe.tasks.python.components.containers import AudioData

    options = audio.AudioClassifierOptions(
        base_options=tasks.BaseOptions(model_asset_path=str(folder / "cpu_audio_model.tflite")),
        max_results=-1,
    )
    some = windows[::4]
    with audio.AudioClassifier.create_from_options(options) as classifier:
        said = classifier.classify(AudioData.create_from_array(some.reshape(-1), YAMNET.sample_rate))
    expected = waveform.answers(file, some)
    # At the end it runs on the remainder, which is empty here.
    for result, scores in zip(said, expected, strict=False):
        categories = result.classifications[0].categories
        assert [class_names()[each.index] for each in categories] == [c.category_name for c in categories]
        found = np.zeros(NUM_CLASSES, np.float32)
        found[[each.index for each in categories]] = [each.score for each in categories]
        np.testing.assert_allclose(found, scores, rtol=0, atol=1e-4)
    assert len(said) >= len(some)
    assert [result.timestamp_ms for result in said[: len(some)]] == [975 * n for n in range(len(some))]
