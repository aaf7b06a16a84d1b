"""Records the engine's results on a small corpus, to check that a refactoring does not change them.

    python tools/freeze.py CORPUS --teacher PATH --out before.json
    python tools/freeze.py CORPUS --teacher PATH --compare before.json

Run the first command before the change and the second after it: the second prints the differences, and exits
with 1 if there are any. Both train two recipes for a few epochs on a few clips, selected by the hash of their
names, and run the released detector on twenty of them. TensorFlow's results depend on the machine and the
version, so compare only files from the same machine.
"""

import argparse
import dataclasses
import hashlib
import json
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from yamnet_cry import CryDetector
from yamnet_cry.distill import distill, recipes, sources
from yamnet_cry.distill.corpus import CRY, NOT_CRY, SPLITS, Clip
from yamnet_cry.distill.layouts import MANIFEST
from yamnet_cry.files import write_whole
from yamnet_cry.model.folder import CONFIG, METRICS, TFLITE

_CLIPS = {CRY: 15, NOT_CRY: 30}
_SETTINGS = {
    "cry": ("train.epochs=3", "augmentation.views=100"),
    "reference": ("train.epochs=3", "train.drop_epoch=2"),
}
# The keys of config.json that a run determines. The format of the others may change.
_CONFIG_KEYS = ("recipe", "threshold", "calibration", "events", "parameters", "event_recall")
_DETECTED = 20


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help=f"a folder with {MANIFEST}, with labelled clips")
    parser.add_argument("--teacher", required=True, help="as for distill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file to write; stdout by default")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="file that --out wrote before")
    arguments = parser.parse_args()
    before = None if arguments.compare is None else json.loads(arguments.compare.read_text(encoding="utf-8"))
    clips = chosen(sources.load(str(arguments.corpus)))
    _say(f"{len(clips)} clips of {arguments.corpus}")
    # JSON has no tuples, so both sides of the comparison are decoded from JSON.
    frozen = json.loads(json.dumps(freeze(arguments.corpus, clips, arguments.teacher, arguments.seed)))
    text = json.dumps(frozen, indent=2) + "\n"
    if arguments.out is not None:
        write_whole(arguments.out, text)
    elif before is None:
        sys.stdout.write(text)
    if before is not None:
        differing = list(differences(before, frozen))
        print("\n".join(differing) if differing else f"equal to {arguments.compare}")
        sys.exit(1 if differing else 0)


def chosen(clips: Iterable[Clip]) -> list[Clip]:
    """Selects a few labelled clips of every split and target, independent of the order of `clips`."""
    in_order = sorted(clips, key=lambda clip: hashlib.sha256(clip.name.encode()).digest())
    return [
        clip
        for split in SPLITS
        for target, count in _CLIPS.items()
        for clip in [each for each in in_order if each.split == split and target in each.labels][:count]
    ]


def freeze(folder: Path, clips: list[Clip], teacher: str, seed: int) -> dict[str, Any]:
    """Trains every recipe and runs the released detector.

    Args:
        folder: The corpus that the clips' names are relative to.
        clips: Clips of its manifest.
        teacher: As for `distill`.
        seed: Random seed of both runs.
    """
    runs: dict[str, Any] = {}
    with TemporaryDirectory() as temporary:
        small = Path(temporary, "corpus")
        lines = ["file,target,split,group,source"]
        for clip in clips:
            (small / clip.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / clip.name, small / clip.name)
            lines.append(f'"{clip.name}",{clip.labels[0]},{clip.split},"{clip.group}","{clip.source}"')
        (small / MANIFEST).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name, settings in _SETTINGS.items():
            _say(f"recipe {name}")
            out = Path(temporary, name)
            recipe = recipes.get(name, settings)
            distill(
                str(small), teacher, out, recipe=recipe, seed=seed, cache=Path(temporary, "logits.sqlite")
            )
            config = json.loads((out / CONFIG).read_text(encoding="utf-8"))
            runs[name] = {
                "model": hashlib.sha256((out / TFLITE).read_bytes()).hexdigest(),
                "config": {key: config.get(key) for key in _CONFIG_KEYS},
                "metrics": json.loads((out / METRICS).read_text(encoding="utf-8")),
            }
    _say("released model")
    packages = ("keras", "tensorflow", "numpy", "ai-edge-litert")
    return {
        "machine": platform.machine(),
        "versions": {name: version(name) for name in packages},
        "seed": seed,
        "recipes": runs,
        "released": dict(detected([clip for clip in clips if clip.split == "test"])),
    }


def detected(clips: list[Clip]) -> Iterator[tuple[str, Any]]:
    """Yields the released model's results on a few clips, half of them crying."""
    detector = CryDetector.from_pretrained()
    half = _DETECTED // 2
    for target in _CLIPS:
        for clip in [each for each in clips if target in each.labels][:half]:
            result = detector(clip.open())
            yield (
                clip.name,
                {
                    "scores": hashlib.sha256(result.scores.tobytes()).hexdigest(),
                    "probability": result.probability,
                    "events": [dataclasses.asdict(event) for event in result.events],
                },
            )


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Yields a line for every value that differs.

    Examples:
        >>> list(differences({"a": [1, 2]}, {"a": [1, 3]}))
        ['a.1: before 2, now 3']
    """
    if isinstance(before, list) and isinstance(after, list):
        before, after = (dict(enumerate(values)) for values in (before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            inner = f"{where}.{key}" if where else str(key)
            yield from differences(before.get(key, "nothing"), after.get(key, "nothing"), inner)
    elif before != after:
        yield f"{where}: before {before!r}, now {after!r}"


def _say(what: str) -> None:
    print(f"freeze: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
