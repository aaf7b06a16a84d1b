import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yamnet_cry.audioset import CRY_CLASSES, NUM_CLASSES, class_ids, class_names, cry_score


def test_there_are_as_many_names_as_logits():
    assert len(class_names()) == len(class_ids()) == len(set(class_ids())) == NUM_CLASSES


def test_class_map_is_the_teachers(shared):
    import csv

    with (shared / "teacher/yamnet/yamnet_class_map.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["display_name"] for row in rows] == list(class_names())
    assert [row["mid"] for row in rows] == list(class_ids())


@given(hnp.arrays(np.float32, (3, NUM_CLASSES), elements=st.floats(-600, 600, width=32)))
def test_cry_score_is_the_softmax_of_both_classes(logits):
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True).astype(np.float64))
    expected = exact[:, list(CRY_CLASSES)].sum(axis=1) / exact.sum(axis=1)
    np.testing.assert_allclose(cry_score(logits), expected, rtol=1e-5, atol=1e-7)
    assert cry_score(logits).dtype == np.float32
