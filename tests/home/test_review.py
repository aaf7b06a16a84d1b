"""The page for labelling clips: over HTTP, in a browser, and its labels read by distillation."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import soundfile
from click.testing import CliRunner, Result
from disk import full_after

from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.cli import main
from yamnet_cry.distill import corpus, sources
from yamnet_cry.errors import CorpusError, RunError
from yamnet_cry.home import archive
from yamnet_cry.home.labels import Labels
from yamnet_cry.home.review import Clips, Server

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1100, 640), (390, 844)
WALK_THROUGH = Path(__file__).parents[2] / "docs" / "own_home.md"
CONTRAST = Path(__file__).parents[1] / "space" / "contrast.js"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with Server(Clips(folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def address(recorded) -> Iterator[str]:
    with served(recorded) as found:
        yield found


def files(folder: Path) -> list[str]:
    """Audio files of the clips, the newest first."""
    return [clip.file for clip in archive.clips(folder)]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def label(address: str, file: str, target: str | None) -> httpx.Response:
    return httpx.post(f"{address}label", json={"file": file, "target": target})


def listed(address: str) -> list[dict]:
    return httpx.get(f"{address}clips").json()["clips"]


def test_the_newest_come_first_and_those_without_a_label_before_them(address, recorded):
    newest, second, *_ = names = files(recorded)
    assert [clip["file"] for clip in listed(address)] == names
    assert label(address, newest, "cry").json() == {"file": newest, "target": "cry"}
    shown = listed(address)
    assert [clip["file"] for clip in shown] == [second, *names[2:], newest]
    assert [clip["target"] for clip in shown] == [None] * 4 + ["cry"]
    assert shown[-1] == {
        "file": "nursery-20261126T031207.250.flac",
        "source": "nursery",
        "started_at": "2026-11-26T03:12:07.250+01:00",
        "seconds": 10.0,
        "peak": 0.93,
        "event_start": 5.0,
        "event_end": 15.0,
        "clip_seconds": 16.0,
        "cut": False,
        "interrupted": False,
        "target": "cry",
    }


def test_distillation_reads_what_the_page_wrote(address, recorded):
    newest, *_, oldest = names = files(recorded)
    for file, target in zip(names, ["cry", "not_cry", "unknown", "cry", "not_cry"], strict=True):
        assert label(address, file, target).status_code == 200
    clips = {clip.name: clip for clip in sources.load(str(recorded))}
    assert [clips[file].labels for file in names] == [("cry",), ("not_cry",), (), ("cry",), ("not_cry",)]
    assert {clip.split for clip in clips.values()} == {"train"}
    # Nights are counted from noon to noon.
    assert [clips[file].group for file in names] == [
        "nursery 2026-11-25",
        "nursery 2026-11-24",
        "nursery 2026-11-23",
        "kitchen 2026-11-23",
        "nursery 2026-11-23",
    ]
    assert len(clips[newest].read()) == 16 * 16_000
    assert len(clips[oldest].read()) == 10 * 16_000


def test_the_clips_of_a_home_are_trained_on_together_with_others(address, recorded, synthetic_corpus):
    """As docs/own_home.md says: alone they have no validation split."""
    for file, target in zip(files(recorded), ["cry", "not_cry", "unknown", "cry", "not_cry"], strict=True):
        label(address, file, target)
    together = sources.load(str(recorded), str(synthetic_corpus))
    corpus.check(together, CRY_TASK)
    assert {clip.source for clip in together if clip.split == "train" and clip.labels} >= {"clips"}
    with pytest.raises(CorpusError, match="split 'val' needs clips of both cry and not_cry"):
        corpus.check(sources.load(str(recorded)), CRY_TASK)
    text = (recorded / "manifest.csv").read_text()
    for night, split in (("2026-11-25", "val"), ("2026-11-24", "val"), ("2026-11-23", "test")):
        text = re.sub(f"train,(\\w+ {night})", rf"{split},\1", text)
    (recorded / "manifest.csv").write_text(text)
    alone = sources.load(str(recorded))
    assert {clip.split for clip in corpus.labelled(alone, "val")} == {"val"}
    assert len(corpus.labelled(alone, "test")) == 2


# Options of `listen` for recording clips.
_OF_LISTEN = {"--clips", "--pre-roll", "--keep", "--keep-bytes"}


def test_every_command_of_the_walk_through_exists():
    blocks = re.findall(r"```sh\n(.*?)```", WALK_THROUGH.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for line in "".join(blocks).splitlines() if line.startswith("yamnet-cry ")]
    assert len(lines) >= 8
    for line in lines:
        name, *words = line.partition("  #")[0].split()[1:]
        known = {option for parameter in main.commands[name].params for option in parameter.opts}
        used = {word for word in words if word.startswith("--")}
        assert used <= known | (_OF_LISTEN if name == "listen" else set()), line


def test_a_label_is_changed_and_taken_back(address, recorded):
    file = files(recorded)[0]
    for target in ("cry", "unknown", "not_cry"):
        label(address, file, target)
        assert [row["target"] for row in rows(recorded)] == [target]
    label(address, file, None)
    assert rows(recorded) == []
    assert (recorded / "manifest.csv").read_text() == "file,target,split,group\n"


def test_rows_of_others_stay_and_those_of_deleted_clips_go(recorded):
    first, second, third, *_ = files(recorded)
    (recorded / "manifest.csv").write_text(
        "\ufefffile,licence,target,split,group\r\n"
        'mine.wav,"CC0, mine",meow,test,cats\r\n'
        f"{first},CC0,cry,val,nursery 2026-11-25\r\n"
        "gone.wav,CC0,cry,train,me\r\n"
        "nursery-20260101T000000.000.flac,CC0,cry,train,nursery 2025-12-31\r\n",
        encoding="utf-8",
    )
    with served(recorded) as address:
        left = [row["file"] for row in rows(recorded)]
        assert left == ["mine.wav", first, "gone.wav"]
        label(address, first, "not_cry")
        label(address, second, "cry")
        archive.clip(recorded, third).delete()
        label(address, second, "not_cry")
    assert (recorded / "manifest.csv").read_text(encoding="utf-8").splitlines() == [
        "file,licence,target,split,group",
        'mine.wav,"CC0, mine",meow,test,cats',
        f"{first},CC0,not_cry,val,nursery 2026-11-25",
        "gone.wav,CC0,cry,train,me",
        f"{second},,not_cry,train,nursery 2026-11-24",
    ]


def test_a_manifest_is_not_touched_before_somebody_labels(recorded):
    text = b"\xef\xbb\xbffile,target,split,group\r\nmine.wav,meow,test,cats\r\n"
    (recorded / "manifest.csv").write_bytes(text)
    with served(recorded) as address:
        assert len(listed(address)) == 5
    assert (recorded / "manifest.csv").read_bytes() == text


def test_no_night_is_in_two_splits(recorded):
    """If a user moves a night to test in the manifest, clips labelled later follow."""
    *_, kitchen, nursery = files(recorded)
    with served(recorded) as address:
        label(address, nursery, "cry")
        text = (recorded / "manifest.csv").read_text()
        (recorded / "manifest.csv").write_text(text.replace("train", "test"))
        label(address, kitchen, "cry")
    assert [(row["group"], row["split"]) for row in rows(recorded)] == [
        ("nursery 2026-11-23", "test"),
        ("kitchen 2026-11-23", "test"),
    ]


def test_many_answers_at_once_are_all_kept(address, recorded):
    names = files(recorded)
    with ThreadPoolExecutor(20) as executor:
        answers = list(executor.map(lambda n: label(address, names[n % 5], "cry").status_code, range(40)))
    assert set(answers) == {200}
    assert sorted(row["file"] for row in rows(recorded)) == sorted(names)


@pytest.mark.parametrize(
    ("wanted", "first", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, None),
        ("bytes=-100", -100, None),
        ("bytes=0-99999999999", 0, None),
        ("bytes=-99999999999", 0, None),
    ],
)
def test_players_can_seek(address, recorded, wanted, first, stop):
    clip = archive.clips(recorded)[0]
    content = clip.audio.read_bytes()
    expected = content[first:stop]
    answer = httpx.get(f"{address}audio/{clip.file}", headers={"Range": wanted})
    begin = content.index(expected)
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["Content-Range"] == f"bytes {begin}-{begin + len(expected) - 1}/{len(content)}"
    assert answer.headers["Content-Type"] == "audio/flac"


@pytest.mark.parametrize(
    "wanted", ["", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "seconds=1-2", "bytes=x-"]
)
def test_what_is_no_range_gets_the_whole(address, recorded, wanted):
    clip = archive.clips(recorded)[0]
    answer = httpx.get(f"{address}audio/{clip.file}", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, clip.audio.read_bytes())
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_range_behind_the_end(address, recorded):
    clip = archive.clips(recorded)[0]
    for wanted in (f"bytes={clip.audio.stat().st_size}-", "bytes=-0"):
        answer = httpx.get(f"{address}audio/{clip.file}", headers={"Range": wanted})
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["Content-Range"] == f"bytes */{clip.audio.stat().st_size}"


def test_heads_have_no_body(address, recorded):
    clip = archive.clips(recorded)[0]
    with httpx.Client() as client:
        for path in ("", "clips", f"audio/{clip.file}", "nothing"):
            head, whole = client.head(address + path), client.get(address + path)
            assert (head.status_code, head.content) == (whole.status_code, b"")
            assert head.headers["Content-Length"] == whole.headers["Content-Length"]


def test_a_browser_that_stops_reading_is_no_error(address, recorded, capfd):
    clip = archive.clips(recorded)[0]
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    at_once = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    for _ in range(3):
        with socket.create_connection((host, int(port))) as browser:
            browser.sendall(f"GET /audio/{clip.file} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    assert httpx.get(f"{address}clips").status_code == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "path",
    [
        "secret.flac",
        "../secret.flac",
        "%2e%2e%2fsecret.flac",
        "..%5csecret.flac",
        "manifest.csv",
        "nursery-20261126T031207.250.json",
        "nursery-20261126T031207.251.flac",
        "nursery-20261126T031207.250.flac%00",
        "./nursery-20261126T031207.250.flac",
        "/etc/passwd",
        "",
    ],
)
def test_nothing_but_clips_is_served(address, recorded, path):
    (recorded / "secret.flac").write_text("secret")
    (recorded.parent / "secret.flac").write_text("secret")
    (recorded / "nursery-20261126T031207.251.flac").write_text("secret")
    (recorded / "manifest.csv").write_text("file,target,split,group\nsecret,cry,train,me\n")
    host, port = address.removeprefix("http://").rstrip("/").split(":")
    # Over a raw socket, because HTTP clients normalize paths.
    with socket.create_connection((host, int(port))) as browser:
        request = f"GET /audio/{path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
        browser.sendall(request.encode())
        answer = b"".join(iter(lambda: browser.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"secret" not in answer
    assert label(address, path, "cry").status_code in (400, 404)
    assert [row["file"] for row in rows(recorded)] == ["secret"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_get_and_change_nothing(address, recorded, headers):
    port = address.rstrip("/").rpartition(":")[2]
    headers = {key: value.format(port=port) for key, value in headers.items()}
    file = files(recorded)[0]
    told = "this page can be used from its own address only"
    for path in ("", "clips", f"audio/{file}"):
        answer = httpx.get(address + path, headers=headers)
        assert (answer.status_code, answer.json()) == (403, {"error": told})
        assert not any(name.startswith("access-control") for name in answer.headers)
    answer = httpx.post(f"{address}label", json={"file": file, "target": "cry"}, headers=headers)
    assert answer.status_code == 403
    assert not (recorded / "manifest.csv").exists()


def test_its_own_names_are_known(address, recorded):
    port = address.rstrip("/").rpartition(":")[2]
    for name in (f"127.0.0.1:{port}", f"localhost:{port}"):
        headers = {"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}
        assert httpx.get(address, headers=headers).status_code == 200
        answer = httpx.post(
            f"{address}label", json={"file": files(recorded)[0], "target": "cry"}, headers=headers
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "told"),
    [
        (b"{}", "text/plain", 415, "expected application/json"),
        (b"file=a", "application/x-www-form-urlencoded", 415, "expected application/json"),
        (b"{}", "application/json", 400, "it lacks the field 'request.file'"),
        (b"{", "application/json", 400, "Expecting property name"),
        (b"[]", "application/json", 400, "expected request to be an object. Received: []"),
        (b'{"file": "a", "target": "meow"}', "application/json", 400, "Received: 'meow'"),
        (b'{"file": "a", "target": 1}', "application/json", 400, "to be cry, not_cry or unknown, or null"),
        (b'{"file": "a", "target": null, "x": 1}', "application/json", 400, "unknown field 'x'"),
        (
            b'{"file": "a.flac", "target": null}',
            "application/json",
            404,
            "a.flac does not exist; it may have been deleted",
        ),
        (b" " * 5000, "application/json", 413, "expected at most 4096 bytes"),
    ],
)
def test_what_is_no_answer_is_refused(address, recorded, body, kind, status, told):
    answer = httpx.post(f"{address}label", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert not (recorded / "manifest.csv").exists()


def test_other_paths_and_methods(address):
    for answer in (httpx.get(f"{address}label"), httpx.post(f"{address}clips", json={})):
        assert (answer.status_code, answer.json()) == (404, {"error": "there is no such page"})
    assert httpx.delete(f"{address}clips").status_code == 501

    def chunks() -> Iterator[bytes]:
        yield b"{}"

    answer = httpx.post(f"{address}label", content=chunks(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (411, {"error": "expected a Content-Length"})


def test_the_page_allows_nothing_from_elsewhere(address):
    answer = httpx.get(address)
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", answer.headers["Content-Security-Policy"])
    assert nonce is not None
    assert answer.text.count(f'nonce="{nonce[1]}"') == 2
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"(?:https?:)?//[a-z]", answer.text)
    assert httpx.get(address).headers["Content-Security-Policy"] != answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_label_that_cannot_be_saved_is_told(address, recorded):
    newest, second, *_ = files(recorded)
    label(address, newest, "cry")
    before = (recorded / "manifest.csv").read_text()
    with full_after(20):
        answer = label(address, second, "cry")
    assert answer.status_code == 500
    assert answer.json()["error"].startswith(f"{recorded / 'manifest.csv'} cannot be written (")
    assert (recorded / "manifest.csv").read_text() == before
    (recorded / "manifest.csv").write_text("file;target\n")
    for answer in (label(address, second, "cry"), httpx.get(f"{address}clips")):
        assert answer.status_code == 500
        assert "manifest.csv lacks the column file, target, split, group" in answer.json()["error"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_what_cannot_be_reviewed(tmp_path, recorded):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    soundfile.write(tmp_path / "empty" / "nursery-20261126T031207.250.flac", [0.0] * 160, 16_000)
    (tmp_path / "empty" / "nursery-20261126T031207.250.json").write_text('{"file": "of another program"}')
    for name, told in {
        "missing": "{}: no such folder",
        "file": "{} is not a folder; pass the folder of clips",
        "empty": "{0} holds no clips; `yamnet-cry listen --clips {0}` records clips",
    }.items():
        result = run("review", tmp_path / name)
        assert result.exit_code == 2
        assert result.stderr == f"Error: {told.format(tmp_path / name)}\n"
    (recorded / "manifest.csv").write_text("file,target,split,group\na.wav,cry\n")
    result = run("review", recorded)
    assert result.exit_code == 2
    assert (
        result.stderr == f"Error: {recorded / 'manifest.csv'} line 2: expected 4 fields, as in the header\n"
    )


def test_a_manifest_that_is_no_text(recorded):
    (recorded / "manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match=r"manifest.csv cannot be read as CSV in UTF-8 \("):
        Labels(recorded)


def test_a_port_that_is_taken(recorded):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("review", recorded, "--port", port)
        assert result.exit_code == 2
        assert result.stderr == f"Error: port {port} is in use; choose another port with --port\n"
        with pytest.raises(RunError):
            Server(Clips(recorded), port)


@pytest.mark.skipif(sys.platform == "win32", reason="no Ctrl-C can be sent to another process alone")
def test_the_command_opens_a_browser_and_ends_with_ctrl_c(recorded, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    for more in ([], ["--no-browser"]):
        (tmp_path / "opened").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "yamnet_cry", "review", str(recorded), *more],
            env={**os.environ, "BROWSER": f"{browser} %s"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/) \(stop with Ctrl-C\)\n", process.stdout.readline())
        assert found is not None
        assert len(listed(found[1])) == 5
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "")
        assert (tmp_path / "opened").exists() == (not more)
        if not more:
            assert (tmp_path / "opened").read_text() == f"{found[1]}\n"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visitor:
    """A browser with the page open, which collects errors."""

    def __init__(
        self, browser, address: str, size: tuple[int, int] = DESKTOP, colours: str = "light"
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=colours
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.goto(address)
        self.page.wait_for_selector("#clip:not([hidden])")

    def current(self) -> str:
        return self.page.evaluate("clips[current].file")

    def wait(self, expression: str) -> None:
        """Waits until an expression is true; the page's security policy forbids wait_for_function."""
        deadline = time.monotonic() + 60
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(20)

    def press(self, key: str, progress: str) -> None:
        """Presses a key that labels, and waits until the label is saved."""
        answers = "JSON.stringify(clips.map(clip => clip.target))"
        before = self.page.evaluate(answers)
        self.page.keyboard.press(key)
        self.wait(f"{answers} !== '{before}' && !busy")
        assert self.page.inner_text("#progress") == progress


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visitor(request, browser, address) -> Iterator[Visitor]:
    someone = Visitor(browser, address, request.param)
    yield someone
    someone.context.close()
    assert someone.complaints == []


def test_play_and_label_with_keys(visitor, recorded):
    page, names = visitor.page, files(recorded)
    assert page.inner_text("#progress") == "0 of 5"
    assert page.inner_text("#when") == "Thu, 26 Nov 2026, 03:12:07"
    assert page.inner_text("#about") == "nursery · 10.0 s · peak 93 %"
    visitor.wait("wave !== null && wave.length === 16 * 16000")
    page.keyboard.press("Space")
    visitor.wait("!audio.paused && audio.currentTime > 0.2")
    page.keyboard.press("Space")
    visitor.wait("audio.paused")
    # Seeking works only with a server that supports ranges.
    box = page.locator("#wave").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 20)
    visitor.wait("Math.abs(audio.currentTime - 12) < 0.2 && !audio.seeking")
    page.uncheck("#onward")

    visitor.press("c", "1 of 5")
    assert visitor.current() == names[1]
    assert page.evaluate("audio.paused")
    visitor.press("n", "2 of 5")
    visitor.press("s", "3 of 5")
    assert [row["target"] for row in rows(recorded)] == ["cry", "not_cry", "unknown"]
    visitor.press("u", "2 of 5")
    assert visitor.current() == names[2]
    assert [row["target"] for row in rows(recorded)] == ["cry", "not_cry"]
    page.keyboard.press("Control+c")
    page.keyboard.press("ArrowDown")
    assert visitor.current() == names[3]
    assert page.inner_text("#about") == "kitchen · 5.5 s · peak 93 % · listening stopped during the event"
    page.keyboard.press("ArrowUp")

    page.check("#onward")
    page.click("text=Cry >> nth=0")
    visitor.wait("current === 3 && !audio.paused")
    # The space bar plays, and does not press the button that was clicked last.
    page.keyboard.press("Space")
    visitor.wait("audio.paused")
    visitor.press("n", "4 of 5")
    visitor.press("c", "5 of 5")
    assert page.is_visible("#done")
    assert [row["target"] for row in rows(recorded)] == ["cry", "not_cry", "cry", "not_cry", "cry"]
    page.locator("#list button").nth(0).click()
    visitor.press("n", "5 of 5")
    assert rows(recorded)[0]["target"] == "not_cry"
    visitor.press("u", "5 of 5")
    assert rows(recorded)[0]["target"] == "cry"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_clip_that_is_deleted_meanwhile(browser, address, recorded):
    visitor = Visitor(browser, address)
    names = files(recorded)
    visitor.wait("wave !== null")
    archive.clip(recorded, names[0]).delete()
    visitor.page.keyboard.press("c")
    visitor.page.wait_for_selector(f"#told:has-text('{names[0]} does not exist; it may have been deleted')")
    visitor.wait("clips.length === 4")
    assert visitor.current() == names[1]
    visitor.press("c", "1 of 4")
    assert visitor.page.is_hidden("#told")
    visitor.context.close()
    assert ["404" in each for each in visitor.complaints] == [True]


def test_a_program_that_has_ended_is_told(browser, recorded):
    command = [sys.executable, "-m", "yamnet_cry", "review", str(recorded), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        visitor = Visitor(browser, process.stdout.readline().split()[0])
        visitor.wait("wave !== null")
        process.terminate()
    visitor.page.keyboard.press("c")
    visitor.page.wait_for_selector("#told:has-text('run yamnet-cry review again')")
    assert visitor.page.inner_text("#progress") == "0 of 5"
    visitor.context.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everything_can_be_read_in_both_colours(browser, address, recorded, colours, size):
    for file, target in zip(files(recorded)[2:], ("cry", "not_cry", "unknown"), strict=True):
        label(address, file, target)
    visitor = Visitor(browser, address, size, colours)
    visitor.press("c", "4 of 5")
    visitor.page.evaluate("past.length = 1; tell('Something is wrong.')")
    visitor.page.mouse.move(1, 1)
    visitor.page.wait_for_timeout(100)
    found = visitor.page.evaluate(CONTRAST.read_text())
    assert len(found) > 20
    assert found[0] >= [4.5, ""]
    # The waveform is drawn, with the event's span behind it.
    visitor.wait("wave !== null")
    colours_drawn = visitor.page.evaluate(
        "[...new Uint32Array(pen.getImageData(0, canvas.height / 2, canvas.width, 1).data.buffer)]"
    )
    assert len(set(colours_drawn)) >= 2
    visitor.context.close()


def test_what_a_source_is_called_is_text(browser, recorded):
    clip = archive.clips(recorded)[0]
    about = json.loads(clip.description.read_text())
    about["source"] = "<img src=x onerror=alert(1)>"
    clip.description.write_text(json.dumps(about))
    with served(recorded) as address:
        visitor = Visitor(browser, address)
        assert visitor.page.inner_text("#about").startswith("<img src=x onerror=alert(1)> · ")
        assert visitor.page.locator("img").count() == 0
        visitor.context.close()
