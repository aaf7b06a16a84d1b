"""yamnet-cry push."""

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from yamnet_cry import __version__
from yamnet_cry.cli.options import PRIVATE
from yamnet_cry.errors import HubError
from yamnet_cry.model import hub
from yamnet_cry.model.folder import fingerprint

# Expected arguments for (--space, --static), and how many.
_EXPECTED = {
    (False, False): ("FOLDER and REPO", (2,)),
    (True, False): ("REPO alone with --space", (1,)),
    (True, True): ("REPO, or FOLDER and REPO, with --space --static", (1, 2)),
}


@click.command()
@click.argument("arguments", metavar="[FOLDER] REPO", nargs=-1)
@click.option("--space", is_flag=True, help="Push the web page as a Gradio Space; takes no FOLDER.")
@click.option(
    "--static", is_flag=True, help="With --space: push the page that runs in the browser, as a static Space."
)
@PRIVATE
@click.option("--revision", metavar="BRANCH", help="Branch to push to, created if missing. Default: main.")
@click.option("--create-pr", is_flag=True, help="Open a pull request instead of committing to the branch.")
@click.option("--message", help="Title of the commit. Default: version and recipe.")
@click.option(
    "--write-card", is_flag=True, help="First regenerate README.md, the model card, from the metrics."
)
@click.option("--dry-run", is_flag=True, help="Check the folder and print what would be pushed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(
    arguments: tuple[str, ...],
    space: bool,
    static: bool,
    private: bool | None,
    revision: str | None,
    create_pr: bool,
    message: str | None,
    write_card: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Push FOLDER, a model folder, to REPO on the Hugging Face Hub.

    The repository is created if it does not exist. All files are pushed in one commit, tagged with the
    version; unchanged files are not uploaded again. A folder that is incomplete, or whose model card does
    not match its metrics, is rejected. Log in first with `hf auth login`, or set HF_TOKEN.

    There are two kinds of Space. --space pushes a Gradio app: visitors send audio to the Hub's machine,
    which runs the model; the Hub may require a paid plan of new accounts. --space --static pushes static
    files, which the Hub hosts for free: the model runs in the visitor's browser, and no audio leaves it.
    FOLDER is then the model for the page. Default: the bundled model.
    """
    from yamnet_cry.model import publish

    if static and not space:
        raise click.UsageError("--static needs --space")
    expected, counts = _EXPECTED[space, static]
    if len(arguments) not in counts:
        raise click.UsageError(f"expected {expected}. Received: {' '.join(arguments) or 'nothing'}")
    repo = arguments[-1]
    hub.check_repo_id(repo)
    tag: str | None = None
    files: Mapping[str, Path | bytes]
    if static:
        files, planned = _static(*arguments[:-1]), f"yamnet-cry {__version__}, the page in the browser"
    elif space:
        files, planned = publish.space_files(), f"yamnet-cry {__version__}, the page"
    else:
        folder = Path(arguments[0])
        if write_card:
            publish.write_card(folder)
        files, planned, tag = publish.plan(folder)
    content = {
        name: fingerprint(each if isinstance(each, bytes) else each.read_bytes())
        for name, each in files.items()
    }
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
        sdk="static" if static else "gradio",
        tag=tag,
        private=private,
        revision=revision,
        create_pr=create_pr,
    )
    click.echo(json.dumps({**plan, **dataclasses.asdict(done)}, indent=2) if as_json else summary(done))


def _static(model: str | None = None) -> dict[str, bytes]:
    from yamnet_cry.browser import page
    from yamnet_cry.detector import CryDetector

    detector = CryDetector.from_pretrained(model)
    return page.files(detector.config, detector.model, detector.context)


def summary(done: hub.Pushed) -> str:
    """Describes the result of a push, in one or two lines."""
    tagged = f", tagged {done.tag}" if done.tag else ""
    return f"{done.url}{tagged}" + (f"\n{done.note}" if done.note else "")


def again(error: HubError, folder: Path, repo: str, private: bool | None) -> HubError:
    """Adds to the error of a failed push the command that pushes again."""
    option = {None: [], True: ["--private"], False: ["--public"]}[private]
    command = shlex.join(["yamnet-cry", "push", str(folder), repo, *option])
    return HubError(f"{error}\nThe model is saved in {folder}; push it with: {command}")


def _described(plan: dict[str, Any]) -> str:
    lines = [f"would push to {plan['repository']}, {plan['branch']}: {plan['message']}"]
    for name, known in plan["files"].items():
        lines.append(f"  {name:<20} {known['bytes']:>9,} bytes  sha256 {known['sha256'][:12]}")
    return "\n".join(lines + ([f"tagged {plan['tag']}"] if plan["tag"] else []))
