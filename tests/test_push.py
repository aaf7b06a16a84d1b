"""Pushing through the real huggingface_hub, against a server that speaks the Hub's protocol."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import RepoCard
from loopback_hub import LoopbackHub, Machine, Repository, blob

from yamnet_cry import CryDetector
from yamnet_cry.errors import HubError, ModelError
from yamnet_cry.model import folder as model_folder
from yamnet_cry.model import hub
from yamnet_cry.model.folder import CARD, CONFIG, TFLITE

pytestmark = pytest.mark.slow

SCORES = (
    "from yamnet_cry.demo import nursery; from yamnet_cry import CryDetector; "
    "print(CryDetector.from_pretrained({})((nursery(), 16_000)).scores.tolist())"
)

RELEASED = model_folder.load(hub.locate().folder)[0]
TAG = f"v{RELEASED.package_version}"
FILES = model_folder.release_files(RELEASED)


@pytest.fixture
def loopback() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        yield server


@pytest.fixture
def machine(loopback: LoopbackHub, tmp_path: Path) -> Machine:
    return Machine(loopback, tmp_path / "home", HF_HUB_DISABLE_XET="1")


def content(folder: Path) -> dict[str, str]:
    return {name: blob((folder / name).read_bytes()).sha256 for name in FILES}


def pushed(server: LoopbackHub, **where: str) -> dict[str, str]:
    files = server.files("user/model", **where)
    return {name: each.sha256 for name, each in files.items() if name != ".gitattributes"}


@pytest.mark.parametrize("route", ["lfs", "xet"])
def test_what_is_pushed_comes_back_byte_for_byte(released, tmp_path, route):
    store = tmp_path / "store"
    with LoopbackHub(store if route == "xet" else None) as server:
        settings = {} if route == "xet" else {"HF_HUB_DISABLE_XET": "1"}
        here = Machine(server, tmp_path / "here", **settings)
        told = here.pushes(str(released), "user/model")
        commit = server.repositories["models", "user/model"].heads["main"]
        assert told == f"{server.address}/user/model/commit/{commit}, tagged {TAG}"
        assert pushed(server) == content(released)
        # Large files were uploaded by this route.
        assert any("xet-write-token" in line for line in server.log) == (route == "xet")
        assert any(line.startswith("PUT /storage/") for line in server.log) == (route == "lfs")

        there = Machine(server, tmp_path / "there", **settings)
        code = "from huggingface_hub import snapshot_download; print(snapshot_download('user/model'))"
        folder = Path(there.run(code=code).stdout.strip())
        assert content(folder) == content(released)
        scores = there.run(code=SCORES.format("'user/model'")).stdout
        assert scores == here.run(code=SCORES.format("")).stdout != ""


def test_one_commit_holds_all_and_a_second_push_sends_nothing(machine, released):
    machine.pushes(str(released), "user/model")
    repository = machine.server.repositories["models", "user/model"]
    assert repository.messages == ["initial commit", f"yamnet-cry {TAG[1:]}, recipe context"]
    machine.server.log.clear()
    told = machine.pushes(str(released), "user/model")
    assert told.endswith(f"tagged {TAG}\nnothing has changed since the last push")
    assert len(repository.messages) == 2
    assert not [line for line in machine.server.log if line.startswith("PUT") or "/commit/" in line]


def test_a_tag_stays_where_it_is(machine, released, model_copy):
    machine.pushes(str(released), "user/model")
    repository = machine.server.repositories["models", "user/model"]
    tagged = repository.tags[TAG]
    (model_copy / CARD).write_text((released / CARD).read_text() + "\nA line of ours.\n")
    told = machine.pushes(str(model_copy), "user/model")
    assert told.endswith(f"the tag {TAG} already exists and stays at commit {tagged[:12]}")
    assert repository.tags[TAG] == tagged != repository.heads["main"]


def test_a_branch_a_pull_request_and_a_message(machine, released):
    machine.pushes(str(released), "user/model", "--revision", "dev", "--message", "try this")
    repository = machine.server.repositories["models", "user/model"]
    assert pushed(machine.server, revision="dev") == content(released)
    assert pushed(machine.server) == {}
    assert repository.messages[-1] == "try this"
    told = machine.pushes(str(released), "user/model", "--create-pr")
    assert told == f"{machine.server.address}/user/model/discussions/1"
    assert pushed(machine.server, revision="refs/pr/1") == content(released)
    assert pushed(machine.server) == {}
    assert repository.tags == {}, "what is not on main is no release"


def test_private_and_public(machine, released):
    machine.pushes(str(released), "user/model", "--private")
    assert machine.server.repositories["models", "user/model"].private
    assert machine.fails(str(released), "user/model", "--public") == (
        "Error: user/model is already private; change that in its settings, or choose another"
    )
    machine.pushes(str(released), "user/model")


def test_dry_run_prints_what_would_go_and_sends_nothing(machine, released):
    plan = json.loads(machine.pushes(str(released), "user/model", "--dry-run", "--json"))
    assert {name: known["sha256"] for name, known in plan["files"].items()} == content(released)
    assert (plan["repository"], plan["branch"], plan["tag"]) == ("user/model", "main", TAG)
    told = machine.pushes(str(released), "user/model", "--dry-run")
    assert all(f"{name} " in told for name in FILES)
    assert machine.server.log == []
    done = json.loads(machine.pushes(str(released), "user/model", "--json"))
    assert done["files"] == plan["files"]
    assert done["commit"] == machine.server.repositories["models", "user/model"].heads["main"]


def test_nobody_logged_in(loopback, released, tmp_path):
    stranger = Machine(loopback, tmp_path / "home", HF_TOKEN="")
    assert stranger.fails(str(released), "user/model") == (
        "Error: user/model could not be pushed (HTTP 401): the login was refused; log in with "
        "`hf auth login`, or set HF_TOKEN"
    )


def test_somebody_else_commits_once(machine, released):
    machine.server.add("user/model", {"NOTES.md": b"first"})

    def once(repository: Repository) -> None:
        machine.server.meanwhile = lambda repository: None
        files = {"NOTES.md": blob(b"second")}
        repository.commit("main", "somebody else", files)

    machine.server.meanwhile = once
    machine.pushes(str(released), "user/model")
    files = machine.server.files("user/model")
    assert files["NOTES.md"].content == b"second", "what others put there stays"
    assert set(FILES) <= set(files)


def test_somebody_else_never_stops_committing(machine, released):
    machine.server.add("user/model", {"NOTES.md": b"first"})
    machine.server.meanwhile = lambda repository: repository.commit(
        "main", "busy", {"NOTES.md": blob(b"busy")}
    )
    assert machine.fails(str(released), "user/model") == (
        "Error: user/model could not be pushed (HTTP 412): 3 conflicts with other commits; try again"
    )
    assert list(machine.server.files("user/model")) == ["NOTES.md"]


@pytest.mark.parametrize("request_", ["PUT /storage/", "POST /api/models/user/model/commit/"])
def test_a_hub_that_dies_in_the_middle_of_an_upload(machine, released, request_):
    machine.server.add("user/model", {TFLITE: b"the old one"})
    machine.server.dies_at = request_
    assert machine.fails(str(released), "user/model").startswith("Error: user/model could not be pushed")
    assert list(machine.server.files("user/model")) == [TFLITE], "no half of a release"
    machine.server.dead, machine.server.dies_at = False, None
    machine.pushes(str(released), "user/model")
    assert pushed(machine.server) == content(released)


def test_a_hub_that_cannot_be_reached(loopback, released, tmp_path):
    lonely = Machine(loopback, tmp_path / "home", HF_ENDPOINT="http://127.0.0.1:9")
    told = lonely.fails(str(released), "user/model")
    assert told.startswith("Error: user/model could not be pushed: the connection failed (")
    assert told.endswith("; try again")


@pytest.mark.parametrize("name", ["model", "a/b/c", "http://hub/user/model", ""])
def test_what_is_no_repository(released, name):
    with pytest.raises(HubError, match="expected a repository id such as user/model"):
        hub.check_repo_id(name)


def test_a_detector_pushes_its_folder_with_the_threshold_it_has(machine, released):
    code = (
        "from yamnet_cry import CryDetector; detector = CryDetector.from_pretrained(); "
        "detector.threshold = 0.7; print(detector.push_to_hub('user/model', private=True))"
    )
    result = machine.run(code=code)
    assert result.stdout.startswith("Pushed(url="), result.stderr
    files = machine.server.files("user/model")
    config = json.loads(files[CONFIG].content or b"")
    assert config["threshold"] == 0.7
    assert "Windows above the threshold (0.7) form events" in " ".join(
        (files[CARD].content or b"").decode().split()
    )
    assert files[TFLITE].sha256 == content(released)[TFLITE]
    # From the Hub to another repository: files that a detector does not need are downloaded for the push.
    code = (
        "from yamnet_cry import CryDetector; "
        "print(CryDetector.from_pretrained('user/model').push_to_hub('user/second').tag)"
    )
    assert machine.run(code=code).stdout.strip() == TAG
    assert machine.server.files("user/second") == files


def test_a_detector_of_no_folder(released):
    from yamnet_cry.model import folder as model_folder

    detector = CryDetector(*model_folder.load(released))
    with pytest.raises(ModelError, match="was not loaded from a model folder"):
        detector.push_to_hub("user/model")
    with pytest.raises(ModelError, match="was not loaded from a model folder"):
        _ = detector.keras_model


def test_the_space_is_pushed_the_same_way(machine):
    space = Path(__file__).parents[1] / "space"
    told = machine.pushes("--space", "user/cry", "--dry-run")
    assert machine.server.log == []
    machine.pushes("--space", "user/cry")
    files = machine.server.files("user/cry", kind="spaces")
    assert {name: files[name].content for name in files if name != ".gitattributes"} == {
        path.name: path.read_bytes() for path in space.iterdir() if path.is_file()
    }
    assert all(path.name in told for path in space.iterdir() if path.is_file())
    assert machine.server.repositories["spaces", "user/cry"].tags == {}
    assert machine.server.repositories["spaces", "user/cry"].sdk == "gradio"


def test_the_page_in_the_browser_is_a_static_space_with_the_model_inside(machine, model_copy):
    from yamnet_cry.browser import page

    told = machine.pushes("--space", "--static", "user/cry", "--dry-run")
    assert machine.server.log == []
    machine.pushes("--space", "--static", "user/cry")
    config, model, context = model_folder.load(hub.locate().folder)
    expected = page.files(config, model, context)
    pushed = machine.server.files("user/cry", kind="spaces")
    assert {name: each.sha256 for name, each in pushed.items() if name != ".gitattributes"} == {
        name: blob(content).sha256 for name, content in expected.items()
    }
    assert all(name in told for name in expected)
    assert machine.server.repositories["spaces", "user/cry"].sdk == "static"
    front_matter = RepoCard((pushed["README.md"].content or b"").decode()).data.to_dict()
    assert (front_matter["sdk"], front_matter["app_file"]) == ("static", "index.html")
    assert len(front_matter["short_description"]) <= 60

    text = (model_copy / CONFIG).read_text()
    (model_copy / CONFIG).write_text(text.replace('"threshold": 0.5', '"threshold": 0.7'))
    machine.pushes("--space", "--static", str(model_copy), "user/strict")
    content = machine.server.files("user/strict", kind="spaces")[page.MODEL].content
    assert json.loads(content or b"")["threshold"] == 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--static", "user/model"], "Error: --static needs --space"),
        (
            ["--space", "--static"],
            "Error: expected REPO, or FOLDER and REPO, with --space --static. Received: nothing",
        ),
        (
            ["--space", "--static", "nowhere", "user/model"],
            "Error: expected a model folder or a repository id",
        ),
        (["user/model"], "Error: expected FOLDER and REPO. Received: user/model"),
        ([], "Error: expected FOLDER and REPO. Received: nothing"),
        (["--space", "a", "user/b"], "Error: expected REPO alone with --space. Received: a user/b"),
        (["hub", "model"], "Error: expected a repository id such as user/model. Received: 'model'"),
        (["nowhere", "user/model"], "is incomplete: it has no model_int8.tflite"),
    ],
)
def test_what_cannot_be_pushed(machine, arguments, message):
    assert message in machine.fails(*arguments)
    assert machine.server.log == []
