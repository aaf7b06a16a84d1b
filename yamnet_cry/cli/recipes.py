"""yamnet-cry recipes."""

import dataclasses
import json
from typing import Any

import click

# Longer lists, such as AudioSet's labels, are shortened to this length.
_MOST_ITEMS = 12


@click.group(invoke_without_command=True)
@click.pass_context
def recipes(context: click.Context) -> None:
    """List the training recipes of `yamnet-cry distill`.

    `yamnet-cry recipes show NAME` explains the settings of a recipe.
    """
    from yamnet_cry.distill.recipes import RECIPES

    if context.invoked_subcommand is None:
        for name, recipe in RECIPES.items():
            click.echo(f"{name:<10} {recipe.about}")


@recipes.command()
@click.argument("name", metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Print all settings of recipe NAME as KEY=VALUE for --set, with meaning and allowed values."""
    from yamnet_cry.distill.recipes import get
    from yamnet_cry.distill.settings import described

    recipe = get(name)
    settings = described(recipe)
    if as_json:
        content = {
            "name": recipe.name,
            "about": recipe.about,
            "needs": recipe.needs,
            "settings": list(map(dataclasses.asdict, settings)),
        }
        click.echo(json.dumps(content, indent=2))
        return
    click.echo(f"{recipe.name}: {recipe.about}")
    if recipe.needs:
        click.echo(_indented(f"Needs {recipe.needs}"))
    for setting in settings:
        meaning = f"{setting.meaning} Expected: {setting.expected}."
        click.echo(f"\n{setting.key}={_as_typed(setting.value)}\n{_indented(meaning)}")


def _as_typed(value: Any) -> str:
    if isinstance(value, tuple) and len(value) > _MOST_ITEMS:
        return f"{_as_typed(value[:_MOST_ITEMS])[:-1]},...] ({len(value)} in all)"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _indented(text: str) -> str:
    return click.wrap_text(text, width=100, initial_indent="    ", subsequent_indent="    ")
