import time
from pathlib import Path

import pytest
from PyQt6.QtCore import QModelIndex, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QAbstractScrollArea, QComboBox, QFileDialog, QToolButton, QTreeView

from framehook.app.gui.panels.log import KEPT, LogPanel
from framehook.app.session.state import Level, Note

from .panel_scenes import shown

AT = 1_700_000_000.0
TRACEBACK = "Traceback (most recent call last):\n  line 12\nZeroDivisionError: division by zero\n"


@pytest.fixture
def panel(qtbot, bridge):
    return shown(qtbot, LogPanel(bridge), 480, 200)


def add(bridge, text, level=Level.INFO, detail="", at=AT):
    bridge.noted.emit(Note(level, text, at, detail))


def tree(panel):
    return panel.findChild(QTreeView)


def lines(panel, parent=None):
    model, parent = tree(panel).model(), parent or QModelIndex()
    return [model.index(row, 0, parent).data() for row in range(model.rowCount(parent))]


def said(panel):
    """What the notes say, without their times."""
    return [line.split("  ", 1)[1] for line in lines(panel)]


def press(qtbot, panel, text):
    (button,) = [button for button in panel.findChildren(QToolButton) if button.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def at_end(panel):
    bar = tree(panel).verticalScrollBar()
    return bar.value() == bar.maximum()


def test_notes_come_below_each_other_with_their_time(bridge, panel):
    add(bridge, "clip.mp4 was opened")
    add(bridge, "door is silent", Level.WARNING)
    clock = time.strftime("%H:%M:%S", time.localtime(AT))
    assert lines(panel) == [f"{clock}  clip.mp4 was opened", f"{clock}  door is silent"]


def test_notes_of_a_session_are_shown(qtbot, bridge, panel):
    bridge.report(Level.ERROR, "no such thing")
    qtbot.waitUntil(lambda: said(panel) == ["no such thing"])


def test_what_is_told_again_and_again_is_counted(bridge, panel):
    for _ in range(12):
        add(bridge, "door is silent", Level.WARNING)
    add(bridge, "door is back")
    add(bridge, "door is silent", Level.WARNING)
    assert said(panel) == ["door is silent (12 times)", "door is back", "door is silent"]


def test_only_the_newest_notes_are_kept(bridge, panel):
    for number in range(KEPT + 10):
        add(bridge, f"note {number}")
    assert len(lines(panel)) == KEPT
    assert said(panel)[0] == "note 10"
    assert said(panel)[-1] == f"note {KEPT + 9}"


def test_levels_are_filtered_also_for_notes_that_come_later(qtbot, bridge, panel):
    levels = panel.findChild(QComboBox)
    for level in Level:
        add(bridge, level.value, level)
    levels.setCurrentText("Warnings, errors")
    assert said(panel) == ["warning", "error"]
    levels.setCurrentText("Errors")
    add(bridge, "another", Level.ERROR)
    add(bridge, "no matter")
    assert said(panel) == ["error", "another"]
    levels.setCurrentText("All notes")
    assert said(panel) == ["info", "warning", "error", "another", "no matter"]


def test_it_stays_at_the_newest_note_unless_the_user_scrolled_up(qtbot, bridge, panel):
    for number in range(40):
        add(bridge, f"note {number}")
    qtbot.waitUntil(lambda: tree(panel).verticalScrollBar().maximum() > 10 and at_end(panel))
    tree(panel).verticalScrollBar().setValue(3)
    add(bridge, "one more")
    qtbot.wait(50)
    assert tree(panel).verticalScrollBar().value() == 3
    tree(panel).verticalScrollBar().setValue(tree(panel).verticalScrollBar().maximum())
    for number in range(5):
        add(bridge, f"and more {number}")
    qtbot.waitUntil(lambda: at_end(panel))
    last = tree(panel).model().index(45, 0)
    qtbot.waitUntil(lambda: tree(panel).viewport().rect().contains(tree(panel).visualRect(last)))


def test_details_open_with_a_key(qtbot, bridge, panel):
    add(bridge, "a callback raised", Level.ERROR, TRACEBACK)
    add(bridge, "nothing more to say of this")
    model = tree(panel).model()
    first = model.index(0, 0)
    assert not tree(panel).isExpanded(first)
    tree(panel).setFocus()
    tree(panel).setCurrentIndex(first)
    qtbot.keyClick(tree(panel), Qt.Key.Key_Right)
    assert tree(panel).isExpanded(first)
    assert lines(panel, first) == [TRACEBACK.rstrip()]
    assert model.rowCount(model.index(1, 0)) == 0


def test_long_notes_are_wrapped_and_wrapped_anew_when_the_panel_gets_wider(qtbot, bridge, panel):
    panel.resize(320, 200)
    add(bridge, "short")
    add(bridge, "rtsp://camera.example/" + "a-very-long-path/" * 12 + " is silent for 5 s; it is connected to anew")
    view = tree(panel)

    def height(row):
        return view.visualRect(view.model().index(row, 0)).height()

    qtbot.waitUntil(lambda: height(1) >= 5 * (height(0) - 6))
    tall = height(1)
    panel.resize(900, 200)
    qtbot.waitUntil(lambda: height(0) <= height(1) < tall / 2)


def test_selected_notes_are_copied_and_all_that_are_shown_where_none_is(qtbot, bridge, panel):
    add(bridge, "first")
    add(bridge, "second", Level.ERROR, TRACEBACK)
    add(bridge, "second", Level.ERROR, TRACEBACK)
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(AT))
    second = f"{clock} error   second (2 times)\n" + "".join(f"    {line}\n" for line in TRACEBACK.splitlines())
    press(qtbot, panel, "Copy")
    assert QGuiApplication.clipboard().text() == f"{clock} info    first\n{second}"
    view = tree(panel)
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(view.model().index(1, 0)).center())
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    qtbot.keyClick(view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == second


def test_buttons_are_large_enough_to_be_hit_and_what_the_tab_key_reaches_has_a_name(panel):
    for button in panel.findChildren(QToolButton):
        if button.text():
            assert min(button.width(), button.height()) >= 24
    assert panel.levels.height() >= 24
    reached = [
        each
        for each in panel.findChildren(QAbstractScrollArea)
        if each.isVisible() and each.focusPolicy() & Qt.FocusPolicy.TabFocus
    ]
    assert [each.accessibleName() for each in reached] == ["Notes"]


def test_notes_are_cleared(qtbot, bridge, panel):
    add(bridge, "first")
    press(qtbot, panel, "Clear")
    assert lines(panel) == []
    add(bridge, "second")
    assert said(panel) == ["second"]


def save_as(qtbot, panel, path):
    press(qtbot, panel, "Save…")
    dialog = panel.findChild(QFileDialog)
    dialog.selectFile(str(path))
    dialog.accept()


def test_the_log_is_saved_to_a_file(qtbot, bridge, panel, tmp_path):
    add(bridge, "première", Level.WARNING)
    save_as(qtbot, panel, tmp_path / "log.txt")
    qtbot.waitUntil((tmp_path / "log.txt").exists)
    assert Path(tmp_path / "log.txt").read_text(encoding="utf-8").endswith(" warning première\n")


def test_a_log_that_cannot_be_saved_is_noted(qtbot, bridge, panel, tmp_path):
    add(bridge, "first")
    panel.save_to(str(tmp_path / "nowhere" / "log.txt"))
    qtbot.waitUntil(lambda: any("cannot be saved" in text for text in said(panel)))
