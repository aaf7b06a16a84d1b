"""Sounds that the tests' small model distinguishes."""

import numpy as np


def hum(seconds: float) -> np.ndarray:
    """Low tones, float32 at 16 kHz."""
    time = np.arange(round(16_000 * seconds)) / 16_000
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in range(150, 1_000, 50))
    return (0.05 * np.asarray(tones)).astype(np.float32)


def hiss(seconds: float) -> np.ndarray:
    """Noise without low frequencies, float32 at 16 kHz."""
    noise = np.random.default_rng(0).standard_normal(round(16_000 * seconds) + 2)
    return (0.1 * np.diff(noise, 2)).astype(np.float32)
