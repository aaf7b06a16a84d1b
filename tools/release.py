"""Makes a release: checks that versions, documents and benchmarks agree, tags the commit and pushes the tag.

    python tools/release.py [--dry-run] [--remote NAME]
    python tools/release.py --notes  # the changelog's section of this version

Pushing the tag starts .github/workflows/release.yml, which builds and tests the wheel, publishes it, and
pushes model and pages to the Hub. If a check fails, nothing is done and the exit code is 1.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import update_documents

ROOT = Path(__file__).parents[1]

# Measurements of the model, which must not be older than the model.
MODEL, BENCHMARKS = "hub/model_int8.tflite", ("hub/metrics.json", "benchmarks/hearing.json")

_SECTION = re.compile(r"^## (?P<name>\S+)(?: - (?P<date>\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)


def git(*arguments: str, root: Path = ROOT) -> str:
    """Runs git, and returns its output."""
    result = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return result.stdout.strip()


def version(root: Path = ROOT) -> str:
    """Returns the version of the package."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def section(name: str, root: Path = ROOT) -> tuple[str | None, str]:
    """Returns the date and the text of a version in the changelog; an empty text if it has no section."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = list(_SECTION.finditer(text))
    for here, after in zip(found, [*found[1:], None], strict=True):
        if here["name"] == name:
            return here["date"], text[here.end() : after.start() if after else None].strip()
    return None, ""


def elsewhere(remote: str, root: Path = ROOT) -> list[str]:
    """Checks that a remote is the repository that pyproject.toml names; returns a problem, or an empty list.

    Args:
        remote: Name of the remote.
        root: A checkout.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    expected = project["urls"]["Source"].removeprefix("https://github.com/")
    remotes = git("remote", root=root).split()
    received = git("remote", "get-url", remote, root=root) if remote in remotes else "no such remote"
    if re.search(rf"github\.com[:/]{re.escape(expected)}(\.git)?$", received):
        return []
    return [f"remote {remote}: expected github.com/{expected}. Received: {received}"]


def problems(root: Path = ROOT) -> list[str]:
    """Returns the problems that block a release; an empty list if there are none.

    Args:
        root: A checkout.
    """
    wanted = version(root)
    found = []
    if git("status", "--porcelain", root=root):
        found.append("the working tree has changes that are not committed")
    if git("tag", "--list", f"v{wanted}", root=root):
        found.append(f"there is a tag v{wanted}; raise the version in pyproject.toml")
    date, text = section(wanted, root)
    if not text:
        found.append(f"CHANGELOG.md says nothing under `## {wanted} - DATE`")
    if section("Unreleased", root)[1]:
        found.append(f"CHANGELOG.md has changes under `## Unreleased`; move them to `## {wanted} - DATE`")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    for name, value in (("version", wanted), ("date-released", date)):
        line = re.search(rf'^{name}: "?(.+?)"?$', citation, re.MULTILINE)
        if value is not None and (line is None or line[1] != value):
            found.append(f"CITATION.cff: expected {name}: {value}. Received: {line[1] if line else 'none'}")
    found += [
        f"{path.relative_to(root)} does not list what was measured; run tools/update_documents.py"
        for path, expected in (update_documents.documents() if root == ROOT else {}).items()
        if path.read_text(encoding="utf-8") != expected
    ]
    model = git("log", "-1", "--format=%H", "--", MODEL, root=root)
    for name in BENCHMARKS:
        measured = git("log", "-1", "--format=%H", "--", name, root=root)
        if git("merge-base", model, measured, root=root) != model:
            found.append(f"{name} was measured before {MODEL} changed; measure it again")
    return found


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="print the steps, and do nothing")
    parser.add_argument("--remote", default="origin", help="remote to push the tag to (default: origin)")
    parser.add_argument("--notes", action="store_true", help="print the changelog's section of this version")
    options = parser.parse_args()
    name = f"v{version()}"
    if options.notes:
        print(section(version())[1])
        return 0
    if found := [*problems(), *elsewhere(options.remote)]:
        print(
            f"{name} cannot be released:", *(f"- {problem}" for problem in found), sep="\n", file=sys.stderr
        )
        return 1
    commands = (
        ("tag", "--annotate", name, "--message", f"yamnet-cry {version()}"),
        ("push", options.remote, name),
    )
    for command in commands:
        print("git", *command)
        if not options.dry_run:
            git(*command)
    print(".github/workflows/release.yml builds, tests and publishes what the tag names")
    return 0


if __name__ == "__main__":
    sys.exit(main())
