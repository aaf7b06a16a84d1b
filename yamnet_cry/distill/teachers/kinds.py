"""What the numbers that a teacher gives stand for."""

from typing import Final, Literal

#: ``exclusive`` if softmax makes them probabilities, ``independent`` if the sigmoid of each does, and
#: ``embedding`` if they are features from which labels have yet to be learnt, see `probe`.
TeacherKind = Literal["exclusive", "independent", "embedding"]

EMBEDDING: Final = "embedding"
