import numpy as np
import pytest

from ml_plugins.contrib.object_detector.measure import Boxes, mean_average_precision, overlaps


def boxes(*rows, scores=None):
    places = np.array([row[1:] for row in rows], float).reshape(-1, 4)
    return Boxes(places, [row[0] for row in rows], None if scores is None else np.array(scores, float))


CAT, DOG = ('cat', 0, 0, 10, 10), ('dog', 20, 20, 40, 40)


def test_overlaps():
    table = overlaps(np.array([[0, 0, 2, 2.0]]), np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6], [1, 1, 1, 1.0]]))
    assert table[0].tolist() == pytest.approx([1, 1 / 3, 0, 0])


def test_all_found():
    truth = [boxes(CAT, DOG)]
    assert mean_average_precision([boxes(CAT, DOG, scores=[0.9, 0.3])], truth) == 1.0


def test_a_label_that_was_not_found_counts():
    assert mean_average_precision([boxes(CAT, scores=[0.9])], [boxes(CAT, DOG)]) == 0.5
    assert mean_average_precision([boxes(scores=[])], [boxes(CAT, DOG)]) == 0.0


def test_a_second_box_on_the_same_object_is_wrong():
    # Right, wrong, right: precision 1 up to a recall of a half, and 2/3 from there on.
    truth = [boxes(CAT, ('cat', 50, 50, 60, 60))]
    found = [boxes(CAT, CAT, ('cat', 50, 50, 60, 60), scores=[0.9, 0.8, 0.7])]
    assert mean_average_precision(found, truth) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_box_that_overlaps_too_little_is_wrong():
    found = [boxes(('cat', 6, 0, 16, 10), scores=[0.9])]
    assert mean_average_precision(found, [boxes(CAT)]) == 0.0
    assert mean_average_precision(found, [boxes(CAT)], 0.2) == 1.0


def test_boxes_count_in_their_own_picture():
    found = [boxes(scores=[]), boxes(CAT, scores=[0.9])]
    assert mean_average_precision(found, [boxes(CAT), boxes(DOG)]) == 0.0


def test_no_truth():
    assert mean_average_precision([boxes(CAT, scores=[1])], [boxes()]) == 0.0
