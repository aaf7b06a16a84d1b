"""What a model hears in a clip of a corpus."""

import numpy as np

from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.distill.corpus import Clip
from yamnet_cry.distill.metrics import Float64
from yamnet_cry.frontend import YAMNET


def hear(classifier: Classifier, clip: Clip) -> Float64:
    """Lets a model hear a clip.

    Returns:
        float64 of shape (n,): of a detector the probability that a baby cries in it, and 1 if there is an
        event; of any other model the probability of each label.

    Raises:
        AudioError: If it cannot be read.
    """
    audio = clip.read(), YAMNET.sample_rate
    if not classifier.config.task.group:
        return classifier(audio).label_probabilities
    result = as_detector(classifier)(audio)
    return np.array([result.probability, float(result.is_cry)])


def as_detector(classifier: Classifier) -> CryDetector:
    """Returns a model of crying as a detector, which it may be already."""
    if isinstance(classifier, CryDetector):
        return classifier
    return CryDetector(classifier.config, classifier.model, classifier.context)
