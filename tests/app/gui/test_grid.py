"""The grid: where views are, which of them is current or alone, and what becomes of them."""

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QRect, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from framehook.app.gui.grid import GAP, GridView, arrangement
from framehook.app.session.buffers import POISON
from framehook.inference.connection import SourceState

from .view_scenes import Thing, result, seen, set_stage, settled, shown, slot, until

LEFT = Qt.MouseButton.LeftButton
PLAIN = np.full((240, 320, 3), 90, np.uint8)


@pytest.fixture
def bridge(make_bridge):
    return make_bridge(poison=True)


@pytest.fixture
def grid(qtbot, bridge):
    grid = GridView(bridge)
    qtbot.addWidget(grid)
    grid.resize(1000, 600)
    grid.show()
    qtbot.waitExposed(grid)
    return grid


@pytest.fixture
def four(bridge, grid):
    """The grid with four views, the first of which has the keyboard."""
    set_stage(bridge, *map(slot, "1234"))
    grid.activateWindow()
    grid.setFocus()
    until(lambda: QApplication.focusWidget() is grid.view("1"))
    return grid


def open_views(grid):
    return [key for key in "123456789" if grid.view(key) is not None and grid.view(key).isVisible()]


class TestArrangement:
    ROOM = QRect(0, 0, 1600, 900)

    def test_one_has_all_the_room(self):
        assert arrangement(self.ROOM, [None]) == [self.ROOM]
        assert arrangement(self.ROOM, []) == []

    def test_two_stand_side_by_side_or_one_above_the_other_as_they_are_larger(self):
        side_by_side = arrangement(self.ROOM, [(480, 640), (480, 640)])
        assert side_by_side[0].top() == side_by_side[1].top()
        stacked = arrangement(self.ROOM, [(1600, 300), (1600, 300)])
        assert stacked[0].left() == stacked[1].left()
        assert arrangement(QRect(0, 0, 600, 1000), [None, None])[1].top() > 400

    @pytest.mark.parametrize(("count", "columns"), [(3, 2), (4, 2), (5, 3), (6, 3), (9, 3), (12, 4), (16, 4)])
    def test_many_are_nearly_a_square(self, count, columns):
        places = arrangement(self.ROOM, [(1920, 1080)] * count)
        assert sum(place.top() == places[0].top() for place in places) == columns

    @pytest.mark.parametrize("count", range(1, 17))
    def test_places_are_alike_do_not_overlap_and_stay_within_the_room(self, count):
        room = QRect(7, 11, 1283, 719)
        places = arrangement(room, [(640, 480)] * count)
        assert len(places) == count
        for place in places:
            assert room.contains(place)
            assert abs(place.width() - places[0].width()) <= 1
            assert abs(place.height() - places[0].height()) <= 1
        for one in range(count):
            assert not any(places[one].adjusted(-GAP + 1, 0, 0, 0).intersects(other) for other in places[:one])

    def test_a_last_row_that_is_not_full_stands_in_the_middle(self):
        places = arrangement(self.ROOM, [None] * 3)
        assert abs(places[2].center().x() - self.ROOM.center().x()) <= 1


class TestViews:
    def test_there_is_a_view_for_each_slot_in_their_order(self, bridge, grid):
        assert grid.current_key is None
        assert grid.current_view is None
        set_stage(bridge, slot("1"))
        assert grid.view("1").geometry() == grid.rect()
        set_stage(bridge, slot("1"), slot("2"))
        assert open_views(grid) == ["1", "2"]
        assert grid.view("1").geometry().right() < grid.view("2").geometry().left()
        assert grid.view("3") is None

    def test_views_stay_while_their_slots_do_with_what_they_show(self, bridge, grid):
        set_stage(bridge, slot("1"), slot("2"))
        first = grid.view("1")
        shown(bridge, first, result(PLAIN))
        first.zoom_in()
        set_stage(bridge, slot("3"), slot("1", connection=SourceState.RECONNECTING))
        assert grid.view("1") is first
        settled(bridge, first)
        assert first.picture.region.width < 320
        assert grid.view("2") is None

    def test_a_view_whose_slot_is_closed_gives_everything_back(self, bridge, grid):
        set_stage(bridge, slot("1"), slot("2"))
        shown(bridge, grid.view("2"), result(PLAIN, key="2"))
        pixels = grid.view("2").picture.pixels
        set_stage(bridge, slot("1"))
        assert (pixels == POISON).all()
        assert grid.view("1").geometry() == grid.rect()

    def test_a_picture_that_comes_after_its_view_went_is_given_back(self, bridge, grid):
        set_stage(bridge, slot("1"))
        bridge.session.renderer.look("9", grid.view("1").aim.viewport((32, 24), original=False))
        came = []
        bridge.picture_ready.connect(came.append)
        bridge.session.renderer.show("9", result(PLAIN, key="9"))
        until(lambda: came)
        assert (came[0].pixels == POISON).all()

    def test_every_view_shows_its_own_pictures(self, bridge, four):
        for number, key in enumerate("1234"):
            shown(bridge, four.view(key), result(np.full((240, 320, 3), 40 * number + 50, np.uint8), key=key))
        pixels = seen(four)
        for number, key in enumerate("1234"):
            centre = four.view(key).geometry().center()
            assert (pixels[centre.y() + 60, centre.x()] == 40 * number + 50).all()

    def test_originals_are_shown_in_views_that_come_later_too(self, bridge, grid):
        set_stage(bridge, slot("1"))
        grid.set_original(True)
        set_stage(bridge, slot("1"), slot("2"))
        assert grid.view("1").original
        assert grid.view("2").original


class TestCurrent:
    def test_the_view_with_the_keyboard_is_current_and_stays_so_when_the_keyboard_goes_elsewhere(self, qtbot, bridge, four):
        changes = []
        four.current_changed.connect(changes.append)
        QTest.mouseClick(four.view("3"), LEFT)
        assert four.current_key == "3"
        assert four.current_view is four.view("3")
        four.view("3").clearFocus()
        assert four.current_key == "3"
        set_stage(bridge, slot("1"), slot("4"))
        assert four.current_key == "1"
        set_stage(bridge)
        assert four.current_key is None
        assert changes == ["3", "1", None]

    def test_the_current_one_of_several_is_framed_and_a_single_one_is_not(self, bridge, four):
        def framed(key):
            place = four.view(key).geometry()
            edge = seen(four)[place.top(), place.left() : place.right()]
            return (edge == edge[0]).all() and edge[0].max() > 150

        assert [framed(key) for key in "12"] == [True, False]
        four.view("2").setFocus()
        assert [framed(key) for key in "12"] == [False, True]
        set_stage(bridge, slot("2"))
        assert not framed("2")

    def test_arrow_keys_lead_from_view_to_view(self, four):
        for key, expected in (
            (Qt.Key.Key_Right, "2"),
            (Qt.Key.Key_Down, "4"),
            (Qt.Key.Key_Left, "3"),
            (Qt.Key.Key_Left, "3"),
            (Qt.Key.Key_Up, "1"),
        ):
            QTest.keyClick(QApplication.focusWidget(), key)
            assert four.current_key == expected
            assert QApplication.focusWidget() is four.view(expected)

    def test_tab_leads_through_the_views_in_their_order(self, four):
        keys = []
        for _ in range(3):
            QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
            keys.append(four.current_key)
        assert keys == ["2", "3", "4"]


class TestEnlarging:
    def test_a_double_click_shows_one_alone_and_another_shows_all_again(self, four):
        changes = []
        four.enlarged_changed.connect(changes.append)
        QTest.mouseDClick(four.view("2"), LEFT)
        assert open_views(four) == ["2"]
        assert four.view("2").geometry() == four.rect()
        assert four.enlarged_key == four.current_key == "2"
        QTest.mouseDClick(four.view("2"), LEFT)
        assert open_views(four) == list("1234")
        assert four.enlarged_key is None
        assert changes == [True, False]

    def test_enter_enlarges_and_escape_leads_back(self, four):
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Right)
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
        assert open_views(four) == ["2"]
        assert QApplication.focusWidget() is four.view("2")
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)
        assert open_views(four) == list("1234")
        assert QApplication.focusWidget() is four.view("2")

    def test_views_that_are_not_shown_cost_nothing_and_come_back_with_the_newest(self, bridge, four):
        shown(bridge, four.view("1"), result(PLAIN))
        four.view("2").setFocus()
        four.set_enlarged(True)
        drawn = []
        unseen = result(PLAIN)
        unseen.add_painter(lambda _result, _canvas: drawn.append(1))
        bridge.session.renderer.show("1", unseen)
        shown(bridge, four.view("2"), result(PLAIN, key="2"))
        assert drawn == []
        four.set_enlarged(False)
        until(lambda: four.view("1").picture is not None and four.view("1").picture.result is unseen)

    def test_closing_the_enlarged_one_shows_the_others(self, bridge, four):
        QTest.mouseDClick(four.view("2"), LEFT)
        set_stage(bridge, slot("1"), slot("3"))
        assert open_views(four) == ["1", "3"]
        assert four.enlarged_key is None

    def test_a_source_that_is_opened_meanwhile_is_seen_beside_the_others(self, bridge, four):
        changes = []
        QTest.mouseDClick(four.view("2"), LEFT)
        four.enlarged_changed.connect(changes.append)
        set_stage(bridge, *map(slot, "12345"))
        assert open_views(four) == list("12345")
        assert four.enlarged_key is None
        assert four.current_key == "2"
        assert changes == [False]

    def test_one_alone_cannot_be_enlarged_and_says_so(self, bridge, grid):
        set_stage(bridge, slot("1"))
        changes = []
        grid.enlarged_changed.connect(changes.append)
        grid.set_enlarged(True)
        assert changes == [False]
        assert open_views(grid) == ["1"]


class TestTools:
    def test_a_tool_is_on_every_view_until_one_of_them_is_done(self, bridge, four):
        for key in "12":
            shown(bridge, four.view(key), result(PLAIN, key=key))
        ended = []
        four.tool_ended.connect(lambda: ended.append(1))
        four.set_tool("line")
        view = four.view("2")
        QTest.mouseClick(view, LEFT, pos=QPoint(100, 100))
        QTest.mouseClick(view, LEFT, pos=QPoint(200, 150))
        assert ended == [1]
        assert all(four.view(key).tool is None for key in "1234")
        assert list(bridge.session.state.zones["2"]) == ["line 1"]

    def test_a_tool_that_is_taken_away_is_gone_from_all_views_and_from_those_to_come(self, bridge, four):
        ended = []
        four.tool_ended.connect(lambda: ended.append(1))
        four.set_tool("edit")
        set_stage(bridge, *map(slot, "2345"))
        assert all(four.view(key).tool is not None for key in "2345")
        four.set_tool(None)
        assert all(four.view(key).tool is None for key in "2345")
        assert ended == []

    def test_a_tool_goes_with_the_last_view(self, bridge, four):
        ended = []
        four.tool_ended.connect(lambda: ended.append(1))
        four.set_tool("line")
        set_stage(bridge)
        assert ended == [1]
        set_stage(bridge, slot("5"))
        assert four.view("5").tool is None

    def test_arrow_keys_and_space_draw_on_the_current_view_alone(self, bridge, four):
        for key in "12":
            shown(bridge, four.view(key), result(PLAIN, key=key))
        four.show()
        four.activateWindow()
        four.view("2").setFocus()
        bare = {key: seen(four.view(key))[40:] for key in "12"}
        four.set_tool("line")
        assert (seen(four.view("2"))[40:] != bare["2"]).any()  # the cross-hair
        QTest.keyClick(four.view("2"), Qt.Key.Key_Space)
        QTest.keyClick(four.view("2"), Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
        assert four.current_key == "2"  # arrow keys do not lead to another view meanwhile
        QTest.keyClick(four.view("2"), Qt.Key.Key_Return)
        assert list(bridge.session.state.zones) == ["2"]
        assert four.enlarged_key is None
        assert np.array_equal(seen(four.view("1"))[40:], bare["1"])

    def test_what_is_begun_on_one_view_drops_what_was_begun_on_another(self, bridge, four):
        for key in "12":
            shown(bridge, four.view(key), result(PLAIN, key=key))
        four.set_tool("area")
        QTest.mouseMove(four.view("1"), QPoint(60, 60))  # with which it is drawn, so that there is no cross-hair
        bare = seen(four.view("1"))[40:]
        for x, y in ((100, 100), (200, 100), (200, 180)):
            QTest.mouseClick(four.view("1"), LEFT, pos=QPoint(x, y))
        assert (seen(four.view("1"))[40:] != bare).any()
        QTest.mouseClick(four.view("2"), LEFT, pos=QPoint(100, 100))
        four.view("1").set_current(True)  # framed as before
        assert np.array_equal(seen(four.view("1"))[40:], bare)
        QTest.keyClick(four.view("1"), Qt.Key.Key_Return)
        assert bridge.session.state.zones == {}
        assert four.view("2").tool is not None

    def test_following_is_told_of_for_all_views_together(self, bridge, four):
        changes = []
        four.following_changed.connect(changes.append)
        shown(bridge, four.view("1"), result(PLAIN, Thing((40, 60, 80, 180), 7)))
        bridge.select(("1", 7))
        four.view("1").set_following(True)
        four.view("1").set_following(False)
        assert changes == [True, False]
