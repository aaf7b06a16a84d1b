"""from_pretrained through the real huggingface_hub, against a server that speaks the Hub's protocol."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_hub import TOKEN, LoopbackHub, blob

from yamnet_cry import CryDetector
from yamnet_cry.errors import ModelError
from yamnet_cry.model import hub
from yamnet_cry.model.folder import (
    CONFIG,
    CONTEXT,
    DETECTOR_FILES,
    KERAS,
    KERAS_METADATA,
    KERAS_WEIGHTS,
    LARGEST,
    TFLITE,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def loopback(released: Path) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        repository = server.add("user/model", {path.name: path.read_bytes() for path in released.iterdir()})
        repository.tags["v1"] = repository.heads["main"]
        yield server


def in_fresh_process(
    address: str, home: Path, code: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={
            **kept,
            "HF_ENDPOINT": address,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def loading(repo_id: str = "user/model", **arguments: object) -> str:
    given = "".join(f", {name}={value!r}" for name, value in arguments.items())
    return f"from yamnet_cry import CryDetector; print(CryDetector.from_pretrained({repo_id!r}{given}))"


def error_of(result: subprocess.CompletedProcess[str]) -> str:
    """The last line of a traceback, which is the message a user reads."""
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1].removeprefix("yamnet_cry.errors.")


def downloads(server: LoopbackHub) -> list[str]:
    large = {each.sha256: name for name, each in server.files("user/model").items() if each.large}
    asked = [line.split("/")[-1] for line in server.log if line.startswith(("GET /user", "GET /storage"))]
    return sorted(large.get(name, name) for name in asked)


@pytest.mark.parametrize("revision", [None, "v1", "commit"])
def test_a_repository_gives_the_detector_of_its_folder(loopback, tmp_path, released, revision):
    if revision == "commit":
        revision = loopback.repositories["models", "user/model"].heads["main"]
    result = in_fresh_process(loopback.address, tmp_path, loading(revision=revision))
    assert result.stdout.strip() == repr(CryDetector.from_pretrained(released)), result.stderr
    assert downloads(loopback) == sorted([CONFIG, CONTEXT, TFLITE]), "and nothing else"


def test_what_was_downloaded_once_needs_no_network(loopback, tmp_path):
    first = in_fresh_process(loopback.address, tmp_path, loading())
    offline = in_fresh_process("http://127.0.0.1:9", tmp_path, loading(), HF_HUB_OFFLINE="1")
    assert offline.stdout == first.stdout != "", offline.stderr
    unreachable = in_fresh_process("http://127.0.0.1:9", tmp_path, loading())
    assert unreachable.stdout == first.stdout, unreachable.stderr
    asked = len(loopback.log)
    local = in_fresh_process(loopback.address, tmp_path, loading(local_files_only=True))
    assert local.stdout == first.stdout, local.stderr
    assert len(loopback.log) == asked


def test_local_files_only_with_an_empty_cache(loopback, tmp_path):
    result = in_fresh_process(loopback.address, tmp_path, loading(local_files_only=True))
    assert error_of(result) == (
        "ModelError: user/model is not in the local cache; load it once without local_files_only"
    )
    assert loopback.log == []


def test_a_cache_of_ones_own(loopback, tmp_path):
    result = in_fresh_process(loopback.address, tmp_path / "home", loading(cache_dir=str(tmp_path / "mine")))
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "mine").rglob(TFLITE))
    assert not list((tmp_path / "home").rglob(TFLITE))


def test_a_revision_that_is_not_there(loopback, tmp_path):
    result = in_fresh_process(loopback.address, tmp_path, loading(revision="v9"))
    assert error_of(result) == "ModelError: user/model on the Hub has no revision 'v9'"


def test_a_repository_that_is_not_there(loopback, tmp_path):
    for token in ({}, {"HF_TOKEN": TOKEN}):  # without a token the Hub returns 401
        result = in_fresh_process(loopback.address, tmp_path, loading("user/other"), **token)
        assert error_of(result) == (
            "ModelError: user/other could not be downloaded (HTTP 404): no such repository on the Hub "
            "and no such local folder; check the name, and log in with `hf auth login`, or set "
            "HF_TOKEN if it is private"
        )


def test_a_private_repository_wants_a_token(loopback, tmp_path):
    loopback.repositories["models", "user/model"].private = True
    refused = in_fresh_process(loopback.address, tmp_path, loading())
    assert "no such repository on the Hub" in error_of(refused)
    wrong = in_fresh_process(loopback.address, tmp_path, loading(token="hf_wrong"))
    assert "(HTTP 401): the login was refused; log in with `hf auth login`" in error_of(wrong)
    given = in_fresh_process(loopback.address, tmp_path / "given", loading(token=TOKEN))
    assert given.stdout.startswith("<CryDetector"), given.stderr
    logged_in = in_fresh_process(loopback.address, tmp_path / "logged_in", loading(), HF_TOKEN=TOKEN)
    assert logged_in.stdout == given.stdout, logged_in.stderr


def test_a_hub_that_cannot_be_reached(tmp_path):
    result = in_fresh_process("http://127.0.0.1:9", tmp_path, loading())
    assert error_of(result) == (
        "ModelError: user/model is not in the local cache and the Hub cannot be reached; connect once, or "
        "pass a model folder"
    )


@pytest.mark.parametrize("name", [TFLITE, CONFIG])
def test_a_hub_that_dies_in_the_middle_of_a_download(loopback, tmp_path, name):
    if name == TFLITE:
        loopback.dies_at = f"GET /storage/{loopback.files('user/model')[TFLITE].sha256}"
    else:
        commit = loopback.repositories["models", "user/model"].heads["main"]
        loopback.dies_at = f"GET /user/model/resolve/{commit}/{CONFIG}"
    result = in_fresh_process(loopback.address, tmp_path, loading())
    assert error_of(result).startswith("ModelError: user/model"), result.stderr
    # Half a file is in the cache, but it is never loaded, neither offline nor when the Hub is back.
    offline = in_fresh_process(loopback.address, tmp_path, loading(local_files_only=True))
    assert "ModelError" in error_of(offline)
    loopback.dead, loopback.dies_at = False, None
    assert in_fresh_process(loopback.address, tmp_path, loading()).stdout.startswith("<CryDetector")


def test_a_model_corrupted_on_its_way_is_refused(loopback, tmp_path):
    content = bytearray(loopback.large[loopback.files("user/model")[TFLITE].sha256])
    content[5_000] ^= 255
    changed = loopback.files("user/model")[TFLITE] = blob(bytes(content), large=True)
    loopback.large[changed.sha256] = bytes(content)
    result = in_fresh_process(loopback.address, tmp_path, loading())
    assert f"is not the file that {CONFIG} describes" in error_of(result)


@pytest.mark.parametrize("name", [*DETECTOR_FILES, CONTEXT])
def test_what_is_too_large_is_not_even_downloaded(loopback, tmp_path, name):
    content = bytes(LARGEST[name] + 1)
    changed = loopback.files("user/model")[name] = blob(content, large=name == TFLITE)
    loopback.large[changed.sha256] = content
    result = in_fresh_process(loopback.address, tmp_path, loading())
    assert error_of(result) == (
        f"ModelError: user/model: {name} exceeds the size limit and was not downloaded. Expected: at "
        f"most {LARGEST[name]:,} bytes. Received: {LARGEST[name] + 1:,}"
    )
    assert downloads(loopback) == []


def test_a_repository_of_something_else(loopback, tmp_path):
    loopback.add("user/else", {"README.md": b"# Something else\n"})
    result = in_fresh_process(loopback.address, tmp_path, loading("user/else"))
    assert error_of(result) == (
        f"ModelError: user/else is not a yamnet-cry model: it has no {CONFIG} and no {TFLITE}"
    )


def test_a_newer_format_says_what_to_do(loopback, tmp_path):
    files = loopback.files("user/model")
    config = json.loads(files[CONFIG].content or b"")
    files[CONFIG] = blob(json.dumps({**config, "format_version": 3}).encode())
    result = in_fresh_process(loopback.address, tmp_path, loading())
    assert error_of(result).endswith(
        "has format version 3; this package reads 1 and 2: pip install --upgrade yamnet-cry"
    )


def test_the_keras_model_of_a_repository_is_downloaded_when_it_is_wanted(loopback, tmp_path):
    code = loading().replace("print(", "d = (") + "; m = d.keras_model; print(m.name, m.count_params())"
    result = in_fresh_process(loopback.address, tmp_path, code)
    assert result.stdout.split() == ["ds_cnn", str(CryDetector.from_pretrained().config.parameters["total"])]
    assert downloads(loopback) == sorted([CONFIG, CONTEXT, KERAS, TFLITE])


def test_keras_itself_loads_the_repository(loopback, tmp_path):
    code = "import keras; m = keras.models.load_model('hf://user/model'); print(m.name, m.output_shape)"
    result = in_fresh_process(loopback.address, tmp_path, code)
    assert result.stdout.strip() == "ds_cnn (None, 521)", result.stderr
    # Including all three files that Keras itself pushes.
    assert {CONFIG, KERAS_METADATA, KERAS_WEIGHTS} <= set(downloads(loopback))


@pytest.mark.parametrize("name", ["no such folder", "a/b/c", "", "plain"])
def test_what_is_neither_folder_nor_repository(name):
    with pytest.raises(ModelError, match="expected a model folder or a repository id such as user/model"):
        hub.locate(name)


def test_folders_have_no_revisions(released):
    with pytest.raises(ModelError, match=r"is a folder, which has no revisions. Received: revision='v1'"):
        hub.locate(released, "v1")
    with pytest.raises(ModelError, match="the bundled model has no revisions"):
        hub.locate(None, "v1")
