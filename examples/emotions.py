"""Makes a corpus of TESS or EmoDB, for recipes ser and ser-tiny.

    python examples/emotions.py tess TESS-FOLDER tess
    python examples/emotions.py emodb EMODB-FOLDER emodb
    yamnet-cry distill --recipe ser --audio tess --teacher whisper-base --out emotions
    yamnet-cry distill --recipe ser --audio tess/speaker-OAF.csv --teacher whisper-base --out emotions-honest

TESS (the Toronto Emotional Speech Set, Pichora-Fuller and Dupuis 2020, doi:10.5683/SP2/E8H2MF, CC BY-NC-ND
4.0): 2,800 clips, seven emotions, two actresses who say the same 200 words in each; download and unpack it.
EmoDB (the Berlin Database of Emotional Speech, Burkhardt et al. 2005): 535 clips, seven emotions, ten
speakers. Clips are recognised by their file names, in any folder. Redistribution of both is restricted: keep
the output to yourself.

OUT contains the clips at 16 kHz, those of TESS cut to their first two seconds as in the work that recipe ser
follows; `manifest.csv`, with random splits, so that all splits contain the same speakers and, for TESS, the
same words; and for each speaker `speaker-NAME.csv`, in which the test split is this speaker. There the next
speaker is for validation; for TESS, with two speakers, an eighth of the other speaker's words.
"""

import argparse
import csv
import hashlib
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.errors import AudioError
from yamnet_cry.files import whole

COLUMNS = ("file", "label", "split", "group", "source", "speaker")
RATE = 16_000

# Some copies have numbers before and after the name; one clip of the original lacks a letter.
_TESS = re.compile(r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)\d*", re.IGNORECASE)
_EMODB = re.compile(r"(\d\d)([ab]\d\d)([WLEAFTN])[a-z]?")
_TESS_SECONDS = 2.0
_TEN = ("test", "val", "train", "train", "train", "test", "train", "train", "train", "train")
_LETTERS = {
    "W": "angry",
    "L": "bored",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}


@dataclass(frozen=True)
class Spoken:
    """A clip of speech.

    Attributes:
        path: The file.
        name: Unique name, the same for all copies of a clip.
        speaker: Name of the speaker.
        text: Word or sentence.
        emotion: Label.
    """

    path: Path
    name: str
    speaker: str
    text: str
    emotion: str


def tess(folder: Path) -> Iterator[Spoken]:
    """Yields the clips of TESS."""
    for path in sorted(folder.rglob("*.wav")):
        if match := _TESS.search(path.stem):
            speaker, word, emotion = match[1][0].upper() + "AF", match[2].lower(), match[3].lower()
            named = "pleasant surprise" if emotion == "ps" else emotion
            yield Spoken(path, f"{speaker}_{word}_{emotion}", speaker, word, named)


def emodb(folder: Path) -> Iterator[Spoken]:
    """Yields the clips of EmoDB."""
    for path in sorted(folder.rglob("*.wav")):
        if match := _EMODB.fullmatch(path.stem):
            yield Spoken(path, path.stem, match[1], match[2], _LETTERS[match[3]])


CORPORA: dict[str, tuple[Callable[[Path], Iterator[Spoken]], float | None]] = {
    "tess": (tess, _TESS_SECONDS),
    "emodb": (emodb, None),
}


def at_random(clips: list[Spoken]) -> dict[str, tuple[str, str]]:
    """Splits the clips of each speaker and emotion: 70 % to train, 10 % to val, 20 % to test.

    Returns:
        Split and group of each clip, by name.
    """
    alike = defaultdict(list)
    for clip in clips:
        alike[clip.speaker, clip.emotion].append(clip.name)
    dealt = {}
    for names in alike.values():
        for number, name in enumerate(sorted(names, key=_shuffled)):
            dealt[name] = _TEN[number % len(_TEN)], name
    return dealt


def by_speaker(clips: list[Spoken], tested: str) -> dict[str, tuple[str, str]]:
    """Splits the clips so that one speaker is only in the test split; returns the same as `at_random`."""
    speakers = sorted({clip.speaker for clip in clips})
    checked = speakers[(speakers.index(tested) + 1) % len(speakers)]
    dealt = {}
    for clip in clips:
        split = "test" if clip.speaker == tested else "train"
        if len(speakers) > 2:
            split = "val" if clip.speaker == checked else split
        elif split == "train" and int(_shuffled(clip.text)[:8], 16) % 8 == 0:
            split = "val"
        dealt[clip.name] = split, f"{clip.speaker} {clip.text}"
    return dealt


def _shuffled(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def write(kind: str, folder: Path, out: Path) -> dict[str, int]:
    """Writes clips and manifests.

    Returns:
        The number of clips of each speaker.

    Raises:
        SystemExit: If there are no clips, or one cannot be read.
    """
    find, seconds = CORPORA[kind]
    # Some copies of the corpora contain every clip twice.
    clips = list({clip.name: clip for clip in find(folder)}.values())
    if not clips:
        sys.exit(f"{folder} holds no clips of {kind}: none is named like one")
    speakers = sorted({clip.speaker for clip in clips})
    manifests = {"manifest": at_random(clips)}
    manifests |= {f"speaker-{speaker}": by_speaker(clips, speaker) for speaker in speakers}
    with whole(out) as unfinished:
        unfinished.mkdir()
        for clip in tqdm(clips, desc="clips", unit="clip"):
            try:
                wave = audio.read(clip.path)
            except AudioError as error:
                sys.exit(f"{clip.path}: {error}")
            length = len(wave) if seconds is None else int(seconds * RATE)
            soundfile.write(unfinished / f"{clip.name}.flac", wave[:length], RATE, subtype="PCM_16")
        for name, dealt in manifests.items():
            with (unfinished / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                for clip in clips:
                    split, group = dealt[clip.name]
                    writer.writerow([f"{clip.name}.flac", clip.emotion, split, group, kind, clip.speaker])
    return {speaker: sum(clip.speaker == speaker for clip in clips) for speaker in speakers}


def main() -> None:
    """Writes the corpus, and prints its contents."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", choices=CORPORA, help="corpus in FOLDER")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the corpus as downloaded")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to create")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} already exists; choose another folder, or move it away first")
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    counts = write(arguments.corpus, arguments.folder, arguments.out)
    print(f"{arguments.out}: {sum(counts.values()):,} clips")
    for speaker, count in counts.items():
        print(f"  speaker {speaker}: {count}")


if __name__ == "__main__":
    main()
