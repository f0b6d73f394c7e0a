"""Finished detections, N x max x 6."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from framehook.inference.decoders import End2EndDecoder
from framehook.inference.errors import UnknownLayoutError

ROWS = np.array([[[10, 20, 30, 40, 0.9, 3], [11, 21, 31, 41, 0.5, 0], [0, 0, 0, 0, 0, 0]]], np.float32)


def test_rows_are_taken_as_they_are_and_padding_is_left_out() -> None:
    (found,) = End2EndDecoder().decode([ROWS], input_size=(64, 64), conf=0.0)
    np.testing.assert_array_equal(found.xyxy, ROWS[0, :2, :4])
    np.testing.assert_array_equal(found.conf, ROWS[0, :2, 4])
    assert found.cls.tolist() == [3, 0]
    assert found.cls.dtype == np.int64


def test_low_scores_are_left_out_in_every_image_of_a_batch() -> None:
    found = End2EndDecoder().decode([np.concatenate((ROWS, ROWS * 0))], input_size=(64, 64), conf=0.5)
    assert [len(image) for image in found] == [1, 0]


def test_overlapping_boxes_need_no_suppression() -> None:
    assert not End2EndDecoder.needs_nms


@pytest.mark.parametrize("column", range(6))
def test_broken_rows_are_dropped_with_one_warning(column: int, caplog: pytest.LogCaptureFixture) -> None:
    rows = ROWS.copy()
    rows[0, 0, column] = np.nan
    decoder = End2EndDecoder()
    with caplog.at_level(logging.WARNING, "framehook"):
        for _ in range(2):
            (found,) = decoder.decode([rows], input_size=(64, 64), conf=0.1)
    assert found.cls.tolist() == [0]
    assert len(caplog.records) == 1


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(UnknownLayoutError, match="1 x 300 x 7"):
        End2EndDecoder().decode([np.zeros((1, 300, 7), np.float32)], input_size=(64, 64), conf=0.1)
