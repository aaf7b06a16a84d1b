"""Writes the figures in README.md and the model cards, from hub/, docs/siblings and benchmarks/.

    python tools/update_documents.py

Run it after replacing the model in hub/, and after benchmarks/hearing.py or siblings_report.py; a test
compares the documents with its output.
"""

import json
from pathlib import Path

from yamnet_cry.files import write_whole
from yamnet_cry.model import card
from yamnet_cry.model import folder as model_folder

ROOT = Path(__file__).parents[1]
HUB = ROOT / "hub"

HEARING = ROOT / "benchmarks" / "hearing.json"

SIBLINGS = ROOT / "docs" / "siblings" / "table.md"
SIBLINGS_PAGE = SIBLINGS.with_name("index.md")

# The rows of the benchmark's table that README.md shows.
SHOWN = (
    "**this detector, as shipped**",
    "**release 0.1.0, as shipped**",
    "YAMNet, softmax, mean",
    "EfficientAT mn04, mean",
)

SIBLINGS_BEGIN = "<!-- siblings: written by tools/update_documents.py -->"
SIBLINGS_END = "<!-- end of siblings -->"
HEARING_BEGIN = "<!-- hearing: written by tools/update_documents.py -->"
HEARING_END = "<!-- end of hearing -->"
BEGIN, END = "<!-- results: written by tools/update_documents.py -->", "<!-- end of results -->"


def documents() -> dict[Path, str]:
    """Returns the expected text of each document."""
    config, *_ = model_folder.load(HUB)
    recipe, metrics = (
        json.loads((HUB / name).read_text(encoding="utf-8"))
        for name in (model_folder.RECIPE, model_folder.METRICS)
    )
    short = json.loads(HEARING.read_text(encoding="utf-8"))["short"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = _between(readme, HEARING_BEGIN, HEARING_END, _shown(short))
    siblings = SIBLINGS.read_text(encoding="utf-8").rstrip()
    readme = _between(readme, SIBLINGS_BEGIN, SIBLINGS_END, siblings)
    page = SIBLINGS_PAGE.read_text(encoding="utf-8")
    results = f"{card.evaluated_on(metrics)}\n\n{card.results_table(metrics)}"
    return {
        ROOT / "README.md": _between(readme, BEGIN, END, results),
        SIBLINGS_PAGE: _between(page, SIBLINGS_BEGIN, SIBLINGS_END, siblings.replace("(docs/siblings/", "(")),
        ROOT / "MODEL_CARD.md": card.render(config, recipe, metrics, pictures="hub/"),
        HUB / model_folder.CARD: card.render(config, recipe, metrics),
    }


def _shown(short: dict[str, str]) -> str:
    """Returns the table's rows for README.md, and a description of the audio."""
    head, rows = short["table"].splitlines()[:2], short["table"].splitlines()[2:]
    shown = [row for name in SHOWN for row in rows if row.startswith(f"| {name} |")]
    audio, *_ = short["introduction"].split(" The first row")
    return "\n".join([*head, *shown, "", audio])


def _between(text: str, begin: str, end: str, new: str) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{new}\n{end}{after}"


if __name__ == "__main__":
    for path, text in documents().items():
        write_whole(path, text)
