"""The renderer: what a view gets to paint, which results it leaves out, and how that is counted."""

import logging
import threading
import time

import cv2
import numpy as np
import pytest

from framehook.app.session.buffers import POISON
from framehook.app.session.picture import Viewport
from framehook.app.session.renderer import Renderer
from framehook.inference.boxes import Boxes
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.result import Result

FIT = Viewport((64, 48))
WAIT = 60.0


def result_of(pixels, index=0, *, age=0.0):
    source = SourceInfo(id="s", name="s", path="s", kind=SourceKind.ARRAY)
    frame = Frame.of(pixels, index=index, source=source, pts=None, captured_at=time.monotonic() - age)
    return Result(frame, Boxes.empty(pixels.shape[:2]), {})


def plain(value, index=0, *, size=(64, 48), age=0.0):
    return result_of(np.full((size[1], size[0], 3), value, np.uint8), index, age=age)


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


class Desk:
    """A renderer, and somebody who waits for its pictures."""

    def __init__(self):
        self.woken = threading.Semaphore(0)
        self.renderer = Renderer(self.woken.release, poison=True)

    def next(self):
        """The picture that comes next."""
        assert self.woken.acquire(timeout=WAIT), "no picture came"
        (picture,) = self.renderer.take()
        return picture

    def picture_of(self, result, viewport):
        self.renderer.look("a", viewport)
        self.renderer.show("a", result)
        return self.next()

    def nothing_comes(self):
        return not self.woken.acquire(timeout=0.05) and self.renderer.take() == []

    def counts(self, key=None):
        total, slots = self.renderer.figures()
        figures = total if key is None else slots[key]
        return figures.shown, figures.skipped


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.renderer.close()


class TestPictures:
    def test_a_frame_as_large_as_the_view_is_shown_pixel_by_pixel(self, desk):
        pixels = noise(160, 90)
        picture = desk.picture_of(result_of(pixels), Viewport((160, 90)))
        assert np.array_equal(picture.pixels[:, :, :3], pixels)
        assert (picture.pixels[:, :, 3] == 255).all()
        assert picture.pixels.flags.c_contiguous
        assert picture.at == (0, 0)
        assert picture.region == (0, 0, 160, 90)
        assert picture.scale == 1

    def test_a_frame_that_is_hardly_too_large_is_shrunk_by_cubic_interpolation(self, desk):
        pixels = noise(400, 200)
        picture = desk.picture_of(result_of(pixels), Viewport((380, 190)))
        cubic = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA), (380, 190), interpolation=cv2.INTER_CUBIC)
        assert np.array_equal(picture.pixels, cubic)

    def test_a_large_frame_is_shrunk_into_the_middle_of_the_view(self, desk):
        pixels = noise(400, 200)
        picture = desk.picture_of(result_of(pixels), Viewport((100, 90)))
        areas = cv2.resize(pixels, (100, 50), interpolation=cv2.INTER_AREA)
        assert np.abs(picture.pixels[:, :, :3].astype(int) - areas).max() <= 1
        assert picture.at == (0, 20)
        assert picture.region == (0, 0, 400, 200)
        assert picture.scale == 0.25

    def test_a_small_frame_is_enlarged_smoothly_however_large_the_view(self, desk):
        pixels = noise(32, 24)
        for factor in (2, 8):
            size = (32 * factor, 24 * factor)
            picture = desk.picture_of(result_of(pixels), Viewport(size))
            assert np.array_equal(picture.pixels[:, :, :3], cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR))

    def test_who_looks_closely_sees_the_pixels(self, desk):
        pixels = noise(80, 60)
        picture = desk.picture_of(result_of(pixels), Viewport((160, 120), zoom=4, centre=(0.5, 0.5)))
        assert picture.region == (30, 22.5, 20, 15)
        squares = np.repeat(np.repeat(pixels[22:38, 30:50], 8, axis=0), 8, axis=1)[4:124]
        assert np.array_equal(picture.pixels[:, :, :3], squares)

    def test_a_zoomed_frame_shows_the_part_that_was_asked_for(self, desk):
        pixels = noise(400, 200)
        picture = desk.picture_of(result_of(pixels), Viewport((200, 100), zoom=2, centre=(0.25, 0.75)))
        assert picture.region == (0, 100, 200, 100)
        assert np.array_equal(picture.pixels[:, :, :3], pixels[100:, :200])

    def test_what_is_seen_between_pixels_is_what_the_region_says(self, desk):
        # A ramp tells of each pixel where in the frame it comes from.
        ramp = np.repeat(np.repeat(np.arange(250, dtype=np.uint8)[None], 180, 0)[:, :, None], 3, 2)
        for zoom in (1.0, 1.37, 2.0, 3.1):
            for x in (0.0, 0.31, 0.5, 0.777, 1.0):
                picture = desk.picture_of(result_of(ramp), Viewport((333, 240), zoom=zoom, centre=(x, 0.5)))
                width = picture.pixels.shape[1]
                expected = picture.region.x + (np.arange(width) + 0.5) * picture.region.width / width - 0.5
                inner = (expected > 0) & (expected < 249)
                assert np.abs(picture.pixels[0, inner, 0] - expected[inner]).max() < 1
                desk.renderer.give_back(picture)

    def test_the_original_has_nothing_drawn_on_it(self, desk):
        result = plain(50)
        result.add_painter(lambda _result, canvas: canvas.fill(200))
        assert (desk.picture_of(result, FIT).pixels[:, :, 0] == 200).all()
        desk.renderer.look("a", Viewport((64, 48), original=True))
        assert (desk.next().pixels[:, :, 0] == 50).all()

    def test_a_new_viewport_shows_the_last_result_again(self, desk):
        first = desk.picture_of(plain(10), FIT)
        desk.renderer.look("a", Viewport((32, 24)))
        second = desk.next()
        assert second.result is first.result
        assert second.pixels.shape == (24, 32, 4)
        assert second.viewport == Viewport((32, 24))

    def test_the_same_viewport_again_renders_nothing(self, desk):
        desk.picture_of(plain(10), FIT)
        desk.renderer.look("a", Viewport((64, 48)))
        assert desk.nothing_comes()

    @pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
    def test_views_and_frames_of_any_size_are_served(self, desk, size):
        for frame in ((1, 1), (1, 300), (300, 1), (7, 5)):
            for zoom in (1.0, 5.0, 1e6):
                picture = desk.picture_of(plain(90, size=frame), Viewport(size, zoom=zoom, centre=(0.9, 0.1)))
                height, width = picture.pixels.shape[:2]
                assert 0 <= picture.at[0] <= picture.at[0] + width <= size[0]
                assert 0 <= picture.at[1] <= picture.at[1] + height <= size[1]
                assert (picture.pixels[:, :, :3] == 90).all()
                desk.renderer.give_back(picture)

    @pytest.mark.parametrize("viewport", [Viewport((0, 48)), Viewport((64, 48), zoom=float("nan")), None])
    def test_nothing_is_rendered_where_nothing_can_be_seen(self, desk, viewport):
        desk.renderer.look("a", viewport)
        desk.renderer.show("a", plain(1))
        assert desk.nothing_comes()

    def test_each_slot_has_its_own_picture(self, desk):
        for key, value in (("a", 10), ("b", 20), ("c", 30)):
            desk.renderer.look(key, FIT)
            desk.renderer.show(key, plain(value))
        shown = {}
        while len(shown) < 3:
            assert desk.woken.acquire(timeout=WAIT)
            shown.update({picture.key: int(picture.pixels[0, 0, 0]) for picture in desk.renderer.take()})
        assert shown == {"a": 10, "b": 20, "c": 30}

    def test_a_slot_that_never_rests_does_not_keep_the_others_waiting(self, desk):
        desk.renderer.look("busy", FIT)
        desk.renderer.look("quiet", FIT)
        desk.renderer.show("quiet", plain(1))
        for index in range(20):
            desk.renderer.show("busy", plain(2, index))
            assert desk.woken.acquire(timeout=WAIT)
            for picture in desk.renderer.take():
                if picture.key == "quiet":
                    return
                desk.renderer.give_back(picture)
        pytest.fail("the quiet slot was never rendered")


class TestBuffers:
    def test_a_picture_is_whole_until_it_is_given_back_and_poisoned_then(self, desk):
        held = desk.picture_of(plain(10), FIT)
        for value in range(11, 30):
            desk.renderer.show("a", plain(value))
            desk.renderer.give_back(desk.next())
            assert (held.pixels[:, :, :3] == 10).all()
        desk.renderer.give_back(held)
        assert (held.pixels == POISON).all()

    def test_a_picture_given_back_twice_does_not_spoil_the_next(self, desk):
        first = desk.picture_of(plain(10), FIT)
        desk.renderer.give_back(first)
        desk.renderer.show("a", plain(20))
        second = desk.next()
        desk.renderer.give_back(first)
        assert (second.pixels[:, :, :3] == 20).all()

    def test_pictures_that_are_held_outlive_their_slot_and_the_renderer(self, desk):
        picture = desk.picture_of(plain(10), FIT)
        desk.renderer.forget("a")
        desk.renderer.close()
        assert (picture.pixels[:, :, :3] == 10).all()
        desk.renderer.give_back(picture)


class TestCounting:
    def test_a_result_counts_as_shown_when_it_was_painted_and_only_once(self, desk):
        began = time.monotonic()
        picture = desk.picture_of(plain(10, age=1.0), FIT)
        assert desk.counts() == (0, 0)
        desk.renderer.painted(picture, 2.5)
        desk.renderer.painted(picture, 99.0)
        total, slots = desk.renderer.figures()
        assert total == slots["a"]
        assert (total.shown, total.paint_ms) == (1, 2.5)
        assert 1000 <= total.latency.p50 <= 1000 + (time.monotonic() - began) * 1e3

    def test_the_same_result_in_another_size_is_not_counted_again(self, desk):
        desk.renderer.painted(desk.picture_of(plain(10), FIT), 1.0)
        desk.renderer.look("a", Viewport((32, 24)))
        again = desk.next()
        desk.renderer.painted(again, 1.0)
        desk.renderer.give_back(again)
        assert desk.counts() == (1, 0)

    def test_a_result_whose_picture_was_replaced_by_one_of_another_size_is_not_skipped(self, desk):
        first = desk.picture_of(plain(10), FIT)
        desk.renderer.look("a", Viewport((32, 24)))
        second = desk.next()
        desk.renderer.give_back(first)
        desk.renderer.painted(second, 1.0)
        desk.renderer.give_back(second)
        assert desk.counts() == (1, 0)

    def test_a_picture_given_back_unpainted_counts_as_skipped(self, desk):
        desk.renderer.give_back(desk.picture_of(plain(10), FIT))
        assert desk.counts() == (0, 1)

    def test_nothing_piles_up_for_a_window_that_is_slow_and_it_gets_the_newest(self, desk):
        held = desk.picture_of(plain(0), FIT)
        for value in range(1, 201):
            desk.renderer.show("a", plain(value, value))
            assert sum(desk.counts()) >= value - 2
        desk.renderer.painted(held, 200.0)
        desk.renderer.give_back(held)
        pictures = 1
        while held.result.frame.index < 200:
            held = desk.next()
            pictures += 1
            desk.renderer.painted(held, 200.0)
            desk.renderer.give_back(held)
        assert pictures <= 3  # one was made when the first was taken, and then the newest
        assert desk.counts() == desk.counts("a") == (pictures, 201 - pictures)

    def test_every_result_that_is_looked_at_is_shown_or_skipped_in_the_end(self, desk):
        handed_in = 300
        desk.renderer.look("a", FIT)
        desk.renderer.look("b", FIT)

        def play():
            for index in range(handed_in):
                desk.renderer.show("ab"[index % 2], plain(index % 250, index))

        player = threading.Thread(target=play)
        player.start()
        held, deadline = {}, time.monotonic() + WAIT
        while sum(desk.counts()) < handed_in:
            assert time.monotonic() < deadline
            desk.woken.acquire(timeout=0.05)
            for picture in desk.renderer.take():
                desk.renderer.painted(picture, 1.0)
                if picture.key in held:
                    desk.renderer.give_back(held[picture.key])
                held[picture.key] = picture
        player.join()
        shown, skipped = desk.counts()
        assert shown + skipped == handed_in
        assert sum(desk.counts("a")) == sum(desk.counts("b")) == handed_in / 2
        assert {key: picture.result.frame.index for key, picture in held.items()} == {"a": 298, "b": 299}

    def test_what_nobody_looks_at_is_neither_rendered_nor_skipped(self, desk):
        drawn = []
        for index in range(20):
            result = plain(index, index, age=5.0)
            result.add_painter(lambda result, _canvas: drawn.append(result.frame.index))
            desk.renderer.show("a", result)
        assert desk.nothing_comes()
        assert desk.counts() == (0, 0)
        desk.renderer.look("a", FIT)
        desk.renderer.painted(desk.next(), 1.0)
        total, _ = desk.renderer.figures()
        assert (total.shown, total.skipped, total.latency) == (1, 0, None)
        assert drawn == [19]

    def test_what_was_under_way_when_everybody_looked_away_is_not_skipped(self, desk):
        taken = desk.picture_of(plain(1), FIT)
        for value in range(2, 5):
            desk.renderer.show("a", plain(value))
        skipped = desk.counts()
        desk.renderer.look("a", None)
        desk.renderer.give_back(taken)
        for value in range(5, 9):
            desk.renderer.show("a", plain(value))
        for picture in desk.renderer.take():
            desk.renderer.give_back(picture)
        assert desk.counts() == skipped

    def test_a_new_run_begins_its_figures_anew_and_what_is_shown_stands(self, desk):
        desk.renderer.begin(1)
        first = desk.picture_of(plain(1), FIT)
        desk.renderer.painted(first, 1.0)
        desk.renderer.show("a", plain(2))
        late = desk.next()
        desk.renderer.begin(2)
        assert desk.counts() == desk.counts("a") == (0, 0)
        assert (first.pixels[:, :, :3] == 1).all()
        desk.renderer.painted(late, 1.0)
        desk.renderer.give_back(late)
        assert desk.counts() == (0, 0)
        assert late.run == 1
        desk.renderer.show("a", plain(3))
        assert desk.next().run == 2


class TestLife:
    def test_the_last_result_can_be_asked_for_and_forgotten(self, desk):
        assert desk.renderer.last("a") is None
        result = plain(1)
        desk.renderer.show("a", result)
        assert desk.renderer.last("a") is result
        desk.renderer.forget("a")
        assert desk.renderer.last("a") is None
        assert desk.renderer.figures()[1] == {}

    def test_a_view_that_goes_after_its_slot_leaves_nothing_behind(self, desk):
        desk.picture_of(plain(1), FIT)
        desk.renderer.forget("a")
        desk.renderer.look("a", Viewport((10, 10)))
        desk.renderer.look("a", None)
        assert desk.renderer.figures()[1] == {}

    def test_a_callback_that_cannot_draw_is_named_once_and_the_next_frames_are_shown(self, desk, caplog):
        def broken(_result, _canvas):
            raise ValueError("no ink")

        desk.renderer.look("a", FIT)
        desk.renderer.look("b", FIT)
        with caplog.at_level(logging.WARNING, logger="framehook"):
            for index in range(3):
                result = plain(1, index)
                result.add_painter(broken)
                desk.renderer.show("a", result)
                desk.renderer.show("b", plain(2))
                desk.renderer.give_back(desk.next())
        assert [record.getMessage() for record in caplog.records] == ["s: frame 0 cannot be shown: ValueError: no ink"]
        assert desk.counts("a") == (0, 3)
        desk.renderer.show("a", plain(7))
        assert (desk.next().pixels[:, :, 0] == 7).all()

    def test_closing_ends_the_thread_and_what_comes_late_is_ignored(self):
        desk = Desk()
        desk.renderer.look("a", FIT)
        desk.renderer.close()
        assert "framehook-render" not in {thread.name for thread in threading.enumerate()}
        desk.renderer.show("a", plain(1))
        desk.renderer.look("a", Viewport((1, 1)))
        desk.renderer.close()
        assert desk.renderer.take() == []
        assert desk.renderer.last("a") is None
