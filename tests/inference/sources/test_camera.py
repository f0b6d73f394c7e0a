import logging
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from framehook.inference.connection import SourceState
from framehook.inference.errors import SourceUnavailableError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import open_source
from framehook.inference.sources.camera import CameraSource, open_camera, quiet_opencv

from ..scripted import PATIENCE, until  # noqa: TID252 - what the tests of runs wait with


class FakeCapture:
    """A camera of 640 x 480 at most."""

    def __init__(self, frames=3, opens=True):
        self.values = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}
        self.left = frames
        self.opens = opens
        self.released = 0
        self.retrieved = 0

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return self.opens

    def get(self, prop):
        return self.values.get(prop, 0.0)

    def set(self, prop, value):
        self.values[prop] = min(value, self.values.get(prop, value))
        return True

    def grab(self):
        self.left -= 1
        time.sleep(0.01)
        return self.left >= 0

    def retrieve(self):
        self.retrieved += 1
        return True, np.full((480, 640, 3), self.retrieved, np.uint8)

    def release(self):
        self.released += 1


needs_no_camera = pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="this machine has a camera")


@needs_no_camera
@pytest.mark.parametrize("spec", [0, "0", "/dev/video0", Path("/dev/video0")])
def test_a_camera_that_is_not_there_is_one_line_and_no_noise(spec, capfd):
    if sys.platform != "linux":
        pytest.skip("the hint is that of Linux")
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(SourceUnavailableError) as caught:
        open_source(spec)
    assert str(caught.value) == ("camera 0 cannot be opened; no camera is connected to this computer (there is no /dev/video*)")
    assert capfd.readouterr() == ("", "")
    assert cv2.utils.logging.getLogLevel() == level


def test_frames_count_and_carry_the_time_of_their_capture():
    capture = FakeCapture()
    before = time.monotonic()
    with CameraSource(0, open_capture=lambda _: capture) as camera:
        first = camera.read()
        assert camera.skip() is camera.info
        third = camera.read()
    assert capture.retrieved == 2  # the skipped one was not converted
    assert (first.index, third.index) == (0, 2)
    assert (first.pts, third.pts) == (0.0, pytest.approx(third.captured_at - first.captured_at))
    assert before < first.captured_at < third.captured_at < time.monotonic()


def test_what_is_known_of_a_camera():
    asked = []
    camera = CameraSource("2", open_capture=lambda device: asked.append(device) or FakeCapture())
    info = camera.info
    assert asked == [2]
    assert (info.name, info.kind, info.live, info.size, info.fps) == ("camera 2", SourceKind.CAMERA, True, (640, 480), 30.0)
    assert camera.endless
    assert not camera.seekable


def test_a_size_it_cannot_give_is_logged(caplog):
    with caplog.at_level(logging.WARNING, "framehook"):
        camera = CameraSource(0, width=1920, height=480, fps=15, open_capture=lambda _: FakeCapture())
    assert [record.getMessage() for record in caplog.records] == ["camera 0 gives width 640 instead of 1920"]
    assert (camera.info.size, camera.info.fps) == ((640, 480), 15)


def test_a_camera_that_is_pulled_out_fails():
    with CameraSource(0, open_capture=lambda _: FakeCapture(frames=1)) as camera:
        camera.read()
        with pytest.raises(SourceUnavailableError, match=r"^camera 0 gives no more frames; check its cable"):
            camera.read()


def test_interrupt_ends_it_and_closing_releases_once():
    capture = FakeCapture()
    camera = CameraSource(0, open_capture=lambda _: capture)
    camera.interrupt()
    assert camera.read() is None
    assert camera.skip() is None
    camera.close()
    camera.close()
    assert capture.released == 1


def test_a_capture_that_does_not_open_is_released():
    capture = FakeCapture(opens=False)
    with pytest.raises(SourceUnavailableError):
        CameraSource(0, open_capture=lambda _: capture)
    assert capture.released == 1


class Socket:
    """A plug: what is opened while a camera is in it, and nothing otherwise."""

    def __init__(self, *captures):
        self.captures = list(captures)
        self.asked = []

    def __call__(self, device):
        self.asked.append(device)
        return self.captures.pop(0) if self.captures else FakeCapture(opens=False)


def test_a_camera_that_is_pulled_out_is_waited_for_and_goes_on_where_it_was():
    first = FakeCapture()
    socket = Socket(first)
    with open_camera("2", fps=30, open_capture=socket) as camera:
        changes = []

        def note(state, reason):
            changes.append((state, reason))
            if reason == "cannot be opened":
                socket.captures.append(FakeCapture())

        camera.watch(note)
        frames = [camera.read() for _ in range(6)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4, 5]
    assert [frame.segment for frame in frames] == [0, 0, 0, 1, 1, 1]
    assert [frame.pts for frame in frames] == pytest.approx(
        [frame.captured_at - frames[0].captured_at for frame in frames], abs=1e-3
    )
    assert frames[3].pts >= 0.2  # it was waited for twice, 0.1 and 0.2 s or a little less
    assert {frame.source for frame in frames} == {camera.info}
    assert set(socket.asked) == {2}
    assert first.released == 1
    assert [state for state, _ in changes] == [
        SourceState.CONNECTED,
        SourceState.RECONNECTING,
        SourceState.RECONNECTING,
        SourceState.CONNECTED,
    ]
    assert changes[1][1] == "gives no more frames"
    assert changes[2][1] == "cannot be opened"


def test_a_camera_whose_driver_hangs_is_given_up_on_and_opened_again():
    class Hanging(FakeCapture):
        def __init__(self):
            super().__init__()
            self.hang = threading.Event()

        def grab(self):
            if self.left < 3:
                self.hang.wait(2 * PATIENCE)
            return super().grab()

    hanging = Hanging()
    with open_camera(0, read_timeout=0.8, open_capture=Socket(hanging, FakeCapture())) as camera:
        changes = []
        camera.watch(lambda state, reason: changes.append((state, reason)))
        camera.read()
        begin = time.monotonic()
        assert camera.read().segment == 1
        assert 0.5 < time.monotonic() - begin < PATIENCE
        assert hanging.released == 0  # not under a grab
        hanging.hang.set()
        until(lambda: hanging.released)
        assert hanging.released == 1
    assert changes[1] == (SourceState.STALLED, "sent nothing for 0.8 s")


def test_a_camera_that_is_not_to_be_opened_again_fails():
    with open_camera(0, reconnect=False, open_capture=Socket(FakeCapture(frames=1))) as camera:
        camera.read()
        with pytest.raises(SourceUnavailableError, match=r"^camera 0 gives no more frames; check its cable"):
            camera.read()


def test_a_camera_that_is_not_there_is_not_waited_for():
    with pytest.raises(SourceUnavailableError, match=r"^camera 3 cannot be opened; "):
        open_camera(3, open_capture=Socket())


def test_a_camera_that_hangs_while_it_is_opened_does_not_keep_others_from_it():
    level = cv2.utils.logging.getLogLevel()
    hang, hanging = threading.Event(), threading.Event()

    def open_badly():
        with quiet_opencv():
            hanging.set()
            hang.wait(3 * PATIENCE)

    thread = threading.Thread(target=open_badly, daemon=True)
    thread.start()
    assert hanging.wait(30)
    done = threading.Event()

    def open_well():
        with quiet_opencv():
            done.set()

    other = threading.Thread(target=open_well, daemon=True)
    other.start()
    assert done.wait(PATIENCE)
    other.join(PATIENCE)
    assert cv2.utils.logging.getLogLevel() == cv2.utils.logging.LOG_LEVEL_SILENT  # the first is at it still
    hang.set()
    thread.join(PATIENCE)
    assert cv2.utils.logging.getLogLevel() == level
