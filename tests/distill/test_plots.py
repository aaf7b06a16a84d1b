import numpy as np
import pytest
from matplotlib.image import imread

from yamnet_cry.distill import plots


@pytest.mark.slow
def test_an_evaluation_is_drawn(tmp_path):
    generator = np.random.default_rng(0)
    is_cry = generator.random(80) < 0.4
    values = {name: np.clip(generator.normal(0.3 + 0.4 * is_cry, 0.2), 0, 1) for name in ("int8", "teacher")}
    plots.evaluation(tmp_path / "a.png", is_cry, values)
    picture = imread(tmp_path / "a.png")
    assert picture.shape[:2] == (1080, 1200)
    colours = {tuple(pixel) for pixel in (picture[..., :3] * 255).round().astype(int).reshape(-1, 3)}
    blue, orange, red, gray = (31, 119, 180), (255, 127, 14), (214, 39, 40), (127, 127, 127)
    assert {blue, orange, red, gray} <= colours


def test_the_same_evaluation_gives_the_same_picture(tmp_path):
    is_cry, values = np.array([True, False, True]), {"int8": np.array([0.9, 0.2, 0.4])}
    for name in ("a.png", "b.png"):
        plots.evaluation(tmp_path / name, is_cry, values)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_training_is_drawn(tmp_path):
    history = [{"loss": 3.0, "val_loss": 3.5}, {"loss": 2.0, "val_loss": 3.0}]
    plots.training(tmp_path / "t.png", {"student": history, "context network": history})
    assert imread(tmp_path / "t.png").shape[:2] == (540, 1920)
    plots.training(tmp_path / "one.png", {"student": history})
    assert imread(tmp_path / "one.png").shape[:2] == (540, 960)


def test_confusions_are_drawn(tmp_path):
    plots.confusion(tmp_path / "c.png", ["cat", "dog"], np.array([[9, 1], [0, 0]]))
    picture = imread(tmp_path / "c.png")[..., :3]
    assert picture.shape[0] == picture.shape[1] == 480
    # The darkest cell is that of 90 %.
    assert picture.min(axis=(0, 1)).max() < 0.2


def test_labels_are_drawn_with_their_intervals(tmp_path):
    measured = {"cat": {"auc": {"value": 0.9, "low": 0.8, "high": 1.0}}, "dog": {"clips": 3}}
    plots.per_label(tmp_path / "l.png", measured, "auc", "AUC")
    assert imread(tmp_path / "l.png").shape[1] == 960
