"""The whole workflow: one command distils and pushes, and another machine detects with the result."""

from importlib.metadata import version

import pytest
from loopback_hub import LoopbackHub, Machine

from yamnet_cry.model import publish
from yamnet_cry.model.folder import KERAS_METADATA

pytestmark = pytest.mark.slow

SETTINGS = ("train.epochs=6", "train.batch_size=8", "augmentation.views=4", "augmentation.seconds=2")

DOUBTED = """
from yamnet_cry.cli import main
from yamnet_cry.distill import fitness
fitness.doubt = lambda metrics: "the INT8 student does not detect crying: AUC 0.190; train for more epochs"
main({})
"""


@pytest.fixture
def command(synthetic_corpus, small_teacher, tmp_path):
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    where = ("--audio", synthetic_corpus, "--teacher", small_teacher, "--cache", tmp_path / "cache")
    return ["distill", "--recipe", "reference", *settings, *map(str, where), "--push", "user/tiny"]


def test_distil_and_push_here_and_detect_there(command, tmp_path):
    with LoopbackHub() as server:
        here = Machine(server, tmp_path / "here", HF_HUB_DISABLE_XET="1")
        out = tmp_path / "model"
        result = here.run(*command, "--out", str(out), "--private")
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[-1].endswith(f", tagged v{version('yamnet-cry')}")
        assert server.repositories["models", "user/tiny"].private
        publish.check(out)

        there = Machine(server, tmp_path / "there", HF_HUB_DISABLE_XET="1")
        scores = (
            "from yamnet_cry.demo import nursery; from yamnet_cry import CryDetector; "
            "print(CryDetector.from_pretrained({!r})((nursery(), 16_000)).scores.tolist())"
        )
        pulled = there.run(code=scores.format("user/tiny"))
        assert pulled.stdout == here.run(code=scores.format(str(out))).stdout != "", pulled.stderr


def test_a_push_that_fails_after_training_loses_nothing(command, tmp_path):
    with LoopbackHub() as server:
        here = Machine(server, tmp_path / "here", HF_HUB_DISABLE_XET="1")
        server.dies_at = "POST /api/repos/create"
        out = tmp_path / "my model"
        result = here.run(*command, "--out", str(out))
        assert result.returncode == 2
        assert "Error: user/tiny could not be pushed: the connection failed" in result.stderr
        last = result.stderr.splitlines()[-1]
        assert last == f"The model is saved in {out}; push it with: yamnet-cry push '{out}' user/tiny"
        server.dead, server.dies_at = False, None
        again = here.run("push", str(out), "user/tiny")
        assert again.returncode == 0, again.stderr
        assert set(server.files("user/tiny")) == {*publish.RELEASE_FILES, KERAS_METADATA, ".gitattributes"}


def test_a_student_that_hears_nothing_is_written_but_not_pushed(command, tmp_path):
    with LoopbackHub() as server:
        here = Machine(server, tmp_path / "here", HF_HUB_DISABLE_XET="1")
        out = tmp_path / "model"
        # After one epoch it detects nothing; test_fitness tests how the metrics show that.
        arguments = [*command, "--set", "train.epochs=1", "--out", str(out)]
        result = here.run(code=DOUBTED.format(arguments))
        assert result.returncode == 2
        assert (
            f"Warning: {out} was written, but the INT8 student does not detect crying: AUC " in result.stderr
        )
        assert "is ready" not in result.stderr
        *_, error, last = result.stderr.splitlines()
        assert error.startswith("Error: not pushed to user/tiny: the INT8 student does not detect crying")
        assert "train for more epochs" in error
        assert last == f"The model is saved in {out}; push it with: yamnet-cry push {out} user/tiny"
        publish.check(out)
        assert not server.repositories


def test_whoever_is_not_logged_in_hears_it_before_the_work(command, tmp_path):
    with LoopbackHub() as server:
        stranger = Machine(server, tmp_path / "here", HF_TOKEN="")
        result = stranger.run(*command, "--out", str(tmp_path / "model"))
        assert result.returncode == 2
        assert result.stderr.splitlines()[-1] == (
            "Error: the login at the Hub cannot be checked: not logged in; log in with `hf auth login`, or "
            "set HF_TOKEN"
        )
        assert not (tmp_path / "model.partial").exists()
