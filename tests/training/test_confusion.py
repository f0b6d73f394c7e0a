from pathlib import Path

import numpy as np

from framehook.inference.boxes import Boxes
from framehook.training.confusion import ConfusionMatrix

from .coloured import labelled

NAMES = {0: "cat", 3: "dog"}  # numbers need not be in a row
BACKGROUND = 2


def boxes(*rows):
    """Class, score, left, top, right, bottom."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Boxes(table[:, 2:], table[:, 1], table[:, 0].astype(np.int64), orig_shape=(100, 100))


def of(objects, found, crowd=()):
    matrix = ConfusionMatrix(NAMES)
    sample = labelled(Path("p.png"), (100, 100), objects)
    sample.crowd[list(crowd)] = True
    matrix.add(sample, found)
    return matrix.matrix


def test_rows_are_what_was_found_and_columns_what_is_there():
    objects = [(0, 0, 0, 20, 20), (3, 40, 40, 60, 60), (3, 70, 70, 90, 90)]
    found = boxes((0, 0.9, 0, 0, 20, 20), (0, 0.8, 41, 40, 60, 60), (3, 0.9, 0, 60, 20, 80))
    counts = of(objects, found)
    assert counts[0, 0] == 1  # a cat that is one
    assert counts[0, 1] == 1  # a dog taken for a cat
    assert counts[BACKGROUND, 1] == 1  # a dog not found
    assert counts[1, BACKGROUND] == 1  # a dog where there is nothing
    assert counts.sum() == 4


def test_of_two_boxes_on_an_object_the_nearer_has_it_and_the_other_has_none():
    counts = of([(0, 0, 0, 20, 20)], boxes((0, 0.9, 0, 0, 20, 15), (3, 0.5, 0, 0, 20, 20)))
    assert counts[1, 0] == 1
    assert counts[0, BACKGROUND] == 1
    assert counts.sum() == 2


def test_unsure_boxes_are_not_counted():
    assert of([], boxes((0, 0.2, 0, 0, 20, 20))).sum() == 0


def test_boxes_in_a_crowd_are_not_counted_and_neither_is_the_crowd():
    counts = of([(0, 0, 0, 80, 80)], boxes((0, 0.9, 10, 10, 20, 20), (0, 0.9, 85, 85, 95, 95)), crowd=[0])
    assert counts.sum() == counts[0, BACKGROUND] == 1


def test_shares_are_of_what_is_there():
    matrix = ConfusionMatrix(NAMES)
    sample = labelled(Path("p.png"), (100, 100), [(0, 0, 0, 20, 20), (0, 40, 40, 60, 60)])
    matrix.add(sample, boxes((0, 0.9, 0, 0, 20, 20)))
    assert matrix.shares()[:, 0].tolist() == [0.5, 0, 0.5]
    assert not matrix.shares()[:, 1].any()


def test_a_copy_does_not_change_with_the_original():
    matrix = ConfusionMatrix(NAMES)
    twin = matrix.copy()
    matrix.add(labelled(Path("p.png"), (100, 100), [(0, 0, 0, 20, 20)]), boxes())
    assert twin.matrix.sum() == 0
    assert matrix.matrix.sum() == 1
    assert twin.labels == ("cat", "dog", "background")
