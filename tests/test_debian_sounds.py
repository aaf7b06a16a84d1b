"""The corpus of ordinary sounds, built from real packages with synthetic sounds."""

import csv
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter

import debian_sounds
import numpy as np
import pytest
import soundfile

from yamnet_cry.distill import sources

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb: not a Debian system")

RATE = 16_000


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Builds packages, and an apt-get stand-in that downloads them."""
    store, programs = tmp_path / "store", tmp_path / "bin"
    store.mkdir()
    programs.mkdir()
    script = programs / "apt-get"
    script.write_text(f'#!/bin/sh\n[ "$1" = download ] && cp {store}/"$3"_1_all.deb .\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    def build(name, files):
        root = tmp_path / name
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: sounds\n"
        )
        (root / "usr/share/doc" / name).mkdir(parents=True)
        (root / "usr/share/doc" / name / "copyright").write_text("free")
        (root / "usr/share/sounds").mkdir(parents=True)
        for file, wave in files.items():
            if isinstance(wave, bytes):
                (root / "usr/share/sounds" / file).write_bytes(wave)
            else:
                soundfile.write(root / "usr/share/sounds" / file, wave, RATE)
        subprocess.run(
            ["dpkg-deb", "--build", root, store / f"{name}_1_all.deb"], check=True, capture_output=True
        )

    return build


def noise(seconds, seed):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE)).clip(-3, 3)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["debian_sounds.py", *map(str, arguments)])
    return debian_sounds.main()


def test_packages_become_a_corpus(packages, tmp_path, monkeypatch, capsys):
    twice = noise(1.0, 3)
    packages("scratch", {"bell.wav": noise(1.0, 0), "silence.wav": np.zeros(RATE), "broken.wav": b"RIFF"})
    packages("drascula-music", {"long.wav": noise(25.0, 1), "twice.wav": twice, "click.wav": noise(0.1, 2)})
    packages("etw-data", {"twice.wav": twice})
    packages("lugaru-data", {"bark.wav": noise(1.0, 4)})
    out = tmp_path / "out"
    names = ["scratch", "drascula-music", "etw-data", "lugaru-data", "hannah-data"]
    assert run(monkeypatch, out, *(part for name in names for part in ("--package", name))) == 0
    assert "hannah-data is left out" in capsys.readouterr().err

    clips = sources.load(str(out))
    found = sorted((c.group, c.labels, c.split, round(len(c.read()) / RATE)) for c in clips)
    assert found == [
        ("debian:drascula-music", ("not_cry",), "train", 1),
        ("debian:drascula-music", ("not_cry",), "train", 10),
        ("debian:drascula-music", ("not_cry",), "train", 10),
        ("debian:lugaru-data", (), "val", 1),
        ("debian:scratch", (), "train", 1),
    ]
    with (out / "manifest.csv").open() as file:
        assert {(row["source"], row["origin"].split("/")[-1]) for row in csv.DictReader(file)} == {
            ("debian_sounds", name) for name in ("long.wav", "twice.wav", "bell.wav", "bark.wav")
        }
    assert (out / "scratch" / "copyright").read_text() == "free"


@pytest.mark.slow
def test_songs_give_more_pieces_and_may_be_packed(packages, tmp_path, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, seconds in (("music/song.wav", 75.0), ("music/short.wav", 2.0)):
            file = io.BytesIO()
            soundfile.write(file, noise(seconds, int(seconds)), RATE, format="WAV")
            packed.writestr(name, file.getvalue())
        packed.writestr("readme.txt", "not a sound")
    packages("nexuiz-music", {"music.pk3": archive.getvalue()})
    packages("colobot-common-sounds", {"sounds.zip": archive.getvalue(), "long.wav": noise(75.0, 2)})
    names = ("--package", "nexuiz-music", "--package", "colobot-common-sounds")
    assert run(monkeypatch, tmp_path / "out", *names) == 0
    with (tmp_path / "out" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter((row["group"], row["target"], row["label"]) for row in rows) == {
        ("debian:nexuiz-music", "not_cry", "song"): 6,
        ("debian:nexuiz-music", "not_cry", "short"): 1,
        ("debian:colobot-common-sounds", "unknown", "long"): 2,
    }


def test_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, tmp_path) == 2
    assert "exists; choose another folder" in capsys.readouterr().err


def test_without_any_package(tmp_path, packages, monkeypatch, capsys):
    assert run(monkeypatch, tmp_path / "out", "--package", "hannah-data") == 1
    assert "no package could be had" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_no_package_is_listed_twice():
    listed = [*debian_sounds.SPEECH, *debian_sounds.MUSIC, *debian_sounds.EFFECTS]
    assert len(set(listed)) == len(listed)
    assert set(listed) > debian_sounds.HELD_OUT


@pytest.mark.slow
def test_test_packages_are_taken_whole(packages, tmp_path, monkeypatch):
    shared = noise(3, 9)
    packages("freecol", {"intro.wav": noise(100, 1), "click.wav": shared, "wind.wav": noise(8, 2)})
    packages("lmms-common", {"same.wav": shared})
    wanted = ("--package", "freecol", "--package", "lmms-common")
    assert run(monkeypatch, tmp_path / "all", *wanted) == 0
    with (tmp_path / "all" / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    own = {row["file"]: row for row in rows if row["split"] == "test"}
    # A hundred seconds give three pieces of thirty; the remainder is too short to keep.
    assert sorted((row["label"], row["kind"]) for row in own.values()) == [
        ("intro", "music"),
        ("intro", "music"),
        ("intro", "music"),
        ("wind", "room"),
    ]
    assert len({name.split("__")[0] for name in own}) == 2
    # No test audio is in training.
    assert [row["file"] for row in rows if row["split"] == "train"] == ["lmms-common/0000.flac"]
    assert run(monkeypatch, tmp_path / "test", *wanted, "--split", "test") == 0
    with (tmp_path / "test" / "manifest.csv").open() as file:
        assert {row["group"] for row in csv.DictReader(file)} == {"debian:freecol"}


def test_what_test_packages_are(packages, tmp_path, monkeypatch):
    packages("singularity-music", {"Through Space.wav": noise(3, 1), "Advance.wav": noise(3, 2)})
    packages("gcin-voice", {"ma3.wav": noise(1, 3)})
    packages("kolf", {"wind.wav": noise(1, 4), "hole.wav": noise(1, 5)})
    monkeypatch.setattr(debian_sounds, "SHARED", {"singularity-music/Through Space.wav"})
    assert run(monkeypatch, tmp_path / "out", "--split", "test") == 0
    with (tmp_path / "out" / "manifest.csv").open() as file:
        found = {(row["label"], row["kind"], row["target"]) for row in csv.DictReader(file)}
    # Sounds that are also in training are left out, even if training audio is not built in the same run.
    assert found == {
        ("advance", "music", "not_cry"),
        ("ma3", "speech", "not_cry"),
        ("wind", "effect", "unknown"),
        ("hole", "effect", "unknown"),
    }
    assert {name.split("/")[0] for name in debian_sounds.SHARED} <= debian_sounds.TEST


def test_test_audio_is_made_only_on_request(packages, tmp_path, monkeypatch):
    packages("kolf", {"hole.wav": noise(1, 5)})
    packages("scratch", {"bell.wav": noise(1, 6)})
    assert run(monkeypatch, tmp_path / "out") == 0
    assert {clip.group for clip in sources.load(str(tmp_path / "out"))} == {"debian:scratch"}


def test_no_package_is_in_two_splits():
    assert not debian_sounds.TEST & {
        *debian_sounds.SPEECH,
        *debian_sounds.MUSIC,
        *debian_sounds.EFFECTS,
    }
    assert set(debian_sounds.HELD_OUT) < {
        *debian_sounds.SPEECH,
        *debian_sounds.MUSIC,
        *debian_sounds.EFFECTS,
    }
