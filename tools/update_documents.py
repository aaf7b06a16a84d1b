"""Writes what README.md and MODEL_CARD.md say of the released model, from hub/.

    python tools/update_documents.py

Run it after a new model has been put into hub/; a test compares the documents with it.
"""

import json
from pathlib import Path

from yamnet_cry import card, model_folder
from yamnet_cry.files import write_whole

ROOT = Path(__file__).parents[1]
HUB = ROOT / "hub"

BEGIN, END = "<!-- results: written by tools/update_documents.py -->", "<!-- end of results -->"


def documents() -> dict[Path, str]:
    """Returns the text that each document should have."""
    config, _ = model_folder.load(HUB)
    recipe, metrics = (
        json.loads((HUB / name).read_text(encoding="utf-8"))
        for name in (model_folder.RECIPE, model_folder.METRICS)
    )
    before, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    results = f"\n{card.evaluated_on(metrics)}\n\n{card.results_table(metrics)}\n"
    return {
        ROOT / "README.md": before + BEGIN + results + END + after,
        ROOT / "MODEL_CARD.md": card.render(config, recipe, metrics, pictures="hub/"),
        HUB / model_folder.CARD: card.render(config, recipe, metrics),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        write_whole(path, text)
