"""The base install as a new user gets it: a fresh virtual environment, a wheel, three lines of Python."""

import email
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from yamnet_cry.demo import nursery

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
HEAVY = ("tensorflow", "keras", "librosa", "datasets", "gradio", "sklearn", "torch")


# The folder of programs in virtual environments.
BIN = "Scripts" if os.name == "nt" else "bin"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / BIN / "python", "-m", "pip", "--disable-pip-version-check"]
    result = subprocess.run([*pip, "install", ROOT], capture_output=True, text=True, check=False)
    if result.returncode and "connection" in result.stderr.lower():
        pytest.skip("the package index cannot be reached")
    assert result.returncode == 0, result.stderr
    subprocess.run([*pip, "check"], check=True)
    return folder


def site_packages(environment: Path) -> Path:
    inside = "Lib" if os.name == "nt" else "lib/python*"
    (packages,) = environment.glob(f"{inside}/site-packages")
    return packages


def test_it_brings_nothing_heavy(environment):
    packages = site_packages(environment)
    names = {path.name.lower() for path in packages.iterdir()}
    assert not names & set(HEAVY)
    own = [path for path in packages.iterdir() if not path.name.startswith(("pip", "setuptools"))]
    size = sum(
        f.stat().st_size
        for path in own
        for f in ([path] if path.is_file() else path.rglob("*"))
        if f.is_file()
    )
    assert size < 200e6


def test_the_released_model_is_inside_byte_for_byte(environment):
    installed = site_packages(environment) / "yamnet_cry" / "released"
    for file in (ROOT / "hub").iterdir():
        assert (installed / file.name).read_bytes() == file.read_bytes()


def test_the_package_index_can_show_the_readme(environment):
    from readme_renderer import markdown

    (metadata,) = site_packages(environment).glob("yamnet_cry-*.dist-info/METADATA")
    readme = email.message_from_string(metadata.read_text(encoding="utf-8")).get_payload()
    page = markdown.render(readme)
    assert page is not None
    targets = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(targets) > 20
    assert [
        target for target in targets if not target.startswith(("https://", "http://127.0.0.1", "#"))
    ] == []
    version = metadata.parent.name.removeprefix("yamnet_cry-").removesuffix(".dist-info")
    for target in targets:
        # Linked files exist, at the version of the release.
        if found := re.match(rf"https://.+?/yamnet-cry/yamnet-cry/(?:blob/)?v{version}/([^#]+)", target):
            assert (ROOT / found[1]).exists(), target


def test_three_lines_of_python(environment, tmp_path):
    soundfile.write(tmp_path / "night.wav", nursery(), 16_000)
    code = (
        "from yamnet_cry import CryDetector\n"
        "detector = CryDetector.from_pretrained()\n"
        "print(detector('night.wav'))\n"
    )
    result = subprocess.run(
        [environment / BIN / "python", "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("crying for ")


def test_the_program(environment, tmp_path):
    soundfile.write(tmp_path / "night.wav", nursery(), 16_000)
    program = environment / BIN / "yamnet-cry"
    result = subprocess.run(
        [program, "detect", "--exit-code", "night.wav"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    missing = subprocess.run(
        [program, "distill", "--audio", "a", "--teacher", "b", "--out", "c"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert missing.returncode == 2
    assert 'pip install "yamnet-cry[distill]"' in missing.stderr


def test_the_page_is_published_from_the_base_install_and_served_with_its_extra(environment):
    program = environment / BIN / "yamnet-cry"
    plan = subprocess.run(
        [program, "push", "--space", "user/cry", "--dry-run"], capture_output=True, text=True, check=True
    )
    assert all(name in plan.stdout for name in ("app.py", "README.md", "requirements.txt"))
    plan = subprocess.run(
        [program, "push", "--space", "--static", "user/cry", "--dry-run"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(name in plan.stdout for name in ("index.html", "README.md", "model.json"))
    missing = subprocess.run([program, "space"], capture_output=True, text=True, check=False)
    assert missing.returncode == 2
    assert missing.stderr == (
        "Error: the web page needs gradio, which the base install leaves out: "
        'pip install "yamnet-cry[space]"\n'
    )
