"""Files appear whole or not at all, and files of others are not touched."""

import os
import stat

import pytest
from disk import full_after

from yamnet_cry import CryDetector, export
from yamnet_cry.errors import ExportError, ModelError
from yamnet_cry.files import whole, write_whole


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes(tmp_path):
    write_whole(tmp_path / "a", "Wiege ä\n")
    write_whole(tmp_path / "b", b"\0")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == ("Wiege ä\n".encode(), b"\0")
    write_whole(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "file", "")
        with whole(tmp_path / "folder") as unfinished:
            unfinished.mkdir()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~mask


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.vtt"
    path.write_text("old")
    with full_after(1_000), pytest.raises(OSError, match="a.vtt") as caught:
        write_whole(path, b"x" * 2_000)
    assert caught.value.filename == str(path)
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.vtt"])


def test_whatever_goes_wrong_leaves_nothing(tmp_path):
    def stopped(error: type[BaseException]) -> None:
        with whole(tmp_path / "folder") as unfinished:
            unfinished.mkdir()
            (unfinished / "half").write_text("")
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            stopped(error)
    assert names(tmp_path) == []
    with pytest.raises(OSError, match="missing") as caught:
        write_whole(tmp_path / "missing" / "a", "")
    assert caught.value.filename == str(tmp_path / "missing" / "a")


def test_folders_and_devices_are_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match="folder"):
        write_whole(tmp_path / "folder", "")
    with pytest.raises(FileExistsError), whole(tmp_path / "folder") as unfinished:
        unfinished.mkdir()
    with pytest.raises(OSError, match=os.path.basename(os.devnull)):
        write_whole(type(tmp_path)(os.devnull), "")


def test_what_is_named_like_the_target_is_left_alone(tmp_path):
    """The user's folders and files whose names end like those of temporary files."""
    theirs = [tmp_path / f"{name}{end}" for name in ("kit", "room", "cry") for end in (".new", ".tmp")]
    for folder in theirs:
        folder.mkdir()
        (folder / "diary.txt").write_text("mine")
    (tmp_path / "cry.new.tflite").write_text("mine")
    detector = CryDetector.from_pretrained()
    export.write(detector, "c-array", tmp_path / "kit")
    export.write(detector, "tflite", tmp_path / "cry.tflite")
    detector.save_pretrained(tmp_path / "room")
    assert names(tmp_path / "room") == ["config.json", "context.npz", "model_int8.tflite"]
    with full_after(1_000):
        with pytest.raises(ExportError, match="again cannot be written"):
            export.write(detector, "c-array", tmp_path / "again")
        with pytest.raises(ModelError, match="again cannot be written"):
            detector.save_pretrained(tmp_path / "again")
    made = {"kit", "room", "cry.tflite"}
    assert set(names(tmp_path)) == {path.name for path in theirs} | {"cry.new.tflite"} | made
    assert all((folder / "diary.txt").read_text() == "mine" for folder in theirs)
    assert all(names(folder) == ["diary.txt"] for folder in theirs)
    assert (tmp_path / "cry.new.tflite").read_text() == "mine"
