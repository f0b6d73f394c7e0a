"""Clips whose frames can be told apart, written by the tests themselves."""

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from framehook.inference.sources.stream import open_url
from framehook.inference.sources.testsrc import TestSource

from ..scripted import PATIENCE  # noqa: TID252 - what all tests of inference share

WriteClip = Callable[..., Path]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the first connection as long as servers may take that run in this process and get no turn for a while."""
    monkeypatch.setitem(open_url.__kwdefaults__, "patience", PATIENCE)


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """The first frames of a test scene; `frame_number` tells which is which."""
    with TestSource(size=(160, 96), frames=120) as scene:
        return [np.array(frame.image) for frame in scene]


@pytest.fixture
def write_clip(tmp_path: Path, pictures: list[np.ndarray]) -> WriteClip:
    """Write a film of `pictures`, one for each time in milliseconds."""

    def write(
        name: str,
        times: Sequence[int],
        *,
        codec: str = "libx264",
        unit: Fraction = Fraction(1, 1000),
        b_frames: int = 2,
        key_every: int = 12,
        options: dict[str, str] | None = None,
        container_format: str | None = None,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", format=container_format, options=options or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.gop_size = key_every
            if codec == "libx264":
                stream.options = {"bf": str(b_frames), "preset": "ultrafast"} | ({"b-adapt": "0"} if b_frames else {})
            elif codec == "libvpx":
                stream.options = {"deadline": "realtime", "cpu-used": "8"}
            stream.codec_context.time_base = unit
            for number, time in enumerate(times):
                frame = av.VideoFrame.from_ndarray(pictures[number], format="bgr24")
                frame.time_base = unit
                frame.pts = round(Fraction(time, 1000) / unit)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write


@pytest.fixture
def web_server(tmp_path: Path) -> Iterator[tuple[str, dict[str, Callable[[BaseHTTPRequestHandler], None]]]]:
    """A server on this machine: its address, and a table of handlers by path; other paths give the files in `tmp_path`."""
    handlers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            try:
                if path in handlers:
                    handlers[path](self)
                elif (tmp_path / path[1:]).is_file():
                    data = (tmp_path / path[1:]).read_bytes()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                else:
                    self.send_error(404)
            except ConnectionError:
                pass  # the reader has gone

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handlers
        server.shutdown()
        thread.join(PATIENCE)
