"""Running it as a service: image, compose file, unit, and every command in docs/home.md."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import try_dockerfile
from home.brokers import PROGRAM, free_port, wait_for
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from yamnet_cry.cli import main
from yamnet_cry.home import sources
from yamnet_cry.home.broker import parse_broker

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UNIT = ROOT / "examples" / "systemd" / "yamnet-cry.service"
DOCKER = ROOT / "examples" / "docker"
GUIDE = (ROOT / "docs" / "home.md").read_text(encoding="utf-8")
PASSWORDS = ("YAMNET_CRY_MQTT_PASSWORD", "NURSERY_PASSWORD", "KIDS_ROOM_PASSWORD")
INSTRUCTIONS = try_dockerfile.instructions(DOCKERFILE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)


def the(name: str) -> str:
    """The arguments of the only, or last, instruction of a name."""
    return [each.text for each in INSTRUCTIONS if each.name == name][-1]


def parsed(words: list[str]) -> click.Context:
    """Parses the arguments of `yamnet-cry` as the program would, and runs nothing."""
    command, *rest = words
    return main.commands[command].make_context(command, rest)


def command_lines() -> list[str]:
    """Every command of the guide, in code blocks and inline, that runs the program."""
    in_blocks = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    in_text = re.findall(r"`([^`\n]*yamnet-cry [a-z][^`\n]*)`", GUIDE)
    return [line for line in [*in_blocks, *in_text] if _words(line)]


def _words(line: str) -> list[str]:
    """The words after the program's name, if the first is one of its commands."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # part of a script
        return []
    for place, word in enumerate(words[:-1]):
        if Path(word).name == "yamnet-cry" and words[place + 1] in main.commands:
            return words[place + 1 :]
    return []


def test_images_have_versions():
    images = [each.text.split()[0] for each in INSTRUCTIONS if each.name == "FROM"]
    assert len(images) == 2
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", image) for image in images)
    assert len(set(images)) == 1


def test_the_image_holds_no_more_than_it_needs():
    assert not [each for each in INSTRUCTIONS if each.name == "ADD"]
    installs = [each.text for each in INSTRUCTIONS if "apt-get install" in each.text]
    assert installs
    for text in installs:
        assert "--no-install-recommends" in text
        assert text.endswith("rm -rf /var/lib/apt/lists/*")
    runs = " ".join(each.text for each in INSTRUCTIONS if each.name == "RUN")
    assert not re.search(r"gcc|build-essential|amd64|x86_64|arm64|aarch64|curl|wget", runs)
    # Only the first stage copies the checkout.
    from_checkout = [each.text for each in INSTRUCTIONS if each.name == "COPY" and "--from" not in each.text]
    assert from_checkout == [". /src"]


def test_the_image_runs_as_nobody_of_importance():
    user, group = the("USER").split(":")
    assert int(user) == int(group) > 1000
    assert f"--uid {user}" in DOCKERFILE
    assert the("STOPSIGNAL") == "SIGTERM"


def test_what_the_image_runs_is_a_command():
    said = {each.name: each.words for each in INSTRUCTIONS if each.name in ("ENTRYPOINT", "CMD")}
    assert said["ENTRYPOINT"] == ["yamnet-cry"]
    listen = parsed(said["CMD"]).params
    health = the("HEALTHCHECK")
    assert f"yamnet-cry health {listen['state'].as_posix()} || exit 1" in health
    for folder in ("/clips", "/state"):
        assert folder in try_dockerfile.Instruction("VOLUME", the("VOLUME")).words


def test_the_package_can_be_built_of_what_docker_is_sent():
    sent = {str(path.relative_to(ROOT).as_posix()) for path in try_dockerfile.context(ROOT)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    readme = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["fragments"]
    needed = [
        *(fragment["path"] for fragment in readme),
        *project["project"]["license-files"],
        "pyproject.toml",
    ]
    assert set(needed) <= sent
    for folder in (*wheel["packages"], *wheel["force-include"]):
        assert any(f"{name}/".startswith(f"{folder}/") for name in sent), folder
    assert not [name for name in sent if name.startswith((".git", "tests", "examples", "benchmarks"))]
    assert not [name for name in sent if "__pycache__" in name or name.endswith(".env")]


def test_compose():
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert set(content["services"]) == {"mosquitto", "yamnet-cry"}
    named = set(content["volumes"])
    for service in content["services"].values():
        assert service["restart"] == "unless-stopped"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in named or (ROOT / source).is_file(), volume
    mosquitto, listener = content["services"]["mosquitto"], content["services"]["yamnet-cry"]
    assert re.fullmatch(r"[\w-]+:\d+\.\d+\.\d+", mosquitto["image"])
    assert [f"{name}.example" for name in listener["env_file"]] == ["examples/docker/passwords.env.example"]
    assert f"/{listener['env_file'][0]}" in (ROOT / ".gitignore").read_text().splitlines()


def test_compose_says_what_listen_takes():
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    service = content["services"]["yamnet-cry"]
    said = parsed(service["command"]).params
    targets = [volume.split(":")[1] for volume in service["volumes"]]
    assert said["config"].as_posix() in targets
    assert said["clips"].as_posix() in targets
    assert said["state"].parent.as_posix() in targets
    assert said["state"].as_posix() in the("HEALTHCHECK")
    broker = parse_broker(said["mqtt"])
    assert (broker.host, broker.user, broker.node) == ("mosquitto", "yamnet-cry", "home")


def test_the_example_of_sources_is_that_of_the_guide(tmp_path):
    environment = dict.fromkeys(PASSWORDS, "p@ss/wörd")
    of_file = sources.read(DOCKER / "sources.toml", environment)
    (example,) = blocks("toml")
    path = tmp_path / "sources.toml"
    path.write_text(example, encoding="utf-8")
    of_guide = sources.read(path, environment)
    assert of_guide[: len(of_file)] == of_file
    assert [source.name for source in of_guide] == ["nursery", "kids-room", "bedside"]
    assert of_guide[0].address == "rtsp://viewer:p%40ss%2Fw%C3%B6rd@192.168.1.20:554/stream1"
    assert of_guide[2].microphone == ""


def test_the_example_of_passwords_has_all_of_them():
    lines = (DOCKER / "passwords.env.example").read_text(encoding="utf-8").splitlines()
    names = [line.partition("=")[0] for line in lines if line and not line.startswith("#")]
    assert tuple(names) == PASSWORDS
    used = re.findall(r"\$\{(\w+)\}", (DOCKER / "sources.toml").read_text(encoding="utf-8"))
    assert set(used) - {"VARIABLE"} <= set(names)


@pytest.mark.skipif(
    PROGRAM is None or shutil.which("mosquitto_passwd") is None or sys.platform == "win32",
    reason="mosquitto is not installed",
)
def test_the_broker_wants_a_password(tmp_path):
    port, data = free_port(), tmp_path / "data"
    data.mkdir()
    config = (DOCKER / "mosquitto.conf").read_text(encoding="utf-8")
    assert config.count("listener 1883\n") == 1
    config = config.replace("listener 1883\n", f"user root\nlistener {port} 127.0.0.1\n")
    path = tmp_path / "mosquitto.conf"
    path.write_text(config.replace("/mosquitto/data", str(data)), encoding="utf-8")
    write = ["mosquitto_passwd", "-b", data / "passwords"]
    subprocess.run(["mosquitto_passwd", "-c", *write[1:], "yamnet-cry", "secret"], check=True)
    subprocess.run([*write, "home-assistant", "other"], check=True)
    with subprocess.Popen([PROGRAM, "-c", path], stdout=subprocess.DEVNULL) as broker:
        try:
            assert _lets_in(port, "yamnet-cry", "secret")
            assert _lets_in(port, "home-assistant", "other")
            assert not _lets_in(port, "yamnet-cry", "wrong")
            assert not _lets_in(port, None, None)
        finally:
            broker.terminate()
    assert (data / "mosquitto.db").exists()


def _lets_in(port: int, user: str | None, password: str | None) -> bool:
    answers = []
    client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
    client.username_pw_set(user, password)
    client.on_connect = lambda _client, _data, _flags, code, _more: answers.append(not code.is_failure)
    wait_for(lambda: _connects(client, port), "mosquitto")
    client.loop_start()
    wait_for(lambda: answers, "an answer")
    client.disconnect()
    client.loop_stop()
    return answers[0]


def _connects(client: Client, port: int) -> bool:
    try:
        client.connect("127.0.0.1", port)
    except OSError:
        return False
    return True


def unit() -> dict[str, list[str]]:
    """The keys of the systemd unit, each with its values."""
    keys: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            keys.setdefault(key, []).append(value)
    return keys


def test_the_unit():
    keys = unit()
    expected = {
        "Type": "notify",
        "NotifyAccess": "main",
        "Restart": "on-failure",
        "RestartPreventExitStatus": "2",
        "User": "yamnet-cry",
        "EnvironmentFile": "/etc/yamnet-cry/passwords.env",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "WantedBy": "multi-user.target",
    }
    assert {key: keys[key] for key in expected} == {key: [value] for key, value in expected.items()}
    # `Watch` waits up to 30 s before it reports a thread as hanging.
    assert int(keys["WatchdogSec"][0]) > 30
    # The time it waits at exit.
    assert int(keys["TimeoutStopSec"][0]) > 15 + 10


def test_the_unit_runs_what_listen_takes():
    (line,) = unit()["ExecStart"]
    said = parsed(_words(line)).params
    assert said["clips"].is_relative_to(f"/var/lib/{unit()['StateDirectory'][0]}")
    assert said["state"].is_relative_to(f"/run/{unit()['RuntimeDirectory'][0]}")
    assert parse_broker(said["mqtt"]).user == "yamnet-cry"
    assert said["config"].as_posix() in GUIDE
    assert f"health {said['state'].as_posix()}" in GUIDE


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path):
    path = tmp_path / UNIT.name
    # The program it runs is not installed here.
    path.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(encoding="utf-8")))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


def test_the_guide_has_commands():
    commands = {_words(line)[0] for line in command_lines()}
    assert {"listen", "health", "review"} <= commands
    assert len(command_lines()) >= 12


@pytest.mark.parametrize("line", command_lines())
def test_every_command_of_the_guide_is_one(line):
    if "--help" in line:
        return
    context = parsed(_words(line))
    if context.info_name == "listen":
        environment = dict.fromkeys(PASSWORDS, "secret")
        for text in (*context.params["sources"], *context.params["named"]):
            assert sources.parse(text, environment).name == "nursery"
        if context.params["mqtt"] is not None:
            assert parse_broker(context.params["mqtt"]).user == "yamnet-cry"


def test_files_that_the_guide_names_exist():
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", GUIDE)
    copied = re.findall(r"examples/(?:docker|systemd)/[\w.-]+", GUIDE)
    assert links
    assert copied
    for name in links:
        assert (ROOT / "docs" / name).resolve().exists(), name
    for name in set(copied) - {"examples/docker/passwords.env"}:
        assert (ROOT / name).exists(), name
    for heading in re.findall(r"\]\(#([^)]+)\)", GUIDE):
        assert heading in {
            title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
        }


def test_messages_of_the_guide_are_those_that_are_printed():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "yamnet_cry").rglob("*.py"))
    rows = GUIDE.partition("| message |")[2].splitlines()
    messages = [text for row in rows for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(messages) > 15
    for message in messages:
        # Without the parts of the messages that vary.
        for part in re.split(r"…|\b\d+(?:\.\d+)?\b|\b[A-Z]+_[A-Z]+\b|state\.json", message):
            assert part.strip() in source, message
