"""Views: augmented recordings made of the training clips, which the teacher judges like any other."""

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

#: Target, in a manifest, of what is no sound but the impulse response of a room.
IMPULSE_RESPONSE = "ir"

Item = TypeVar("Item")

_CURVE_HERTZ = np.array([60, 125, 250, 500, 1000, 2000, 4000, 8000], np.float32)


def make(clips: Sequence[Clip], settings: Augmentation, seed: int, task: Task) -> list[Clip]:
    """Makes views of the training clips.

    A view exists only when it is read, and then always as the same samples: everything about it is
    drawn from the seed and its number. It has the labels of the clip in the foreground; what is mixed under
    it is a clip that is known not to hold the target or, for tasks without one, a clip without labels or with
    that of ``settings.background``.

    Args:
        clips: The corpus; only its training split is used.
        settings: How many views, and of what kind.
        seed: Seed of all draws.
        task: What the labels are for.

    Returns:
        ``settings.views`` clips of the training split, or none if there is nothing to make them of.
    """
    training = [clip for clip in clips if clip.split == "train"]
    rooms = [clip for clip in training if clip.extra.get("target") == IMPULSE_RESPONSE]
    training = [clip for clip in training if clip.extra.get("target") != IMPULSE_RESPONSE]
    if task.group:
        target, opposite = task.clip_labels
        positive = [[clip for clip in training if target in clip.labels]]
        others = [clip for clip in training if target not in clip.labels]
        # Backgrounds must be known not to hold the target, or a view's label would not be known either.
        backgrounds = [clip for clip in others if opposite in clip.labels]
        possible = all((positive[0], backgrounds))
    else:
        # Every label as often as any other, however many clips it has.
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
    """Opens one view; the draws continue where `make` chose the clips, on a stream of their own.

    Attributes:
        foreground: What is to be heard.
        background: What may be mixed under it, if anything.
        room: The impulse response of a room, if there is one.
        settings: Of what kind it is.
        seed: Of all draws.
        number: Of the view, from 0 on.
    """

    foreground: Clip
    background: Clip | None
    room: Clip | None
    settings: Augmentation
    seed: int
    number: int

    @property
    def origin(self) -> str:
        """By what its audio is known again without being rendered."""
        clips = self.foreground, self.background, self.room
        made_of = [None if clip is None else clip.origin for clip in clips]
        # How many views there are besides is nothing of this one.
        settings = {name: value for name, value in vars(self.settings).items() if name != "views"}
        return f"{made_of} {settings} {self._key}"

    @property
    def _key(self) -> tuple[int, int, int]:
        return self.seed, self.number, 1

    def __call__(self) -> tuple[Float32, int]:
        """Returns its float32 samples in [-1, 1], of shape (samples,), and their rate, 16,000 hertz."""
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
    """Draws and applies every transform of a view.

    Args:
        foreground: What is to be heard.
        background: What may be mixed under it, if anything.
        settings: How likely each transform is, and in which range.
        generator: Source of all draws.
        room: The impulse response of a room, if there is one.

    Returns:
        float32 samples at 16 kHz in [-1, 1].
    """

    def happens(probability: float) -> bool:
        return bool(generator.random() < probability)

    def within(bounds: tuple[float, float]) -> float:
        return float(generator.uniform(*bounds))

    wave = _cut(foreground, settings.seconds, generator)
    # Settings of 0 draw nothing, so that recipes without them keep their views.
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
    """Takes a part at random; what is shorter is kept whole, since padding would be learnt."""
    count = int(seconds * YAMNET.sample_rate)
    start = int(generator.integers(max(1, len(waveform) - count + 1)))
    return waveform[start : start + count]
