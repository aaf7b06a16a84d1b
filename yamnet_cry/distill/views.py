"""Views: augmented recordings made of the training clips, which teachers score like other clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from yamnet_cry.distill import augment
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.sections import Augmentation
from yamnet_cry.frontend import YAMNET, Float32
from yamnet_cry.task import Task

SOURCE = "augmented"

#: Target, in a manifest, of impulse responses of rooms.
IMPULSE_RESPONSE = "ir"

Item = TypeVar("Item")

_CURVE_HERTZ = np.array([60, 125, 250, 500, 1000, 2000, 4000, 8000], np.float32)


def make(clips: Sequence[Clip], settings: Augmentation, seed: int, task: Task) -> list[Clip]:
    """Makes views of the training clips.

    A view is rendered when it is read, always with the same samples, because its random choices depend only
    on the seed and its number. It has the labels of the foreground clip; its background is a clip known to
    be without the target or, for tasks without a target, a clip without labels or with the label
    ``settings.background``.

    Args:
        clips: The corpus; only its training split is used.
        settings: Number of views, and ranges of their transforms.
        seed: Random seed.
        task: The task that the labels are for.

    Returns:
        ``settings.views`` clips of the training split, or none if the clips that they need are missing.
    """
    training = [clip for clip in clips if clip.split == "train"]
    rooms = [clip for clip in training if clip.extra.get("target") == IMPULSE_RESPONSE]
    training = [clip for clip in training if clip.extra.get("target") != IMPULSE_RESPONSE]
    if task.group:
        target, opposite = task.clip_labels
        positive = [[clip for clip in training if target in clip.labels]]
        others = [clip for clip in training if target not in clip.labels]
        # Backgrounds must be known to be without the target, or the label of a view would be unknown.
        backgrounds = [clip for clip in others if opposite in clip.labels]
        possible = all((positive[0], backgrounds))
    else:
        # Sample labels uniformly, regardless of their number of clips.
        positive = [[clip for clip in training if label in clip.labels] for label in task.labels]
        others = [clip for clip in training if not clip.labels]
        named = (settings.background,) if settings.background else ()
        backgrounds = [clip for clip in training if clip.labels == named]
        possible = any(positive)
    views = []
    for number in range(settings.views if possible else 0):
        generator = np.random.default_rng((seed, number))
        chosen = generator.random() < settings.positive_share or not others
        pool = _drawn(positive, generator) if chosen else others
        foreground = _drawn(pool, generator)
        background = _drawn(backgrounds, generator) if backgrounds else None
        room = _drawn(rooms, generator) if rooms and settings.measured_rooms else None
        views.append(
            Clip(
                name=f"view-{number:06d}",
                labels=foreground.labels,
                split="train",
                group=foreground.group,
                source=SOURCE,
                open=View(foreground, background, room, settings, seed, number),
            )
        )
    return views


def _drawn(items: Sequence[Item], generator: np.random.Generator) -> Item:
    return items[int(generator.integers(len(items)))] if len(items) > 1 else items[0]


@dataclass(frozen=True, eq=False)
class View:
    """Renders one view, with random choices from a stream separate from that of `make`.

    Attributes:
        foreground: The foreground clip.
        background: The clip to mix in, or None.
        room: The impulse response of a room, or None.
        settings: Ranges of the transforms.
        seed: Random seed.
        number: Number of the view, counted from 0.
    """

    foreground: Clip
    background: Clip | None
    room: Clip | None
    settings: Augmentation
    seed: int
    number: int

    @property
    def origin(self) -> str:
        """Identifies its audio without rendering it."""
        clips = self.foreground, self.background, self.room
        made_of = [None if clip is None else clip.origin for clip in clips]
        # The total number of views does not affect this one.
        settings = {name: value for name, value in vars(self.settings).items() if name != "views"}
        return f"{made_of} {settings} {self._key}"

    @property
    def _key(self) -> tuple[int, int, int]:
        return self.seed, self.number, 1

    def __call__(self) -> tuple[Float32, int]:
        """Returns its float32 samples in [-1, 1], of shape (samples,), and their rate, 16,000 Hz."""
        generator = np.random.default_rng(self._key)
        background, room = (None if clip is None else clip.read() for clip in (self.background, self.room))
        wave = render(self.foreground.read(), background, self.settings, generator, room)
        return wave, YAMNET.sample_rate


def render(
    foreground: Float32,
    background: Float32 | None,
    settings: Augmentation,
    generator: np.random.Generator,
    room: Float32 | None = None,
) -> Float32:
    """Samples and applies the transforms of a view.

    Args:
        foreground: Samples of the foreground clip, float32 at 16 kHz.
        background: Samples of the clip to mix in, or None.
        settings: Probabilities and ranges of the transforms.
        generator: Source of all random choices.
        room: The impulse response of a room, or None.

    Returns:
        float32 samples at 16 kHz in [-1, 1].
    """

    def happens(probability: float) -> bool:
        return bool(generator.random() < probability)

    def within(bounds: tuple[float, float]) -> float:
        return float(generator.uniform(*bounds))

    wave = _cut(foreground, settings.seconds, generator)
    # Settings of 0 use no random numbers, so that recipes without them keep their views.
    if settings.shift_seconds:
        wave = augment.shifted(wave, within((-settings.shift_seconds, settings.shift_seconds)))
    if happens(settings.pitch):
        wave = augment.repitched(wave, within(settings.semitones))
    if happens(settings.speed):
        wave = augment.at_speed(wave, within(settings.rates))
    if background is not None and happens(settings.mix):
        other = _cut(background, settings.seconds, generator)
        snr_db = within(settings.snr_db)
        if settings.surround and len(other) > len(wave) and happens(settings.surround):
            start = int(generator.integers(len(other) - len(wave) + 1))
            wave = augment.surround(wave, other, snr_db, start)
        else:
            wave = augment.mix(wave, other, snr_db)
    if happens(settings.room):
        if room is not None and happens(settings.measured_rooms):
            wave = augment.in_measured_room(wave, room)
        else:
            wave = augment.in_room(wave, within(settings.room_seconds), within(settings.direct_db), generator)
    if happens(settings.noise):
        noise = augment.coloured_noise(len(wave), within((0.0, 2.0)), generator)
        wave = augment.mix(wave, noise, within(settings.noise_snr_db))
    if happens(settings.clip):
        wave = augment.clipped(wave, within((0.1, 0.7)))
    if happens(settings.curve):
        gains = generator.normal(0.0, settings.curve_db, len(_CURVE_HERTZ)).astype(np.float32)
        wave = augment.through_curve(wave, _CURVE_HERTZ, gains)
    if happens(settings.low_pass):
        wave = augment.low_passed(wave, within(settings.low_pass_hertz))
    return np.clip(augment.at_level(wave, within(settings.level_dbfs)), -1.0, 1.0)


def _cut(waveform: Float32, seconds: float, generator: np.random.Generator) -> Float32:
    """Returns a random part; shorter waveforms are not padded, because padding would be learnt."""
    count = int(seconds * YAMNET.sample_rate)
    start = int(generator.integers(max(1, len(waveform) - count + 1)))
    return waveform[start : start + count]
