"""Makes a corpus of dog sounds, labelled by a teacher instead of people, for recipe dogs.

    python examples/dogs.py dogs --clips DIR --teacher mn04
    yamnet-cry distill --recipe dogs --audio dogs --teacher CLAP --out model
    yamnet-cry distill --recipe dogs --audio dogs --teacher mn04 --out model \
        --set 'teaching.roles=["clips"]' --set teaching.weights=[0.5] --set 'teaching.prompts=PROMPTS'

`--clips` is a folder with one folder of clips for each of `bark`, `whine` and any other name, as in
github.com/w-rosales/dog-bark-detection (which states no licence: for private use only). `--teacher` is as for
`yamnet-cry distill`. CLAP needs no further options. For EfficientAT's taggers, `--print-prompts` prints the
labels that mean barking and whining, for the command above. Unreadable and duplicate clips are reported and
skipped.

The label in `manifest.csv` is the teacher's prediction, and in `names.csv` the human label: the name of the
clip's folder. Clips with close numbers come from one recording, so twenty consecutive ones form a group.

With `--cleaner htdemucs.onnx` (see separate.py), the voices of all training and validation clips are
separated first: `cleaned.csv` lists these, with the teacher's labels, and the same test clips as
`manifest.csv`.
"""

import argparse
import csv
import hashlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import soundfile
from separate import Separator, separated
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.distill import corpus, teachers
from yamnet_cry.distill.layouts import MANIFEST
from yamnet_cry.distill.recipes import DOGS
from yamnet_cry.errors import AudioError, TeacherError, YamnetCryError
from yamnet_cry.files import whole
from yamnet_cry.frontend import YAMNET, Float32

NAMES, CLEANED = "names.csv", "cleaned.csv"
COLUMNS = ("file", "label", "split", "group", "source")
RATE, SECONDS = 16_000, 10

#: The AudioSet labels of each label of the recipe.
AUDIOSET_PROMPTS = ("Bark;Bow-wow;Yip", "Whimper (dog);Howl", "")

_IN_A_GROUP = 20


@dataclass(frozen=True)
class Sound:
    """A clip.

    Attributes:
        path: The file.
        named: Human label, one of the recipe's.
        group: Group of clips that may be from one recording.
    """

    path: Path
    named: str
    group: str


def found(folder: Path) -> list[Sound]:
    """Returns the clips of a folder with one subfolder per label."""
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
    """Loads a teacher for the recipe's labels."""
    sentences = DOGS.teaching.prompts
    try:
        return teachers.load(source, YAMNET, DOGS.task.labels, AUDIOSET_PROMPTS)
    except TeacherError:
        # CLAP needs sentences; for anything else this raises the right error.
        return teachers.load(source, YAMNET, DOGS.task.labels, sentences)


def read(sounds: list[Sound]) -> tuple[list[Sound], list[Float32]]:
    """Reads at most ten seconds of each clip; skips unreadable clips and duplicates."""
    kept, waves = [], []
    known: dict[bytes, Sound] = {}
    for sound in tqdm(sounds, desc="clips", unit="clip"):
        try:
            wave = audio.read(sound.path)[: SECONDS * RATE]
        except AudioError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        same = known.setdefault(hashlib.sha256(wave.tobytes()).digest(), sound)
        if same is not sound:
            print(f"left out: {sound.path} is {same.path} again", file=sys.stderr)
            continue
        waves.append(wave)
        kept.append(sound)
    return kept, waves


def answers_of(teacher: teachers.Teacher, waves: list[Float32]) -> list[str]:
    """Returns the teacher's label of each clip."""
    answers = []
    for wave in tqdm(waves, desc="labels", unit="clip"):
        (rows,) = teacher.logits([YAMNET.pad(wave)])
        answers.append(DOGS.task.labels[int(DOGS.task.probabilities(rows).mean(axis=0).argmax())])
    return answers


def write(sounds: list[Sound], teacher: teachers.Teacher, out: Path, cleaner: Separator | None) -> list[str]:
    """Writes clips and manifests.

    Returns:
        The teacher's labels.
    """
    sounds, waves = read(sounds)
    split_of = corpus.split_groups((sound.group, (sound.named,)) for sound in sounds)
    splits = [split_of[sound.group] for sound in sounds]
    answers = answers_of(teacher, waves)
    manifests = {MANIFEST: answers, NAMES: [sound.named for sound in sounds]}
    with whole(out) as unfinished:
        unfinished.mkdir()
        for number, wave in enumerate(waves):
            soundfile.write(unfinished / _file(number), wave, RATE, subtype="PCM_16")
        cleaned: dict[int, str] = {}
        if cleaner is not None:
            chosen = [number for number, split in enumerate(splits) if split != "test"]
            found = separated(cleaner, (waves[number] for number in chosen))
            clean = list(tqdm(found, total=len(chosen), desc="voices", unit="clip"))
            cleaned = dict(zip(chosen, answers_of(teacher, clean), strict=True))
            for number, wave in zip(chosen, clean, strict=True):
                soundfile.write(unfinished / f"clean-{_file(number)}", wave, RATE, subtype="PCM_16")
            manifests[CLEANED] = [cleaned.get(number, answer) for number, answer in enumerate(answers)]
        for name, labels in manifests.items():
            with (unfinished / name).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for number, (sound, label) in enumerate(zip(sounds, labels, strict=True)):
                    clean_one = name == CLEANED and number in cleaned
                    place = f"clean-{_file(number)}" if clean_one else _file(number)
                    writer.writerow([place, label, splits[number], sound.group, "dogs"])
    return answers


def _file(number: int) -> str:
    return f"{number:05d}.flac"


def main() -> None:
    """Writes the corpus, and prints how often the teacher agrees with the human labels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", metavar="OUT", help="folder to create")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="a folder with a folder of clips per label")
    parser.add_argument("--teacher", metavar="PATH", help="teacher that labels the clips")
    parser.add_argument(
        "--cleaner", type=Path, metavar="FILE", help="htdemucs.onnx, to separate voices first"
    )
    parser.add_argument("--print-prompts", action="store_true", help="print teaching.prompts for mn04")
    arguments = parser.parse_args()
    if arguments.print_prompts:
        print(json.dumps(AUDIOSET_PROMPTS))
        return
    if not (arguments.out and arguments.clips and arguments.teacher):
        parser.error("name OUT, --clips and --teacher")
    if arguments.out.exists():
        parser.error(f"{arguments.out} already exists; choose another folder, or move it away first")
    sounds = found(arguments.clips)
    if not sounds:
        sys.exit(f"{arguments.clips} holds no folders with audio files")
    try:
        teacher = teacher_of(arguments.teacher)
    except (YamnetCryError, ImportError) as error:
        sys.exit(f"{error}")
    if arguments.cleaner is not None and not arguments.cleaner.is_file():
        parser.error(f"{arguments.cleaner} does not exist")
    answers = write(
        sounds, teacher, arguments.out, None if arguments.cleaner is None else Separator(arguments.cleaner)
    )
    with (arguments.out / NAMES).open(encoding="utf-8", newline="") as file:
        named_so = [row["label"] for row in csv.DictReader(file)]
    counts = Counter(zip(named_so, answers, strict=True))
    agreed = sum(counts[label, label] for label in DOGS.task.labels) / len(answers)
    print(f"{arguments.out}: {len(answers):,} clips; {teacher.name} agrees with their names on {agreed:.1%}")
    for named in DOGS.task.labels:
        print(f"  {named}: " + ", ".join(f"{counts[named, answer]} {answer}" for answer in DOGS.task.labels))


if __name__ == "__main__":
    main()
