"""A model folder of this package as a teacher: a student teaches another student."""

from collections.abc import Sequence
from pathlib import Path

from yamnet_cry.classifier import Classifier
from yamnet_cry.distill.teachers.batches import predicted
from yamnet_cry.distill.teachers.fingerprint import fingerprint
from yamnet_cry.errors import ModelError, TeacherError
from yamnet_cry.frontend import Float32
from yamnet_cry.model.folder import CONFIG, KERAS


class StudentTeacher:
    """The Keras model of a model folder, in full precision.

    Args:
        folder: The model folder.

    Raises:
        TeacherError: If it is not a model folder, or has no Keras model.
    """

    def __init__(self, folder: Path) -> None:
        try:
            classifier = Classifier.from_pretrained(folder)
            self._model = classifier.keras_model
        except ModelError as error:
            raise TeacherError(f"{folder} cannot be used as a teacher: {error}") from None
        task = classifier.config.task
        self._front_end, self.labels, self.kind = classifier.config.front_end, task.labels, task.kind
        self.name = f"{classifier.config.recipe}, {classifier.config.parameters['total']:,} parameters"
        # Includes the configuration, because another front end would give other logits.
        self.fingerprint = f"{fingerprint(folder / KERAS)} {fingerprint(folder / CONFIG)}"

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Classifies every window; see `Teacher`."""
        each = [self._front_end.patches(self._front_end.log_mel(waveform)) for waveform in waveforms]
        return predicted(self._model, each)
