"""How ESP-IDF, Arduino, PlatformIO and ESPHome use a kit, with their own tools where installed."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from compiling import compiled

from yamnet_cry.firmware import manifests
from yamnet_cry.firmware.kit import SOURCES

HERE = Path(__file__).parent


@pytest.fixture
def copied(kit: Path, tmp_path: Path) -> Path:
    """A copy of the kit under its published name, into which tools may write files."""
    return Path(shutil.copytree(kit, tmp_path / manifests.NAME))


def tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: pip install {package}")
    return found


def ran(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def properties(kit: Path) -> dict[str, str]:
    lines = (kit / "library.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


# ESP-IDF


def test_esps_registry_takes_the_component(copied, tmp_path):
    compote = tool("compote", "idf-component-manager")
    ran(compote, "-W", "component", "pack", "--name", manifests.NAME, "--dest-dir", tmp_path, cwd=copied)
    (archive,) = tmp_path.glob("*.tgz")
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("./") for name in packed.getnames()}
    assert {"idf_component.yml", "LICENSE", "README.md", "src/yamnet_cry_context.c"} <= names
    assert {"examples/self_test/CMakeLists.txt", "examples/self_test/main/main.c"} <= names
    assert not [name for name in names if name.startswith(("components", "examples/SelfTest"))]


def test_the_component_of_esp_idf(kit):
    assert 'SRC_DIRS "src"' in (kit / "CMakeLists.txt").read_text()
    component = (kit / "idf_component.yml").read_text()
    assert f'version: "{properties(kit)["version"]}"' in component
    assert "espressif/esp-tflite-micro" in component
    example = kit / "examples" / "self_test" / "main"
    (path,) = re.findall(r'override_path: "(.+)"', (example / "idf_component.yml").read_text())
    assert (example / path).resolve() == kit.resolve()


# Arduino, by the rules of its library specification and of arduino-lint, which no package registry has


def test_the_properties_are_those_of_arduinos_specification(kit):
    found = properties(kit)
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url"}
    assert required | {"architectures", "includes"} <= set(found)
    assert all(found.values())
    name = found["name"]
    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,31}", name)
    assert not re.search("arduino|library", name, re.IGNORECASE)
    assert not re.search("arduino", found["maintainer"], re.IGNORECASE)
    assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", found["version"])
    assert found["sentence"] not in found["paragraph"]
    assert found["category"] == "Data Processing"
    assert urlsplit(found["url"]).scheme == "https"
    assert urlsplit(found["url"]).netloc
    assert re.fullmatch(r"[a-z0-9_]+(,[a-z0-9_]+)*", found["architectures"])
    assert all((kit / SOURCES / header).is_file() for header in found["includes"].split(","))
    # The header has the library's name.
    assert (kit / SOURCES / f"{name}.h").is_file()


def test_the_folder_is_laid_out_for_arduino(kit):
    assert (kit / "LICENSE").read_text().startswith("MIT License")
    sketches = list(kit.rglob("*.ino"))
    assert [sketch.relative_to(kit).as_posix() for sketch in sketches] == ["examples/SelfTest/SelfTest.ino"]
    includes = re.findall(r"#include <(yamnet_cry\w*\.h)>", sketches[0].read_text())
    assert includes == ["yamnet_cry_network.h", "yamnet_cry_self_test.h"]
    assert all((kit / SOURCES / name).is_file() for name in includes)
    assert not [path for path in kit.rglob("*") if path.is_symlink() or path.suffix == ".exe"]
    # All code is in src/; files beside it would mix Arduino's two library layouts.
    assert not [path for path in kit.iterdir() if path.suffix in {".c", ".cc", ".cpp", ".h"}]
    assert not (kit / "utility").exists()


def test_the_key_words_are_in_the_code(kit):
    code = "".join(path.read_text() for path in (kit / SOURCES).glob("yamnet_cry*.h"))
    rows = [line.split("\t") for line in (kit / "keywords.txt").read_text().splitlines()]
    assert {kind for _, kind in rows} == {"KEYWORD1", "KEYWORD2", "LITERAL1"}
    assert [name for name, _ in rows if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize("sketch", ["examples/SelfTest/SelfTest.ino", "examples/self_test/main/main.c"])
def test_the_examples_compile_and_call_the_self_test(compiler, kit, tmp_path, sketch):
    """Compiled with a stand-in for the board: `Serial`, and the header of TFLite-Micro for Arduino."""
    (tmp_path / "Chirale_TensorFlowLite.h").write_text(
        "#include <cstdio>\n"
        "struct Port { void begin(int) {} operator bool() { return true; } "
        "void println(const char *line) { std::puts(line); } };\nstatic Port Serial;\n"
    )
    is_c = sketch.endswith(".c")
    start = "app_main" if is_c else "setup"
    main = tmp_path / f"main.{'c' if is_c else 'cc'}"
    main.write_text(
        f'#include "{kit / sketch}"\n#include <stdio.h>\n#include <stdlib.h>\n'
        f"int main(void) {{ {start}(); return 0; }}\n"
    )
    network = tmp_path / "network.c"
    network.write_text(
        '#include "yamnet_cry_network.h"\n#include <string.h>\n#include "yamnet_cry_context.h"\n'
        '#include "yamnet_cry_golden.h"\nstatic int n;\n'
        "bool yamnet_cry_network_invoke(const int8_t *patch, int8_t *logits, int8_t *embedding) {\n"
        "  memcpy(logits, golden_logits + 521 * n, 521);\n"
        "  memcpy(embedding, golden_embeddings + YAMNET_CRY_EMBEDDING * n++, YAMNET_CRY_EMBEDDING);\n"
        "  return patch != NULL;\n}\n"
    )
    objects = []
    for source in [network, *(kit / SOURCES).glob("*.c"), main]:
        objects.append(tmp_path / f"{source.name}.o")
        language = "g++" if source.suffix == ".cc" else compiler
        flags = ("-Wall", "-Werror", f"-I{kit / SOURCES}", f"-I{tmp_path}")
        subprocess.run([language, *flags, "-c", source, "-o", objects[-1]], check=True)
    program = compiled("g++", tmp_path / "example", *objects)
    lines = ran(program, cwd=tmp_path).splitlines()
    assert lines[-1] == "PASS"
    assert [line.split(",")[1].strip() for line in lines if line.startswith("network, ")][:2] == [
        "logits",
        "embedding",
    ]


# PlatformIO


def test_platformio_takes_the_library(copied, tmp_path):
    pio = tool("pio", "platformio")
    manifest = json.loads((copied / "library.json").read_text())
    assert manifest["version"] == properties(copied)["version"]
    # PlatformIO downloads the list of licences.
    assert manifest.pop("license") == "MIT"
    (copied / "library.json").write_text(json.dumps(manifest))
    ran(pio, "pkg", "pack", "-o", tmp_path / "packed.tar.gz", ".", cwd=copied)
    with tarfile.open(tmp_path / "packed.tar.gz") as packed:
        names = packed.getnames()
    assert {"library.json", "src/yamnet_cry_context.c", "examples/SelfTest/SelfTest.ino"} <= set(names)
    assert not [name for name in names if name.startswith("components")]


# ESPHome


@pytest.fixture
def esphome(copied: Path) -> tuple[str, Path]:
    return tool("esphome", "esphome"), copied / "components" / "example.yaml"


def test_esphome_takes_the_configuration(esphome):
    program, example = esphome
    printed = ran(program, "config", example.name, cwd=example.parent)
    assert "Configuration is valid!" in printed
    assert re.search(r"platform: yamnet_cry\n\s+name: Crying", printed)


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (
            "sample_rate: 16000",
            "sample_rate: 44100",
            "The yamnet_cry component requires a 16000 sample",
        ),
        ("  # threshold: 50%", "  threshold: 150%", "threshold"),
        ("    microphone: room", "    microphone: kitchen", "kitchen"),
    ],
)
def test_esphome_refuses_what_would_not_work(esphome, was, becomes, told):
    program, example = esphome
    text = example.read_text()
    assert was in text
    example.write_text(text.replace(was, becomes))
    result = subprocess.run(
        [program, "config", example.name], cwd=example.parent, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert told in result.stdout + result.stderr


def test_esphome_refuses_a_component_without_its_kit(esphome):
    program, example = esphome
    shutil.rmtree(example.parents[1] / SOURCES)
    result = subprocess.run(
        [program, "config", example.name], cwd=example.parent, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "components/yamnet_cry must stay in its kit's folder, with src/." in result.stdout + result.stderr


def test_esphome_writes_code_that_sets_the_component_up(esphome):
    program, example = esphome
    example.write_text(example.read_text().replace("  # threshold: 50%", "  threshold: 70%"))
    ran(program, "compile", "--only-generate", example.name, cwd=example.parent)
    built = example.parent / ".esphome" / "build" / "nursery" / "src"
    code = (built / "main.cpp").read_text()
    for called in ("set_microphone_source(", "set_threshold(0.7f)", "set_crying(", "set_probability("):
        assert called in code
    component = (built / "idf_component.yml").read_text()
    assert re.search(rf"{manifests.NAME}:\s+path: {re.escape(str(example.parents[1]))}\n", component)
    assert (built / "esphome" / "components" / "yamnet_cry" / "yamnet_cry_component.cpp").is_file()


@pytest.fixture(scope="module")
def component(compiler: str, kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ESPHome's component on this computer, with stand-ins for ESPHome, FreeRTOS and the network."""
    if shutil.which("g++") is None:
        pytest.skip("no g++")
    folder = tmp_path_factory.mktemp("esphome")
    of_kit = (kit / SOURCES / f"yamnet_cry_{name}.c" for name in ("frontend", "events", "context"))
    objects = []
    for source in of_kit:
        objects.append(folder / f"{source.name}.o")
        subprocess.run([compiler, "-std=c99", "-O2", "-c", source, "-o", objects[-1]], check=True)
    here = kit / "components" / "yamnet_cry"
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-pthread")
    included = (f"-I{HERE / 'esphome_stand_in'}", f"-I{here}", f"-I{kit / SOURCES}")
    sources = (HERE / "esphome_component.cc", here / "yamnet_cry_component.cpp")
    return compiled("g++", folder / "component", *flags, *included, *sources, *objects)


@pytest.mark.slow
@pytest.mark.parametrize(("threshold", "crying"), [("0", " 1 1 1 1"), ("1", " 0 0 0 0")])
def test_esphomes_component_hears_what_the_kit_hears(component, tmp_path, threshold, crying):
    *_, heard, state = ran(component, "runs", threshold, cwd=tmp_path).splitlines()
    found = re.fullmatch(r"4 windows, largest difference (\S+), crying:(.+)", heard)
    assert found, heard
    assert float(found[1]) < 1e-6
    assert found[2] == crying
    assert state == "fine, microphone on"


def test_esphomes_component_says_that_the_network_does_not_run(component, tmp_path):
    printed = ran(component, "fails", "0", cwd=tmp_path)
    assert "E [yamnet_cry] The network cannot run: its arena is too small" in printed
    assert printed.endswith("failed, microphone off\n")


def test_esphomes_component_says_that_sound_was_lost(component, tmp_path):
    printed = ran(component, "waits", "0", cwd=tmp_path)
    assert re.search(r"W \[yamnet_cry\] [1-9]\d+ bytes of audio were dropped", printed), printed
