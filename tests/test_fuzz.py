"""Damaged and hostile input is either used or refused; benchmarks/fuzz.py tries 10,000 inputs."""

import fuzz
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = fuzz.cases()


@pytest.mark.slow
@settings(max_examples=400)
@given(number=st.integers(0, len(CASES) - 1), seed=st.integers(0, 2**32 - 1))
def test_damage_is_refused_or_harmless(number, seed):
    _, data, read, damage = CASES[number]
    assert fuzz.attempt(read, damage(data, np.random.default_rng(seed))) in ("used", "refused")


@pytest.mark.parametrize("case", CASES, ids=[name for name, _, _, _ in CASES])
def test_what_is_damaged_was_whole(case):
    name, data, read, _ = case
    # Pipes do not support the one encoding that is not PCM.
    assert fuzz.attempt(read, data) == ("refused" if name == "WAV IMA_ADPCM through a pipe" else "used")


def test_what_must_not_happen_is_told():
    def crash(data: bytes) -> None:
        raise RuntimeError("bug")

    assert fuzz.attempt(crash, b"") == "RuntimeError: bug"
    same = np.random.default_rng(0), np.random.default_rng(0)
    assert fuzz.mutated(b"a" * 99, same[0]) == fuzz.mutated(b"a" * 99, same[1]) != b"a" * 99
