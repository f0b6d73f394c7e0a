import time

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QLineEdit, QPlainTextEdit, QPushButton, QToolButton, QVBoxLayout, QWidget

from framehook.app.gui.message_bar import MessageBar
from framehook.app.gui.theme import apply_theme
from framehook.app.session.state import Level, Note

LONG = "rtsp://door/live did not answer in time (open_timeout is 10 s); check the address and that the server runs"


@pytest.fixture
def window(qtbot):
    """A bar above a field in which somebody types."""
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    column.setContentsMargins(0, 0, 0, 0)
    window.bar = MessageBar()
    window.field = QLineEdit()
    column.addWidget(window.bar)
    column.addWidget(window.field)
    window.resize(900, 300)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    window.field.setFocus()
    return window


@pytest.fixture
def bar(window):
    return window.bar


def said(bar):
    """What a screen reader reads."""
    return bar.accessibleName()


def button(bar, name):
    found = [each for each in bar.findChildren(QToolButton) if each.accessibleName() == name and each.isVisible()]
    assert len(found) <= 1
    return found[0] if found else None


def action(bar):
    return next((each for each in bar.findChildren(QPushButton) if each.isVisible()), None)


def ground(bar):
    return QColor(bar.grab().toImage().pixel(bar.width() - 2, 2))


def test_there_is_no_bar_while_there_is_nothing_to_tell(bar):
    assert not bar.isVisible()


def test_the_newest_message_is_shown_and_the_others_wait_behind_it(bar, qtbot):
    bar.show_message(Level.ERROR, "first")
    bar.show_note(Note(Level.WARNING, "second", time.time()))
    assert bar.isVisible()
    assert said(bar) == "Warning: second"
    assert "1 more message" in [each.accessibleName() for each in bar.findChildren(QWidget) if each.isVisible()]
    qtbot.mouseClick(button(bar, "Close this message"), Qt.MouseButton.LeftButton)
    assert said(bar) == "Error: first"
    qtbot.mouseClick(button(bar, "Close this message"), Qt.MouseButton.LeftButton)
    assert not bar.isVisible()


def test_a_message_that_comes_again_is_shown_once(bar):
    for _ in range(3):
        bar.show_message(Level.WARNING, "door is lost")
    assert said(bar) == "Warning: door is lost (×3)"  # noqa: RUF001
    bar.close_message()
    assert not bar.isVisible()


def test_only_a_few_wait_and_errors_the_longest(bar):
    bar.show_message(Level.ERROR, "the disk is full")
    for number in range(30):
        bar.show_message(Level.INFO, f"note {number}")
    seen = []
    while bar.isVisible():
        seen.append(said(bar))
        bar.close_message()
    assert len(seen) <= 8
    assert seen[-1] == "Error: the disk is full"


def test_notes_go_by_themselves_and_errors_stay(bar, qtbot, monkeypatch):
    monkeypatch.setattr("framehook.app.gui.message_bar._SECONDS", {Level.INFO: 0.05, Level.WARNING: 0.05})
    bar.show_message(Level.ERROR, "stays")
    bar.show_message(Level.WARNING, "goes")
    bar.show_message(Level.INFO, "goes, too")
    qtbot.waitUntil(lambda: said(bar) == "Error: stays")
    qtbot.wait(150)
    assert bar.isVisible()


def test_nothing_goes_while_the_keyboard_is_in_the_bar(bar, window, qtbot, monkeypatch):
    monkeypatch.setattr("framehook.app.gui.message_bar._SECONDS", {Level.INFO: 0.05, Level.WARNING: 0.05})
    bar.show_message(Level.INFO, "read me")
    button(bar, "Close this message").setFocus()
    qtbot.wait(200)
    assert bar.isVisible()
    window.field.setFocus()
    qtbot.waitUntil(lambda: not bar.isVisible())


def test_a_message_with_a_button_stays_and_the_button_does_it_once(bar, qtbot, monkeypatch):
    monkeypatch.setattr("framehook.app.gui.message_bar._SECONDS", {Level.INFO: 0.05, Level.WARNING: 0.05})
    done = []
    bar.show_message(Level.WARNING, "hooks.py runs code", action=("Load it", lambda: done.append(1)))
    qtbot.wait(150)
    assert action(bar).text() == "Load it"
    qtbot.mouseClick(action(bar), Qt.MouseButton.LeftButton)
    assert done == [1]
    assert not bar.isVisible()


def test_what_a_button_does_may_show_a_message_of_its_own(bar, qtbot):
    bar.show_message(Level.WARNING, "ask", action=("Do it", lambda: bar.show_message(Level.INFO, "done")))
    qtbot.mouseClick(action(bar), Qt.MouseButton.LeftButton)
    assert said(bar) == "Note: done"
    assert action(bar) is None


def test_the_keyboard_stays_where_it_is(bar, window, qtbot):
    QTest.keyClicks(window.field, "ab")
    bar.show_message(Level.ERROR, LONG, "and more", ("Retry", lambda: None))
    QTest.keyClicks(window.focusWidget(), "cd")
    assert window.field.text() == "abcd"
    bar.close_message()
    assert window.field.hasFocus()


def test_everything_can_be_reached_and_done_with_the_keyboard(bar, window, qtbot):
    done = []
    bar.show_message(Level.ERROR, "short", "line one\nline two", ("Retry", lambda: done.append(1)))
    reached = set()
    for _ in range(8):
        QTest.keyClick(window.focusWidget(), Qt.Key.Key_Tab)
        widget = window.focusWidget()
        reached.add(widget.accessibleName() or getattr(widget, "text", str)())
    assert {"Show the whole message", "Close this message", "Retry"} <= reached
    button(bar, "Show the whole message").setFocus()
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    detail = bar.findChild(QPlainTextEdit)
    assert detail.isVisible()
    assert detail.toPlainText() == "short\n\nline one\nline two"
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert not done


def test_a_long_text_ends_in_an_ellipsis_and_can_be_read_in_whole(bar, window, qtbot):
    bar.show_message(Level.ERROR, LONG)
    assert button(bar, "Show the whole message") is None  # it fits
    window.resize(320, 300)
    qtbot.waitUntil(lambda: button(bar, "Show the whole message") is not None)
    assert bar.width() <= 320
    tips = [each.toolTip() for each in bar.findChildren(QWidget) if each.isVisible()]
    assert any("check the address and that the server runs" in tip for tip in tips)
    qtbot.mouseClick(button(bar, "Show the whole message"), Qt.MouseButton.LeftButton)
    assert bar.findChild(QPlainTextEdit).toPlainText() == LONG


def test_another_message_is_folded_again(bar, qtbot):
    bar.show_message(Level.ERROR, "one", "detail")
    qtbot.mouseClick(button(bar, "Show the whole message"), Qt.MouseButton.LeftButton)
    bar.show_message(Level.INFO, "two")
    bar.close_message()
    assert said(bar) == "Note: two"
    assert not bar.findChild(QPlainTextEdit).isVisible()


def test_a_message_that_is_read_stays_in_front_and_new_ones_wait_behind_it(bar, window, qtbot):
    bar.show_message(Level.ERROR, "one", "detail")
    qtbot.mouseClick(button(bar, "Show the whole message"), Qt.MouseButton.LeftButton)
    detail = bar.findChild(QPlainTextEdit)
    detail.setFocus()
    for text in ("two", "one", "two"):
        bar.show_message(Level.WARNING if text == "two" else Level.ERROR, text, action=("Do it", lambda: None))
    assert said(bar) == "Error: one (×2)"  # noqa: RUF001
    assert "1 more message" in [each.accessibleName() for each in bar.findChildren(QWidget) if each.isVisible()]
    assert detail.isVisible()
    assert detail.toPlainText() == "one\n\ndetail"
    assert window.focusWidget() is detail
    assert action(bar) is None
    bar.close_message()
    assert said(bar) == "Warning: two (×2)"  # noqa: RUF001


@pytest.mark.parametrize("way", ["keyboard", "mouse"])
def test_a_button_about_to_be_pressed_does_not_become_that_of_another_message(bar, qtbot, way):
    done = []
    bar.show_message(Level.ERROR, "one", action=("Retry", lambda: done.append("one")))
    if way == "keyboard":
        action(bar).setFocus()
    else:
        QTest.mouseMove(action(bar))
        qtbot.waitUntil(lambda: action(bar).underMouse())
    bar.show_message(Level.ERROR, "two", action=("Load it", lambda: done.append("two")))
    assert action(bar).text() == "Retry"
    action(bar).click()
    assert done == ["one"]
    assert said(bar) == "Error: two"
    assert action(bar).text() == "Load it"


def test_line_breaks_and_what_looks_like_html_are_shown_as_text(bar, window):
    window.resize(300, 200)
    bar.show_message(Level.ERROR, "a <b>file</b>\nwith <img src=x> in its name, which goes on and on and on and on and on")
    assert said(bar).startswith("Error: a <b>file</b> with <img src=x>")
    tips = [each.toolTip() for each in bar.findChildren(QWidget) if "file" in each.toolTip()]
    assert tips
    assert not any("<img" in tip for tip in tips)


def test_each_level_has_a_colour_of_its_own_in_light_and_dark(bar, qapp):
    seen = set()
    for theme in ("light", "dark"):
        apply_theme(qapp, theme)
        qapp.processEvents()
        for level in Level:
            bar.show_message(level, "words")
            colour = ground(bar)
            assert (colour.lightness() > 128) is (theme == "light")
            seen.add(colour.name())
    assert len(seen) == 6


def test_all_messages_can_be_closed_at_once(bar):
    for number in range(3):
        bar.show_message(Level.ERROR, str(number))
    bar.clear()
    assert not bar.isVisible()
