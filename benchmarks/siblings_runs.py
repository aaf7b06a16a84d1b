"""The runs behind docs/siblings: which recipe, with which settings, on which corpus, taught by whom."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

#: How the names of runs begin whose test clips are measured together.
FOLD = "fold"
# What commands call the things that a user has: folders that the examples make, and weights.
WHISPER, MN04 = "WHISPER", "MN04"


@dataclass(frozen=True)
class Run:
    """One student.

    Attributes:
        name: What it is called in results: parts with slashes between them, of which the first is the split.
        recipe: Of the package.
        audio: Corpora: the name of one that the command line gives, and a manifest in it if there is one.
        teachers: Names of what the command line gives, or of earlier runs.
        settings: Changes of the recipe.
        seed: Of everything random.
    """

    name: str
    recipe: str
    audio: tuple[str, ...]
    teachers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    seed: int = 0

    @property
    def student(self) -> str:
        """What is trained, by the name of its source."""
        return self.name.split("/")[1]

    @property
    def folder(self) -> str:
        """The name of its model folder."""
        return folder_name(self.name)


def folder_name(run: str) -> str:
    """Returns the name of the model folder of a run.

    Examples:
        >>> folder_name("speaker OAF/Wav2Tiny/T=2 alpha=0.5")
        'speaker-OAF-Wav2Tiny-T-2-alpha-0.5'
    """
    return re.sub(r"[^\w.]+", "-", run)


# The source tries three temperatures and three shares of labels; with labels alone, temperatures are alike.
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
    """Emotions in speech: what the source tried, on its split and on honest ones."""
    for number, taught in enumerate((TAUGHT[0], LABELS_ALONE, *TAUGHT[1:])):
        for split, audio in TESS_SPLITS.items():
            for recipe, student in STUDENTS.items():
                yield Run(f"{split}/{student}/{taught}", recipe, (audio,), (WHISPER,), _settings(taught))
        if number == 1:
            yield from _iterative()
            yield from _emodb()


def _iterative() -> Iterator[Run]:
    """A Wav2Small teaches a Wav2Tiny, as the source means to try."""
    for split, audio in TESS_SPLITS.items():
        yield Run(
            f"{split}/Wav2Tiny/iterative",
            "ser-tiny",
            (audio,),
            (f"{split}/Wav2Small/{TAUGHT[0]}",),
            _settings(TAUGHT[0]),
        )


def _emodb() -> Iterator[Run]:
    """Each speaker of EmoDB is tested by a student that was taught by the others."""
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
    """Key words, in five folds by speaker: taught by Whisper, and by labels alone."""
    for fold in range(5):
        audio = (f"key-words/fold-{fold}.csv",)
        yield Run(f"{FOLD} {fold}/DS-CNN/taught", "kws", audio, (WHISPER,))
        yield Run(f"{FOLD} {fold}/DS-CNN/{LABELS_ALONE}", "kws", audio)


#: Bits of a weight that recipe aed learns with; 0 is for full precision, rounded to 8 bits afterwards.
AED_BITS = (0, 8, 4, 2)


def aed() -> Iterator[Run]:
    """Acoustic events, in five folds by source: with and without a teacher, and with weights of few bits."""
    for fold in range(5):
        audio = (f"events/fold-{fold}.csv",)
        yield Run(f"{FOLD} {fold}/LSTM/{LABELS_ALONE}", "aed", audio)
        for bits in AED_BITS:
            settings = (f"export.weight_bits={bits}",) if bits else ()
            yield Run(f"{FOLD} {fold}/LSTM/taught, {bits or 32} bits", "aed", audio, (MN04,), settings)


#: The labels of mn04 that each label of recipe dogs stands for; mn04 judges whole clips.
DOGS_SETTINGS = (
    'teaching.roles=["clips"]',
    "teaching.weights=[0.5]",
    'teaching.prompts=["Bark;Bow-wow;Yip", "Whimper (dog);Howl", ""]',
)


def dogs() -> Iterator[Run]:
    """What dogs do, labelled by mn04: from clips as they are, and from cleaned ones."""
    for name, audio in (("as recorded", "dogs"), ("cleaned", "dogs/cleaned.csv")):
        yield Run(f"{name}/MelCNN/taught", "dogs", (audio,), (MN04,), DOGS_SETTINGS)


RUNS = {"ser": ser, "kws": kws, "aed": aed, "dogs": dogs}
