"""Makes a corpus of dogs, crying, gunshots and other sounds, for recipe aed.

    python examples/acoustic_events.py events --corpus my-corpus --corpus open-sounds --guns CDDA-Soundpacks
    yamnet-cry distill --recipe aed --audio events/fold-0.csv --teacher mn04 --out model

`--corpus` is a folder with a manifest.csv with columns target and label, as examples/open_sounds.py and
examples/debian_sounds.py write it; it may be repeated. Clips with target `cry` are crying; clips with label
`dog` or category `dogs` are dogs; gunshots are recognised by words in their labels. All other clips with
target `not_cry` are `none`, of which one in N is used (`--none-in N`). `--guns` is the folder CC-Sounds of
github.com/Fris0uman/CDDA-Soundpacks (the licence of each sound is in the credits.md beside it). Clips are cut
to ten seconds.

There are few gunshots, so groups of clips are assigned to five folds, stratified by label: each of
`fold-0.csv` to `fold-4.csv` tests one fold, validates on the next and trains on the others.
"""

import argparse
import csv
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.distill.layouts import MANIFEST
from yamnet_cry.distill.recipes import AED
from yamnet_cry.errors import AudioError
from yamnet_cry.files import whole
from yamnet_cry.task import NONE

DOG, CRYING, GUNSHOT = AED.task.labels
FOLDS = 5
COLUMNS = ("file", "label", "split", "group", "source", "licence")
RATE, SECONDS = 16_000, 10

_GUNS = re.compile(
    r"gun_?(?:shot|fire)|(?:pistol|rifle|shotgun)_fire|shotgn|dspistol|machine_?gun|minigun|musket|autocannon|"
    r"^(?:shotgun|gun\d?|sniper)$",
    re.IGNORECASE,
)
_NO_GUNS = re.compile(r"fake|synthetic|laser|plasma|_dry$", re.IGNORECASE)
_CDDA = re.compile(r"(?:handguns|machineguns|generic|shotguns)/|rifle")


@dataclass(frozen=True)
class Found:
    """A clip: its file, label, and further columns of its manifest."""

    path: Path
    label: str
    group: str
    source: str
    licence: str


def label_of(row: dict[str, str]) -> str:
    """Returns the label of a clip by its row; empty if it is unknown."""
    if row["target"] == "cry":
        return CRYING
    if row.get("category") == "dogs" or row["label"] == "dog":
        return DOG
    if _GUNS.search(row["label"]) and not _NO_GUNS.search(row["label"]):
        return GUNSHOT
    return NONE if row["target"] == "not_cry" else ""


def of_corpus(folder: Path, none_in: int) -> Iterator[Found]:
    """Yields the clips of a corpus that are used."""
    with (folder / MANIFEST).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = label_of(row)
            if not label or (label == NONE and _number(row["file"]) % none_in):
                continue
            source = row.get("source") or folder.name
            yield Found(folder / row["file"], label, row["group"], source, row.get("licence", ""))


def of_guns(folder: Path) -> Iterator[Found]:
    """Yields the gunshots of CDDA-Soundpacks, grouped by kind of weapon, because these are similar."""
    for path in sorted(folder.rglob("fire_gun/**/*.ogg")):
        if not _CDDA.search(path.as_posix()):
            continue
        kind = next(part for part in path.parts[path.parts.index("fire_gun") + 1 :])
        yield Found(path, GUNSHOT, f"CDDA {kind}", "CDDA-Soundpacks", "see credits.md beside the sound")


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def folds(found: list[Found]) -> dict[str, int]:
    """Assigns the groups of each label to folds in turn, in the order of their hashes.

    A group with several labels counts as the rarest.
    """
    counts = Counter(clip.label for clip in found)
    rarest: dict[str, str] = {}
    for clip in found:
        rarest[clip.group] = min(rarest.get(clip.group, clip.label), clip.label, key=counts.__getitem__)
    dealt = {}
    for label in counts:
        groups = sorted((group for group, own in rarest.items() if own == label), key=_number)
        dealt.update({group: number % FOLDS for number, group in enumerate(groups)})
    return dealt


def write(found: list[Found], out: Path) -> None:
    """Writes the clips, and a manifest for each fold."""
    fold_of = folds(found)
    with whole(out) as unfinished:
        unfinished.mkdir()
        for number, clip in enumerate(tqdm(found, desc="clips", unit="clip")):
            try:
                wave = audio.read(clip.path)
            except AudioError as error:
                sys.exit(f"{clip.path}: {error}")
            soundfile.write(unfinished / _file(number), wave[: SECONDS * RATE], RATE, subtype="PCM_16")
        for tested in range(FOLDS):
            names = {tested: "test", (tested + 1) % FOLDS: "val"}
            with (unfinished / f"fold-{tested}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for number, clip in enumerate(found):
                    split = names.get(fold_of[clip.group], "train")
                    writer.writerow([_file(number), clip.label, split, clip.group, clip.source, clip.licence])


def _file(number: int) -> str:
    return f"{number:05d}.flac"


def main() -> None:
    """Writes the corpus, and prints its contents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to create")
    parser.add_argument(
        "--corpus", type=Path, action="append", default=[], metavar="DIR", help="may be repeated"
    )
    parser.add_argument("--guns", type=Path, metavar="DIR", help="folder of CDDA-Soundpacks")
    parser.add_argument("--none-in", type=int, default=4, metavar="N", help="use one in N of the other clips")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} already exists; choose another folder, or move it away first")
    for folder in arguments.corpus:
        if not (folder / MANIFEST).is_file():
            parser.error(f"{folder} has no {MANIFEST}")
    found = [clip for folder in arguments.corpus for clip in of_corpus(folder, arguments.none_in)]
    found += list(of_guns(arguments.guns)) if arguments.guns else []
    counts = Counter(clip.label for clip in found)
    groups = Counter(label for label, _ in {(clip.label, clip.group) for clip in found})
    few = [label for label in AED.task.labels if groups[label] < FOLDS]
    if few:
        sys.exit(f"there are not enough sources of {', '.join(few)} for {FOLDS} folds; name further corpora")
    write(found, arguments.out)
    for label in (*AED.task.labels, NONE):
        print(f"{label}: {counts[label]:,} clips of {groups[label]} groups")


if __name__ == "__main__":
    main()
