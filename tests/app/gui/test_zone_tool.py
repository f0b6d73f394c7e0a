"""Lines and areas drawn and edited with the mouse and the keys; what comes of it is in the session."""

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QAction, QColor, QImage, QKeyEvent, QMouseEvent, QPainter
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QMenu, QWidget

from framehook.app.gui.theme import apply_theme
from framehook.app.gui.view import SourceView
from framehook.app.gui.view_drawing import draw_tag
from framehook.app.gui.view_zones import looks_of
from framehook.app.gui.zone_tool import ZoneMode, ZoneTool
from framehook.inference.callbacks.drawing import PALETTE

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


def bgr(colour):
    red, green, blue = bytes.fromhex(colour[1:])
    return blue, green, red


def luminance(colour):
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.getRgbF()[:3]]
    return float(np.dot(parts, (0.2126, 0.7152, 0.0722)))


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


class TestDrawingByKeys:
    """The cross-hair begins in the middle; a step is 4 pixels of the view, one with Shift 40."""

    CORNER = ((0.5, 0.5), (0.625, 0.5), (0.625, 0.5 + 40 / 480))

    def press(self, view, key, times=1, modifier=Qt.KeyboardModifier.NoModifier):
        for _ in range(times):
            QTest.keyClick(view, getattr(Qt.Key, f"Key_{key}"), modifier)

    def stride(self, view, key, times=1):
        self.press(view, key, times, Qt.KeyboardModifier.ShiftModifier)

    @pytest.mark.parametrize("end", ["Space", "Return"])
    def test_a_line_is_drawn_with_arrow_keys_and_space(self, view, use, end):
        use("line")
        self.stride(view, "Left", 4)
        self.press(view, "Up", 3)
        self.press(view, "Space")
        assert zones(view) == {}
        self.stride(view, "Down", 2)
        self.press(view, "Right", 5)
        self.press(view, end)
        assert list(zones(view)["line 1"]) == close_to([(160 / 640, 228 / 480), (180 / 640, 308 / 480)])
        assert view.tool is None

    def test_an_area_is_drawn_and_enter_ends_it(self, view, use):
        use("area")
        self.press(view, "Space")
        self.stride(view, "Right", 2)
        self.press(view, "Space")
        self.stride(view, "Down")
        self.press(view, "Return")  # two corners are no area yet, and stay
        assert zones(view) == {}
        self.press(view, "Space")
        self.press(view, "Return")
        assert list(zones(view)["area 1"]) == close_to(self.CORNER)

    def test_space_on_the_first_corner_ends_an_area_too(self, view, use):
        use("area")
        self.press(view, "Space")
        self.stride(view, "Right", 2)
        self.press(view, "Space")
        self.stride(view, "Down")
        self.press(view, "Space")
        self.stride(view, "Left", 2)
        self.stride(view, "Up")
        self.press(view, "Space")
        assert list(zones(view)["area 1"]) == close_to(self.CORNER)

    def test_backspace_takes_a_corner_back_and_escape_drops_them_and_then_the_tool(self, view, use):
        use("area")
        self.press(view, "Space")
        for key in ("Right", "Up", "Down"):
            self.stride(view, key, 2)
            self.press(view, "Space")
        assert view.tool.hint().startswith("Enter")
        self.press(view, "Backspace", 2)
        assert "Space" in view.tool.hint()
        self.press(view, "Return")
        assert zones(view) == {}
        self.press(view, "Escape")
        assert view.tool is not None
        self.press(view, "Escape")
        assert view.tool is None

    def test_the_same_point_twice_is_no_line(self, view, use):
        use("line")
        self.press(view, "Space", 2)
        assert zones(view) == {}
        assert view.tool is not None

    def test_the_cross_hair_is_seen_where_it_is_and_goes_when_the_mouse_comes(self, view, use):
        bare = seen(view)
        use("line")
        assert self.cross(view, bare) == [(320, 240)]
        self.stride(view, "Right", 3)
        self.press(view, "Down", 5)
        assert self.cross(view, bare) == [(440, 260)]
        QTest.mouseMove(view, at(0.2, 0.2))
        assert self.cross(view, bare) == []
        self.press(view, "Right")
        assert self.cross(view, bare) == [(132, 96)]  # it goes on from there

    def cross(self, view, bare):
        """The middle of what differs from the bare picture below the caption."""
        rows, columns = np.nonzero((seen(view)[60:].astype(int) != bare[60:]).any(2))
        middles = [round((each.min() + each.max() + 1) / 2) for each in (columns, rows) if len(each)]
        return [(middles[0], middles[1] + 60)] if middles else []

    def test_it_is_seen_only_in_the_view_that_has_the_keyboard(self, qtbot, view, use):
        bare = seen(view)
        use("line")
        field = QLineEdit()
        qtbot.addWidget(field)
        field.show()
        field.activateWindow()
        field.setFocus()
        until(lambda: not view.hasFocus())
        assert self.cross(view, bare) == []

    def test_it_stays_in_the_frame(self, view, use):
        use("line")
        view.resize(900, 480)
        settled(view.bridge, view)
        self.stride(view, "Left", 20)
        self.stride(view, "Up", 20)
        self.press(view, "Space")
        self.stride(view, "Right", 40)
        self.stride(view, "Down", 40)
        self.press(view, "Space")
        assert zones(view)["line 1"] == ((0.0, 0.0), (1.0, 1.0))

    def test_a_zoomed_picture_moves_along_so_that_it_stays_in_sight(self, view, use):
        view.zoom_by(4.0)
        settled(view.bridge, view)
        use("line")
        self.stride(view, "Right", 20)
        settled(view.bridge, view)
        assert view.picture.region.x + view.picture.region.width > 240
        self.press(view, "Space")
        self.stride(view, "Left", 3)
        self.press(view, "Space")
        x = [point[0] for point in zones(view)["line 1"]]
        assert x == [pytest.approx(0.5 + 800 / 2560, abs=0.01), pytest.approx(0.5 + 680 / 2560, abs=0.01)]

    def test_space_is_the_tools_while_one_draws_and_the_shortcuts_otherwise(self, view, use):
        played = []
        action = QAction("Play", view)
        action.setShortcut("Space")
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda: played.append(True))
        view.addAction(action)
        use("line")
        self.press(view, "Space")
        assert played == []
        assert view.tool.hint().startswith("click on the other end")
        use("edit")
        self.press(view, "Space")
        assert played == [True]

    def test_keys_with_ctrl_or_alt_are_not_for_it(self, view, use):
        bare = seen(view)
        use("line")
        for modifier in (Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier):
            self.press(view, "Right", 1, modifier)
        assert self.cross(view, bare) == [(320, 240)]


class TestHints:
    @pytest.mark.parametrize("mode", list(ZoneMode))
    def test_each_names_the_keys_and_the_way_out_in_a_short_line(self, view, use, mode):
        view.bridge.session.set_zones("1", {"door": LINE})
        use(mode)
        hint = view.tool.hint()
        assert "arrow keys" in hint
        assert "Esc" in hint
        assert len(hint) <= 70


class TestShowing:
    def test_a_zone_is_seen_before_its_first_frame_has_come_and_not_twice_afterwards(self, view):
        bare = seen(view)
        view.bridge.session.set_zones("1", {"yard": SQUARE})
        until(lambda: (seen(view) != bare).any())
        counts = {"yard": {"inside": 0, "most": 0, "entered": 0, "classes": {}}}
        shown(view.bridge, view, result(PLAIN, zones=counts))
        assert np.array_equal(seen(view), bare)

    def test_a_zone_that_is_moved_while_the_picture_stands_is_seen_where_it_is_now(self, view):
        counts = {"door": {"in": 0, "out": 0, "classes": {}}}
        view.bridge.session.set_zones("1", {"door": LINE})
        shown(view.bridge, view, result(PLAIN, zones=counts))
        bare = seen(view)
        view.bridge.session.set_zones("1", {"door": ((0.5, 0.3), (0.5, 0.8))})
        assert tuple(seen(view)[370, 320]) == bgr(view.bridge.session.zone_colours("1")["door"])
        shown(view.bridge, view, result(PLAIN, zones=counts))
        assert np.array_equal(seen(view), bare)

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_until_its_first_frame_has_come_a_zone_has_the_colour_and_counts_that_it_will_have(self, qapp, view, theme):
        apply_theme(qapp, theme)
        session = view.bridge.session
        session.set_zones("1", {"door": ((0.5, 0.3), (0.5, 0.8)), "yard": ((0.1, 0.5), (0.3, 0.5), (0.3, 0.8))})
        pixels = seen(view)
        for name, place in (("door", (370, 320)), ("yard", (300, 192))):
            assert tuple(pixels[place]) == bgr(session.zone_colours("1")[name])
        (wide,) = np.nonzero((pixels[370, 260:380] == bgr(session.zone_colours("1")["door"])).all(1))
        assert 2 <= len(wide) <= 6  # 2 of the frame, which is shown twice as large
        looks = {name: look.text for name, look in looks_of(session, "1").items()}
        assert looks == {"door": "door: 0 in, 0 out", "yard": "yard: 0 inside"}

    def test_the_caption_of_a_line_is_at_its_end_and_its_arrow_free(self, view):
        view.bridge.session.set_zones("1", {"door": ((0.5, 0.3), (0.5, 0.8))})
        pixels = seen(view)
        red = (pixels == bgr(view.bridge.session.zone_colours("1")["door"])).all(2)
        assert red[100:142, 280:360].sum() > 1000  # the plate, above the upper end at 144
        assert not red[150:380, 240:310].any()
        assert 20 < red[230:300, 324:350].sum() < 200  # the arrow, at 264

    @pytest.mark.parametrize("colour", PALETTE)
    def test_captions_can_be_read_on_each_colour(self, view, colour):
        image = QImage(80, 30, QImage.Format.Format_RGB32)
        image.fill(0)
        painter = QPainter(image)
        draw_tag(painter, QPointF(0, 0), "HHH", QColor(colour))
        painter.end()
        shades = [image.pixelColor(x, y) for x in range(10, 30) for y in range(4, 16)]
        light = [luminance(shade) for shade in shades]
        ground = luminance(QColor(colour))
        ink = max(light, key=lambda each: abs(each - ground))
        assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5

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

    def test_with_shift_they_move_it_ten_times_as_far(self, view, editing):
        click(view, (0.4, 0.4))
        QTest.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
        assert list(zones(view)["yard"]) == close_to([(x + 0.1, y) for x, y in SQUARE])

    def test_tab_chooses_zones_and_corners_which_arrow_keys_move(self, view, editing):
        QTest.keyClick(view, Qt.Key.Key_Tab)
        assert view.tool.chosen == "yard"
        QTest.keyClick(view, Qt.Key.Key_Tab)
        QTest.keyClick(view, Qt.Key.Key_Tab)
        QTest.keyClick(view, Qt.Key.Key_Up)
        assert list(zones(view)["yard"]) == close_to([SQUARE[0], (0.5, 0.24), *SQUARE[2:]])
        QTest.keyClick(view, Qt.Key.Key_Backtab, Qt.KeyboardModifier.ShiftModifier)
        QTest.keyClick(view, Qt.Key.Key_Left)
        assert list(zones(view)["yard"]) == close_to([(0.24, 0.25), (0.5, 0.24), *SQUARE[2:]])
        for _ in range(4):
            QTest.keyClick(view, Qt.Key.Key_Tab)
        assert view.tool.chosen == "door"
        QTest.keyClick(view, Qt.Key.Key_Delete)
        assert list(zones(view)) == ["yard"]

    def test_the_chosen_corner_is_seen(self, view, editing):
        QTest.keyClick(view, Qt.Key.Key_Tab)
        whole = seen(view)
        QTest.keyClick(view, Qt.Key.Key_Tab)
        rows, columns = np.nonzero((seen(view)[60:] != whole[60:]).any(2))
        assert (columns.mean(), rows.mean() + 60) == (pytest.approx(160, abs=3), pytest.approx(120, abs=3))

    def test_beyond_the_last_corner_tab_leads_on_to_other_widgets(self, qtbot, view, editing):
        view.set_tool(None)
        box = QWidget()
        qtbot.addWidget(box)
        row = QHBoxLayout(box)
        field = QLineEdit()
        row.addWidget(view)
        row.addWidget(field)
        box.show()
        box.activateWindow()
        qtbot.waitExposed(box)
        shown(view.bridge, view, result(PLAIN))
        view.set_tool(ZoneTool(view.bridge, "1", ZoneMode.EDIT))
        view.setFocus()
        for _ in range(1 + 4 + 1 + 2):  # two zones and their corners
            QTest.keyClick(view, Qt.Key.Key_Tab)
            assert view.hasFocus()
        QTest.keyClick(view, Qt.Key.Key_Tab)
        assert field.hasFocus()
        assert view.tool.chosen is None
        view.setParent(None)

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
