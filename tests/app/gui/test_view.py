"""A view: what it paints, what the mouse and the keys do on it, and what it says."""

import threading
import time

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, QSize, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from framehook.app.gui.theme import apply_theme
from framehook.app.gui.view import SourceView
from framehook.app.gui.view_mapping import Aim, Mapping, device_size
from framehook.app.gui.view_objects import Mark, facts_of, object_at, title_of
from framehook.app.gui.view_texts import Message, caption_of, message_of
from framehook.app.gui.zone_tool import ZoneMode, ZoneTool
from framehook.app.session.buffers import POISON
from framehook.app.session.picture import Picture, Region, Viewport
from framehook.app.session.placement import Placement
from framehook.app.session.state import Phase
from framehook.inference.connection import SourceState
from framehook.inference.frame import SourceKind

from .panel_scenes import quick_model
from .view_scenes import Thing, noise, result, seen, set_stage, settled, shown, slot, turn_wheel, until

LEFT = Qt.MouseButton.LeftButton
PLAIN = np.full((240, 320, 3), 90, np.uint8)
PERSON = Thing((40, 60, 80, 180), 7)
DOG = Thing((200, 100, 280, 160), 8, 1)


@pytest.fixture
def view(qtbot, make_bridge):
    """A view of 640 x 480 on a frame of 320 x 240: two device pixels to one of the frame."""
    bridge = make_bridge(poison=True)
    set_stage(bridge, slot())
    view = SourceView(bridge, "1")
    qtbot.addWidget(view)
    view.resize(640, 480)
    view.show()
    qtbot.waitExposed(view)
    yield view
    view.let_go()


@pytest.fixture
def bridge(view):
    return view.bridge


@pytest.fixture
def notes(bridge):
    told = []
    bridge.noted.connect(lambda note: told.append(note.text))
    return told


def middle_of(view, xyxy):
    return view.mapping.rect_of(np.array(xyxy)).center().toPoint()


def zoom_at(view, point, steps=3):
    turn_wheel(view, point, steps)
    settled(view.bridge, view)


class TestPainting:
    def test_a_frame_is_painted_pixel_by_pixel(self, bridge, view):
        pixels = noise(640, 480)
        shown(bridge, view, result(pixels))
        assert np.array_equal(seen(view)[60:], pixels[60:])  # below the caption

    def test_what_is_around_the_frame_is_dark_in_both_schemes(self, qapp, bridge, view):
        for theme in ("light", "dark"):
            apply_theme(qapp, theme)
            shown(bridge, view, result(np.full((100, 400, 3), 200, np.uint8)))
            pixels = seen(view)
            assert (pixels[200:280] == 200).all()
            assert pixels[:150, 400:].max() < 80
            assert pixels[330:].max() < 80

    def test_the_caption_can_be_read_on_white_and_on_black(self, bridge, view):
        for value in (0, 255):
            shown(bridge, view, result(np.full((240, 320, 3), value, np.uint8)))
            corner = seen(view)[6:16, 8:60].astype(int)
            assert corner.max() > 200
            assert np.median(corner) < 118  # on which white letters have a contrast of 4.5

    def test_without_a_picture_there_is_a_message_in_the_middle(self, view):
        pixels = seen(view).astype(int)
        assert pixels[200:280, 200:440].max() > 180
        assert pixels[60:, :40].max() < 80

    def test_no_painted_frame_ever_shows_a_buffer_that_is_used_for_another(self, qtbot, bridge, view):
        settings = iter(range(10_000))
        for value in range(1, 60):
            bridge.session.renderer.show("1", result(np.full((240, 320, 3), value, np.uint8), index=value))
            if value % 7 == 0:
                view.resize(600 + next(settings), 470)
            if value % 3:
                QApplication.processEvents()
            pixels = seen(view)[60:-60, 60:-60].reshape(-1, 3)
            assert not (pixels == POISON[:3]).all(1).any()
        until(lambda: view.picture is not None and view.picture.result.frame.index == 59)
        assert (seen(view)[100:400, 100:300] == 59).all()

    def test_a_slow_window_is_told_of_and_nothing_piles_up(self, qtbot, make_bridge):
        bridge = make_bridge(poison=True)
        newest = lambda: bridge.session.renderer.last("1").frame.index  # noqa: E731

        class Slow(SourceView):
            def paint_over(self, painter, mapping, picture):
                """Paint for a fifth of a second, in which several frames come."""
                come = min(newest() + 5, 45)
                time.sleep(0.2)
                while newest() < come and player.is_alive():
                    time.sleep(0.005)

        set_stage(bridge, slot())
        view = Slow(bridge, "1")
        qtbot.addWidget(view)
        view.resize(320, 240)
        view.show()
        qtbot.waitExposed(view)

        def play():  # as the thread does that advances a run
            for index in range(1, 46):
                bridge.session.renderer.show("1", result(PLAIN, index=index))
                time.sleep(1 / 30)

        player = threading.Thread(target=play)
        shown(bridge, view, result(PLAIN))
        player.start()
        until(lambda: view.picture is not None and view.picture.result.frame.index == 45)
        player.join()
        until(lambda: (lambda total: total.shown + total.skipped == 46)(bridge.session.figures().painting))
        total = bridge.session.figures().painting
        assert total.latency.p50 >= 200
        assert total.paint_ms >= 200
        assert total.skipped >= 20
        view.let_go()

    def test_a_picture_is_given_back_when_the_view_is_hidden_and_nothing_is_rendered_for_it(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        pixels = view.picture.pixels
        view.hide()
        assert (pixels == POISON).all()
        drawn = []
        unseen = result(PLAIN)
        unseen.add_painter(lambda _result, _canvas: drawn.append(1))
        bridge.session.renderer.show("1", unseen)
        QTest.qWait(50)
        assert drawn == []
        view.show()
        until(lambda: view.picture is not None and view.picture.result is unseen)
        assert drawn == [1]

    def test_a_view_that_was_let_go_holds_nothing(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        pixels = view.picture.pixels
        view.let_go()
        assert (pixels == POISON).all()
        assert view.picture is None

    def test_a_new_size_is_a_new_picture_also_while_nothing_plays(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        view.resize(800, 300)
        settled(bridge, view)
        assert view.picture.pixels.shape == (300, 400, 4)
        assert view.picture.at == (200, 0)

    def test_the_original_is_shown_without_what_was_drawn_on_it(self, bridge, view):
        drawn = result(PLAIN)
        drawn.add_painter(lambda _result, canvas: canvas.fill(200))
        shown(bridge, view, drawn)
        assert (seen(view)[200, 200] == 200).all()
        view.set_original(True)
        settled(bridge, view)
        assert (seen(view)[200, 200] == 90).all()

    def test_a_real_run_is_seen(self, qtbot, make_bridge):
        bridge = make_bridge(poison=True, model=quick_model())
        bridge.session.open("testsrc:320x240@30:live")
        until(lambda: bridge.state.slots)
        view = SourceView(bridge, bridge.state.slots[0].key)
        qtbot.addWidget(view)
        view.resize(320, 240)
        view.show()
        until(lambda: bridge.session.figures().painting.shown >= 5)
        until(lambda: view.accessibleName() == "testsrc: 1 object")
        assert len(np.unique(seen(view).reshape(-1, 3), axis=0)) > 100
        view.let_go()


class TestMapping:
    @pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
    @pytest.mark.parametrize("zoom", [1.0, 2.7])
    def test_points_of_the_frame_and_of_the_view_are_mapped_there_and_back(self, ratio, zoom):
        size = device_size(QSize(803, 601), ratio)
        picture = rendered((1920, 1080), Viewport(size, zoom, (0.4, 0.6)))
        mapping = Mapping.of(picture, ratio, size)
        for x, y in ((0.0, 0.0), (1920.0, 1080.0), (733.3, 12.5)):
            assert mapping.frame_at(mapping.point_of(x, y)) == pytest.approx((x, y))
            point = mapping.point_of_fraction(x / 1920, y / 1080)
            assert mapping.fraction_at(point) == pytest.approx((x / 1920, y / 1080))

    @pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
    def test_the_corners_of_a_letterboxed_frame_are_where_it_is_painted(self, ratio):
        size = device_size(QSize(800, 800), ratio)
        picture = rendered((1600, 800), Viewport(size))
        mapping = Mapping.of(picture, ratio, size)
        assert mapping.point_of(0, 0) == QPointF(0, 200)
        assert mapping.point_of(1600, 800) == QPointF(800, 600)
        assert mapping.frame_at(QPointF(400, 400)) == pytest.approx((800, 400))

    def test_a_picture_made_for_another_size_is_in_the_middle(self):
        picture = rendered((100, 100), Viewport((100, 100)))
        assert Mapping.of(picture, 1.0, (300, 200)).point_of(0, 0) == QPointF(100, 50)

    def test_zooming_leaves_the_point_under_the_mouse_where_it_is(self):
        frame, size = (1920, 1080), (1000, 700)
        aim = Aim()
        aim.move_to(3.0, (0.4, 0.55), frame, size)
        at = (120.0, 600.0)
        before = fraction_under(aim, at, frame, size)
        for factor in (1.25, 1.25, 1.6, 0.8):
            aim.zoom_about(at, factor, frame, size)
            assert fraction_under(aim, at, frame, size) == pytest.approx(before, abs=1 / 1920)

    def test_an_aim_never_leads_beyond_the_frame(self):
        aim = Aim()
        aim.move_to(4.0, (5.0, -3.0), (1920, 1080), (960, 540))
        assert aim.centre == pytest.approx((0.875, 0.125))
        aim.zoom_about((480, 270), 1e-6, (1920, 1080), (960, 540))
        assert (aim.zoom, aim.centre) == (1.0, (0.5, 0.5))
        aim.zoom_about((480, 270), 1e9, (1920, 1080), (960, 540))
        assert aim.zoom == 128


def rendered(frame, viewport):
    """A picture as the renderer would make it, without its pixels."""
    placed = Placement.of(frame, viewport)
    left, top = (max(start, 0) for start in placed.origin)
    width, height = (
        min(start + side, view) - first
        for start, side, view, first in zip(placed.origin, placed.size, viewport.size, (left, top), strict=True)
    )
    scale = (placed.size[0] / frame[0], placed.size[1] / frame[1])
    region = Region(
        (left - placed.origin[0]) / scale[0], (top - placed.origin[1]) / scale[1], width / scale[0], height / scale[1]
    )
    blank = result(np.zeros((frame[1], frame[0], 3), np.uint8))
    return Picture("1", blank, np.empty((height, width, 4), np.uint8), (left, top), region, viewport, 1)


def fraction_under(aim, at, frame, size):
    return Placement.of(frame, aim.viewport(size, original=False)).fraction_at(*at)


class TestMoving:
    def test_the_wheel_zooms_about_the_mouse(self, bridge, view):
        shown(bridge, view, result(noise(320, 240)))
        at = QPointF(500, 100)
        before = view.mapping.frame_at(at)
        zoom_at(view, at)
        assert view.picture.region.width == pytest.approx(320 / 1.25**3, abs=1)
        assert view.mapping.frame_at(at) == pytest.approx(before, abs=0.5)

    def test_dragging_moves_a_zoomed_picture_with_the_mouse(self, bridge, view):
        shown(bridge, view, result(noise(320, 240)))
        zoom_at(view, QPointF(320, 240))
        under = view.mapping.frame_at(QPointF(300, 200))
        QTest.mousePress(view, LEFT, pos=QPoint(300, 200))
        for x in (310, 330, 360):
            QTest.mouseMove(view, QPoint(x, 220))
        QTest.mouseRelease(view, LEFT, pos=QPoint(360, 220))
        settled(bridge, view)
        assert view.mapping.frame_at(QPointF(360, 220)) == pytest.approx(under, abs=0.5)

    def test_dragging_a_picture_that_fits_moves_nothing(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        QTest.mousePress(view, LEFT, pos=QPoint(300, 200))
        QTest.mouseMove(view, QPoint(400, 300))
        QTest.mouseRelease(view, LEFT, pos=QPoint(400, 300))
        settled(bridge, view)
        assert view.picture.region == (0, 0, 320, 240)

    def test_keys_zoom_move_and_fit(self, bridge, view):
        shown(bridge, view, result(noise(320, 240)))
        for _ in range(4):
            QTest.keyClick(view, Qt.Key.Key_Plus)
        settled(bridge, view)
        zoomed = view.picture.region
        assert zoomed.width == pytest.approx(320 / 1.25**4, abs=1)
        QTest.keyClick(view, Qt.Key.Key_Minus)
        settled(bridge, view)
        assert view.picture.region.width > zoomed.width
        before = view.picture.region
        QTest.keyClick(view, Qt.Key.Key_Right)
        QTest.keyClick(view, Qt.Key.Key_Down)
        settled(bridge, view)
        assert view.picture.region.x > before.x
        assert view.picture.region.y > before.y
        for key in (Qt.Key.Key_0, Qt.Key.Key_F):
            view.zoom_in()
            QTest.keyClick(view, key)
            until(lambda: view.picture.region == (0, 0, 320, 240))

    def test_a_frame_of_another_size_is_shown_whole(self, bridge, view):
        shown(bridge, view, result(noise(320, 240)))
        zoom_at(view, QPointF(320, 240))
        shown(bridge, view, result(noise(400, 200)))
        assert view.picture.region == (0, 0, 400, 200)

    def test_a_double_click_or_enter_asks_for_the_view_to_be_enlarged(self, qtbot, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        asked = []
        view.enlarge_requested.connect(asked.append)
        QTest.mouseDClick(view, LEFT, pos=middle_of(view, PERSON.xyxy))
        QTest.keyClick(view, Qt.Key.Key_Return)
        QTest.keyClick(view, Qt.Key.Key_Enter)
        assert asked == ["1"] * 3
        assert bridge.selected is None  # it was not meant for the person


class TestObjects:
    def test_a_click_chooses_an_object_and_another_click_does_not_any_more(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        bare = seen(view)
        QTest.mouseClick(view, LEFT, pos=middle_of(view, PERSON.xyxy))
        assert bridge.selected == ("1", 7)
        assert view.accessibleDescription() == "chosen: person #7"
        outlined = seen(view)
        assert (outlined[110:124, 100:140] != bare[110:124, 100:140]).any(2).any(0).all()
        QTest.mouseClick(view, LEFT, pos=middle_of(view, PERSON.xyxy))
        assert bridge.selected is None
        assert view.accessibleDescription() == ""

    def test_a_click_beside_all_objects_and_escape_choose_nothing(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        for leave in (
            lambda: QTest.mouseClick(view, LEFT, pos=QPoint(320, 440)),
            lambda: QTest.keyClick(view, Qt.Key.Key_Escape),
        ):
            QTest.mouseClick(view, LEFT, pos=middle_of(view, DOG.xyxy))
            assert bridge.selected == ("1", 8)
            leave()
            assert bridge.selected is None

    def test_what_was_chosen_elsewhere_is_outlined(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        bare = seen(view)
        bridge.select(("another", 7))
        assert np.array_equal(seen(view), bare)
        bridge.select(("1", 7))
        assert not np.array_equal(seen(view), bare)

    def test_the_outline_goes_with_the_object(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bridge.select(("1", 7))
        moved = result(PLAIN, Thing((200, 60, 240, 180), 7))
        shown(bridge, view, moved)
        with_outline = seen(view)
        bridge.select(None)
        changed = np.argwhere((seen(view) != with_outline).any(2))
        assert changed[:, 1].min() > 180

    def test_an_object_without_an_id_is_highlighted_by_its_box_and_found_again(self, bridge, view):
        shown(bridge, view, result(PLAIN, Thing((40, 60, 80, 180)), Thing((200, 100, 280, 160))))
        QTest.mouseClick(view, LEFT, pos=middle_of(view, (40, 60, 80, 180)))
        assert bridge.selected is None
        assert view.accessibleDescription() == ""
        shown(bridge, view, result(PLAIN, Thing((48, 62, 88, 182)), Thing((200, 100, 280, 160))))
        outlined = seen(view)
        QTest.keyClick(view, Qt.Key.Key_Escape)
        changed = np.argwhere((seen(view) != outlined).any(2))
        assert 85 < changed[:, 1].min() < 100
        assert 115 < changed[:, 0].min() < 130

    def test_hovering_tells_what_is_known_and_leaving_takes_it_away(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bare = seen(view)
        QTest.mouseMove(view, middle_of(view, PERSON.xyxy))
        told = seen(view)
        changed = np.argwhere((told != bare).any(2))
        assert changed[:, 1].max() > 2 * 80 + 60  # the facts stand to the right of the object
        QTest.mouseMove(view, QPoint(400, 440))
        assert np.array_equal(seen(view), bare)

    def test_the_facts_of_an_object_are_class_confidence_id_age_speed_and_size(self):
        made = result(PLAIN, PERSON, DOG)
        assert title_of(made, 0) == "person #7"
        assert dict(facts_of(made, 1)) == {
            "class": "dog",
            "confidence": "0.87",
            "id": "8",
            "age": "12.3 s",
            "speed": "56 px/s",
            "size": "80 x 60 px",
        }
        untracked = result(PLAIN, Thing((0, 0, 10, 20)))
        assert dict(facts_of(untracked, 0)) == {"class": "person", "confidence": "0.87", "size": "10 x 20 px"}

    def test_the_smallest_box_under_the_mouse_is_meant(self):
        made = result(PLAIN, Thing((0, 0, 200, 200)), Thing((50, 50, 80, 80)), Thing((20, 20, 150, 150)))
        assert object_at(made, 60, 60) == 1
        assert object_at(made, 100, 100) == 2
        assert object_at(made, 199, 199) == 0
        assert object_at(made, 200, 10) is None

    def test_a_marked_box_is_the_one_of_its_class_that_overlaps_it(self):
        mark = Mark.of(result(PLAIN, Thing((40, 60, 80, 180))), 0)
        assert mark.row_in(result(PLAIN, Thing((42, 60, 82, 180), None, 1), Thing((44, 60, 84, 180)))) == 1
        assert mark.row_in(result(PLAIN, Thing((140, 60, 180, 180)))) is None
        assert mark.row_in(result(PLAIN)) is None

    def test_ids_mean_other_objects_after_an_interruption_and_nothing_is_chosen_then(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bridge.select(("1", 7))
        shown(bridge, view, result(PLAIN, PERSON))
        assert bridge.selected == ("1", 7)
        shown(bridge, view, result(PLAIN, PERSON, segment=1))
        assert bridge.selected is None

    def test_its_name_tells_the_source_and_the_number_of_objects(self, bridge, view):
        assert view.accessibleName() == "camera 1: no picture"
        shown(bridge, view, result(PLAIN, PERSON))
        assert view.accessibleName() == "camera 1: 1 object"
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        assert view.accessibleName() == "camera 1: 2 objects"


class TestFollowing:
    def test_the_chosen_object_comes_to_the_middle_and_near_and_stays_there(self, bridge, view):
        shown(bridge, view, result(PLAIN, Thing((180, 90, 200, 130), 7)))
        bridge.select(("1", 7))
        changes = []
        view.following_changed.connect(changes.append)
        view.set_following(True)
        assert view.following
        self.is_in_the_middle(view, 190, 110)
        assert view.picture.region.width < 320 / 1.5 + 1
        bridge.session.renderer.show("1", result(PLAIN, Thing((140, 110, 160, 150), 7)))
        self.is_in_the_middle(view, 150, 130)
        view.set_following(False)
        assert changes == [True, False]

    def is_in_the_middle(self, view, x, y):
        def near():
            if view.mapping is None:
                return False
            at = view.mapping.point_of(x, y)
            return abs(at.x() - 320) < 8 and abs(at.y() - 240) < 8

        until(near)

    def test_an_object_that_is_lost_is_told_of_and_the_whole_frame_is_shown(self, bridge, view, notes):
        shown(bridge, view, result(PLAIN, PERSON, at=100.0))
        bridge.select(("1", 7))
        view.set_following(True)
        shown(bridge, view, result(PLAIN, DOG, at=101.0))
        assert view.following  # it may be hidden for a moment
        bridge.session.renderer.show("1", result(PLAIN, DOG, at=103.0))
        until(lambda: not view.following)
        until(lambda: notes == ["camera 1: #7 was lost, and is not followed any more"])
        settled(bridge, view)
        assert view.picture.region == (0, 0, 320, 240)

    @pytest.mark.parametrize("size", [(640, 480), (640, 200), (200, 480)])
    @pytest.mark.parametrize("box", [(0, 0, 320, 240), (10, 0, 160, 240), (5, 100, 315, 150), (100, 60, 220, 200)])
    def test_all_of_a_large_object_stays_in_sight(self, bridge, view, size, box):
        view.resize(*size)
        shown(bridge, view, result(PLAIN, Thing(box, 7)))
        view.zoom_by(3.0)
        settled(bridge, view)
        bridge.select(("1", 7))
        view.set_following(True)
        whole = view.rect().toRectF().adjusted(-1, -1, 1, 1)
        until(lambda: view.mapping is not None and whole.contains(view.mapping.rect_of(np.array(box))))
        for _ in range(5):
            time.sleep(0.04)
            settled(bridge, view)
            assert whole.contains(view.mapping.rect_of(np.array(box)))

    def test_afterwards_the_view_shows_what_it_showed_before(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        view.zoom_by(2.0, QPointF(640, 0))
        zoom, centre = view.aim.zoom, view.aim.centre
        for way in ("off", "escape", "lost", "none chosen"):
            shown(bridge, view, result(PLAIN, PERSON, DOG, at=100.0))
            bridge.select(("1", 7))
            view.set_following(True)
            bridge.select(("1", 8))
            until(lambda: view.aim.zoom != zoom)
            if way == "off":
                view.set_following(False)
            elif way == "escape":
                QTest.keyClick(view, Qt.Key.Key_Escape)
            elif way == "lost":
                bridge.session.renderer.show("1", result(PLAIN, at=103.0))
            else:
                bridge.select(None)
            until(lambda: not view.following)
            assert (view.aim.zoom, view.aim.centre) == (pytest.approx(zoom), pytest.approx(centre))

    def test_but_for_a_zoom_that_the_user_chose_meanwhile(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bridge.select(("1", 7))
        view.set_following(True)
        view.zoom_by(3.0)
        zoom = view.aim.zoom
        view.set_following(False)
        assert view.aim.zoom == zoom > 1

    def test_moving_the_picture_by_hand_ends_it_and_zooming_does_not(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bridge.select(("1", 7))
        view.set_following(True)
        view.zoom_in()
        assert view.following
        view.pan_by(10, 0)
        assert not view.following

    def test_a_tool_ends_it_and_the_zoom_stays(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON))
        bridge.select(("1", 7))
        view.set_following(True)
        view.zoom_in()
        zoom = view.aim.zoom
        view.set_tool(ZoneTool(bridge, "1", ZoneMode.LINE))
        assert not view.following
        assert view.aim.zoom == zoom > 1

    def test_choosing_another_object_follows_that_and_choosing_none_follows_nothing(self, bridge, view):
        shown(bridge, view, result(PLAIN, PERSON, DOG))
        bridge.select(("1", 7))
        view.set_following(True)
        bridge.select(("1", 8))
        assert view.following
        self.is_in_the_middle(view, 220, 130)  # as near as the edge of the frame allows
        bridge.select(None)
        assert not view.following

    def test_without_an_object_to_follow_it_says_so(self, bridge, view, notes):
        shown(bridge, view, result(PLAIN, PERSON))
        changes = []
        view.following_changed.connect(changes.append)
        view.set_following(True)
        until(lambda: notes == ["Nothing to follow: click on an object that has an id first"])
        assert changes == [False]
        assert not view.following


class TestTexts:
    @pytest.mark.parametrize(
        ("facts", "phase", "text"),
        [
            ({}, Phase.PLAYING, "camera 1 · 29.7 fps"),
            ({}, Phase.PAUSED, "camera 1 · paused"),
            (
                {"connection": SourceState.RECONNECTING, "reason": "no route to host"},
                Phase.PLAYING,
                "camera 1 · reconnecting: no route to host",
            ),
            ({"connection": SourceState.STALLED}, Phase.PLAYING, "camera 1 · stalled"),
            ({"connection": SourceState.ENDED}, Phase.ENDED, "camera 1"),
        ],
    )
    def test_the_caption_tells_how_the_source_stands(self, facts, phase, text):
        assert caption_of(slot(**facts), phase, 29.7, original=False, following="") == text

    def test_the_caption_tells_what_is_out_of_the_ordinary(self):
        assert (
            caption_of(slot(), Phase.PAUSED, 0, original=True, following="#3") == "camera 1 · paused · original · following #3"
        )

    @pytest.mark.parametrize(
        ("facts", "phase", "pictures", "message"),
        [
            ({}, Phase.PLAYING, True, None),
            ({}, Phase.PAUSED, True, None),
            ({}, Phase.PLAYING, False, Message("Waiting for the first picture…", "camera 1")),
            ({"connection": SourceState.CONNECTING}, Phase.OPENING, False, Message("Connecting…", "camera 1")),
            (
                {"connection": SourceState.RECONNECTING, "reason": "refused"},
                Phase.PLAYING,
                False,
                Message("Connecting…", "refused"),
            ),
            ({"connection": SourceState.CONNECTING, "live": False}, Phase.OPENING, False, Message("Opening…", "camera 1")),
            (
                {"connection": SourceState.RECONNECTING, "reason": "refused"},
                Phase.PLAYING,
                True,
                Message("Connection lost", "refused"),
            ),
            ({"connection": SourceState.ENDED}, Phase.ENDED, True, Message("Ended", "", passing=True)),
            ({"connection": SourceState.ENDED}, Phase.PLAYING, True, Message("Ended", "", passing=True)),
            ({"connection": SourceState.ENDED, "reason": "stopped"}, Phase.ENDED, True, Message("Stopped", "", passing=True)),
            ({"connection": SourceState.ENDED, "reason": "stopped"}, Phase.PLAYING, True, None),  # between two runs
            ({"connection": SourceState.ENDED, "kind": SourceKind.IMAGE, "live": False}, Phase.ENDED, True, None),
            (
                {"connection": SourceState.ENDED, "reason": "no such file"},
                Phase.FAILED,
                False,
                Message("Stopped by an error", "no such file"),
            ),
        ],
    )
    def test_a_message_tells_why_there_is_no_news(self, facts, phase, pictures, message):
        assert message_of(slot(**facts), phase, pictures=pictures) == message

    def test_a_lost_connection_is_written_over_the_last_picture_until_it_is_back(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        plain = seen(view)
        set_stage(bridge, slot(connection=SourceState.RECONNECTING, reason="no route to host"))
        lost = seen(view)
        assert (lost[200:280, 200:440] != plain[200:280, 200:440]).any()
        set_stage(bridge, slot())
        assert np.array_equal(seen(view), plain)

    def test_the_message_at_the_end_makes_room_for_who_looks_at_the_last_picture(self, bridge, view):
        shown(bridge, view, result(PLAIN))
        set_stage(bridge, slot(connection=SourceState.ENDED), phase=Phase.ENDED)
        assert (seen(view)[225:255, 300:340] != 90).any()
        QTest.mouseMove(view, QPoint(100, 300))
        assert (seen(view)[225:255, 300:340] == 90).all()
