"""Runs a model on a clip of a corpus."""

import numpy as np

from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.frontend import YAMNET


def hear(classifier: Classifier, clip: Clip) -> Float64:
    """Runs a model on a clip.

    Returns:
        float64 of shape (n,): for a detector, the probability of crying, and 1 if there is an event, else 0;
        for any other model, the probability of each label.

    Raises:
        AudioError: If the clip cannot be read.
    """
    audio = clip.read(), YAMNET.sample_rate
    if not classifier.config.task.group:
        return classifier(audio).label_probabilities
    result = as_detector(classifier)(audio)
    return np.array([result.probability, float(result.is_cry)])


def as_detector(classifier: Classifier) -> CryDetector:
    """Returns a model of crying as a detector; a detector is returned unchanged."""
    if isinstance(classifier, CryDetector):
        return classifier
    return CryDetector(classifier.config, classifier.model, classifier.context)
