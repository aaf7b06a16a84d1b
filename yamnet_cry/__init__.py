"""Baby cry detection with YAMNet's log-mel front end and a tiny INT8 student of YAMNet.

>>> from yamnet_cry import CryDetector
>>> detector = CryDetector.from_pretrained()
"""

from importlib.metadata import version

from yamnet_cry.classification import Classification
from yamnet_cry.classifier import Classifier
from yamnet_cry.detector import CryDetector
from yamnet_cry.errors import YamnetCryError
from yamnet_cry.events import Event
from yamnet_cry.results import Detection
from yamnet_cry.streaming import Update

__all__ = [
    "Classification",
    "Classifier",
    "CryDetector",
    "Detection",
    "Event",
    "Update",
    "YamnetCryError",
    "__version__",
]

__version__ = version("yamnet-cry")
