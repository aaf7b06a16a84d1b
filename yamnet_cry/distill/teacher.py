"""The interface of a teacher, and the meaning of its logits."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from yamnet_cry.frontend import Float32

#: ``exclusive`` for logits of a softmax, ``independent`` for logits of sigmoids, and ``embedding`` for
#: features without labels, see `probe`.
TeacherKind = Literal["exclusive", "independent", "embedding"]

EMBEDDING: Final = "embedding"


class Teacher(Protocol):
    """A model that returns logits for waveforms, of every window or of the whole waveform.

    Attributes:
        name: Name in the records of a run.
        fingerprint: Identifies the weights; part of the key under which logits are cached.
        labels: The label of each logit.
        kind: ``exclusive`` for logits of a softmax, ``independent`` for logits of sigmoids, ``embedding`` for
            features, with labels learnt from the corpus.
    """

    name: str
    fingerprint: str
    labels: tuple[str, ...]

    @property
    def kind(self) -> TeacherKind:
        """Kind of the logits; see the attributes of the class."""
        ...

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Computes the logits of every waveform.

        Args:
            waveforms: float32 samples at 16 kHz, each padded by the student's `FrontEnd.pad`.

        Returns:
            One float32 array of shape (n, labels) per waveform: n is the number of its windows, or fewer,
            such as 1, for a teacher that scores the whole waveform.
        """
        ...
