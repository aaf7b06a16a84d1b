r"""Cross-validates recipe `sounds`: every clip is tested once, by a student not trained on its group.

    python tools/cross_validate.py CORPUS --labels dog,rooster,cat --out labels.json
    python tools/cross_validate.py CORPUS --labels dog,rooster,cat --out yamnet.json \
        --teacher PATH --compare labels.json

For small corpora, whose test split is too small to be conclusive. Groups are assigned to folds, stratified by
label; one fold is for test, the next for validation, the others for training. The manifest's splits are
ignored. With `--compare`, the difference in accuracy on the same clips is printed with its interval. A
student that starts from the released model's weights may have been trained on some of the clips: leave those
out, or start with `--set student.start=random`.
"""

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from yamnet_cry.distill import distill, evaluate, intervals, recipes, sources
from yamnet_cry.distill.layouts import MANIFEST
from yamnet_cry.files import write_whole
from yamnet_cry.task import Task


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help=f"a folder with {MANIFEST} that has a column label")
    parser.add_argument("--labels", required=True, help="labels to classify, separated by commas")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--teacher", help="as for distill; none by default")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="as for distill")
    parser.add_argument("--cache", type=Path, help="as for distill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file to write")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="JSON file of another run")
    arguments = parser.parse_args()
    labels = tuple(arguments.labels.split(","))
    rows = chosen(arguments.corpus, labels)
    print(f"{len(rows)} clips of {len(labels)} labels", file=sys.stderr)
    fold_of = folds(rows, arguments.folds)
    probabilities = np.zeros((len(rows), len(labels)))
    recipe = recipes.get("sounds", arguments.settings)
    with TemporaryDirectory() as temporary:
        for fold in range(arguments.folds):
            folder = Path(temporary, f"fold{fold}")
            _write_corpus(arguments.corpus, folder, rows, fold_of, fold)
            model = distill(
                str(folder),
                arguments.teacher,
                Path(temporary, f"model{fold}"),
                recipe=recipe,
                seed=arguments.seed,
                cache=arguments.cache,
            )
            order = [model.config.task.labels.index(label) for label in labels]
            for number in np.flatnonzero(fold_of == fold):
                heard = model(arguments.corpus / rows[number]["file"])
                probabilities[number] = heard.label_probabilities[order]
    clips = {clip.name: clip for clip in sources.load(str(arguments.corpus), task=Task(labels))}
    report = evaluate.classification_report([clips[row["file"]] for row in rows], probabilities, Task(labels))
    right = [
        labels[answer] == row["label"] for answer, row in zip(probabilities.argmax(axis=1), rows, strict=True)
    ]
    found: dict[str, Any] = {
        "report": report,
        "right": dict(zip([row["file"] for row in rows], right, strict=True)),
    }
    print(f"accuracy {_shown(report['all']['accuracy'])}, macro F1 {_shown(report['all']['macro_f1'])}")
    if arguments.compare is not None:
        before = json.loads(arguments.compare.read_text(encoding="utf-8"))["right"]
        gain = np.array([float(own) - before[row["file"]] for own, row in zip(right, rows, strict=True)])
        groups = [row["group"] for row in rows]
        found["gain"] = intervals.over_groups(
            groups, lambda weights: float(np.average(gain, weights=weights))
        )
        print(f"accuracy more than in {arguments.compare}: {_shown(found['gain'])}")
    write_whole(arguments.out, json.dumps(found, indent=2) + "\n")


def chosen(corpus: Path, labels: tuple[str, ...]) -> list[dict[str, str]]:
    """Returns the rows of the manifest that have one of the labels."""
    with (corpus / MANIFEST).open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.DictReader(file) if row["label"] in labels]


def folds(rows: list[dict[str, str]], count: int) -> np.ndarray:
    """Returns the fold of each row: each group is in one fold, and folds are stratified by label."""
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    labels, groups = ([row[key] for row in rows] for key in ("label", "group"))
    fold_of = np.zeros(len(rows), np.int64)
    for fold, (_, test) in enumerate(splitter.split(rows, labels, groups)):
        fold_of[test] = fold
    return fold_of


def _write_corpus(
    corpus: Path, folder: Path, rows: list[dict[str, str]], fold_of: np.ndarray, fold: int
) -> None:
    folder.mkdir()
    names = {fold: "test", (fold + 1) % (int(fold_of.max()) + 1): "val"}
    with (folder / MANIFEST).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "label", "split", "group", "source", "licence"))
        for row, own in zip(rows, fold_of.tolist(), strict=True):
            (folder / row["file"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(corpus / row["file"], folder / row["file"])
            split = names.get(own, "train")
            writer.writerow(
                (row["file"], row["label"], split, row["group"], row["source"], row.get("licence", ""))
            )


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"


if __name__ == "__main__":
    main()
