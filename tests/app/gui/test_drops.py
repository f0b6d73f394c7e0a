from pathlib import Path

import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QWidget

from framehook.app.gui.drops import DropHint, Drops, meaning, meaning_of
from framehook.app.gui.theme import apply_theme

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def file(path):
    return QUrl.fromLocalFile(str(path))


def carried(*urls, text=None):
    data = QMimeData()
    if urls:
        data.setUrls(list(urls))
    if text is not None:
        data.setText(text)
    return data


@pytest.fixture
def window(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.resize(640, 360)
    window.drops = Drops(window)
    with qtbot.waitExposed(window):
        window.show()
    return window


@pytest.fixture
def hint(window):
    return window.findChild(DropHint)


def enter(window, data):
    event = QDragEnterEvent(QPoint(20, 20), Qt.DropAction.CopyAction, data, LEFT, NONE)
    QApplication.sendEvent(window, event)
    return event


def drop(window, data):
    event = QDropEvent(QPointF(20, 20), Qt.DropAction.CopyAction, data, LEFT, NONE)
    QApplication.sendEvent(window, event)
    return event


@pytest.mark.parametrize(
    ("urls", "hint"),
    [
        (["file:///v/clip%20one.mp4"], "Drop to open clip one.mp4"),
        (["file:///v/folder"], "Drop to open folder"),
        (["file:///v/a.mp4", "file:///v/b.jpg"], "Drop to open a.mp4 and b.jpg"),
        ([f"file:///v/{name}.jpg" for name in "abcde"], "Drop to open a.jpg, b.jpg and 3 more"),
        (["rtsp://me:hush@cam/live?token=abc"], "Drop to open cam/live"),
        (["file:///m/yolo11n.ONNX"], "Drop to use yolo11n.ONNX as the model"),
        (["file:///m/yolov8n.pt", "file:///v/a.mp4"], "Drop to use yolov8n.pt as the model and open a.mp4"),
        (["file:///c/hooks.py"], "Drop to load the callbacks in hooks.py; you are asked first, as this runs code"),
        (["file:///m/a.onnx", "file:///m/b.pt"], "One model at a time, please"),
        (["mailto:me@here"], "Nothing here can be opened"),
        ([], "Nothing here can be opened"),
    ],
)
def test_what_a_drop_would_do_is_said_in_words(urls, hint):
    assert meaning(urls).hint == hint


def test_what_is_dropped_is_sorted_by_what_it_is_for():
    dropped = meaning([file("/v/a b.mp4"), file("/m/x.pt"), file("/c/hooks.py"), QUrl("http://me:hush@cam/live?a=1&b=%20")])
    assert dropped.sources == (Path("/v/a b.mp4"), "http://me:hush@cam/live?a=1&b=%20")
    assert dropped.spec == [Path("/v/a b.mp4"), "http://me:hush@cam/live?a=1&b=%20"]
    assert dropped.model == Path("/m/x.pt")
    assert dropped.callbacks == (Path("/c/hooks.py"),)
    assert dropped


def test_a_single_source_is_no_list():
    assert meaning([file("/v/a.mp4")]).spec == Path("/v/a.mp4")
    assert meaning([]).spec is None
    assert not meaning([file("/m/x.pt"), file("/m/y.pt")])


def test_a_text_that_is_an_address_counts_and_other_texts_do_not():
    assert meaning_of(carried(text="  rtsp://cam/live\n")).spec == "rtsp://cam/live"
    assert not meaning_of(carried(text="just words: http is nice"))
    assert not meaning_of(carried())
    assert not meaning_of(None)


def test_a_hint_is_shown_while_something_is_dragged_and_it_is_taken(window, hint, qtbot):
    data = carried(file("/v/clip.mp4"))
    assert not hint.isVisible()
    assert enter(window, data).isAccepted()
    assert hint.isVisible()
    assert hint.geometry() == window.rect()
    assert hint.accessibleName() == hint.text == "Drop to open clip.mp4"
    move = QDragMoveEvent(QPoint(30, 30), Qt.DropAction.CopyAction, data, LEFT, NONE)
    QApplication.sendEvent(window, move)
    assert move.isAccepted()
    window.resize(700, 400)
    assert hint.geometry() == window.rect()
    with qtbot.waitSignal(window.drops.dropped) as told:
        assert drop(window, data).isAccepted()
    assert told.args[0].spec == Path("/v/clip.mp4")
    assert not hint.isVisible()


def test_the_hint_goes_when_the_drag_leaves(window, hint, qtbot):
    enter(window, carried(file("/v/clip.mp4")))
    with qtbot.assertNotEmitted(window.drops.dropped, wait=50):
        QApplication.sendEvent(window, QDragLeaveEvent())
    assert not hint.isVisible()


def test_what_cannot_be_used_is_said_and_not_taken(window, hint, qtbot):
    data = carried(file("/m/a.onnx"), file("/m/b.onnx"))
    enter(window, data)
    assert hint.text == "One model at a time, please"
    move = QDragMoveEvent(QPoint(30, 30), Qt.DropAction.CopyAction, data, LEFT, NONE)
    QApplication.sendEvent(window, move)
    assert not move.isAccepted()
    with qtbot.assertNotEmitted(window.drops.dropped, wait=50):
        assert not drop(window, data).isAccepted()
    assert not hint.isVisible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_hint_is_painted_in_the_colours_of_the_window(window, hint, qapp, theme):
    apply_theme(qapp, theme)
    qapp.processEvents()
    enter(window, carried(file("/v/clip.mp4")))
    image = window.grab().toImage()
    ground = image.pixelColor(200, 60).lightness()
    assert (ground > 128) is (theme == "light")
    inks = {image.pixelColor(x, y).lightness() for x in range(200, 440) for y in range(190, 230)}
    assert max(abs(ink - ground) for ink in inks) > 120  # there are words
