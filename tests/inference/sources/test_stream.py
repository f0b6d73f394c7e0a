import itertools
import os
import signal
import socket
import threading
import time

import av
import cv2
import pytest

from framehook.inference.errors import SourceFormatError, SourceUnavailableError
from framehook.inference.frame import SourceKind
from framehook.inference.sources import frame_number, open_source
from framehook.inference.sources.stream import RefusedError, StreamConnection, WebFileError, open_url

from ...servers.mjpeg import StampedJpeg  # noqa: TID252 - servers that several folders of tests share
from ...servers.ports import hold_port  # noqa: TID252
from ...servers.stamps import read_stamp  # noqa: TID252
from ..scripted import PATIENCE, until  # noqa: TID252

STEADY = [number * 40 for number in range(60)]


def motion_jpeg(
    pictures, *, before=b"", sized=True, count=None, pause=lambda: time.sleep(0.02), silence=lambda: time.sleep(2 * PATIENCE)
):
    """A handler that sends pictures as `multipart/x-mixed-replace`, then nothing for a while."""

    def handle(request):
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        request.wfile.write(before)
        for number in itertools.islice(itertools.count(), count):
            data = cv2.imencode(".jpg", pictures[number % len(pictures)])[1].tobytes()
            length = b"Content-Length: %d\r\n" % len(data) if sized else b""
            request.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + data + b"\r\n")
            request.wfile.flush()
            pause()
        silence()

    return handle


@pytest.fixture
def send_once():
    """Serve bytes over TCP to one client, in pieces; returns the port."""
    threads = []

    def start(data, *, pause=0.001):
        listener = socket.create_server(("127.0.0.1", 0))

        def run():
            with listener:
                listener.settimeout(PATIENCE)
                client = listener.accept()[0]
            with client:
                try:
                    for begin in range(0, len(data), 188 * 7):
                        client.sendall(data[begin : begin + 188 * 7])
                        time.sleep(pause)
                except ConnectionError:
                    pass  # the reader has gone

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return listener.getsockname()[1]

    yield start
    for thread in threads:
        thread.join(PATIENCE)


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with hold_port() as place:
        yield place.getsockname()[1]


@pytest.mark.parametrize("style", [{}, {"sized": False}, {"before": b"\r\n"}], ids=["plain", "unsized", "empty line first"])
def test_motion_jpeg_over_http(web_server, pictures, style):
    address, handlers = web_server
    handlers["/live"] = motion_jpeg(pictures, **style)
    with open_source(address + "/live") as source:
        info = source.info
        assert (info.kind, info.live, info.size, source.endless, source.seekable) == (
            SourceKind.STREAM,
            True,
            (160, 96),
            True,
            False,
        )
        first, second = source.read(), source.read()
        assert source.skip() is info
        fourth = source.read()
    start = frame_number(first.image)
    assert [frame_number(frame.image) for frame in (second, fourth)] == [start + 1, start + 3]
    assert [frame.index for frame in (first, second, fourth)] == [0, 1, 3]
    assert {frame.pts for frame in (first, second, fourth)} == {None}  # such a stream tells no times
    assert first.captured_at < second.captured_at < fourth.captured_at


@pytest.mark.parametrize("style", [{}, {"sized": False}], ids=["plain", "unsized"])
def test_a_picture_is_there_before_the_next_one_is_sent(web_server, pictures, style):
    address, handlers = web_server
    taken = threading.Semaphore(0)

    handlers["/live"] = motion_jpeg(pictures, **style, pause=lambda: taken.acquire(timeout=3 * PATIENCE))
    with open_source(address + "/live", read_timeout=PATIENCE, reconnect=False) as source:
        for number in range(4):
            assert frame_number(source.read().image) == number
            taken.release()


def test_a_reader_that_keeps_up_gets_every_picture(web_server):
    address, handlers = web_server
    picture = StampedJpeg((640, 480))
    taken = threading.Semaphore(1)

    def handle(request):
        request.send_response(200)
        request.end_headers()
        for number in range(40):
            assert taken.acquire(timeout=PATIENCE)  # a reader that gets no turn does not keep up
            time.sleep(0.03)
            request.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + picture(number, time.monotonic()) + b"\r\n")

    handlers["/live"] = handle
    with StreamConnection(address + "/live", open_timeout=PATIENCE, read_timeout=PATIENCE) as connection:
        seen = []
        for frame in connection:
            seen.append(read_stamp(frame.image)[0])
            taken.release()
        assert connection.skipped == 0
    assert seen == list(range(40))


def test_mpeg_ts_over_tcp_to_its_end(write_clip, send_once):
    port = send_once(write_clip("film.ts", STEADY).read_bytes())
    with open_source(f"tcp://127.0.0.1:{port}", reconnect=False) as source:
        assert (source.info.name, source.info.live) == (f"127.0.0.1:{port}", True)
        frames = list(source)
        assert source.read() is None
    assert [frame_number(frame.image) for frame in frames] == list(range(60))
    assert [frame.pts for frame in frames] == pytest.approx([time / 1000 for time in STEADY], abs=1e-4)


def test_mpeg_ts_over_udp(pictures):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    over = threading.Event()

    def send():
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=50, options={"preset": "ultrafast", "tune": "zerolatency"})
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = 5
            for number in itertools.count():
                frame = av.VideoFrame.from_ndarray(pictures[number % len(pictures)], format="bgr24")
                container.mux(stream.encode(frame))
                if over.wait(0.02):
                    return

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        with open_source(f"udp://127.0.0.1:{port}") as source:
            numbers = [frame_number(source.read().image) for _ in range(10)]
    finally:
        over.set()
        sender.join(PATIENCE)
    assert numbers == list(range(numbers[0], numbers[0] + 10))


def test_nobody_listening_fails_in_one_line_without_the_password(capfd, closed_port):
    port = closed_port
    for scheme in ("http", "rtsp", "tcp"):
        with pytest.raises(SourceUnavailableError) as caught:
            open_source(f"{scheme}://me:hunter2@127.0.0.1:{port}/live?token=hunter3", open_timeout=PATIENCE, reconnect=False)
        assert str(caught.value) == (
            f"{scheme}://127.0.0.1:{port}/live?token=*** cannot be reached (Connection refused); "
            "check the address and that the server runs"
        )
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert capfd.readouterr().err == ""


def test_a_server_that_refuses_or_sends_something_else(web_server, tmp_path):
    address, _ = web_server
    (tmp_path / "notes").write_text("hello world\n" * 50)
    with pytest.raises(SourceUnavailableError, match=r"/nothing refuses \(.*404.*\); check the address"):
        open_source(address + "/nothing")
    with pytest.raises(SourceUnavailableError, match=r"/nothing\.mp4 refuses \(.*404.*\); check the address"):
        open_source(address + "/nothing.mp4")
    with pytest.raises(SourceFormatError, match="/notes"):
        open_source(address + "/notes")


def test_a_server_that_says_nothing_is_given_up_on_in_time():
    with socket.create_server(("127.0.0.1", 0)) as server:
        begin = time.monotonic()
        with pytest.raises(SourceUnavailableError, match=r"did not answer in time \(open_timeout is 1 s\)"):
            open_source(f"http://127.0.0.1:{server.getsockname()[1]}/live", open_timeout=1, reconnect=False)
        assert time.monotonic() - begin < PATIENCE


def test_a_stream_that_falls_silent_fails_after_the_read_timeout(web_server, pictures):
    address, handlers = web_server
    handlers["/live"] = motion_jpeg(pictures, count=10)
    with open_source(address.replace("//", "//me:hunter2@") + "/live", read_timeout=0.5, reconnect=False) as source:
        begin = time.monotonic()
        with pytest.raises(SourceUnavailableError) as caught:
            for _ in source:
                pass
        assert time.monotonic() - begin < PATIENCE
    assert str(caught.value) == f"{address}/live sent nothing for 0.5 s; check the camera and the network"


def test_interrupt_wakes_a_reader_that_waits_for_the_network(web_server, pictures):
    address, handlers = web_server
    over = threading.Event()
    handlers["/live"] = motion_jpeg(pictures, count=5, silence=lambda: over.wait(3 * PATIENCE))
    source = open_source(address + "/live", read_timeout=3 * PATIENCE)
    results = []
    reader = threading.Thread(target=lambda: results.extend(source))
    reader.start()
    until(lambda: len(results) == 5)
    begin = time.monotonic()
    source.interrupt()
    reader.join(2 * PATIENCE)
    source.close()
    source.close()
    assert time.monotonic() - begin < PATIENCE
    assert source.read() is None
    over.set()  # which the connection itself waits for


def test_closing_ends_the_connection_of_a_stream_that_flows(web_server, pictures):
    address, handlers = web_server
    gone = threading.Event()
    send = motion_jpeg(pictures)

    def handle(request):
        try:
            send(request)
        finally:
            gone.set()

    handlers["/live"] = handle
    source = open_source(address + "/live")
    source.read()
    source.close()
    assert gone.wait(PATIENCE)
    until(lambda: not [each for each in threading.enumerate() if each.name == f"framehook-receive {source.info.name}"])


def test_a_film_that_is_sent_without_a_length_is_a_stream(web_server, write_clip):
    address, handlers = web_server
    data = write_clip("film.ts", STEADY).read_bytes()

    def handle(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(data)

    handlers["/live.ts"] = handle
    with open_source(address + "/live.ts", reconnect=False) as source:
        assert (source.info.live, source.endless) == (True, True)
        assert [frame_number(frame.image) for frame in source] == list(range(60))


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts"])
def test_a_film_behind_a_web_address_is_a_file(web_server, write_clip, name):
    address, _ = web_server
    write_clip(name, STEADY)
    with open_source(f"{address}/{name}?key=hunter2") as source:
        info = source.info
        assert (info.kind, info.live, source.endless) == (SourceKind.VIDEO, False, False)
        assert info.path == f"{address}/{name}?key=***"
        assert [frame_number(frame.image) for frame in source] == list(range(60))


def test_a_picture_behind_a_web_address_is_one_frame(web_server, tmp_path, pictures):
    address, _ = web_server
    cv2.imwrite(str(tmp_path / "photo.png"), pictures[7])
    with open_source(address + "/photo.png") as source:
        assert (source.info.kind, source.info.frame_count) == (SourceKind.IMAGE, 1)
        assert [frame_number(frame.image) for frame in source] == [7]


def test_a_list_of_pieces_whose_server_fails_is_lost_and_not_over(web_server, tmp_path, pictures):
    address, handlers = web_server
    with av.open(str(tmp_path / "all.m3u8"), "w", format="hls", options={"hls_time": "0.4", "hls_list_size": "0"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 10
        for picture in pictures[:40]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    text = (tmp_path / "all.m3u8").read_text()
    being_written = text.replace("#EXT-X-ENDLIST", "").encode()
    answers = {"list": being_written}

    def handle(request):
        if answers["list"] is None:
            request.send_error(503)
            return
        request.send_response(200)
        request.end_headers()
        request.wfile.write(answers["list"])

    handlers["/live.m3u8"] = handle
    with open_source(address + "/live.m3u8") as source:
        changes = []
        source.watch(lambda state, reason: changes.append((state.value, reason)))
        last = [source.read() for _ in range(10)][-1]  # of the newest piece
        assert (frame_number(last.image), last.segment) == (39, 0)
        answers["list"] = None
        again = []
        reader = threading.Thread(target=lambda: again.append(source.read()))
        reader.start()
        until(lambda: len(changes) == 3)
        answers["list"] = being_written
        reader.join(PATIENCE)
        assert again[0].segment == 1
        answers["list"] = text.encode()
        assert len(list(source)) == 9
    assert [state for state, _ in changes] == ["connected", "reconnecting", "reconnecting", "connected"]
    assert changes[2][1].startswith("refuses (")


def test_parts_without_pictures_are_refused_whatever_length_they_announce(web_server):
    address, handlers = web_server
    asked = []

    def handle(request):
        asked.append(request.path)
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.end_headers()
        request.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 2000000000\r\n\r\n")
        while True:
            request.wfile.write(bytes(1 << 20))

    handlers["/live"] = handle
    with pytest.raises(SourceFormatError, match=r"/live sends parts without JPEG pictures; check the address$"):
        open_source(address + "/live", open_timeout=30, reconnect=False)
    assert len(asked) == 1


def test_a_server_that_hangs_up_after_the_first_boundary_is_not_asked_again_at_once(web_server):
    address, handlers = web_server
    asked = []

    def handle(request):
        asked.append(request.path)
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n")

    handlers["/live"] = handle
    with pytest.raises(SourceUnavailableError, match=r"/live hangs up before there is a picture; check the address"):
        open_source(address + "/live", reconnect=False)
    assert len(asked) == 1


def test_a_camera_that_announces_a_length_of_its_pictures_is_a_stream(web_server, pictures):
    address, handlers = web_server
    send = motion_jpeg(pictures)

    def handle(request):
        end, request.end_headers = request.end_headers, lambda: (request.send_header("Content-Length", "999999999"), end())
        send(request)

    handlers["/live"] = handle
    with open_source(address + "/live") as source:
        assert source.info.live
        assert [frame_number(source.read().image) for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("password", ["se[cret", "s[ec]ret", "se]cret", "sec\uff0fret", "se\u2100cret"])
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_passwords_that_no_parser_takes_are_no_error_and_are_not_shown(scheme, password, closed_port):
    with pytest.raises(SourceUnavailableError) as caught:
        open_source(f"{scheme}://me:{password}@127.0.0.1:{closed_port}/live", open_timeout=PATIENCE, reconnect=False)
    assert "ret" not in ascii(caught.value)
    assert str(caught.value).startswith(f"{scheme}://127.0.0.1:")


def test_a_film_whose_server_fails_names_no_password_in_its_error(closed_port):
    from framehook.inference.sources.video import VideoSource

    with pytest.raises(SourceUnavailableError) as caught:
        VideoSource(f"http://me:hunter2@127.0.0.1:{closed_port}/clip.mp4", open_timeout=PATIENCE, read_timeout=PATIENCE)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(("kind", "text"), [(WebFileError, "is a file, no live stream"), (RefusedError, "refuses (")])
def test_an_answer_that_comes_late_and_is_no_stream_ends_the_source(web_server, write_clip, kind, text):
    address, handlers = web_server
    data = write_clip("film.mp4", STEADY).read_bytes()
    asked = threading.Semaphore(0)

    def handle(request):
        asked.acquire(timeout=PATIENCE)
        asked.release()
        if kind is RefusedError:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    handlers["/download"] = handle
    with open_url(address + "/download", patience=0.05) as source:
        asked.release()
        with pytest.raises(kind) as caught:
            source.read()
        assert text in str(caught.value)
        assert source.read() is None


def test_a_list_of_pieces_is_asked_for_once_to_open_it(web_server, tmp_path, pictures):
    address, handlers = web_server
    with av.open(str(tmp_path / "all.m3u8"), "w", format="hls", options={"hls_time": "2", "hls_list_size": "0"}) as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 20
        for picture in pictures[:60]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    text = (tmp_path / "all.m3u8").read_text().replace("#EXT-X-ENDLIST", "").encode()
    asked = []

    def handle(request):
        asked.append(request.path)
        data = text if request.path.endswith(".m3u8") else (tmp_path / request.path[1:]).read_bytes()
        request.send_response(200)
        request.end_headers()
        request.wfile.write(data)

    handlers.update({f"/all{number}.ts": handle for number in range(3)}, **{"/live.m3u8": handle})
    with open_source(address + "/live.m3u8") as source:
        source.read()
        assert asked.count("/all2.ts") == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_from_the_keyboard_while_it_opens_ends_the_connection(web_server, pictures):
    address, handlers = web_server
    gone, go_on = threading.Event(), threading.Event()
    send = motion_jpeg(pictures)

    def handle(request):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        go_on.wait(PATIENCE)
        try:
            send(request)
        finally:
            gone.set()

    handlers["/live"] = handle
    with pytest.raises(KeyboardInterrupt) as caught:
        open_url(address + "/live", patience=PATIENCE, open_timeout=PATIENCE)
    go_on.set()
    assert gone.wait(PATIENCE)  # though the error is held on to, and what it refers to with it
    assert caught.value is not None
