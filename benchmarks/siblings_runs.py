"""The runs behind docs/siblings: recipe, settings, corpus and teachers of each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

#: Prefix of the names of runs whose test clips are evaluated together.
FOLD = "fold"
# Names of weights in commands; the command line gives their paths.
WHISPER, MN04 = "WHISPER", "MN04"


@dataclass(frozen=True)
class Run:
    """One student.

    Attributes:
        name: Name in results: parts separated by slashes, of which the first is the split.
        recipe: Recipe of the package.
        audio: Corpora: names of which the command line gives the paths, optionally with a manifest.
        teachers: Names of which the command line gives the paths, or of earlier runs.
        settings: Changes of the recipe.
        seed: Random seed.
    """

    name: str
    recipe: str
    audio: tuple[str, ...]
    teachers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seed: int = 0

    @property
    def student(self) -> str:
        """Name of the student in its source."""
        return self.name.split("/")[1]

    @property
    def folder(self) -> str:
        """Name of the model folder."""
        return folder_name(self.name)


def folder_name(run: str) -> str:
    """Returns the name of the model folder of a run.

    Examples:
        >>> folder_name("speaker OAF/Wav2Tiny/T=2 alpha=0.5")
        'speaker-OAF-Wav2Tiny-T-2-alpha-0.5'
    """
    return re.sub(r"[^\w.]+", "-", run)


# The source has three temperatures and three label weights; with labels only, the temperature has no effect.
TAUGHT = (
    "T=2 alpha=0.5",
    *(f"T={t} alpha={a}" for a, t in product((0.5, 0), (1, 2, 3)) if (t, a) != (2, 0.5)),
)
LABELS_ALONE = "alpha=1"
STUDENTS = {"ser": "Wav2Small", "ser-tiny": "Wav2Tiny"}

TESS_SPLITS = {
    "random": "tess",
    "speaker OAF": "tess/speaker-OAF.csv",
    "speaker YAF": "tess/speaker-YAF.csv",
}
EMODB_SPEAKERS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")


def _settings(taught: str) -> tuple[str, ...]:
    if taught == LABELS_ALONE:
        return ("loss.label_weight=1",)
    temperature, alpha = (part.partition("=")[2] for part in taught.split())
    return (f"loss.temperature={temperature}", f"loss.label_weight={alpha}")


def ser() -> Iterator[Run]:
    """Yields runs of speech emotion: the source's configurations, on its split and on unseen speakers."""
    for number, taught in enumerate((TAUGHT[0], LABELS_ALONE, *TAUGHT[1:])):
        for split, audio in TESS_SPLITS.items():
            for recipe, student in STUDENTS.items():
                yield Run(f"{split}/{student}/{taught}", recipe, (audio,), (WHISPER,), _settings(taught))
        if number == 1:
            yield from _iterative()
            yield from _emodb()


def _iterative() -> Iterator[Run]:
    """Yields runs in which a Wav2Small teaches a Wav2Tiny, which the source names as future work."""
    for split, audio in TESS_SPLITS.items():
        yield Run(
            f"{split}/Wav2Tiny/iterative",
            "ser-tiny",
            (audio,),
            (f"{split}/Wav2Small/{TAUGHT[0]}",),
            _settings(TAUGHT[0]),
        )


def _emodb() -> Iterator[Run]:
    """Yields runs on EmoDB, leave-one-speaker-out."""
    for speaker in EMODB_SPEAKERS:
        for recipe, student in STUDENTS.items():
            yield Run(
                f"EmoDB {speaker}/{student}/{TAUGHT[0]}",
                recipe,
                (f"emodb/speaker-{speaker}.csv",),
                (WHISPER,),
                _settings(TAUGHT[0]),
            )


def kws() -> Iterator[Run]:
    """Yields runs of key words, in five folds by speaker: distilled from Whisper, and with labels only."""
    for fold in range(5):
        audio = (f"key-words/fold-{fold}.csv",)
        yield Run(f"{FOLD} {fold}/DS-CNN/taught", "kws", audio, (WHISPER,))
        yield Run(f"{FOLD} {fold}/DS-CNN/{LABELS_ALONE}", "kws", audio)


#: Bits per weight in training of recipe aed; 0 is full precision, quantised to 8 bits afterwards.
AED_BITS = (0, 8, 4, 2)


def aed() -> Iterator[Run]:
    """Yields runs of acoustic events, in five folds by source: labels only, distilled, low-bit weights."""
    for fold in range(5):
        audio = (f"events/fold-{fold}.csv",)
        yield Run(f"{FOLD} {fold}/LSTM/{LABELS_ALONE}", "aed", audio)
        for bits in AED_BITS:
            settings = (f"export.weight_bits={bits}",) if bits else ()
            yield Run(f"{FOLD} {fold}/LSTM/taught, {bits or 32} bits", "aed", audio, (MN04,), settings)


#: The labels of mn04 for each label of recipe dogs; mn04 scores whole clips.
DOGS_SETTINGS = (
    'teaching.roles=["clips"]',
    "teaching.weights=[0.5]",
    'teaching.prompts=["Bark;Bow-wow;Yip", "Whimper (dog);Howl", ""]',
)


def dogs() -> Iterator[Run]:
    """Yields runs of dog sounds, labelled by mn04: on clips as recorded, and on cleaned ones."""
    for name, audio in (("as recorded", "dogs"), ("cleaned", "dogs/cleaned.csv")):
        yield Run(f"{name}/MelCNN/taught", "dogs", (audio,), (MN04,), DOGS_SETTINGS)


RUNS = {"ser": ser, "kws": kws, "aed": aed, "dogs": dogs}
