"""yamnet-cry distill and evaluate give the same results on a cluster as on one machine."""

import json

import pytest
from click.testing import CliRunner

from yamnet_cry.cli import main
from yamnet_cry.distill import distill, recipes
from yamnet_cry.model.folder import METRICS, TFLITE

pytestmark = pytest.mark.slow

pytest.importorskip("ray", reason="needs the extra cluster")

SHORT = recipes.get(
    "reference",
    (
        "train.epochs=1",
        "train.batch_size=8",
        "augmentation.views=4",
        "augmentation.seconds=2",
        "student.blocks=[[16,2],[24,2]]",
    ),
)


def test_a_student_is_the_same(address, run_arguments, tmp_path):
    here = distill(out=tmp_path / "here", recipe=SHORT, **run_arguments)
    places = {"cache": tmp_path / "unused.sqlite", "partitions": tmp_path / "partitions"}
    there = distill(out=tmp_path / "there", recipe=SHORT, cluster=address, **{**run_arguments, **places})
    assert there.model == here.model
    for name in (TFLITE, METRICS):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


@pytest.mark.parametrize("model", ["released", "small_model"])
def test_metrics_are_the_same(model, address, request, synthetic_corpus, tmp_path):
    folder = request.getfixturevalue(model)
    corpus = synthetic_corpus if model == "released" else request.getfixturevalue("sounds")
    arguments = ["evaluate", str(folder), "--audio", str(corpus)]
    here = CliRunner().invoke(main, arguments)
    place = ["--cluster", address, "--partitions", str(tmp_path / "partitions")]
    there = CliRunner().invoke(main, [*arguments, *place])
    assert here.exit_code == there.exit_code == 0
    assert json.loads(there.stdout) == json.loads(here.stdout)


@pytest.fixture
def sounds(tmp_path):
    import numpy as np
    import soundfile
    from sounds import hiss, hum

    folder = tmp_path / "sounds"
    for label, wave in (("hum", hum(2)), ("hiss", hiss(2)), ("silence", np.zeros(32_000))):
        for number in range(12):
            path = folder / label / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, wave * (1 + number) / 12, 16_000)
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--audio", "a", "--partitions", "p"], "--partitions needs --cluster"),
        (
            ["--nights", "n", "--cluster", "auto"],
            "--nights cannot be combined with --cluster.",
        ),
    ],
)
def test_options_that_do_not_go_together(options, message):
    result = CliRunner().invoke(main, ["evaluate", "hub", *options])
    assert result.exit_code == 2
    assert message in result.stderr
