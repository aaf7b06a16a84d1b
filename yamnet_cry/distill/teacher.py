"""What a teacher is, and what the numbers that it gives stand for."""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

from yamnet_cry.frontend import Float32

#: ``exclusive`` if softmax makes them probabilities, ``independent`` if the sigmoid of each does, and
#: ``embedding`` if they are features from which labels have yet to be learnt, see `probe`.
TeacherKind = Literal["exclusive", "independent", "embedding"]

EMBEDDING: Final = "embedding"


class Teacher(Protocol):
    """Anything that gives logits for waveforms, of every window or of the whole.

    Attributes:
        name: How a run's records call it.
        fingerprint: Changes when its weights do; part of the key under which its logits are cached.
        labels: What each number stands for.
        kind: ``exclusive`` if softmax makes probabilities of its logits, ``independent`` if the sigmoid of
            each does, ``embedding`` if they are none, and labels are learnt from the corpus.
    """

    name: str
    fingerprint: str
    labels: tuple[str, ...]

    @property
    def kind(self) -> TeacherKind:
        """What its numbers stand for; see above."""
        ...

    def logits(self, waveforms: Sequence[Float32]) -> list[Float32]:
        """Judges every waveform.

        Args:
            waveforms: float32 samples at 16 kHz, each padded by the student's `FrontEnd.pad`.

        Returns:
            One float32 array of shape (n, labels) a waveform: n is the number of its windows, or less for a
            teacher that judges the whole, such as 1.
        """
        ...
