"""The page's output for a recording, without a page."""

import numpy as np
import pytest
import soundfile

from yamnet_cry import CryDetector
from yamnet_cry.demo import nursery
from yamnet_cry.errors import AudioError
from yamnet_cry.report.plot import verdict
from yamnet_cry.space import recording
from yamnet_cry.space.recording import hear

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


def test_sensitivity_moves_events_without_hearing_again(detector, tmp_path, monkeypatch):
    path = tmp_path / "night.wav"
    soundfile.write(path, 0.02 * nursery(), 16_000)
    heard = hear(detector, path)
    path.unlink()
    monkeypatch.setattr(CryDetector, "__call__", None)
    lengths = [
        sum(event.seconds for event in heard.at(sensitivity).result.events)
        for sensitivity in (0.02, 0.3, 0.5, 0.7, 0.98)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
    assert heard.at(0.98).picture().startswith(b"\x89PNG")


def test_what_it_says_is_what_the_detector_says(detector, recordings):
    heard = hear(detector, recordings / "night.wav")
    expected = detector(recordings / "night.wav")
    assert heard.result.events == expected.events
    assert heard.result.logits is None
    assert f"{verdict(expected)}</strong>" in heard.headline()
    assert f"with a probability of {expected.probability * 100:.0f} %" in heard.headline()
    assert heard.table().count("<tr>") == 1 + len(expected.events)
    table, labels = heard.files().items()
    assert table[0] == "night.csv"
    assert table[1].splitlines()[1].startswith("night.wav,1,")
    assert labels[0] == "night.txt"
    assert labels[1].count("\tcrying ") == len(expected.events)
    assert "Baby cry, infant cry" in list(heard.classes)[:3]


def test_names_are_text_and_no_html(detector, tmp_path):
    path = tmp_path / '<img src=x onerror=alert(1)> $x^2$ " --> \n.wav'
    soundfile.write(path, nursery(), 16_000)
    heard = hear(detector, path)
    assert "<img" not in heard.headline() + heard.table() + heard.downloads()
    assert heard.downloads().count(" download=") == heard.downloads().count(" href=") == 2
    assert recording.card("problem", "<b>", "<i>").count("&lt;") == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [("broken.wav", "broken.wav"), ("empty.wav", "empty.wav is empty"), ("no.wav", "no such")],
)
def test_errors_name_the_file_and_not_its_place(detector, recordings, name, message):
    with pytest.raises(AudioError, match=message) as raised:
        hear(detector, recordings / name)
    assert str(recordings) not in str(raised.value)


def test_too_long(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "MAX_MINUTES", 1)
    path = tmp_path / "long.wav"
    soundfile.write(path, np.zeros(16_000 * 120), 16_000)
    with pytest.raises(AudioError, match="long.wav is longer than 1 minutes, the limit of this page"):
        hear(detector, path)
