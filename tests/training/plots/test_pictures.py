"""Labelled pictures side by side."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from framehook.inference.callbacks.drawing import PALETTE
from framehook.inference.errors import OptionError
from framehook.training.plots.pictures import LabelledPicture, tile

GAP, TITLE = 4, 20


def bgr(color: str) -> list[int]:
    return [int(color[start : start + 2], 16) for start in (5, 3, 1)]


def plain(
    size: tuple[int, int] = (160, 80), xyxy: Any = (), cls: Any = (), conf: Any = None, title: str = "", shade: int = 200
) -> LabelledPicture:
    image = np.full((size[1], size[0], 3), shade, np.uint8)
    return LabelledPicture(image, np.array(xyxy, np.float64).reshape(-1, 4), np.array(cls, np.int64), conf, title)


def rows_of(sheet: npt.NDArray[np.uint8], color: str) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all pixels of a colour."""
    y, x = np.nonzero((sheet == bgr(color)).all(axis=2))
    return int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1


def test_a_box_is_drawn_in_the_scaled_picture_where_it_is_in_the_whole_one() -> None:
    # Half the size, the box well inside and low enough for its label to lie within.
    sheet = tile([plain((640, 320), [[100, 60, 300, 260]], [1], shade=10)], {1: "x"}, side=320)
    assert sheet.shape == (160 + 2 * GAP, 320 + 2 * GAP, 3)
    left, _, right, bottom = rows_of(sheet, PALETTE[1])
    assert (left, right, bottom) == pytest.approx((GAP + 50, GAP + 150, GAP + 130), abs=2)
    # Within the box the picture is as it was.
    assert (sheet[GAP + 40 : GAP + 120, GAP + 60 : GAP + 140] == 10).all()


def test_pictures_stand_in_rows_as_high_as_their_highest() -> None:
    sizes = [(100, 50), (100, 100), (100, 50), (100, 25), (50, 100)]
    pictures = [plain(size, shade=50 * (number + 1)) for number, size in enumerate(sizes)]
    sheet = tile(pictures, {}, side=100, columns=2)
    assert sheet.shape == (100 + 50 + 100 + 4 * GAP, 2 * 100 + 3 * GAP, 3)
    firsts = [(GAP, GAP), (GAP, 104 + GAP), (104 + GAP, GAP), (104 + GAP, 104 + GAP)]
    for number, (y, x) in enumerate(firsts):
        width, height = sizes[number]
        assert (sheet[y : y + height, x : x + width] == 50 * (number + 1)).all()
    # The narrow one stands in the middle of its column.
    assert (sheet[-GAP - 100 : -GAP, GAP + 25 : GAP + 75] == 250).all()
    assert (sheet[-GAP - 100 : -GAP, GAP : GAP + 25] == sheet[0, 0]).all()


def test_small_pictures_grow_and_odd_ones_stay_to_be_seen() -> None:
    assert tile([plain((10, 10), [[1, 1, 9, 9]], [0])], {}, side=100).shape == (108, 108, 3)
    assert tile([plain((5000, 1))], {}, side=100).shape == (9, 108, 3)
    assert tile([plain((1, 5000))], {}, side=100).shape == (108, 108, 3)


def test_without_a_number_of_columns_there_are_as_many_as_rows() -> None:
    for count, across in ((1, 1), (2, 2), (4, 2), (5, 3), (16, 4)):
        assert tile([plain((64, 64))] * count, {}, side=64).shape[1] == across * (64 + GAP) + GAP
    assert tile([plain((64, 64))] * 2, {}, side=64, columns=9).shape[1] == 2 * (64 + GAP) + GAP


def test_a_score_is_written_where_there_is_one() -> None:
    box = [[20, 40, 140, 75]]
    label, found = (tile([plain(xyxy=box, cls=[0], conf=conf)], {0: "cat"}) for conf in (None, np.array([0.5])))
    other = tile([plain(xyxy=box, cls=[0], conf=np.array([0.6]))], {0: "cat"})
    assert not np.array_equal(label, found)
    assert not np.array_equal(found, other)


def test_the_surest_is_on_top_whatever_the_order() -> None:
    boxes, names = [[20, 40, 140, 75], [22, 42, 138, 73]], {0: "a", 1: "b"}
    one = tile([plain(xyxy=boxes, cls=[0, 1], conf=np.array([0.3, 0.9]))], names)
    other = tile([plain(xyxy=boxes[::-1], cls=[1, 0], conf=np.array([0.9, 0.3]))], names)
    assert np.array_equal(one, other)


def test_a_class_without_a_name_is_drawn_by_its_number() -> None:
    box = [[20, 40, 140, 75]]
    assert np.array_equal(tile([plain(xyxy=box, cls=[7])], {}), tile([plain(xyxy=box, cls=[7])], {7: "7"}))


def test_titles_stand_above_and_are_cut_where_they_are_too_long() -> None:
    sheet = tile([plain((100, 50), title="a.jpg"), plain((100, 50), title="very-long-name" * 9 + ".jpg")], {}, side=100)
    assert sheet.shape == (TITLE + 50 + 2 * GAP, 2 * 104 + GAP, 3)
    written = (sheet[GAP : GAP + TITLE] != sheet[0, 0]).any(axis=(0, 2))
    assert written[GAP : GAP + 100].any()
    assert written[108:208].any()
    assert not written[104:108].any()
    assert (sheet[GAP + TITLE : -GAP, GAP : GAP + 100] == 200).all()


def test_the_picture_itself_is_not_written_to() -> None:
    picture = plain((64, 64), [[5, 5, 50, 50]], [0])
    before = picture.image.copy()
    tile([picture], {}, side=64)
    assert np.array_equal(picture.image, before)
    picture.image.flags.writeable = False
    tile([picture], {}, side=64)


def test_a_file_of_it_can_be_written() -> None:
    sheet = tile([plain(title="Bär.jpg")], {})
    assert sheet.dtype == np.uint8
    assert cv2.imencode(".jpg", sheet)[0]


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(OptionError, match="no pictures"):
        tile([], {})
    with pytest.raises(OptionError, match="side=8"):
        tile([plain()], {}, side=8)
    with pytest.raises(OptionError, match="columns=0"):
        tile([plain()], {}, columns=0)
