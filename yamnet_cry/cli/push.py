"""yamnet-cry push."""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Any

import click

from yamnet_cry import __version__
from yamnet_cry.cli.options import PRIVATE
from yamnet_cry.errors import HubError
from yamnet_cry.model import hub
from yamnet_cry.model.folder import fingerprint


@click.command()
@click.argument("arguments", metavar="[FOLDER] REPO", nargs=-1)
@click.option("--space", is_flag=True, help="Push the web page, as a Space; there is no FOLDER then.")
@PRIVATE
@click.option("--revision", metavar="BRANCH", help="Branch to push to, made if need be; main by default.")
@click.option("--create-pr", is_flag=True, help="Propose it in a pull request instead.")
@click.option("--message", help="First line of the commit's message; version and recipe by default.")
@click.option("--write-card", is_flag=True, help="Write README.md anew first, from what was measured.")
@click.option("--dry-run", is_flag=True, help="Check the folder and print what would go, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def push(
    arguments: tuple[str, ...],
    space: bool,
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
    from yamnet_cry.model import publish

    if len(arguments) != (1 if space else 2):
        expected = "REPO alone with --space" if space else "FOLDER and REPO"
        raise click.UsageError(f"expected {expected}. Received: {' '.join(arguments) or 'nothing'}")
    repo = arguments[-1]
    hub.check_repo_id(repo)
    tag: str | None = None
    if space:
        files, planned = publish.space_files(), f"yamnet-cry {__version__}, the page"
    else:
        folder = Path(arguments[0])
        if write_card:
            publish.write_card(folder)
        files, planned, tag = publish.plan(folder)
    content = {name: fingerprint(path.read_bytes()) for name, path in files.items()}
    plan = {
        "repository": repo,
        "kind": "space" if space else "model",
        "branch": "a pull request" if create_pr else revision or "main",
        "message": message or planned,
        "tag": None if create_pr or revision not in (None, "main") else tag,
        "files": content,
    }
    if dry_run:
        click.echo(json.dumps(plan, indent=2) if as_json else _described(plan))
        return
    done = hub.push(
        files,
        repo,
        message or planned,
        kind="space" if space else "model",
        tag=tag,
        private=private,
        revision=revision,
        create_pr=create_pr,
    )
    click.echo(json.dumps({**plan, **dataclasses.asdict(done)}, indent=2) if as_json else summary(done))


def summary(done: hub.Pushed) -> str:
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
