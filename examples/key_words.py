"""Makes a corpus of key words in five folds, for recipe kws, without the full Speech Commands dataset.

    python examples/key_words.py key-words --test speech_commands_test_set_v0.02 --words WORDS
    yamnet-cry distill --recipe kws --audio key-words/fold-0.csv --teacher whisper-base --out words

With the full Speech Commands dataset (Warden 2018, CC-BY-4.0) this is not needed, and the split is official:

    yamnet-cry distill --recipe kws --audio speech_commands_v0.02 --out words

`--test` is the official test set: a folder for each of ten words, `_unknown_` and `_silence_`. `--words` is a
folder with subfolders of further clips for some words; it may be repeated. Speakers are recognised by the
file name, `XXXXXXXX_nohash_N.wav`. Further clips of speakers of the test set are skipped. For words other
than the ten, one clip in ten is used as `unknown`, as in the work that recipe kws follows.

OUT contains all clips and `fold-0.csv` to `fold-4.csv`: the speakers of the test set are assigned to five
folds; each manifest tests one fold, validates on the next, and trains on the others and on all further clips.
So every clip of the test set is tested once, by a student that was not trained on its speaker.
"""

import argparse
import csv
import hashlib
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from yamnet_cry.distill.recipes import KWS
from yamnet_cry.files import whole
from yamnet_cry.task import SILENCE, UNKNOWN

COLUMNS = ("file", "label", "split", "group", "source", "speaker")
FOLDS = 5

_SPEAKER = re.compile(r"([0-9a-f]{8})_nohash")
_ONE_IN = 10


@dataclass(frozen=True)
class Word:
    """A clip.

    Attributes:
        path: The file.
        label: The word.
        speaker: Name of the speaker; the file's name for clips without speech.
        tested: Whether it is in the official test set.
    """

    path: Path
    label: str
    speaker: str
    tested: bool

    @property
    def file(self) -> str:
        """Its name in the corpus."""
        name = self.path.name.removesuffix(".wav").removesuffix(".wav")
        return f"{'test' if self.tested else 'words'}/{self.path.parent.name}/{name}.wav"


def of_test_set(folder: Path) -> list[Word]:
    """Returns the clips of the official test set."""
    listed = []
    for path in sorted(folder.glob("*/*.wav")):
        match = _SPEAKER.search(path.name)
        label = path.parent.name.strip("_")
        listed.append(Word(path, label, match[1] if match else f"no speaker {path.stem}", True))
    return listed


def further(folder: Path, tested: set[str]) -> list[Word]:
    """Returns further clips, without those of speakers of the test set."""
    listed = []
    for path in sorted(folder.glob("*/*.wav")):
        match = _SPEAKER.match(path.name)
        if match is None or match[1] in tested:
            continue
        known = path.parent.name in KWS.task.labels
        if known or _number(f"{path.parent.name}/{path.name}") % _ONE_IN == 0:
            listed.append(Word(path, path.parent.name if known else UNKNOWN, match[1], False))
    return listed


def fold(speaker: str) -> int:
    """Returns the fold of a speaker."""
    return _number(speaker) % FOLDS


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def write(words: list[Word], out: Path) -> None:
    """Copies the clips, and writes a manifest for each fold."""
    with whole(out) as unfinished:
        for word in tqdm(words, desc="clips", unit="clip"):
            place = unfinished / word.file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(word.path, place)
        for tested in range(FOLDS):
            names = {tested: "test", (tested + 1) % FOLDS: "val"}
            with (unfinished / f"fold-{tested}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for word in words:
                    split = names.get(fold(word.speaker), "train") if word.tested else "train"
                    source = "test set" if word.tested else "further words"
                    writer.writerow([word.file, word.label, split, word.speaker, source, word.speaker])


def main() -> None:
    """Writes the corpus, and prints its contents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to create")
    parser.add_argument("--test", type=Path, required=True, metavar="DIR", help="the official test set")
    parser.add_argument(
        "--words", type=Path, action="append", default=[], metavar="DIR", help="folder of further clips"
    )
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} already exists; choose another folder, or move it away first")
    tested = of_test_set(arguments.test)
    missing = sorted(set(KWS.task.labels) - {word.label for word in tested})
    if missing:
        sys.exit(f"{arguments.test} is not the official test set: it has no clips of {', '.join(missing)}")
    speakers = {word.speaker for word in tested}
    others = [word for folder in arguments.words for word in further(folder, speakers)]
    write([*tested, *others], arguments.out)
    spoken = len({word.speaker for word in tested if word.label != SILENCE})
    print(f"{arguments.out}: {len(tested):,} clips of {spoken} speakers, and {len(others):,} to train on")


if __name__ == "__main__":
    main()
