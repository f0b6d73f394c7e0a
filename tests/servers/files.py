"""A web server of files whose answers can be chosen: with ranges and without, cut, slow, wrong, elsewhere."""

from __future__ import annotations

import http.server
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Served:
    """One file, and how it is given away; may be changed while the server runs.

    Attributes:
        content: Its bytes.
        etag: What the server calls this version, or None to call it nothing.
        ranges: Whether parts of it can be asked for.
        cut: Bytes of an answer's body after which the connection is closed, for so many answers; None for never.
        cuts: Answers that are cut.
        stall: Bytes after which nothing more is sent until the server is closed.
        status: Answered in place of the file where it is no 200.
        location: Where an answer with a status of 3xx sends the asker.
        headers: Added to the answer, or put in the place of its own; None leaves one out.
        raw: Sent in place of the whole answer, headers and all.
        asked: The `Range` of each request so far, "" for those without.
    """

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    cut: int | None = None
    cuts: int = 1
    stall: int | None = None
    status: int = 200
    location: str = ""
    headers: dict[str, str | None] = field(default_factory=dict)
    raw: bytes | None = None
    asked: list[str] = field(default_factory=list)


class FileServer:
    """Serves `files` (path to `Served`) on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, files: dict[str, Served]) -> None:
        """Start."""
        self.files = files
        self.stalling = threading.Event()
        self._closing = threading.Event()
        owner = self

        class Handler(_Handler):
            server_of_files = owner

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # joined when it is closed
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="file server")
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for_close(self) -> None:
        """Block until the server is closed."""
        self.stalling.set()
        self._closing.wait()

    def close(self) -> None:
        """Stop, and wait for every connection to end."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server_of_files: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        served = self.server_of_files.files.get(self.path)
        if served is None:
            self.send_error(404)
            return
        served.asked.append(self.headers.get("Range", ""))
        if served.raw is not None:
            self.wfile.write(served.raw)
            return
        if 300 <= served.status < 400:
            self._head(served.status, {"Location": served.location, "Content-Length": "0"}, served)
            return
        if served.status != 200:
            self.send_error(served.status)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if served.ranges else None
        if wanted and self.headers.get("If-Range", served.etag) != served.etag:
            wanted = None
        start, whole = int(wanted[1]) if wanted else 0, len(served.content)
        if wanted and start >= whole:
            self._head(416, {"Content-Range": f"bytes */{whole}", "Content-Length": "0"}, served)
            return
        headers = {"Content-Length": str(whole - start), "Content-Type": "application/octet-stream"}
        if served.etag:
            headers["ETag"] = served.etag
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        self._head(206 if wanted else 200, headers, served)
        self._body(served, served.content[start:])

    def _head(self, status: int, headers: dict[str, str], served: Served) -> None:
        self.send_response(status)
        for name, value in {**headers, **served.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def _body(self, served: Served, body: bytes) -> None:
        with suppress(ConnectionError):  # who asked has gone
            self._write(served, body)

    def _write(self, served: Served, body: bytes) -> None:
        if served.stall is not None:
            self.wfile.write(body[: served.stall])
            self.server_of_files.wait_for_close()
        elif served.cut is not None and served.cuts > 0:
            served.cuts -= 1
            self.wfile.write(body[: served.cut])
        else:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""
