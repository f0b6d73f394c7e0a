from dataclasses import replace

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QSlider,
    QSpinBox,
    QToolButton,
)

from framehook.app.gui.panels.tuning import DEFAULTS, TRACKERS, TuningPanel
from framehook.app.session.state import Phase
from framehook.inference.callbacks import Overlay, Tracking
from framehook.inference.callbacks.overlay import LAYERS
from framehook.inference.callbacks.tracking import tracker_names

from .panel_scenes import FILE, NAMES, open_and_watch, quick_model, shown, texts

ALL_SHOWN = {"keep_unconfirmed": True}


@pytest.fixture
def bridge(qtbot, make_bridge):
    bridge = make_bridge(model=quick_model())
    qtbot.waitUntil(lambda: bridge.state.model is not None)
    return bridge


@pytest.fixture
def panel(qtbot, bridge):
    return shown(qtbot, TuningPanel(bridge), 320, 900)


@pytest.fixture
def updates(bridge):
    """Options that differ from those before, one for each change of the session."""
    told = [bridge.state.options]

    def note(state):
        if state.options != told[-1]:
            told.append(state.options)

    bridge.state_changed.connect(note)
    return told


def part(panel, kind, name):
    (found,) = [each for each in panel.findChildren(kind) if each.accessibleName() == name]
    return found


def options(bridge):
    return bridge.session.state.options


def ticked(panel):
    listed = panel.findChild(QListWidget)
    items = [listed.item(row) for row in range(listed.count())]
    return [item.text() for item in items if item.checkState() is Qt.CheckState.Checked]


def press(qtbot, panel, text, kind=QToolButton):
    (button,) = [button for button in panel.findChildren(kind) if button.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def tick(qtbot, panel, name):
    listed = panel.findChild(QListWidget)
    (item,) = listed.findItems(name, Qt.MatchFlag.MatchExactly)
    listed.setCurrentItem(item)
    qtbot.keyClick(listed, Qt.Key.Key_Space)


def test_the_model_in_use_is_described(panel):
    (line,) = [text for text in texts(panel, QLabel) if "layout" in text]
    assert "cpu, input" in line
    assert "layout yolo" in line


def test_without_a_model_the_panel_says_so(qtbot, make_bridge):
    bridge = make_bridge()
    panel = shown(qtbot, TuningPanel(bridge), 320, 900)
    assert "No model is loaded yet" in texts(panel, QLabel)
    assert "They show here once a model is loaded." in texts(panel, QLabel)


def test_what_the_session_begins_with_is_shown(bridge, panel):
    assert part(panel, QDoubleSpinBox, "Confidence").value() == 0.25
    assert part(panel, QDoubleSpinBox, "Overlap (IoU)").value() == 0.7
    assert part(panel, QSpinBox, "Most objects").value() == 300
    assert part(panel, QComboBox, "Tracker").currentText() == "bytetrack"
    assert part(panel, QComboBox, "Playback").currentText() == "In real time"
    assert part(panel, QSpinBox, "Every n-th frame").value() == 1
    assert {name for name in ("Boxes", "Labels", "Confidence") if part(panel, QCheckBox, name).isChecked()} == {
        "Boxes",
        "Labels",
        "Confidence",
    }
    assert ticked(panel) == list(NAMES.values())
    assert options(bridge) == DEFAULTS


def test_the_slider_and_the_box_change_the_confidence_and_follow_each_other(qtbot, bridge, panel):
    slider, box = part(panel, QSlider, "Confidence slider"), part(panel, QDoubleSpinBox, "Confidence")
    slider.setFocus()
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert box.value() == 0.26
    qtbot.waitUntil(lambda: options(bridge).conf == 0.26)
    box.selectAll()
    qtbot.keyClicks(box, ".413")
    assert slider.value() == 26
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert slider.value() == 41
    qtbot.waitUntil(lambda: options(bridge).conf == 0.413)
    assert box.value() == 0.413


def test_a_slider_that_is_dragged_does_not_flood_the_session_and_ends_where_it_was_let_go(qtbot, bridge, panel, updates):
    slider = part(panel, QSlider, "Overlap (IoU) slider")
    for value in range(70, 0, -1):
        slider.setValue(value)
    qtbot.waitUntil(lambda: options(bridge).iou == 0.01)
    qtbot.waitUntil(lambda: updates[-1].iou == 0.01)
    assert len(updates) < 20
    assert slider.value() == 1


def test_what_is_changed_elsewhere_is_shown_and_not_told_back(qtbot, bridge, panel, updates):
    bridge.session.update(
        conf=0.1234567, max_det=12, classes=["dog"], tracker="sort", overlay="trails,blur", pace="max", vid_stride=3
    )
    qtbot.waitUntil(lambda: part(panel, QSpinBox, "Most objects").value() == 12)
    assert part(panel, QDoubleSpinBox, "Confidence").value() == 0.123
    assert part(panel, QSlider, "Confidence slider").value() == 12
    assert part(panel, QComboBox, "Tracker").currentText() == "sort"
    assert part(panel, QComboBox, "Playback").currentText() == "As fast as possible"
    assert part(panel, QSpinBox, "Every n-th frame").value() == 3
    assert [box.text() for box in panel.findChildren(QCheckBox) if box.isChecked()] == ["Trails", "Blur"]
    assert ticked(panel) == ["dog"]
    qtbot.wait(100)
    assert len(updates) == 2
    assert options(bridge).conf == 0.1234567


def test_typing_is_not_disturbed_by_what_the_session_tells_meanwhile(qtbot, bridge, panel):
    box = part(panel, QDoubleSpinBox, "Confidence")
    box.setFocus()
    box.selectAll()
    qtbot.keyClicks(box, "0.6")
    bridge.session.update(max_det=77)
    qtbot.waitUntil(lambda: part(panel, QSpinBox, "Most objects").value() == 77)
    qtbot.keyClicks(box, "5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: options(bridge).conf == 0.65)


def test_the_confidence_is_nudged_within_its_range(qtbot, bridge, panel):
    panel.nudge_confidence(0.05)
    panel.nudge_confidence(0.05)
    assert part(panel, QDoubleSpinBox, "Confidence").value() == 0.35
    qtbot.waitUntil(lambda: options(bridge).conf == 0.35)
    for _ in range(9):
        panel.nudge_confidence(-0.05)
    qtbot.waitUntil(lambda: options(bridge).conf == 0)


def test_classes_are_ticked_one_by_one(qtbot, bridge, panel):
    tick(qtbot, panel, "dog")
    qtbot.waitUntil(lambda: options(bridge).classes == ("person", "wine glass", "car"))
    assert "3 of 4 classes" in texts(panel, QLabel)
    tick(qtbot, panel, "dog")
    qtbot.waitUntil(lambda: options(bridge).classes is None)
    assert "All 4 classes" in texts(panel, QLabel)


def test_a_list_of_one_class_is_one_row_high(qtbot, make_bridge):
    bridge = make_bridge(model=quick_model({0: "person"}))
    open_and_watch(qtbot, bridge)
    panel = shown(qtbot, TuningPanel(bridge))
    qtbot.waitUntil(lambda: "All of 1 class" in texts(panel, QLabel))
    classes = part(panel, QListWidget, "Classes")
    row = classes.visualItemRect(classes.item(0))
    assert (row.top(), row.height()) == (0, classes.viewport().height())


def test_to_pause_moves_nothing(qtbot, bridge, panel):
    open_and_watch(qtbot, bridge)
    slider = panel.conf.slider
    qtbot.waitUntil(lambda: not panel.hint.text())
    qtbot.wait(20)  # the layout settles
    before = slider.mapTo(panel, slider.rect().topLeft())
    bridge.session.callbacks.add("on_predict_batch_end", lambda predictor: None)  # so that there is something to say
    bridge.session.pause()
    qtbot.waitUntil(lambda: panel.hint.text().startswith("Paused"))
    qtbot.wait(20)
    assert slider.mapTo(panel, slider.rect().topLeft()) == before


def test_all_and_none_tick_what_is_found_by_the_search(qtbot, make_bridge):
    names = {number: f"{kind} {number}" for number, kind in enumerate(["cat", "dog"] * 10)}
    bridge = make_bridge(model=quick_model(names))
    panel = shown(qtbot, TuningPanel(bridge), 320, 900)
    qtbot.waitUntil(lambda: panel.findChild(QListWidget).count() == 20)
    press(qtbot, panel, "None")
    qtbot.waitUntil(lambda: options(bridge).classes == ())
    assert "Nothing is looked for." in texts(panel, QLabel)
    qtbot.keyClicks(part(panel, QLineEdit, "Search classes"), "DOG 1")
    press(qtbot, panel, "All")
    qtbot.waitUntil(lambda: options(bridge).classes == tuple(f"dog {n}" for n in (1, 11, 13, 15, 17, 19)))


def test_classes_that_share_a_name_are_chosen_by_number(qtbot, make_bridge):
    bridge = make_bridge(model=quick_model({0: "cup", 1: "cup", 2: "dog"}))
    panel = shown(qtbot, TuningPanel(bridge), 320, 900)
    qtbot.waitUntil(lambda: panel.findChild(QListWidget).count() == 3)
    tick(qtbot, panel, "dog")
    qtbot.waitUntil(lambda: options(bridge).classes == (0, 1))
    assert ticked(panel) == ["cup", "cup"]


def test_the_classes_are_those_of_the_model_in_use(qtbot, bridge, panel):
    facts = replace(bridge.state, model=replace(bridge.state.model, names={0: "kite"}))
    bridge.state_changed.emit(facts)
    assert [panel.findChild(QListWidget).item(row).text() for row in range(panel.findChild(QListWidget).count())] == ["kite"]


def test_classes_that_the_model_does_not_know_are_named(bridge, panel):
    facts = replace(bridge.state, options=replace(options(bridge), classes=("dog", "unicorn")))
    bridge.state_changed.emit(facts)
    assert "This model does not know unicorn." in texts(panel, QLabel)
    assert ticked(panel) == ["dog"]


def test_every_tracker_can_be_chosen_and_none(qtbot, bridge, panel):
    assert sorted(TRACKERS) == tracker_names()
    tracker = part(panel, QComboBox, "Tracker")
    assert [tracker.itemText(place) for place in range(tracker.count())] == ["None", *TRACKERS]
    bridge.session.update(tracker_options={"lost_track_buffer": 60})
    qtbot.waitUntil(lambda: "With lost_track_buffer=60" in texts(panel, QLabel))
    tracker.setFocus()
    qtbot.keyClick(tracker, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: (options(bridge).tracker, options(bridge).tracker_options) == ("sort", ALL_SHOWN))
    qtbot.keyClick(tracker, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: options(bridge).tracker is None)
    assert "Without a tracker objects have no ids, and lines count nothing." in texts(panel, QLabel)


def test_a_tracker_of_ones_own_is_shown_where_it_was_chosen_elsewhere(bridge, panel):
    bridge.state_changed.emit(replace(bridge.state, options=replace(options(bridge), tracker="mine")))
    assert part(panel, QComboBox, "Tracker").currentText() == "mine"


def test_layers_of_the_overlay_are_switched_one_by_one(qtbot, bridge, panel):
    names = [box.text() for box in panel.findChildren(QCheckBox)]
    assert len(names) == len(LAYERS) + 1
    for name in ("Labels", "Heat map"):
        box = next(box for box in panel.findChildren(QCheckBox) if box.text() == name)
        box.setFocus()
        qtbot.keyClick(box, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: options(bridge).overlay == ("boxes", "confidence", "heatmap"))
    for name in ("Boxes", "Confidence", "Heat map"):
        next(box for box in panel.findChildren(QCheckBox) if box.text() == name).toggle()
    qtbot.waitUntil(lambda: options(bridge).overlay is None)


def test_trails_without_a_tracker_are_explained(qtbot, bridge, panel):
    bridge.session.update(tracker=None, overlay="trails")
    qtbot.waitUntil(lambda: "Trails need a tracker." in texts(panel, QLabel))


def test_a_callback_that_counts_instead_is_named(qtbot, bridge, panel):
    bridge.session.callbacks.add(Tracking("sort"))
    bridge.session.callbacks.add(Overlay("boxes"))
    bridge.hooks_changed.emit()
    said = texts(panel, QLabel)
    assert "A callback brings a tracker of its own, which counts instead of this." in said
    assert "A callback brings an overlay of its own, which counts instead of this." in said


def test_the_original_can_be_asked_for(qtbot, panel):
    box = part(panel, QCheckBox, "Show the original")
    with qtbot.waitSignal(panel.original_toggled) as told:
        box.toggle()
    assert told.args == [True]


def test_what_is_chosen_while_it_is_paused_shows_at_once_or_is_said_to_show_later(qtbot, bridge, panel):
    assert "Nothing plays: changes show when it does." in texts(panel, QLabel)
    open_and_watch(qtbot, bridge, FILE)
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PLAYING)
    assert "Nothing plays: changes show when it does." not in texts(panel, QLabel)
    bridge.session.pause()
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PAUSED)
    assert not [text for text in texts(panel, QLabel) if "changes show" in text]
    bridge.session.callbacks.add("on_predict_batch_end", lambda predictor: None)
    bridge.session.play()
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PLAYING)
    bridge.session.pause()
    later = "Paused: changes show with the next frame."
    qtbot.waitUntil(lambda: later in texts(panel, QLabel))


def test_a_change_is_in_force_in_a_run_that_goes_on(qtbot, bridge, panel):
    pictures = open_and_watch(qtbot, bridge)
    qtbot.waitUntil(lambda: len(pictures[-1].boxes) == 1)
    part(panel, QSlider, "Confidence slider").setValue(95)
    qtbot.waitUntil(lambda: len(pictures[-1].boxes) == 0)


def test_playing_as_fast_as_possible_is_for_files(qtbot, bridge, panel):
    open_and_watch(qtbot, bridge, "testsrc:320x240@30:live")
    qtbot.waitUntil(lambda: not part(panel, QComboBox, "Playback").isEnabled())


def test_everything_is_put_back_to_what_it_was_at_first(qtbot, bridge, panel):
    bridge.session.update(conf=0.5, classes=["dog"], tracker=None, overlay=None, pace="max", vid_stride=3, max_det=5, iou=0.1)
    qtbot.waitUntil(lambda: part(panel, QSpinBox, "Most objects").value() == 5)
    press(qtbot, panel, "Reset to defaults", QPushButton)
    assert options(bridge) == DEFAULTS
    qtbot.waitUntil(lambda: part(panel, QDoubleSpinBox, "Confidence").value() == 0.25)
    assert ticked(panel) == list(NAMES.values())


def test_the_wheel_turns_only_what_has_the_focus_and_else_is_left_to_what_scrolls(qtbot, panel):
    slider = part(panel, QSlider, "Overlap (IoU) slider")

    def turn():
        """Turn the wheel over the slider; tell whether the slider took it."""
        middle = slider.rect().center()
        where = QPointF(middle), QPointF(slider.mapToGlobal(middle))
        nothing = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
        event = QWheelEvent(*where, QPoint(), QPoint(0, -120), *nothing, False)
        event.accept()
        QApplication.sendEvent(slider, event)
        return event.isAccepted()

    part(panel, QDoubleSpinBox, "Confidence").setFocus()
    assert not turn()
    assert slider.value() == 70
    slider.setFocus()
    assert turn()
    assert slider.value() < 70


def test_nothing_is_cut_off_in_a_narrow_dock(panel):
    for each in panel.findChildren((QCheckBox, QComboBox, QSpinBox, QDoubleSpinBox, QSlider, QToolButton)):
        if each.isVisible():
            right = each.mapTo(panel, each.rect().topRight()).x()
            assert right < 320, each.accessibleName()
            assert each.width() >= each.minimumSizeHint().width(), each.accessibleName()
