"""A folder of clips, recorded as `listen` records them."""

import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from yamnet_cry.demo import nursery
from yamnet_cry.home.clips import Recorder

# Source, day of November, hour, minute, second; four groups of source and night.
MOMENTS = (
    ("nursery", 23, 21, 48, 31.6),
    ("kitchen", 24, 0, 2, 55.1),
    ("nursery", 24, 11, 59, 59.9),
    ("nursery", 24, 12, 0, 0.0),
    ("nursery", 26, 3, 12, 7.25),
)


@pytest.fixture(scope="session")
def _recorded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "clips"
    for number, (source, day, hour, minute, second) in enumerate(MOMENTS):
        began = datetime(2026, 11, day, hour, minute, tzinfo=timezone(timedelta(hours=1)))
        began += timedelta(seconds=second)
        end = 13.0 + 1.5 * number
        common = {"id": "1", "source": source, "start": 9.0}
        common["started_at"] = began.isoformat(timespec="milliseconds")
        ended = {
            "end": end,
            "ended_at": common["started_at"],
            "seconds": end - 9.0,
            "peak": 0.93,
            "mean": 0.7,
        }
        recorder = Recorder(folder, source, 5.0, pytest.fail)
        recorder.push(nursery(28.0, 9.0, end, seed=number).astype(np.float32))
        recorder.started({"event": "started", **common, "probability": 0.8})
        recorder.ended({"event": "ended", **common, **ended, "interrupted": number == 1})
        recorder.close()
    return folder


@pytest.fixture
def recorded(_recorded_once: Path, tmp_path: Path) -> Path:
    """Five clips, each of a cry that begins after nine seconds and lasts from four to ten."""
    return shutil.copytree(_recorded_once, tmp_path / "clips")
