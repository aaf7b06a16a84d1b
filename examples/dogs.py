"""Makes a corpus of what dogs do, labelled by a teacher instead of people, for recipe dogs.

    python examples/dogs.py dogs --clips DIR --teacher mn04
    yamnet-cry distill --recipe dogs --audio dogs --teacher CLAP --out model
    yamnet-cry distill --recipe dogs --audio dogs --teacher mn04 --out model \
        --set 'teaching.roles=["clips"]' --set teaching.weights=[0.5] --set 'teaching.prompts=PROMPTS'

`--clips` names a folder with one folder of clips for each of `bark`, `whine` and any other name, such as
github.com/w-rosales/dog-bark-detection has them (no licence is stated: for yourself alone). The teacher is
what `yamnet-cry distill --teacher` takes. CLAP needs nothing else, and of EfficientAT's taggers the labels
that mean barking and whining are known here; `--print-prompts` prints them for the command above. Clips that
cannot be read are named and left out.

`manifest.csv` in OUT has the teacher's answer as label, and `names.csv` the name of the clip's folder: what
people say. Clips whose numbers are near come from one recording; twenty in a row are a group.
"""

import argparse
import csv
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.distill import corpus, teachers
from yamnet_cry.distill.recipes import DOGS
from yamnet_cry.distill.sources import MANIFEST
from yamnet_cry.errors import AudioError, TeacherError, YamnetCryError
from yamnet_cry.files import whole
from yamnet_cry.frontend import YAMNET

NAMES = "names.csv"
COLUMNS = ("file", "label", "split", "group", "source")
RATE, SECONDS = 16_000, 10

#: The labels of AudioSet that each of the recipe's stands for.
AUDIOSET_PROMPTS = ("Bark;Bow-wow;Yip", "Whimper (dog);Howl", "")

_IN_A_GROUP = 20


@dataclass(frozen=True)
class Sound:
    """A clip, and by what it is known.

    Attributes:
        path: The file.
        named: What people call it: a label of the recipe.
        group: Of clips that may be of one recording.
    """

    path: Path
    named: str
    group: str


def found(folder: Path) -> list[Sound]:
    """Lists the clips of a folder of folders."""
    bark, whine, other = DOGS.task.labels
    listed = []
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() not in audio.SUFFIXES:
            continue
        name = path.parent.name
        number = re.search(r"(\d+)$", path.stem)
        place = int(number[1]) // _IN_A_GROUP if number else path.stem
        listed.append(Sound(path, name if name in (bark, whine) else other, f"{name} {place}"))
    return listed


def teacher_of(source: str) -> teachers.Teacher:
    """Loads a teacher that tells the recipe's labels apart."""
    sentences = DOGS.teaching.prompts
    try:
        return teachers.load(source, YAMNET, DOGS.task.labels, AUDIOSET_PROMPTS)
    except TeacherError:
        # CLAP takes sentences; of anything else this says what is wrong with it.
        return teachers.load(source, YAMNET, DOGS.task.labels, sentences)


def write(sounds: list[Sound], teacher: teachers.Teacher, out: Path) -> list[tuple[Sound, str]]:
    """Writes clips and manifests.

    Returns:
        Each clip with the teacher's answer.
    """
    labels = DOGS.task.labels
    split_of = corpus.split_groups((sound.group, (sound.named,)) for sound in sounds)
    answers: list[tuple[Sound, str]] = []
    with whole(out) as unfinished:
        unfinished.mkdir()
        for sound in tqdm(sounds, desc="labels", unit="clip"):
            try:
                wave = audio.read(sound.path)[: SECONDS * RATE]
            except AudioError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            soundfile.write(unfinished / _file(len(answers)), wave, RATE, subtype="PCM_16")
            (rows,) = teacher.logits([YAMNET.pad(wave)])
            answers.append((sound, labels[int(DOGS.task.probabilities(rows).mean(axis=0).argmax())]))
        for name in (MANIFEST, NAMES):
            with (unfinished / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for number, (sound, answer) in enumerate(answers):
                    label = answer if name == MANIFEST else sound.named
                    writer.writerow([_file(number), label, split_of[sound.group], sound.group, "dogs"])
    return answers


def _file(number: int) -> str:
    return f"{number:05d}.flac"


def main() -> None:
    """Writes the corpus, and says how often the teacher agrees with people."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="folder to make")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="a folder of folders of clips")
    parser.add_argument("--teacher", metavar="PATH", help="that labels them")
    parser.add_argument("--print-prompts", action="store_true", help="print teaching.prompts for mn04")
    arguments = parser.parse_args()
    if arguments.print_prompts:
        print(json.dumps(AUDIOSET_PROMPTS))
        return
    if not (arguments.out and arguments.clips and arguments.teacher):
        parser.error("name OUT, --clips and --teacher")
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists; name another folder, or move it away first")
    sounds = found(arguments.clips)
    if not sounds:
        sys.exit(f"{arguments.clips} holds no folders with audio files")
    try:
        teacher = teacher_of(arguments.teacher)
    except (YamnetCryError, ImportError) as error:
        sys.exit(f"{error}")
    answers = write(sounds, teacher, arguments.out)
    counts = Counter((sound.named, answer) for sound, answer in answers)
    agreed = np.mean([sound.named == answer for sound, answer in answers])
    print(f"{arguments.out}: {len(answers):,} clips; {teacher.name} agrees with their names on {agreed:.1%}")
    for named in DOGS.task.labels:
        print(f"  {named}: " + ", ".join(f"{counts[named, answer]} {answer}" for answer in DOGS.task.labels))


if __name__ == "__main__":
    main()
