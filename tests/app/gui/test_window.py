"""The window as a whole: what it remembers, what fits into it, and what it makes of faults."""

import re
import resource
import signal
import sys
import time

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMainWindow,
    QPushButton,
    QSlider,
    QToolBar,
    QToolButton,
    QTreeView,
    QWidget,
)

from framehook.app.gui import handlers
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.welcome import WelcomeScreen
from framehook.app.gui.window import MainWindow
from framehook.app.session.state import Level
from framehook.inference.sources import Source
from framehook.inference.sources import open_source as open_one
from tests.servers.mjpeg import Fault, MjpegServer

from .panel_scenes import quick_model
from .view_scenes import seen, until
from .window_scenes import (
    FILE,
    LIVE,
    can,
    clock,
    dialog,
    dialogs,
    frames_of,
    hold,
    is_on,
    is_tracked,
    message,
    notes,
    objects,
    open_source,
    press,
    press_keys,
    press_message,
    saved,
    status,
    troubles,
    views,
)


def drop(window, *things):
    """Drop files or addresses on the window."""
    data = QMimeData()
    data.setUrls([QUrl(thing) if "://" in str(thing) else QUrl.fromLocalFile(str(thing)) for thing in things])
    how = Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(window, QDragEnterEvent(QPoint(20, 20), *how))
    QApplication.sendEvent(window, QDropEvent(QPointF(20, 20), *how))


def goes_on(window, pictures=5):
    """Wait until some more pictures were painted."""
    before = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown >= before + pictures)


# How it looks ----------------------------------------------------------------------------------------------------------------


def test_everything_can_be_reached_and_has_a_name_and_a_tooltip(window):
    open_source(window, LIVE)
    kinds = (QToolButton, QPushButton, QCheckBox, QComboBox, QLineEdit, QAbstractSpinBox, QSlider)
    for control in [each for kind in kinds for each in window.findChildren(kind)]:
        part = control.objectName().startswith("qt_") or isinstance(control.parent(), QComboBox | QAbstractSpinBox)
        if control.isVisible() and not part:
            name = control.accessibleName() or getattr(control, "text", str)()
            assert name, control
            assert control.toolTip(), name
            assert control.focusPolicy() & Qt.FocusPolicy.TabFocus or isinstance(control.parent(), QToolBar), name


def test_all_tools_fit_into_the_smallest_usual_screen(window):
    window.resize(1280, 720)
    open_source(window, FILE, LIVE)
    bar = window.findChild(QToolBar)
    for action in bar.actions():
        widget = bar.widgetForAction(action)
        assert widget.isVisible(), action.text()
        assert widget.width() >= widget.sizeHint().width()


def test_long_names_do_not_make_the_window_wider(window, clip, tmp_path):
    window.resize(1280, 720)
    names = [tmp_path / f"{letter * 120}_{number}.mp4" for number, letter in enumerate("abcd")]
    for name in names:
        name.write_bytes(clip.read_bytes())
    press(window, "loop")
    open_source(window, *names)
    assert window.width() == 1280
    assert window.minimumSizeHint().width() <= 1280
    assert len(window.windowTitle()) < 160
    assert "…" in window.windowTitle()
    assert "2 more" in window.windowTitle()
    assert "2 more" in status(window)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_light_or_dark_as_a_whole(window, qapp, theme):
    apply_theme(qapp, theme)
    open_source(window, LIVE)
    image = seen(window).astype(float).mean(axis=2)
    for place in (image[2:20, -100:], image[-12:, 400:600], image[-200:-150, -200:]):
        assert bool(np.median(place) > 128) is (theme == "light")


def test_something_that_takes_long_is_said_to_be_under_way(make_window):
    with MjpegServer(size=(320, 240)) as server:
        server.inject(Fault.MUTE, lasting=True)
        window = make_window(model=quick_model())
        window.handlers.open_spec(server.url)
        until(lambda: f"Opening 127.0.0.1:{server.port}/live…" in status(window) or "connecting" in clock(window))
        window.close()
        assert not window.isVisible()
        assert window.ended


def test_the_window_is_as_it_was_when_it_is_opened_again(make_window, store):
    first = make_window(model=quick_model())
    first.resize(1000, 640)
    first.docks.panel("Log").hide()
    first.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, first.docks.panel("Zones"))
    first.close()
    second = make_window(model=quick_model())
    assert second.height() == 640  # the platform without a screen has one of 800 x 800
    assert second.docks.panel("Log").isHidden()
    assert second.dockWidgetArea(second.docks.panel("Zones")) is Qt.DockWidgetArea.LeftDockWidgetArea


def test_a_layout_of_another_version_is_not_used(make_window, store):
    other = QMainWindow()
    store.set_window("docks", other.saveState(99))
    window = make_window(model=quick_model())
    assert window.dockWidgetArea(window.docks.panel("Tuning")) is Qt.DockWidgetArea.RightDockWidgetArea
    assert window.docks.panel("Objects").isVisible()
    assert window.docks.panel("Tuning").width() >= 300
    other.deleteLater()


@pytest.mark.parametrize(
    "damage", [b"\x00\xff garbage \x80" * 50, b'[windows]\ngeometry="abc"\ndocks=12\n[settings]\nconf="x"']
)
def test_damaged_settings_are_no_hindrance(qtbot, tmp_path, damage):
    path = tmp_path / "damaged.ini"
    path.write_bytes(damage)
    store = Store(path)
    window = MainWindow(store, model=quick_model(), options=store.settings().options())
    qtbot.addWidget(window)
    window.show()
    assert store.settings() == Settings()
    assert window.docks.panel("Objects").isVisible()
    open_source(window, LIVE)
    assert troubles(window) == []
    window.close()
    assert window.ended


def test_closing_the_last_source_gives_the_keyboard_to_the_first_screen(window):
    open_source(window, FILE)
    until(lambda: views(window)[0].hasFocus())
    window.messages.show_message(Level.ERROR, "the disk is full")
    press(window, "close_source")
    until(lambda: not views(window))
    assert window.findChild(WelcomeScreen).isAncestorOf(QApplication.focusWidget())
    assert message(window) == "Error: the disk is full"


def test_escape_in_the_picture_closes_the_message_that_is_shown(window):
    open_source(window, FILE)
    until(lambda: views(window)[0].hasFocus())
    for text in ("the disk is full", "the door is lost"):
        window.messages.show_message(Level.ERROR, text)
    press_keys(window, "Esc")
    assert message(window) == "Error: the disk is full"
    press_keys(window, "Esc")
    assert message(window) == ""
    assert views(window)[0].hasFocus()


def test_return_in_the_objects_follows_the_chosen_one_and_escape_lets_it_go(window):
    open_source(window, LIVE)
    until(lambda: is_tracked(window))
    press_keys(window, "Alt+3")
    press_keys(window, "Return")
    until(lambda: is_on(window, "follow") and views(window)[0].following)
    press_keys(window, "Esc")
    until(lambda: not is_on(window, "follow"))
    assert window.bridge.selected is None


def test_return_on_an_object_without_an_id_says_what_to_do(window):
    window.bridge.session.update(tracker=None)
    open_source(window, LIVE)
    until(lambda: objects(window) and not is_tracked(window))
    press_keys(window, "Alt+3")
    press_keys(window, "Return")
    assert message(window) == "Note: Only objects with an id can be followed: turn tracking on"


def test_a_recording_is_told_by_a_red_dot_and_how_long_it_goes_on(window, qapp):
    open_source(window, FILE)
    (dot,) = [each for each in window.statusBar().findChildren(QLabel) if each.text() == "●"]
    assert not dot.isVisible()
    press(window, "record")
    press(window, "save_rows")
    dialog().fileSelected.emit(str(window.bridge.session.folder / "found.jsonl"))
    dialog().reject()
    until(lambda: re.search(r"● Recording 00:\d\d, saving rows 00:\d\d", status(window)))
    until(lambda: "Recording 00:01" in status(window))
    for theme in ("light", "dark"):
        apply_theme(qapp, theme)
        colours = seen(dot).reshape(-1, seen(dot).shape[-1]).astype(int)
        assert (colours[:, 0] - colours[:, 2]).max() > 80 or (colours[:, 2] - colours[:, 0]).max() > 80
    press(window, "record")
    press(window, "save_rows")
    until(lambda: not dot.isVisible() and "Recording" not in status(window))


# Faults ----------------------------------------------------------------------------------------------------------------------


def test_a_stream_that_is_lost_is_told_and_comes_back(window):
    with MjpegServer(size=(320, 240)) as server:
        open_source(window, server.url)
        server.go_away()
        until(lambda: "reconnecting" in message(window))
        until(lambda: clock(window).startswith("reconnecting"))
        assert status(window).startswith(f"No connection: 127.0.0.1:{server.port}")
        server.come_back()
        until(lambda: clock(window).startswith("live"))
        goes_on(window)
        assert status(window).startswith("Playing")


class Webcam(Source):
    """A camera that can be pulled out."""

    def __init__(self):
        self._inner = open_one("testsrc:320x240@30:live")
        self.info = self._inner.info
        self.may_block = True
        self.pulled = False

    def read(self):
        if self.pulled:
            raise OSError(19, "No such device")
        return self._inner.read()

    def interrupt(self):
        self._inner.interrupt()

    def close(self):
        self._inner.close()


def test_a_camera_that_is_pulled_out_leaves_the_window_and_can_be_played_again(window):
    camera = Webcam()
    window.bridge.session.open(camera)
    until(lambda: views(window))
    goes_on(window)
    camera.pulled = True
    until(lambda: "No such device" in message(window))
    assert message(window).startswith("Error: ")
    assert window.isVisible()
    open_source(window, LIVE)
    goes_on(window)


def test_a_model_that_does_not_fit_is_told_and_the_one_before_goes_on(window, tmp_path):
    open_source(window, LIVE)
    model = tmp_path / "broken.onnx"
    model.write_bytes(b"no model at all")
    before = status(window)
    drop(window, model)
    until(lambda: "broken.onnx" in message(window))
    assert message(window).startswith("Error: ")
    goes_on(window)
    until(lambda: objects(window))
    assert status(window).split(" on ")[0] == before.split(" on ")[0]


def test_a_python_file_is_run_only_once_the_user_says_so(window, tmp_path):
    ran = tmp_path / "ran"
    file = tmp_path / "mine.py"
    file.write_text(f"open({str(ran)!r}, 'w').close()\n\n\ndef on_predict_batch_end(predictor):\n    pass\n")
    drop(window, file)
    assert message(window) == "Warning: mine.py is a Python file: loading it runs the code in it"
    QTest.qWait(100)
    assert not ran.exists()
    press_message(window, "Load it")
    until(ran.exists)
    assert message(window) == ""


def test_a_callback_that_raises_is_named_and_switched_off_and_the_stream_goes_on(window, tmp_path):
    open_source(window, LIVE)
    file = tmp_path / "broken.py"
    file.write_text("def on_predict_batch_end(predictor):\n    raise ValueError('no such door')\n")
    drop(window, file)
    press_message(window, "Load it")
    until(lambda: "no such door" in message(window))
    assert "on_predict_batch_end" in message(window)
    goes_on(window)
    model = window.callbacks.findChild(QTreeView).model()

    def state():
        (top,) = [model.index(row, 0) for row in range(model.rowCount()) if "broken" in model.index(row, 0).data()]
        return Qt.CheckState(model.index(0, 0, top).data(Qt.ItemDataRole.CheckStateRole))

    window.docks.show_panel("Callbacks")
    until(lambda: state() is Qt.CheckState.Unchecked)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on file sizes there")
def test_a_full_disk_ends_the_recording_alone(window):
    open_source(window, "testsrc:320x240@100:live")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        press(window, "record")
        until(lambda: is_on(window, "record"))
        until(lambda: any("free some space" in text for text in notes(window)))
        until(lambda: not is_on(window, "record"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert any("free some space" in text and text.startswith("error") for text in troubles(window))
    goes_on(window)
    (video,) = saved(window, ".mp4")
    assert frames_of(video) > 10


def test_what_is_dropped_takes_the_place_of_what_is_open(window, clip, tmp_path):
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    press(window, "loop")
    drop(window, clip)
    drop(window, other)  # before the first was there
    until(lambda: window.windowTitle().startswith("other.mp4"))
    goes_on(window)
    drop(window, clip, other)
    until(lambda: len(views(window)) == 2)
    until(lambda: window.windowTitle().startswith("scene.mp4, other.mp4"))
    assert troubles(window) == []


def test_what_is_not_there_is_told_and_what_plays_goes_on(window):
    open_source(window, LIVE)
    window.handlers.open_spec("/nowhere/clip.mp4")
    until(lambda: "/nowhere/clip.mp4 does not exist" in message(window))
    goes_on(window)


@pytest.mark.parametrize("spec", ["/nowhere/clip.mp4", "rtsp:/me:hush@cam"])
def test_a_wrong_source_leads_back_to_the_first_screen_and_shows_no_secret(window, spec):
    window.handlers.open_spec(spec)
    until(lambda: message(window).startswith("Error: "))
    until(lambda: status(window).startswith("Nothing is open"))
    texts = [message(window), window.windowTitle(), *notes(window)]
    texts += [each.accessibleName() + each.toolTip() for each in window.findChildren(QWidget)]
    assert not any("hush" in text for text in texts)


def test_the_window_is_closed_while_everything_goes_on(window, clip):
    open_source(window, LIVE, FILE)
    press(window, "record")
    press(window, "settings")
    until(lambda: is_on(window, "record"))
    goes_on(window, 20)
    window.handlers.open_spec(clip, beside=True)
    window.close()
    assert not window.isVisible()
    assert not dialogs()
    assert window.ended
    assert all(frames_of(video) > 0 for video in saved(window, ".mp4"))
    assert window.close()  # once more does no harm


def test_settings_that_are_confirmed_unchanged_leave_alone_what_was_tuned(window):
    open_source(window, FILE)
    session = window.bridge.session
    session.update(conf=0.61, tracker=None)
    session.set_loop(True)
    window.actions_by_name["settings"].trigger()
    (dialog,) = dialogs(QDialog)
    dialog.accept()
    until(lambda: not dialogs(QDialog))
    assert (session.state.options.conf, session.state.options.tracker, session.state.loop) == (0.61, None, True)


def test_steps_in_quick_succession_add_up(window, monkeypatch):
    monkeypatch.setattr(handlers, "SUCCESSION", 60.0)  # however long the machine takes for three keys
    open_source(window, FILE)
    hold(window)
    session = window.bridge.session
    key = window.grid.current_key
    before = session.renderer.last(key).frame.pts
    for _ in range(3):
        press(window, "forward")
    until(lambda: abs(session.renderer.last(key).frame.pts - before - 15) < 0.1)


def test_a_recording_ends_with_a_stop_and_is_not_carried_to_what_is_opened_next(window, tmp_path):
    open_source(window, FILE)
    press(window, "record")
    until(lambda: is_on(window, "record") and "Recording" in status(window))
    until(lambda: window.bridge.state.takes[0].paths)
    press(window, "stop")
    until(lambda: not is_on(window, "record"))
    open_source(window, LIVE)
    assert not is_on(window, "record")
    assert "Recording" not in status(window)


def test_what_cannot_be_opened_is_not_remembered_and_a_name_is_remembered_with_its_folder(
    window, store, tmp_path, monkeypatch, clip
):
    monkeypatch.chdir(clip.parent)
    window.handlers.open_spec("nowhere.mp4")
    until(lambda: "nowhere.mp4" in message(window))
    window.handlers.open_spec(clip.name)
    until(lambda: views(window))
    until(lambda: store.recent("source") == [str(clip)])


def test_zones_drawn_since_stay_where_others_are_put_back(window):
    open_source(window, FILE)
    session, key = window.bridge.session, window.grid.current_key
    session.set_zones(key, {"old": ((0.1, 0.1), (0.4, 0.1), (0.4, 0.4))})
    until(lambda: window.actions_by_name["clear_zones"].isEnabled())
    press(window, "clear_zones")
    session.set_zones(key, {"new": ((0.5, 0.5), (0.9, 0.5), (0.9, 0.9))})
    press_message(window, "Undo")
    until(lambda: set(session.state.zones[key]) == {"old", "new"})


def test_tools_of_the_picture_can_be_used_as_soon_as_it_is_shown(window):
    told = []
    window.bridge.state_changed.connect(
        lambda state: told.append((bool(state.slots) and window.shows_picture, can(window, "draw_line")))
    )
    window.handlers.open_spec(FILE)
    while not window.bridge.session.state.slots:  # the window is held up, and hears of all of it at once
        time.sleep(0.01)
    until(lambda: told)
    assert told[0] == (True, True)
    assert all(can_draw is shown for shown, can_draw in told)


def test_tools_of_the_picture_wait_while_it_is_not_shown(window):
    open_source(window, FILE)
    press(window, "welcome")
    until(lambda: not views(window))
    assert not window.actions_by_name["draw_line"].isEnabled()
    press(window, "welcome")
    until(lambda: window.actions_by_name["draw_line"].isEnabled())
