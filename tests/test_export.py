"""Requirements of exporting beyond the base install."""

import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from yamnet_cry import CryDetector, export
from yamnet_cry.cli import main
from yamnet_cry.errors import ExportError
from yamnet_cry.firmware import kit
from yamnet_cry.frontend import YAMNET
from yamnet_cry.task import Task


@pytest.mark.parametrize(
    ("name", "missing", "extra"),
    [
        ("keras", "keras", "distill"),
        ("onnx", "keras", "onnx"),
        ("onnx", "onnx", "onnx"),
        ("onnx", "onnxruntime", "onnx"),
        ("onnx", "tf2onnx", "onnx"),
        ("waveform", "keras", "distill"),
        ("waveform", "tensorflow", "distill"),
        ("frigate", "tensorflow", "distill"),
    ],
)
def test_a_format_that_needs_more_says_how_to_get_it(monkeypatch, tmp_path, name, missing, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    for module in [module for module in sys.modules if module.startswith(f"{missing}.")]:
        monkeypatch.delitem(sys.modules, module)
    result = CliRunner().invoke(main, ["export", "--format", name, "--out", str(tmp_path / "new")])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(f'which the base install leaves out: pip install "yamnet-cry[{extra}]"\n')
    assert not list(tmp_path.iterdir())


def test_an_array_has_the_labels_and_the_threshold_of_its_task():
    released = CryDetector.from_pretrained()
    task = Task(('a "cat"', "dog", "grün"), group=("dog",), target="pet")
    config = replace(released.config, task=task, threshold=0.7)
    header, body = kit.model_array(config, b"ab").values()
    assert "#define YAMNET_CRY_LABELS 3\n" in header
    assert "that counts as pet: the model's threshold." in header
    assert "#define YAMNET_CRY_THRESHOLD 0.7\n" in header
    assert '"a \\042cat\\042", "dog", "gr\\303\\274n",' in body
    header, body = kit.model_array(released.config, b"ab").values()
    assert "labels" not in header + body


def test_the_kit_makes_the_input_of_one_front_end_alone(tmp_path):
    released = CryDetector.from_pretrained()
    config = replace(released.config, front_end=replace(YAMNET, spectrum="power"))
    message = "front_end.spectrum: expected 'magnitude', received 'power'"
    with pytest.raises(ExportError, match=message):
        export.write(CryDetector(config, released.model, released.context), "firmware", tmp_path / "new")
    with pytest.raises(ExportError, match=message):
        kit.contents(config, released.model, released.context)
    assert not list(tmp_path.iterdir())
    # The network alone can be exported: the user computes its input.
    header, _ = kit.model_array(config, b"ab").values()
    assert '"spectrum": "power"' in header
    assert "front end" not in kit.model_array(released.config, b"ab")[kit.MODEL_FILES[0]]
