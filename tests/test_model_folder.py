import json

import pytest

from yamnet_cry import CryDetector
from yamnet_cry.errors import ModelError
from yamnet_cry.model_folder import CONFIG, KERAS, TFLITE, fingerprint, load


def edit(folder, **changes):
    path = folder / CONFIG
    config = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del config[key]
        else:
            config[key] = value
    path.write_text(json.dumps(config))


def test_config_is_written_as_it_was_read(released):
    config, model = load(released)
    assert config.to_json() == (released / CONFIG).read_text()
    assert config.files[TFLITE] == fingerprint(model)
    assert config.files[KERAS] == fingerprint((released / KERAS).read_bytes())


@pytest.mark.parametrize("name", [CONFIG, TFLITE])
def test_a_missing_file(model_copy, name):
    (model_copy / name).unlink()
    with pytest.raises(ModelError, match=f"is no model folder: it has no {name}"):
        CryDetector.from_pretrained(model_copy)


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "song.mp3").write_bytes(b"")
    with pytest.raises(ModelError, match="is no model folder"):
        CryDetector.from_pretrained(tmp_path)


@pytest.mark.parametrize("cut", [0, 1_000])
def test_a_model_cut_short(model_copy, cut):
    path = model_copy / TFLITE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        ModelError, match=f'is not the file that {CONFIG} describes.*Received: .*"?bytes"?.*{cut}'
    ):
        CryDetector.from_pretrained(model_copy)


def test_a_model_with_one_flipped_bit(model_copy):
    path = model_copy / TFLITE
    content = bytearray(path.read_bytes())
    content[60_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not the file"):
        CryDetector.from_pretrained(model_copy)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[1, 2]", "is of a foreign format"),
        (b'{"model_type": "bert"}', "is of a foreign format.*Received: None"),
    ],
)
def test_a_corrupt_or_foreign_config(model_copy, content, message):
    (model_copy / CONFIG).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "version 2; this package reads 1: pip install --upgrade yamnet-cry"),
        ({"format_version": "x"}, "version 'x'; this package reads 1$"),
        ({"front_end": {"name": "mfcc"}}, "another front end"),
        ({"threshold": None}, "lacks the field 'threshold'"),
        ({"threshold": 3}, r"threshold in \[0, 1\]. Received: 3"),
        ({"threshold": "high"}, "Received: 'high'"),
        ({"files": []}, "files to be an object"),
        ({"calibration": None}, "lacks the field 'calibration'"),
        ({"calibration": {"slope": 1}}, "calibration or events cannot be used: .*intercept"),
        ({"calibration": {"slope": -1, "intercept": 0}}, "a positive slope .* Received: .*slope=-1"),
        ({"calibration": {"slope": "a", "intercept": 0}}, "calibration or events cannot be used"),
        ({"calibration": "platt"}, "calibration or events cannot be used"),
        ({"events": None}, "lacks the field 'events'"),
        ({"events": {"smoothing": 0}}, "expected smoothing >= 1"),
        ({"events": {"patience": 3}}, "calibration or events cannot be used: .*patience"),
    ],
)
def test_a_config_that_cannot_be_used(model_copy, changes, message):
    edit(model_copy, **changes)
    with pytest.raises(ModelError, match=message):
        CryDetector.from_pretrained(model_copy)
