"""The page in a real browser, with a microphone that plays a file."""

import base64
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from yamnet_cry import CryDetector
from yamnet_cry.audio.ffmpeg import program
from yamnet_cry.demo import nursery
from yamnet_cry.report.plot import verdict
from yamnet_cry.report.text import label_track
from yamnet_cry.results import clock
from yamnet_cry.space.live import Session, show

pytestmark = pytest.mark.slow

# The inputs for video and audio files.
VIDEO, SOUND = "input[type=file]:has(+ #video)", "input[type=file]:not(:has(+ #video))"

# Drops a file, given in base64 with its name, on an input's drop area.
DROP = """async (input, [content, name]) => {
  const bytes = await (await fetch(`data:application/octet-stream;base64,${content}`)).arrayBuffer();
  const dataTransfer = new DataTransfer();
  const type = name.endsWith("webm") ? "video/webm" : "video/quicktime";
  dataTransfer.items.add(new File([bytes], name, { type }));
  const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
  input.closest("button").dispatchEvent(event);
}"""

DESKTOP, PHONE = (1280, 900), (390, 844)


class Visitor:
    """A browser with the page open, which collects errors."""

    def __init__(self, browser, address: str, size: tuple[int, int], colours: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, permissions=["microphone"], color_scheme=colours
        )
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(address)
        self.page.wait_for_selector("text=Is a baby crying?")

    def _listen(self, message) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def upload(self, path: Path) -> str:
        self.page.set_input_files(SOUND, path)
        return self.headline()

    def headline(self, text: str = ".") -> str:
        # A regular expression, because :has-text() finds "Crying heard" in "No crying heard" too.
        self.page.wait_for_selector(f"#headline .verdict >> text=/{text}/", timeout=30_000)
        return self.page.inner_text("#headline .verdict")

    def cut_off(self) -> list[str]:
        """Elements that extend beyond the right edge of the window."""
        return self.page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > "
            "window.innerWidth + 1 && e.offsetParent).map(e => e.tagName + '.' + e.className)"
        )


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visitor(request, browser, address) -> Iterator[Visitor]:
    someone = Visitor(browser, address, request.param)
    yield someone
    someone.context.close()
    assert someone.complaints == []


def test_upload_read_move_and_take_away(visitor, recordings, tmp_path):
    page = visitor.page
    expected = CryDetector.from_pretrained()(recordings / "night.wav")
    assert verdict(expected) in visitor.upload(recordings / "night.wav")
    page.wait_for_selector("#events td")
    rows = page.locator("#events tr").all_inner_texts()
    assert [row.split("\t")[0].strip() for row in rows[1:]] == [clock(e.start) for e in expected.events]
    page.wait_for_function("[...document.images].some(image => image.naturalWidth >= 1000)")
    assert visitor.cut_off() == []

    with page.expect_download() as download:
        page.get_by_text("Events for a spreadsheet").click()
    download.value.save_as(tmp_path / "events.csv")
    assert (tmp_path / "events.csv").read_text().splitlines()[1].startswith("night.wav,1,")
    with page.expect_download() as download:
        page.get_by_text("Events for Audacity").click()
    download.value.save_as(tmp_path / "labels.txt")
    assert (tmp_path / "labels.txt").read_text() == label_track(expected.events)

    page.get_by_text("Detected sound classes").click()
    page.wait_for_selector("text=Baby cry, infant cry")
    assert visitor.cut_off() == []


def test_the_slider_moves_events_at_once(visitor, tmp_path):
    path = tmp_path / "far away.wav"
    soundfile.write(path, 0.004 * nursery(), 16_000)
    page = visitor.page

    def seconds(sensitivity: float, sentence: str) -> float:
        slider = page.locator("input[type=range]:visible")
        slider.fill(str(sensitivity))
        slider.dispatch_event("pointerup")
        found = re.search(r"([\d.]+) s in all", visitor.headline(sentence))
        return float(found[1]) if found else 0.0

    visitor.upload(path)
    everything, nothing = seconds(0.98, "Crying heard"), seconds(0.02, "No crying heard")
    assert everything > nothing == 0.0
    assert not page.locator("#events").is_visible()


def test_examples_are_made_by_the_project(visitor):
    visitor.page.get_by_text("it cries again and again.wav").click()
    assert "Crying heard 2 times" in visitor.headline("Crying")
    visitor.page.get_by_text("a quiet room.wav").click()
    assert "No crying heard" in visitor.headline("No crying")


def test_a_broken_file_is_explained_and_nothing_else_shown(visitor, recordings):
    visitor.upload(recordings / "night.wav")
    visitor.page.wait_for_selector("#events td")
    visitor.page.get_by_label("Clear").first.click()
    visitor.page.wait_for_selector("#headline .verdict", state="hidden")
    visitor.page.set_input_files(SOUND, recordings / "broken.wav")
    told = visitor.headline("This file cannot be used")
    assert "broken.wav is not audio that can be decoded" in told
    assert not visitor.page.locator("#events").is_visible()
    # The player cannot play it either, and logs an error.
    visitor.complaints = [each for each in visitor.complaints if "Waveform load error" not in each]


def test_a_memo_and_a_video(visitor, recordings):
    if program() is None:
        pytest.skip("no ffmpeg")
    page = visitor.page
    assert "Crying heard once" in visitor.upload(recordings / "memo.m4a")
    page.get_by_label("Clear").first.click()
    page.wait_for_selector("#headline .verdict", state="hidden")
    visitor.upload(recordings / "silence.flac")
    page.set_input_files(VIDEO, recordings / "phone.mov")
    assert "Crying heard once" in visitor.headline("Crying heard")
    page.wait_for_selector("#events td")
    # The previous recording is cleared, and clearing it did not remove the new result.
    assert page.get_by_label("Clear").count() == 0
    assert visitor.cut_off() == []


@pytest.mark.parametrize("name", ["browser.webm", "phone.mov"])
def test_what_the_browser_takes_for_a_video_is_heard_from_the_box_of_sound_too(visitor, recordings, name):
    if program() is None:
        pytest.skip("no ffmpeg")
    assert "Crying heard once" in visitor.upload(recordings / name)
    assert visitor.page.locator(".toast-body").count() == 0
    # And dropped on the box for sound.
    visitor.page.reload()
    visitor.page.wait_for_selector("text=Is a baby crying?")
    content = base64.b64encode((recordings / name).read_bytes()).decode()
    visitor.page.locator(SOUND).evaluate(DROP, [content, name])
    assert "Crying heard once" in visitor.headline()
    assert visitor.page.locator(".toast-body").count() == 0


def test_what_is_no_sound_is_refused_wherever_it_is_put(visitor, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    visitor.page.set_input_files(SOUND, tmp_path / "notes.txt")
    visitor.page.wait_for_selector(".toast-body >> text=/notes.txt|Invalid/")
    assert visitor.page.locator("#headline .verdict").count() == 0


class Pieces:
    """Sends the microphone's pieces one after the other, and records them.

    A busy machine loses sound before and after this step: the browser's microphone skips, and Gradio drops a
    piece when the next one arrives first. So each piece waits until the previous one was accepted, and the
    page is compared with the sound that was sent.
    """

    SCRIPT = """
        const send = window.fetch;
        let turn = Promise.resolve();
        window.fetch = (address, options) => {
            const [, path] = /"path":"([^"]+audio[.]wav)"/.exec(options?.body) || [];
            if (!path) return send(address, options);
            const kept = turn.then(() => window.keep(path));
            const sent = kept.then(copy => window.over ? new Response("{}") :
                send(address, {...options, body: options.body.replaceAll(path, copy)}));
            turn = Promise.all([kept, sent]).then(async ([copy]) => {
                while (!window.over && !await window.taken(copy))
                    await new Promise(next => setTimeout(next, 10));
            });
            return sent;
        };
    """

    def __init__(self, page) -> None:
        self.sent: list[tuple[np.ndarray, int]] = []
        page.expose_function("keep", self._keep)
        page.expose_function("taken", lambda path: not Path(path).exists())
        page.add_init_script(self.SCRIPT)
        page.reload()

    def _keep(self, path: str) -> str:
        # Pieces of silence are identical, and would share one file.
        copy = Path(path).with_name(f"{len(self.sent)}.wav")
        shutil.copyfile(path, copy)
        self.sent.append(soundfile.read(copy, dtype="float32"))
        return str(copy)


def test_the_microphone_streams_and_an_event_shows(visitor):
    page = visitor.page
    pieces = Pieces(page)
    page.get_by_role("tab", name="Live").click()
    page.locator("button:visible", has_text=re.compile(r"^\s*Record\s*$")).first.click()
    page.wait_for_selector("#live .verdict.crying", timeout=300_000)
    assert visitor.cut_off() == []
    page.wait_for_selector("#live .events:has-text('Cried once')", timeout=300_000)
    shown = page.inner_text("#live .events li")
    page.evaluate("window.over = true")  # a piece sent after the end would be refused
    page.locator("button:visible", has_text=re.compile(r"^\s*Stop\s*$")).first.click()
    session = Session(CryDetector.from_pretrained(), 0.5)
    for samples, rate in pieces.sent:
        session.push(samples, rate)
    assert f"<li>{shown}</li>" in show(session)


def test_a_microphone_recording_is_heard_like_a_file(visitor):
    page = visitor.page
    page.get_by_label("Record audio").first.click()
    page.locator("button:visible", has_text=re.compile(r"^\s*Record\s*$")).first.click()
    time.sleep(3)
    page.locator("button:visible", has_text=re.compile(r"^\s*Stop\s*$")).first.click()
    # "This file cannot be used" would be a headline too.
    assert re.match(r"(Crying|No crying) heard", visitor.headline("heard"))


def test_five_minutes_take_a_moment(visitor, recordings):
    told = visitor.upload(recordings / "five minutes.wav")
    assert verdict(CryDetector.from_pretrained()(recordings / "five minutes.wav")) in told
    assert re.match(r"Crying heard \d+ times", told)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everything_can_be_read_in_both_colours(browser, address, recordings, colours):
    visitor = Visitor(browser, address, DESKTOP, colours)
    contrasts = (Path(__file__).parent / "contrast.js").read_text()

    def lowest() -> tuple[float, str]:
        visitor.page.wait_for_timeout(500)  # transitions
        found = visitor.page.evaluate(contrasts)
        assert len(found) > 10
        return tuple(found[0])

    visitor.upload(recordings / "night.wav")
    visitor.page.wait_for_function("[...document.images].some(image => image.naturalWidth >= 1000)")
    visitor.page.get_by_text("Detected sound classes").click()
    visitor.page.wait_for_selector("text=Baby cry, infant cry")
    assert lowest() >= (4.5, "")
    # The picture's corner has the page's background colour.
    corner = visitor.page.evaluate(
        "() => { const image = [...document.images].find(each => each.naturalWidth >= 1000);"
        "const canvas = Object.assign(document.createElement('canvas'), {width: 1, height: 1});"
        "const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);"
        "return context.getImageData(0, 0, 1, 1).data[0]; }"
    )
    assert (corner < 50) == (colours == "dark")
    visitor.page.get_by_role("tab", name="Live").click()
    assert lowest() >= (4.5, "")
    visitor.context.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_against_wcag_in_both_colours(browser, address, recordings, colours):
    from axe_playwright_python.sync_playwright import Axe

    visitor = Visitor(browser, address, DESKTOP, colours)
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}

    def violations() -> list[tuple[str, str]]:
        visitor.page.wait_for_timeout(500)  # transitions
        found = Axe().run(visitor.page, options=rules).response
        assert "color-contrast" in {rule["id"] for rule in found["passes"]}
        return [(rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]]

    assert violations() == []
    visitor.upload(recordings / "night.wav")
    visitor.page.wait_for_function("[...document.images].some(image => image.naturalWidth >= 1000)")
    visitor.page.get_by_text("Detected sound classes").click()
    visitor.page.wait_for_selector("text=Baby cry, infant cry")
    assert violations() == []
    visitor.page.get_by_role("tab", name="Live").click()
    assert violations() == []
    visitor.context.close()
