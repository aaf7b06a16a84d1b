"""Measures recall against threshold on a corpus's validation split, and writes it to hub/config.json.

    python tools/write_event_recall.py CORPUS [CORPUS ...]

`yamnet-cry distill` writes it itself; this is for models that are older than the field.
"""

import sys
from dataclasses import replace
from pathlib import Path

from yamnet_cry import model_folder
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill import corpus, evaluate
from yamnet_cry.files import write_whole

HUB = Path(__file__).parents[1] / "hub"


def main(sources: list[str]) -> None:
    """Writes the field anew."""
    detector = CryDetector.from_pretrained(HUB)
    clips = corpus.require(corpus.load(*sources), "val")
    config = replace(detector.config, event_recall=evaluate.event_recall(detector, clips))
    write_whole(HUB / model_folder.CONFIG, config.to_json())
    print(config.event_recall)


if __name__ == "__main__":
    main(sys.argv[1:])
