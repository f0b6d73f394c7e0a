import csv
import io

import pytest
from PyQt6.QtCore import QItemSelectionModel, QPoint, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QLabel, QLineEdit, QTableView

from framehook.app.gui.panels.objects import ObjectsPanel
from framehook.inference.options import PredictOptions

from .panel_scenes import open_and_watch, picture, quick_model, shown, slot, tell

COLUMNS = ["Source", "Id", "Class", "Confidence", "Age, s", "Speed, px/s", "x", "y", "Width", "Height"]
THREE = ((7, 0, 0.9, 10, 20), (10, 1, 0.5, 30, 5), (1, 0, 0.7, 200, 100))


@pytest.fixture
def panel(qtbot, bridge):
    tell(bridge, slots=(slot(),))
    return shown(qtbot, ObjectsPanel(bridge), 760, 300)


def table_of(panel):
    return panel.findChild(QTableView)


def column(panel, title):
    """The texts of a column, from the top."""
    model = table_of(panel).model()
    number = COLUMNS.index(title)
    return [model.index(row, number).data() for row in range(model.rowCount())]


def rows(panel):
    model = table_of(panel).model()
    return [[model.index(row, number).data() for number in range(len(COLUMNS))] for row in range(model.rowCount())]


def show(qtbot, panel, bridge, *objects, **more):
    bridge.picture_ready.emit(picture(*objects, **more))
    wanted = sorted((f"{x}", f"{y}") for *_, x, y in objects)
    qtbot.waitUntil(lambda: sorted(zip(column(panel, "x"), column(panel, "y"), strict=True)) == wanted)


def click_title(qtbot, panel, title):
    header = table_of(panel).horizontalHeader()
    where = QPoint(header.sectionViewportPosition(COLUMNS.index(title)) + 5, 5)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=where)


def selected(panel):
    return [index.row() for index in table_of(panel).selectionModel().selectedRows()]


def click(qtbot, panel, row, modifier=Qt.KeyboardModifier.NoModifier):
    table = table_of(panel)
    middle = table.visualRect(table.model().index(row, COLUMNS.index("Class"))).center()
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, modifier, middle)


def test_every_object_is_a_row_with_what_is_known_of_it(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    titles = [table_of(panel).model().headerData(number, Qt.Orientation.Horizontal) for number in range(len(COLUMNS))]
    assert titles == COLUMNS
    assert rows(panel) == [
        ["clip.mp4", "1", "person", "0.70", "2.5", "-", "200", "100", "10", "20"],
        ["clip.mp4", "7", "person", "0.90", "8.5", "70", "10", "20", "10", "20"],
        ["clip.mp4", "10", "dog", "0.50", "11.5", "100", "30", "5", "10", "20"],
    ]


def test_objects_of_a_running_session_are_shown(qtbot, make_bridge):
    bridge = make_bridge(model=quick_model())
    panel = shown(qtbot, ObjectsPanel(bridge))
    open_and_watch(qtbot, bridge)
    qtbot.waitUntil(lambda: column(panel, "Id") == ["0"])  # the first frame has none
    qtbot.waitUntil(lambda: column(panel, "Class") == ["person"] and float(column(panel, "Age, s")[0]) > 0)
    assert column(panel, "Confidence") == ["0.90"]


def test_what_has_no_track_and_no_known_motion_is_a_row_too(qtbot, bridge, panel):
    show(qtbot, panel, bridge, (-1, 3, 0.4, 1, 2), (-1, 3, 0.3, 5, 6), motion=False)
    assert [row[1:7] for row in rows(panel)] == [["-", "car", "0.40", "-", "-", "1"], ["-", "car", "0.30", "-", "-", "5"]]


def test_the_source_is_named_where_there_are_several(qtbot, bridge, panel):
    source = COLUMNS.index("Source")
    assert table_of(panel).isColumnHidden(source)
    assert table_of(panel).horizontalHeader().sectionViewportPosition(COLUMNS.index("Id")) == 0
    door, yard = slot("1", "door"), slot("2", "yard")
    tell(bridge, slots=(door, yard))
    assert not table_of(panel).isColumnHidden(source)
    bridge.picture_ready.emit(picture((4, 0, 0.5, 1, 1), of=door))
    bridge.picture_ready.emit(picture((4, 0, 0.6, 1, 1), of=yard))
    qtbot.waitUntil(lambda: column(panel, "Source") == ["door", "yard"])
    tell(bridge, slots=(yard,))
    qtbot.waitUntil(lambda: column(panel, "Confidence") == ["0.60"])
    assert table_of(panel).columnViewportPosition(COLUMNS.index("Id")) == 0  # nothing is left where it was


def test_numbers_are_sorted_as_numbers_and_what_is_unknown_comes_last(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    assert column(panel, "Id") == ["1", "7", "10"]
    click_title(qtbot, panel, "Speed, px/s")
    assert column(panel, "Speed, px/s") == ["70", "100", "-"]
    click_title(qtbot, panel, "Speed, px/s")
    assert column(panel, "Speed, px/s") == ["100", "70", "-"]


def test_rows_stay_sorted_while_objects_move_come_and_go(qtbot, bridge, panel):
    table_of(panel).sortByColumn(COLUMNS.index("x"), Qt.SortOrder.AscendingOrder)
    show(qtbot, panel, bridge, *THREE)
    assert column(panel, "x") == ["10", "30", "200"]
    show(qtbot, panel, bridge, (7, 0, 0.9, 300, 20), (1, 0, 0.7, 100, 100), (12, 2, 0.7, 250, 100), (13, 2, 0.7, 1, 100))
    assert column(panel, "x") == ["1", "100", "250", "300"]
    assert column(panel, "Id") == ["13", "1", "12", "7"]


@pytest.mark.parametrize(
    ("typed", "ids"),
    [("PER", ["1", "7"]), ("10", ["10"]), ("1", ["1"]), ("dog, 7", ["7", "10"]), ("cat", []), (" ", ["1", "7", "10"])],
)
def test_the_filter_finds_classes_by_a_part_and_ids_as_a_whole(qtbot, bridge, panel, typed, ids):
    show(qtbot, panel, bridge, *THREE)
    qtbot.keyClicks(panel.findChild(QLineEdit), typed)
    assert column(panel, "Id") == ids


def test_objects_are_counted_by_class_the_most_frequent_first(qtbot, bridge, panel):
    label = next(each for each in panel.findChildren(QLabel) if each.accessibleName() == "Objects by class")
    assert label.text() == "No objects"
    show(qtbot, panel, bridge, (1, 1, 0.5, 1, 1), (2, 0, 0.5, 1, 1), (3, 0, 0.5, 1, 1))
    assert label.text() == "2 person, 1 dog"
    names = dict(enumerate("abcdefgh"))
    show(qtbot, panel, bridge, *((number, number, 0.5, 1, 1) for number in names), names=names)
    assert label.text() == "1 a, 1 b, 1 c, 1 d, 1 e, 1 f and 2 more classes"


def test_a_flood_of_pictures_changes_the_table_a_few_times_and_ends_with_the_newest(qtbot, bridge, panel):
    changes = []
    table_of(panel).model().dataChanged.connect(lambda *_: changes.append(column(panel, "x")))
    for x in range(200):
        bridge.picture_ready.emit(picture((7, 0, 0.9, x, 20)))
    qtbot.waitUntil(lambda: column(panel, "x") == ["199"])
    assert len(changes) < 20


def test_selecting_a_row_chooses_its_object_and_a_choice_elsewhere_selects_its_row(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    with qtbot.waitSignal(bridge.selection_changed) as told:
        click(qtbot, panel, 1)
    assert told.args == [("1", 7)]
    bridge.select(("1", 10))
    assert selected(panel) == [2]
    bridge.select(None)
    assert selected(panel) == []


def test_rows_without_a_track_can_be_selected_but_choose_nothing(qtbot, bridge, panel):
    show(qtbot, panel, bridge, (-1, 3, 0.4, 1, 2), (5, 3, 0.3, 5, 6))
    click(qtbot, panel, 0)
    assert bridge.selected == ("1", 5)
    click(qtbot, panel, 1)
    assert bridge.selected is None
    assert selected(panel) == [1]


def test_the_selected_object_stays_selected_wherever_its_row_goes_and_when_it_is_back(qtbot, bridge, panel):
    table_of(panel).sortByColumn(COLUMNS.index("x"), Qt.SortOrder.AscendingOrder)
    show(qtbot, panel, bridge, *THREE)
    click(qtbot, panel, 0)
    show(qtbot, panel, bridge, (7, 0, 0.9, 250, 20), (10, 1, 0.5, 30, 5), (1, 0, 0.7, 200, 100), (3, 0, 0.7, 0, 100))
    assert [column(panel, "Id")[row] for row in selected(panel)] == ["7"]
    show(qtbot, panel, bridge, (10, 1, 0.5, 30, 5))
    assert selected(panel) == []
    assert bridge.selected == ("1", 7)
    show(qtbot, panel, bridge, *THREE)
    assert [column(panel, "Id")[row] for row in selected(panel)] == ["7"]


def test_the_table_does_not_scroll_by_itself(qtbot, bridge, panel):
    many = [(number, 0, 0.5, number, 10) for number in range(60)]
    show(qtbot, panel, bridge, *many)
    bar = table_of(panel).verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 20)  # the view takes rows in with a delay
    bar.setValue(20)
    show(qtbot, panel, bridge, *[(number, 0, 0.5, number + 1, 10) for number, *_ in many], (60, 1, 0.3, 1, 1))
    assert bar.value() == 20


def test_the_selected_rows_are_copied_as_csv(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    table = table_of(panel)
    click(qtbot, panel, 0)
    click(qtbot, panel, 2, Qt.KeyboardModifier.ControlModifier)
    assert selected(panel) == [0, 2]
    table.setFocus()
    qtbot.waitUntil(table.hasFocus)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    first, second = csv.DictReader(io.StringIO(QGuiApplication.clipboard().text()))
    assert first == {
        "source": "clip.mp4",
        "id": "1",
        "class": "person",
        "confidence": "0.7",
        "age_s": "2.5",
        "speed_px_s": "",
        "x": "200.0",
        "y": "100.0",
        "width": "10.0",
        "height": "20.0",
    }
    assert second["id"] == "10"


def test_a_panel_that_was_hidden_shows_the_newest_when_it_is_shown(qtbot, bridge, panel):
    panel.hide()
    bridge.picture_ready.emit(picture(*THREE))
    qtbot.wait(250)
    assert rows(panel) == []
    panel.show()
    qtbot.waitUntil(lambda: len(rows(panel)) == 3)


def test_the_rows_of_an_update_keep_their_place_for_whoever_holds_on_to_them(qtbot, bridge, panel):
    """The view is never told to begin anew, however the objects change."""
    model, resets = table_of(panel).model(), []
    model.modelReset.connect(lambda: resets.append(1))
    show(qtbot, panel, bridge, *THREE)
    table_of(panel).selectionModel().setCurrentIndex(model.index(1, 1), QItemSelectionModel.SelectionFlag.NoUpdate)
    show(qtbot, panel, bridge, (7, 0, 0.9, 250, 20), (2, 0, 0.7, 0, 100), (3, 0, 0.7, 0, 100), (4, 0, 0.7, 0, 100))
    assert table_of(panel).currentIndex().siblingAtColumn(1).data() == "7"
    assert not resets


@pytest.mark.parametrize("width", [1400, 940, 300])
def test_the_columns_fill_the_table_and_none_is_too_narrow(qtbot, bridge, panel, width):
    tell(bridge, slots=(slot(), slot("2", "yard")))
    panel.resize(width, 300)
    qtbot.wait(20)
    table = table_of(panel)
    header = table.horizontalHeader()
    assert header.length() == max(header.length(), table.viewport().width())
    titles = table.fontMetrics().horizontalAdvance("Class")
    assert header.sectionSize(COLUMNS.index("Class")) > titles
    if width > 900:
        assert header.length() == table.viewport().width()
        header.resizeSection(COLUMNS.index("Width"), 90)
        assert header.length() == table.viewport().width()


def test_a_long_name_of_a_source_gets_its_share_of_what_is_left(qtbot, bridge, panel):
    tell(bridge, slots=(slot("1", "a_camera_above_the_northern_entrance.mp4"), slot("2", "yard")))
    source, name = (COLUMNS.index(title) for title in ("Source", "Class"))
    header, metrics = table_of(panel).horizontalHeader(), table_of(panel).fontMetrics()
    panel.resize(1400, 300)
    qtbot.waitUntil(lambda: header.length() == table_of(panel).viewport().width() > 1300)
    assert header.sectionSize(source) >= metrics.horizontalAdvance("a_camera_above_the_northern_entrance.mp4")
    assert header.sectionSize(name) > metrics.horizontalAdvance("motorcycle")
    header.resizeSection(source, 150)
    panel.resize(1300, 300)
    qtbot.waitUntil(lambda: header.length() == table_of(panel).viewport().width() < 1300)
    assert header.sectionSize(source) == 150
    bridge.picture_ready.emit(picture((4, 0, 0.5, 1, 1), of=slot("1", "a_camera_above_the_northern_entrance.mp4")))
    qtbot.waitUntil(lambda: bool(rows(panel)))
    tip = table_of(panel).model().index(0, source).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == "a_camera_above_the_northern_entrance.mp4"


def test_the_arrows_select_the_current_row_first_and_escape_none(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    panel.activateWindow()
    panel.setFocus(Qt.FocusReason.TabFocusReason)
    table = table_of(panel)
    qtbot.waitUntil(table.hasFocus)
    assert bridge.selected is None  # to come by with Tab chooses nothing
    chosen = []
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_End, Qt.Key.Key_Home, Qt.Key.Key_Escape, Qt.Key.Key_Up):
        qtbot.keyClick(table, key)
        chosen.append(None if bridge.selected is None else bridge.selected[1])
    assert chosen == [1, 7, 10, 1, None, 1]


@pytest.mark.parametrize("key", [Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End])
def test_the_only_row_is_selected_by_any_of_the_arrows(qtbot, bridge, panel, key):
    show(qtbot, panel, bridge, THREE[0])
    panel.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(table_of(panel), key)
    assert bridge.selected == ("1", 7)
    assert selected(panel) == [0]


def test_return_asks_for_what_is_selected_or_current_to_be_followed(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    panel.setFocus(Qt.FocusReason.TabFocusReason)
    with qtbot.waitSignal(panel.follow_requested):
        qtbot.keyClick(table_of(panel), Qt.Key.Key_Return)
    assert bridge.selected == ("1", 1)
    qtbot.keyClick(table_of(panel), Qt.Key.Key_Down)
    with qtbot.waitSignal(panel.follow_requested):
        qtbot.keyClick(table_of(panel), Qt.Key.Key_Enter)
    assert bridge.selected == ("1", 7)


def test_why_there_are_no_rows_is_said_in_their_place(qtbot, bridge, panel):
    def said():
        return " ".join(label.text() for label in table_of(panel).findChildren(QLabel) if label.isVisible())

    assert said() == "No picture has come yet."
    bridge.picture_ready.emit(picture())
    qtbot.waitUntil(lambda: "Lower the confidence" in said())
    assert table_of(panel).accessibleDescription() == said()
    show(qtbot, panel, bridge, *THREE)
    assert said() == ""
    qtbot.keyClicks(panel.findChild(QLineEdit), "cat")
    assert said() == "All 3 objects do not pass the filter. Clear it to see them."
    panel.findChild(QLineEdit).clear()
    assert said() == ""
    tell(bridge, slots=(slot(),), options=PredictOptions(classes=(1,)))
    bridge.picture_ready.emit(picture())
    qtbot.waitUntil(lambda: "choose more classes" in said())
    tell(bridge)
    qtbot.waitUntil(lambda: said().startswith("Nothing is open."))


def test_the_filter_and_the_counts_stand_in_one_line(qtbot, bridge, panel):
    show(qtbot, panel, bridge, *THREE)
    label = next(each for each in panel.findChildren(QLabel) if each.accessibleName() == "Objects by class")
    line = panel.findChild(QLineEdit)
    assert abs(label.geometry().center().y() - line.geometry().center().y()) <= 2
