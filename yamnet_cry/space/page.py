"""The Gradio page: two tabs, and their API endpoints."""

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import soundfile
from PIL import Image

from yamnet_cry import audio
from yamnet_cry.demo import SAMPLE_RATE, nursery
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import YamnetCryError
from yamnet_cry.model.folder import CONTEXT, TFLITE
from yamnet_cry.space.live import Session, piece, show
from yamnet_cry.space.recording import Heard, card, hear

#: Environment variable with the model of the page: a folder or a repository. Default: the bundled model.
MODEL_VARIABLE = "YAMNET_CRY_MODEL"

MAX_MEGABYTES = 200

# Maximum numbers of recordings processed at the same time, of queued requests, and of live microphones.
_AT_ONCE, _WAITING, _MICROPHONES = 2, 64, 32

# Uploads are checked every minute, and deleted when they are ten minutes old.
_CLEANING = (60, 600)

# Maximum age in seconds of a file that counts as a chunk from a microphone, which is read at once.
_FRESH_SECONDS = 20

_TITLE = "Is a baby crying?"

_INTRODUCTION = f"""# {_TITLE}
Upload a recording, record one, or listen live: a tiny network detects crying.
"""

_SMALL_PRINT = """It has {kilobytes:.0f} KB, runs on a microcontroller, and makes mistakes: do not rely on it
where a child's safety depends on it. Recordings are deleted within a quarter of an hour; live
audio is not stored.
"""

_IS_DARK = "() => document.body.classList.contains('dark')"

# Gradio's audio component filters files by the browser's media types, and browsers call an audio-only webm or
# 3gp a video. Files that it would reject, chosen or dropped, are passed to the button that accepts all types.
_ANYTHING_ANYWHERE = """<script>{
  const pass = (event, files, input) => {
    const everything = document.querySelector("input[type=file]:has(+ #video)");
    if (!everything || !input || input === everything || !files?.length) return;
    if ([...files].every((file) => file.type.startsWith("audio/"))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
    everything.files = files;
    everything.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const inputs = "input[type=file]";
  const dropped = (event) => event.target.closest(".block")?.querySelector(inputs);
  addEventListener("change", (event) => pass(event, event.target.files, event.target.closest(inputs)), true);
  addEventListener("drop", (event) => pass(event, event.dataTransfer.files, dropped(event)), true);
}</script>"""

_CSS = """
.gradio-container { max-width: min(860px, 100vw) !important; margin: 0 auto !important; }
.verdict { border-radius: 12px; padding: 14px 18px; font-size: 1.05rem; line-height: 1.5; color: #1d1d1f; }
.verdict strong { font-size: 1.3rem; color: inherit; }
.verdict.crying { background: #f7c9cf; border-left: 8px solid #d1495b; }
.verdict.problem { background: #fbe8c6; border-left: 8px solid #c98a1b; }
.verdict.quiet { background: #d7e8df; border-left: 8px solid #3a7d5c; }
.meter { display: flex; align-items: center; gap: 10px; margin: 8px 0; }
.meter > span { width: 5em; font-size: 0.95rem; }
.meter .bar { flex: 1; height: 14px; border-radius: 7px; background: #8884; overflow: hidden; }
.meter .bar div { height: 100%; transition: width 0.3s; background: #1b7aa8; }
.meter .bar .crying { background: #d1495b; }
.track { width: 100%; height: 160px; background: #8881; border-radius: 6px; }
.track polyline { fill: none; stroke: #1b7aa8; stroke-width: 2; vector-effect: non-scaling-stroke; }
.track polygon { fill: #1b7aa833; }
.track line { stroke: #888; stroke-dasharray: 6 4; vector-effect: non-scaling-stroke; }
.track .shade rect { fill: #d1495b44; }
.axis { display: flex; justify-content: space-between; font-size: 0.85rem; opacity: 0.8; }
.events { margin-top: 10px; }
.events a, .events a:visited { color: var(--link-text-color); }
.events a { display: inline-block; margin: 12px 8px 0 0; padding: 9px 16px; border-radius: 8px; }
.events a { background: #8882; }
.events table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.events table, .events tr, .events th, .events td { border: none !important; }
.events th, .events td { text-align: left; padding: 7px 8px; border-bottom: 1px solid #8884 !important; }
/* The contrast of Gradio's greys and blues is too low: WCAG requires 4.5. */
.gradio-container {
  --color-accent: var(--primary-600);
  --block-label-text-color: var(--primary-700);
  --block-title-text-color: var(--primary-700);
  --block-info-text-color: var(--neutral-600);
  --body-text-color-subdued: var(--neutral-600);
  --neutral-400: var(--neutral-500);
}
.dark .gradio-container {
  --color-accent: var(--primary-300);
  --link-text-color: var(--primary-300);
  --block-label-text-color: white;
  --block-title-text-color: white;
  --block-info-text-color: var(--neutral-300);
  --body-text-color-subdued: var(--neutral-300);
  --neutral-400: var(--neutral-300);
}
/* Gradio's smallest buttons are too small: WCAG requires 24 pixels. */
.gradio-container .icon-button { min-width: 24px; min-height: 24px; }
footer { display: none !important; }
"""


def build(detector: CryDetector | None = None) -> gr.Blocks:
    """Builds the page.

    Args:
        detector: Shared by all visitors; None for that of the environment variable `MODEL_VARIABLE`, or the
            bundled one.
    """
    if detector is None:
        detector = CryDetector.from_pretrained(os.environ.get(MODEL_VARIABLE) or None)
    with gr.Blocks(title=_TITLE, delete_cache=_CLEANING, analytics_enabled=False) as page:
        gr.Markdown(_INTRODUCTION)
        # Only the browser knows whether the page is dark; pictures are drawn in matching colours.
        dark = gr.Checkbox(False, visible="hidden")
        page.load(None, None, dark, js=_IS_DARK, api_visibility="private")
        with gr.Tab("A recording"):
            _recording_tab(detector, dark)
        with gr.Tab("Live"):
            _live_tab(detector)
        networks = [file for name, file in detector.config.files.items() if name in (TFLITE, CONTEXT)]
        kilobytes = sum(int(file["bytes"]) for file in networks) / 1024
        gr.Markdown(_SMALL_PRINT.format(kilobytes=kilobytes))
    page.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE)
    return page


def serve(page: gr.Blocks, **options: Any) -> Any:
    """Serves the page with its style and limits; options are those of ``Blocks.launch``."""
    return page.launch(
        css=_CSS,
        head=_ANYTHING_ANYWHERE,
        # System fonts, so that no font is loaded from another server.
        theme=gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        max_file_size=f"{MAX_MEGABYTES}mb",
        footer_links=["api"],
        ssr_mode=False,
        **options,
    )


def _sensitivity(detector: CryDetector, info: str) -> gr.Slider:
    return gr.Slider(0.02, 0.98, 1 - detector.threshold, step=0.02, label="Sensitivity", info=info)


def _recording_tab(detector: CryDetector, dark: gr.Checkbox) -> None:
    heard: gr.State = gr.State(None, time_to_live=3600)
    recording = gr.Audio(
        sources=["upload", "microphone"], type="filepath", label="Recording", editable=False, buttons=[]
    )
    # The component above accepts only audio, and would convert what browsers cannot play with ffmpeg.
    kinds = ["audio", "video", *sorted(audio.SUFFIXES | audio.NEED_FFMPEG)]
    video = gr.UploadButton("Or choose a video", file_types=kinds, size="sm", elem_id="video")
    with tempfile.TemporaryDirectory() as folder:
        # Gradio copies them to its folder of uploads.
        gr.Examples(_make_examples(Path(folder)), recording, label="Or try one of these synthesised examples")
    headline = gr.HTML(visible=False, elem_id="headline")
    sensitivity = _sensitivity(detector, "To the right: more detections and more false alarms.")
    picture = gr.Image(
        visible=False,
        show_label=False,
        alt_text="spectrogram, probability of crying, and events",
        type="pil",
        format="png",
        buttons=["fullscreen"],
    )
    table = gr.HTML(visible=False, elem_id="events")
    with gr.Accordion("Detected sound classes", open=False, visible=False) as fold:
        classes = gr.Label(label="The largest mean shares among AudioSet's 521 classes")
    shown = [headline, picture, table]

    def forget() -> list[Any]:
        return [None, gr.Accordion(visible=False), None, *_hidden(len(shown))]

    def hear_recording(path: str | None, wanted: float, is_dark: bool) -> list[Any]:
        if path is None:
            # Removed by the visitor, or replaced by a video.
            return [gr.skip()] * (3 + len(shown))
        try:
            result = hear(detector, path)
        except YamnetCryError as error:
            # Clear the results of the previous recording.
            problem = gr.update(value=card("problem", "This file cannot be used", str(error)), visible=True)
            return [None, gr.Accordion(visible=False), None, problem, *_hidden(len(shown) - 1)]
        return [result, gr.Accordion(visible=True), result.classes, *_shown(result.at(wanted), is_dark)]

    def move(result: Heard | None, wanted: float, is_dark: bool) -> list[Any]:
        return _hidden(len(shown)) if result is None else _shown(result.at(wanted), is_dark)

    def hear_video(path: str, wanted: float, is_dark: bool) -> list[Any]:
        return [None, *hear_recording(path, wanted, is_dark)]

    found = [heard, fold, classes, *shown]
    recording.change(hear_recording, [recording, sensitivity, dark], found, api_visibility="private")
    recording.clear(forget, None, found, api_visibility="private")
    video.upload(hear_video, [video, sensitivity, dark], [recording, *found], api_visibility="private")
    sensitivity.change(
        move,
        [heard, sensitivity, dark],
        shown,
        trigger_mode="always_last",
        show_progress="hidden",
        api_visibility="private",
    )

    def detect(path: str, wanted: float) -> dict[str, Any]:
        """Detects crying in a recording; returns the fields of `yamnet-cry detect --json`, and classes."""
        result = _friendly(lambda: hear(detector, path)).at(wanted)
        return {"file": result.name, **result.result.to_dict(), "classes": result.classes}

    programs = gr.Button(visible=False)
    programs.click(detect, [recording, sensitivity], gr.JSON(visible=False), api_name="detect")


def _live_tab(detector: CryDetector) -> None:
    session: gr.State = gr.State(None, time_to_live=3600)
    sensitivity = _sensitivity(detector, "Applies to the next recording.")
    microphone = gr.Audio(
        sources=["microphone"],
        type="filepath",
        streaming=True,
        label="Microphone",
        editable=False,
        buttons=[],
    )
    panel = gr.HTML(show(None), elem_id="live")

    def begin(wanted: float) -> tuple[Session, str]:
        return Session(detector, wanted), show(None)

    def listen(path: str | None, current: Session | None, wanted: float) -> tuple[Session | None, str]:
        if path is None:
            return current, show(current)
        current = current or Session(detector, wanted)
        samples, sample_rate = _taken(path)
        _friendly(lambda: current.push(samples, sample_rate))
        return current, show(current)

    def end(current: Session | None) -> tuple[Session | None, str]:
        if current is not None:
            current.finish()
        return current, show(current)

    microphone.start_recording(begin, sensitivity, [session, panel], api_visibility="private")
    microphone.stream(
        listen,
        [microphone, session, sensitivity],
        [session, panel],
        stream_every=0.5,
        time_limit=None,
        concurrency_limit=_MICROPHONES,
        show_progress="hidden",
        api_name="listen",
    )
    microphone.stop_recording(end, session, [session, panel], api_visibility="private")


def _taken(path: str) -> tuple[Any, int]:
    """Reads a chunk of a microphone's sound, and deletes it."""
    # An API client may pass any uploaded file: older files are not chunks and must not be deleted.
    fresh = Path(path).exists() and time.time() - Path(path).stat().st_mtime < _FRESH_SECONDS
    try:
        return _friendly(lambda: piece(path))
    finally:
        if fresh:
            Path(path).unlink(missing_ok=True)


def _friendly(work: Callable[[], Any]) -> Any:
    """Shows an error that the visitor can fix as a sentence; other exceptions are raised unchanged."""
    try:
        return work()
    except YamnetCryError as error:
        raise gr.Error(str(error), title="This file cannot be used", print_exception=False) from None


def _hidden(count: int) -> list[Any]:
    return [gr.update(value=None, visible=False)] * count


def _shown(heard: Heard, is_dark: bool) -> list[Any]:
    image = Image.open(io.BytesIO(heard.picture(dark=is_dark)))
    return [
        gr.update(value=heard.headline(), visible=True),
        gr.update(value=image, visible=True),
        gr.update(value=heard.table() + heard.downloads(), visible=bool(heard.result.events)),
    ]


def _make_examples(folder: Path) -> list[list[str]]:
    """Synthesises the example clips, and returns their paths."""
    clips = {
        "a baby cries.wav": nursery(),
        "it cries again and again.wav": nursery(60.0, 8.0, 15.0, seed=3) + nursery(60.0, 34.0, 52.0, seed=5),
        "a quiet room.wav": nursery(20.0, 20.0, 20.0),
    }
    for name, wave in clips.items():
        soundfile.write(folder / name, wave, SAMPLE_RATE)
        # Old, so that `_taken` does not treat it as a chunk and delete it.
        os.utime(folder / name, (0, 0))
    return [[str(folder / name)] for name in clips]
