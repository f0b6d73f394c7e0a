import os
import sys
import threading
import types

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QFileDialog, QLabel, QPlainTextEdit, QPushButton, QScrollArea, QToolButton

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.callbacks import EXAMPLE, STARTER, CallbacksPanel
from framehook.app.session.state import Level, Phase
from framehook.inference.callbacks import load_callbacks

SOURCE = "testsrc:320x240@30:live"
COUNTING = """
seen = []

def on_predict_batch_end(predictor):
    '''Counts the frames.'''
    seen.append(predictor.frame.index)

def on_predict_end(predictor): ...
"""
FAILING = """
def on_predict_batch_end(predictor):
    look(predictor.frame)

def look(frame):
    raise ValueError("no luck")
"""


@pytest.fixture
def bridge(qtbot):
    bridge = Bridge()
    yield bridge
    assert bridge.close(60)


@pytest.fixture
def notes(bridge):
    noted = []
    bridge.noted.connect(noted.append)
    return noted


@pytest.fixture
def panel(qtbot, bridge):
    panel = CallbacksPanel(bridge)
    qtbot.addWidget(panel)
    panel.resize(960, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.activateWindow()
    return panel


@pytest.fixture
def playing(qtbot, bridge):
    bridge.session.open(SOURCE)
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PLAYING)


def write(path, text):
    path.write_text(text)
    return path


def shown(panel):
    """What the table shows: by the text of each group the texts of its rows, column by column."""
    model = panel.table.model()
    groups = {}
    for row in range(model.rowCount()):
        group = model.index(row, 0)
        groups[group.data()] = [
            [model.index(child, column, group).data() for column in range(model.columnCount())]
            for child in range(model.rowCount(group))
        ]
    return groups


def index_of(panel, *texts):
    """The cell of a group, or of a row in it, by the beginning of its text."""
    model = panel.table.model()
    index = model.index(-1, -1)
    for text in texts:
        index = next(
            child for row in range(model.rowCount(index)) if (child := model.index(row, 0, index)).data().startswith(text)
        )
    return index


def row_of(panel, *texts):
    index = index_of(panel, *texts)
    return [index.siblingAtColumn(column).data() for column in range(panel.table.model().columnCount())]


def is_checked(panel, *texts):
    return index_of(panel, *texts).data(Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked


def has_group(panel, text):
    return any(group.startswith(text) for group in shown(panel))


def load(qtbot, panel, path):
    panel.load(path)
    qtbot.waitUntil(lambda: has_group(panel, f"{path.name}: loaded at"))


def check_box(panel, index):
    """The middle of the box in front of a callback's name."""
    rect = panel.table.visualRect(index)
    return QPoint(rect.left() + 10, rect.center().y())


def test_every_callback_is_shown_under_where_it_comes_from(qtbot, panel, playing, tmp_path):
    load(qtbot, panel, write(tmp_path / "door.py", COUNTING))
    qtbot.waitUntil(lambda: int(row_of(panel, "door.py", "on_predict_batch_end")[3].replace(",", "")) > 3)
    # Milliseconds, once it was called often enough that a moment in which the machine did something else is no matter.
    qtbot.waitUntil(lambda: all(0 <= float(ms) < 1000 for ms in row_of(panel, "door.py", "on_predict_batch_end")[4:6]))
    groups = list(shown(panel))
    assert groups[0].startswith("door.py: loaded at ")
    assert groups[-1] == "Built in"
    _, event, order, _, _, _, errors, state = row_of(panel, "door.py", "on_predict_batch_end")
    assert (event, order, errors, state) == ("on_predict_batch_end", "0", "0", "on")
    assert "Counts the frames." in index_of(panel, "door.py", "on_predict_batch_end").data(Qt.ItemDataRole.ToolTipRole)
    assert "Gives boxes the ids of a tracker" in index_of(panel, "Built in", "Tracking").data(Qt.ItemDataRole.ToolTipRole)
    assert row_of(panel, "Built in", "Tracking")[1:3] == ["on_predict_postprocess_end", "-100"]
    names = {row[0] for row in shown(panel)["Built in"]}
    assert {"Tracking", "Overlay", "Motion"} <= names
    assert panel.summary.text().endswith(" ms a frame")


def test_without_a_file_the_panel_says_how_to_write_one(qtbot, panel, tmp_path):
    texts = " ".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())
    assert "Run your own code on every frame" in texts
    (example,) = [each for each in panel.findChildren(QPlainTextEdit) if each.isVisible()]
    assert example.toPlainText() == EXAMPLE.rstrip()
    assert len(load_callbacks(write(tmp_path / "example.py", EXAMPLE))) == 1
    load(qtbot, panel, tmp_path / "example.py")
    assert not example.isVisible()


def test_the_starter_file_is_saved_where_the_user_says_loaded_and_draws_on_the_picture(qtbot, bridge, panel, playing, tmp_path):
    (save,) = [each for each in panel.findChildren(QPushButton) if each.isVisible()]
    qtbot.mouseClick(save, Qt.MouseButton.LeftButton)
    (dialog,) = panel.findChildren(QFileDialog)
    dialog.setDirectory(str(tmp_path))
    dialog.selectFile(str(tmp_path / "mine"))
    dialog.accept()
    qtbot.waitUntil(lambda: has_group(panel, "mine.py: loaded at"))
    assert (tmp_path / "mine.py").read_text() == STARTER
    qtbot.waitUntil(lambda: row_of(panel, "mine.py", "on_predict_batch_end")[3] not in ("0", "1"))
    key = bridge.state.slots[0].key
    bridge.session.update(overlay=None)

    def is_drawn():
        result = bridge.session.renderer.last(key)
        changed = np.any(result.canvas != result.orig_img, axis=2)
        yellow = np.all(result.canvas == (0, 220, 255), axis=2)
        return changed.any() and yellow.any()

    qtbot.waitUntil(is_drawn)
    assert row_of(panel, "mine.py", "on_predict_batch_end")[-1] == "on"


def test_a_starter_file_that_cannot_be_written_is_told_of(qtbot, panel, notes, tmp_path):
    panel.save_starter(tmp_path / "nowhere" / "mine.py")
    qtbot.waitUntil(lambda: len(notes) == 1)
    assert notes[0].level is Level.ERROR
    assert notes[0].text.endswith("nowhere/mine.py cannot be written: No such file or directory; choose another place")


def test_a_file_is_chosen_in_a_dialog_and_told_of(qtbot, panel, tmp_path):
    write(tmp_path / "door.py", COUNTING)
    chosen = []
    panel.file_chosen.connect(chosen.append)
    (button,) = [each for each in panel.findChildren(QToolButton) if each.text() == "Load file…"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    (dialog,) = panel.findChildren(QFileDialog)
    dialog.selectFile(str(tmp_path / "door.py"))
    qtbot.waitUntil(lambda: dialog.selectedFiles() == [str(tmp_path / "door.py")])
    dialog.accept()
    qtbot.waitUntil(lambda: has_group(panel, "door.py: loaded at"))
    assert chosen == [tmp_path / "door.py"]


def drop(panel, *paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(30, 30), Qt.DropAction.CopyAction, data, buttons, keys)
    enter.ignore()
    QApplication.sendEvent(panel, enter)
    if enter.isAccepted():
        QApplication.sendEvent(panel, QDropEvent(QPointF(30, 30), Qt.DropAction.CopyAction, data, buttons, keys))
    return enter.isAccepted()


def test_python_files_that_are_dropped_are_loaded_and_others_are_not_taken(qtbot, panel, tmp_path):
    assert not drop(panel, write(tmp_path / "clip.mp4", ""))
    assert drop(panel, write(tmp_path / "door.py", COUNTING), write(tmp_path / "yard.py", COUNTING))
    qtbot.waitUntil(lambda: has_group(panel, "door.py: loaded") and has_group(panel, "yard.py: loaded"))


def test_a_callback_that_raises_is_unchecked_and_its_row_tells_where(qtbot, panel, notes, playing, tmp_path):
    path = write(tmp_path / "door.py", FAILING)
    panel.load(path)
    qtbot.waitUntil(lambda: has_group(panel, "door.py: loaded") and any(note.level is Level.ERROR for note in notes))
    failing = "door.py", "on_predict_batch_end"
    qtbot.waitUntil(lambda: row_of(panel, *failing)[-2:] == ["1", "off: raised ValueError: no luck (door.py line 6)"])
    assert not is_checked(panel, *failing)
    assert not panel.detail.isVisible()
    panel.table.setCurrentIndex(index_of(panel, *failing))
    assert panel.detail.isVisible()
    assert panel.detail.toPlainText().startswith(
        f'ValueError: no luck (door.py line 6)\n\nTraceback (most recent call last):\n  File "{path}", line 3, in on_pred'
    )
    qtbot.keyClick(panel.table, Qt.Key.Key_Space)  # once more, and it raises again
    qtbot.waitUntil(lambda: row_of(panel, *failing)[-2] == "2")
    assert not is_checked(panel, *failing)


def test_a_callback_is_switched_by_its_box_and_by_the_space_bar(qtbot, bridge, panel, playing, tmp_path):
    load(qtbot, panel, write(tmp_path / "door.py", COUNTING))
    counting = "door.py", "on_predict_batch_end"
    hooks = bridge.session.hooks

    def is_on():
        return next(row for row in hooks.rows() if row.origin == "door.py" and row.event == counting[1]).on

    viewport = panel.table.viewport()
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=check_box(panel, index_of(panel, *counting)))
    assert not is_on()
    qtbot.waitUntil(lambda: row_of(panel, *counting)[-1] == "off")
    assert not is_checked(panel, *counting)
    panel.table.setCurrentIndex(index_of(panel, *counting).siblingAtColumn(4))
    qtbot.keyClick(panel.table, Qt.Key.Key_Space)
    assert is_on()
    qtbot.waitUntil(lambda: row_of(panel, *counting)[-1] == "on")


def test_what_others_rely_on_cannot_be_switched_off(qtbot, bridge, panel):
    relay = index_of(panel, "Built in", "Relay")
    assert "cannot be switched off" in relay.data(Qt.ItemDataRole.ToolTipRole)
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, pos=check_box(panel, relay))
    qtbot.keyClick(panel.table, Qt.Key.Key_Space)
    assert is_checked(panel, "Built in", "Relay")
    assert all(row.on for row in bridge.session.hooks.rows())


def test_a_file_that_changes_on_disk_is_marked_and_reloaded_by_key(qtbot, panel, tmp_path):
    path = write(tmp_path / "door.py", COUNTING)
    load(qtbot, panel, path)
    other = write(tmp_path / "door.py.new", COUNTING + "\ndef on_predict_start(predictor): ...\n")
    os.utime(other, (1, 1))
    os.replace(other, path)  # as editors do
    qtbot.waitUntil(lambda: has_group(panel, "door.py: changed on disk"))
    assert len(shown(panel)["door.py: changed on disk; reload it"]) == 2  # nothing is run by itself
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: has_group(panel, "door.py: loaded at"))
    assert row_of(panel, "door.py", "on_predict_start")[1] == "on_predict_start"
    path.write_text(COUNTING)  # and as others do
    qtbot.waitUntil(lambda: has_group(panel, "door.py: changed on disk"))


def test_a_reload_that_fails_leaves_what_was_there_and_says_why(qtbot, panel, notes, tmp_path):
    path = write(tmp_path / "door.py", COUNTING)
    load(qtbot, panel, path)
    path.write_text("def on_predict_batch_end(predictor):\n    x ==\n")
    panel.reload_action.trigger()
    qtbot.waitUntil(lambda: has_group(panel, "door.py: not reloaded, since it fails"))
    qtbot.waitUntil(lambda: notes[-1].level is Level.ERROR)
    assert "door.py, line 2: SyntaxError: invalid syntax; the callbacks loaded before stay" in notes[-1].text
    assert len(shown(panel)["door.py: not reloaded, since it fails"]) == 2
    panel.table.setCurrentIndex(index_of(panel, "door.py"))
    assert "door.py, line 2: SyntaxError" in panel.detail.toPlainText()
    assert panel.detail.isVisible()


def test_a_file_is_removed_by_key(qtbot, panel, tmp_path):
    assert not panel.remove_action.isEnabled()
    assert not panel.reload_action.isEnabled()
    for name in ("door.py", "yard.py"):
        load(qtbot, panel, write(tmp_path / name, COUNTING))
    assert not panel.remove_action.isEnabled()  # it is not said which
    panel.table.setCurrentIndex(index_of(panel, "door.py", "on_predict_end"))
    assert panel.remove_action.isEnabled()
    panel.table.setFocus()
    qtbot.keyClick(panel.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: not has_group(panel, "door.py"))
    assert has_group(panel, "yard.py")


def test_a_slow_file_is_shown_while_it_loads(qtbot, panel, tmp_path, monkeypatch):
    gate = threading.Event()
    monkeypatch.setitem(sys.modules, "gate_of_this_test", types.SimpleNamespace(wait=lambda: gate.wait(20)))
    panel.load(write(tmp_path / "slow.py", "import gate_of_this_test\ngate_of_this_test.wait()\n" + COUNTING))
    qtbot.waitUntil(lambda: has_group(panel, "slow.py: loading…"))
    gate.set()
    qtbot.waitUntil(lambda: has_group(panel, "slow.py: loaded at"))


def test_rows_are_sorted_by_any_column_within_where_they_come_from(qtbot, panel, playing, tmp_path):
    load(qtbot, panel, write(tmp_path / "door.py", COUNTING))
    header = panel.table.header()

    def click(column):
        at = header.sectionViewportPosition(column) + 5
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(at, 5))

    orders = [int(row[2]) for row in shown(panel)["Built in"]]
    assert orders == sorted(orders)
    click(0)
    names = [row[0].casefold() for row in shown(panel)["Built in"]]
    assert names == sorted(names)
    assert len(set(names)) > 2
    click(0)
    assert [row[0].casefold() for row in shown(panel)["Built in"]] == sorted(names, reverse=True)
    assert next(iter(shown(panel))).startswith("door.py")


def test_selection_and_scrolling_stay_while_figures_come_and_files_go(qtbot, bridge, panel, playing, tmp_path):
    for name in ("door.py", "yard.py"):
        load(qtbot, panel, write(tmp_path / name, COUNTING))
    panel.resize(500, 200)
    panel.table.setCurrentIndex(index_of(panel, "yard.py", "on_predict_batch_end"))
    panel.table.collapse(index_of(panel, "door.py"))
    bar, sideways = panel.table.verticalScrollBar(), panel.table.horizontalScrollBar()
    bar.setValue(3)
    sideways.setValue(40)
    assert (bar.value(), sideways.value()) == (3, 40)
    with qtbot.waitSignal(bridge.figures_changed):
        pass
    qtbot.wait(150)
    assert (bar.value(), sideways.value()) == (3, 40)
    bridge.session.load_hooks(tmp_path / "yard.py")
    bridge.session.unload_hooks(tmp_path / "door.py")
    qtbot.waitUntil(lambda: not has_group(panel, "door.py"))
    chosen = panel.table.currentIndex()
    assert chosen.siblingAtColumn(0).data() == "on_predict_batch_end"
    assert chosen.parent().data().startswith("yard.py")


def test_what_matters_is_seen_without_scrolling_in_a_panel_below_the_picture(qtbot, panel, playing):
    panel.resize(954, 186)
    table = panel.table
    qtbot.waitUntil(lambda: len(shown(panel)["Built in"]) > 4)
    qtbot.waitUntil(lambda: table.horizontalScrollBar().maximum() == 0)
    header = table.header()
    titles = [table.model().headerData(number, Qt.Orientation.Horizontal) for number in range(table.model().columnCount())]
    there = sorted(range(len(titles)), key=header.sectionViewportPosition)
    assert [titles[number] for number in there[:6]] == ["Callback", "Event", "Calls", "Mean, ms", "Errors", "State"]
    assert "Run your own code" in " ".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def test_an_event_that_is_cut_short_is_told_by_the_tooltip_and_shows_both_its_ends(panel):
    panel.resize(954, 186)
    event = index_of(panel, "Built in", "Relay").siblingAtColumn(1)
    assert event.data() in event.data(Qt.ItemDataRole.ToolTipRole)
    assert panel.table.textElideMode() is Qt.TextElideMode.ElideMiddle


def test_columns_fill_a_wide_panel_and_stay_as_the_user_drew_them(qtbot, panel):
    panel.resize(1594, 250)
    assert panel.table.columnWidth(1) > panel.table.fontMetrics().horizontalAdvance("on_predict_postprocess_end")
    panel.table.header().resizeSection(1, 333)
    panel.resize(1000, 250)
    assert panel.table.columnWidth(1) == 333


def test_what_went_wrong_has_more_room_than_the_guide(qtbot, panel, playing, tmp_path):
    panel.resize(1000, 250)
    (example,) = [each for each in panel.findChildren(QPlainTextEdit) if each.isVisible()]
    guide = example.width()
    assert guide <= 300
    load(qtbot, panel, write(tmp_path / "door.py", FAILING))
    failing = "door.py", "on_predict_batch_end"
    qtbot.waitUntil(lambda: row_of(panel, *failing)[-2] == "1")
    panel.table.setCurrentIndex(index_of(panel, *failing))
    qtbot.waitUntil(lambda: panel.detail.isVisible() and panel.detail.width() > guide + 50)


def test_everything_can_be_reached_by_key_and_has_a_name(panel):
    for button in panel.findChildren(QToolButton):
        if button.text():
            assert button.accessibleName() == button.text().rstrip("…")
            assert button.toolTip()
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
            assert button.height() >= 24
    for area in panel.findChildren(QScrollArea):
        assert area.focusPolicy() is Qt.FocusPolicy.NoFocus
    assert panel.table.accessibleName() == "Callbacks"
    assert panel.detail.accessibleName()
