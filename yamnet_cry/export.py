"""Exports a model to other formats; each export is checked against the model."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yamnet_cry.calibration import log_odds, probability
from yamnet_cry.classifier import Classifier
from yamnet_cry.demo import nursery
from yamnet_cry.errors import ExportError
from yamnet_cry.files import whole
from yamnet_cry.firmware import kit, network
from yamnet_cry.frontend import Float32
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import frigate
from yamnet_cry.model.runtime import embedding_scale

if TYPE_CHECKING:
    import keras

_WITHOUT_MICRO = (
    "arena not measured: TFLite-Micro is not installed, so its size is a default with a margin, and the "
    "golden vectors are those of LiteRT's reference kernels. On Linux x86-64: "
    'pip install "yamnet-cry[firmware]"'
)

# Float students and their INT8 copies differ by less than this in the probabilities of a recording.
_TOLERANCE = 0.1


def write(classifier: Classifier, name: str, out: Path, *, yamnet: Path | None = None) -> str:
    """Writes a model in another format.

    Args:
        classifier: A classifier or detector loaded from a model folder or repository.
        name: One of `FORMATS`.
        out: File to write, or folder for formats of several files; must not exist.
        yamnet: With the format ``frigate``: YAMNet as a TFLite file, which scores all labels except crying.

    Returns:
        What was written and how it was checked, in one or more lines.

    Raises:
        ExportError: If ``out`` exists or cannot be written, the format does not support the model's front
            end or task, a package is not installed, or the results of the export differ from those of the
            model. Nothing is left behind.
    """
    if out.exists():
        raise ExportError(f"{out} already exists; choose another path, or move it away first")
    writer = FORMATS[name]
    if yamnet is not None:
        if name != "frigate":
            raise ExportError(f"expected --format frigate with {yamnet}. Received: format {name}")
        writer = functools.partial(_frigate, yamnet=yamnet)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out) as unfinished:
            return writer(classifier, unfinished)
    except ImportError as error:
        missing = (error.name or "Keras").partition(".")[0]
        raise ExportError(
            f"the format {name} needs {missing}, which the base install leaves out: "
            f'pip install "yamnet-cry[{_EXTRAS[name]}]"'
        ) from None
    except OSError as error:
        raise ExportError(f"{out} cannot be written ({error.strerror})") from None


def _tflite(classifier: Classifier, out: Path) -> str:
    out.write_bytes(classifier.model)
    log_mel = _scene(classifier)
    written = model_folder.student(classifier.config, out.read_bytes(), classifier.context)
    if not np.array_equal(written.logits(log_mel), classifier.logits(log_mel)):
        raise ExportError("the logits of the exported file differ from those of the model")
    embeddings = "" if classifier.context is None else ", and it outputs the embeddings for context.npz"
    return f"an INT8 TFLite file of {len(classifier.model):,} bytes; its logits equal the model's{embeddings}"


def _keras(classifier: Classifier, out: Path) -> str:
    import keras

    model = _float_model(classifier)
    model.save(out)
    again = keras.models.load_model(out)
    return f"a Keras model in float32; {_agrees(classifier, again)}"


def _onnx(classifier: Classifier, out: Path) -> str:
    # The exporter imports these lazily; importing them here fails before any work is done.
    import keras
    import onnx  # noqa: F401
    import onnxruntime
    import tf2onnx  # noqa: F401

    model: keras.Model = _float_model(classifier)
    # Keras must be called once before it can trace the graph.
    model(np.zeros([size or 1 for size in model.input_shape], np.float32))
    model.export(str(out), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name

    def answer(patches: Float32) -> list[Float32]:
        outputs: list[Float32] = session.run(None, {given: patches})
        return outputs

    return f"an ONNX model in float32, input {given!r}; {_agrees(classifier, answer)}"


def _c_array(classifier: Classifier, out: Path) -> str:
    out.mkdir()
    for name, text in kit.model_array(classifier.config, classifier.model).items():
        (out / name).write_text(text, encoding="utf-8")
    _, _, body = (out / kit.MODEL_FILES[1]).read_text(encoding="utf-8").partition("] = {")
    read = bytes(int(value) for value in body.partition("};")[0].replace(",", " ").split())
    if read != classifier.model:
        raise ExportError("the array differs from the model")
    return f"{' and '.join(kit.MODEL_FILES)}; read back, the array is identical to the model"


def _firmware(classifier: Classifier, out: Path) -> str:
    out.mkdir()
    for name, text in kit.contents(classifier.config, classifier.model, classifier.context).items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text, encoding="utf-8")
    without = "" if network.installed() else f"\n{_WITHOUT_MICRO}"
    printed = kit.self_test(out)
    if printed is None:
        return f"a firmware kit; not tested, because there is no C compiler: see its README.md{without}"
    return f"a firmware kit, whose self-test passes here:\n{printed}{without}"


def _waveform(classifier: Classifier, out: Path) -> str:
    model, summary = _from_samples(classifier)
    out.write_bytes(model)
    return f"a TFLite file in float32, {summary}"


def _frigate(classifier: Classifier, out: Path, yamnet: Path | None = None) -> str:
    frigate.check(classifier.config)
    model, summary = _from_samples(classifier, yamnet)
    out.mkdir()
    (out / frigate.MODEL).write_bytes(model)
    (out / frigate.LABELS).write_text("".join(f"{label}\n" for label in frigate.labels(classifier.config)))
    (out / "README.md").write_text(
        frigate.readme(classifier.config, summary, joined=yamnet is not None), encoding="utf-8"
    )
    return f"a folder for Frigate, see its README.md: {frigate.MODEL} in float32, {summary}"


#: Formats by name.
FORMATS: dict[str, Callable[[Classifier, Path], str]] = {
    "firmware": _firmware,
    "c-array": _c_array,
    "tflite": _tflite,
    "keras": _keras,
    "onnx": _onnx,
    "waveform": _waveform,
    "frigate": _frigate,
}

# Extras to install for the formats that need more than the base install.
_EXTRAS = {"keras": "distill", "onnx": "onnx", "waveform": "distill", "frigate": "distill"}


def _float_model(classifier: Classifier) -> "keras.Model":
    """Returns the student or, for a detector with a context network, both networks over a sequence."""
    student = classifier.keras_model
    if classifier.context is None:
        return student
    from yamnet_cry.model import context_keras

    scale = embedding_scale(classifier.model, classifier.context.inputs)
    return context_keras.over_time(student, context_keras.dequantized(classifier.context, scale))


def _from_samples(classifier: Classifier, yamnet: Path | None = None) -> tuple[bytes, str]:
    """Returns a TFLite file that takes samples, and a summary of its size, operators and checks.

    With a file of YAMNet, the probabilities of labels outside the target's group are those of YAMNet.
    """
    # Imported here to fail before any work is done.
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    from yamnet_cry.model import context_keras, tflite_join, tflite_metadata, waveform

    config, model, context = classifier.config, classifier.model, None
    waveform.check(config)
    if classifier.context is not None:
        scale = embedding_scale(model, classifier.context.inputs)
        context = context_keras.dequantized(classifier.context, scale)
    front_end, labels = config.front_end, config.task.labels
    network = waveform.network(config, classifier.keras_model, context)
    if yamnet is None:
        graph = waveform.converted(network, front_end.patch_samples)
    else:
        theirs = _yamnet(yamnet, front_end.patch_samples, len(labels))
        own = waveform.converted(network, front_end.patch_samples, len(labels))
        graph = tflite_join.joined(theirs, own)
    written = tflite_metadata.described(
        graph,
        name=f"yamnet-cry, recipe {config.recipe}",
        version=config.package_version,
        sample_rate=front_end.sample_rate,
        labels=labels,
    )
    windows = front_end.waveforms(nursery())
    found = waveform.answers(written, windows)
    expected = _of_windows_alone(classifier)
    if yamnet is not None:
        others = np.delete(np.arange(len(labels)), config.task.group_indices)
        expected[:, others] = waveform.answers(theirs, windows)[:, others]
        if not np.array_equal(found[:, others], expected[:, others]):
            raise ExportError(f"after joining, the scores of {yamnet} differ from those of the file alone")
    agrees = _differing(np.abs(found - expected).mean(axis=0).max())
    return written, (
        f"{len(written):,} bytes, from {front_end.patch_samples:,} samples at {front_end.sample_rate:,} Hz "
        f"to {len(labels):,} probabilities, by the operators {', '.join(waveform.operators(written))}; "
        f"{agrees}"
    )


def _yamnet(path: Path, samples: int, classes: int) -> bytes:
    """Reads a TFLite file of YAMNet that takes the samples of a window, as the one in Frigate does."""
    from yamnet_cry.model import waveform

    content = path.read_bytes()
    try:
        made = waveform.interpreter(content)
        given, said = made.get_input_details(), made.get_output_details()
        shapes = [list(map(int, details[0]["shape"])) for details in (given, said)]
    # LiteRT raises only these for invalid files and for missing operators.
    except (ValueError, RuntimeError) as error:
        raise ExportError(f"{path} is not a TFLite file that can be run ({error})") from None
    if len(given) != 1 or shapes != [[samples], [1, classes]]:
        raise ExportError(
            f"{path} is not the YAMNet file of Frigate. Expected: one input of shape {[samples]} and an "
            f"output of shape {[1, classes]}. Received: {len(given)} inputs, the first of shape {shapes[0]}, "
            f"and an output of shape {shapes[1]}"
        )
    return content


def _of_windows_alone(classifier: Classifier) -> NDArray[Any]:
    """The INT8 model's probabilities for the windows of a scene, each without the context before it."""
    config = classifier.config
    student = model_folder.student(config, classifier.model, classifier.context)
    outputs = student.outputs(_scene(classifier))
    logits = outputs.logits.dequantized()
    probabilities = config.task.probabilities(logits)
    if config.task.group:
        odds: NDArray[Any]
        if classifier.context is None:
            odds = log_odds(config.task.score(logits))
        else:
            listen = classifier.context.listen
            odds = np.concatenate([listen()(embedding[np.newaxis]) for embedding in outputs.embeddings])
        probabilities[:, config.task.group_indices] = config.calibration.of_log_odds(odds)[:, np.newaxis]
    return probabilities


def _scene(classifier: Classifier) -> Float32:
    """The spectrogram of a test scene, computed by the model's front end."""
    return classifier.config.front_end.log_mel(nursery())


def _agrees(classifier: Classifier, model: Callable[[Float32], Any]) -> str:
    """Compares the outputs of the INT8 model and another model for a scene; raises if they differ."""
    log_mel = _scene(classifier)
    patches = np.ascontiguousarray(classifier.config.front_end.patches(log_mel)[..., np.newaxis])
    student = model_folder.student(classifier.config, classifier.model, classifier.context)
    outputs = student.outputs(log_mel)
    probabilities = classifier.config.task.probabilities
    expected: list[NDArray[Any]] = [probabilities(outputs.logits.dequantized())]
    if classifier.context is None:
        answers = model(patches)
        found: list[NDArray[Any]] = [
            probabilities(np.asarray(answers[0] if isinstance(answers, list) else answers))
        ]
    else:
        log_odds, logits = (np.asarray(answer)[0] for answer in model(patches[np.newaxis]))
        found = [probabilities(logits), probability(log_odds)]
        expected.append(probability(classifier.context.listen()(outputs.embeddings)))
    difference = max(
        float(np.abs(a.mean(axis=0) - b.mean(axis=0)).max()) for a, b in zip(expected, found, strict=True)
    )
    return _differing(difference)


def _differing(difference: float) -> str:
    """Describes by how much the probabilities of a scene differ; raises above the tolerance."""
    summary = (
        f"its probabilities of a test scene differ by at most {difference:.3f} from those of the INT8 model"
    )
    if difference > _TOLERANCE:
        raise ExportError(f"{summary}. Expected: at most {_TOLERANCE}")
    return summary
