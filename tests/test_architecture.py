"""The architecture: layers of modules, their sizes, and the packages a light import does not load."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "yamnet_cry"
ARCHITECTURE = PACKAGE.parent / "docs" / "architecture.md"

# A module imports only from floors below its own.
FLOORS = [
    {
        "ahead",
        "errors",
        "files",
        "fields",
        "cluster.__init__",
        "mel",
        "model.check_lstm",
        "model.tflite_metadata",
        "calibration",
        "native_notes",
        "demo",
        "audio.encoded",
        "model.__init__",
        "report.__init__",
    },
    {
        *("frontend", "task", "locations", "audio.wav", "audio.ffmpeg_words", "model.tflite_join"),
        "cluster.engine",
    },
    {"audio.ffmpeg", "cluster.partitions"},
    {"patches", "audioset", "audio.decode", "events", "model.check", "model.context", "cluster.passes"},
    {"audio.recording", "model.runtime", "model.config"},
    {"audio.__init__", "audio.files"},
    {
        *("browser.network", "model.folder", "model.context_keras", "model.frigate", "streaming"),
        *("audio.capture", "classification"),
    },
    {"model.hub", "model.card", "model.keras_file", "model.waveform", "results"},
    {"model.publish", "false_alarms", "browser.page", "browser.server", "browser.__init__"},
    {"classifier", "report.text", "report.plot"},
    {"detector", "firmware.tables", "firmware.network", "firmware.manifests"},
    {"firmware.context"},
    {"firmware.golden", "firmware.readme"},
    {"firmware.kit", "firmware.__init__"},
    {"jobs", "report.table", "space.recording", "export"},
    {"work", "cluster.detections"},
    {"space.live"},
    {"space.page"},
    {"space.__init__"},
    {"__init__"},
    {
        "home.__init__",
        "home.archive",
        "home.broker",
        "home.clock",
        "home.notify",
        "home.reader",
        "home.sources",
    },
    {"home.alarm", "home.discovery", "home.inputs", "home.labels", "home.requests"},
    {"home.command", "home.connection", "home.mqtt", "home.outlets", "home.retention", "home.state"},
    {"home.clips", "home.frigate", "home.review", "home.station", "home.webhook"},
    {"home.watch"},
    {
        "distill.settings",
        "distill.cache",
        "distill.rows",
        "distill.weight_bits",
        "distill.corpus",
        "distill.origins",
        "distill.teachers.batches",
        "distill.metrics",
        "distill.checkpoint_process",
        "distill.teacher",
        "distill.fused_lstm",
        "distill.teachers.fingerprint",
    },
    {
        "distill.sections",
        "distill.quantize",
        "distill.fitness",
        "distill.speech_commands",
        "distill.layouts",
        "distill.augment",
        "distill.hearing",
        "distill.clip_pass",
        "distill.plots",
        "distill.intervals",
        "distill.event_metrics",
        "distill.store",
    },
    {
        "distill.recipe",
        "distill.buckets",
        "distill.windows",
        "distill.students",
        "distill.views",
        "distill.evaluate",
        "distill.teachers.yamnet",
        "distill.teachers.saved_model",
        "distill.teachers.efficientat",
        "distill.teachers.student",
        "distill.teachers.whisper",
        "distill.teachers.renamed",
        "distill.teachers.checkpoint",
    },
    {"distill.recipes", "distill.sources", "distill.teachers.__init__"},
    {"distill.targets", "distill.nights", "distill.record", "distill.devices"},
    {"distill.sampling", "distill.losses", "distill.labelling"},
    {"distill.training", "distill.measuring", "distill.sequences", "distill.probe", "distill.scoring"},
    {"distill.context"},
    {"distill.engine"},
    {"distill.__init__"},
    {"cli.options", "cli.status", "cli.interruption", "cli.outputs", "cli.cache"},
    {"cli.printer", "cli.detect_cluster"},
    {"cli.listening"},
    {
        "cli.calibrate",
        "cli.classify",
        "cli.detect",
        "cli.export",
        "cli.listen",
        "cli.push",
        "cli.recipes",
        "cli.review",
        "cli.space",
    },
    {"cli.distill"},
    {"cli.__init__"},
    {"__main__"},
]


# The rooms of docs/architecture.md: modules that are not in a subpackage belong to one of these.
ROOMS = {
    "values": {
        *("errors", "fields", "files", "native_notes", "ahead", "demo", "mel", "frontend", "patches", "task"),
        *("audioset", "calibration", "events", "locations"),
    },
    "hearing": {"classification", "classifier", "results", "detector", "streaming", "false_alarms"},
    "work": {"jobs", "work", "export"},
}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
        # The files that a firmware kit includes are ESPHome's code, not the package's.
        if not path.is_relative_to(PACKAGE / "firmware" / "boards")
    }


def imports(path: Path) -> set[str]:
    """Names of the package's own modules that a module imports, anywhere in it."""
    known = modules()
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("yamnet_cry"):
            continue
        base = (node.module or "").removeprefix("yamnet_cry").removeprefix(".")
        for alias in node.names:
            inner = f"{base}.{alias.name}".removeprefix(".")
            if inner in known:
                found.add(inner)
            elif f"{inner}.__init__" in known:
                found.add(f"{inner}.__init__")
            elif base in known:
                found.add(base)
            else:
                found.add(f"{base}.__init__".removeprefix("."))
    return found


def test_every_module_has_a_floor():
    assert set(modules()) == set().union(*FLOORS)


@pytest.mark.parametrize("name", modules())
def test_imports_go_down(name):
    floor_of = {module: number for number, floor in enumerate(FLOORS) for module in floor}
    upwards = {other for other in imports(modules()[name]) if floor_of[other] >= floor_of[name]}
    assert not upwards, f"{name} imports from its own floor or above: {upwards}"


def room_of(name: str) -> str:
    return next((room for room, inside in ROOMS.items() if name in inside), name.partition(".")[0])


def test_the_picture_is_what_the_code_imports():
    picture = set(re.findall(r"^    (\w+) --> (\w+)$", ARCHITECTURE.read_text(), re.MULTILINE))
    real = {
        (room_of(name), room_of(other))
        for name, path in modules().items()
        for other in imports(path)
        if "__init__" not in (name, other) and "__main__" not in name
    }
    real = {(room, other) for room, other in real if room != other}
    assert picture <= real
    reached = set(picture)
    while more := {(a, d) for a, b in reached for c, d in reached if b == c} - reached:
        reached |= more
    assert real <= reached
    assert not {(room, room) for room, _ in reached} & reached


def test_every_module_has_a_job_in_the_tables():
    text = ARCHITECTURE.read_text()
    named = set(re.findall(r"`([\w.]+)`", text))
    assert {name for name in modules() if not name.endswith("__init__") and name != "__main__"} <= named


@pytest.mark.parametrize("name", modules())
def test_no_module_is_long(name):
    assert len(modules()[name].read_text().splitlines()) <= 400


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "import yamnet_cry",
        "from yamnet_cry import CryDetector; CryDetector.from_pretrained()",
        "from yamnet_cry import Classifier; Classifier.from_pretrained('hub')",
        "import yamnet_cry.cli",
        "import yamnet_cry.home.mqtt",
        "from yamnet_cry.distill import recipes; recipes.get('cry', ['train.epochs=5'])",
        "from yamnet_cry.cli import main; main(['cache', '--cache', 'none'], standalone_mode=False)",
        "import yamnet_cry.locations",
    ],
)
def test_light_imports_stay_light(statement):
    heavy = [
        "tensorflow",
        "keras",
        "librosa",
        "datasets",
        "gradio",
        "sklearn",
        "scipy",
        "huggingface_hub",
        "paho",
        "ray",
        "pyarrow",
        "fsspec",
    ]
    _stays_without(heavy, statement)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["labelling", "scoring"])
def test_workers_of_a_cluster_load_only_what_they_need(module):
    # A teacher loads its own packages; there is a process for every core.
    heavy = ["tensorflow", "keras", "librosa", "datasets", "sklearn", "scipy", "matplotlib"]
    _stays_without(heavy, f"import yamnet_cry.distill.{module}")


def _stays_without(heavy, statement):
    """Checks in a separate process that a statement loads none of the given modules."""
    code = f"import sys; {statement}; sys.exit(', '.join(m for m in {heavy} if m in sys.modules) or 0)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
