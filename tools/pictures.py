"""Draws the pictures of README.md and of the documentation that show the detector's output.

    python tools/pictures.py                 # the synthesised nursery
    python tools/pictures.py --audio CORPUS  # real recordings too

`CORPUS` is this project's corpus (described in MODEL_CARD.md). Only clips of its test split are used.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from PIL import Image

from yamnet_cry import CryDetector, Detection
from yamnet_cry.audioset import CRY_TASK
from yamnet_cry.demo import SAMPLE_RATE, nursery
from yamnet_cry.distill import sources
from yamnet_cry.distill.corpus import Clip, labelled
from yamnet_cry.distill.event_metrics import judged_alarms
from yamnet_cry.events import trigger
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.report.plot import picture
from yamnet_cry.results import clock

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

CRYING, TRACK, MUTED = "#d1495b", "#1b4965", "#9aa5b1"
INCHES = (9.0, 4.2)

SEED = 11
CRIES, NIGHT_MINUTES = 12, 60


def main() -> None:
    """Draws the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audio", metavar="DIR", help="this project's corpus")
    parser.add_argument("--out", type=Path, default=PICTURES, metavar="DIR", help="where to write them")
    arguments = parser.parse_args()
    detector = CryDetector.from_pretrained()
    wave = nursery()
    result = detector((wave, SAMPLE_RATE), classes=True)
    drawn = Image.open(io.BytesIO(picture(result, (wave, SAMPLE_RATE), "nursery.wav")))
    drawn.convert("RGB").quantize(64).save(arguments.out / "nursery.png", optimize=True)
    save(front_end(wave), arguments.out / "front-end.png")
    save(student(result), arguments.out / "student.png")
    save(events(detector, result), arguments.out / "events.png")
    if arguments.audio:
        # Without clips that were uploaded as crying and later rejected: they are not sounds of an ordinary
        # night.
        clips = [
            clip
            for clip in labelled(sources.load(arguments.audio), "test")
            if "cry" in clip.labels or clip.source != "donateacry"
        ]
        save(context(detector, clips), arguments.out / "context.png")
        save(night(detector, clips), arguments.out / "night.png")


def save(figure: Figure, path: Path) -> None:
    """Saves a picture, without matplotlib's name in the metadata."""
    figure.savefig(path, dpi=120, metadata={"Software": None})
    print(f"wrote {path}")


def front_end(wave: Float32) -> Figure:
    """Draws a waveform, its log-mel spectrogram, and the first patches of that."""
    start, seconds = 7.0, 2.4
    part = wave[int(start * SAMPLE_RATE) : int((start + seconds) * SAMPLE_RATE)]
    log_mel = YAMNET.log_mel(part)
    figure = Figure(figsize=INCHES, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    upper.plot(np.arange(len(part)) / SAMPLE_RATE, part, color=TRACK, linewidth=0.6)
    upper.set(ylabel="waveform", ylim=(-1, 1), title="Samples at 16 kHz become log-mel patches of 96 frames")
    hop = YAMNET.frame_hop / SAMPLE_RATE
    lower.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, len(log_mel) * hop, 0, YAMNET.mel_bands),
    )
    outline = [withStroke(linewidth=4, foreground="black")]
    for number, colour in enumerate(("white", "#4cc9f0", "#80ed99")):
        left = number * YAMNET.patch_hop_seconds
        size = YAMNET.patch_frames * hop
        corner, height = (left + 0.01, 1 + 3 * number), 60 - 6 * number
        lower.add_patch(
            Rectangle(corner, size - 0.02, height, fill=False, color=colour, lw=2.5, path_effects=outline)
        )
        place = (left + size - 0.04, 57 - 3 * number)
        lower.text(
            *place,
            f"patch {number + 1}",
            color=colour,
            va="top",
            ha="right",
            weight="bold",
            path_effects=outline,
        )
    lower.set(xlabel="seconds", ylabel="mel band", xlim=(0, seconds))
    return figure


def student(result: Detection) -> Figure:
    """Draws the student's output for each window: AudioSet's classes, and the score of crying."""
    assert result.logits is not None
    logits = result.logits.dequantized()
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = odds / odds.sum(axis=1, keepdims=True)
    best = np.argsort(softmax.max(axis=0))[::-1][:8]
    middles = result.times + YAMNET.patch_seconds / 2
    figure = Figure(figsize=INCHES, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    half = YAMNET.patch_hop_seconds / 2
    upper.imshow(
        softmax[:, best].T,
        aspect="auto",
        cmap="Blues",
        vmin=0,
        vmax=1,
        extent=(middles[0] - half, middles[-1] + half, len(best) - 0.5, -0.5),
    )
    upper.set_yticks(range(len(best)), [CRY_TASK.labels[number] for number in best])
    upper.set_title("The student gives 521 logits for each window; here the eight most probable classes")
    lower.step(middles, result.scores, where="mid", color=TRACK)
    lower.set(ylabel="score 19 + 20", ylim=(0, 1.02), xlabel="seconds", xlim=(0, result.seconds))
    return figure


def events(detector: CryDetector, result: Detection) -> Figure:
    """Draws how a track of probabilities becomes an event: threshold, release and hold."""
    settings = detector.config.events
    middles = result.times + YAMNET.patch_seconds / 2
    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    track = trigger(result.probabilities, settings)
    axes.step(middles, track, where="mid", color=TRACK, linewidth=2, label="probability of a window")
    axes.axhline(result.threshold, color="black", linestyle="--", linewidth=1)
    axes.axhline(result.threshold * settings.release, color="black", linestyle=":", linewidth=1)
    axes.text(0.1, result.threshold + 0.02, "threshold: an event starts")
    axes.text(0.1, result.threshold * settings.release + 0.02, "release: an event goes on")
    for number, event in enumerate(result.events):
        axes.axvspan(event.start, event.end, color=CRYING, alpha=0.25, label="event" if not number else None)
    axes.set(xlim=(0, result.seconds), ylim=(0, 1.02), xlabel="seconds", ylabel="probability of crying")
    axes.set_title(
        f"An event ends when the probability has been below the release for {settings.hold_seconds:g} s"
    )
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.6))
    return figure


def context(detector: CryDetector, clips: Sequence[Clip]) -> Figure:
    """Draws the scores of single windows and the probabilities of the context network."""
    figure = Figure(figsize=INCHES, layout="constrained")
    panes: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    other, cry = (most_alike(detector, clips, cry=cry) for cry in (False, True))
    for axes, clip, what in (
        (panes[0], other, f"{other.extra['label'].replace('_', ' ')}: no event"),
        (panes[1], cry, "a baby cries: an event"),
    ):
        result = detector((clip.read(), SAMPLE_RATE))
        middles = result.times + YAMNET.patch_seconds / 2
        axes.step(middles, result.scores, where="mid", color=MUTED, label="score of a window alone")
        axes.step(
            middles,
            result.probabilities,
            where="mid",
            color=TRACK,
            linewidth=2,
            label="with the seconds before it",
        )
        axes.axhline(result.threshold, color="black", linestyle="--", linewidth=1)
        axes.set(xlabel="seconds", ylim=(0, 1.02), xlim=(0, result.seconds), title=what)
    panes[0].set_ylabel("score, probability")
    panes[0].legend(loc="upper right")
    return figure


def most_alike(detector: CryDetector, clips: Sequence[Clip], *, cry: bool) -> Clip:
    """Returns the clip with the highest single-window score that the context network classifies correctly."""
    best, height = clips[0], -1.0
    for clip in clips:
        if ("cry" in clip.labels) == cry:
            result = detector((clip.read(), SAMPLE_RATE))
            if result.is_cry == cry and result.scores.max() > height and result.seconds >= 4:
                best, height = clip, float(result.scores.max())
    return best


def night(detector: CryDetector, clips: Sequence[Clip]) -> Figure:
    """Draws an hour of sounds of the test split with some cries."""
    generator = np.random.default_rng(SEED)
    wave, cries = evening(clips, generator)
    result = detector((wave, SAMPLE_RATE))
    alarms = [event.start for event in result.events]
    judged = judged_alarms(cries, alarms)
    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1, 4))
    for start, end in cries:
        strip.axvspan(start, max(end, start + 12), ymin=0.55, color=TRACK, linewidth=0)
    for event in result.events:
        strip.axvspan(event.start, max(event.end, event.start + 12), ymax=0.45, color=CRYING, linewidth=0)
    strip.set_yticks([0.25, 0.75], ["events", "babies cry"])
    strip.tick_params(length=0)
    axes.fill_between(
        result.times + YAMNET.patch_seconds / 2, result.probabilities, color=TRACK, linewidth=0.5, step="mid"
    )
    axes.axhline(result.threshold, color="black", linestyle="--", linewidth=1)
    axes.set(xlim=(0, result.seconds), ylim=(0, 1.02), ylabel="probability", xlabel="minutes:seconds")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time, _: clock(time).removesuffix(".0")))
    strip.set_title(
        f"{result.seconds / 60:.0f} minutes of household sounds and speech, none of it training audio: "
        f"{judged.found} of {len(cries)} cries found, {len(judged.false)} false alarms",
        fontsize=11,
    )
    return figure


def evening(
    clips: Sequence[Clip], generator: np.random.Generator
) -> tuple[Float32, list[tuple[float, float]]]:
    """Joins sounds with pauses of room noise, and adds cries.

    Returns:
        float32 samples of shape (samples,), and the start and end of each cry in seconds.
    """
    others = [clip for clip in clips if "cry" not in clip.labels]
    samples = NIGHT_MINUTES * 60 * SAMPLE_RATE
    wave = room_noise(samples, generator)
    place = 0
    for number in generator.permutation(len(others)):
        sound = others[number].read()
        place += int(generator.uniform(5, 35) * SAMPLE_RATE)
        if place + len(sound) > samples:
            break
        wave[place : place + len(sound)] += sound
        place += len(sound)
    households = {clip.group: clip for clip in clips if "cry" in clip.labels}
    chosen = generator.choice(sorted(households), CRIES, replace=False)
    cries = []
    for number, group in enumerate(chosen):
        sound = households[group].read()
        onset = int((number + generator.uniform(0.1, 0.8)) * samples / CRIES)
        wave[onset : onset + len(sound)] += sound
        cries.append((onset / SAMPLE_RATE, (onset + len(sound)) / SAMPLE_RATE))
    return np.clip(wave, -1, 1).astype(np.float32), cries


def room_noise(samples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Returns the noise of a quiet room, at -60 dBFS, stronger at low frequencies."""
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 100))
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / noise.std() * 10 ** (-60 / 20))


if __name__ == "__main__":
    main()
