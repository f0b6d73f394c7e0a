import numpy as np
import pytest

from framehook.training.matching import judged, overlaps


def test_overlap_is_shared_area_by_whole_area_and_of_a_crowd_the_share_of_the_box():
    found, objects = [[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]], [[0, 0, 10, 10], [0, 0, 20, 20]]
    np.testing.assert_allclose(overlaps(found, objects), [[1, 0.25], [1 / 3, 0.25], [0, 0]])
    with_crowd = overlaps(found, objects, np.array([False, True]))
    np.testing.assert_allclose(with_crowd, [[1, 1], [1 / 3, 1], [0, 0]])


def test_boxes_and_objects_without_area_overlap_nothing():
    assert overlaps([[5, 5, 5, 5]], [[5, 5, 5, 5]]) == 0
    assert overlaps([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert overlaps([[0, 0, 1, 1]], []).shape == (1, 0)


@pytest.mark.parametrize("least", [0.5, 0.7])
def test_each_object_is_found_once_by_the_best_box(least):
    overlap = np.array([[0.75, 0.0], [0.9, 0.0], [0.6, 0.72]])
    right, uncounted = judged(overlap, np.array([False, False]), least)
    assert right.tolist() == [True, False, True]
    assert not uncounted.any()


def test_an_object_is_preferred_to_a_crowd_that_takes_what_is_left():
    overlap = np.array([[0.6, 1.0], [0.8, 0.9], [0.1, 0.7], [0.2, 0.2]])
    right, uncounted = judged(overlap, np.array([False, True]), 0.5)
    assert right.tolist() == [True, False, False, False]
    assert uncounted.tolist() == [False, True, True, False]
