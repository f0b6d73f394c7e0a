"""Placement of frames in network inputs."""

from __future__ import annotations

import numpy as np
import pytest

from framehook.inference.geometry import Fit, Letterbox

SIZES = [(768, 576), (1280, 720), (641, 359), (33, 1000), (1, 1), (5000, 3), (320, 320)]
INPUTS = [(640, 640), (416, 320), (320, 416)]


def test_a_wide_frame_is_padded_above_and_below() -> None:
    box = Letterbox.fit((1280, 720), (640, 640), Fit.CENTER)
    assert (box.inner_size, box.offset) == ((640, 360), (0, 140))


def test_a_tall_frame_is_padded_left_and_right() -> None:
    box = Letterbox.fit((300, 600), (640, 640), Fit.CENTER)
    assert (box.inner_size, box.offset) == ((320, 640), (160, 0))


def test_an_odd_remainder_goes_below_and_to_the_right() -> None:
    assert Letterbox.fit((100, 51), (100, 100), Fit.CENTER).offset == (0, 24)


def test_top_left_has_no_offset_and_keeps_the_aspect_ratio() -> None:
    box = Letterbox.fit((768, 576), (416, 416), Fit.TOP_LEFT)
    assert (box.inner_size, box.offset) == ((416, 312), (0, 0))


def test_stretching_fills_the_input() -> None:
    box = Letterbox.fit((768, 576), (300, 300), Fit.STRETCH)
    assert (box.inner_size, box.offset) == ((300, 300), (0, 0))


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("input_size", INPUTS)
@pytest.mark.parametrize("frame_size", SIZES)
def test_the_frame_lies_inside_the_input_and_has_at_least_a_pixel(
    frame_size: tuple[int, int], input_size: tuple[int, int], fit: Fit
) -> None:
    box = Letterbox.fit(frame_size, input_size, fit)
    for axis in range(2):
        assert box.inner_size[axis] >= 1
        assert box.offset[axis] >= 0
        assert box.offset[axis] + box.inner_size[axis] <= input_size[axis]
    assert box.inner_size[0] == input_size[0] or box.inner_size[1] == input_size[1]


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("input_size", INPUTS)
@pytest.mark.parametrize("frame_size", SIZES)
def test_boxes_come_back_where_they_were(frame_size: tuple[int, int], input_size: tuple[int, int], fit: Fit) -> None:
    box = Letterbox.fit(frame_size, input_size, fit)
    ends = np.random.default_rng(0).uniform(0, 1, (50, 2, 2)) * np.array(frame_size)
    boxes = np.hstack((ends.min(axis=1), ends.max(axis=1))).astype(np.float32)
    np.testing.assert_allclose(box.to_frame(box.to_input(boxes)), boxes, rtol=1e-4, atol=1e-3 * max(frame_size) / 10)


def test_the_corners_of_the_frame_are_the_corners_of_the_inner_picture() -> None:
    box = Letterbox.fit((1280, 720), (640, 640), Fit.CENTER)
    np.testing.assert_allclose(box.to_input(np.array([[0, 0, 1280, 720]], np.float32)), [[0, 140, 640, 500]])
    np.testing.assert_allclose(box.to_frame(np.array([[0, 140, 640, 500]], np.float32)), [[0, 0, 1280, 720]])


def test_boxes_are_clipped_to_the_frame() -> None:
    box = Letterbox.fit((100, 50), (200, 200), Fit.CENTER)
    found = box.to_frame(np.array([[-50, -50, 400, 400], [0, 0, 200, 20]], np.float32))
    np.testing.assert_array_equal(found, [[0, 0, 100, 50], [0, 0, 100, 0]])


def test_mapping_leaves_its_argument_alone_and_takes_no_boxes() -> None:
    box = Letterbox.fit((100, 50), (200, 200), Fit.CENTER)
    boxes = np.array([[-50, -50, 400, 400]], np.float32)
    box.to_frame(boxes)
    box.to_input(boxes)
    assert boxes.tolist() == [[-50, -50, 400, 400]]
    assert box.to_frame(np.empty((0, 4), np.float32)).shape == (0, 4)
    assert box.to_frame(boxes).dtype == box.to_input(boxes).dtype == np.float32
