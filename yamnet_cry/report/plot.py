"""A picture of one recording: spectrogram, probability of crying, and events."""

import io
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from numpy.typing import NDArray

from yamnet_cry import audio, mel
from yamnet_cry.audio import AudioSource
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.patches import whole_patches
from yamnet_cry.results import Detection, clock, duration

# Enough for every pixel of the picture's width, and little memory even for a whole night.
_COLUMNS = 1_200
_PIXELS_PER_INCH = 150
# For privacy, files contain neither the program nor the time.
_NO_METADATA = {"png": {"Software": None}, "jpg": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
_CRYING, _TRACK = "#d1495b", "#1b4965"
_DARK_PAPER, _DARK_INK, _DARK_TRACK = "#1f2937", "#f3f4f6", "#8cc3e6"


def picture(result: Detection, source: AudioSource, title: str, file_format: str = "png") -> bytes:
    """Computes the spectrogram of a recording, and draws it with `draw`.

    Args:
        result: The result of the detector.
        source: The recording; it is decoded once more, in bounded memory.
        title: Usually the recording's name.
        file_format: ``png``, ``jpg``, ``svg`` or ``pdf``.

    Returns:
        The file, see `draw`.

    Raises:
        AudioError: If the recording cannot be read any more.
    """
    return draw(result, overview(source, len(result.scores)), title, file_format)


def draw(
    result: Detection,
    spectrogram: Float32,
    title: str,
    file_format: str = "png",
    *,
    dark: bool = False,
) -> bytes:
    """Draws the spectrogram, the probabilities, the threshold, and the events as shaded areas.

    Args:
        result: The result of the detector.
        spectrogram: float32 array of shape (columns, 64), see `overview`.
        title: Usually the recording's name; if empty, the verdict above the picture is omitted too.
        file_format: ``png``, ``jpg``, ``svg`` or ``pdf``.
        dark: Whether to draw in the colours of a dark page.

    Returns:
        The file, 1350 pixels wide and high, legible on a phone.
    """
    seconds = max(result.seconds, YAMNET.frame_hop / YAMNET.sample_rate)
    # The last window is padded: the spectrogram is longer than the recording, and is cut by xlim.
    covered = _frames(len(result.scores)) * YAMNET.frame_hop / YAMNET.sample_rate
    figure = Figure(figsize=(9, 9), layout="constrained", facecolor="white")
    upper, strip, lower = figure.subplots(3, 1, sharex=True, height_ratios=(30, 2, 20))
    upper.imshow(
        spectrogram.T,
        origin="lower",
        aspect="auto",
        extent=(0.0, covered, 0.0, YAMNET.mel_bands),
        cmap="magma",
        vmin=math.log(YAMNET.log_offset),
        vmax=max(0.0, float(spectrogram.max())),
    )
    ticks = [250, 500, 1000, 2000, 4000]
    upper.set_yticks([band_of(hertz) for hertz in ticks], [f"{hertz / 1000:g}" for hertz in ticks])
    upper.set_ylabel("kHz")
    strip.set_yticks([0.5], ["events"])
    # Minimum width of an event in the strip: one second of a night would be thinner than a pixel.
    least = seconds / 200
    for event in result.events:
        strip.axvspan(event.start, max(event.end, event.start + least), color=_CRYING, linewidth=0)
        lower.axvspan(event.start, event.end, color=_CRYING, alpha=0.25, linewidth=0)
    # The probability of a window is drawn at its middle.
    middles = result.times + YAMNET.patch_seconds / 2
    times, track = _peaks(np.minimum(middles, seconds), result.probabilities)
    lower.plot(times, track, color=_TRACK, linewidth=2, marker="o" if len(times) == 1 else None)
    lower.axhline(result.threshold, color="black", linestyle="--", linewidth=1.2)
    lower.text(
        1.0, result.threshold, " threshold", transform=lower.get_yaxis_transform(), va="center", fontsize=12
    )
    lower.set(xlim=(0.0, seconds), ylim=(0.0, 1.02))
    lower.set_ylabel("probability of crying")
    lower.set_xlabel("hours:minutes:seconds" if seconds >= 3600 else "minutes:seconds")
    lower.xaxis.set_major_locator(MultipleLocator(tick_seconds(seconds)))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda time, _: clock(time).removesuffix(".0")))
    if title:
        # File names must not be parsed as formulas.
        figure.suptitle(f"{_shortened(title)}\n{verdict(result)}", fontsize=17, parse_math=False)
    for axes in (upper, strip, lower):
        axes.tick_params(labelsize=13, length=0 if axes is strip else 4)
        axes.xaxis.label.set_size(14)
        axes.yaxis.label.set_size(14)
    if dark:
        _darken(figure)
    file = io.BytesIO()
    figure.savefig(file, format=file_format, dpi=_PIXELS_PER_INCH, metadata=_NO_METADATA[file_format])
    return file.getvalue()


def _darken(figure: Figure) -> None:
    figure.set_facecolor(_DARK_PAPER)
    for axes in figure.axes:
        axes.set_facecolor(_DARK_PAPER)
        axes.tick_params(colors=_DARK_INK)
        for spine in axes.spines.values():
            spine.set_color(_DARK_INK)
        for text in (axes.xaxis.label, axes.yaxis.label, *axes.texts):
            text.set_color(_DARK_INK)
        for line in axes.lines:
            line.set_color(_DARK_TRACK if line.get_color() == _TRACK else _DARK_INK)


def verdict(result: Detection) -> str:
    """Summarises a result in one sentence.

    Examples:
        >>> from yamnet_cry.calibration import Calibration
        >>> verdict(Detection(np.zeros(3, np.float32), 0.5, Calibration(1.0, 0.0)))
        'No crying heard'
    """
    if not result.is_cry:
        return "No crying heard"
    total = sum(event.seconds for event in result.events)
    count = "once" if len(result.events) == 1 else f"{len(result.events)} times"
    return f"Crying heard {count}, {duration(total)} in all"


def overview(source: AudioSource, windows: int) -> Float32:
    """Computes a log-mel spectrogram, reduced to the width of a picture.

    Args:
        source: The recording.
        windows: Number of windows of the recording.

    Returns:
        float32 array of shape (columns, 64): per band, the maximum over the frames of each column.
    """
    frames = _frames(windows)
    step = max(1, math.ceil(frames / _COLUMNS))
    columns: Float32 = np.full((math.ceil(frames / step), YAMNET.mel_bands), -np.inf, np.float32)
    first = 0
    # No warning here if the recording is truncated: the result has `truncated`.
    for piece in whole_patches(audio.blocks(source, on_cut=lambda cut: None)):
        log_mel = YAMNET.log_mel(piece)
        index = (first + np.arange(len(log_mel))) // step
        np.maximum.at(columns, index, log_mel)
        first += len(log_mel) - YAMNET.patch_hop
    return columns


def _frames(windows: int) -> int:
    return YAMNET.patch_frames + YAMNET.patch_hop * (windows - 1)


def _peaks(times: NDArray[np.float64], track: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Downsamples a long track by the maximum, which keeps its peaks."""
    step = math.ceil(len(track) / _COLUMNS)
    if step == 1:
        return times, track
    starts = np.arange(0, len(track), step)
    return times[starts], np.maximum.reduceat(track, starts)


def band_of(hertz: float) -> float:
    """Returns the position of a frequency on the mel axis, in bands: 0.5 is the middle of the first.

    Examples:
        >>> round(band_of(1000.0), 1)
        20.0
    """
    edges = mel.hertz_to_mel(np.array([YAMNET.mel_min_hz, hertz, YAMNET.mel_max_hz]))
    return float((edges[1] - edges[0]) / (edges[2] - edges[0]) * (YAMNET.mel_bands + 1) - 0.5)


def tick_seconds(seconds: float) -> float:
    """Returns the seconds between ticks: a common unit of time, with at most six steps in total.

    Examples:
        >>> tick_seconds(60), tick_seconds(3600)
        (10, 600)
    """
    steps = (0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400)
    return next((step for step in steps if seconds / step <= 6), 86_400 * math.ceil(seconds / 6 / 86_400))


def _shortened(title: str) -> str:
    return title if len(title) <= 48 else f"{title[:22]}…{title[-25:]}"
