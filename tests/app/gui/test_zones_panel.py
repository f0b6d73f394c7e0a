import csv
import io
import json

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QGuiApplication
from PyQt6.QtWidgets import QLabel, QLineEdit, QToolButton, QTreeWidget

from framehook.app.gui.panels.zones import ZonesPanel
from framehook.app.session.state import Level
from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.drawing import PALETTE

from .panel_scenes import LIVE, open_and_watch, quick_model, shown, texts

DOOR = ((0.1, 0.5), (0.9, 0.5))
YARD = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def up_and_down(predictor):
    """One track that goes up and down in the middle of the frame, across the line."""
    for result in predictor.frame_results:
        y = 60 if result.frame.index // 8 % 2 else 200
        result.boxes = Boxes([[150, y - 20, 170, y]], [0.9], [0], [5], orig_shape=(240, 320))


@pytest.fixture
def bridge(qtbot, make_bridge):
    """A session in which something plays."""
    bridge = make_bridge(model=quick_model())
    bridge.session.callbacks.add("on_predict_postprocess_end", up_and_down, order=-90)
    open_and_watch(qtbot, bridge, LIVE)
    return bridge


@pytest.fixture
def key(bridge):
    return bridge.state.slots[0].key


@pytest.fixture
def panel(qtbot, bridge):
    return shown(qtbot, ZonesPanel(bridge), 320, 300)


def tree(panel):
    return panel.findChild(QTreeWidget)


def items(panel):
    return [tree(panel).topLevelItem(place) for place in range(tree(panel).topLevelItemCount())]


def names(panel):
    return [item.text(0) for item in items(panel)]


def place(qtbot, bridge, panel, key, **zones):
    bridge.session.set_zones(key, zones)
    qtbot.waitUntil(lambda: names(panel) == list(zones))


def press(qtbot, panel, text):
    (button,) = [button for button in panel.findChildren(QToolButton) if button.text() == text]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def select(panel, name):
    (item,) = tree(panel).findItems(name, Qt.MatchFlag.MatchExactly)
    tree(panel).setCurrentItem(item)
    return item


def test_without_zones_it_says_what_to_do(qtbot, bridge, panel, make_bridge):
    (title,) = texts(panel, QLabel)
    assert title.endswith("draw a line or an area on the picture")
    empty = shown(qtbot, ZonesPanel(make_bridge()), 320, 300)
    assert texts(empty, QLabel) == ["Open a source to draw zones on it"]
    assert not any(button.isEnabled() for button in empty.findChildren(QToolButton))


def test_zones_stand_in_their_order_and_colour(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    assert [item.data(0, Qt.ItemDataRole.DecorationRole) for item in items(panel)] == [QColor(PALETTE[0]), QColor(PALETTE[1])]
    assert texts(panel, QLabel) == [f"Zones of {bridge.state.slots[0].name}"]


def test_counts_follow_what_goes_by(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    qtbot.waitUntil(lambda: items(panel)[0].text(1) not in ("", "0 in, 0 out"))
    qtbot.waitUntil(lambda: items(panel)[1].text(1) == "1 inside, 1 entered")
    yard = items(panel)[1]
    assert [(yard.child(row).text(0), yard.child(row).text(1)) for row in range(yard.childCount())] == [
        ("Most at once", "1"),
        ("person", "1 inside, 1 entered"),
    ]
    assert items(panel)[0].child(0).text(0) == "person"


def test_lines_and_areas_are_asked_for(qtbot, panel):
    for text, kind in (("Draw line", "line"), ("Draw area", "area")):
        with qtbot.waitSignal(panel.draw_requested) as told:
            press(qtbot, panel, text)
        assert told.args == [kind]


def rename(qtbot, panel, old, new):
    select(panel, old)
    tree(panel).setFocus()
    qtbot.waitUntil(tree(panel).hasFocus)
    qtbot.keyClick(tree(panel), Qt.Key.Key_F2)
    editor = tree(panel).findChild(QLineEdit)
    editor.selectAll()
    qtbot.keyClicks(editor, new)
    qtbot.keyClick(editor, Qt.Key.Key_Return)


def test_a_zone_is_renamed_and_keeps_its_place(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    rename(qtbot, panel, "door", "gate")
    qtbot.waitUntil(lambda: bridge.state.zones.get(key) == {"gate": DOOR, "yard": YARD})
    assert names(panel) == ["gate", "yard"]
    assert list(bridge.state.zones[key]) == ["gate", "yard"]
    assert [item.text(0) for item in tree(panel).selectedItems()] == ["gate"]


@pytest.mark.parametrize("name", ["yard", " "])
def test_a_name_that_is_taken_or_empty_is_not_given(qtbot, bridge, panel, key, name):
    notes = []
    bridge.noted.connect(notes.append)
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    rename(qtbot, panel, "door", name)
    assert names(panel) == ["door", "yard"]
    assert bridge.session.state.zones[key] == {"door": DOOR, "yard": YARD}
    if name == "yard":
        qtbot.waitUntil(lambda: any("a zone 'yard' already" in note.text for note in notes))
        assert [note.level for note in notes if "'yard'" in note.text] == [Level.WARNING]


def test_a_zone_is_deleted_by_key_and_by_button(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    select(panel, "door")
    tree(panel).setFocus()
    qtbot.waitUntil(tree(panel).hasFocus)
    qtbot.keyClick(tree(panel), Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(panel) == ["yard"])
    select(panel, "yard")
    press(qtbot, panel, "Delete")
    qtbot.waitUntil(lambda: names(panel) == [])
    assert bridge.session.state.zones[key] == {}


def test_counts_begin_anew(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR)
    qtbot.waitUntil(lambda: items(panel)[0].text(1) not in ("", "0 in, 0 out"))
    bridge.session.pause()
    qtbot.waitUntil(lambda: bridge.state.phase.value == "paused")
    press(qtbot, panel, "Reset counts")
    assert items(panel)[0].text(1) == "0 in, 0 out"


def test_counts_are_copied_as_json_and_csv(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, door=DOOR, yard=YARD)
    qtbot.waitUntil(lambda: items(panel)[1].text(1) == "1 inside, 1 entered")
    (button,) = [button for button in panel.findChildren(QToolButton) if button.text() == "Copy"]
    as_csv, as_json = button.menu().actions()
    as_json.trigger()
    counts = json.loads(QGuiApplication.clipboard().text())
    assert counts["yard"] == {"inside": 1, "most": 1, "entered": 1, "classes": {"person": {"inside": 1, "entered": 1}}}
    as_csv.trigger()
    rows = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text())))
    (yard, person) = [row for row in rows if row["zone"] == "yard"]
    assert yard == {"zone": "yard", "class": "", "in": "", "out": "", "inside": "1", "entered": "1", "most": "1"}
    assert (person["class"], person["inside"], person["most"]) == ("person", "1", "")


def test_the_zones_of_the_slot_that_is_looked_at_are_shown(qtbot, bridge, panel, key):
    bridge.session.open("testsrc:160x120@30:live", add=True)
    qtbot.waitUntil(lambda: len(bridge.state.slots) == 2)
    other = bridge.state.slots[1].key
    bridge.session.set_zones(other, {"there": YARD})
    place(qtbot, bridge, panel, key, here=DOOR)
    panel.show_slot(other)
    assert names(panel) == ["there"]
    bridge.session.close_slot(other)
    qtbot.waitUntil(lambda: names(panel) == ["here"])


def test_an_opened_zone_stays_open_and_selected_while_it_counts(qtbot, bridge, panel, key):
    place(qtbot, bridge, panel, key, yard=YARD)
    qtbot.waitUntil(lambda: items(panel)[0].childCount() == 2)
    select(panel, "yard").setExpanded(True)
    bridge.session.set_zones(key, {"yard": YARD, "door": DOOR})
    qtbot.waitUntil(lambda: names(panel) == ["yard", "door"])
    assert items(panel)[0].isExpanded()
    assert [item.text(0) for item in tree(panel).selectedItems()] == ["yard"]
