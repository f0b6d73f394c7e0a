import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from framehook.inference.callbacks import encoder
from framehook.inference.callbacks.recorder import Recorder
from framehook.inference.errors import CallbackError, OptionError, RecordingError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Source, frame_number

from ..scripted import PATIENCE, until  # noqa: TID252 - what the tests of runs wait with
from .footage import boxes, packets, seconds
from .scenes import play, start, walk


def read(path):
    """Every frame of a video: (seconds, picture)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [(float(frame.pts * stream.time_base), frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)]


def times(path):
    return [seconds for seconds, _ in read(path)]


def make_video(path, pts, *, size=(64, 48), rate=30):
    """A video whose frames are shown at these times, in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, milliseconds in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), number * 10, np.uint8), format="bgr24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Scripted(Source):
    """Frames as the test writes them down: (time, size) each."""

    def __init__(self, frames, *, live=False, kind=SourceKind.CAMERA):
        self.info = SourceInfo("scripted", "door: north/1", "scripted", kind, live=live, fps=30.0)
        self.frames = iter(enumerate(frames))

    def read(self):
        index, (seconds, size) = next(self.frames, (None, (None, None)))
        if index is None:
            return None
        pixels = np.full((size[1], size[0], 3), 40, np.uint8)
        return Frame.of(pixels, index=index, source=self.info, pts=None, captured_at=seconds)

    def close(self):
        self.frames = iter(())


def test_every_frame_of_a_file_is_recorded_at_its_own_time(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4")
    list(start("testsrc:320x240@25:60", callbacks=_with(recorder)))
    video = read(tmp_path / "out.mp4")
    assert [seconds for seconds, _ in video] == pytest.approx([number / 25 for number in range(60)], abs=1e-5)
    assert [frame_number(picture) for _, picture in video] == list(range(60))
    assert recorder.paths == [tmp_path / "out.mp4"]
    assert recorder.dropped == 0


def test_a_variable_frame_rate_is_kept(tmp_path):
    moments = [0, 40, 80, 500, 510, 1500, 1533]
    recorder = Recorder(tmp_path / "out.mp4")
    list(start(make_video(tmp_path / "in.mkv", moments), callbacks=_with(recorder)))
    assert times(tmp_path / "out.mp4") == pytest.approx([moment / 1000 for moment in moments], abs=1e-4)


def test_live_frames_are_recorded_at_the_times_of_their_capture(tmp_path):
    moments = [5.0, 5.02, 5.5, 7.0]
    source = Scripted([(moment, (64, 48)) for moment in moments], kind=SourceKind.STREAM)
    list(start(source, callbacks=_with(Recorder(tmp_path / "out.mp4"))))
    assert times(tmp_path / "out.mp4") == pytest.approx([moment - 5.0 for moment in moments], abs=1e-4)


def test_a_seek_leaves_no_gap(tmp_path):
    run = start("testsrc:320x240@25:100", callbacks=_with(Recorder(tmp_path / "out.mp4")))
    for _ in range(5):
        next(run)
    run.seek(2.0)
    list(run)
    video = read(tmp_path / "out.mp4")
    assert np.diff([seconds for seconds, _ in video]) == pytest.approx(1 / 25, abs=1e-4)
    numbers = [frame_number(picture) for _, picture in video]
    assert numbers[:5] == list(range(5))
    assert numbers[-50:] == list(range(50, 100))


def test_what_a_callback_draws_is_recorded_and_what_is_drawn_afterwards_is_not(tmp_path):
    def draw(predictor):
        for result in predictor.frame_results:
            result.canvas[60:120, 60:120] = (0, 0, 255)

    drawn, plain = Recorder(tmp_path / "drawn.mp4"), Recorder(tmp_path / "plain.mp4", original=True)
    callbacks = _with(drawn, plain)
    callbacks.add("on_predict_batch_end", draw)
    for result in start("testsrc:320x240@25:20", callbacks=callbacks):
        result.canvas[:] = 0
    for name, red in (("drawn", True), ("plain", False)):
        patch = read(tmp_path / f"{name}.mp4")[10][1][70:110, 70:110].mean((0, 1))
        assert (np.abs(patch - (0, 0, 255)).max() < 12) == red


def test_colours_survive(tmp_path):
    picture = np.zeros((96, 96, 3), np.uint8)
    picture[:] = (30, 200, 120)
    list(start([picture] * 5, callbacks=_with(Recorder(tmp_path / "out.mp4"))))
    assert np.abs(read(tmp_path / "out.mp4")[2][1].mean((0, 1)) - (30, 200, 120)).max() < 4
    assert times(tmp_path / "out.mp4") == pytest.approx([number / 25 for number in range(5)])


def test_odd_sizes_are_padded_and_a_change_of_size_begins_another_file(tmp_path):
    sizes = [(65, 49)] * 4 + [(80, 48)] * 3 + [(65, 49)] * 2
    recorder = Recorder(tmp_path / "out.mp4")
    list(start(Scripted([(index / 10, size) for index, size in enumerate(sizes)]), callbacks=_with(recorder)))
    assert [path.name for path in recorder.paths] == ["out.mp4", "out_2.mp4", "out_3.mp4"]
    parts = [read(path) for path in recorder.paths]
    assert [len(part) for part in parts] == [4, 3, 2]
    assert [part[0][1].shape[:2] for part in parts] == [(50, 66), (48, 80), (50, 66)]
    assert [part[0][0] for part in parts] == [0, 0, 0]


def test_files_are_named_after_their_sources_and_overwrite_nothing(tmp_path):
    clips, saved = tmp_path / "clips", tmp_path / "saved"
    (clips / "other").mkdir(parents=True)
    saved.mkdir()
    (saved / "a.mp4").write_bytes(b"mine")
    files = [make_video(clips / "a.mkv", [0, 40]), make_video(clips / "other" / "a.mp4", [0, 40, 80])]
    recorder = Recorder()
    run = start([str(file) for file in files], callbacks=_with(recorder))
    run.predictor.save_dir = saved
    list(run)
    assert [path.name for path in recorder.paths] == ["a_2.mp4", "a_3.mp4"]
    assert recorder.files_of(run.predictor) == recorder.paths
    assert [len(read(path)) for path in recorder.paths] == [2, 3]
    assert (saved / "a.mp4").read_bytes() == b"mine"


def test_a_name_that_is_no_file_name_is_made_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recorder = Recorder()
    run = start(Scripted([(0, (64, 48)), (1, (64, 48))]), callbacks=_with(recorder))
    list(run)
    assert [str(path) for path in recorder.paths] == [os.path.join("runs", "predict", "door_north_1.mp4")]
    assert str(run.predictor.save_dir) == os.path.join("runs", "predict")


def test_two_interleaved_runs_share_a_recorder(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4")
    first, second = (start(f"testsrc:{size}@25:20", callbacks=_with(recorder)) for size in ("320x240", "160x120"))
    for _ in zip(first, second, strict=True):
        pass
    assert [path.name for path in recorder.paths] == ["out.mp4", "out_2.mp4"]
    assert {read(path)[0][1].shape[:2] for path in recorder.paths} == {(240, 320), (120, 160)}
    assert [len(read(path)) for path in recorder.paths] == [20, 20]


def test_a_run_that_is_left_half_way_finishes_the_file(tmp_path):
    with start("testsrc:320x240@25:200", callbacks=_with(Recorder(tmp_path / "left.mp4"))) as run:
        for _ in range(17):
            next(run)
    assert len(times(tmp_path / "left.mp4")) == 17

    run = start("testsrc:320x240@25:200", callbacks=_with(Recorder(tmp_path / "dropped.mp4")))
    for _ in range(9):
        next(run)
    with pytest.warns(ResourceWarning, match="was dropped"):
        del run
    assert len(times(tmp_path / "dropped.mp4")) == 9


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_elsewhere_leaves_a_finished_file(tmp_path, error):
    def fail(predictor):
        if predictor.frame.index == 12:
            raise error("enough")

    callbacks = _with(Recorder(tmp_path / "out.mp4"))
    callbacks.add("on_predict_batch_end", fail)
    with pytest.raises((CallbackError, KeyboardInterrupt)):
        list(start("testsrc:320x240@25:50", callbacks=callbacks))
    assert len(times(tmp_path / "out.mp4")) == 12
    assert not [thread for thread in threading.enumerate() if "record" in thread.name]


def test_no_file_stays_open(tmp_path):
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else pytest.skip("no /proc")
    list(start("testsrc:320x240@25:20", callbacks=_with(Recorder(tmp_path / "out.mp4"))))
    assert len(os.listdir("/proc/self/fd")) <= len(before)


@pytest.fixture
def slow(monkeypatch):
    """An encoder that takes 20 ms a picture."""
    make = av.VideoFrame.from_ndarray
    slowly = type("Slow", (), {"from_ndarray": staticmethod(lambda *a, **k: (time.sleep(0.02), make(*a, **k))[1])})
    monkeypatch.setattr(encoder.av, "VideoFrame", slowly)


def test_a_live_source_never_waits_for_the_encoder_and_what_is_left_out_is_counted(tmp_path, monkeypatch):
    go_on, make = threading.Event(), av.VideoFrame.from_ndarray
    held = type("Held", (), {"from_ndarray": staticmethod(lambda *a, **k: (go_on.wait(2 * PATIENCE), make(*a, **k))[1])})
    monkeypatch.setattr(encoder.av, "VideoFrame", held)
    recorder = Recorder(tmp_path / "out.mp4")
    with start("testsrc:64x48@200:live", callbacks=_with(recorder)) as run:
        delivered = [next(run).frame for _ in range(40)]
        go_on.set()
        delivered += [next(run).frame for _ in range(20)]
    recorded = times(tmp_path / "out.mp4")
    assert recorder.dropped > 0
    assert recorder.dropped + len(recorded) == len(delivered)
    moments = np.array([frame.captured_at - delivered[0].captured_at for frame in delivered])
    assert max(np.abs(moments - seconds).min() for seconds in recorded) < 1e-4


@pytest.mark.usefixtures("slow")
def test_a_file_waits_for_the_encoder(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4")
    list(start("testsrc:64x48@25:30", callbacks=_with(recorder)))
    assert len(times(tmp_path / "out.mp4")) == 30
    assert recorder.dropped == 0


@contextlib.contextmanager
def room_for(size):
    """No file of this process can be made larger, so that a disk seems full there."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise():
    chance = np.random.default_rng(0)
    return (chance.integers(0, 255, (96, 96, 3), dtype=np.uint8) for _ in range(3000))


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_disk_that_is_full_from_the_start_leaves_no_file_and_promises_none(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    recorder = Recorder(path, crf=1)
    with room_for(1200), pytest.raises(CallbackError) as caught:
        list(start(noise(), callbacks=_with(recorder)))
    assert isinstance(caught.value.__cause__, RecordingError)
    assert str(caught.value.__cause__) == (f"{path} could not be written on: File too large; free some space or save elsewhere")
    assert recorder.paths == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_ends_the_run_and_what_was_written_can_be_played(tmp_path, suffix, capfd):
    path = tmp_path / f"out{suffix}"
    with room_for(1_000_000), pytest.raises(CallbackError) as caught:
        list(start(noise(), callbacks=_with(Recorder(path, crf=1))))
    assert isinstance(caught.value.__cause__, RecordingError)
    assert str(caught.value.__cause__) == (
        f"{path} could not be written on: File too large; what was written until then can be played; "
        "free some space or save elsewhere"
    )
    assert capfd.readouterr().err == ""
    assert len(read(path)) >= 25


def test_a_folder_removed_meanwhile_is_told_at_the_end(tmp_path):
    folder = tmp_path / "gone"
    run = start("testsrc:320x240@25:20", callbacks=_with(Recorder(folder / "out.mp4")))
    next(run)
    (folder / "out.mp4").unlink()
    folder.rmdir()
    with pytest.raises(CallbackError) as caught:
        list(run)
    assert isinstance(caught.value.__cause__, RecordingError)
    assert "it was removed while it was written" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told_at_the_first_frame(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CallbackError, match=r"the folder of .*out\.mp4 cannot be made: (Not a directory|File exists)"):
        list(start("testsrc:320x240@25:20", callbacks=_with(Recorder(tmp_path / "file" / "out.mp4"))))


def test_the_source_itself_is_not_recorded_over(tmp_path):
    path = make_video(tmp_path / "in.mp4", [0, 40, 80])
    before = path.read_bytes()
    with pytest.raises(CallbackError, match=r"in\.mp4 is the source itself; save to another file"):
        list(start(path, callbacks=_with(Recorder(path))))
    assert path.read_bytes() == before


def test_a_video_that_comes_later_in_a_list_is_not_recorded_over(tmp_path):
    first = make_video(tmp_path / "aa.mp4", [0, 40])
    second = make_video(tmp_path / "bb.mp4", [0, 40, 80])
    before = second.read_bytes()
    recorder = Recorder(second)
    assert len(list(start([str(first), str(second)], callbacks=_with(recorder)))) == 5
    assert second.read_bytes() == before
    assert [path.name for path in recorder.paths] == ["bb_2.mp4", "bb_3.mp4"]
    assert [len(read(path)) for path in recorder.paths] == [2, 3]

    with start([str(first), str(second)], callbacks=_with(recorder)) as run:  # it ends before the second is opened
        next(run)
    assert second.read_bytes() == before


def test_a_recording_of_a_former_run_is_overwritten(tmp_path):
    recorder = Recorder(tmp_path / "out.mp4")
    for count in (20, 10):
        list(start(f"testsrc:320x240@25:{count}", callbacks=_with(recorder)))
        assert len(read(tmp_path / "out.mp4")) == count
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_drawing_error_at_the_first_frame_leaves_no_file_and_what_was_there_before(tmp_path, suffix):
    def fail(result, canvas):
        raise ValueError("no brush")

    callbacks = _with(Recorder(tmp_path / f"out{suffix}"))
    callbacks.add("on_predict_batch_end", lambda predictor: predictor.frame_results[0].add_painter(fail))
    for before in (None, b"mine"):
        if before:
            (tmp_path / f"out{suffix}").write_bytes(before)
        with pytest.raises(CallbackError, match="no brush"):
            list(start("testsrc:320x240@25:5", callbacks=callbacks))
        assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_after_a_failure_was_told_pictures_are_not_even_converted(tmp_path, monkeypatch):
    writer = encoder.Encoder(tmp_path / "out.mp4", size=(64, 48), rate=Fraction(25), crf=23)
    picture = np.zeros((48, 64, 3), np.uint8)
    writer.add(picture, 0)
    (tmp_path / "out.mp4").unlink()
    writer.finish()
    with pytest.raises(RecordingError, match=r"it was removed while it was written$"):
        writer.close()
    monkeypatch.setattr(encoder, "_to_yuv", None)
    writer.add(picture, 1)


def test_without_x264_it_is_mpeg4_and_that_is_logged(tmp_path, monkeypatch, caplog):
    def codec(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(encoder.av.codec, "Codec", codec)
    encoder._codec.cache_clear()
    with caplog.at_level(logging.WARNING, "framehook"):
        list(start("testsrc:320x240@25:10", callbacks=_with(Recorder(tmp_path / "out.mp4"))))
    encoder._codec.cache_clear()
    assert "PyAV was built without x264" in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert times(tmp_path / "out.mp4") == pytest.approx([number / 25 for number in range(10)], abs=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recorder("out.xyz"), "'out.xyz' is no name for a video; pass a file that ends in .mp4, .m4v, .mov, .mkv"),
        (lambda: Recorder("folder"), "'folder' is no name for a video; pass a file that ends in .mp4, .m4v, .mov, .mkv"),
        (lambda: Recorder(crf=60), "crf=60 is out of range; pass a whole number from 0 (lossless) to 51"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_the_overlay_is_in_the_recording(tmp_path):
    from framehook.inference.callbacks.overlay import Overlay

    run = play(
        "testsrc:320x240@25:20", Overlay("boxes", colors=["#ff00ff"], line_width=6), Recorder(tmp_path / "out.mp4"), script=walk
    )
    list(run)
    picture = read(tmp_path / "out.mp4")[10][1].astype(int)
    left = 20 + 4 * 10
    assert np.abs(picture[80:120, left].mean(0) - (255, 0, 255)).max() < 60
    assert cv2.norm(picture[80:120, left + 15].mean(0), np.array([255.0, 0, 255])) > 120


def _with(*added):
    from framehook.inference.callbacks import Callbacks

    callbacks = Callbacks()
    for each in added:
        callbacks.add(each)
    return callbacks


KILLED = """
import sys
import numpy as np
from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks.recorder import Recorder
model = Model(FunctionBackend(lambda tensor: [np.zeros((1, 5, 1), np.float32)], output_shapes=[(1, 5, None)]), decoder="yolo")
model.add_callback(Recorder(sys.argv[1], original=True))
for result in model.predict(sys.argv[2], stream=True):
    print(result.frame.index, flush=True)
"""


def last_number(path):
    """The number of the last frame that can be played of a file that is being written, -1 before there is one."""
    time.sleep(0.05)
    try:
        return max((frame_number(picture) for _, picture in read(path)), default=-1)
    except (OSError, ValueError, IndexError):
        return -1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize(
    ("source", "rate", "suffix"),
    [("testsrc:320x240@25:live", 25, ".mp4"), ("testsrc:320x240@25", 25, ".mkv"), ("testsrc:320x240@25", 25, ".mov")],
)
def test_after_a_kill_all_but_the_last_two_seconds_can_be_played(tmp_path, source, rate, suffix):
    path = tmp_path / f"out{suffix}"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path), source], stdout=subprocess.PIPE, text=True)
    with process:
        while (last := int(process.stdout.readline())) < 2.9 * rate:  # just before a second is full
            pass
        if "live" in source:  # such a one does not wait for the encoder, which may not have had a turn for a while
            until(lambda: last_number(path) >= last - 2 * rate)
        process.kill()
        last = [last, *map(int, process.stdout.read().split())][-1] if "live" not in source else last
    assert process.returncode == -signal.SIGKILL
    numbers = [frame_number(picture) for _, picture in read(path)]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] >= last - 2 * rate
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov"])
def test_a_complete_file_begins_with_its_index_and_is_as_long_as_its_frames(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    list(start("testsrc:320x240@25:90", callbacks=_with(Recorder(path))))
    kinds = boxes(path)
    assert kinds.index("moov") < kinds.index("mdat")
    assert "moof" not in kinds
    assert seconds(path) == pytest.approx(90 / 25)
    assert [moment for moment, _, key, _ in packets(path) if key] == pytest.approx([0, 1, 2, 3])
    assert os.listdir(tmp_path) == [path.name]


class Stalling(Source):
    """A camera of 10 frames a second that says 30, falls silent, and ends after a last silence."""

    def __init__(self):
        self.info = SourceInfo("stalling", "stalling", "stalling", SourceKind.CAMERA, live=True, fps=30.0)
        self.waits = iter([0.1] * 3 + [0.7] + [0.1] * 3)
        self.index = 0

    def read(self):
        wait = next(self.waits, None)
        time.sleep(0.5 if wait is None else wait)
        if wait is None:
            self.ended_at = time.monotonic()
            return None
        self.index += 1
        pixels = np.full((48, 64, 3), self.index, np.uint8)
        return Frame.of(pixels, index=self.index, source=self.info, pts=None, captured_at=time.monotonic())

    def close(self):
        pass


def test_a_live_recording_is_as_long_as_it_took(tmp_path):
    source = Stalling()
    run = start(source, callbacks=_with(Recorder(tmp_path / "out.mp4")))
    first = next(run).frame.captured_at
    for _ in run:
        pass
    over = time.monotonic()
    assert source.ended_at - first > 1.7
    # Its end is noted by the thread that reads, right after the source has ended.
    assert source.ended_at - first - 0.01 <= seconds(tmp_path / "out.mp4") <= over - first + 0.01
