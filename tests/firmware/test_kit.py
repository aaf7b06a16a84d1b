"""The folder that `yamnet-cry export` writes, and the other formats."""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compiling import STRICT, compiled

from yamnet_cry import CryDetector, export
from yamnet_cry.errors import ExportError
from yamnet_cry.firmware import golden, network
from yamnet_cry.firmware import kit as kit_module
from yamnet_cry.firmware.kit import SOURCES
from yamnet_cry.model.folder import TFLITE

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


def exported(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "yamnet_cry", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_self_test_passes_as_the_readme_says(compiler, kit):
    commands = re.findall(r"^cc .+$", (kit / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        result = subprocess.run(command, shell=True, cwd=kit, capture_output=True, text=True, check=False)
        assert result.stdout.splitlines()[-1] == "PASS", result.stdout + result.stderr
    (kit / "a.out").unlink()


def test_the_self_test_fails_when_it_should(compiler, kit, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(kit, broken)
    tables = broken / SOURCES / "yamnet_cry_tables.h"
    tables.write_text(re.sub(r"(INPUT_ZERO_POINT) (\d+)", r"\1 30", tables.read_text()))
    with pytest.raises(ExportError, match=r"self-test fails in the float build:(?s:.+)FAIL"):
        kit_module.self_test(broken)


def test_the_arena_is_the_smallest(detector, kit):
    kilobytes = network.arena_kilobytes(detector.model)
    assert kilobytes <= 48
    assert network.runs(detector.model, kilobytes)
    assert not network.runs(detector.model, kilobytes - 1)
    assert f"kArenaBytes = {kilobytes} * 1024" in (kit / SOURCES / "yamnet_cry_network.cc").read_text()
    assert f"measured: {kilobytes} KB" in (kit / "README.md").read_text()


def test_the_operators_are_exact(detector, kit):
    code = (kit / SOURCES / "yamnet_cry_network.cc").read_text()
    added = re.findall(r"resolver\.Add(\w+)\(\)", code)
    assert added == network.operators(detector.model)
    assert sorted(added) == ["Conv2D", "DepthwiseConv2D", "FullyConnected", "Mean"]
    assert f"MicroMutableOpResolver<{len(added)}>" in code


def test_state_fits_and_is_what_the_readme_says(compiler, kit, tmp_path):
    source = tmp_path / "sizes.c"
    source.write_text(
        '#include <stdio.h>\n#include "yamnet_cry.h"\nint main(void) { printf("%zu %zu", '
        "sizeof(yamnet_cry_frontend), sizeof(yamnet_cry_events)); return 0; }\n"
    )
    program = compiled(compiler, tmp_path / "sizes", *STRICT, f"-I{kit / SOURCES}", source)
    frontend, events = map(int, subprocess.run([program], capture_output=True, text=True).stdout.split())
    assert frontend <= 8 * 1024
    assert events <= 512
    assert f"| {frontend:,} |" in (kit / "README.md").read_text()


def test_the_network_compiles_in_cpp_and_is_called(compiler, kit, tmp_path):
    """Compiled with a stand-in for the TFLite-Micro interface it calls: no package has the headers."""
    cpp = shutil.which("g++")
    if cpp is None:
        pytest.skip("no g++")
    main = tmp_path / "main.cc"
    main.write_text(
        '#include "yamnet_cry_network.h"\n#include "yamnet_cry_model.h"\n#include <cstdint>\n'
        "static int8_t patch[96 * 64], logits[521];\n"
        "int main() { patch[0] = 7; bool ran = yamnet_cry_network_invoke(patch, logits, nullptr);\n"
        "  bool aligned = reinterpret_cast<uintptr_t>(yamnet_cry_model) % 16 == 0;\n"
        "  return ran && aligned && logits[520] == 7 && YAMNET_CRY_MODEL_BYTES > 100000 ? 0 : 1; }\n"
    )
    flags = (
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        f"-I{HERE / 'stand_in'}",
        f"-I{kit / SOURCES}",
    )
    sources = (main, kit / SOURCES / "yamnet_cry_network.cc", kit / SOURCES / "yamnet_cry_model.cc")
    program = compiled(cpp, tmp_path / "network", *flags, *sources)
    assert subprocess.run([program], check=False).returncode == 0


def test_the_readme_names_files_that_are_there(kit):
    named = set(re.findall(r"`([\w/]+\.\w+|[\w/]+/)`", (kit / "README.md").read_text()))
    assert {"LICENSE", "idf_component.yml", "examples/SelfTest/", "yamnet_cry_context.c"} <= named | {
        "LICENSE"
    }
    assert all((kit / name).exists() or (kit / SOURCES / name).is_file() for name in named)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "out", "told"),
    [
        ("tflite", "cry.tflite", "its logits equal the model's"),
        ("c-array", "array", "the array is identical to the model"),
        ("keras", "cry.keras", "its probabilities of a test scene differ by at most 0.0"),
        ("onnx", "cry.onnx", "its probabilities of a test scene differ by at most 0.0"),
    ],
)
def test_every_format_is_checked(released, tmp_path, name, out, told):
    result = exported(released, "--format", name, "--out", tmp_path / out)
    assert result.returncode == 0, result.stderr
    assert told in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == [out]
    if name == "tflite":
        assert (tmp_path / out).read_bytes() == (released / TFLITE).read_bytes()


def test_what_is_there_is_not_overwritten(tmp_path):
    out = tmp_path / "cry.tflite"
    out.write_bytes(b"mine")
    result = exported("--format", "tflite", "--out", out)
    assert (result.returncode, result.stderr) == (
        2,
        f"Error: {out} already exists; choose another path, or move it away first\n",
    )
    assert out.read_bytes() == b"mine"


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    result = exported("--format", "tflite", "--out", tmp_path / "file" / "cry.tflite")
    assert result.returncode == 2
    assert "cannot be written" in result.stderr


def test_a_model_that_answers_otherwise_is_not_kept(detector, tmp_path, monkeypatch):
    other = detector.keras_model
    other.set_weights([np.zeros_like(weight) for weight in other.get_weights()])
    monkeypatch.setattr(CryDetector, "keras_model", other)
    with pytest.raises(
        ExportError, match=r"of a test scene differ by at most 0\.\d+ from .*Expected: at most 0\.1$"
    ):
        export.write(detector, "keras", tmp_path / "cry.keras")
    assert list(tmp_path.iterdir()) == []


def test_a_model_too_large_for_tflite_micro_is_explained(micro, detector, monkeypatch):
    monkeypatch.setattr(network, "LARGEST_ARENA", 16)
    with pytest.raises(ExportError, match="TFLite-Micro cannot run the model in an arena of 16 KB"):
        network.arena_kilobytes(detector.model)


@pytest.mark.slow
def test_without_tflite_micro(compiler, detector, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    out = tmp_path / "kit"
    told = export.write(detector, "firmware", out)
    assert told.startswith("a firmware kit, whose self-test passes here:\n")
    assert "\narena not measured: TFLite-Micro is not installed, so its size is a default" in told
    assert told.endswith('On Linux x86-64: pip install "yamnet-cry[firmware]"')
    text = (out / "README.md").read_text()
    kilobytes = int(re.search(r"tensor arena, not measured: (\d+) KB", text)[1])
    assert "Arena not measured, because TFLite-Micro was not installed: a default with a margin." in text
    code = (out / SOURCES / "yamnet_cry_network.cc").read_text()
    assert "// Arena not measured, because TFLite-Micro was not installed: a default with a margin." in code
    assert f"kArenaBytes = {kilobytes} * 1024" in code


def test_the_default_arena_has_a_margin(micro, detector, monkeypatch):
    measured = network.arena(detector.model)
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    default = network.arena(detector.model)
    assert (measured.measured, default.measured) == (True, False)
    assert 1.5 * measured.kilobytes <= default.kilobytes <= 4 * measured.kilobytes


def test_the_reference_kernels_are_those_of_tflite_micro_to_one_step(micro, detector):
    patches = np.random.default_rng(0).integers(-128, 128, (20, 96, 64)).astype(np.int8)
    of_micro = golden.micro_outputs(detector.student, detector.model, patches)
    of_litert = golden.reference_outputs(detector.student, detector.model, patches)
    for a, b in zip(of_micro, of_litert, strict=True):
        assert a.shape == b.shape
        assert np.abs(a.astype(int) - b).max() <= 1


def test_without_a_compiler(detector, kit, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert kit_module.self_test(kit) is None


def test_the_threshold_and_calibration_are_the_models(detector):
    changed = replace(detector.config, threshold=0.7)
    assert (
        "#define YAMNET_CRY_THRESHOLD 0.7\n"
        in kit_module.model_array(changed, detector.model)["yamnet_cry_model.h"]
    )
