"""SRT, over FFmpeg where it was built with it (PyAV's wheels are not), and otherwise over srt-live-transmit."""

import contextlib
import itertools
import shutil
import socket
import subprocess
import threading

import av
import pytest

from framehook.inference.errors import MissingDependencyError
from framehook.inference.sources import frame_number, open_source, open_sources


def has_srt():
    try:
        av.open("srt://", timeout=1).close()
    except av.error.ProtocolNotFoundError:
        return False
    except av.error.FFmpegError:
        pass
    return True


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def sending(url, pictures):
    """Send pictures as MPEG-TS, over and over."""
    over = threading.Event()

    def send():
        with av.open(url, "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = 5
            for picture in itertools.cycle(pictures):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
                if over.wait(0.04):
                    return

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join(10)


@pytest.mark.skipif(has_srt(), reason="this FFmpeg has SRT")
def test_without_srt_it_is_told_what_to_do_and_no_password(tmp_path):
    url = "srt://me:hunter2@127.0.0.1:9000?passphrase=hunter2hunter2"
    (tmp_path / "cams.streams").write_text(f"{url}\ntestsrc:live\n")
    for call in (lambda: open_source(url), lambda: open_sources(tmp_path / "cams.streams")):
        with pytest.raises(MissingDependencyError) as caught:
            call()
        assert (
            "srt://127.0.0.1:9000?passphrase=*** cannot be opened: the FFmpeg inside the installed PyAV has no SRT; "
            "have it passed on by srt-live-transmit srt://... udp://127.0.0.1:5000"
        ) in str(caught.value)
        assert "hunter" not in str(caught.value)


@pytest.mark.skipif(not has_srt(), reason="the FFmpeg inside the installed PyAV has no SRT")
def test_srt_is_played(pictures):
    port = free_port()
    with sending(f"srt://127.0.0.1:{port}?mode=listener", pictures), open_source(f"srt://127.0.0.1:{port}") as source:
        numbers = [frame_number(source.read().image) for _ in range(5)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))


@pytest.mark.skipif(
    shutil.which("srt-live-transmit") is None, reason="no srt-live-transmit; on Debian: apt-get install srt-tools"
)
def test_what_srt_live_transmit_passes_on_is_played(pictures):
    camera, sender, viewer = free_port(), free_port(), free_port()
    hops = (
        (f"udp://127.0.0.1:{camera}", f"srt://127.0.0.1:{sender}?mode=listener"),
        (f"srt://127.0.0.1:{sender}", f"udp://127.0.0.1:{viewer}"),
    )
    with contextlib.ExitStack() as stack:
        for hop in hops:
            process = stack.enter_context(subprocess.Popen(["srt-live-transmit", "-q", *hop]))
            stack.callback(process.kill)
        stack.enter_context(sending(f"udp://127.0.0.1:{camera}?pkt_size=1316", pictures))
        source = stack.enter_context(open_source(f"udp://127.0.0.1:{viewer}", open_timeout=30))
        numbers = [frame_number(source.read().image) for _ in range(5)]
    assert numbers == [(numbers[0] + more) % len(pictures) for more in range(5)]
