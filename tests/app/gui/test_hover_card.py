"""The card beside the object under the mouse: the facts of that object and of no other, word for word."""

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QRectF
from PyQt6.QtGui import QImage, QPainter
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from framehook.app.gui.view import SourceView
from framehook.app.gui.view_drawing import draw_card
from framehook.app.session.motion import TrackFacts
from framehook.inference.boxes import Boxes
from framehook.inference.frame import Frame
from framehook.inference.result import Result

from .view_scenes import NAMES, seen, set_stage, shown, slot, source

PLAIN = np.full((240, 320, 3), 90, np.uint8)
BOXES = ((40, 60, 80, 180), (120, 100, 170, 160))
TITLES = ("person #7", "dog #8")
FACTS = (
    [("class", "person"), ("confidence", "0.91"), ("id", "7"), ("age", "3.1 s"), ("speed", "25 px/s"), ("size", "40 x 120 px")],
    [("class", "dog"), ("confidence", "0.42"), ("id", "8"), ("age", "12.3 s"), ("speed", "56 px/s"), ("size", "50 x 60 px")],
)


@pytest.fixture
def bridge(make_bridge):
    return make_bridge(poison=True)


@pytest.fixture
def view(qtbot, bridge):
    """A view of 640 x 480 on a person and a dog in a frame of 320 x 240: two device pixels to one of the frame."""
    set_stage(bridge, slot())
    view = SourceView(bridge, "1")
    qtbot.addWidget(view)
    view.resize(640, 480)
    view.show()
    qtbot.waitExposed(view)
    found = Result(
        Frame.of(PLAIN, index=0, source=source(), pts=None, captured_at=1.0),
        Boxes(np.array(BOXES, np.float32), [0.91, 0.42], [0, 1], [7, 8], orig_shape=(240, 320)),
        NAMES,
    )
    found.data["motion"] = {7: TrackFacts(3.1, 25.0, 9), 8: TrackFacts(12.34, 56.0, 9)}
    shown(bridge, view, found)
    yield view
    view.let_go()


def hover(view, row):
    left, top, right, bottom = BOXES[row]
    QTest.mouseMove(view, QPoint(600, 440))  # a mouse that is there already does not move
    QTest.mouseMove(view, QPoint(left + right, top + bottom))  # the middle, in the pixels of the view


def expected(view, row, facts):
    """A card on the plain frame, and where it stands."""
    height, width = 480, 640
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(0x5A5A5A)
    painter = QPainter(image)
    painter.setFont(view.font())
    left, top, right, bottom = (2 * side for side in BOXES[row])
    draw_card(painter, QRectF(left, top, right - left, bottom - top), QRectF(view.rect()), TITLES[row], facts, view.palette())
    painter.end()
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    pixels = np.frombuffer(bytes(bits), np.uint8).reshape(height, width, 4)[..., :3]
    ys, xs = np.nonzero((pixels != 90).any(2))
    place = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
    return pixels[place], place


def has_card(view, row, facts):
    card, place = expected(view, row, facts)
    return np.array_equal(seen(view)[place], card)


@pytest.mark.parametrize("row", [0, 1])
def test_the_card_tells_class_confidence_id_age_speed_and_size_of_the_object_under_the_mouse(view, row):
    assert not has_card(view, row, FACTS[row])
    hover(view, row)
    assert has_card(view, row, FACTS[row])
    # That it would be seen if a fact was missing, or of the other object:
    for number in range(len(FACTS[row])):
        other = list(FACTS[row])
        other[number] = FACTS[1 - row][number]
        assert not has_card(view, row, other), other[number]
        assert not has_card(view, row, FACTS[row][:number] + FACTS[row][number + 1 :])


def test_the_card_is_of_the_object_under_the_mouse_also_where_another_is_chosen(bridge, view):
    bridge.select(("1", 7))
    QApplication.processEvents()
    assert has_card(view, 0, FACTS[0])  # that of the chosen one, while the mouse is elsewhere
    hover(view, 1)
    assert has_card(view, 1, FACTS[1])
    assert not has_card(view, 0, FACTS[0])


def test_the_card_goes_from_object_to_object_with_the_mouse(view):
    for row in (1, 0, 1):
        hover(view, row)
        assert has_card(view, row, FACTS[row])
        assert not has_card(view, 1 - row, FACTS[1 - row])
