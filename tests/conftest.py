"""What tests share: real audio where it is there, and a synthetic corpus and teacher where it is not."""

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import settings
from sounds import hiss, hum

# Speed belongs in benchmarks; here a slow machine must not fail a test.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ROOT = Path(__file__).parents[1]

# Who started the tests may ignore Ctrl-C, as for a program in the background, and so would all they start.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs long modules first, so that the processes of pytest-xdist end together."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(autouse=True)
def logger_as_before() -> Iterator[None]:
    """Commands send what is logged to stderr alone, and end with the process; here others come after them."""
    logger = logging.getLogger("yamnet_cry")
    before = logger.level, logger.propagate, logger.handlers[:]
    yield
    level, logger.propagate, logger.handlers[:] = before
    logger.setLevel(level)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> "list[subprocess.Popen[bytes]]":
    """The processes that this one starts from now on, in the order of their starts."""
    started = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **named) -> None:
            super().__init__(*arguments, **named)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return started


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real audio and YAMNet's weights, which no repository holds."""
    folder = Path(os.environ.get("YAMNET_CRY_SHARED", ROOT.parent / "shared")).resolve()
    if not (folder / "teacher" / "yamnet").is_dir():
        pytest.skip(f"no real audio and weights: set YAMNET_CRY_SHARED (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def released() -> Path:
    return ROOT / "hub"


@pytest.fixture(scope="session")
def release_0_1_0() -> Path:
    """Configuration and INT8 model of that release: version 1 of the folder, no context network."""
    return Path(__file__).parent / "release_0_1_0"


@pytest.fixture
def model_copy(released: Path, tmp_path: Path) -> Path:
    """A model folder to damage."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in released.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of another task than crying: a network that tells silence, hum and hiss apart."""
    import keras

    from yamnet_cry.distill.quantize import parameter_counts, to_int8
    from yamnet_cry.frontend import YAMNET
    from yamnet_cry.model.config import ModelConfig
    from yamnet_cry.model.folder import CONFIG, KERAS, KERAS_WEIGHTS, TFLITE, fingerprint
    from yamnet_cry.model.keras_file import unpack_keras
    from yamnet_cry.task import Task

    folder = tmp_path_factory.mktemp("models") / "small"
    folder.mkdir()
    inputs = keras.Input((96, 64, 1))
    # A mean of the lower and of the upper bands; log-mel values are negative in silence.
    x = keras.layers.Conv2D(
        1, 3, 2, padding="same", kernel_initializer=keras.initializers.Constant(1 / 9), use_bias=False
    )(inputs)
    halves, dense = keras.layers.Conv2D(2, (1, 2), use_bias=False), keras.layers.Dense(3)
    x = keras.layers.GlobalAveragePooling2D()(halves(keras.layers.AveragePooling2D((48, 16))(x)))
    network = keras.Model(inputs, dense(x))
    halves.set_weights([np.eye(2, dtype=np.float32).reshape(1, 2, 1, 2)])
    dense.set_weights([np.float32([[-1, 1, -1], [-1, -1, 1]]), np.float32([-9, 0, 0])])
    waves = [np.zeros(16_000), hum(1), hiss(1)]
    patches = np.concatenate([YAMNET.patches(YAMNET.log_mel(wave))[..., None] for wave in waves])
    tflite = to_int8(network, patches)
    (folder / TFLITE).write_bytes(tflite)
    network.save(folder / KERAS)
    of_keras, weights, _ = unpack_keras(folder / KERAS)
    (folder / KERAS_WEIGHTS).write_bytes(weights)
    config = ModelConfig(
        task=Task(("silence", "hum", "hiss")),
        recipe="small",
        parameters=parameter_counts(network),
        files={name: fingerprint((folder / name).read_bytes()) for name in (TFLITE, KERAS, KERAS_WEIGHTS)},
        package_version="1.2.3",
        keras=of_keras,
    )
    (folder / CONFIG).write_text(config.to_json())
    return folder


@pytest.fixture(scope="session")
def synthetic_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with manifest.csv: synthesised cries, and hiss, hum and beeps, of several groups a split."""
    from yamnet_cry.demo import SAMPLE_RATE, cry

    folder = tmp_path_factory.mktemp("corpus")
    generator = np.random.default_rng(0)
    lines = ["file,target,split,group,source,licence"]
    for split, count in (("train", 8), ("val", 4), ("test", 4)):
        for number in range(count):
            waves = {
                "cry": 0.3
                * np.concatenate([cry(1.2, generator.uniform(350, 550), generator) for _ in range(2)]),
                "not_cry": _other(number, generator),
            }
            for target, wave in waves.items():
                name = f"{split}_{target}_{number}.wav"
                soundfile.write(folder / name, wave, SAMPLE_RATE)
                group = f"{split}-{number // 2}"
                lines.append(f"{name},{target},{split},{group},{'even' if number % 2 == 0 else 'odd'},CC0")
    soundfile.write(folder / "unlabelled.wav", generator.standard_normal(40_000) * 0.01, SAMPLE_RATE)
    lines.append("unlabelled.wav,unknown,train,train-0,even,CC0")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def _other(number: int, generator: np.random.Generator) -> np.ndarray:
    time = np.arange(40_000) / 16_000
    kinds = (
        generator.standard_normal(40_000) * 0.05,
        0.3 * np.sin(2 * np.pi * generator.uniform(80, 200) * time),
        0.2 * np.sin(2 * np.pi * generator.uniform(900, 2500) * time) * (time % 0.5 < 0.1),
        np.cumsum(generator.standard_normal(40_000)) * 0.001,
    )
    return kinds[number % len(kinds)]


@pytest.fixture(scope="session")
def small_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with TF-Hub YAMNet's signature, that hears energy around 3 kHz beside 300 Hz as crying."""
    import tensorflow as tf

    from yamnet_cry.frontend import YAMNET

    class SmallTeacher(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform):
            frames = tf.signal.stft(waveform, YAMNET.frame_length, YAMNET.frame_hop, YAMNET.fft_length)
            log_mel = tf.math.log(tf.abs(frames) @ YAMNET.mel_matrix() + 0.001)
            patches = tf.signal.frame(log_mel, 96, 48, axis=0)
            means = tf.reduce_mean(patches, axis=1)
            voice = tf.reduce_mean(means[:, 38:46], axis=1) - 0.5 * tf.reduce_mean(means[:, 0:6], axis=1)
            crying = tf.sigmoid(4.0 * (voice - 0.2) * tf.cast(means[:, 40] > -2.0, tf.float32) - 4.0)
            scores = tf.one_hot(19, 521)[None] * crying[:, None] + tf.one_hot(20, 521)[None] * crying[:, None]
            scores += tf.one_hot(0, 521)[None] * (1.0 - crying[:, None]) * 0.9 + 1e-4
            return scores, tf.zeros([tf.shape(scores)[0], 1024]), log_mel

    folder = tmp_path_factory.mktemp("teacher") / "small"
    tf.saved_model.save(SmallTeacher(), str(folder))
    return folder


@pytest.fixture(scope="module")
def run_arguments(
    synthetic_corpus: Path, small_teacher: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """What a run of `distill` takes besides its recipe and its folder."""
    return {
        "audio": str(synthetic_corpus),
        "teacher": small_teacher,
        "cache": tmp_path_factory.mktemp("cache") / "logits.sqlite",
        "progress": False,
    }
