"""What is saved, gone back to and counted anew is exactly what was asked for: to the pixel, to the frame, to the count."""

import threading
import time

import cv2
import numpy as np
import pytest
from PyQt6.QtWidgets import QTreeWidget

from framehook.inference.backends import FunctionBackend
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import TestSource
from framehook.inference.sources.base import Source, unique_id
from framehook.model import Model

from .view_scenes import seen, until
from .window_scenes import drag, message, objects, open_source, press, saved, status, views

SIDE = 320


def frame_number(count):
    """The last of so many first frames of the generated scene."""
    with TestSource(size=(320, 240), fps=30, frames=6000) as scene:
        for _ in range(count):
            frame = scene.read()
        return np.array(frame.image)


def snapshot(window):
    """The picture that is saved of what the chosen view shows."""
    there = set(saved(window, ".jpg")) | set(saved(window, ".png"))
    press(window, "snapshot")
    until(lambda: (set(saved(window, ".jpg")) | set(saved(window, ".png"))) - there)
    (path,) = (set(saved(window, ".jpg")) | set(saved(window, ".png"))) - there
    until(
        lambda: path.stat().st_size and message(window).startswith("Note: Saved a picture to ") and path.name in message(window)
    )
    return cv2.imread(str(path)).astype(int)


def differing(picture, scene):
    """How many pixels differ from the scene by more than compressing it makes differ."""
    assert picture.shape == scene.shape
    compressed = cv2.imdecode(cv2.imencode(".jpg", scene)[1], cv2.IMREAD_COLOR)
    return (np.abs(picture - compressed.astype(int)).max(axis=2) > 60).sum()


def where(window):
    """Seconds into the file of the frame that is shown."""
    picture = views(window)[0].picture
    return -1.0 if picture is None else picture.result.frame.pts


def test_a_picture_saved_while_the_original_is_shown_has_nothing_drawn_on_it(window):
    open_source(window, "testsrc:320x240@30:6000")
    press(window, "play_pause")
    until(lambda: status(window).startswith("Paused"))
    press(window, "to_start")
    until(lambda: where(window) == 0)
    for place in (1, 2):  # a tracker is sure of what it sees from the second frame on
        press(window, "step")
        until(lambda: round(where(window) * 30) == place)  # noqa: B023 - it is waited for here
    until(lambda: objects(window))
    scene = frame_number(3)
    assert differing(snapshot(window), scene) > 150  # a box and its label
    press(window, "original")
    assert differing(snapshot(window), scene) < 15
    press(window, "original")
    assert differing(snapshot(window), scene) > 150


def test_the_beginning_is_the_frame_number_and_no_other(window):
    open_source(window, "testsrc:320x240@30:6000")
    press(window, "original")
    press(window, "play_pause")
    until(lambda: status(window).startswith("Paused"))
    view = views(window)[0]

    def shows(scene):
        """Whether the view shows this frame, number and bits included."""
        mapping = view.mapping
        if mapping is None or view.picture is None:
            return False
        start, end = mapping.point_of(0, 0), mapping.point_of(320, 240)
        there = seen(view)[round(start.y()) : round(end.y()), round(start.x()) : round(end.x())]
        expected = cv2.resize(scene, there.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.abs(there.astype(int) - expected)[60:].mean() < 0.5

    scenes = [frame_number(count) for count in (1, 2, 3)]
    for far in (1, 2):
        for _ in range(far):
            press(window, "forward")
        until(lambda: where(window) > 4)
        assert not shows(scenes[0])
        press(window, "to_start")
        until(lambda: where(window) == 0)
        until(lambda: shows(scenes[0]))
        assert not shows(scenes[1])
    press(window, "step")
    until(lambda: shows(scenes[1]))
    press(window, "to_start")
    until(lambda: shows(scenes[0]))
    assert status(window).startswith("Paused")


class Walk(Source):
    """A camera that somebody passes once, from top to bottom, and in front of whom he stays then."""

    endless = True
    steps = 45

    def __init__(self):
        self.info = SourceInfo(unique_id("walk"), "walk", "walk", SourceKind.CAMERA, live=True, size=(SIDE, SIDE), fps=30.0)
        self._index = 0
        self._stopped = threading.Event()
        self.goes = threading.Event()
        self.place = 60

    def read(self):
        if self._stopped.wait(1 / 30):
            return None
        self._index += 1
        if self.goes.is_set() and self.place < 260:
            self.place += 5
        pixels = np.full((SIDE, SIDE, 3), 40, np.uint8)
        pixels[self.place - 40 : self.place + 40, 140:180] = 255
        return Frame.of(pixels, index=self._index, source=self.info, pts=None, captured_at=time.monotonic())

    def interrupt(self):
        self._stopped.set()

    def close(self):
        self._stopped.set()


def seeing_model():
    """A model that finds what is white."""

    def find(tensor):
        found = np.zeros((len(tensor), 5, 1), np.float32)
        for number, picture in enumerate(tensor):
            rows, columns = np.nonzero(np.asarray(picture).mean(axis=0) > 0.5)
            if len(rows):
                left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
                found[number, :, 0] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0.9
        return [found]

    backend = FunctionBackend(
        find, input_shape=(None, 3, SIDE, SIDE), output_shapes=[(None, 5, 1)], metadata={"names": "{0: 'person'}"}
    )
    return Model(backend, decoder="yolo")


def counted(window):
    """What the panel says of the one zone there is."""
    tree = window.zones.findChild(QTreeWidget)
    return tree.topLevelItem(0).text(1) if tree.topLevelItemCount() == 1 else ""


@pytest.fixture
def passed(make_window):
    """The window with a line that somebody has crossed, who stands still since."""
    window, walk = make_window(model=seeing_model()), Walk()
    window.docks.show_panel("Zones")
    window.bridge.session.open(walk)
    until(lambda: objects(window) and objects(window)[0][1].isdigit())
    press(window, "draw_line")
    drag(views(window)[0], (0.1, 0.5), (0.9, 0.5))
    until(lambda: counted(window) == "0 in, 0 out")
    before = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown > before + 10)
    walk.goes.set()
    until(lambda: counted(window) in ("1 in, 0 out", "0 in, 1 out"))
    until(lambda: walk.place >= 260)
    return window


def test_a_line_that_was_crossed_counts_from_zero_once_it_is_asked_to(passed):
    painted = lambda: passed.bridge.session.figures().painting.shown  # noqa: E731
    before = painted()
    until(lambda: painted() > before + 5)
    assert counted(passed) != "0 in, 0 out"  # it stays as it is by itself
    press(passed, "reset_zones")
    until(lambda: counted(passed) == "0 in, 0 out")
    after = painted()
    until(lambda: painted() > after + 20)
    assert counted(passed) == "0 in, 0 out"
    (key,) = passed.bridge.state.zones
    assert list(passed.bridge.state.zones[key]) == ["line 1"]
