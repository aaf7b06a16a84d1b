"""Tests the Dockerfile without Docker, in a chroot.

It executes each instruction, stage by stage, runs the result as its user, with only its volumes and /tmp
writable, and checks that a signal stops it. Needs Linux, root, and a root file system in place of the image
in FROM:

    mmdebstrap --variant=minbase --include=ca-certificates,python3-venv,tzdata bookworm base.tar
    python tools/try_dockerfile.py base.tar
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Files that apt and pip need on this machine, besides environment variables.
_NETWORK = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
_PASSED = re.compile(r"PIP_(?!FIND_LINKS)\w+|\w+_proxy", re.IGNORECASE)
_PATIENCE = 60.0


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile.

    Attributes:
        name: In capitals.
        text: Its arguments, in one line.
    """

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments in exec form."""
        return json.loads(self.text) if self.text.startswith("[") else ["sh", "-c", self.text]


def instructions(dockerfile: str) -> list[Instruction]:
    r"""Parses a Dockerfile.

    Examples:
        >>> instructions("FROM a\n# why\nRUN b && \\\n    c\n")
        [Instruction(name='FROM', text='a'), Instruction(name='RUN', text='b && c')]
    """
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    split = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [Instruction(name.upper(), text) for name, text in split]


def context(folder: Path) -> list[Path]:
    """Returns the files of the build context, for the kinds of patterns in this project's .dockerignore."""
    patterns = [
        line
        for line in (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _ignored(path.relative_to(folder), patterns)
    ]


def _ignored(path: Path, patterns: list[str]) -> bool:
    names = [str(path), *map(str, path.parents)]
    ignored = False
    for pattern in patterns:
        bare = pattern.removeprefix("!").removeprefix("**/")
        deep = "**/" in pattern
        if any(fnmatch(name, bare) or (deep and Path(name).name == bare) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


@dataclass
class Stage:
    """An image that is being built.

    Attributes:
        root: Its file system.
        environment: Environment variables of its processes.
        user: User of its processes.
        said: Arguments of other instructions, by name.
    """

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    said: dict[str, list[str]] = field(default_factory=dict)

    def command(self, words: list[str]) -> list[str]:
        """Returns the command line that runs a program in the image."""
        return ["chroot", f"--userspec={self.user}", str(self.root), *words]

    def run(self, words: list[str], *, check: bool = True) -> int:
        """Runs a program in the image, and returns its exit code."""
        return subprocess.run(self.command(words), env=self.variables(), check=check).returncode

    def start(self, words: list[str]) -> "subprocess.Popen[bytes]":
        """Starts a program in the image, and does not wait for it."""
        return subprocess.Popen(self.command(words), env=self.variables())

    def variables(self) -> dict[str, str]:
        """Returns the environment variables of its processes."""
        here = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
        return {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", **here, **self.environment}


def build(dockerfile: str, base: Path, folder: Path) -> Stage:
    """Builds every stage of a Dockerfile in a folder, and returns the last one."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder)
    for each in instructions(dockerfile):
        print(f"+ {each.name} {each.text}", flush=True)
        if each.name == "FROM":
            name = each.text.partition(" AS ")[2] or str(len(stages))
            stage = stages[name] = Stage(_unpacked(base, folder / name))
        elif each.name == "RUN":
            stage.run(each.words)
        elif each.name == "COPY":
            _copy(each.text, stages, stage)
        elif each.name == "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", each.text):
                path = stage.variables()["PATH"]
                stage.environment[name] = value.replace("$PATH", path)
        elif each.name == "USER":
            stage.user = each.text
        elif each.name == "HEALTHCHECK":
            stage.said[each.name] = Instruction("CMD", each.text.partition(" CMD ")[2].strip()).words
        elif each.name in ("ENTRYPOINT", "CMD", "VOLUME"):
            stage.said[each.name] = each.words
    return stage


def _unpacked(base: Path, root: Path) -> Path:
    root.mkdir()
    subprocess.run(["tar", "-xf", base, "-C", root, "--exclude=./dev/*"], check=True)
    # Device files cannot be created everywhere, so they are mounted.
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch()
        subprocess.run(["mount", "--bind", f"/dev/{device}", root / "dev" / device], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)
    for name in _NETWORK:
        if Path(name).exists():
            shutil.copy(name, root / name[1:])
    # Debian names it differently from Python's images.
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    return root


def _copy(text: str, stages: dict[str, Stage], stage: Stage) -> None:
    *options, source, target = text.split()
    place = stage.root / target[1:]
    if options:
        from_root = stages[options[0].removeprefix("--from=")].root
        shutil.copytree(from_root / source[1:], place, symlinks=True)
        return
    for path in context(ROOT):
        copy = place / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)


def try_out(stage: Stage) -> None:
    """Runs the image as Docker would: read-only root, its user, an unreachable source, SIGTERM."""
    config = stage.root / "config"
    config.mkdir()
    (config / "sources.toml").write_text('[sources.nursery]\naddress = "rtsp://127.0.0.1:9/away"\n')
    volumes = [*stage.said["VOLUME"], "/tmp"]
    for path in (str(stage.root), *(f"{stage.root}{volume}" for volume in volumes)):
        subprocess.run(["mount", "--rbind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", stage.root], check=True)
    as_root = replace(stage, user="0:0")
    assert as_root.run(["touch", "/opt/x"], check=False) != 0, "the root can be written"
    program = stage.said["ENTRYPOINT"]
    stage.run([*program, "--version"])
    stage.run(["ffmpeg", "-hide_banner", "-loglevel", "error", "-version"])
    assert stage.run(["gcc", "--version"], check=False) != 0, "there is a compiler"
    process = stage.start([*program, *stage.said["CMD"]])
    try:
        end = time.monotonic() + _PATIENCE
        while not (stage.root / "state/state.json").exists():
            assert process.poll() is None, f"it ended with {process.returncode}"
            assert time.monotonic() < end, "no state was written"
            time.sleep(0.1)
        # The camera is unreachable, so the health check must fail.
        assert stage.run(stage.said["HEALTHCHECK"], check=False) == 1, "the health check does not notice"
        process.send_signal(signal.SIGTERM)
        assert process.wait(_PATIENCE) == 0, f"SIGTERM ended it with {process.returncode}"
    finally:
        process.kill()


def main() -> None:
    """Builds the image, and tests it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("base", type=Path, help="tar file of a root file system with Python")
    base = parser.parse_args().base
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            try_out(build((ROOT / "Dockerfile").read_text(encoding="utf-8"), base, folder))
        finally:
            for mount in reversed(_mounts(folder)):
                subprocess.run(["umount", mount], check=True)
        print("the Dockerfile makes what it says")


def _mounts(folder: Path) -> list[str]:
    """Returns the mounts below a folder, the latest last; unmount them before the folder is deleted."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [place for line in lines if (place := line.split()[1]).startswith(f"{folder}/")]


if __name__ == "__main__":
    main()
