"""The whole chain on real recordings, C front end, TFLite-Micro and C events, beside Python's detector."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from yamnet_cry import CryDetector, features
from yamnet_cry.calibration import pooled
from yamnet_cry.classes import cry_score
from yamnet_cry.distill import corpus
from yamnet_cry.events import Event, find_events
from yamnet_cry.features import PATCH_HOP_SECONDS
from yamnet_cry.firmware.golden import micro_logits


@pytest.fixture(scope="module")
def detector() -> CryDetector:
    return CryDetector.from_pretrained()


@pytest.fixture(scope="module")
def recordings(shared) -> tuple[list[np.ndarray], np.ndarray]:
    clips = corpus.require(corpus.load(str(shared / "audio")), "test")
    waves = [np.clip(np.rint(clip.read() * 32_768), -32_768, 32_767).astype(np.int16) for clip in clips]
    return waves, np.array([clip.target == "cry" for clip in clips])


def padded(samples: np.ndarray) -> np.ndarray:
    """Whole patches as Python pads them, and whole hops as a microphone gives them."""
    whole = features.pad(samples.astype(np.float32))
    return np.concatenate([samples, np.zeros(len(whole) - len(samples) + 80, np.int16)])


def scores_of(detector: CryDetector, logits: np.ndarray) -> np.ndarray:
    steps = logits.astype(np.float32) - detector._student.output_zero_point
    return cry_score(steps * np.float32(detector._student.output_scale))


def inputs_of(detector: CryDetector, samples: np.ndarray) -> np.ndarray:
    log_mel = features.log_mel(features.pad(samples.astype(np.float32) / 32_768))
    return features.patches(detector._student.quantize(log_mel))


def spans(events: list[Event]) -> list[tuple[float, float]]:
    return [(round(event.start, 2), round(event.end, 2)) for event in events]


def test_tflite_micro_is_litert_to_one_step(detector, recordings):
    kernels = Interpreter(
        model_content=detector.model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    kernels.allocate_tensors()
    given, found = kernels.get_input_details()[0]["index"], kernels.get_output_details()[0]["index"]
    patches = np.concatenate([inputs_of(detector, samples) for samples in recordings[0]])
    expected = []
    for patch in patches:
        kernels.set_tensor(given, patch[None, :, :, None])
        kernels.invoke()
        expected.append(kernels.get_tensor(found)[0])
    steps = np.abs(micro_logits(detector.model, patches).astype(int) - np.array(expected))
    assert len(patches) > 4_000
    assert steps.max() <= 1


def test_the_chain_hears_what_python_hears(firmware, build, detector, recordings):
    from sklearn.metrics import roc_auc_score

    waves, is_cry = recordings
    threshold, settings = detector.threshold, detector.config.events
    found, expected = [], []
    steps = np.zeros(3)
    other_events, other_verdicts = [], 0
    for samples in waves:
        inputs, patches = inputs_of(detector, samples), firmware.patches(padded(samples))
        difference = np.abs(patches.astype(int) - inputs)
        steps += difference.max() > 1, (difference > 0).sum(), difference.size

        scores = firmware.scores(micro_logits(detector.model, patches))
        here = firmware.events(firmware.probabilities(scores), threshold)
        result = detector((samples, 16_000))
        found.append(pooled(scores))
        expected.append(pooled(result.scores))
        other_verdicts += spans(here) != spans(result.events)

        # The same network behind Python's front end and Python's events.
        micro = scores_of(detector, micro_logits(detector.model, inputs))
        there = find_events(detector.config.calibration(micro), threshold, settings)
        if spans(here) != spans(there):
            other_events.append((spans(here), spans(there)))

    assert steps[0] == 0, "every input within one step"
    assert steps[1] / steps[2] <= 0.005
    assert abs(roc_auc_score(is_cry, found) - roc_auc_score(is_cry, expected)) <= 0.002
    # A step of the input can carry a window across the threshold, and then an event begins or ends otherwise,
    # in one recording in a hundred; there are neither more events nor less.
    assert len(other_events) <= (1 if build == "float" else 4), other_events
    for here, there in other_events:
        assert len(here) == len(there)
        if build == "float":
            assert np.array(here) == pytest.approx(np.array(there), abs=PATCH_HOP_SECONDS + 0.01)
    # XNNPACK, on which the detector runs, rounds between layers in a way of its own.
    assert other_verdicts <= 0.05 * len(waves)
