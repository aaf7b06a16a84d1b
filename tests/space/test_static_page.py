"""The page that runs in the browser, in a real one: same results as in Python, and no data sent."""

import base64
import csv
import gzip
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import soxr

from yamnet_cry import CryDetector
from yamnet_cry.audio.ffmpeg import program
from yamnet_cry.browser import page as pages
from yamnet_cry.browser.server import Server
from yamnet_cry.demo import nursery
from yamnet_cry.events import EventSettings, find_events, trigger
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder
from yamnet_cry.report.plot import verdict
from yamnet_cry.report.text import CSV_COLUMNS, csv_rows, label_track
from yamnet_cry.results import clock, duration

pytestmark = pytest.mark.slow

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.fixture(scope="module")
def files(detector) -> dict[str, bytes]:
    return pages.files(detector.config, detector.model, detector.context)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address at which the program serves the page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "yamnet_cry", "space", "--static", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.match(r"(http://127.0.0.1:\d+/yamnet-cry/) \(stop with Ctrl-C\)", process.stdout.readline())
    assert found, "it says where it is"
    yield found[1]
    process.terminate()
    process.wait(timeout=20)
    process.stdout.close()


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> Path:
    """The sound of the browser's microphone, in a loop: a short cry, then enough quiet to end the event."""
    path = tmp_path_factory.mktemp("microphone") / "baby.wav"
    soundfile.write(path, nursery(9.0, 1.5, 4.5), 16_000, subtype="PCM_16")
    return path


class Visitor:
    """A browser with the page open, which collects errors and the addresses of requests."""

    def __init__(self, browser, address: str, size: tuple[int, int] = DESKTOP, **options) -> None:
        self.address = address
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, permissions=["microphone"], **options
        )
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._listen)
        self.open()

    def _listen(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self) -> None:
        self.page.goto(self.address)
        self.page.wait_for_selector("#listen:enabled", timeout=60_000)

    def hear(self, path: Path, sentence: str = "heard") -> str:
        self.page.set_input_files("#file", path)
        return self.told("#recording", sentence)

    def told(self, panel: str, sentence: str) -> str:
        self.page.wait_for_selector(f"{panel} .verdict >> text=/{sentence}/", timeout=60_000)
        return self.page.inner_text(f"{panel} .verdict")

    def cut_off(self) -> list[str]:
        """Elements that extend beyond the right edge of the window."""
        return self.page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > "
            "window.innerWidth + 1 && e.offsetParent).map(e => e.tagName + '.' + e.className)"
        )

    def compute(self, script: str, values: object = None):
        """Runs a script that can use the page's modules."""
        return self.page.evaluate(
            "async (values) => { const load = (name) => import(new URL(name, document.baseURI));"
            "const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));"
            "const floats = (text) => new Float32Array(bytes(text).buffer);"
            f"{script} }}",
            values,
        )


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visitor(request, browser, site) -> Iterator[Visitor]:
    someone = Visitor(browser, site, request.param)
    yield someone
    someone.context.close()
    assert someone.complaints == []
    assert all(url.startswith((site, "blob:")) for url in someone.asked)


@pytest.fixture(scope="module")
def bench(browser, site) -> Iterator[Visitor]:
    """A page in which tests run scripts."""
    someone = Visitor(browser, site)
    yield someone
    someone.context.close()
    assert someone.complaints == []


def floats(wave: np.ndarray) -> str:
    return base64.b64encode(np.asarray(wave, "<f4").tobytes()).decode()


def clips() -> list[np.ndarray]:
    """Twenty recordings: real ones, where available, and synthesised ones."""
    found: list[np.ndarray] = []
    manifest = Path(os.environ.get("YAMNET_CRY_SHARED", "../shared")) / "audio" / "manifest.csv"
    if manifest.is_file():
        rows = list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines()))
        cries, others = (
            [row["file"] for row in rows if (row["target"] == "cry") == crying] for crying in (True, False)
        )
        for name in cries[:: len(cries) // 8][:8] + others[:: len(others) // 8][:8]:
            wave, rate = soundfile.read(manifest.parent / name, dtype="float32", always_2d=True)
            found.append(soxr.resample(wave.mean(axis=1), rate, 16_000).astype(np.float32)[: 8 * 16_000])
    for seed in range(20 - len(found)):
        gain = 10 ** (-(seed % 4))
        found.append((gain * nursery(6.0 + seed / 7, 1.0, 4.0, seed=seed)).astype(np.float32))
    return found


HEAR = """
const {Listener} = await load("listener.js");
const model = values.model ?? await (await fetch("model.json")).json();
return values.clips.map(text => {
    const [wave, listener] = [floats(text), new Listener(model, values.rate)];
    const updates = [];
    for (let at = 0; at < wave.length; at += 5000) {
        updates.push(...listener.push(wave.subarray(at, at + 5000)));
    }
    const end = listener.finish();
    updates.push(...end.updates);
    return {
        probabilities: updates.map(each => each.probability),
        times: updates.map(each => each.time),
        levels: updates.map(each => each.level),
        events: [...updates.map(each => each.finished), end.event].filter(Boolean),
    };
});
"""


def close_to(expected: list, events: list[dict[str, float]]) -> bool:
    return len(expected) == len(events) and all(
        np.allclose([e.start, e.end, e.peak, e.mean], [f["start"], f["end"], f["peak"], f["mean"]], atol=1e-3)
        for e, f in zip(expected, events, strict=True)
    )


def test_twenty_recordings_sound_as_they_do_to_python(bench, detector):
    waves = clips()
    heard = bench.compute(HEAR, {"clips": [floats(wave) for wave in waves], "rate": 16_000})
    assert len(heard) == 20
    crying = 0
    for wave, found in zip(waves, heard, strict=True):
        expected = detector((wave, 16_000))
        np.testing.assert_allclose(found["probabilities"], expected.probabilities, rtol=0, atol=1e-3)
        assert close_to(expected.events, found["events"])
        crying += expected.is_cry
        listener = detector.listener(16_000)
        updates = [each for each in listener.push(wave) + listener.finish() if not each.closing]
        assert found["times"] == [each.time for each in updates]
        np.testing.assert_allclose(found["levels"], [each.level for each in updates], atol=0.01)
    assert 3 < crying < 18


def test_a_model_without_a_context_network(bench, release_0_1_0):
    old = CryDetector.from_pretrained(release_0_1_0)
    model = json.loads(json.dumps(pages.model(old.config, old.model, None)))
    waves = clips()[::4]
    heard = bench.compute(HEAR, {"clips": [floats(w) for w in waves], "rate": 16_000, "model": model})
    for wave, found in zip(waves, heard, strict=True):
        expected = old((wave, 16_000))
        np.testing.assert_allclose(found["probabilities"], expected.probabilities, rtol=0, atol=1e-3)
        assert close_to(expected.events, found["events"])


def test_the_front_end_is_that_of_python(bench):
    waves = [nursery(2.0, 0.5, 1.5), np.zeros(1600), np.sin(np.arange(16_000) * 0.4)]
    script = """
    const {logMel} = await load("front-end.js");
    return values.map(text => {
        const wave = floats(text);
        const frames = 1 + Math.floor((wave.length - 400) / 160);
        const found = new Float32Array(frames * 64);
        for (let frame = 0; frame < frames; frame++) logMel(wave, frame * 160, found, frame * 64);
        return [...found];
    });
    """
    for wave, found in zip(waves, bench.compute(script, [floats(w) for w in waves]), strict=True):
        expected = YAMNET.log_mel(np.asarray(wave, np.float32))
        np.testing.assert_allclose(np.reshape(found, expected.shape), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_a_microphone_of_any_rate_sounds_as_soxr_makes_it(bench, detector, rate):
    wave = soxr.resample(nursery(6.0, 1.0, 4.0), 16_000, rate)
    script = """
    const {Resampler} = await load("resampler.js");
    const [wave, resampler, found] = [floats(values.wave), new Resampler(values.rate), []];
    for (let at = 0, step = 1; at < wave.length; at += step, step = step * 7 % 4999) {
        found.push(...resampler.push(wave.subarray(at, at + step)));
    }
    return [...found, ...resampler.finish()];
    """
    found = np.float32(bench.compute(script, {"wave": floats(wave), "rate": rate}))
    expected = soxr.resample(wave, rate, 16_000)
    assert abs(len(found) - len(expected)) <= 1
    count = min(len(found), len(expected))
    # Frequencies up to the end of the front end's bands, or of the recording's spectrum.
    used = np.fft.rfftfreq(count, 1 / 16_000) < min(7_500, 0.45 * rate)
    ours, theirs = (np.fft.rfft(each[:count])[used] for each in (found, expected))
    assert np.linalg.norm(ours - theirs) < 2e-3 * np.linalg.norm(theirs)
    (heard,) = bench.compute(HEAR, {"clips": [floats(wave)], "rate": rate})
    (event,) = detector((wave, rate)).events
    (own,) = heard["events"]
    assert abs(own["start"] - event.start) <= 0.48
    assert abs(own["end"] - event.end) <= 0.48


def test_events_are_those_of_python(bench):
    generator = np.random.default_rng(0)
    cases = []
    for number in range(300):
        window = int(generator.integers(1, 6))
        settings = EventSettings(
            int(generator.integers(1, 5)),
            int(generator.integers(1, window + 1)),
            window,
            float(generator.choice([0.3, 0.5, 1.0])),
            float(generator.choice([0.0, 1.0, 2.0])),
        )
        track = generator.choice([0.0, 0.1, 0.3, 0.5, 0.7, 1.0], number % 40 + 1)
        seconds = round(float(0.96 + 0.48 * (len(track) - 1) - generator.choice([0.0, 0.2, 0.4])), 2)
        cases.append((track.tolist(), float(generator.choice([0.3, 0.5])), vars(settings), seconds))
    script = """
    const {findEvents, highestThreshold} = await load("events.js");
    return values.map(([track, threshold, settings, seconds]) =>
        [findEvents(track, threshold, settings, seconds), highestThreshold(track, settings)]);
    """
    for case, (events, highest) in zip(cases, bench.compute(script, cases), strict=True):
        track, threshold, settings, seconds = case
        expected = find_events(track, threshold, EventSettings(**settings), seconds)
        assert close_to(expected, events), case
        assert highest == pytest.approx(trigger(track, EventSettings(**settings)).max()), case


def test_a_recording_is_dropped_read_moved_and_taken_away(visitor, detector, recordings, tmp_path):
    page, expected = visitor.page, detector(recordings / "night.wav")
    told = visitor.hear(recordings / "night.wav")
    assert verdict(expected) in told
    assert f"probability of {expected.probability * 100:.0f}\xa0%" in told
    rows = [row.split("\t") for row in page.locator("#recording tr").all_inner_texts()]
    assert [row[:3] for row in rows[1:]] == [
        [clock(event.start), clock(event.end), duration(event.seconds)] for event in expected.events
    ]
    with page.expect_download() as download:
        page.get_by_text("Events for a spreadsheet").click()
    download.value.save_as(tmp_path / "events.csv")
    assert download.value.suggested_filename == "night.csv"
    (head, *ours), theirs = (
        list(csv.reader(io.StringIO(text)))
        for text in ((tmp_path / "events.csv").read_text(), csv_rows("night.wav", expected))
    )
    assert tuple(head) == CSV_COLUMNS
    assert len(ours) == len(theirs) == 1
    assert ours[0][0] == "night.wav"
    # Browsers scale 16-bit samples differently.
    np.testing.assert_allclose(*(np.float64(row[1:-1]) for row in (ours[0], theirs[0])), rtol=0, atol=1e-3)
    with page.expect_download() as download:
        page.get_by_text("Events for Audacity").click()
    download.value.save_as(tmp_path / "labels.txt")
    assert (tmp_path / "labels.txt").read_text() == label_track(expected.events)
    # The spectrogram has more than one colour.
    colours = page.evaluate(
        "() => { const canvas = document.querySelector('#recording canvas');"
        "const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height / 2);"
        "return new Set(new Uint32Array(data.buffer)).size; }"
    )
    assert colours > 200
    assert visitor.cut_off() == []

    slider = page.locator("#sensitivity")
    slider.fill("0.02")
    strict = detector(recordings / "night.wav")
    strict_events = find_events(strict.probabilities, 0.98, strict.event_settings, strict.seconds)
    assert ("No crying heard" in visitor.told("#recording", "rying heard")) == (not strict_events)
    page.reload()
    page.wait_for_selector("#listen:enabled")
    assert slider.input_value() == "0.02", "it is remembered"


def test_an_example_and_what_cannot_be_heard(visitor, recordings):
    page = visitor.page
    page.get_by_text("Try an example").click()
    assert "Crying heard once" in visitor.told("#recording", "Crying heard")
    assert "broken.wav cannot be decoded by this browser." in visitor.hear(
        recordings / "broken.wav", "This file cannot be used"
    )
    assert not page.locator("#recording canvas, #recording table, #recording audio").first.is_visible()
    assert "No crying heard" in visitor.hear(recordings / "silence.flac", "No crying heard")
    assert not page.locator("#downloads").is_visible()
    assert "empty.wav cannot be decoded by this browser." in visitor.hear(
        recordings / "empty.wav", "empty.wav"
    )


def test_a_memo_and_a_video(bench, recordings):
    if program() is None:
        pytest.skip("no ffmpeg")
    for name in ("memo.m4a", "phone.mov"):
        bench.page.set_input_files("#file", recordings / "silence.flac")
        bench.told("#recording", "No crying heard")
        if name == "phone.mov":
            # Not every Chromium supports its video codec; where it is supported, the sound is decoded.
            told = bench.hear(recordings / name, "Crying heard|cannot be used")
            assert "Crying heard once" in told or "phone.mov cannot be decoded by this browser." in told
        else:
            assert "Crying heard once" in bench.hear(recordings / name, "Crying heard")


def test_the_microphone_is_heard_and_an_event_shows(visitor):
    page = visitor.page
    page.get_by_text("Start listening").click()
    page.wait_for_selector("#bar:visible >> text=Listening")
    page.wait_for_selector("#live .verdict.crying", timeout=120_000)
    assert page.title() == "A baby is crying"
    assert re.fullmatch(r"-\d+ dBFS", page.inner_text("#decibels"))
    page.wait_for_selector("#live-events li", timeout=120_000)
    found = re.fullmatch(
        r"\d+:\d\d:\d\d\b.* \(\d:[\d.]+\): cried for [\d.]+ s, peak \d+\xa0%",
        page.locator("#live-events li").last.inner_text(),
    )
    assert found, "an event has times"
    assert visitor.cut_off() == []
    page.get_by_text("Stop listening").click()
    assert "It cried " in visitor.told("#live", "Stopped listening")
    assert not page.locator("#bar").is_visible()
    # Started again, it begins at zero.
    page.get_by_text("Start listening").click()
    page.wait_for_selector("#bar:visible >> text=/0:0\\d/")
    page.get_by_text("Stop listening").click()
    visitor.told("#live", "Stopped listening")


def test_alarms_and_a_microphone_that_is_taken_away(browser, site):
    context = browser.new_context(permissions=["microphone", "notifications"])
    page = context.new_page()
    page.add_init_script(
        "window.tones = 0; const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (...when) { window.tones++; start.apply(this, when); };"
        "window.told = [];"
        "ServiceWorkerRegistration.prototype.showNotification = async (title) => told.push(title);"
        "const given = MediaDevices.prototype.getUserMedia;"
        "MediaDevices.prototype.getUserMedia = async function (wanted) {"
        "  if (window.refused) throw new DOMException('', 'NotAllowedError');"
        "  window.wanted = wanted; return (window.stream = await given.call(this, wanted)); };"
    )
    page.goto(site)
    page.wait_for_selector("#listen:enabled")
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.get_by_label("Sound an alarm").check()
    page.get_by_label("Notify me").check()
    page.evaluate("window.refused = true")
    page.get_by_text("Start listening").click()
    page.wait_for_selector("#live >> text=The microphone is not allowed here.")
    page.evaluate("window.refused = false")
    page.get_by_text("Start listening").click()
    page.wait_for_selector("#live .verdict.crying", timeout=120_000)
    page.wait_for_function("window.told.length > 0")
    assert page.evaluate("[window.tones, window.told[0]]") == [6, "A baby is crying"]
    assert page.evaluate("Object.values(window.wanted.audio)") == [False, False, False]
    page.evaluate(
        "const [track] = window.stream.getTracks(); track.stop(); track.dispatchEvent(new Event('ended'))"
    )
    page.wait_for_selector("#live >> text=The microphone was disconnected")
    assert page.title() == "Not listening"
    assert page.evaluate("window.told.at(-1)") == "No longer listening"
    context.close()


def test_a_microphone_that_falls_silent_is_noticed(browser, site):
    context = browser.new_context(permissions=["microphone"])
    page = context.new_page()
    page.add_init_script(
        "const made = AudioWorkletNode; window.AudioWorkletNode = class extends made {"
        "  constructor(...given) { super(...given); window.audio = given[0]; } };"
    )
    page.goto(site)
    page.wait_for_selector("#listen:enabled")
    page.get_by_text("Start listening").click()
    page.wait_for_selector("#bar:visible >> text=/0:0\\d/")
    page.evaluate("window.audio.onstatechange = null; window.audio.suspend()")
    page.wait_for_selector("#live >> text=No sound arrives from the microphone", timeout=60_000)
    assert page.inner_text("#still") == "Not listening"
    context.close()


def test_it_works_without_a_network_once_it_was_loaded(browser, files):
    with Server(files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        visitor = Visitor(browser, server.address)
        visitor.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        visitor.page.wait_for_function("navigator.serviceWorker.controller !== null")
        server.shutdown()
    # Both server and network are unavailable.
    visitor.context.set_offline(True)
    visitor.open()
    visitor.page.get_by_text("Try an example").click()
    assert "Crying heard once" in visitor.told("#recording", "Crying heard")
    visitor.page.get_by_text("Start listening").click()
    visitor.page.wait_for_selector("#bar:visible >> text=/0:0\\d/")
    visitor.context.close()
    assert visitor.complaints == []


def test_a_new_release_replaces_the_old_one(browser, files):
    changed = {**files, "index.html": files["index.html"].replace(b"<h1>Is a", b"<h1>Is the")}
    with Server(dict(files)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        visitor = Visitor(browser, server.address)
        visitor.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        changed["release.js"] = changed["release.js"].replace(b'RELEASE = "', b'RELEASE = "new')
        server.files = changed
        # Without this call, browsers check for updates some time after a visit began.
        registered = "navigator.serviceWorker.getRegistration()"
        visitor.page.evaluate(f"{registered}.then(each => each.update()).then(() => null)")
        wait(lambda: visitor.page.evaluate(f"{registered}.then(each => each.waiting !== null)"))
        assert visitor.page.inner_text("h1") == "Is a baby crying?"
        visitor.page.goto(server.address)
        visitor.page.wait_for_selector("h1 >> text=Is the baby crying?")
        visitor.context.close()
        server.shutdown()


class Asked(dict):
    """Files of a page, with a record of the requested names."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self.names: list[str] = []

    def get(self, name: str) -> bytes | None:  # type: ignore[override]
        self.names.append(name)
        return super().get(name)


def test_nothing_can_be_sent_elsewhere(browser, site, files):
    elsewhere = Asked({"icon.svg": files["icon.svg"]})
    visitor = Visitor(browser, site)
    with Server(elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        refused = visitor.page.evaluate(
            "address => Promise.all([fetch(address, {mode: 'no-cors'}).then(() => 'sent', () => 'refused'),"
            "new Promise(done => { const image = new Image(); image.onload = () => done('sent');"
            "image.onerror = () => done('refused'); image.src = address; })])",
            f"{server.address}icon.svg",
        )
        server.shutdown()
    assert refused == ["refused", "refused"]
    assert elsewhere.names == []
    assert visitor.complaints
    assert all("Content Security Policy" in each for each in visitor.complaints)
    visitor.context.close()


def test_behind_another_tab_it_goes_on_listening(chromium, spoken, files):
    """In a browser without a debugger attached to the page, which would keep it visible."""
    reports = """
    const events = document.querySelector("#live-events").children;
    setInterval(() => fetch(`said/${document.visibilityState}/${events.length}`), 500);
    const ready = setInterval(() => {
        const button = document.querySelector("#listen");
        if (button.disabled) return;
        clearInterval(ready);
        button.click();
    }, 50);
    """
    index = files["index.html"].replace(b"</head>", b'<script src="reports.js" defer></script></head>')
    asked = Asked({**files, "index.html": index, "reports.js": reports.encode()})
    with Server(asked) as server, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = subprocess.Popen(
            [
                chromium,
                "--headless=new",
                "--no-sandbox",
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={spoken}",
                server.address,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = Path(profile) / "DevToolsActivePort"
            wait(lambda: port.exists() and "said/visible/0" in asked.names)
            httpx.put(f"http://127.0.0.1:{port.read_text().split()[0]}/json/new?about:blank")
            wait(lambda: "said/hidden/0" in asked.names)
            wait(lambda: "said/hidden/1" in asked.names)
        finally:
            process.terminate()
            process.wait(timeout=20)
            server.shutdown()


def wait(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_everything_can_be_read_in_both_colours(browser, site, recordings, colours):
    visitor = Visitor(browser, site, PHONE, color_scheme=colours)
    contrasts = (Path(__file__).parent / "contrast.js").read_text()

    def lowest() -> tuple[float, str]:
        visitor.page.wait_for_timeout(400)  # transitions
        found = visitor.page.evaluate(contrasts)
        assert len(found) > 10
        return tuple(found[0])

    visitor.hear(recordings / "night.wav")
    assert lowest() >= (4.5, "")
    visitor.page.get_by_text("Start listening").click()
    visitor.page.wait_for_selector("#live .verdict.crying", timeout=120_000)
    assert lowest() >= (4.5, "")
    visitor.page.evaluate("document.querySelector('#bar').className = 'problem'")
    visitor.page.evaluate("document.querySelector('#live .verdict').className = 'verdict problem'")
    assert lowest() >= (4.5, "")
    paper = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", paper)[0]) < 50) == (colours == "dark")
    visitor.context.close()


def test_it_is_small_and_all_of_it_is_served(site, files):
    assert sum(len(gzip.compress(content)) for content in files.values()) < 250_000
    for name, content in files.items():
        answer = httpx.get(site + name)
        assert (answer.status_code, answer.content) == (200, content)
    kinds = {name: httpx.head(site + name).headers["content-type"] for name in files}
    assert kinds["page.js"] == "text/javascript; charset=utf-8"
    assert kinds["manifest.webmanifest"] == "application/manifest+json"
    assert httpx.get(site).content == files["index.html"]
    root = site.removesuffix("yamnet-cry/")
    assert httpx.get(root).headers["location"] == "/yamnet-cry/"
    for path in ("nothing", "yamnet-cry/nothing", "yamnet-cry/../../pyproject.toml", "yamnet-cry/%2e%2e/x"):
        connection = http.client.HTTPConnection(httpx.URL(root).host, httpx.URL(root).port)
        connection.request("GET", f"/{path}")
        assert connection.getresponse().status == 404
        connection.close()


def test_every_file_is_kept_for_when_there_is_no_network(files):
    named = json.loads(re.search(rb"FILES = (\[.*?\]);", files["release.js"], re.DOTALL)[1])
    # The browser itself stores a service worker and the scripts it imports.
    assert {*named, "README.md", "index.html", "service-worker.js", "release.js"} == {*files, "./"}
    manifest = json.loads(files["manifest.webmanifest"])
    assert {icon["src"] for icon in manifest["icons"]} <= set(named)


def test_a_page_of_the_same_model_is_the_same(detector, files):
    assert pages.files(detector.config, detector.model, detector.context) == files
    config = model_folder.load(Path(__file__).parents[2] / "hub")[0]
    assert json.loads(files["model.json"])["threshold"] == config.threshold
