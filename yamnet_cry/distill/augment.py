"""Transforms of waveforms for augmentation: rooms, microphones, backgrounds, noise, pitch and tempo.

Each is a plain function of its parameters; random parameters are drawn in `views`. All take and
return float32 samples at 16 kHz, of shape (samples,).
"""

import numpy as np
from scipy.signal import fftconvolve

from yamnet_cry.frontend import YAMNET, Float32


def rms(waveform: Float32) -> float:
    """Returns the root mean square of a waveform's samples.

    Examples:
        >>> rms(np.array([3, -3], np.float32))
        3.0
    """
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def at_level(waveform: Float32, dbfs: float) -> Float32:
    """Scales a waveform to an RMS level in dBFS; silence stays silence.

    Examples:
        >>> round(rms(at_level(np.ones(4, np.float32), -20.0)), 3)
        0.1
    """
    level = rms(waveform)
    return waveform if level == 0 else (waveform * (10 ** (dbfs / 20) / level)).astype(np.float32)


def shifted(waveform: Float32, seconds: float) -> Float32:
    """Shifts a waveform to later times, or to earlier ones if ``seconds`` is negative; keeps its length.

    Examples:
        >>> shifted(np.ones(3, np.float32), 1 / 16_000).tolist()
        [0.0, 1.0, 1.0]
    """
    samples = round(seconds * YAMNET.sample_rate)
    before, after = max(0, samples), max(0, -samples)
    return np.pad(waveform, (before, after))[after : after + len(waveform)]


def mix(foreground: Float32, background: Float32, snr_db: float) -> Float32:
    """Mixes a background into a foreground, at a signal-to-noise ratio of their RMS.

    Args:
        foreground: The sound of interest; keeps its level.
        background: Repeated or cut to the same length.
        snr_db: Level of the foreground over that of the background, in decibels.

    Examples:
        >>> mix(np.ones(3, np.float32), np.ones(1, np.float32), 20.0).round(3).tolist()
        [1.100000023841858, 1.100000023841858, 1.100000023841858]
    """
    background = np.resize(background, len(foreground))
    level, other = rms(foreground), rms(background)
    if level == 0 or other == 0:
        return foreground
    return (foreground + background * (level / other * 10 ** (-snr_db / 20))).astype(np.float32)


def surround(foreground: Float32, background: Float32, snr_db: float, start: int) -> Float32:
    """Mixes a foreground into part of a longer background.

    Args:
        foreground: The sound of interest; keeps its level.
        background: At least ``start + len(foreground)`` samples; keeps its length.
        snr_db: Level of the foreground over that of the whole background, in decibels.
        start: Sample of the background at which the foreground begins.

    Examples:
        >>> surround(np.ones(1, np.float32), np.ones(3, np.float32), 0.0, 1).tolist()
        [1.0, 2.0, 1.0]
    """
    level, other = rms(foreground), rms(background)
    if level == 0 or other == 0:
        return foreground
    mixed = (background * (level / other * 10 ** (-snr_db / 20))).astype(np.float32)
    mixed[start : start + len(foreground)] += foreground
    return mixed


def in_room(waveform: Float32, seconds: float, direct: float, generator: np.random.Generator) -> Float32:
    """Adds reverberation, simulated by exponentially decaying noise (Moorer 1979).

    Args:
        waveform: The dry sound.
        seconds: Time in which the echo decays by 60 dB.
        direct: Level of the direct sound relative to the echo, in decibels.
        generator: Source of the noise.
    """
    count = max(1, int(seconds * YAMNET.sample_rate))
    decay = 10 ** (-3.0 * np.arange(count) / count)
    echo = generator.standard_normal(count) * decay
    echo *= 10 ** (-direct / 20) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    return fftconvolve(waveform, echo.astype(np.float32))[: len(waveform)].astype(np.float32)


def in_measured_room(waveform: Float32, response: Float32) -> Float32:
    """Adds the reverberation of a measured room impulse response; keeps level and timing.

    Args:
        waveform: The dry sound.
        response: The impulse response, float32 at 16 kHz. Samples before its highest peak, the direct sound,
            are cut off.

    Examples:
        >>> wet = in_measured_room(np.float32([1, 0, 0]), np.float32([0, 1, 0.5]))
        >>> float(wet[1] / wet[0]), round(rms(wet), 3) == round(rms(np.float32([1, 0, 0])), 3)
        (0.5, True)
    """
    echo = response[int(np.abs(response).argmax()) :]
    wet = fftconvolve(waveform, echo)[: len(waveform)].astype(np.float32)
    level = rms(wet)
    return wet if level == 0 else (wet * (rms(waveform) / level)).astype(np.float32)


def through_curve(waveform: Float32, hertz: Float32, gains_db: Float32) -> Float32:
    """Filters with a frequency response, such as that of a cheap microphone.

    Args:
        waveform: The sound.
        hertz: Frequencies, increasing; gains between them are interpolated linearly over log frequency.
        gains_db: The gain at each frequency, in decibels.
    """
    spectrum = np.fft.rfft(waveform)
    frequencies = np.maximum(1.0, np.fft.rfftfreq(len(waveform), 1 / YAMNET.sample_rate))
    gains = 10 ** (np.interp(np.log(frequencies), np.log(hertz), gains_db) / 20)
    return np.fft.irfft(spectrum * gains, len(waveform)).astype(np.float32)


def low_passed(waveform: Float32, hertz: float) -> Float32:
    """Attenuates frequencies above a cut-off, by 60 dB at 4/3 of it, as old codecs do.

    Examples:
        >>> tone = np.sin(2 * np.pi * 6000 * np.arange(16_000) / 16_000).astype(np.float32)
        >>> rms(low_passed(tone, 3000.0)) < 0.002
        True
    """
    edges = np.array([hertz, hertz * 4 / 3, hertz * 2], np.float32)
    return through_curve(waveform, edges, np.array([0.0, -60.0, -80.0], np.float32))


def clipped(waveform: Float32, share: float) -> Float32:
    """Clips peaks, as an overdriven microphone does.

    Args:
        waveform: The sound.
        share: Clipping level, as a share of the highest peak, in (0, 1].

    Examples:
        >>> clipped(np.array([1, -4, 2], np.float32), 0.5).tolist()
        [1.0, -2.0, 2.0]
    """
    limit = share * float(np.abs(waveform).max(initial=0.0))
    return np.clip(waveform, -limit, limit)


def repitched(waveform: Float32, semitones: float) -> Float32:
    """Shifts the pitch and keeps the tempo, by librosa's phase vocoder."""
    import librosa

    return librosa.effects.pitch_shift(waveform, sr=YAMNET.sample_rate, n_steps=semitones, res_type="soxr_qq")


def at_speed(waveform: Float32, rate: float) -> Float32:
    """Changes the tempo and keeps the pitch, by librosa's phase vocoder; above 1 is faster."""
    import librosa

    return librosa.effects.time_stretch(waveform, rate=rate)


def coloured_noise(samples: int, exponent: float, generator: np.random.Generator) -> Float32:
    """Synthesises noise with power proportional to f ** -exponent: 0 is white, 1 pink, 2 brown.

    Returns:
        float32 samples of RMS 1.
    """
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    spectrum[0] = 0.0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-exponent / 2)
    noise = np.fft.irfft(spectrum, samples)
    return (noise / max(np.sqrt(np.mean(noise**2)), 1e-12)).astype(np.float32)
