"""Parsers of the credits of repositories: licence and author of each sound file, for open_sources.py."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """The files of a source, for reading its credits."""

    @property
    def paths(self) -> list[str]:
        """All paths, in order."""

    def text(self, path: str) -> str:
        """Returns a file's text."""


#: Licence and author of each file; the author is empty if none is named.
Credits = dict[str, tuple[str, str]]


def fits(stem: str, pattern: str) -> bool:
    """Returns whether a file name matches a pattern such as ``ar_burst_0[1-2]`` or ``bat*``.

    Examples:
        >>> fits("bat_01", "bat*"), fits("balloon_pop", "balloon_inflate")
        (True, False)
    """
    parts = re.split(r"(\*|\[[^\]]*\])", pattern)
    numbers = {"*": r"[_.]?\d*", "[": r"\d+"}
    expression = "".join(numbers.get(part[:1], re.escape(part)) for part in parts)
    return re.fullmatch(expression, stem) is not None


def credits_of_mod_sounds(files: Files) -> Credits:
    """Reads the table of sources.md: shell-style name pattern, author, licence."""
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
    """Reads LICENSE.MD: one paragraph per file, with author and licence."""
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
    """Reads LICENSE-media.md: authors, and below each their files; files that are not listed are CC0."""
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
    """Reads ambience/readme.txt, which has the format of Debian's copyright files."""
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
    """Reads the users of Freesound from file names; according to README.md all files are CC0."""
    return {path: ("CC0", path.split("__")[1]) for path in files.paths if path.count("__") > 1}


def credits_of_noisekun(files: Files) -> Credits:
    """Reads the table of README.md, whose titles resemble the file names."""
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


def credits_of_cc_sounds(files: Files) -> Credits:
    """Reads the tables in the credits.md of every folder."""
    found: Credits = {}
    for table in (path for path in files.paths if path.endswith("/credits.md")):
        rows = re.findall(
            r"^\|\s*([\w.-]+\.ogg)\s*\|([^|]+)\|\s*\*\*([^|*]+)\*\*", files.text(table), re.MULTILINE
        )
        for name, author, licence in rows:
            # One table writes "CC 0".
            found[str(Path(table).parent / name)] = (licence.strip().replace("CC 0", "CC0"), author.strip())
    return found


def credits_of_stations(files: Files) -> Credits:
    """Reads the attributions.yml of every folder; uses only sounds from Freesound.

    Sounds from other games are skipped: their authors are not named, and some are not free.
    """
    found: Credits = {}
    for listing in (path for path in files.paths if path.endswith("/attributions.yml")):
        for entry in re.split(r"^\ufeff?- *(?=files)", files.text(listing), flags=re.MULTILINE)[1:]:
            names, _, rest = entry.partition("license:")
            # From the URL, because the text beside it often belongs to another entry.
            user = re.search(r"source:.*freesound\.org/people/([^/\"\s]+)", rest)
            licence = re.match(r"\s*\"?([\w. -]+)", rest)
            if user and licence:
                for name in re.findall(r"[\w.-]+\.ogg", names):
                    found[str(Path(listing).parent / name)] = (licence[1].strip(), user[1])
    return found


def credits_of_doggy_daycare(files: Files) -> Credits:
    """Reads licenses.md: lists of files, each followed by author and licence."""
    found: Credits = {}
    for entry in files.text("licenses.md").split("Files:")[1:]:
        author, licence = (re.search(rf"^{key}: (.+)$", entry, re.MULTILINE) for key in ("Author", "License"))
        if author and licence:
            short = licence[1].replace("Creative Commons 0", "CC0")
            short = re.sub("^Attribution", "CC BY", short).replace(" NonCommercial", "-NC")
            for name in re.findall(r"^ *- (.+\.ogg)$", entry, re.MULTILINE):
                found[name] = (short, author[1].strip())
    return found
