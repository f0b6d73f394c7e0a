"""What is tuned in the panel and chosen in the menu reaches the picture: boxes go, and pixels change where they should."""

import threading
import time

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QListWidget, QSlider, QSpinBox

from framehook.inference.backends import FunctionBackend
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id
from framehook.model import Model

from .view_scenes import noise, seen, until
from .window_scenes import objects, views

SIDE = 320
NAMES = {0: "person", 1: "dog"}
FOUND = (  # class, confidence and edges; the two people overlap by 0.6 of what they cover together
    (0, 0.9, (60, 80, 140, 200)),
    (0, 0.8, (80, 80, 160, 200)),
    (1, 0.7, (200, 100, 280, 220)),
)


class Still(Source):
    """A camera in front of which nothing moves."""

    endless = True

    def __init__(self, pixels):
        height, width = pixels.shape[:2]
        self.info = SourceInfo(
            unique_id("still"), "still", "still", SourceKind.CAMERA, live=True, size=(width, height), fps=30.0
        )
        self._pixels = pixels
        self._index = 0
        self._stopped = threading.Event()

    def read(self):
        if self._stopped.wait(1 / 30):
            return None
        self._index += 1
        return Frame.of(self._pixels, index=self._index, source=self.info, pts=None, captured_at=time.monotonic())

    def interrupt(self):
        self._stopped.set()

    def close(self):
        self._stopped.set()


def model():
    """A model that finds two people, who overlap, and a dog in every frame."""
    found = np.zeros((1, 4 + len(NAMES), len(FOUND)), np.float32)
    for number, (cls, sure, (left, top, right, bottom)) in enumerate(FOUND):
        found[0, :4, number] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        found[0, 4 + cls, number] = sure
    backend = FunctionBackend(
        lambda tensor: [np.repeat(found, len(tensor), 0)],
        input_shape=(None, 3, SIDE, SIDE),
        output_shapes=[(None, 4 + len(NAMES), len(FOUND))],
        metadata={"names": repr(NAMES)},
    )
    return Model(backend, decoder="yolo")


@pytest.fixture
def pixels():
    """Noise whose grains are large enough to be seen in any scale."""
    return noise(SIDE // 8, SIDE // 8).repeat(8, axis=0).repeat(8, axis=1)


@pytest.fixture
def window(make_window, store, pixels):
    """The window on what does not move, in which everything is found, tracked and drawn."""
    window = make_window(model=model(), options={**store.settings().options(), "overlay": ("boxes",)})
    window.bridge.session.open(Still(pixels))
    until(lambda: names(window) == ["dog", "person", "person"])
    return window


def names(window):
    """The classes in the objects table."""
    return sorted(cell for row in objects(window) for cell in row if cell in NAMES.values())


def part(window, kind, name):
    (found,) = [each for each in window.tuning.findChildren(kind) if each.accessibleName() == name]
    return found


def place(view, edges):
    """Where some pixels of the frame are in the view."""
    left, top, right, bottom = edges
    start, end = view.mapping.point_of(left, top), view.mapping.point_of(right, bottom)
    return slice(round(start.y()), round(end.y())), slice(round(start.x()), round(end.x()))


def frame_of(window):
    """What the window shows of the frame, in pixels of the frame."""
    view = views(window)[0]
    return cv2.resize(seen(view)[place(view, (0, 0, SIDE, SIDE))], (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(int)


def plain(window):
    """What the window shows of the frame while nothing is drawn on it."""
    window.actions_by_name["original"].setChecked(True)
    painted(window)
    shown = frame_of(window)
    window.actions_by_name["original"].setChecked(False)
    painted(window)
    return shown


def painted(window, count=4):
    """Wait for some more pictures."""
    before = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown >= before + count)


def outlined(window, bare):
    """Which of what is found has a box on the picture: one of its edges, half way down, differs from the scene."""
    painted(window)
    now = frame_of(window)
    drawn = []
    for number, (_, _, (left, top, right, bottom)) in enumerate(FOUND):
        x, middle = (right if number == 1 else left), (top + bottom) // 2
        beside = slice(x - 3, x + 4)
        if np.abs(now - bare)[middle - 20 : middle + 20, beside].max(axis=1).mean() > 40:
            drawn.append(number)
    return drawn


def test_less_overlap_leaves_one_of_two_boxes_that_cover_each_other(window):
    bare = plain(window)
    assert outlined(window, bare) == [0, 1, 2]
    slider = part(window, QSlider, "Overlap (IoU) slider")
    slider.setFocus()
    for _ in range(3):
        QTest.keyClick(slider, Qt.Key.Key_PageDown)
    assert slider.value() == 55
    until(lambda: names(window) == ["dog", "person"])
    assert outlined(window, bare) == [0, 2]
    slider.setValue(90)
    until(lambda: names(window) == ["dog", "person", "person"])
    assert outlined(window, bare) == [0, 1, 2]


def test_no_more_objects_are_shown_than_are_asked_for(window):
    bare = plain(window)
    most = part(window, QSpinBox, "Most objects")
    most.setFocus()
    most.selectAll()
    QTest.keyClicks(most, "1")
    QTest.keyClick(most, Qt.Key.Key_Return)
    until(lambda: names(window) == ["person"])
    assert outlined(window, bare) == [0]  # the model is surest of it


def test_a_class_that_is_not_ticked_is_gone_from_the_picture(window):
    bare = plain(window)
    listed = window.tuning.findChild(QListWidget)
    for name, left in (("dog", [0, 1]), ("person", []), ("dog", [2])):
        (item,) = listed.findItems(name, Qt.MatchFlag.MatchExactly)
        listed.setCurrentItem(item)
        listed.setFocus()
        QTest.keyClick(listed, Qt.Key.Key_Space)
        until(lambda: names(window) == sorted(NAMES[FOUND[number][0]] for number in left))  # noqa: B023 - it is waited for here
        assert outlined(window, bare) == left


def overlay(window, layer):
    """The entry of a layer in the menu of the overlay."""
    (action,) = [
        each for each in window.actions_by_name.submenus["overlay"].actions() if each.objectName() == f"overlay_{layer}"
    ]
    return action


def sharpness(pixels):
    return cv2.Laplacian(pixels.astype(np.uint8), cv2.CV_64F).var()


@pytest.fixture
def bare(window):
    """The scene as the window shows it, once no layer is on."""
    shown = plain(window)
    overlay(window, "boxes").trigger()
    until(lambda: window.bridge.state.options.overlay is None)
    painted(window)
    assert np.array_equal(frame_of(window)[40:], shown[40:])
    return shown


INSIDE = [(slice(top + 12, bottom - 12), slice(left + 12, right - 12)) for _, _, (left, top, right, bottom) in FOUND]
"""What is hidden: the inside of the boxes, away from their edges."""


def outside():
    """What no layer has to do with: the frame below the caption, without the boxes and what is near them."""
    mask = np.ones((SIDE, SIDE), bool)
    mask[:40] = False
    for _, _, (left, top, right, bottom) in FOUND:
        mask[top - 40 : bottom + 40, left - 40 : right + 40] = False
    return mask


@pytest.mark.parametrize("layer", ["blur", "pixelate"])
def test_what_is_in_the_boxes_is_hidden_and_nothing_else(window, bare, layer):
    overlay(window, layer).trigger()
    until(lambda: window.bridge.state.options.overlay == (layer,))
    painted(window)
    now = frame_of(window)
    for place_ in INSIDE:
        assert sharpness(now[place_]) < sharpness(bare[place_]) / 4
        assert abs(now[place_].mean() - bare[place_].mean()) < 12  # hidden, not painted over
    away = outside()
    assert away.sum() > 5000
    assert np.array_equal(now[away], bare[away])
    overlay(window, layer).trigger()
    until(lambda: window.bridge.state.options.overlay is None)
    painted(window)
    assert np.array_equal(frame_of(window)[40:], bare[40:])


def test_blur_and_pixelate_look_different(window, bare):
    """Blocks have edges; what is blurred has none."""
    steps = {}
    for layer in ("blur", "pixelate"):
        overlay(window, layer).trigger()
        until(lambda: window.bridge.state.options.overlay == (layer,))  # noqa: B023 - it is waited for here
        painted(window)
        steps[layer] = np.abs(np.diff(frame_of(window)[INSIDE[2]], axis=1)).max()
        overlay(window, layer).trigger()
    assert steps["pixelate"] > 2 * steps["blur"]


def test_heat_is_where_objects_stood(window, bare):
    overlay(window, "heatmap").trigger()
    until(lambda: window.bridge.state.options.overlay == ("heatmap",))
    painted(window, 10)
    changed = np.abs(frame_of(window) - bare).max(axis=2)
    for _, _, (left, _, right, bottom) in FOUND:
        middle = (left + right) // 2
        assert changed[bottom - 4 : bottom + 5, middle - 4 : middle + 5].mean() > 25
    for place_ in INSIDE:
        assert (changed[place_] == 0).all()
    assert (changed[outside()] == 0).all()
