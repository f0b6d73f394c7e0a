"""RTSP, against a real server: that of GStreamer, run by whatever Python has its bindings.

Where there is none these tests are skipped, and fail if FRAMEHOOK_TEST_RTSP is set (`make test-rtsp`).
"""

import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from framehook.inference.connection import SourceState
from framehook.inference.errors import SourceUnavailableError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import open_source, open_sources
from framehook.inference.sources.stream import open_url

from ..servers.stamps import read_stamp  # noqa: TID252 - servers that several folders of tests share

SERVER = Path(__file__).with_name("server.py")
MISSING = "no RTSP server here; on Debian: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi"
PATIENCE = 60  # s, for what should take a moment


@functools.cache
def interpreter():
    """A Python that has GStreamer's RTSP server and the encoder it needs, or None."""
    check = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; Gst.init(None)\n"
        "assert Gst.ElementFactory.find('openh264enc') and Gst.ElementFactory.find('rtph264pay')"
    )
    for python in ("/usr/bin/python3", shutil.which("python3"), sys.executable):  # Debian packages are for the first
        if python and os.path.exists(python):
            done = subprocess.run([python, "-c", check], capture_output=True, timeout=PATIENCE, check=False)
            if done.returncode == 0:
                return python
    return None


@pytest.fixture
def serve():
    """Start servers, each a process of its own; returns it and its port."""
    python = interpreter()
    if python is None:
        (pytest.fail if os.environ.get("FRAMEHOOK_TEST_RTSP") else pytest.skip)(MISSING)
    started = []

    def start(*options, port=0):
        command = [python, SERVER, "--port", str(port), *options]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(server)
        word, number = server.stdout.readline().split()
        assert word == "port"
        return server, int(number)

    yield start
    for server in started:
        if server.poll() is None:
            server.send_signal(signal.SIGCONT)
            server.kill()
        server.communicate(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Wait for the first connection as long as a server may take that gets no turn for a while."""
    monkeypatch.setitem(open_url.__kwdefaults__, "patience", PATIENCE)


def stamps_of(source, count):
    return [read_stamp(frame.image)[0] for frame in itertools.islice(source, count)]


@pytest.mark.parametrize(("size", "fps"), [("320x240", 25), ("640x480", 10)])
def test_frames_come_over_tcp_with_size_rate_and_times_of_the_stream(serve, size, fps):
    server, port = serve("--size", size, "--fps", str(fps))
    width, height = map(int, size.split("x"))
    with open_source(f"rtsp://127.0.0.1:{port}/live", open_timeout=PATIENCE) as source:
        info = source.info
        assert (info.name, info.path) == (f"127.0.0.1:{port}/live", f"rtsp://127.0.0.1:{port}/live")
        assert (info.kind, info.live, info.size, info.fps) == (SourceKind.STREAM, True, (width, height), fps)
        frames = list(itertools.islice(source, 12))
    assert server.stdout.readline().startswith("transport RTP/AVP/TCP;")
    numbers = np.array([read_stamp(frame.image)[0] for frame in frames])
    np.testing.assert_array_equal(np.diff(numbers), 1)
    np.testing.assert_allclose([frame.pts for frame in frames], (numbers - numbers[0]) / fps, atol=1e-3)
    assert [frame.index for frame in frames] == list(range(12))
    assert {frame.size for frame in frames} == {(width, height)}
    assert all(frame.captured_at > read_stamp(frame.image)[1] for frame in frames)  # nothing is seen before it was sent


@pytest.mark.parametrize("method", [(), ("--digest",)], ids=["basic", "digest"])
def test_a_password_is_asked_for_and_never_shown(serve, method, caplog, capfd):
    _, port = serve("--user", "me", "--password", "hunter2", *method)
    with open_source(f"rtsp://me:hunter2@127.0.0.1:{port}/live") as source:
        assert source.info.path == f"rtsp://127.0.0.1:{port}/live"
        assert "hunter2" not in repr(source.read())
    for credentials in ("", "me:hunter3@", "hunter2:me@"):
        with pytest.raises(SourceUnavailableError) as caught:
            open_source(f"rtsp://{credentials}127.0.0.1:{port}/live")
        assert str(caught.value).startswith(f"rtsp://127.0.0.1:{port}/live refuses (")
        error = caught.value
        while error is not None:
            assert "hunter" not in f"{error}{error!r}"
            error = error.__cause__ or error.__context__
    assert "hunter" not in caplog.text + "".join(capfd.readouterr())


def test_a_path_that_the_server_does_not_have_is_refused(serve):
    _, port = serve()
    with pytest.raises(SourceUnavailableError, match=rf"^rtsp://127\.0\.0\.1:{port}/other refuses \(.*404"):
        open_source(f"rtsp://127.0.0.1:{port}/other")


def test_without_reconnecting_the_end_of_the_server_is_the_end(serve):
    server, port = serve()
    with open_source(f"rtsp://127.0.0.1:{port}/live", reconnect=False) as source:
        source.read()
        server.kill()
        for _ in source:
            pass
        assert source.read() is None


def changes_of(source):
    """Follow what a source tells: returns a function that waits for a state."""
    seen, changed = [], threading.Condition()

    def note(state, _):
        with changed:
            seen.append(state)
            changed.notify_all()

    source.watch(note)

    def wait_for(state):
        with changed:
            assert changed.wait_for(lambda: state in seen, PATIENCE), f"{state} never came, but {seen}"

    return wait_for


class Reader:
    """Reads a source in a thread, and keeps segments and times."""

    def __init__(self, source):
        self.frames = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(source,))
        self._thread.start()

    def _run(self, source):
        for frame in source:
            with self._changed:
                self.frames.append((frame.segment, frame.pts, frame.index))
                self._changed.notify_all()

    def wait_for(self, count, *, segment):
        with self._changed:
            arrived = self._changed.wait_for(lambda: sum(each[0] == segment for each in self.frames) >= count, PATIENCE)
        assert arrived, f"{len(self.frames)} frames, none of segment {segment}"

    def join(self):
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def test_a_server_that_is_killed_and_started_again_is_connected_to_again(serve):
    server, port = serve()
    with open_source(f"rtsp://127.0.0.1:{port}/live") as source:
        wait_for = changes_of(source)
        reader = Reader(source)
        reader.wait_for(5, segment=0)
        server.kill()
        wait_for(SourceState.RECONNECTING)
        serve(port=port)
        reader.wait_for(5, segment=1)
        source.interrupt()
        reader.join()
    segments, times, indices = zip(*reader.frames, strict=True)
    assert sorted(set(segments)) == [0, 1]
    assert list(times) == sorted(times)
    assert list(indices) == list(range(len(indices)))


def test_a_server_that_hangs_is_given_up_on_and_comes_back(serve):
    server, port = serve()
    with open_source(f"rtsp://127.0.0.1:{port}/live", open_timeout=2, read_timeout=1) as source:
        wait_for = changes_of(source)
        reader = Reader(source)
        reader.wait_for(5, segment=0)
        server.send_signal(signal.SIGSTOP)
        wait_for(SourceState.STALLED)
        wait_for(SourceState.RECONNECTING)
        server.send_signal(signal.SIGCONT)
        reader.wait_for(5, segment=1)
        source.interrupt()
        reader.join()


def test_several_cameras_are_opened_from_a_list_of_addresses(serve, tmp_path):
    (_, one), (_, other) = serve("--size", "320x240"), serve("--size", "640x480", "--user", "me", "--password", "hunter2")
    (tmp_path / "cams.streams").write_text(
        f"# the yard\nrtsp://127.0.0.1:{one}/live\n\nrtsp://me:hunter2@127.0.0.1:{other}/live\n"
    )
    sources = open_sources(tmp_path / "cams.streams")
    assert [source.info.size for source in sources] == [(320, 240), (640, 480)]
    for source in sources:
        with source:
            numbers = stamps_of(source, 5)
        assert numbers == list(range(numbers[0], numbers[0] + 5))


def test_a_list_fails_as_a_whole_where_one_camera_refuses(serve, tmp_path):
    (_, one), (_, other) = serve(), serve("--user", "me", "--password", "hunter2")
    (tmp_path / "cams.streams").write_text(f"rtsp://127.0.0.1:{one}/live\nrtsp://me:hunter3@127.0.0.1:{other}/live\n")
    with pytest.raises(SourceUnavailableError) as caught:
        open_sources(tmp_path / "cams.streams")
    assert str(caught.value).startswith(f"{tmp_path / 'cams.streams'}, line 2: rtsp://127.0.0.1:{other}/live refuses (")
    assert "hunter" not in str(caught.value)
