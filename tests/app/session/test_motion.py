import itertools
import time

import numpy as np
import pytest

from framehook.app.session.motion import Motion, TrackFacts
from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callbacks
from framehook.inference.sources import open_source

from ...inference.brightness import picture, start  # noqa: TID252 - the same scenery as the tests of runs


def at(*rows):
    """Boxes of 10 x 20 pixels around (id, x, y)."""
    edges = [(x - 5, y - 10, x + 5, y + 10) for _, x, y in rows]
    numbers = [number for number, _, _ in rows]
    return Boxes(np.reshape(edges, (-1, 4)), np.full(len(rows), 0.9), np.zeros(len(rows)), numbers, orig_shape=(240, 320))


def facts(script, source="testsrc:320x240@30:40", motion=None, **options):
    """What is told of the tracks of each frame; `script(frame)` gives its boxes."""
    callbacks = Callbacks()

    def write(predictor):
        for result in predictor.frame_results:
            result.boxes = script(result.frame)

    callbacks.add("on_predict_postprocess_end", write, order=-100)  # as tracking does
    callbacks.add(motion or Motion())
    with start(source, callbacks=callbacks, **options) as run:
        for result in run:
            yield result.data["motion"]


def test_speed_is_pixels_per_second_of_media_time_from_the_second_frame_on():
    first, second, *_, last = facts(lambda frame: at((3, 20 + 3 * frame.index, 30 + 4 * frame.index)))
    assert first == {3: TrackFacts(0.0, None, 1)}
    assert second == {3: TrackFacts(pytest.approx(1 / 30), pytest.approx(150), 2)}
    assert last == {3: TrackFacts(pytest.approx(39 / 30), pytest.approx(150), 40)}


@pytest.mark.parametrize("rate", [10, 30, 60])
def test_a_change_of_speed_shows_to_nine_tenths_after_half_a_second(rate):
    def script(frame):
        return at((0, 60 * max(0, frame.index / rate - 2), 50))

    speeds = [each[0].speed for each in facts(script, f"testsrc:320x240@{rate}:{4 * rate}")]
    assert speeds[2 * rate] == pytest.approx(0)
    assert speeds[2 * rate + rate // 2] > 0.85 * 60
    assert all(speed < 1.05 * 60 for speed in speeds[1:])
    assert speeds[-1] == pytest.approx(60, rel=0.01)


def test_a_box_that_trembles_by_a_pixel_hardly_moves():
    shaken = np.random.default_rng(1).normal(0, 1, (300, 2))
    speeds = [each[0].speed for each in facts(lambda frame: at((0, *shaken[frame.index])), "testsrc:320x240@30:300")]
    assert np.mean(speeds[30:]) < 4  # from frame to frame it moves by 53 pixels a second


def test_dropped_frames_make_no_track_faster():
    speeds = [each[0].speed for each in facts(lambda frame: at((0, 2 * frame.index, 50)), vid_stride=3)]
    assert len(speeds) == 14
    assert speeds[1:] == pytest.approx([60] * 13)


def test_tracks_are_told_apart_and_boxes_without_a_track_are_left_out():
    def script(frame):
        there = [(0, frame.index, 50), (-1, 100, 100), (7, 200 - 2 * frame.index, 60)]
        return at(*(there if frame.index % 2 else there[1:]))

    *_, last = facts(script)
    assert set(last) == {0, 7}
    assert last[0] == TrackFacts(pytest.approx(38 / 30), pytest.approx(30), 20)
    assert last[7] == TrackFacts(pytest.approx(39 / 30), pytest.approx(60), 40)


def test_frames_without_tracks_have_no_facts():
    assert list(facts(lambda frame: at((0, 1, 1)).with_ids(None), "testsrc:320x240@30:2")) == [{}, {}]
    assert list(facts(lambda frame: at(), "testsrc:320x240@30:2")) == [{}, {}]


def test_all_begins_anew_after_a_seek():
    callbacks = Callbacks()
    callbacks.add(
        "on_predict_postprocess_end",
        lambda predictor: setattr(predictor.frame_results[0], "boxes", at((0, 5 * predictor.frame.index, 50))),
        order=-100,
    )
    callbacks.add(Motion())
    with start("testsrc:320x240@30:90", callbacks=callbacks) as run:
        before = [result.data["motion"][0] for result in itertools.islice(run, 10)]
        run.seek(2.0)
        after = [result.data["motion"][0] for result in run if result.frame.segment]
    assert before[-1].frames == 10
    assert after[0] == TrackFacts(0.0, None, 1)
    assert after[-1].age == pytest.approx((len(after) - 1) / 30)


def test_sources_and_runs_have_tracks_of_their_own():
    motion = Motion()
    for _ in range(2):
        sources = [open_source("testsrc:320x240@30:20"), open_source("testsrc:320x240@10:20")]
        told = list(facts(lambda frame: at((0, 3 * frame.index, 50)), sources, motion))
        speeds = sorted(round(each[0].speed) for each in told if each[0].frames == 20)
        assert speeds == [30, 90]


def test_live_sources_go_by_the_time_of_capture():
    began = []

    def script(frame):
        began.append(frame.captured_at)
        time.sleep(0.02 * (frame.index % 3))  # frames are late, and some are overwritten
        return at((0, 100 * (frame.captured_at - began[0]), 50))

    last = next(itertools.islice(facts(script, "testsrc:320x240@60:live"), 14, None))
    assert last[0].speed == pytest.approx(100, rel=0.01)
    assert last[0].age == pytest.approx(began[-1] - began[0])


def test_pictures_have_no_times_and_so_no_speed():
    *_, last = facts(lambda frame: at((0, 3 * frame.index, 50)), [picture(9), picture(9), picture(9)])
    assert last == {0: TrackFacts(0.0, None, 3)}
