"""Reasons for which a commit must not be released."""

import subprocess
import sys
from pathlib import Path

import pytest
import release

ROOT = Path(__file__).parents[1]


def commit(root: Path, message: str = "something") -> None:
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    release.git("add", "--all", root=root)
    release.git(*who, "commit", "--quiet", "--message", message, root=root)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout that may be released."""
    release.git("init", "--quiet", root=tmp_path)
    for name in (release.MODEL, *release.BENCHMARKS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CITATION.cff").write_text('version: 1.2.3\ndate-released: "2026-01-02"\n')
    sections = (
        "# Changelog",
        "## Unreleased",
        "## 1.2.3 - 2026-01-02",
        "- It hears.",
        "## 1.2.2 - 2025-01-01",
    )
    (tmp_path / "CHANGELOG.md").write_text("\n\n".join((*sections, "- No.\n")))
    commit(tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_commit_that_agrees_with_itself(checkout):
    assert release.problems(checkout) == []
    assert release.section("1.2.3", checkout) == ("2026-01-02", "- It hears.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        (
            "CHANGELOG.md",
            "## Unreleased\n",
            "## Unreleased\n\n- It sings.\n",
            "has changes under `## Unreleased`",
        ),
        ("CHANGELOG.md", "1.2.3", "1.2.1", "says nothing under `## 1.2.3 - DATE`"),
        ("CITATION.cff", "1.2.3", "1.2.2", "expected version: 1.2.3. Received: 1.2.2"),
        ("CITATION.cff", 'date-released: "2026-01-02"\n', "", "date-released: 2026-01-02. Received: none"),
        ("pyproject.toml", "1.2.3", "1.2.4", "says nothing under `## 1.2.4 - DATE`"),
    ],
)
def test_what_disagrees(checkout, name, old, new, problem):
    replace(checkout / name, old, new)
    commit(checkout)
    assert any(problem in found for found in release.problems(checkout))


def test_changes_that_are_not_committed(checkout):
    (checkout / "new.txt").write_text("new")
    assert release.problems(checkout) == ["the working tree has changes that are not committed"]


def test_a_version_that_was_released(checkout):
    release.git("tag", "v1.2.3", root=checkout)
    assert release.problems(checkout) == ["there is a tag v1.2.3; raise the version in pyproject.toml"]


def test_a_model_that_was_not_measured(checkout):
    (checkout / release.MODEL).write_text("2")
    commit(checkout, "another model")
    expected = [
        f"{name} was measured before {release.MODEL} changed; measure it again" for name in release.BENCHMARKS
    ]
    assert release.problems(checkout) == expected
    for name in release.BENCHMARKS:
        (checkout / name).write_text("2")
    commit(checkout, "measured")
    assert release.problems(checkout) == []


def test_notes_are_what_the_changelog_says():
    command = [sys.executable, str(ROOT / "tools" / "release.py"), "--notes"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == release.section(release.version())[1]
    assert said.strip()


def test_every_workflow_reads_alone_and_pins_what_it_uses():
    import yaml

    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [path.stem for path in workflows] == ["benchmark", "nightly", "release", "site", "tests"]
    for path in workflows:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}, path
        for job in workflow["jobs"].values():
            assert "timeout-minutes" in job
            for step in job["steps"]:
                if "uses" in step:
                    _, _, revision = step["uses"].partition("@")
                    assert len(revision) == 40, step["uses"]


def test_the_tag_goes_to_the_repository_of_the_project(checkout):
    (checkout / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.3"\n[project.urls]\nSource = "https://github.com/a/b"\n'
    )
    expected = "remote origin: expected github.com/a/b. Received: "
    assert release.elsewhere("origin", checkout) == [f"{expected}no such remote"]
    release.git("remote", "add", "origin", "https://github.com/a/bc.git", root=checkout)
    assert release.elsewhere("origin", checkout) == [f"{expected}https://github.com/a/bc.git"]
    for address in ("https://github.com/a/b", "https://github.com/a/b.git", "git@github.com:a/b.git"):
        release.git("remote", "set-url", "origin", address, root=checkout)
        assert release.elsewhere("origin", checkout) == []
