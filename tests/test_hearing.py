"""The hearing benchmark: scenes bit for bit, and the whole benchmark on a small synthetic corpus."""

import csv
import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import hearing
import hearing_build
import hearing_conditions
import hearing_manifest
import hearing_measure
import hearing_peers
import hearing_report
import hearing_scores
import numpy as np
import pytest
import soundfile

from yamnet_cry.demo import cry
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, sources
from yamnet_cry.errors import CorpusError, RunError, TeacherError
from yamnet_cry.frontend import YAMNET

pytestmark = pytest.mark.slow

COLUMNS = ("file", "target", "split", "group", "source", "label", "kind", "category")


def colour(seconds: float, generator: np.random.Generator) -> np.ndarray:
    return 0.02 * generator.standard_normal(int(seconds * YAMNET.sample_rate))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A corpus with a few clips of every kind that the benchmark uses."""
    folder = tmp_path_factory.mktemp("world")
    generator = np.random.default_rng(1)
    rows = []

    def add(name, wave, *values):
        soundfile.write(folder / f"{name}.flac", wave, YAMNET.sample_rate)
        rows.append(dict(zip(COLUMNS, (f"{name}.flac", *values), strict=True)))

    for split in ("val", "test"):
        for kind in ("room", "speech", "music", "effect"):
            for number in range(4):
                values = ("not_cry", split, f"{split} {kind} {number}", "open", "", kind, "")
                add(f"{split}-{kind}-{number}", colour(12, generator), *values)
        wave = 0.3 * np.concatenate([cry(1.2, 400 + 50 * n, generator) for n in range(2)])
        padded = np.concatenate([np.zeros(8000), wave, np.zeros(8000)])
        for number in range(2):
            values = ("cry", split, f"{split} home {number}", "homes", "", "", "")
            add(f"{split}-cry-{number}", padded * (1 + number), *values)
    for category in ("cats", "screams"):
        tone = 0.2 * np.sin(np.arange(16_000) * 0.4)
        add(category, tone, "not_cry", "test", category, "open", "", "look-alike", category)
    add("meow", 0.1 * tone, "not_cry", "test", "me", "esc50", "cat", "", "")
    add("hall", np.eye(1, 800, 40)[0], "ir", "test", "hall", "open", "", "", "")
    add("unsure", colour(9, generator), "unknown", "test", "nobody", "open", "", "effect", "")
    add("trained", colour(9, generator), "not_cry", "train", "trained", "open", "", "room", "")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(hearing_build, "MIXTURE_COUNT", 12)
    monkeypatch.setattr(hearing_build, "NIGHT_PIECE", 60 * YAMNET.sample_rate)
    monkeypatch.setattr(hearing_build, "CRYING_PIECES", 2)
    monkeypatch.setattr(hearing_build, "CRYING_COUNT", 3)
    monkeypatch.setattr(hearing_build, "APART", 15 * YAMNET.sample_rate)
    monkeypatch.setattr(hearing_measure, "SCENES_A_RATIO", 1)


@pytest.fixture
def built(world, tmp_path) -> Path:
    path = tmp_path / "manifest.json"
    assert run("--build", "--manifest", path, "--audio", world) == 0
    return path


def run(*arguments: object) -> int:
    return hearing.main(hearing.parser().parse_args([str(argument) for argument in arguments]))


def test_scenes_hold_what_they_should(world, built):
    benchmark = hearing_manifest.read(built)
    counts = {part: len(benchmark.part(part)) for part in hearing_manifest.PARTS}
    assert counts == {
        "validation nights": 4,
        "nights": 4,
        "mixtures": 12,
        "look-alikes": 3,
        "cries": 2,
        "crying night": 2,
    }
    names = {clip.name for clip in benchmark.clips}
    assert not names & {"unsure.flac", "trained.flac", "val-cry-0.flac"}
    for scene in benchmark.scenes:
        wanted = "val" if scene.part == hearing_manifest.VALIDATION else "test"
        used = {clip for clip, _, _ in scene.background}
        assert all(benchmark.clips[clip].group.startswith(wanted) for clip in used)
    night = benchmark.part(hearing_manifest.CRYING_NIGHT)
    assert sum(len(benchmark.cries(scene)) for scene in night) == 3
    mixtures = benchmark.part(hearing_manifest.MIXTURES)
    assert sum(bool(scene.sounds) for scene in mixtures) == 6
    assert {scene.seconds for scene in mixtures} == {30.0}


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"target": "cry", "source": "donateacry"}, None),
        ({"target": "not_cry", "source": "donateacry"}, ("look-alikes", "uploads without crying")),
        ({"target": "not_cry", "source": "esc50_subset", "label": "rain"}, ("nights", "room")),
        ({"target": "not_cry", "source": "esc50_subset", "label": "cat"}, ("look-alikes", "cats")),
        ({"target": "not_cry", "source": "esc50_subset", "label": "snoring"}, ("nights", "effect")),
        ({"target": "keyword", "source": "speech_commands_v2_test", "label": "yes"}, ("nights", "speech")),
        (
            {"target": "unknown", "source": "debian_sounds", "kind": "music", "label": "intro"},
            ("nights", "music"),
        ),
        ({"target": "unknown", "source": "debian_sounds", "kind": "effect", "label": "baby"}, None),
        ({"target": "unknown", "source": "sounds", "kind": "room", "label": "playground"}, None),
        ({"target": "ir", "source": "halls"}, None),
    ],
)
def test_what_a_clip_is_known_to_hold_says_where_it_goes(values, place):
    labels = (values["target"],) if values["target"] in (corpus.CRY, corpus.NOT_CRY) else ()
    clip = corpus.Clip("a", labels, "test", "g", values["source"], open=lambda: "a", extra=values)
    assert hearing_build.place_of(clip) == place


def test_the_ratio_is_that_of_the_cry_to_what_it_covers(world, built):
    benchmark = hearing_manifest.read(built)
    library = library_of(benchmark, world)
    for scene in benchmark.part(hearing_manifest.MIXTURES):
        for sound in scene.sounds:
            stretch = slice(sound.at, sound.at + sound.stop - sound.start)
            background = hearing_manifest.render(replace(scene, sounds=()), library.read)[stretch]
            laid = hearing_manifest.render(scene, library.read)[stretch] - background
            ratio = 20 * np.log10(hearing_build.rms(laid) / hearing_build.rms(background))
            assert ratio == pytest.approx(float(scene.label.removesuffix(" dB")), abs=0.01)


def library_of(benchmark: hearing_manifest.Benchmark, folder: Path) -> hearing_manifest.Library:
    files = {clip.name: folder / clip.name for clip in benchmark.clips}
    return hearing_manifest.Library(benchmark, files)


def test_a_scene_by_hand():
    clips = {0: np.array([1, 2, 3, 4], np.float32), 1: np.array([10, 20], np.float32)}
    sound = hearing_manifest.Sound(clip=1, start=1, stop=2, at=2, gain=0.5)
    scene = hearing_manifest.Scene("a", "mixtures", "", 4, ((0, 1, 3), (0, 0, 1)), (sound,), 2.0, "")
    mixed = hearing_manifest.render(scene, clips.__getitem__)
    assert mixed.dtype == np.float32
    assert mixed.tolist() == [4.0, 6.0, 22.0, 0.0]


def test_scenes_come_out_bit_for_bit(world, built, tmp_path):
    again = tmp_path / "again.json"
    run("--build", "--manifest", again, "--audio", world)
    assert again.read_bytes() == built.read_bytes()
    benchmark = hearing_manifest.read(built)
    library = library_of(benchmark, world)
    for scene in benchmark.scenes:
        assert hearing_manifest.digest(library.scene(scene)) == scene.sha256


def test_released_scenes_come_out_bit_for_bit(shared):
    benchmark = hearing_manifest.read()
    library = library_of(benchmark, shared / "audio")
    cries = benchmark.part(hearing_manifest.CRIES)
    assert len(cries) == 106
    for scene in cries:
        assert hearing_manifest.digest(library.scene(scene)) == scene.sha256


def test_no_clip_of_the_released_benchmark_is_training_audio(shared):
    split_of = {clip.name: clip.split for clip in sources.load(str(shared / "audio"))}
    benchmark = hearing_manifest.read()
    found = [split_of[clip.name] for clip in benchmark.clips if clip.name in split_of]
    assert set(found) == {"val", "test"}
    measured = [scene for scene in benchmark.scenes if scene.part != hearing_manifest.VALIDATION]
    used = {clip for scene in measured for clip, _, _ in scene.background}
    used |= {sound.clip for scene in measured for sound in scene.sounds}
    assert {split_of.get(benchmark.clips[clip].name, "test") for clip in used} == {"test"}


def test_the_released_benchmark_is_what_the_report_says():
    benchmark = hearing_manifest.read()
    results = json.loads((hearing.HERE / "hearing.json").read_text())
    assert results["benchmark"] == benchmark.version
    assert results["contents"] == json.loads(json.dumps(hearing_measure.contents(benchmark)))
    assert len(benchmark.part(hearing_manifest.MIXTURES)) == 500
    assert (hearing.HERE / "hearing.md").read_text() == hearing_report.report(results)
    short = {
        "introduction": hearing_report.introduction(results),
        "table": hearing_report.summary(results),
    }
    assert results["short"] == short


@pytest.mark.skipif(find_spec("sed_scores_eval") is None, reason="needs the extra benchmark")
def test_all_of_it_end_to_end(world, built, tmp_path, monkeypatch, capsys):
    options = ["--audio", world, "--manifest", built, "--workers", 1, "--no-codecs"]
    options += ["--cache", tmp_path / "cache", "--out", tmp_path / "out", "--pictures", tmp_path]
    assert run(*options) == 0
    assert "cries found" in capsys.readouterr().out
    report = (tmp_path / "out" / "hearing.md").read_text()
    results = json.loads((tmp_path / "out" / "hearing.json").read_text())
    assert "| **this detector, as shipped** |" in report
    shipped, fitted = results["peers"]
    assert (shipped["threshold"], fitted["threshold_is"]) == (0.5, "chosen on validation")
    assert shipped["nights"]["false_alarms"] == 0
    assert shipped["nights"]["hours"] == pytest.approx(16 * 12 / 3600)
    assert shipped["mixtures"]["cries"] == 6
    # A synthesised cry is hard to detect below the level of white noise.
    by_ratio = shipped["mixtures"]["by_ratio"]
    assert sum(ratio["found"] for ratio in by_ratio.values()) == shipped["mixtures"]["found"] >= 1
    assert by_ratio["-6 dB"]["found"] <= by_ratio["+6 dB"]["found"]
    assert shipped["cries"]["raised"] == 2
    assert set(shipped["look_alikes"]["by_category"]) == {"cats", "screams"}
    assert shipped["crying_night"]["cries"] == 3
    names = ["as they are", "-60 dBFS", "-40 dBFS", "-20 dBFS", "-6 dBFS", "through a room", "below 4 kHz"]
    assert list(shipped["conditions"]) == names
    for name in ("hearing-curve.png", "hearing-look-alikes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")

    def nothing_new(*_):
        raise AssertionError("everything was scored before")

    monkeypatch.setattr(hearing_scores.Studio, "__call__", nothing_new)
    assert run(*options) == 0
    assert json.loads((tmp_path / "out" / "hearing.json").read_text()) == results


def test_two_processes_score_as_one_does(world, built, tmp_path):
    benchmark = hearing_manifest.read(built)
    files = {clip.name: world / clip.name for clip in benchmark.clips}
    jobs = [hearing_scores.Job(scene) for scene in benchmark.part(hearing_manifest.CRIES)]
    one, two = (
        hearing_scores.score(
            benchmark, files, hearing_peers.Sources(), jobs, tmp_path / str(workers), workers
        )
        for workers in (1, 2)
    )
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[key], two[key]) for key in one)


def test_scores_are_those_of_the_detector(world, built):
    benchmark = hearing_manifest.read(built)
    samples = library_of(benchmark, world).scene(benchmark.part(hearing_manifest.CRIES)[0])
    scores = hearing_peers.Detector(None).scores(samples)
    assert np.array_equal(
        scores[:, 0], CryDetector.from_pretrained()((samples, YAMNET.sample_rate)).probabilities
    )


def test_peers_give_a_score_for_every_window(shared):
    pytest.importorskip("onnxruntime")
    sources = hearing_peers.Sources(
        None, str(shared / "teacher" / "yamnet"), str(shared / "teacher" / "mn04")
    )
    generator = np.random.default_rng(0)
    wave = np.concatenate([colour(3, generator), cry(1.2, 450, generator), colour(1, generator)])
    wave = wave.astype(np.float32)
    shapes = {key: scorer.scores(wave).shape for key, scorer in sources.scorers.items()}
    windows = len(hearing_peers.patch_windows(wave))
    assert shapes == {"released": (windows, 1), "yamnet": (windows, 2), "mn04": (windows, 1)}
    mn04 = sources.scorers["mn04"]
    # Scores are causal: later audio does not change them.
    assert np.allclose(mn04.scores(wave)[:4], mn04.scores(wave[: 3 * YAMNET.sample_rate])[:4], atol=1e-3)


def test_the_adapter_in_the_documentation_is_one():
    lines = hearing_peers.__doc__.splitlines()
    code = "\n".join(line[4:] for line in lines if line.startswith("    "))
    names = {"np": np, "patch_windows": hearing_peers.patch_windows}
    exec(code, names)
    scores = names["Loudness"]().scores(np.full(40_000, 0.25, np.float32))
    assert scores.shape == (5, 1)
    assert scores[0, 0] == pytest.approx(0.25)


def test_check_names_clips_that_are_missing_or_differ(world, built, tmp_path, capsys):
    assert run("--check", "--audio", world, "--manifest", built) == 0
    assert "clips are those of cry-benchmark v1" in capsys.readouterr().out
    other = shutil.copytree(world, tmp_path / "other")
    soundfile.write(other / "test-room-1.flac", np.zeros(1600), YAMNET.sample_rate)
    soundfile.write(other / "test-room-2.flac", np.zeros(12 * YAMNET.sample_rate), YAMNET.sample_rate)
    lines = (other / "manifest.csv").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("meow")]
    (other / "manifest.csv").write_text("\n".join(kept) + "\n")
    assert run("--check", "--audio", other, "--manifest", built) == 1
    output = capsys.readouterr().out
    assert "missing: meow.flac" in output
    assert "differs: test-room-1.flac, in its length" in output
    assert "differs: test-room-2.flac\n" in output
    options = ["--audio", other, "--manifest", built, "--no-codecs", "--workers", 1]
    with pytest.raises(CorpusError, match="Which (clips are missing|others differ|clips differ): --check"):
        run(*options, "--cache", tmp_path / "cache")


def test_what_is_missing_is_named(world, built, tmp_path, monkeypatch):
    with pytest.raises(CorpusError, match="a corpus is a folder"):
        run("--audio", tmp_path / "nowhere")
    with pytest.raises(CorpusError, match="is no manifest of the benchmark"):
        run("--audio", world, "--manifest", world / "manifest.csv")
    with pytest.raises(TeacherError, match="expected one .onnx file in"):
        hearing_peers.Sources(mn04=str(world)).scorers  # noqa: B018
    monkeypatch.setattr(hearing_conditions.shutil, "which", lambda _: None)
    with pytest.raises(RunError, match="need ffmpeg, which is not there"):
        run("--audio", world, "--manifest", built)


def test_conditions_do_what_their_names_say():
    generator = np.random.default_rng(0)
    wave = (0.1 * generator.standard_normal(32_000)).astype(np.float32)

    def changed(name):
        condition = hearing_conditions.Condition(name)
        return hearing_conditions.changed(wave, condition, lambda: np.eye(1, 800, 40, dtype=np.float32)[0])

    for level in (-60, -20):
        assert 20 * np.log10(hearing_build.rms(changed(f"{level} dBFS"))) == pytest.approx(level, abs=0.1)
    assert np.abs(changed("-6 dBFS")).max() <= 1.0
    # A room response of a single late pulse has only direct sound, and changes nothing.
    assert np.allclose(changed("through a room"), wave, atol=1e-5)
    spectrum = np.abs(np.fft.rfft(changed("below 4 kHz"))) ** 2
    assert spectrum[len(spectrum) // 2 :].sum() < 1e-3 * spectrum.sum()


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="codecs need ffmpeg")
@pytest.mark.parametrize("name", hearing_conditions.CODECS)
def test_codecs_keep_time(name):
    time = np.arange(48_000) / YAMNET.sample_rate
    wave = (0.3 * np.sin(2 * np.pi * 500 * time) * (time % 1 < 0.5)).astype(np.float32)
    coded = hearing_conditions.changed(wave, hearing_conditions.Condition(name), lambda: wave)
    assert len(coded) == len(wave)
    envelopes = [np.abs(each).reshape(-1, 160).mean(axis=1) for each in (wave, coded)]
    lags = [np.corrcoef(envelopes[0], np.roll(envelopes[1], -lag))[0, 1] for lag in range(-5, 6)]
    assert abs(int(np.argmax(lags)) - 5) <= 1
