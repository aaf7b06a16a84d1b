"""The documents agree with the measurements and with the programs' output."""

import json
import re
import tomllib
from pathlib import Path

import hosts_report
import pytest
import soak_report
import update_documents

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "MODEL_CARD.md", "hub/README.md", "docs/siblings/index.md"])
def test_documents_are_those_of_the_released_model(name):
    expected = update_documents.documents()[ROOT / name]
    assert (ROOT / name).read_text(encoding="utf-8") == expected


def test_the_report_of_hosts_is_that_of_its_figures():
    content = json.loads((hosts_report.HERE / "hosts.json").read_text(encoding="utf-8"))
    report = (hosts_report.HERE / "hosts.md").read_text(encoding="utf-8")
    assert report == hosts_report.text(content)
    assert {host["name"] for host in content["hosts"] if host["difference"] is None} == {
        "ESP-IDF",
        "Arduino, PlatformIO",
        "ESPHome",
    }
    assert not [host["name"] for host in content["hosts"] if "failed" in host["tests"]]


def test_the_report_of_the_soak_is_that_of_its_figures():
    result = json.loads((soak_report.HERE / "soak.json").read_text(encoding="utf-8"))
    assert (soak_report.HERE / "soak.md").read_text(encoding="utf-8") == soak_report.text(result)
    assert soak_report.PICTURE.is_file()


def test_every_option_in_the_readme_exists():
    from yamnet_cry.cli import main

    known = {option for command in main.commands.values() for p in command.params for option in p.opts}
    for line in README.splitlines():
        if "yamnet-cry " in line:
            named = set(re.findall(r"(?<=\s)--[a-z-]+", line))
            assert named <= known | {"--help", "--version"}, line
            used = re.search(r"yamnet-cry (\w+) ", line + " ")
            assert used is None or used[1] in main.commands or "`" in line, line


def test_the_changelog_knows_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()


def test_ci_runs_the_command_of_the_readme():
    block = re.search(r"<!-- test command -->\n```sh\n(.+?)\n```", README, re.DOTALL)
    assert block is not None
    assert "pytest" in block[1]
    assert "test command" in (ROOT / ".ci" / "run").read_text()


def test_front_matter_is_what_the_hub_reads():
    from huggingface_hub import ModelCard

    data = ModelCard.load(ROOT / "MODEL_CARD.md").data
    assert (data.library_name, data.pipeline_tag, data.license) == ("keras", "audio-classification", "mit")


def test_figures_in_the_guides_are_those_of_the_release():
    """Checks numbers within sentences, which no program writes."""
    from yamnet_cry import CryDetector

    detector = CryDetector.from_pretrained()
    assert detector.context is not None
    metrics = json.loads((ROOT / "hub" / "metrics.json").read_text(encoding="utf-8"))
    shipped = json.loads((ROOT / "benchmarks" / "hearing.json").read_text(encoding="utf-8"))["peers"][0]
    rate, hours = shipped["nights"]["an_hour"], shipped["nights"]["hours"]
    flash = len(detector.model)
    for name, figures in {
        "faq.md": [
            f"{hours:.1f} hours",
            f"{rate['value']:.2f} false alarms an hour",
            f"interval {rate['low']:.2f} to",
            f"{rate['high']:.2f}",
        ],
        "how_it_works.md": [
            f"{detector.config.parameters['total']:,} parameters",
            f"last {detector.context.windows} windows",
            f"{metrics['size']['context_bytes']:,} bytes",
        ],
        "board.md": [f"{flash / 1024:.0f} KB of flash"],
        "index.md": [f"{(flash + metrics['size']['context_bytes']) / 1000:.0f} KB"],
    }.items():
        page = " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())
        assert [figure for figure in figures if figure not in page] == [], name
    assert shipped["name"] == "this detector, as shipped"
