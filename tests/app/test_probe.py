"""What is told of cameras and screens, and of one source after a look at it."""

import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import cv2
import numpy as np
import pytest
from rich.console import Console

from framehook.app.arrivals import watch_arrivals
from framehook.app.cameras import Camera
from framehook.app.probe import coding_of, list_sources, print_sources, probe
from framehook.inference.errors import OptionError, SourceError, SourceNotFoundError, SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Screen, Source, TestSource, frame_number, open_source


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def look(capsys):
    """Look at a source; the report as JSON."""

    def call(source, **options):
        capsys.readouterr()
        assert probe(str(source), as_json=True, **options) == 0
        return json.loads(capsys.readouterr().out)

    return call


class Scripted(Source):
    """Live frames after given pauses in seconds, and then nothing, an end, or an error."""

    may_block = True

    def __init__(self, pauses, then=None, *, timed=True):
        self.info = SourceInfo("scripted#1", "scripted", "scripted", SourceKind.STREAM, live=True, fps=50.0)
        self._pauses = list(pauses)
        self._then = then
        self._timed = timed
        self._index = 0
        self._interrupted = threading.Event()

    def read(self):
        if self._index == len(self._pauses):
            if isinstance(self._then, BaseException):
                raise self._then
            if self._then != "end":
                assert self._interrupted.wait(30)
            return None
        time.sleep(self._pauses[self._index])
        self._index += 1
        pixels = np.zeros((48, 64, 3), np.uint8)
        pts = self._index / 50 if self._timed else None
        return Frame.of(pixels, index=self._index - 1, source=self.info, pts=pts, captured_at=time.monotonic())

    def interrupt(self):
        self._interrupted.set()

    def close(self):
        self._interrupted.set()


class Mjpeg(BaseHTTPRequestHandler):
    """Five pictures, one every 50 ms, for each who asks for `/live`."""

    def do_GET(self):
        if not self.path.startswith("/live"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with TestSource(size=(160, 96), frames=20) as scene:
            for frame in scene:
                data = cv2.imencode(".jpg", np.array(frame.image))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + data + b"\r\n")
                except OSError:
                    return
                time.sleep(0.05)

    def log_message(self, *_):
        pass


@pytest.fixture
def camera_url():
    """The address of a network camera, with a password."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://ada:secret@127.0.0.1:{server.server_port}/live?token=geheim"
    server.shutdown()
    thread.join()
    server.server_close()


# Looking ------------------------------------------------------------------------------------------------------------------


def test_a_file_is_told_with_its_coding_its_true_rate_and_all_of_its_frames(look, clip):
    told = look(clip)
    assert (told["name"], told["kind"], told["live"]) == ("scene.mp4", "video", False)
    assert told["coding"] == "mpeg4, yuv420p"
    assert (told["width"], told["height"]) == (320, 240)
    assert told["frames"] == told["frames_announced"] == told["time_stamps"] == 20
    assert told["fps_nominal"] == pytest.approx(20)
    assert told["fps_by_time_stamps"] == pytest.approx(20)
    assert told["time_stamp_steps_ms"] == pytest.approx({"p50": 50, "p95": 50, "longest": 50})
    assert told["first_frame_after"] > 0
    assert (told["ended"], told["interrupted"], told["error"]) == (True, False, None)


def test_something_live_is_looked_at_for_as_long_as_was_asked_for(look):
    told = look("testsrc:64x48@50:live", seconds=2)
    assert (told["kind"], told["live"], told["coding"]) == ("test", True, None)
    assert told["fps_nominal"] == 50
    assert 2 <= told["frames"] <= 140
    assert told["fps_measured"] == pytest.approx((told["frames"] - 1) / told["seconds"], rel=0.2)
    assert 0 < told["gaps_ms"]["p50"] <= told["gaps_ms"]["p95"] <= told["gaps_ms"]["longest"]
    assert not told["ended"]


def test_a_long_file_is_not_read_to_its_end(look):
    told = look("testsrc:64x48", seconds=0.5)
    assert told["frames"] > 1
    assert not told["ended"]


def test_a_network_camera_is_told_without_its_password(camera_url, capsys):
    assert probe(camera_url, seconds=10) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].endswith(": a network stream, live")
    assert "160x96, mjpeg, yuv" in told.out
    for secret in ("ada", "secret", "geheim"):
        assert secret not in told.out + told.err


def test_who_does_not_answer_is_an_error_without_its_password(camera_url, capsys):
    with pytest.raises(SourceError) as failure:
        probe(camera_url.replace("/live", "/nowhere"))
    assert not failure.value.wrong_use
    for secret in ("ada", "secret", "geheim"):
        assert secret not in str(failure.value)
    assert capsys.readouterr().out == ""


def test_of_a_folder_of_pictures_all_are_counted_and_none_is_saved(look, tmp_path):
    with TestSource(size=(64, 48), frames=3) as scene:
        for number, frame in enumerate(scene):
            cv2.imwrite(str(tmp_path / f"{number}.png"), np.array(frame.image))
    told = look(tmp_path)
    assert (told["frames"], told["time_stamps"], told["picture"]) == (3, 0, None)


def test_wrong_use_is_refused(tmp_path):
    for wrong in ({"seconds": 0}, {"seconds": float("nan")}, {"picture": "first.mp4"}):
        with pytest.raises(OptionError):
            probe("testsrc:64x48:2", **wrong)
    with pytest.raises(SourceNotFoundError):
        probe("nowhere.mp4")
    assert list(tmp_path.iterdir()) == []


# What comes, and what does not ---------------------------------------------------------------------------------------------


def test_a_silence_at_the_end_is_a_gap_and_lowers_the_rate():
    arrivals = watch_arrivals(lambda: Scripted([0, 0.01, 0.01, 0.01]), 2.0)
    assert arrivals.frames == 4
    assert not arrivals.ended
    assert arrivals.gaps.longest > 500
    assert arrivals.fps < 10


def test_an_end_is_no_gap():
    arrivals = watch_arrivals(lambda: Scripted([0, 0.01, 0.01], "end"), 30)
    assert arrivals.ended
    assert arrivals.frames == 3
    assert arrivals.elapsed < 30


def test_what_came_before_an_error_is_kept():
    failure = SourceUnavailableError("the cable is cut")
    arrivals = watch_arrivals(lambda: Scripted([0, 0.01], failure), 30)
    assert arrivals.frames == 2
    assert arrivals.error is failure
    assert not arrivals.ended


def test_without_a_first_frame_there_is_nothing_to_tell():
    assert watch_arrivals(lambda: Scripted([], "end"), 30) is None
    with pytest.raises(SourceUnavailableError):
        watch_arrivals(lambda: Scripted([], SourceUnavailableError("mute")), 30)


def test_frames_without_time_stamps_are_told_apart():
    arrivals = watch_arrivals(lambda: Scripted([0, 0, 0], "end", timed=False), 30)
    assert (arrivals.timed, arrivals.media_fps, arrivals.steps) == (0, None, None)


LOOKS = """
import sys
from framehook.app.probe import probe
from framehook.inference.sources import TestSource

class Telling(TestSource):
    def read(self):
        print("reading", file=sys.stderr, flush=True)
        return super().read()

sys.exit(probe(Telling(size=(64, 48), live=True), seconds=600, picture="a.jpg"))
"""


def test_ctrl_c_ends_it_quietly_with_what_was_measured(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", LOOKS], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert [process.stderr.readline() for _ in range(3)] == ["reading\n"] * 3
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 0
    assert err.replace("reading\n", "") == ""
    assert "ended by Ctrl-C" in out
    assert (tmp_path / "a.jpg").is_file()


# The picture ----------------------------------------------------------------------------------------------------------------


def test_the_first_frame_is_saved_under_the_name_of_the_source_and_nothing_is_overwritten(look, clip, tmp_path):
    first, second = look(clip), look(clip)
    assert (first["picture"], second["picture"]) == ("scene.jpg", "scene_2.jpg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.jpg", "scene_2.jpg"]
    assert frame_number(cv2.imread("scene.jpg")) == 0


def test_the_picture_may_have_a_name_or_be_left_out(look, tmp_path):
    (tmp_path / "mine.jpg").write_text("something else")
    assert look("testsrc:64x48:2", picture="none")["picture"] is None
    assert look("testsrc:64x48:2", picture="mine.jpg")["picture"] == "mine_2.jpg"
    assert (tmp_path / "mine.jpg").read_text() == "something else"
    assert cv2.imread("mine_2.jpg").shape == (48, 64, 3)


def test_lines_are_short_and_say_where_the_picture_is(clip, capsys):
    assert probe(str(clip)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "scene.mp4: a video file"
    assert "  saved        scene.jpg" in lines
    assert all(len(line) <= 80 for line in lines)


# What there is --------------------------------------------------------------------------------------------------------------


def test_what_is_found_is_listed_with_how_to_use_it():
    file = StringIO()
    print_sources(
        Console(file=file, width=80, soft_wrap=True),
        [Camera(0, "/dev/video0", "HD Webcam"), Camera(2, "/dev/video2", allowed=False)],
        [Screen(1, (1920, 1080), (0, 0), "HDMI-1")],
        no_screens="none",
        no_cameras="none",
        command="framehook",
    )
    lines = file.getvalue().splitlines()
    assert "framehook track 0" in next(line for line in lines if "HD Webcam" in line)
    assert "cannot be used" in next(line for line in lines if "/dev/video2" in line)
    assert "1920x1080, HDMI-1" in next(line for line in lines if "framehook track screen:1" in line)
    assert lines[-1].endswith("framehook sources SOURCE")
    assert all(len(line) <= 80 for line in lines)


def test_the_list_can_be_read_by_programs(capsys):
    assert list_sources(as_json=True) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"cameras", "screens"}
    assert list_sources() == 0
    assert capsys.readouterr().out.startswith("Cameras:\n")


def test_the_coding_of_a_camera_is_its_four_letters(clip):
    """A film stands in for the camera: OpenCV tells the letters of both alike."""
    source = SourceInfo("camera#1", "camera", str(clip), SourceKind.CAMERA, live=True)
    assert coding_of(str(clip), source) in ("mp4v", "FMP4")
    with open_source("testsrc:64x48:1") as scene:
        assert coding_of("testsrc", scene.info) is None
