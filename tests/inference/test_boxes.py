"""Boxes: frozen rows that belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framehook.inference.boxes import Boxes

XYXY = [[0, 0, 10, 20], [10, 10, 30, 50], [5, 5, 6, 6]]


def boxes(id: list[int] | None = None) -> Boxes:
    return Boxes(XYXY, [0.9, 0.5, 0.1], [0, 2, 0], id, orig_shape=(100, 200))


def test_arrays_have_the_documented_types() -> None:
    found = boxes([4, -1, 7])
    assert found.id is not None
    assert (found.xyxy.dtype, found.conf.dtype, found.cls.dtype, found.id.dtype) == (np.float32, np.float32, np.int64, np.int64)
    assert len(found) == 3
    assert found.is_track
    assert not boxes().is_track


def test_other_forms_of_the_coordinates() -> None:
    np.testing.assert_allclose(boxes().xywh, [[5, 10, 10, 20], [20, 30, 20, 40], [5.5, 5.5, 1, 1]])
    np.testing.assert_allclose(boxes().xyxyn[1], [0.05, 0.1, 0.15, 0.5])
    np.testing.assert_allclose(boxes().xywhn[1], [0.1, 0.3, 0.1, 0.4])


def test_nothing_can_be_changed() -> None:
    found = boxes([1, 2, 3])
    for name in ("xyxy", "conf", "cls", "id"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0] = 0
        with pytest.raises(AttributeError, match="frozen"):
            setattr(found, name, None)


def test_the_callers_array_stays_writable_and_is_not_copied() -> None:
    mine = np.array(XYXY, np.float32)
    found = Boxes(mine, [0.9, 0.5, 0.1], [0, 2, 0], orig_shape=(1, 1))
    assert np.shares_memory(mine, found.xyxy)
    mine[0] = 1
    assert mine.flags.writeable


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [1]),
        (-1, [2]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([], []),
        (np.zeros(3, bool), []),
    ],
)
def test_any_selection_gives_boxes_with_all_columns(rows: object, expected: list[int]) -> None:
    found = boxes([4, 5, 6])[rows]  # type: ignore[index]
    assert isinstance(found, Boxes)
    assert found.xyxy.tolist() == [XYXY[row] for row in expected]
    assert found.id is not None
    assert found.id.tolist() == [4 + row for row in expected]
    assert found.orig_shape == (100, 200)


def test_iteration_gives_boxes_one_by_one() -> None:
    assert [(len(box), box.xyxy.tolist()) for box in boxes()] == [(1, [row]) for row in XYXY]


def test_no_boxes() -> None:
    nothing = Boxes.empty((10, 20))
    assert (len(nothing), nothing.xyxy.shape, nothing.xywhn.shape) == (0, (0, 4), (0, 4))
    assert list(nothing) == []
    assert len(Boxes([], [], [], orig_shape=(1, 1))) == 0


@pytest.mark.parametrize(
    ("conf", "cls", "id", "name"),
    [([0.5], [0, 0], None, "conf"), ([0.5] * 2, [0], None, "cls"), ([0.5] * 2, [0] * 2, [1], "id")],
)
def test_columns_of_different_lengths_are_refused(conf: list[float], cls: list[int], id: list[int] | None, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} has shape \(1,\); 2 boxes need \(2,\)"):
        Boxes([[0, 0, 1, 1]] * 2, conf, cls, id, orig_shape=(1, 1))


def test_ids_are_given_and_taken_away() -> None:
    tracked = boxes().with_ids([3, 4, -1])
    assert tracked.id is not None
    assert tracked.id.tolist() == [3, 4, -1]
    assert tracked.with_ids(None).id is None
    assert repr(tracked) == "Boxes(3, tracked)"


@pytest.mark.parametrize(
    ("xyxy", "conf", "message"),
    [
        (
            [[0, 0, 1, 1], [0, np.nan, 1, 1]],
            [0.5, 0.5],
            r"xyxy of box 1 is \[0.0, nan, 1.0, 1.0\]; it must be of finite numbers",
        ),
        ([[0, 0, np.inf, 1]], [0.5], "xyxy of box 0 is"),
        ([[0, 0, 1, 1]], [-np.inf], "conf of box 0 is -inf; it must be of finite numbers"),
    ],
)
def test_edges_and_scores_that_are_no_finite_numbers_are_refused(xyxy: Any, conf: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Boxes(xyxy, conf, [0] * len(conf), orig_shape=(1, 1))
