"""Lines and areas drawn and edited with the mouse and the keys; what comes of it is in the session."""

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QKeyEvent, QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QLineEdit, QMenu

from framehook.app.gui.view import SourceView
from framehook.app.gui.zone_tool import ZoneMode, ZoneTool

from .view_scenes import result, seen, set_stage, settled, shown, slot, until

LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton
PLAIN = np.full((240, 320, 3), 90, np.uint8)
SQUARE = ((0.25, 0.25), (0.5, 0.25), (0.5, 0.5), (0.25, 0.5))
LINE = ((0.7, 0.2), (0.9, 0.8))


@pytest.fixture
def view(qtbot, make_bridge):
    """A view of 640 x 480 that shows a grey frame: a fraction of .1 is 64 pixels across and 48 down."""
    bridge = make_bridge()
    set_stage(bridge, slot())
    view = SourceView(bridge, "1")
    qtbot.addWidget(view)
    view.resize(640, 480)
    view.show()
    view.activateWindow()
    qtbot.waitExposed(view)
    shown(bridge, view, result(PLAIN))
    yield view
    view.let_go()


@pytest.fixture
def use(view):
    """Give the view a tool."""

    def give(mode):
        view.set_tool(ZoneTool(view.bridge, "1", ZoneMode(mode)))
        view.setFocus()

    return give


@pytest.fixture
def editing(view, use):
    """Edit a square and a line."""
    view.bridge.session.set_zones("1", {"yard": SQUARE, "door": LINE})
    use("edit")


def zones(view):
    return view.bridge.session.state.zones.get("1", {})


def at(x, y):
    return QPoint(round(x * 640), round(y * 480))


def click(view, *points, button=LEFT):
    for x, y in points:
        QTest.mouseMove(view, at(x, y))
        QTest.mouseClick(view, button, pos=at(x, y))


def drag(view, start, end):
    QTest.mousePress(view, LEFT, pos=at(*start))
    QTest.mouseMove(view, at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
    QTest.mouseMove(view, at(*end))
    QTest.mouseRelease(view, LEFT, pos=at(*end))


def close_to(points):
    return [pytest.approx(point, abs=0.005) for point in points]


class TestLines:
    def test_two_clicks_make_a_line_and_the_tool_is_done(self, view, use):
        use("line")
        click(view, (0.2, 0.3))
        assert zones(view) == {}
        click(view, (0.8, 0.6))
        assert list(zones(view)["line 1"]) == close_to([(0.2, 0.3), (0.8, 0.6)])
        assert view.tool is None

    def test_so_does_a_drag_from_end_to_end(self, view, use):
        use("line")
        drag(view, (0.2, 0.3), (0.8, 0.6))
        assert list(zones(view)["line 1"]) == close_to([(0.2, 0.3), (0.8, 0.6)])

    def test_the_line_is_seen_while_it_is_drawn(self, view, use):
        use("line")
        before = seen(view)
        click(view, (0.2, 0.8))
        QTest.mouseMove(view, at(0.8, 0.8))
        row = (seen(view)[384] != before[384]).any(1)
        assert row[130:500].all()

    def test_a_line_ends_at_the_edge_of_the_frame_wherever_the_mouse_goes(self, view, use):
        use("line")
        view.resize(900, 480)
        settled(view.bridge, view)
        QTest.mouseClick(view, LEFT, pos=QPoint(450, 240))
        QTest.mouseClick(view, LEFT, pos=QPoint(890, 240))
        assert list(zones(view)["line 1"]) == close_to([(0.5, 0.5), (1.0, 0.5)])

    def test_names_are_the_next_that_are_free(self, view, use):
        view.bridge.session.set_zones("1", {"line 1": LINE, "line 3": LINE})
        for name in ("line 2", "line 4"):
            use("line")
            click(view, (0.1, 0.1), (0.3, 0.1))
            assert name in zones(view)


class TestAreas:
    CORNERS = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.7))

    @pytest.mark.parametrize("way", ["double click", "enter", "right click", "first corner"])
    def test_clicks_are_corners_until_it_is_ended(self, view, use, way):
        use("area")
        click(view, *self.CORNERS)
        if way == "double click":
            QTest.mouseDClick(view, LEFT, pos=at(0.6, 0.7))
        elif way == "enter":
            QTest.keyClick(view, Qt.Key.Key_Return)
        elif way == "right click":
            click(view, (0.1, 0.9), button=RIGHT)
        else:
            click(view, (0.2, 0.2))
        assert list(zones(view)["area 1"]) == close_to(self.CORNERS)
        assert view.tool is None

    def test_a_double_click_as_a_mouse_makes_it_sets_the_last_corner_once(self, view, use):
        use("area")
        click(view, *self.CORNERS)
        QTest.mouseClick(view, LEFT, pos=at(0.3, 0.8))  # the first of the two
        QTest.mouseDClick(view, LEFT, pos=at(0.3, 0.8))
        assert list(zones(view)["area 1"]) == close_to([*self.CORNERS, (0.3, 0.8)])

    def test_backspace_takes_the_last_corner_back(self, view, use):
        use("area")
        click(view, (0.2, 0.2), (0.6, 0.2), (0.9, 0.9))
        QTest.keyClick(view, Qt.Key.Key_Backspace)
        click(view, (0.6, 0.7))
        QTest.keyClick(view, Qt.Key.Key_Return)
        assert list(zones(view)["area 1"]) == close_to(self.CORNERS)

    def test_escape_drops_what_was_begun_and_then_the_tool(self, view, use):
        use("area")
        click(view, (0.2, 0.2), (0.6, 0.2), (0.9, 0.9))
        QTest.keyClick(view, Qt.Key.Key_Escape)
        assert view.tool is not None
        QTest.keyClick(view, Qt.Key.Key_Return)
        assert zones(view) == {}
        QTest.keyClick(view, Qt.Key.Key_Escape)
        assert view.tool is None

    def test_too_few_corners_are_no_area(self, view, use):
        use("area")
        click(view, (0.2, 0.2), (0.6, 0.2))
        QTest.keyClick(view, Qt.Key.Key_Return)
        assert zones(view) == {}

    def test_corners_on_one_line_are_refused_with_a_reason(self, view, use):
        told = []
        view.bridge.noted.connect(lambda note: told.append(note.text))
        use("area")
        click(view, (0.25, 0.5), (0.5, 0.5), (0.75, 0.5))
        QTest.keyClick(view, Qt.Key.Key_Return)
        until(lambda: told)
        assert told[0].startswith("zone 'area 1' has no area")
        assert zones(view) == {}
        assert view.tool is not None

    def test_drawing_on_a_zoomed_picture_means_the_frame(self, view, use):
        view.zoom_by(2.0)
        settled(view.bridge, view)
        use("area")
        click(view, (0.1, 0.1), (0.9, 0.1), (0.9, 0.9))
        QTest.keyClick(view, Qt.Key.Key_Return)
        assert list(zones(view)["area 1"]) == close_to([(0.3, 0.3), (0.7, 0.3), (0.7, 0.7)])

    def test_the_wheel_and_the_middle_button_still_move_the_picture(self, view, use):
        use("area")
        view.zoom_by(2.0)
        settled(view.bridge, view)
        before = view.picture.region
        QTest.mousePress(view, Qt.MouseButton.MiddleButton, pos=QPoint(300, 300))
        QTest.mouseMove(view, QPoint(360, 340))
        QTest.mouseRelease(view, Qt.MouseButton.MiddleButton, pos=QPoint(360, 340))
        settled(view.bridge, view)
        assert view.picture.region.x < before.x


class TestShowing:
    def test_a_zone_is_seen_before_its_first_frame_has_come_and_not_twice_afterwards(self, view):
        bare = seen(view)
        view.bridge.session.set_zones("1", {"yard": SQUARE})
        until(lambda: (seen(view) != bare).any())
        counts = {"yard": {"inside": 0, "most": 0, "entered": 0, "classes": {}}}
        shown(view.bridge, view, result(PLAIN, zones=counts))
        assert np.array_equal(seen(view), bare)

    def test_editing_shows_handles_on_the_corners(self, view, use):
        counts = {"yard": {"inside": 0, "most": 0, "entered": 0, "classes": {}}}
        view.bridge.session.set_zones("1", {"yard": SQUARE})
        shown(view.bridge, view, result(PLAIN, zones=counts))
        bare = seen(view)[:, 60:]
        use("edit")
        changed = (seen(view)[:, 60:] != bare).any(2)
        for x, y in SQUARE:
            assert changed[round(y * 480), round(x * 640) - 60]
        assert not changed[180, 240 - 60]  # the middle stays free


class TestEditing:
    def test_a_corner_is_moved_with_the_mouse(self, view, editing):
        drag(view, SQUARE[2], (0.6, 0.65))
        assert list(zones(view)["yard"]) == close_to([*SQUARE[:2], (0.6, 0.65), SQUARE[3]])
        assert zones(view)["door"] == LINE

    def test_a_zone_is_moved_as_a_whole_and_not_beyond_the_frame(self, view, editing):
        drag(view, (0.4, 0.4), (0.5, 0.45))
        assert list(zones(view)["yard"]) == close_to([(x + 0.1, y + 0.05) for x, y in SQUARE])
        drag(view, (0.5, 0.45), (0.05, -0.6))
        left, top = np.min(zones(view)["yard"], axis=0)
        assert (left, top) == (pytest.approx(0.0, abs=0.005), 0.0)

    def test_a_line_is_moved_by_any_point_of_it(self, view, editing):
        drag(view, (0.8, 0.5), (0.75, 0.5))
        assert list(zones(view)["door"]) == close_to([(0.65, 0.2), (0.85, 0.8)])

    def test_escape_while_dragging_leaves_the_zone_where_it_was(self, view, editing):
        QTest.mousePress(view, LEFT, pos=at(0.4, 0.4))
        QTest.mouseMove(view, at(0.6, 0.6))
        QTest.keyClick(view, Qt.Key.Key_Escape)
        QTest.mouseRelease(view, LEFT, pos=at(0.6, 0.6))
        assert zones(view)["yard"] == SQUARE

    def test_arrow_keys_move_and_delete_deletes_the_chosen_zone(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_Right)
        QTest.keyClick(view, Qt.Key.Key_Down)
        assert list(zones(view)["yard"]) == close_to([(x + 0.01, y + 0.01) for x, y in SQUARE])
        QTest.keyClick(view, Qt.Key.Key_Delete)
        assert list(zones(view)) == ["door"]

    def test_a_zone_is_renamed_in_the_view_and_keeps_its_place(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_F2)
        editor = view.findChild(QLineEdit)
        assert editor.isVisible()
        assert editor.text() == "yard"
        QTest.keyClicks(editor, "garden")
        QTest.keyClick(editor, Qt.Key.Key_Return)
        assert list(zones(view)) == ["garden", "door"]
        assert not editor.isVisible()
        assert QApplication.focusWidget() is view
        QTest.keyClick(view, Qt.Key.Key_Delete)  # it is still the chosen one
        assert list(zones(view)) == ["door"]

    def test_escape_leaves_the_name_and_a_name_that_is_taken_is_refused(self, view, editing):
        told = []
        view.bridge.noted.connect(lambda note: told.append(note.text))
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_F2)
        QTest.keyClicks(view.findChild(QLineEdit), "garden")
        QTest.keyClick(view.findChild(QLineEdit), Qt.Key.Key_Escape)
        assert list(zones(view)) == ["yard", "door"]
        assert view.tool is not None
        QApplication.sendPostedEvents(None, 52)  # QEvent.DeferredDelete
        QTest.keyClick(view, Qt.Key.Key_F2)
        QTest.keyClicks(view.findChild(QLineEdit), "door")
        QTest.keyClick(view.findChild(QLineEdit), Qt.Key.Key_Return)
        until(lambda: told == ["There is a zone 'door' already; choose another name"])
        assert list(zones(view)) == ["yard", "door"]

    @pytest.mark.qt_log_ignore("This plugin does not support", extend=True)  # menus without a screen
    def test_the_menu_of_a_zone_renames_turns_round_and_deletes(self, view, editing):
        menu = self.menu_at(view, (0.8, 0.5))
        assert [action.text().replace("&", "") for action in menu.actions()] == ["Rename", "Turn round", "Delete"]
        menu.actions()[1].trigger()
        menu.close()
        assert zones(view)["door"] == LINE[::-1]
        menu = self.menu_at(view, (0.4, 0.4))
        assert [action.text().replace("&", "") for action in menu.actions()] == ["Rename", "Delete"]
        menu.actions()[1].trigger()
        menu.close()
        assert list(zones(view)) == ["door"]

    def menu_at(self, view, point):
        QTest.mouseClick(view, RIGHT, pos=at(*point))
        until(lambda: QApplication.activePopupWidget() is not None)
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        return menu

    def test_a_zone_deleted_elsewhere_meanwhile_is_not_brought_back(self, view, editing):
        QTest.mousePress(view, LEFT, pos=at(0.4, 0.4))
        view.bridge.session.set_zones("1", {"door": LINE})
        until(lambda: view.bridge.state is view.bridge.session.state)
        QTest.mouseMove(view, at(0.6, 0.6))
        QTest.mouseRelease(view, LEFT, pos=at(0.6, 0.6))
        assert list(zones(view)) == ["door"]

    @pytest.mark.parametrize("way", ["move", "release", "arrow", "rename", "delete"])
    def test_a_zone_that_went_a_moment_ago_is_let_go(self, view, editing, way):
        QTest.mousePress(view, LEFT, pos=at(0.4, 0.4))
        if way == "release":
            QTest.mouseMove(view, at(0.6, 0.6))
        view.bridge.session.set_zones("1", {"door": LINE})  # the bridge has not told of it yet
        if way == "move":
            drag_on = QPointF(at(0.6, 0.6))
            event = QMouseEvent(
                QEvent.Type.MouseMove, drag_on, view.mapToGlobal(drag_on), NONE, LEFT, Qt.KeyboardModifier.NoModifier
            )
            view.mouseMoveEvent(event)
        elif way in ("arrow", "rename", "delete"):
            key = {"arrow": Qt.Key.Key_Right, "rename": Qt.Key.Key_F2, "delete": Qt.Key.Key_Delete}[way]
            view.keyPressEvent(QKeyEvent(QEvent.Type.KeyPress, key, Qt.KeyboardModifier.NoModifier))
            assert view.tool.chosen is None
            assert view.findChild(QLineEdit) is None
        QTest.mouseRelease(view, LEFT, pos=at(0.6, 0.6))
        assert zones(view) == {"door": LINE}

    def test_keys_in_the_name_field_are_for_the_field_alone(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_F2)
        editor = view.findChild(QLineEdit)
        for key in (Qt.Key.Key_F2, Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp):
            QTest.keyClick(editor, key)
        assert view.findChildren(QLineEdit) == [editor]
        assert zones(view)["yard"] == SQUARE

    def test_there_is_one_name_field_at_a_time(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_F2)
        first = view.findChild(QLineEdit)
        QTest.keyClick(view, Qt.Key.Key_F2)
        (second,) = [each for each in view.findChildren(QLineEdit) if each.isVisible()]
        assert second is not first
        assert QApplication.focusWidget() is second

    def test_escape_chooses_nothing_and_then_ends_editing(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_Escape)
        QTest.keyClick(view, Qt.Key.Key_Delete)
        assert list(zones(view)) == ["yard", "door"]
        QTest.keyClick(view, Qt.Key.Key_Escape)
        assert view.tool is None

    def test_the_name_field_goes_with_the_tool(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_F2)
        editor = view.findChild(QLineEdit)
        view.set_tool(None)
        assert not editor.isVisible()
