import numpy as np
import pytest

from framehook.inference.callbacks.clock import RecordingClock, rate_of
from framehook.inference.frame import Frame, SourceInfo, SourceKind

PIXELS = np.zeros((48, 64, 3), np.uint8)


def frame(pts=None, at=0.0, *, live=False, segment=0, count=None, fps=30.0, kind=SourceKind.VIDEO):
    source = SourceInfo("door", "door", "door", kind, live=live, fps=fps, frame_count=count)
    return Frame.of(PIXELS, index=0, source=source, pts=pts, captured_at=at, segment=segment)


def times(clock, frames):
    return pytest.approx([clock.seconds(each) for each in frames])


def test_files_have_their_media_time_from_zero():
    assert times(RecordingClock(30), [frame(3 + pts) for pts in (0, 0.1, 0.5, 2.5)]) == [0, 0.1, 0.5, 2.5]


def test_a_seek_in_a_file_leaves_no_gap_and_a_live_source_that_came_back_does():
    forth = [frame(0.0), frame(0.1), frame(50.0, segment=1), frame(50.1, segment=1), frame(2.0, segment=2)]
    assert times(RecordingClock(30), forth) == [0, 0.1, 0.2, 0.3, 0.4]
    live = [frame(at=7.0, live=True), frame(at=7.1, live=True), frame(at=57.1, live=True, segment=1)]
    assert times(RecordingClock(30), live) == [0, 0.1, 50.1]


def test_media_time_of_a_live_source_counts_for_nothing():
    assert times(RecordingClock(30), [frame(100.0, at=5.0, live=True), frame(3.0, at=5.5, live=True)]) == [0, 0.5]


def test_pictures_of_a_list_are_25_a_second_and_of_an_endless_iterable_as_they_come():
    arrays = {"kind": SourceKind.ARRAY, "fps": None}
    assert times(RecordingClock(25), [frame(at=at, count=3, **arrays) for at in (1.0, 1.0, 9.0)]) == [0, 0.04, 0.08]
    assert times(RecordingClock(25), [frame(at=at, **arrays) for at in (1.0, 1.3, 1.4)]) == [0, 0.3, 0.4]


def test_time_never_runs_backwards():
    clock = RecordingClock(10)
    assert times(clock, [frame(5.0), frame(5.3), frame(1.0), frame(1.2)]) == [0, 0.3, 0.6, 0.8]


def test_the_last_frame_of_a_file_lasts_as_long_as_the_one_before():
    clock = RecordingClock(30)
    assert clock.end(100.0) == 0
    clock.seconds(frame(0.0))
    assert clock.end(100.0) == pytest.approx(1 / 30)
    clock.seconds(frame(0.2))
    assert clock.end(100.0) == pytest.approx(0.4)


def test_the_last_frame_of_a_live_source_stands_until_its_end():
    clock = RecordingClock(30)
    for at in (7.0, 7.5, 13.0):
        clock.seconds(frame(at=at, live=True))
    assert clock.end(17.0) == pytest.approx(10.0)
    assert clock.end(1.0) == pytest.approx(6 + 1 / 30)  # the source reckons with another clock, which is ahead


@pytest.mark.parametrize(
    ("fps", "stride", "kind", "rate"),
    [
        (24.0, 1, SourceKind.VIDEO, 24),
        (30.0, 3, SourceKind.VIDEO, 10),
        (None, 1, SourceKind.CAMERA, 30),
        (float("inf"), 1, SourceKind.STREAM, 30),
        (-1.0, 1, SourceKind.STREAM, 30),
        (90_000.0, 1, SourceKind.STREAM, 1000),
        (None, 1, SourceKind.IMAGE, 25),
    ],
)
def test_an_encoder_gets_a_rate_that_it_can_reckon_with(fps, stride, kind, rate):
    assert rate_of(frame(fps=fps, kind=kind), stride) == rate
