"""A synthesised nursery at night: a quiet room, a crying baby, a quiet room again.

The cry is synthetic: a sum of harmonics with the formants of an infant's voice, which YAMNet, a network
trained on real recordings, classifies as a baby crying. It shows that the tools work; it says nothing
about their accuracy on real babies.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000

Samples = NDArray[np.float64]

# Formants of an infant's short vocal tract: centre and width in hertz, and gain.
FORMANTS = ((1100.0, 250.0, 1.0), (3300.0, 500.0, 0.8), (5600.0, 800.0, 0.35))


def cry(seconds: float, pitch: float, generator: np.random.Generator) -> Samples:
    """Synthesises one cry of one breath: the pitch rises, holds and falls, with more noise towards the end.

    Args:
        seconds: Length of the cry.
        pitch: Highest fundamental frequency in hertz; infants cry at 350 to 600.
        generator: Random number generator for all variation.
    """
    count = int(seconds * SAMPLE_RATE)
    phase = np.linspace(0.0, 1.0, count)
    melody = pitch * (0.72 + 0.28 * np.sin(np.pi * np.clip(phase * 1.15, 0, 1)) ** 0.6)
    wander = np.cumsum(generator.standard_normal(count)) / np.sqrt(count)
    fundamental = melody * (1 + 0.006 * np.sin(2 * np.pi * 6.5 * phase * seconds) + 0.01 * wander)
    angle = 2 * np.pi * np.cumsum(fundamental) / SAMPLE_RATE
    wave = np.zeros(count)
    for harmonic in range(1, 19):
        frequency = harmonic * fundamental
        gain = sum(g / (1 + ((frequency - centre) / width) ** 2) for centre, width, g in FORMANTS) + 0.08
        wave += np.where(frequency < 7600, gain, 0.0) * np.sin(harmonic * angle) / harmonic**0.35
    breath = generator.standard_normal(count) * 0.12 * (0.4 + phase)
    envelope = np.minimum(1.0, phase * seconds / 0.06) * np.minimum(1.0, (1 - phase) * seconds / 0.15)
    wave = (wave / np.abs(wave).max() + breath) * envelope
    return wave * (0.8 + 0.2 * np.sin(np.pi * phase))


def room(wave: Samples, generator: np.random.Generator) -> Samples:
    """Adds the reverberation of a small furnished room, 0.25 s long."""
    count = int(0.25 * SAMPLE_RATE)
    echo = generator.standard_normal(count) * np.exp(-np.arange(count) / (0.05 * SAMPLE_RATE)) * 0.03
    echo[0] = 1.0
    return np.convolve(wave, echo)[: len(wave)]


def nursery(
    seconds: float = 20.0, first: float = 6.0, last: float = 14.0, seed: int = 7
) -> NDArray[np.float32]:
    """Synthesises the whole scene, with crying from ``first`` to ``last``, in seconds.

    Returns:
        float32 samples at 16 kHz in [-1, 1].
    """
    generator = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    hum = np.cumsum(generator.standard_normal(count))
    hum -= np.convolve(hum, np.ones(400) / 400, mode="same")
    scene = np.zeros(count)
    start = first
    while start < last:
        length = generator.uniform(0.8, 1.3)
        wave = cry(length, generator.uniform(430, 520), generator)
        begin = int(start * SAMPLE_RATE)
        wave = wave[: count - begin]
        scene[begin : begin + len(wave)] += 0.35 * generator.uniform(0.8, 1.0) * wave
        start += length + generator.uniform(0.25, 0.45)
    scene = room(scene, generator) + 0.002 * hum / np.abs(hum).max() * 4
    return scene.astype(np.float32)
