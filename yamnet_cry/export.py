"""Other formats of a model, each checked against the model after it was written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from yamnet_cry.classifier import Classifier
from yamnet_cry.demo import nursery
from yamnet_cry.errors import ExportError
from yamnet_cry.files import whole
from yamnet_cry.firmware import kit
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.model.runtime import Student

# Float students and their INT8 copies differ by less than this in the probabilities of a recording.
_TOLERANCE = 0.1


def write(classifier: Classifier, name: str, out: Path) -> str:
    """Writes a model in another format.

    Args:
        classifier: Or a detector, of a model folder or repository.
        name: One of `FORMATS`.
        out: File to write, or the folder for those of several files; must not exist.

    Returns:
        What was written and how it was checked, in a sentence or some lines.

    Raises:
        ExportError: If ``out`` exists or cannot be written, the model has another front end than YAMNet's
            or is of a task that the format does not know, something is not installed, or what was written
            answers otherwise than the model; then nothing is left of it.
    """
    if out.exists():
        raise ExportError(f"{out} exists; name another, or move it away first")
    kit.check_front_end(classifier.config)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out) as unfinished:
            return FORMATS[name](classifier, unfinished)
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
    log_mel = YAMNET.log_mel(nursery())
    width = 0 if classifier.context is None else classifier.context.inputs
    written = Student(out.read_bytes(), YAMNET, len(classifier.config.task.labels), width)
    if not np.array_equal(written.logits(log_mel), classifier.logits(log_mel)):
        raise ExportError("the file gives other logits than the model")
    return f"an INT8 TFLite file of {len(classifier.model):,} bytes; it gives the model's logits"


def _keras(classifier: Classifier, out: Path) -> str:
    import keras

    model = classifier.keras_model
    model.save(out)
    again = keras.models.load_model(out)
    return f"a Keras model in float32; {_agrees(classifier, lambda patches: np.asarray(again(patches)))}"


def _onnx(classifier: Classifier, out: Path) -> str:
    # What writes the file imports the rest; all of it is asked for before any work.
    import keras
    import onnx  # noqa: F401
    import onnxruntime
    import tf2onnx  # noqa: F401

    model: keras.Model = classifier.keras_model
    # Keras wants to have seen an input before it traces the graph.
    model(np.zeros((1, *model.input_shape[1:]), np.float32))
    model.export(str(out), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name

    def logits_of(patches: Float32) -> Float32:
        logits: Float32 = session.run(None, {given: patches})[0]
        return logits

    return f"an ONNX model in float32, input {given!r}; {_agrees(classifier, logits_of)}"


def _c_array(classifier: Classifier, out: Path) -> str:
    out.mkdir()
    for name, text in kit.model_array(classifier.config, classifier.model).items():
        (out / name).write_text(text, encoding="utf-8")
    _, _, body = (out / kit.MODEL_FILES[1]).read_text(encoding="utf-8").partition("] = {")
    read = bytes(int(value) for value in body.partition("};")[0].replace(",", " ").split())
    if read != classifier.model:
        raise ExportError("the array does not hold the model")
    return f"{' and '.join(kit.MODEL_FILES)}; read back, the array is the model byte for byte"


def _firmware(classifier: Classifier, out: Path) -> str:
    out.mkdir()
    for name, text in kit.contents(classifier.config, classifier.model, classifier.context).items():
        (out / name).write_text(text, encoding="utf-8")
    printed = kit.self_test(out)
    if printed is None:
        return "a firmware kit; not tested, for there is no C compiler here: see its README.md"
    return f"a firmware kit, whose self-test passes here:\n{printed}"


#: Formats by name.
FORMATS: dict[str, Callable[[Classifier, Path], str]] = {
    "firmware": _firmware,
    "c-array": _c_array,
    "tflite": _tflite,
    "keras": _keras,
    "onnx": _onnx,
}

# What has to be installed for those that need more than the base.
_EXTRAS = {"firmware": "firmware", "keras": "distill", "onnx": "onnx"}


def _agrees(classifier: Classifier, logits_of: Callable[[Float32], Float32]) -> str:
    log_mel = YAMNET.log_mel(nursery())
    patches = np.ascontiguousarray(YAMNET.patches(log_mel)[..., np.newaxis])
    expected, found = (
        classifier.config.task.probabilities(logits).mean(axis=0)
        for logits in (classifier.logits(log_mel), logits_of(patches))
    )
    difference = float(np.abs(found - expected).max())
    summary = (
        f"its probabilities of a test scene differ by at most {difference:.3f} from those of the INT8 model"
    )
    if difference > _TOLERANCE:
        raise ExportError(f"{summary}. Expected: at most {_TOLERANCE}")
    return summary
