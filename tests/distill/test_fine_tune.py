"""The example that fine-tunes the released student."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from yamnet_cry import CryDetector

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "fine_tune.py"


def test_fine_tuning_writes_a_detector_that_knows_these_sounds(synthetic_corpus, tmp_path):
    out = tmp_path / "mine"
    result = subprocess.run(
        [sys.executable, EXAMPLE, synthetic_corpus, out, "--epochs", "8"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = {name: float(value) for name, value in re.findall(r"(before|after): AUC ([\d.]+)", result.stdout)}
    assert found["after"] >= found["before"] - 0.01
    mine, released = CryDetector.from_pretrained(out), CryDetector.from_pretrained()
    assert mine.config.files != released.config.files, "other weights"
    assert mine.config.parameters["total"] == released.config.parameters["total"]
