"""Where a frame lies in a view."""

import pytest

from framehook.app.session.picture import Viewport
from framehook.app.session.placement import LARGEST_SCALE, Placement


def test_a_whole_frame_is_letterboxed_in_the_middle():
    assert Placement.of((1920, 1080), Viewport((1000, 1000))) == Placement((1920, 1080), (1000, 1000), (1000, 562), (0, 219))
    assert Placement.of((480, 640), Viewport((1280, 640))) == Placement((480, 640), (1280, 640), (480, 640), (400, 0))


def test_a_frame_never_lies_beyond_a_view_that_it_fits_into():
    for width in range(1, 200, 7):
        for height in range(1, 200, 7):
            placed = Placement.of((97, 61), Viewport((width, height)))
            assert placed.size[0] <= width
            assert placed.size[1] <= height
            assert min(placed.size) >= 1
            assert min(placed.origin) >= 0


def test_a_zoomed_frame_leaves_no_gap_at_the_edge_of_the_view():
    for centre in ((0.0, 0.0), (1.0, 1.0), (-3.0, 9.0), (0.5, 0.2)):
        placed = Placement.of((640, 360), Viewport((640, 360), zoom=2.5, centre=centre))
        assert placed.size == (1600, 900)
        assert 640 - 1600 <= placed.origin[0] <= 0
        assert 360 - 900 <= placed.origin[1] <= 0


def test_the_side_that_still_fits_stays_in_the_middle():
    placed = Placement.of((640, 160), Viewport((640, 640), zoom=2, centre=(0.1, 0.1)))
    assert placed.size == (1280, 320)
    assert placed.origin == (0, 160)


def test_a_centre_that_can_be_shown_is_in_the_middle():
    placed = Placement.of((1000, 500), Viewport((1000, 500), zoom=4, centre=(0.3, 0.6)))
    assert placed.centre == pytest.approx((0.3, 0.6), abs=1e-3)


def test_zoom_has_bounds_and_a_frame_that_only_fits_beyond_them_still_fits():
    assert Placement.of((640, 360), Viewport((640, 360), zoom=0.1)).size == (640, 360)
    assert Placement.of((640, 360), Viewport((640, 360), zoom=1e9)).scale == LARGEST_SCALE
    assert Placement.of((4, 4), Viewport((800, 800))).size == (800, 800)


def test_points_of_the_view_are_points_of_the_frame():
    placed = Placement.of((640, 360), Viewport((640, 360), zoom=2, centre=(0.25, 0.25)))
    assert placed.fraction_at(0, 0) == (0.0, 0.0)
    assert placed.fraction_at(640, 360) == (0.5, 0.5)
