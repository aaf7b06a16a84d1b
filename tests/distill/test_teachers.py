import dataclasses
import os
import re

import numpy as np
import pytest

from yamnet_cry.audioset import CRY_TASK, class_names
from yamnet_cry.distill import recipes, teachers
from yamnet_cry.distill.sections import Teaching
from yamnet_cry.distill.teachers import saved_model
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.errors import TeacherError
from yamnet_cry.frontend import YAMNET
from yamnet_cry.task import Task

NOISE = (np.random.default_rng(0).standard_normal(40_000) * 0.1).astype(np.float32)


def test_yamnet_in_keras_gives_the_golden_logits(shared):
    teacher = teachers.load(shared / "teacher/yamnet")
    with np.load(shared / "teacher/yamnet/golden.npz") as golden:
        for name in ("silence", "noise", "sine440", "chirp"):
            (logits,) = teacher.logits([YAMNET.pad(golden[f"{name}_wave"])])
            np.testing.assert_allclose(logits, golden[f"{name}_logits"], rtol=0, atol=1e-3)


def test_a_windows_logits_do_not_depend_on_its_company(shared):
    teacher = teachers.load(shared / "teacher/yamnet/yamnet_folded.npz")
    waves = [YAMNET.pad(NOISE[: 16_000 + 3_000 * n]) for n in range(8)]
    together = teacher.logits(waves)
    assert [len(logits) for logits in together] == [YAMNET.num_patches(len(wave)) for wave in waves]
    for wave, logits in zip(waves, together, strict=True):
        np.testing.assert_array_equal(teacher.logits([wave])[0], logits)


def test_a_saved_model_is_loaded_by_tensorflow_hub(small_teacher):
    import tensorflow as tf

    teacher = teachers.load(small_teacher)
    (logits,) = teacher.logits([YAMNET.pad(NOISE)])
    scores, _, _ = tf.saved_model.load(str(small_teacher))(YAMNET.pad(NOISE))
    assert logits.shape == (YAMNET.num_patches(len(NOISE)), 521)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), scores, rtol=1e-4, atol=1e-7)


def test_certain_scores_give_finite_logits():
    assert np.all(np.isfinite(saved_model.logit(np.array([0.0, 1e-38, 0.5, 1.0], np.float32))))


def test_the_fingerprint_follows_the_weights(small_teacher, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in sorted(small_teacher.rglob("*")):
        target = copy / file.relative_to(small_teacher)
        if file.is_dir():
            target.mkdir()
        else:
            target.write_bytes(file.read_bytes())
    assert fingerprint(copy) == fingerprint(small_teacher)
    (copy / "saved_model.pb").write_bytes(b"other")
    assert fingerprint(copy) != fingerprint(small_teacher)


def test_no_teacher_there(tmp_path):
    with pytest.raises(TeacherError, match=r"a teacher: tfhub, yamnet_folded.npz.*Received: '.*nowhere'"):
        teachers.load(tmp_path / "nowhere")
    with pytest.raises(TeacherError, match="expected a teacher: tfhub"):
        teachers.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"text"])
def test_a_file_that_holds_no_weights(tmp_path, content):
    path = tmp_path / "yamnet_folded.npz"
    path.write_bytes(content)
    with pytest.raises(TeacherError, match="does not contain YAMNet's weights"):
        teachers.load(tmp_path)


def test_weights_of_another_network(tmp_path):
    np.savez(tmp_path / "other.npz", kernel=np.zeros(3))
    with pytest.raises(TeacherError, match="does not contain YAMNet's weights.*W|layer1/conv"):
        teachers.load(tmp_path / "other.npz")


def test_a_saved_model_of_something_else(tmp_path):
    import tensorflow as tf

    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform):
            return waveform, waveform, waveform

    tf.saved_model.save(Other(), str(tmp_path / "other"))
    with pytest.raises(
        TeacherError, match=r"scores of shape \(1, 521\) for one window. Received: \(15600,\)"
    ):
        teachers.load(tmp_path / "other")


def test_a_damaged_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(TeacherError, match=r"cannot be loaded \(.*\)"):
        teachers.load(tmp_path)


def test_tensorflow_hub_out_of_reach(monkeypatch):
    import tensorflow_hub

    asked = []

    def fail(handle):
        asked.append(handle)
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(tensorflow_hub, "resolve", fail)
    with pytest.raises(
        TeacherError,
        match=r"with --teacher PATH.*tfhub.dev.*cannot be downloaded \(OSError: no route to host\); .*kaggle",
    ):
        teachers.load("tfhub")
    assert asked == list(saved_model.TFHUB_HANDLES)


def test_the_kaggle_handle_is_the_fallback(monkeypatch, small_teacher):
    import tensorflow_hub

    def only_kaggle(handle):
        if "tfhub.dev" in handle:
            raise OSError("403")
        return str(small_teacher)

    monkeypatch.setattr(tensorflow_hub, "resolve", only_kaggle)
    teacher = teachers.load("tfhub")
    assert teacher.name == f"SavedModel {saved_model.TFHUB_HANDLES[1]}"
    # The fingerprint is that of the weights, not of the address.
    assert teacher.fingerprint == teachers.load(small_teacher).fingerprint


@pytest.mark.parametrize("chosen", [None, "elsewhere"])
def test_downloads_are_kept_in_the_users_own_cache(monkeypatch, tmp_path, small_teacher, chosen):
    import tensorflow_hub

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    if chosen:
        monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / chosen))
    kept = []

    def resolve(handle):
        kept.append(os.environ["TFHUB_CACHE_DIR"])
        return str(small_teacher)

    monkeypatch.setattr(tensorflow_hub, "resolve", resolve)
    teachers.load("tfhub")
    assert kept == [str(tmp_path / (chosen or "yamnet-cry/tfhub_modules"))]
    assert os.environ.get("TFHUB_CACHE_DIR") == (str(tmp_path / chosen) if chosen else None)


def test_a_student_becomes_a_teacher(released):
    from yamnet_cry import CryDetector

    teacher = teachers.load(released)
    assert (teacher.labels, teacher.kind) == (CRY_TASK.labels, "exclusive")
    waves = [YAMNET.pad(NOISE), YAMNET.pad(NOISE[:9_000])]
    patches = [YAMNET.patches(YAMNET.log_mel(wave))[..., None] for wave in waves]
    expected = CryDetector.from_pretrained(released).keras_model.predict(np.concatenate(patches), verbose=0)
    found = teacher.logits(waves)
    assert [len(logits) for logits in found] == [len(own) for own in patches]
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=0, atol=1e-4)


def test_a_student_without_its_keras_model_cannot_teach(model_copy):
    (model_copy / "model.keras").unlink()
    with pytest.raises(TeacherError, match=r"model cannot be used as a teacher: .* has no model.keras"):
        teachers.load(model_copy)


def test_a_tagger_judges_ten_seconds_at_a_time(shared):
    from yamnet_cry import audio

    teacher = teachers.load(shared / "teacher/mn04")
    assert (teacher.name, teacher.kind, len(teacher.labels)) == (
        "EfficientAT mn04_as_mel",
        "independent",
        527,
    )
    assert set(CRY_TASK.labels) < set(teacher.labels)
    cry = audio.read(next((shared / "audio").glob("**/*-A-20.flac")))
    silence = np.zeros(25 * YAMNET.sample_rate, np.float32)
    of_cry, of_silence, short = teacher.logits([cry, silence, cry[:4_000]])
    assert (of_cry.shape, of_silence.shape, short.shape) == ((1, 527), (3, 527), (1, 527))
    assert teacher.labels[int(of_cry[0].argmax())] in (*CRY_TASK.group, "Child speech, kid speaking")
    assert (of_silence[:, teacher.labels.index("Silence")] > of_cry[0, teacher.labels.index("Silence")]).all()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a.onnx", "b.onnx"), "expected one .onnx file in .*Received: 2"),
        (("a.onnx",), "does not contain mel_128x513_32k.npy and class_labels_indices.csv"),
    ],
)
def test_a_folder_that_is_no_tagger(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_bytes(b"no network")
    with pytest.raises(TeacherError, match=message):
        teachers.load(tmp_path)


def test_a_network_that_is_no_tagger(shared, tmp_path):
    for name in ("mel_128x513_32k.npy", "class_labels_indices.csv"):
        (tmp_path / name).write_bytes((shared / "teacher/mn04" / name).read_bytes())
    (tmp_path / "a.onnx").write_bytes(b"no network")
    with pytest.raises(TeacherError, match=r"a.onnx does not map log-mel to logits"):
        teachers.load(tmp_path)


class Fake:
    """A teacher with the given labels."""

    fingerprint, kind = "fake", "independent"

    def __init__(self, labels, windows=True):
        self.name, self.labels, self._windows = f"teacher of {len(labels)}", tuple(labels), windows

    def logits(self, waveforms):
        counts = [YAMNET.num_patches(len(wave)) if self._windows else 1 for wave in waveforms]
        return [np.zeros((count, len(self.labels)), np.float32) for count in counts]


PETS = dataclasses.replace(recipes.get("sounds"), task=Task(("cat", "dog")))
TWO = dataclasses.replace(PETS, teaching=Teaching(("windows", "windows"), (1.0, 1.0)))
REFERENCE, CONTEXT = recipes.get("reference"), recipes.get("context")
JUDGE = dataclasses.replace(PETS, teaching=Teaching(("clips",), (0.5,)))


def test_what_is_matched():
    assert teachers.check([], PETS) == ()
    assert teachers.check([Fake(["dog", "car", "cat"])], PETS) == ("cat", "dog")
    assert teachers.check([Fake(["car", "bus"])], PETS) == ("car", "bus")
    assert teachers.check([Fake(["car", "bus"]), Fake(["bus", "car"])], TWO) == ("car", "bus")
    assert teachers.check([Fake(["dog", "car", "cat"], windows=False)], JUDGE) == ()
    assert teachers.check([Fake(class_names())], REFERENCE) == CRY_TASK.labels
    both = [Fake(class_names()), Fake(class_names(), windows=False)]
    assert teachers.check(both, CONTEXT) == CRY_TASK.labels


def test_a_teacher_of_clips_may_be_left_out_and_that_is_said(caplog):
    with caplog.at_level("INFO"):
        assert teachers.check([Fake(class_names())], CONTEXT) == CRY_TASK.labels
    assert "without a teacher of clips, training uses only their labels" in caplog.text
    assert "the second --teacher" in caplog.text


@pytest.mark.parametrize(
    ("of", "recipe", "message"),
    [
        (
            [],
            CONTEXT,
            "recipe context expects 2 teachers, for windows and clips. Received: 0; pass each",
        ),
        ([], REFERENCE, "recipe reference expects 1 teacher, for windows. Received: 0; pass each"),
        ([Fake("ab")], TWO, "recipe sounds expects 2 teachers, for windows and windows. Received: 1"),
        (
            [Fake(class_names())] * 3,
            CONTEXT,
            "recipe context expects 2 teachers, for windows and clips. Received: 3",
        ),
        ([Fake("ab"), Fake("ab")], PETS, "recipe sounds expects 1 teacher, for windows. Received: 2"),
        ([Fake("ab"), Fake("abc")], TWO, "Only one of teacher of 2 and teacher of 3 has: c"),
        (
            [Fake(["dog"])],
            JUDGE,
            "expected teacher of 1 to have every label of the task for the role clips",
        ),
        (
            [Fake("ab", windows=False)],
            PETS,
            "expected teacher of 2 to score 4 windows in two seconds, like the front end. Received",
        ),
        (
            [Fake("ab")],
            CONTEXT,
            "labels of the task's group, by which windows are selected",
        ),
    ],
)
def test_teachers_that_cannot_teach_a_task(of, recipe, message):
    with pytest.raises(TeacherError, match=re.escape(message)):
        teachers.check(of, recipe)


class Hears:
    """A teacher that returns the given rows."""

    name, fingerprint = "tagger", "1"
    labels = ("Bark", "Howl", "Rain", "Wind")

    def __init__(self, rows, kind="independent"):
        self.rows, self.kind = np.float32(rows), kind

    def logits(self, waveforms):
        return [self.rows for _ in waveforms]


def test_a_teacher_of_other_labels_answers_in_those_of_the_task():
    heard = Hears([[3, -4, -4, -4], [-4, 3, -4, -4], [-4, -4, 5, 5], [-1, -1, 5, 5]])
    renamed = teachers.RenamedTeacher(heard, ("bark", "whine", "other"), ("Bark", "Howl; Wind", ""))
    assert (renamed.labels, renamed.kind) == (("bark", "whine", "other"), "exclusive")
    (rows,) = renamed.logits([NOISE])
    answers = [renamed.labels[number] for number in rows.argmax(axis=1)]
    assert answers == ["bark", "whine", "whine", "whine"]
    # None of the named labels is present: "other" has a high probability.
    nothing = teachers.RenamedTeacher(heard, ("dog", "other"), ("Howl", ""))
    said = Task(nothing.labels).probabilities(nothing.logits([NOISE])[0])
    np.testing.assert_allclose(said[2], [0.018, 0.982], atol=1e-3)
    of_softmax = teachers.RenamedTeacher(
        Hears([[0, 0, 0, 0]], "exclusive"), ("dog", "other"), ("Bark;Howl", "")
    )
    np.testing.assert_allclose(np.exp(of_softmax.logits([NOISE])[0]), [[0.25, 0.75]], atol=1e-6)
    assert nothing.fingerprint != renamed.fingerprint


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Bark",), "for each of 2 labels of the task, its labels of tagger, .* Received: 'Bark'"),
        (("", ""), "at most one empty text"),
        (("Bark", "Meow"), "expected labels of tagger in teaching.prompts. It lacks: Meow"),
    ],
)
def test_names_that_a_teacher_does_not_know(names, message):
    with pytest.raises(TeacherError, match=message):
        teachers.RenamedTeacher(Hears([[0, 0, 0, 0]]), ("dog", "other"), names)


def test_prompts_make_any_teacher_one_of_the_tasks_labels(released):
    teacher = teachers.load(released, YAMNET, ("crying", "other"), ("Baby cry, infant cry;Whimper", ""))
    assert (teacher.labels, teacher.kind) == (("crying", "other"), "exclusive")
    assert teacher.logits([YAMNET.pad(NOISE)])[0].shape[1] == 2


def test_a_teacher_that_knows_the_labels_keeps_its_own_names(released):
    """Such as a student of recipe dogs; the recipe's sentences do not apply to it."""
    teacher = teachers.load(released, YAMNET, CRY_TASK.group, ("This is the sound of a baby.", "a scream"))
    assert teacher.labels == CRY_TASK.labels
