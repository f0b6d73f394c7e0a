import threading
import time

import cv2
import numpy as np
import pytest

from framehook.inference.errors import FrameError, OptionError, SeekError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import TestSource, frame_number, open_source


@pytest.mark.parametrize("size", [(64, 48), (160, 96), (640, 480), (1921, 1081), (97, 300)])
def test_every_number_is_in_the_pixels(size):
    with TestSource(size=size, frames=70) as scene:
        frames = list(scene)
    assert [frame_number(frame.image) for frame in frames] == list(range(70))
    assert [frame.index for frame in frames] == list(range(70))
    assert {frame.size for frame in frames} == {size}


def test_large_numbers_survive_compression():
    with TestSource(frames=4_000_000_000) as scene:
        scene.seek(3_123_456_789 / 30)
        frame = scene.read()
    assert frame_number(frame.image) == 3_123_456_789
    packed = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    assert frame_number(cv2.imdecode(packed, cv2.IMREAD_COLOR)) == 3_123_456_789


def test_the_scene_moves_and_is_the_same_every_time():
    one, other = TestSource(frames=3), TestSource(frames=3)
    frames = [np.array(frame.image) for frame in one]
    for frame, again in zip(frames, other, strict=True):
        np.testing.assert_array_equal(frame, again.image)
    below = slice(40, None)
    assert (frames[0][below] != frames[1][below]).any()


def test_times_are_exact_and_seek_finds_them():
    with TestSource(fps=29.97, frames=1000) as scene:
        frames = [scene.read() for _ in range(50)]
        assert [frame.pts for frame in frames] == [number / 29.97 for number in range(50)]
        for number in (0, 1, 7, 49):
            scene.seek(frames[number].pts)
            assert frame_number(scene.read().image) == number
        scene.seek(1e9)
        frame = scene.read()
        assert (frame_number(frame.image), frame.index, frame.segment) == (999, 54, 5)
        assert scene.read() is None
        scene.seek(-1)
        assert scene.skip() is scene.info
        assert frame_number(scene.read().image) == 1


def test_a_frame_is_cheap():
    with TestSource(frames=200) as scene:
        begin = time.thread_time()
        for _ in scene:
            pass
        assert (time.thread_time() - begin) / 200 < 0.003  # 0.3 ms here; slow machines have to pass, too


@pytest.mark.parametrize(
    ("spec", "size", "fps", "frames", "live"),
    [
        ("testsrc", (640, 480), 30, None, False),
        ("testsrc:320x240", (320, 240), 30, None, False),
        ("testsrc:320x240@12.5", (320, 240), 12.5, None, False),
        ("testsrc@15:live", (640, 480), 15, None, True),
        ("testsrc:320x240@15:100", (320, 240), 15, 100, False),
        ("testsrc:100:live", (640, 480), 30, 100, True),
        ("testsrc:live", (640, 480), 30, None, True),
        ("TESTSRC:320X240:7", (320, 240), 30, 7, False),
    ],
)
def test_the_grammar(spec, size, fps, frames, live):
    scene = open_source(spec)
    info = scene.info
    assert (info.size, info.fps, info.frame_count, info.live) == (size, fps, frames, live)
    assert (info.kind, scene.endless, scene.seekable) == (SourceKind.TEST, frames is None, frames is not None and not live)
    assert open_source(info.path).info.size == size


@pytest.mark.parametrize("spec", ["testsrc:", "testsrc:big", "testsrc:640x", "testsrc:live:5", "testsrc:30@640x480"])
def test_other_forms_are_refused_with_the_grammar(spec):
    with pytest.raises(OptionError) as caught:
        open_source(spec)
    assert str(caught.value) == (
        f"'{spec}' is no test scene; write testsrc[:WIDTHxHEIGHT][@FPS][:FRAMES][:live], "
        "such as testsrc:640x480@30:100 or testsrc@30:live"
    )


@pytest.mark.parametrize("spec", ["testsrc:10x10", "testsrc:9000x9000", "testsrc@0", "testsrc:0"])
def test_values_out_of_range_are_refused(spec):
    with pytest.raises(OptionError, match=r"^a test scene of .* is not possible; "):
        open_source(spec)


def test_options_stand_in_where_the_spec_is_silent():
    info = open_source("testsrc", width=320, height=200, fps=10).info
    assert (info.size, info.fps) == ((320, 200), 10)
    assert open_source("testsrc:64x48@5", width=320, height=200, fps=10).info.size == (64, 48)
    with pytest.raises(OptionError, match="width and height together"):
        open_source("testsrc", width=320)


def test_live_frames_come_at_their_rate():
    with TestSource(size=(64, 48), fps=100, frames=21, live=True) as scene:
        frames = list(scene)
    lasted = frames[-1].captured_at - frames[0].captured_at
    assert lasted >= 0.19
    assert np.median(np.diff([frame.captured_at for frame in frames])) < 0.045  # one or the other may be late
    lags = [frame.captured_at - frame.pts for frame in frames]
    assert np.median(lags) - min(lags) < 0.05


def test_a_late_reader_gets_no_burst():
    with TestSource(size=(64, 48), fps=50, live=True) as scene:
        begin = time.monotonic()
        scene.read()
        time.sleep(0.2)
        frames = [scene.read() for _ in range(4)]
    assert [frame_number(frame.image) for frame in frames] == [1, 2, 3, 4]
    assert 0.1 < frames[0].pts <= frames[0].captured_at - begin
    assert np.diff([frame.pts for frame in frames]).min() > 0.019
    assert all(frame.captured_at - begin >= frame.pts for frame in frames)  # none comes before it is due


def test_interrupt_ends_a_wait_at_once():
    scene = TestSource(size=(64, 48), fps=0.01, live=True)
    scene.read()
    timer = threading.Timer(0.1, scene.interrupt)
    timer.start()
    begin = time.monotonic()
    assert scene.read() is None
    assert time.monotonic() - begin < 30  # the next frame is a hundred seconds away
    timer.join()
    scene.close()
    scene.close()


def test_endless_and_live_scenes_cannot_seek():
    for scene in (TestSource(), TestSource(frames=5, live=True)):
        with pytest.raises(SeekError, match="cannot seek; a test scene with a number of frames that is not live can"):
            scene.seek(0)


def test_a_picture_too_small_to_carry_a_number():
    with pytest.raises(FrameError, match="of no test scene"):
        frame_number(np.zeros((10, 10, 3), np.uint8))
