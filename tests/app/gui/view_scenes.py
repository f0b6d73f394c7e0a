"""What the tests of the views look at: a session on which nothing runs, whose results are handed in by the test."""

import time
from collections import namedtuple

import numpy as np
from PyQt6.QtCore import QEventLoop, QPoint, QPointF, Qt, QTimer
from PyQt6.QtGui import QImage, QWheelEvent
from PyQt6.QtWidgets import QApplication

from framehook.app.session.motion import TrackFacts
from framehook.app.session.state import Phase, Slot
from framehook.inference.boxes import Boxes
from framehook.inference.connection import SourceState
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.result import Result

from .conftest import WAIT

NAMES = {0: "person", 1: "dog"}
Thing = namedtuple("Thing", "xyxy id cls", defaults=(None, 0))


def source(key="1", *, live=True, size=(320, 240), kind=SourceKind.STREAM):
    return SourceInfo(f"source {key}", f"camera {key}", f"camera {key}", kind, live, size)


def slot(key="1", *, connection=SourceState.CONNECTED, reason="", **facts):
    info = source(key, **facts)
    return Slot(key, info.name, info.name, info, connection=connection, reason=reason)


def set_stage(bridge, *slots, phase=Phase.PLAYING, **facts):
    """Have the session say that these slots are there."""
    bridge.session._board.change(slots=slots, phase=phase, **facts)
    until(lambda: bridge.state is bridge.session.state)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def result(pixels, *things, key="1", index=0, segment=0, at=None, zones=None):
    """A frame with things in it; `at` is when it was captured."""
    ids = None if not things or things[0].id is None else [thing.id for thing in things]
    boxes = Boxes(
        np.array([thing.xyxy for thing in things], np.float32).reshape(-1, 4),
        [0.87] * len(things),
        [thing.cls for thing in things],
        ids,
        orig_shape=pixels.shape[:2],
    )
    now = time.monotonic() if at is None else at
    frame = Frame.of(pixels, index=index, source=source(key), pts=None, captured_at=now, segment=segment)
    made = Result(frame, boxes, NAMES)
    made.data["motion"] = {number: TrackFacts(12.34, 56.0, 9) for number in ids or ()}
    if zones is not None:
        made.data["zones"] = zones
    return made


def until(condition):
    """Let Qt work until something is so."""
    deadline = time.monotonic() + WAIT / 1000
    pulse = QTimer()  # for what comes to be so without an event
    pulse.start(10)
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def shown(bridge, view, shown):
    """Hand a result in, and wait until it is painted."""
    before = bridge.session.figures().painting
    bridge.session.renderer.show(view.key, shown)
    until(lambda: view.picture is not None and view.picture.result is shown)
    until(lambda: bridge.session.figures().painting != before)
    settled(bridge, view)


def settled(bridge, view):
    """Wait until the view shows what it asked for last."""
    until(
        lambda: (
            view.picture is not None and view.picture.viewport == view.aim.viewport(view.device_size, original=view.original)
        )
    )
    QApplication.processEvents()


def seen(widget):
    """What a widget shows, H x W x 3 BGR, in device pixels."""
    QApplication.processEvents()
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    pixels = np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.bytesPerLine() // 4, 4)
    return pixels[:, : image.width(), :3].copy()


def turn_wheel(widget, at, steps=1):
    """Turn the mouse wheel over a point of a widget."""
    place = QPointF(at)
    event = QWheelEvent(
        place, widget.mapToGlobal(place), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
