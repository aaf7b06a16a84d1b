"""yamnet-cry push."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import click

from yamnet_cry import hub, release
from yamnet_cry.cli.options import PRIVATE
from yamnet_cry.errors import HubError
from yamnet_cry.model_folder import fingerprint


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.argument("repo", metavar="REPO")
@PRIVATE
@click.option("--revision", metavar="BRANCH", help="Branch to push to, made if need be; main by default.")
@click.option("--create-pr", is_flag=True, help="Propose it in a pull request instead.")
@click.option("--message", help="First line of the commit's message; version and recipe by default.")
@click.option("--write-card", is_flag=True, help="Write README.md anew first, from what was measured.")
@click.option("--dry-run", is_flag=True, help="Check the folder and print what would go, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def push(
    folder: Path,
    repo: str,
    private: bool | None,
    revision: str | None,
    create_pr: bool,
    message: str | None,
    write_card: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Push FOLDER, a model folder, to REPO on the Hugging Face Hub.

    The repository is made if it is not there. All files go in one commit, tagged with the version; what
    the repository has already is not sent again. A folder that is incomplete, or whose card does not say
    what was measured, is refused. Log in first: hf auth login, or set HF_TOKEN.
    """
    hub.check_repo_id(repo)
    if write_card:
        release.write_card(folder)
    files, planned, tag = release.plan(folder)
    content = {name: fingerprint(path.read_bytes()) for name, path in files.items()}
    tagged = not create_pr and revision in (None, "main")
    plan = {
        "repository": repo,
        "branch": "a pull request" if create_pr else revision or "main",
        "message": message or planned,
        "tag": tag if tagged else None,
        "files": content,
    }
    if dry_run:
        click.echo(json.dumps(plan, indent=2) if as_json else _described(plan))
        return
    done = hub.push(
        files, repo, message or planned, tag=tag, private=private, revision=revision, create_pr=create_pr
    )
    click.echo(json.dumps({**plan, **dataclasses.asdict(done)}, indent=2) if as_json else told(done))


def told(done: hub.Pushed) -> str:
    """Returns what a push has done, in a line or two."""
    tagged = f", tagged {done.tag}" if done.tag else ""
    return f"{done.url}{tagged}" + (f"\n{done.note}" if done.note else "")


def again(error: HubError, folder: Path, repo: str, private: bool | None) -> HubError:
    """Returns the error of a push that followed a long run, with the command that pushes again."""
    option = {None: [], True: ["--private"], False: ["--public"]}[private]
    command = shlex.join(["yamnet-cry", "push", str(folder), repo, *option])
    return HubError(f"{error}\nThe model is safe in {folder}; push it with: {command}")


def _described(plan: dict[str, Any]) -> str:
    lines = [f"would push to {plan['repository']}, {plan['branch']}: {plan['message']}"]
    for name, known in plan["files"].items():
        lines.append(f"  {name:<20} {known['bytes']:>9,} bytes  sha256 {known['sha256'][:12]}")
    return "\n".join(lines + ([f"tagged {plan['tag']}"] if plan["tag"] else []))
