"""The C code against Python's, on what microphones give and on what they never give."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compiling import STRICT, compiled
from hypothesis import given, settings
from hypothesis import strategies as st

from yamnet_cry import CryDetector
from yamnet_cry.audioset import cry_score
from yamnet_cry.calibration import Calibration
from yamnet_cry.demo import nursery
from yamnet_cry.events import find_events
from yamnet_cry.firmware.kit import BUILDS, SOURCES, c_sources
from yamnet_cry.firmware.tables import mel_shares
from yamnet_cry.frontend import YAMNET

HERE = Path(__file__).parent
SANITIZED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DAY = 24 * 3600 * 100


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


def scenes() -> dict[str, np.ndarray]:
    """int16 samples: a nursery, noise loud and faint, tones at full scale, clicks, silence."""
    generator, time = np.random.default_rng(0), np.arange(32_000) / 16_000
    waves = {
        "nursery": nursery(),
        "noise": 0.1 * generator.standard_normal(32_000),
        "faint": 1e-4 * generator.standard_normal(32_000),
        "silence": np.zeros(32_000),
        "full scale": -np.ones(32_000),
        "clipped": np.where(generator.random(32_000) < 0.5, -1.0, 1.0),
        "440 Hz": np.sin(2 * np.pi * 440 * time),
        "3 kHz": np.sin(2 * np.pi * 3_000 * time),
        "square": np.sign(np.sin(2 * np.pi * 125 * time)),
        "highest": np.tile([-1.0, 1.0], 16_000),
        "chirp": np.sin(2 * np.pi * (100 + 1_900 * time) * time),
        "beats": np.sin(2 * np.pi * 1_000 * time) * np.sin(2 * np.pi * 3 * time),
        "clicks": (np.arange(32_000) % 4_000 == 0).astype(float),
    }
    return {
        name: np.clip(np.rint(32_768 * wave), -32_768, 32_767).astype(np.int16)
        for name, wave in waves.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", scenes())
def test_the_front_end_is_that_of_python(firmware, build, detector, name):
    samples = scenes()[name]
    expected = YAMNET.log_mel(samples.astype(np.float32) / 32_768)
    if build == "float":
        np.testing.assert_allclose(firmware.log_mel(samples), expected, rtol=0, atol=1e-3)
    inputs = YAMNET.patches(detector.student.quantize(expected))
    found = firmware.patches(samples)
    assert found.shape[0] == len(inputs)
    steps = np.abs(found.astype(int) - inputs)
    assert steps.max() <= 1
    assert (steps > 0).mean() <= 0.01


def test_the_shares_are_the_mel_matrix():
    first, upper_band, share = mel_shares()
    matrix = np.zeros((257, 66))
    for row, (band, upper) in enumerate(zip(upper_band, share, strict=True)):
        matrix[first + row, band : band + 2] = 1 - upper, upper
    np.testing.assert_allclose(matrix[:, 1:65], YAMNET.mel_matrix(), rtol=0, atol=1e-6)


@given(logits=st.lists(st.integers(-128, 127), min_size=521, max_size=521))
@settings(max_examples=50)
def test_scores_and_probabilities(firmware, detector, logits):
    values = np.array([logits], np.int8)
    expected = cry_score(detector.student.quantized(values).dequantized())
    (score,) = firmware.scores(values)
    assert score == pytest.approx(expected[0], abs=1e-6)
    calibration: Calibration = detector.config.calibration
    log_odds = firmware.code.yamnet_cry_log_odds(float(score))
    found = firmware.probabilities(np.array([log_odds]))[0]
    assert found == pytest.approx(float(calibration(score)), abs=1e-12)


@given(
    track=st.lists(st.floats(0, 1, width=32), max_size=120),
    threshold=st.floats(0.05, 0.95),
)
@settings(max_examples=200)
def test_events_are_those_of_python(firmware, detector, track, threshold):
    expected = find_events(track, threshold, detector.config.events)
    found = firmware.events(np.array(track), threshold)
    assert [(event.start, event.end, event.peak) for event in found] == [
        pytest.approx((event.start, event.end, event.peak), abs=1e-9) for event in expected
    ]
    assert [event.mean for event in found] == pytest.approx([event.mean for event in expected])


@pytest.mark.slow
@pytest.mark.parametrize("flags", BUILDS.values(), ids=BUILDS)
def test_no_sum_overflows_and_no_memory_is_overrun(compiler, kit, tmp_path, flags):
    sources = c_sources(kit)
    program = compiled(
        compiler,
        tmp_path / "extremes",
        *STRICT,
        *SANITIZED,
        *flags,
        f"-I{kit / SOURCES}",
        HERE / "extremes.c",
        *sources,
    )
    result = subprocess.run([program, "5000"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, ["PASS"]), result.stderr
    golden = compiled(
        compiler,
        tmp_path / "golden",
        *STRICT,
        *SANITIZED,
        *flags,
        f"-I{kit / SOURCES}",
        kit / "extras" / "host_test.c",
        kit / SOURCES / "yamnet_cry_self_test.c",
        *sources,
    )
    result = subprocess.run([golden], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, ["PASS"]), (
        result.stdout + result.stderr
    )


@pytest.mark.slow
@pytest.mark.parametrize(("build_name", "hops"), [("float", DAY), ("fixed point", DAY // 10)])
def test_a_day_does_not_drift(compiler, kit, detector, tmp_path, build_name, hops):
    sources = c_sources(kit)
    program = compiled(
        compiler,
        tmp_path / "day",
        *STRICT,
        "-O2",
        *BUILDS[build_name],
        f"-I{kit / SOURCES}",
        HERE / "extremes.c",
        *sources,
    )
    result = subprocess.run([program, str(hops)], capture_output=True, text=True, check=False)
    found = re.match(r"(\d+) patches, (\d+) events, the last until ([\d.]+) s\nPASS\n", result.stdout)
    assert found, result.stdout
    patches = (hops - 98) // 48 + 1
    assert int(found[1]) == patches
    # The event of the last whole scene: its last window is the 14th of 20, or a later one that is averaged
    # with it.
    smoothing = detector.config.events.smoothing
    last = 20 * (patches // 20 - 1) + 12 + smoothing
    # Of the windows that are averaged, the middle.
    middle = (0.96 - (smoothing - 1) * 0.48) / 2
    assert float(found[3]) == pytest.approx(last * 0.48 + middle, abs=0.005)


@pytest.mark.parametrize(
    "flags",
    [
        ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"),
        ("-mcpu=cortex-m0plus", "-DYAMNET_CRY_FIXED_POINT"),
    ],
    ids=["cortex-m4", "cortex-m0plus"],
)
def test_it_builds_for_32_bits_with_nothing_but_libm(kit, tmp_path, flags):
    cross = shutil.which("arm-none-eabi-gcc")
    if cross is None:
        pytest.skip("no cross compiler: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    needed: set[str] = set()
    for source in c_sources(kit):
        out = tmp_path / f"{source.name}.o"
        subprocess.run([cross, *STRICT, "-Os", "-mthumb", *flags, "-c", source, "-o", out], check=True)
        listing = subprocess.run(
            ["arm-none-eabi-nm", "-u", out], capture_output=True, text=True, check=True
        ).stdout
        needed |= set(listing.replace("U ", "").split())
    helpers = {name for name in needed if name.startswith("__aeabi_")}
    memory, libm = (
        {"memcpy", "memmove", "memset"},
        {"floorf", "log", "log1p", "tanh", "logf", "sqrtf", "rintf", "lrintf"},
    )
    assert needed - helpers <= memory | libm
    if "-DYAMNET_CRY_FIXED_POINT" in flags:
        assert needed - helpers <= memory | {"floorf", "log", "log1p", "tanh"}
