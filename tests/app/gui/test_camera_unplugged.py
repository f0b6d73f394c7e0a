"""A camera is pulled out and plugged in again while the window shows it, by the way that real cameras take."""

import time

import cv2
import numpy as np
import pytest

from framehook.inference.sources.camera import open_camera

from .view_scenes import seen, until
from .window_scenes import clock, message, status, troubles, views


class Capture:
    """What OpenCV gives for a camera: frames, as long as it is plugged in."""

    def __init__(self, socket):
        self._socket = socket
        self._number = socket.number
        self._shade = 0

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self._socket.plugged

    def get(self, prop):
        return {cv2.CAP_PROP_FRAME_WIDTH: 320.0, cv2.CAP_PROP_FRAME_HEIGHT: 240.0, cv2.CAP_PROP_FPS: 30.0}.get(prop, 0.0)

    def set(self, prop, value):
        return True

    def grab(self):
        time.sleep(1 / 30)
        return self._socket.plugged and self._number == self._socket.number

    def retrieve(self):
        self._shade = (self._shade + 5) % 100
        return True, np.full((240, 320, 3), self._shade + 100, np.uint8)

    def release(self):
        pass


class Socket:
    """Where the camera is plugged in, or not."""

    def __init__(self):
        self.plugged = True
        self.number = 1

    def __call__(self, device):
        return Capture(self)

    def unplug(self):
        self.plugged = False
        self.number += 1  # what was opened before never works again


@pytest.fixture
def socket():
    return Socket()


def shown(window):
    return window.bridge.session.figures().painting.shown


def plays(window):
    """Wait for some more pictures, which differ."""
    before, view = shown(window), views(window)[0]
    until(lambda: shown(window) >= before + 5)
    picture = seen(view)[-80:]
    until(lambda: (seen(view)[-80:] != picture).any())


def test_the_view_says_what_happened_and_plays_again_once_it_is_back(window, socket):
    window.bridge.session.update(overlay=None)
    window.bridge.session.open(open_camera(0, open_capture=socket))
    until(lambda: views(window) and views(window)[0].picture is not None)
    view = views(window)[0]
    plays(window)
    assert clock(window).startswith("live")
    middle = slice(view.height() // 2 - 60, view.height() // 2 + 60)

    def letters():
        """Whether something is written in the middle, on what is else one shade."""
        return seen(view)[middle, view.width() // 2 - 150 : view.width() // 2 + 150].std() > 12

    for _ in range(2):
        until(lambda: not letters())
        socket.unplug()
        until(lambda: clock(window).startswith("reconnecting"))
        until(letters)
        until(lambda: "camera 0" in message(window) and "reconnecting" in message(window))
        assert message(window).startswith("Warning: ")
        slot = window.bridge.state.slots[0]
        assert slot.reason in ("gives no more frames", "cannot be opened")
        stands = shown(window)
        assert views(window) == [view]  # with the last picture in it
        socket.plugged = True
        until(lambda: clock(window).startswith("live"))
        until(lambda: shown(window) > stands)  # noqa: B023 - it is waited for here
        plays(window)
        assert status(window).startswith("Playing: camera 0")
    assert not any(text.startswith("error") for text in troubles(window))


def test_a_camera_that_is_not_there_leads_back_to_the_first_screen(window, monkeypatch, socket):
    socket.unplug()
    monkeypatch.setattr("framehook.inference.sources.camera._open_capture", socket)
    window.handlers.open_spec(0)
    until(lambda: "camera 0 cannot be opened" in message(window))
    assert message(window).startswith("Error: ")
    until(lambda: status(window).startswith("Nothing is open"))
    socket.plugged = True
    window.handlers.open_spec(0)
    until(lambda: status(window).startswith("Playing: camera 0"))
    plays(window)
