import logging

import pytest

from framehook.inference.errors import DatasetError
from framehook.training.classes import match_classes


def test_classes_are_paired_by_name_whatever_their_numbers(caplog):
    assert match_classes({0: "person", 1: "car"}, {0: "car", 1: "person"}) == {0: 1, 1: 0}
    assert not caplog.records


def test_names_may_differ_in_what_writers_differ_in():
    assert match_classes({0: "Traffic_Light", 1: "hot-dog"}, {4: "traffic light", 5: "hot dog"}) == {0: 4, 1: 5}


def test_classes_that_one_side_lacks_are_told(caplog):
    caplog.set_level(logging.INFO, "framehook")
    assert match_classes({0: "person", 1: "car", 2: "bus"}, {0: "person", 1: "emu"}) == {0: 0}
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", "the model does not know 'emu': objects of the kind count as not found"),
        ("INFO", "the dataset does not label 'car', 'bus': what the model finds of the kind is not counted"),
    ]


def test_a_single_class_of_another_name_is_taken_for_the_same_with_a_warning(caplog):
    assert match_classes({0: "person"}, {0: "pedestrian"}) == {0: 0}
    assert "calls its classes 'person', and the dataset 'pedestrian'" in caplog.text


def test_nothing_in_common_is_an_error_of_one_line():
    with pytest.raises(
        DatasetError, match=r"^the model has no class of the dataset: it finds 'a', 'b', and labelled are 'c'; "
    ):
        match_classes({0: "a", 1: "b"}, {0: "c"})


def test_names_that_differ_in_case_alone_stay_apart_where_both_have_them():
    names = {0: "a", 1: "A", 2: "-", 3: "_"}
    assert match_classes(names, names) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_names_that_are_alike_are_paired_only_where_it_is_clear():
    assert match_classes({0: "Traffic_Light", 1: "person"}, {0: "person", 1: "traffic light"}) == {0: 1, 1: 0}
    assert match_classes({0: "a", 1: "x"}, {0: "A", 1: "x", 2: " a"}) == {1: 1}
