"""Makes a corpus of ordinary sounds from Debian's packages: music, speech in many languages, effects.

A student takes sounds that are missing from its corpus for crying more often; these add ordinary ones.
Everything in Debian's main section may be used and redistributed; each package's copyright file is kept
beside its clips. Needs `apt-get` and `dpkg-deb` (any Debian or Ubuntu, or a container of one) and about
4 GB of downloads, which are deleted afterwards.

    python examples/debian_sounds.py sounds
    yamnet-cry distill --audio my-corpus --audio sounds --teacher yamnet-weights --out model

The sounds are unlabelled. Music and prompts read by adults get the target `not_cry`; everything else gets
`unknown`, so that only the teacher labels it (some games contain crying babies). Packages in `HELD_OUT` are
validation audio, all of it `unknown`, so that calibration and metrics use the labelled corpus only; all
others are training audio.

Packages in `TEST` (1 GB) are for benchmarks/hearing.py and must not be used for training, so they are
included only on request:

    python examples/debian_sounds.py test-sounds --split test
"""

import argparse
import csv
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from yamnet_cry import audio
from yamnet_cry.errors import AudioError
from yamnet_cry.frontend import YAMNET, Float32

SPEECH = """
asterisk-core-sounds-en-wav asterisk-core-sounds-es-wav asterisk-core-sounds-fr-wav
asterisk-core-sounds-ru-wav asterisk-prompt-it-menardi-wav codec2-examples klettres-data
""".split()

MUSIC = """
asc-music drascula-music hydrogen-drumkits-effects hyperrogue-music lmms-common nexuiz-music pushover-data
sonic-pi-samples ufoai-music warzone2100-music wesnoth-1.16-music
""".split()

EFFECTS = """
ardentryst bambam boswars-data brainparty-data btanks-data bucklespring-data budgie-control-center-data
caveexpress-data colobot-common-sounds csmash-data etw-data fillets-ng-data fillets-ng-data-cs
fillets-ng-data-nl flare-game freedink-data freedroid-data freedroidrpg-data frozen-bubble-data gamine-data
garden-of-coloured-lights-data hannah-data hedgewars-data heroes-sound-effects kajongg ktuberling-data
lincity-ng-data lomiri-sounds lordsawar-data lugaru-data manaplus-data marsshooter-data mate-media-common
megaglest-data micropolis-data minetest-data minetest-mod-homedecor minetest-mod-unified-inventory
monsterz-data naev-data netpanzer-data neverball-common pax-britannica-data pekka-kana-2-data pingus-data
planetblupi-common plee-the-bear-data pysiogame python-pygame-doc qabcs-data scorched3d-data scratch
searchandrescue-data sound-icons sound-theme-freedesktop starfighter-data supertux-data supertuxkart-data
triplea tuxpaint-stamps-default tuxtype-data warmux-data wesnoth-1.16-data wordwarvi-sound wx3.2-examples
yaru-theme-sound
""".split()

#: Validation audio: a few of each kind.
HELD_OUT = {
    "asterisk-core-sounds-fr-wav",
    "boswars-data",
    "brainparty-data",
    "fillets-ng-data-nl",
    "hyperrogue-music",
    "lugaru-data",
    "minetest-data",
    "scorched3d-data",
}

#: Test audio: prompts and readings, songs and music on hold, and the sounds of games and desktops.
TEST_SPEECH = "asterisk-core-sounds-it-wav gcin-voice pocketsphinx-testdata".split()
TEST_MUSIC = """
asterisk-moh-opsound-wav fretsonfire-songs-muldjord fretsonfire-songs-sectoid singularity-music
""".split()
TEST_MIXED = """
alienblaster-data amphetamine-data blockout2 bzflag-data chromium-bsu-data endless-sky-data enigma-data
extremetuxracer-data foobillardplus-data freecol freegish-data gnubg-data granatier hex-a-hop-data
holotz-castle-data hydrogen-data kapman kolf lbreakout2-data linphone-common mu-cade-data noiz2sa-data
openclonk-data oxygen-sounds pathological pinball-data powermanga-data sdl-ball-data solfege
tecnoballz-data titanion-data trackballs-data unknown-horizons xmoto-data zaz-data
""".split()
TEST = {*TEST_SPEECH, *TEST_MUSIC, *TEST_MIXED}

#: Sounds of test packages that training packages contain too, under other names; found by comparing all
#: sounds.
SHARED = {
    "asterisk-core-sounds-it-wav/beeperr.wav",
    "blockout2/empty.wav",
    "bzflag-data/bounce.wav",
    "bzflag-data/missile.wav",
    "endless-sky-data/finisher.wav",
    "enigma-data/boing.wav",
    "enigma-data/st-oxydopened.wav",
    "enigma-data/st-timer.wav",
    "extremetuxracer-data/ice_slide.wav",
    "granatier/winlevel.wav",
    "oxygen-sounds/Oxygen-Im-Message-In.ogg",
    "pathological/filter_admit.wav",
    "singularity-music/Through Space.ogg",
}

COLUMNS = ("file", "target", "split", "group", "source", "licence", "origin", "kind", "label")

# Suffixes of archives in which games store their music.
PACKED = (".pk3", ".zip")

# Limits, so that no package dominates the corpus. Songs vary more than other sounds, so more pieces are
# taken.
FILES_PER_PACKAGE = 200
PIECES_PER_FILE = 2
PIECES_PER_SONG = 6
SECONDS_PER_PIECE = 10.0
SHORTEST_SECONDS = 0.25
SILENCE = 1e-3

# Test files are used whole, because the benchmark needs hours of continuous audio, but with a limit per file.
TEST_SECONDS_PER_PIECE = 30.0
TEST_PIECES_PER_FILE = 20

# The kind of a file in a package with mixed sounds, by words in its path; other long files are music.
KINDS = {
    "speech": re.compile(r"voice|speech|speak|alphabet|words|taunt|announce", re.IGNORECASE),
    "music": re.compile(r"music|song|track|theme|bgm|moh/|menu|credits|intro", re.IGNORECASE),
    "room": re.compile(
        r"ambien|nature|(?<![a-z])(wind|rain|sea|water|forest|village|birds|engine)(?![a-z])", re.IGNORECASE
    ),
}
MUSIC_SECONDS = 30.0
ROOM_SECONDS = 4.0


def download(package: str, folder: Path) -> Path:
    """Downloads a package, in the version that this system's package sources offer."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True, capture_output=True)
    (found,) = folder.glob(f"{package}_*.deb")
    return found


def contents(package_file: Path, package: str) -> tuple[dict[str, bytes], bytes]:
    """Reads a selection of a package's audio files, by name, and its copyright file."""
    unpacked = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", package_file], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=BytesIO(unpacked)) as archive:
        members = {member.name: member for member in archive if member.isfile()}
        found: dict[str, Callable[[], bytes]] = {
            name: partial(_read, archive, member) for name, member in members.items()
        }
        if package in MUSIC:
            for name in filter(lambda name: name.endswith(PACKED), members):
                packed = zipfile.ZipFile(BytesIO(_read(archive, members[name])))
                found |= {f"{name}/{inner}": partial(packed.read, inner) for inner in packed.namelist()}
        names = [name for name in found if Path(name).suffix.lower() in audio.SUFFIXES]
        # By hash, so that the selection is spread over folders and the same on every machine.
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
        chosen = {name: found[name]() for name in names[:FILES_PER_PACKAGE]}
        notice = members.get(f"./usr/share/doc/{package}/copyright")
        return chosen, _read(archive, notice) if notice else b""


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file else b""


def pieces(data: bytes, most: int) -> Iterator[Float32]:
    """Decodes a file and yields evenly spaced pieces of it; skips silence and very short sounds."""
    waveform = audio.read(BytesIO(data))
    length = int(SECONDS_PER_PIECE * YAMNET.sample_rate)
    count = min(most, max(1, len(waveform) // length))
    for number in range(count):
        start = number * max(0, len(waveform) - length) // max(1, count - 1)
        piece = waveform[start : start + length]
        if len(piece) >= SHORTEST_SECONDS * YAMNET.sample_rate and np.abs(piece).max() > SILENCE:
            yield piece


def consecutive_pieces(data: bytes) -> Iterator[Float32]:
    """Decodes a file and yields consecutive pieces of it, without a short remainder."""
    waveform = audio.read(BytesIO(data))
    length = int(TEST_SECONDS_PER_PIECE * YAMNET.sample_rate)
    for start in range(0, TEST_PIECES_PER_FILE * length, length):
        piece = waveform[start : start + length]
        if len(piece) < (length // 2 if start else SHORTEST_SECONDS * YAMNET.sample_rate):
            return
        yield piece


def kind_of(package: str, origin: str, seconds: float) -> str:
    """Returns the kind of a sound: ``speech``, ``music``, ``room`` or ``effect``.

    Examples:
        >>> kind_of("freecol", "./usr/share/freecol/audio/intro.ogg", 60.0)
        'music'
    """
    if package in (*SPEECH, *TEST_SPEECH):
        return "speech"
    if package in (*MUSIC, *TEST_MUSIC):
        return "music"
    if package not in TEST:
        return "effect"
    found = next((kind for kind, words in KINDS.items() if words.search(Path(origin).as_posix())), "")
    if found == "room" and seconds < ROOM_SECONDS:
        return "effect"
    return found or ("music" if seconds >= MUSIC_SECONDS else "effect")


def add(package: str, target: str, out: Path, seen: set[bytes]) -> list[dict[str, str]]:
    """Adds a package's sounds to the corpus, and returns their rows of the manifest.

    Packages share sounds; those in ``seen`` are skipped, because training audio could be in validation too.
    """
    with tempfile.TemporaryDirectory() as folder:
        files, notice = contents(download(package, Path(folder)), package)
    (out / package).mkdir(parents=True)
    (out / package / "copyright").write_bytes(notice)
    rows: list[dict[str, str]] = []
    split = split_of(package)
    most = PIECES_PER_SONG if package in MUSIC and split == "train" else PIECES_PER_FILE
    for number, (origin, data) in enumerate(files.items()):
        if f"{package}/{Path(origin).name}" in SHARED:
            continue
        try:
            cut = list(consecutive_pieces(data) if split == "test" else pieces(data, most))
        except AudioError:  # a format that libsndfile does not support, or an empty file
            continue
        for part, piece in enumerate(cut):
            content = hashlib.sha256(piece.tobytes()).digest()
            if content in seen or np.abs(piece).max() <= SILENCE:
                continue
            seen.add(content)
            stem = f"{number:04d}__{part:02d}" if split == "test" else f"{len(rows):04d}"
            name = f"{package}/{stem}.flac"
            soundfile.write(out / name, piece, YAMNET.sample_rate)
            judged = ("unknown" if split == "val" else target, split)
            licence = "free licences of Debian main, in the copyright file of each package"
            kind = kind_of(package, origin, sum(map(len, cut)) / YAMNET.sample_rate)
            values = (name, *judged, f"debian:{package}", "debian_sounds", licence, origin, kind)
            rows.append(dict(zip(COLUMNS, (*values, Path(origin).stem.lower()), strict=True)))
    return rows


def split_of(package: str) -> str:
    """Returns the split of a package's sounds."""
    return "test" if package in TEST else "val" if package in HELD_OUT else "train"


def _is_wanted(package: str, names: list[str] | None, split: str | None) -> bool:
    if names and package not in names:
        return False
    # Without options, the corpus is that of the released model.
    return split_of(package) == split if split else bool(names) or package not in TEST


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to create")
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        help="use only packages of this split (default: train and val)",
    )
    parser.add_argument("--package", action="append", help="use only this package; may be repeated")
    arguments = parser.parse_args()
    out: Path = arguments.out
    if out.exists():
        print(f"{out} already exists; choose another folder, or delete it first", file=sys.stderr)
        return 2
    # Test packages come last, so that sounds they share with other packages are skipped in them.
    names = [*sorted((*SPEECH, *MUSIC, *EFFECTS)), *sorted(TEST)]
    wanted = [name for name in names if _is_wanted(name, arguments.package, arguments.split)]
    rows: list[dict[str, str]] = []
    seen: set[bytes] = set()
    for package in tqdm(wanted, unit="package"):
        target = "not_cry" if package in (*SPEECH, *MUSIC, *TEST_SPEECH, *TEST_MUSIC) else "unknown"
        try:
            rows += add(package, target, out, seen)
        except (OSError, subprocess.CalledProcessError) as error:
            # Later releases of Debian lack some packages; the corpus is useful without them.
            print(f"{package} is left out ({error})", file=sys.stderr)
    if not rows:
        print("no package could be had; is this Debian, and are its package lists fresh?", file=sys.stderr)
        return 1
    with (out / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows):,} clips of {len({row['group'] for row in rows})} packages in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
