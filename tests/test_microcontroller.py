"""The released model in the real TFLite-Micro interpreter."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from yamnet_cry.audioset import cry_score
from yamnet_cry.demo import nursery
from yamnet_cry.frontend import YAMNET
from yamnet_cry.model import folder as model_folder

micro = pytest.importorskip("tflite_micro.python.tflite_micro", reason="no TFLite-Micro here").runtime

ARENA_BYTES = 64 * 1024


def test_a_microcontroller_gives_the_same_answers(released):
    config, tflite, context = model_folder.load(released)
    student = model_folder.student(config, tflite, context)
    log_mel = YAMNET.log_mel(nursery())
    inputs = YAMNET.patches(student.quantize(log_mel))[..., None]

    microcontroller = micro.Interpreter.from_bytes(tflite, arena_size=ARENA_BYTES)
    kernels = Interpreter(
        model_content=tflite,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    kernels.allocate_tensors()
    # The second output, embeddings, feeds the context network.
    number, _ = student.output_numbers
    steps, expected = [], []
    for patch in inputs:
        microcontroller.set_input(patch[None], 0)
        microcontroller.invoke()
        steps.append(microcontroller.get_output(number)[0].astype(np.float32))
        kernels.set_tensor(kernels.get_input_details()[0]["index"], patch[None])
        kernels.invoke()
        expected.append(kernels.get_tensor(kernels.get_output_details()[number]["index"])[0])
    assert np.abs(np.array(steps) - np.array(expected)).max() <= 1
    # XNNPACK, which the detector uses, rounds differently between layers.
    scores = cry_score((np.array(steps) - student.output_zero_point) * student.output_scale)
    np.testing.assert_allclose(scores, cry_score(student.logits(log_mel)), atol=0.1)


def test_it_stays_in_its_budget(released):
    import keras

    assert (released / model_folder.TFLITE).stat().st_size <= 113_500
    student = keras.models.load_model(released / model_folder.KERAS)
    products = 0
    for layer in student.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D | keras.layers.Conv2D | keras.layers.Dense):
            positions = int(np.prod(layer.output.shape[1:-1]))
            products += positions * int(np.prod(layer.kernel.shape))
    assert 1_000_000 < products <= 1_250_000
