"""Models of sounds other than crying: run, saved, copied, and refused where crying is required."""

import copy
import io
import json
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import hiss, hum

from yamnet_cry import Classification, Classifier, CryDetector, Detection
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError, ModelError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import hub
from yamnet_cry.model.folder import CONFIG, KERAS, TFLITE
from yamnet_cry.model.runtime import QuantizedLogits
from yamnet_cry.task import Task

LABELS = ("silence", "hum", "hiss")


@pytest.fixture
def classifier(small_model) -> Classifier:
    return Classifier.from_pretrained(small_model)


@pytest.fixture(scope="module")
def wave() -> np.ndarray:
    """Six seconds: silence, hum and hiss, two of each."""
    return np.concatenate([np.zeros(32_000, np.float32), hum(2), hiss(2)])


def of_logits(values: object, task: Task | None = None, **more: object) -> Classification:
    logits = QuantizedLogits(np.asarray(values, np.int8), scale=0.1, zero_point=0)
    return Classification(task=task or Task(LABELS), logits=logits, **more)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "label"), list(enumerate(LABELS)))
def test_sounds_are_told_apart(classifier, wave, number, label):
    assert classifier((wave[number * 32_000 :][:32_000], 16_000)).label == label


def test_path_file_object_and_waveform_agree(classifier, wave, tmp_path):
    path = tmp_path / "sounds.wav"
    soundfile.write(path, wave, 16_000, subtype="FLOAT")
    expected = classifier((wave, 16_000))
    for source in (path, str(path), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(classifier(source).window_probabilities, expected.window_probabilities)


def test_probabilities_are_those_of_the_models_logits(classifier, wave):
    result = classifier((wave, 16_000))
    logits = classifier.logits(YAMNET.log_mel(YAMNET.pad(wave)))
    assert logits.shape == (12, 3)
    assert (result.window_probabilities.dtype, result.label_probabilities.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(result.window_probabilities, Task(LABELS).probabilities(logits))
    means = result.window_probabilities.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(result.label_probabilities, means, rtol=1e-12)
    np.testing.assert_allclose(result.times, 0.48 * np.arange(12))
    assert result.seconds == 6.0


def test_long_recordings_are_averaged_in_parts():
    values = np.random.default_rng(0).integers(-128, 128, (10_000, 3))
    result = of_logits(values)
    expected = Task(LABELS).probabilities(result.logits.dequantized())
    np.testing.assert_array_equal(result.window_probabilities, expected)
    means = expected.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(result.label_probabilities, means, rtol=1e-12)
    assert result.seconds == pytest.approx(9_999 * 0.48 + 0.96)


def test_what_was_heard_when(classifier, wave):
    result = classifier((wave, 16_000))
    assert [result.top(start, start + 2.0, count=1)[0][0] for start in (0.0, 2.0, 4.0)] == list(LABELS)
    assert [label for label, _ in result.top()] == sorted(
        LABELS, key=lambda label: -result.label_probabilities[LABELS.index(label)]
    )
    assert sum(share for _, share in result.top()) == pytest.approx(1.0)
    assert result.top(3.0, 3.1) == []
    assert result.top(0.0, 0.96) == result.top(0.0, 1.2)


def test_equally_probable_labels_come_in_the_order_of_the_task():
    task = Task(tuple(f"label {number}" for number in range(100)))
    assert [label for label, _ in of_logits(np.zeros((1, 100)), task).top(count=100)] == list(task.labels)


def test_several_labels_at_once():
    result = of_logits([[30, -30, 10]], Task(LABELS, "independent"))
    assert result.labels() == ["silence", "hiss"]
    assert result.labels(0.9) == ["silence"]
    assert result.labels(1.0) == []
    assert str(result) == "silence 0.95, hiss 0.73, hum 0.05"


def test_a_result_becomes_plain_data(classifier, wave):
    result = classifier((wave, 16_000))
    data = result.to_dict()
    windows = data.pop("windows")
    probabilities = data.pop("probabilities")
    assert data == {"label": result.label, "seconds": 6.0, "truncated": False, "window_seconds": 0.96}
    assert tuple(probabilities) == LABELS
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert [window["time"] for window in windows] == pytest.approx([0.48 * number for number in range(12)])
    assert [windows[number]["label"] for number in (0, 5, 10)] == list(LABELS)
    assert all(0.33 < window["probability"] <= 1.0 for window in windows)
    assert json.loads(json.dumps(data)) == data


def test_a_result_prints_itself():
    result = of_logits([[20, 0, -20], [20, 0, -20]])
    assert str(result) == "silence 0.87, hum 0.12, hiss 0.02"
    assert repr(result) == f"<Classification {result} in 2 windows>"


def test_without_logits_there_are_no_labels():
    message = "this result has no classes; call the detector with classes=True"
    with pytest.raises(ValueError, match=message):
        Classification(task=Task(LABELS))
    detection = CryDetector.from_pretrained()((nursery(), 16_000))
    for ask in (
        lambda: detection.label,
        lambda: detection.labels(),
        lambda: detection.label_probabilities,
        lambda: detection.window_probabilities,
        lambda: detection.top(),
    ):
        with pytest.raises(ValueError, match=message):
            ask()


def test_the_model_of_crying_is_one_of_521_labels(released):
    classifier, detector = Classifier.from_pretrained(released), CryDetector.from_pretrained(released)
    result, detection = (
        classifier((nursery(), 16_000)),
        detector((nursery(), 16_000), classes=True),
    )
    assert isinstance(detection, Detection)
    assert isinstance(detection, Classification)
    np.testing.assert_array_equal(result.logits.values, detection.logits.values)
    np.testing.assert_array_equal(detection.scores, CRY_TASK.score(result.logits.dequantized()))
    assert result.top() == detection.top()
    assert result.label == detection.label == result.top()[0][0]
    assert (result.seconds, result.times.tolist()) == (detection.seconds, detection.times.tolist())


def test_a_recording_cut_short_is_heard_as_far_as_it_goes(classifier, wave, tmp_path):
    path = tmp_path / "sounds.wav"
    soundfile.write(path, wave, 16_000)
    assert classifier(path).truncated is False
    path.write_bytes(path.read_bytes()[: 44 + 2 * 16_000])
    with pytest.warns(UserWarning, match=r"sounds.wav is truncated: .*; only this part is scored") as caught:
        result = classifier(path)
    assert caught[0].filename == __file__
    assert result.truncated is result.to_dict()["truncated"] is True
    assert result.seconds == 1.0
    with pytest.raises(AudioError, match="sounds.wav is truncated"):
        classifier(path, strict=True)


def test_progress_ends_with_the_recording(classifier, wave):
    told: list[float] = []
    classifier((wave, 16_000), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(12 * 0.48)


@pytest.mark.slow
def test_of_the_audio_only_logits_are_kept(classifier):
    def peak(minutes: int) -> int:
        silence = np.zeros(16_000 * 60 * minutes, np.int16)
        tracemalloc.start()
        classifier((silence, 16_000))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(48) < 1.4 * peak(12)


def test_another_front_end_has_windows_of_its_own(classifier, wave):
    front_end = replace(YAMNET, patch_hop=96, mean=-3.0)
    other = Classifier(replace(classifier.config, front_end=front_end), classifier.model)
    result = other((wave, 16_000))
    assert result.times.tolist() == pytest.approx([0.96 * number for number in range(7)])
    expected = other.logits(front_end.log_mel(front_end.pad(wave)))
    np.testing.assert_array_equal(result.logits.dequantized(), expected)
    assert result.to_dict()["windows"][1]["time"] == 0.96


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 32_000}, "front_end.sample_rate: expected 16000, received 32000$"),
        ({"centred": True}, "front_end.centred: expected False, received True$"),
    ],
)
def test_audio_that_does_not_come_so_is_refused(classifier, changes, message):
    config = replace(classifier.config, front_end=replace(YAMNET, **changes))
    with pytest.raises(ModelError, match=f"streaming needs a model for 16 kHz .*{message}"):
        Classifier(config, classifier.model)


def test_a_model_must_give_a_logit_a_label(classifier):
    config = replace(classifier.config, task=Task(("silence", "hum")))
    with pytest.raises(ModelError, match=r"\(1, 2\), 'int8'.*Received: .*\(1, 3\), 'int8'"):
        Classifier(config, classifier.model)


def test_a_detector_takes_the_task_of_crying_alone(classifier, small_model):
    message = (
        "this model classifies silence, hum, hiss; CryDetector needs a cry detection model. Use Classifier"
    )
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(small_model)
    task = Task((*LABELS, "cat"), group=("cat",), target="pet")
    with pytest.raises(ModelError, match="silence, hum, hiss and 1 more, of which some are pet; CryDetector"):
        CryDetector(replace(classifier.config, task=task), classifier.model)


def test_a_folder_is_needed(tmp_path):
    with pytest.raises(TypeError, match="model"):
        Classifier.from_pretrained()
    with pytest.raises(ModelError, match="expected a model folder or a repository id"):
        Classifier.from_pretrained(tmp_path / "nothing")
    with pytest.raises(ModelError, match="which has no revisions"):
        Classifier.from_pretrained(tmp_path, revision="v1")


def test_it_is_saved_and_loaded(classifier, wave, tmp_path):
    classifier.save_pretrained(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [CONFIG, TFLITE]
    again = Classifier.from_pretrained(tmp_path / "saved")
    assert again.config.task == classifier.config.task
    expected = classifier((wave, 16_000)).logits.values
    np.testing.assert_array_equal(again((wave, 16_000)).logits.values, expected)
    with pytest.raises(ModelError, match="exists; choose another folder"):
        classifier.save_pretrained(tmp_path / "saved")


def test_it_can_be_copied_and_sent_to_other_processes(classifier, wave):
    expected = classifier((wave, 16_000)).logits.values
    for other in (copy.deepcopy(classifier), copy.copy(classifier), pickle.loads(pickle.dumps(classifier))):
        assert type(other) is Classifier
        assert other.student is not classifier.student
        assert other.config == classifier.config
        np.testing.assert_array_equal(other((wave, 16_000)).logits.values, expected)


def test_it_prints_itself(classifier):
    assert repr(classifier) == "<Classifier small: 22 parameters, 3 labels>"


def test_its_keras_model(classifier, wave, small_model):
    patches = YAMNET.patches(YAMNET.log_mel(wave))[..., None]
    found = np.asarray(classifier.keras_model(patches))
    np.testing.assert_allclose(found, classifier.logits(YAMNET.log_mel(wave)), atol=0.5)
    assert (found.argmax(axis=1)[[0, -1]] == [0, 2]).all()
    config = replace(classifier.config, files={**classifier.config.files, KERAS: {"bytes": 1}})
    with pytest.raises(ModelError, match=f"is not the file that {CONFIG} describes"):
        _ = Classifier(config, classifier.model, source=hub.locate(small_model)).keras_model


def test_a_classifier_of_no_folder(classifier):
    loose = Classifier(classifier.config, classifier.model)
    message = "this Classifier was not loaded from a model folder; use Classifier.from_pretrained"
    with pytest.raises(ModelError, match=message):
        loose.push_to_hub("user/model")
    with pytest.raises(ModelError, match=message):
        _ = loose.keras_model


def test_what_is_pushed_is_the_folder_as_it_is(classifier, monkeypatch, small_model):
    from yamnet_cry.model import publish

    pushed: list[tuple[Path, str]] = []
    monkeypatch.setattr(publish, "push", lambda folder, repo_id, **named: pushed.append((folder, repo_id)))
    classifier.push_to_hub("user/model")
    assert pushed == [(small_model, "user/model")]
