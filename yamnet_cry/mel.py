"""Mel scales, and the filter banks that turn FFT bins into mel bands."""

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

# Slaney's scale: hertz per mel below 1000 Hz, and the natural logarithm of the ratio per mel above.
_LINEAR_STEP = 200.0 / 3.0
_LOG_START_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def hertz_to_mel(hertz: Float64, scale: str = "htk") -> Float64:
    """Converts frequencies to mels.

    Args:
        hertz: float64 array of any shape, not negative.
        scale: ``htk`` with the constants of tf.signal (mel_ops.py), 1127 ln(1 + f / 700); or ``slaney``,
            that of Slaney's Auditory Toolbox and librosa, linear below 1000 Hz and logarithmic above.

    Returns:
        float64 array of the same shape.

    Examples:
        >>> hertz_to_mel(np.array([0.0, 700.0])).round(1).tolist()
        [0.0, 781.2]
        >>> hertz_to_mel(np.array([100.0, 6400.0]), "slaney").tolist()
        [1.5, 42.0]
    """
    if scale == "htk":
        return 1127.0 * np.log1p(hertz / 700.0)
    above = np.log(np.maximum(hertz, _LOG_START_HZ) / _LOG_START_HZ) / _LOG_STEP
    return np.minimum(hertz, _LOG_START_HZ) / _LINEAR_STEP + above


def filter_bank(
    bins_hz: Float64, low_hz: float, high_hz: float, bands: int, scale: str = "htk"
) -> NDArray[np.float32]:
    """Returns the weights that turn the spectrum of a frame into mel bands.

    Centres are spaced evenly on the mel scale; each triangle extends between the centres of its neighbours.
    The scale determines the shape: ``htk`` as in ``tf.signal.linear_to_mel_weight_matrix``, linear in mel
    with a peak of 1; ``slaney`` as in ``librosa.filters.mel``, linear in hertz with an area of 1. The weight
    of the DC bin is 0.

    Args:
        bins_hz: float64 array of shape (bins,), the frequencies of FFT bins, from 0.
        low_hz: Lower edge of the first triangle, in hertz.
        high_hz: Upper edge of the last triangle, in hertz.
        bands: Number of triangles.
        scale: ``htk`` or ``slaney``.

    Returns:
        float32 array of shape (bins, bands), not negative.

    Examples:
        >>> filter_bank(np.linspace(0.0, 8000.0, 257), 125.0, 7500.0, 64).shape
        (257, 64)
    """
    low, high = hertz_to_mel(np.array([low_hz, high_hz]), scale)
    edges = np.linspace(low, high, bands + 2)
    if scale == "htk":
        bins, height = hertz_to_mel(bins_hz)[:, None], np.ones(bands)
    else:
        edges = np.where(
            edges < hertz_to_mel(np.array(_LOG_START_HZ), scale),
            edges * _LINEAR_STEP,
            _LOG_START_HZ * np.exp(_LOG_STEP * (edges - _LOG_START_HZ / _LINEAR_STEP)),
        )
        bins, height = bins_hz[:, None], 2.0 / (edges[2:] - edges[:-2])
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rising, falling)) * height
    weights[0] = 0.0
    return weights.astype(np.float32)
