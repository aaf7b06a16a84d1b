"""The documentation: it builds without warnings, and every snippet is run or at least parsed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest import SkipTest

import click
import pytest
import site_pages
import soundfile
from sounds import hiss, hum
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from yamnet_cry.cli import main
from yamnet_cry.demo import SAMPLE_RATE, nursery

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# Experiments and reports are not instructions; the README is a page like any other.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(DOCS.glob("*.md")),
    DOCS / "siblings" / "index.md",
]

SNIPPET = re.compile(r"^```(?P<language>sh|python)\n(?P<source>.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = re.compile(r"\n\n```\n(?P<output>.*?)```$", re.DOTALL | re.MULTILINE)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def snippets(page: Path) -> list[re.Match[str]]:
    return list(SNIPPET.finditer(page.read_text(encoding="utf-8")))


def run(example: Example) -> str | None:
    """Runs a block of shell commands; its output must equal the block that follows, if there is one."""
    found = subprocess.run(
        ["sh", "-e", "-c", example.parsed],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        return f"exit code {found.returncode} of\n{example.parsed}\n{found.stderr}"
    expected = EXPECTED.match(example.document.text, example.region.end)
    if expected is not None and found.stdout != expected["output"]:
        return f"expected\n{expected['output']}\nReceived:\n{found.stdout}"
    return None


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of recordings with the names that the pages use."""
    monkeypatch.chdir(tmp_path)
    for name, wave in (
        ("night.wav", nursery()),
        ("a.wav", nursery()[80_000:]),
        ("room.wav", hiss(90.0) * 0.02),
        ("recording.wav", hum(4.0)),
        ("recordings/one.wav", nursery()),
        ("recordings/two.wav", hum(2.0)),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, wave, SAMPLE_RATE)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="the pages show commands of a POSIX shell")
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_snippets_run(page, folder):
    parsers = [PythonCodeBlockParser(), CodeBlockParser("sh", run), SkipParser()]
    document = Sybil(parsers).parse(page)
    begin(document)
    passed = skipped = 0
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest:
            skipped += 1
        else:
            passed += 1
    found = len(snippets(page))
    assert skipped == document.text.count("<!-- skip: next")
    # A skip comment itself counts as an example that passes.
    assert passed == found
    if found == skipped:
        pytest.skip("every snippet needs what is not here")


def begin(document: Document) -> None:
    """Defines the names that Python snippets use without defining them."""
    document.namespace.update(blocks=[nursery()[:40_000]], sample_rate=SAMPLE_RATE)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_its_commands_exist(page):
    lines = [
        line
        for snippet in snippets(page)
        if snippet["language"] == "sh"
        for line in snippet["source"].replace("\\\n", " ").splitlines()
    ]
    for line in lines:
        words = shlex.split(line, comments=True)
        words = words[len(words) - words[::-1].index("|") :] if "|" in words else words
        if words[:1] == ["yamnet-cry"]:
            understood(words[1:], line)


def understood(words: list[str], line: str) -> None:
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *words = words
        assert name in command.commands, line
        command = command.commands[name]
        if isinstance(command, click.Group) and not words:
            return
    parser = command.make_parser(click.Context(command))
    parser.parse_args(list(words))


def test_pages_link_to_what_exists():
    repository = "https://example.org/r"
    report = site_pages.resolved("../benchmarks/hearing.md", "docs/home.md", "home.md", repository)
    assert report == "benchmarks/hearing.md"
    back = site_pages.resolved(
        "../docs/home.md", "benchmarks/hearing.md", "benchmarks/hearing.md", repository
    )
    assert back == "../home.md"
    assert (
        site_pages.resolved("../examples", "docs/home.md", "home.md", repository)
        == f"{repository}/tree/main/examples"
    )
    for path in site_pages.PAGES:
        assert (ROOT / path).is_file()


def test_addresses_are_those_of_the_package():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert f"site_url: {urls['Documentation']}\n" in configuration
    assert f"repo_url: {urls['Source']}\n" in configuration
    for text in (configuration, (ROOT / "pyproject.toml").read_text(encoding="utf-8")):
        assert set(re.findall(r"github\.com/(\S+?/[\w.-]+)", text)) == {"yamnet-cry/yamnet-cry"}


def test_every_experiment_is_listed():
    index = (DOCS / "experiments" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\((\d.+?\.md)\)", index)
    assert listed == sorted(path.name for path in (DOCS / "experiments").glob("0*.md"))


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    for page, words in {
        "index.html": "Start in five minutes",
        "benchmarks/hearing/index.html": "cry-benchmark v1",
        "reference/python/index.html": "from_pretrained",
        "reference/commands/index.html": "--threshold",
    }.items():
        assert words in (tmp_path / "site" / page).read_text(encoding="utf-8")
    # click's placeholder for an unset default.
    commands = (tmp_path / "site" / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    assert "Sentinel." not in commands


@pytest.mark.skipif(os.name == "nt", reason="the kernel's loop warns on Windows")
def test_the_notebook_runs(tmp_path):
    pytest.importorskip("tensorflow", reason="needs the extra distill")
    shutil.copy(ROOT / "examples" / "first_steps.ipynb", tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbmake", "--nbmake-timeout=600", "-q", "first_steps.ipynb"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout
    assert (tmp_path / "my-model" / "model_int8.tflite").is_file()
