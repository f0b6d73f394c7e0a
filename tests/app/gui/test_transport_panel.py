import time
from itertools import pairwise

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QApplication, QLabel, QSlider, QStyle, QStyleOptionSlider, QToolButton

from framehook.app.gui.panels import transport
from framehook.app.gui.panels.transport import ACTIONS, SEEK_MS, TransportBar, in_words
from framehook.app.session.state import Phase
from framehook.inference.connection import SourceState

from .panel_scenes import FILE, open_and_watch, picture, quick_model, shown, slot, tell, texts


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A jump is waited for as long as a machine may need that does much else."""
    monkeypatch.setattr(transport, "_PATIENCE", 60.0)


@pytest.fixture
def actions(qapp):
    return {name: QAction(name) for name in ACTIONS}


@pytest.fixture
def bar(qtbot, bridge, actions):
    tell(bridge, slots=(slot("1", duration=220.0),))
    return shown(qtbot, TransportBar(bridge, actions), 700, 34)


@pytest.fixture
def running(qtbot, make_bridge, actions):
    """A bar over a file that plays, its bridge, and what came of the file so far."""
    bridge = make_bridge(model=quick_model())
    bar = shown(qtbot, TransportBar(bridge, actions), 700, 34)
    pictures = open_and_watch(qtbot, bridge, FILE)
    qtbot.waitUntil(lambda: said(bar).endswith("/ 3:20"))
    return bar, bridge, pictures


def pause(qtbot, bridge):
    bridge.session.pause()
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PAUSED)


def slider(bar):
    return bar.findChild(QSlider)


def said(bar):
    return next(iter(texts(bar, QLabel)), "")


def x_of(bar, seconds):
    """Where in the slider a time is."""
    option = QStyleOptionSlider()
    slider(bar).initStyleOption(option)
    option.sliderPosition = round(seconds * 1000)
    part = QStyle.SubControl.SC_SliderHandle
    return slider(bar).style().subControlRect(QStyle.ComplexControl.CC_Slider, option, part, slider(bar)).center()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (12.9, "0:12"), (220, "3:40"), (3723, "1:02:03"), (36_000, "10:00:00"), (-1, "0:00")]
)
def test_times_are_written_as_players_do(seconds, words):
    assert in_words(seconds) == words


def test_the_position_follows_the_pictures(bridge, bar):
    assert said(bar) == "0:00 / 3:40"
    bridge.picture_ready.emit(picture(at=12.4))
    assert said(bar) == "0:12 / 3:40"
    assert slider(bar).value() == 12_400
    assert slider(bar).maximum() == 220_000


def test_a_live_source_says_so_with_the_time_since_its_start(bridge, bar):
    door = slot("1", "door", live=True)
    tell(bridge, slots=(door,))
    assert not slider(bar).isVisible()
    assert said(bar) == "live"
    bridge.picture_ready.emit(picture(of=door, at=192))
    assert said(bar) == "live 3:12"
    tell(bridge, slots=(slot("1", "door", live=True, connection=SourceState.RECONNECTING),))
    assert said(bar) == "reconnecting 3:12"


def test_a_file_of_unknown_length_says_where_it_is(bridge, bar):
    endless = slot("1", duration=None)
    tell(bridge, slots=(endless,))
    bridge.picture_ready.emit(picture(of=endless, at=65))
    assert said(bar) == "1:05"
    assert not slider(bar).isVisible()


def test_nothing_is_said_where_nothing_is_open(bridge, bar):
    tell(bridge)
    assert said(bar) == ""
    assert not slider(bar).isVisible()


def test_a_file_jumps_where_the_groove_is_clicked_also_while_it_is_paused(qtbot, running):
    bar, bridge, pictures = running
    qtbot.mouseClick(slider(bar), Qt.MouseButton.LeftButton, pos=x_of(bar, 100))
    assert said(bar).startswith(("1:39", "1:40"))
    qtbot.waitUntil(lambda: 98 < pictures[-1].frame.pts < 110)
    pause(qtbot, bridge)
    qtbot.mouseClick(slider(bar), Qt.MouseButton.LeftButton, pos=x_of(bar, 50))
    qtbot.waitUntil(lambda: 48 < pictures[-1].frame.pts < 52)
    qtbot.waitUntil(lambda: said(bar).startswith(("0:49", "0:50", "0:51")))


def test_dragging_asks_for_few_jumps_the_last_always_and_nothing_moves_the_handle_meanwhile(qtbot, running):
    bar, _, pictures = running
    handle = slider(bar)
    begin = time.monotonic()
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=x_of(bar, 5))
    for seconds in range(6, 180):
        qtbot.mouseMove(handle, x_of(bar, seconds))
        qtbot.wait(2)
        assert handle.sliderPosition() == pytest.approx(seconds * 1000, abs=1500)
    few = (time.monotonic() - begin) / (0.9 * SEEK_MS / 1000) + 3  # timers may be early by a twentieth
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=x_of(bar, 179))
    qtbot.waitUntil(lambda: 177 < pictures[-1].frame.pts < 190)
    assert 1 < len({each.frame.segment for each in pictures}) <= few
    assert pictures[-1].frame.segment <= few < 174


def test_pictures_of_before_the_jump_do_not_take_the_handle_back(qtbot, bridge, bar):
    bridge.picture_ready.emit(picture(at=5, segment=3))
    qtbot.mouseClick(slider(bar), Qt.MouseButton.LeftButton, pos=x_of(bar, 110))
    there = slider(bar).value()
    bridge.picture_ready.emit(picture(at=5.1, segment=3))
    assert slider(bar).value() == there
    bridge.picture_ready.emit(picture(at=108.0, segment=4))
    assert slider(bar).value() == 108_000


def test_a_jump_that_leads_nowhere_is_not_waited_for(qtbot, bridge, bar, monkeypatch):
    monkeypatch.setattr(transport, "_PATIENCE", 0.1)
    bridge.picture_ready.emit(picture(at=5))
    qtbot.mouseClick(slider(bar), Qt.MouseButton.LeftButton, pos=x_of(bar, 110))
    qtbot.wait(150)
    bridge.picture_ready.emit(picture(at=6.5))
    assert slider(bar).value() == 6_500


def test_arrow_keys_go_five_seconds(qtbot, running):
    bar, bridge, pictures = running
    pause(qtbot, bridge)
    slider(bar).setFocus()
    for key, seconds in ((Qt.Key.Key_End, 200), (Qt.Key.Key_Home, 0), (Qt.Key.Key_Right, 5), (Qt.Key.Key_PageUp, 35)):
        qtbot.keyClick(slider(bar), key)
        assert slider(bar).value() == pytest.approx(seconds * 1000, abs=200)
        if seconds < 200:
            qtbot.waitUntil(lambda seconds=seconds: abs(pictures[-1].frame.pts - seconds) < 0.2)


def test_playing_asks_for_no_jumps(qtbot, running):
    bar, _, pictures = running
    qtbot.waitUntil(lambda: pictures[-1].frame.pts > 0.5 and slider(bar).value() > 500)
    assert pictures[-1].frame.segment == pictures[0].frame.segment


def test_the_buttons_are_the_actions_of_the_menus(qtbot, actions, bar):
    pressed = []
    for name, action in actions.items():
        action.triggered.connect(lambda _checked, name=name: pressed.append(name))
    for button in bar.findChildren(QToolButton):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert pressed == list(ACTIONS)
    actions["step"].setEnabled(False)
    assert [button.isEnabled() for button in bar.findChildren(QToolButton)] == [True, False, True, True]


@pytest.mark.parametrize("points", [0, 18])
def test_buttons_are_large_enough_to_be_hit_and_grow_with_the_font(qtbot, bar, points):
    font = bar.font()
    font.setPointSizeF(points or font.pointSizeF())
    bar.setFont(font)
    bar.resize(700, bar.sizeHint().height())
    QApplication.processEvents()
    buttons = bar.findChildren(QToolButton)
    text = bar.fontMetrics().height()
    assert all(min(each.width(), each.height()) >= max(24, text) and each.iconSize().height() >= text for each in buttons)
    assert all(right.x() - left.geometry().right() > 4 for left, right in pairwise(buttons))


def test_the_slot_that_is_looked_at_is_shown(bridge, bar):
    first, second = slot("1"), slot("2", "other.mp4", duration=60.0)
    tell(bridge, slots=(first, second))
    bridge.picture_ready.emit(picture(of=first, at=7))
    bridge.picture_ready.emit(picture(of=second, at=30))
    assert said(bar) == "0:07 / 3:40"
    bar.show_slot("2")
    assert said(bar) == "0:30 / 1:00"
    tell(bridge, slots=(first,))
    assert said(bar) == "0:07 / 3:40"


def test_of_several_files_the_one_that_is_looked_at_jumps(qtbot, running):
    bar, bridge, pictures = running
    bridge.session.open("testsrc:160x120@30:3000", add=True)
    qtbot.waitUntil(lambda: len(bridge.state.slots) == 2)
    bar.show_slot(bridge.state.slots[1].key)
    qtbot.waitUntil(lambda: pictures[-1].frame.size == (160, 120))
    qtbot.mouseClick(slider(bar), Qt.MouseButton.LeftButton, pos=x_of(bar, 50))

    def newest(width):
        return next(each.frame.pts for each in reversed(pictures) if each.frame.size[0] == width)

    qtbot.waitUntil(lambda: newest(160) > 48)
    assert newest(320) < 48
    bar.show_slot(bridge.state.slots[0].key)
    qtbot.waitUntil(lambda: said(bar).endswith("/ 3:20") and slider(bar).value() < 48_000)
