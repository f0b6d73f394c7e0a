"""A server of motion JPEG over HTTP whose frames are stamped, and whose faults can be chosen while it runs.

In a process of its own (from the root of the repository):

    python -m tests.servers.mjpeg --port 0 --fps 30 --size 640x480 --frames 900

prints its port, obeys a line of standard input each (`cut`, `stall`, ... as in `Fault`; `all cut` for new connections as well;
`clear`, `away`, `back`, `count`) and ends with it, or when the frames are sent; the last line is how many were.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from .ports import hold_port
from .stamps import stamp, strip_height


class Fault(StrEnum):
    """What a connection does instead of sending its next frame."""

    CUT = "cut"
    """Break off, as a process that dies does."""
    END = "end"
    """End properly, between two frames."""
    HALF = "half"
    """Send half of a frame and break off."""
    STALL = "stall"
    """Send nothing any more."""
    DRIP = "drip"
    """Send the frame byte by byte, 20 a second."""
    GARBAGE = "garbage"
    """Send 20 kB of noise, and then frames again."""
    NOISE = "noise"
    """Send noise only, at the rate of the frames."""
    MUTE = "mute"
    """For new connections: say nothing, not even that the request was understood."""
    MISSING = "missing"
    """For new connections: answer 404."""


class StampedJpeg:
    """Makes JPEG pictures of a noisy scene with a stamp on top, at the cost of encoding the stamp alone.

    A restart marker ends every row of blocks, so that those of the stamp can be exchanged without touching the others.
    """

    def __init__(self, size: tuple[int, int], *, quality: int = 80) -> None:
        """Encode the scene, of (width, height) pixels."""
        width, height = size
        self._options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, -(-width // 16)]
        self._strip = np.zeros((strip_height(width), width, 3), np.uint8)
        coarse = np.random.default_rng(7).integers(0, 255, (height // 24 + 1, width // 24 + 1, 3), np.uint8)
        scene = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        self._header, self._rows = self._encode(scene)

    def __call__(self, number: int, sent_at: float) -> bytes:
        """Return a picture with this stamp."""
        stamp(self._strip, number, sent_at)
        _, top = self._encode(self._strip)
        rows = top + self._rows[len(top) :]
        marked = (row + bytes((0xFF, 0xD0 + index % 8)) for index, row in enumerate(rows[:-1]))
        return b"".join((self._header, *marked, rows[-1], b"\xff\xd9"))

    def _encode(self, image: np.ndarray[Any, Any]) -> tuple[bytes, list[bytes]]:
        """The header of a JPEG picture and its rows of blocks."""
        data = cv2.imencode(".jpg", image, self._options)[1].tobytes()
        start = data.index(b"\xff\xda")
        start += 2 + struct.unpack(">H", data[start + 2 : start + 4])[0]
        rows, begin, at = [], start, start
        while (at := data.index(b"\xff", at)) >= 0:
            if 0xD0 <= data[at + 1] <= 0xD9:
                rows.append(data[begin:at])
                begin = at + 2
                if data[at + 1] == 0xD9:
                    break
            at += 2
        return data[:start], rows


class _Client:
    """A connection, and the fault that waits for it."""

    def __init__(self, connection: socket.socket, fault: Fault | None) -> None:
        self.connection = connection
        self.fault = fault


class MjpegServer:
    """Sends stamped frames to whoever asks, each connection at the full rate.

    Attributes:
        port: Where it listens, also after it went away and came back.
        connections: How many were accepted so far.
        sent: How many whole frames were sent so far, over all connections.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        size: tuple[int, int] = (640, 480),
        fps: float = 30.0,
        frames: int | None = None,
        sized: bool = True,
        before: bytes = b"",
        listening: bool = True,
    ) -> None:
        """Listen at once, unless told not to.

        Args:
            port: 0 for any free one.
            size: (width, height) in pixels.
            fps: Frames per second of each connection; 0 for as many as the reader takes.
            frames: After so many, over all connections, they end; None for never.
            sized: Whether frames are announced with their length, as some servers do and others do not.
            before: What is sent ahead of the first boundary.
            listening: False for a server that is down until `come_back`.
        """
        self.connections = 0
        self.sent = 0
        self._interval = 1 / fps if fps else 0.0
        self._left = frames
        self._sized = sized
        self._before = before
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._clients: list[_Client] = []
        self._threads: list[threading.Thread] = []
        self._lasting: Fault | None = None
        self._stopped = False
        self._listener: socket.socket | None = None
        self.resize(size)
        self._place = hold_port(port)
        self.port: int = self._place.getsockname()[1]
        if listening:
            self.come_back()

    @property
    def url(self) -> str:
        """Where its stream is."""
        return f"http://127.0.0.1:{self.port}/live"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        with self._changed:
            self._stopped = True
        self.go_away()
        for thread in self._threads:
            thread.join(5)
        self._place.close()

    def resize(self, size: tuple[int, int]) -> None:
        """Send pictures of another size from the next frame on."""
        self._picture = StampedJpeg(size)

    def inject(self, fault: Fault, *, lasting: bool = False) -> None:
        """Have the open connections do it instead of their next frame, and if `lasting` every new one as well."""
        with self._changed:
            self._lasting = fault if lasting else self._lasting
            for client in self._clients:
                client.fault = fault
            self._changed.notify_all()

    def clear(self) -> None:
        """Serve new connections properly again."""
        with self._changed:
            self._lasting = None

    def go_away(self) -> None:
        """Stop listening, and break off all connections."""
        with self._changed:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`; closing alone does not
            listener.close()
        self.inject(Fault.CUT)
        with self._changed:
            self._changed.wait_for(lambda: not self._clients, 5)

    def come_back(self) -> None:
        """Listen again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept, self._listener)

    def wait_until_done(self, timeout: float | None = None) -> bool:
        """Wait until the asked number of frames is sent."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left is not None and self.sent >= self._left, timeout)

    def _start(self, target: Any, *args: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with self._changed:
                if self._listener is not listener:
                    connection.close()
                    return
                self.connections += 1
                client = _Client(connection, self._lasting)
                self._clients.append(client)
            self._start(self._serve, client)

    def _serve(self, client: _Client) -> None:
        try:
            with suppress(OSError), client.connection as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(10)
                self._answer(client)
        finally:
            with self._changed:
                self._clients.remove(client)
                self._changed.notify_all()

    def _answer(self, client: _Client) -> None:
        connection = client.connection
        while b"\r\n\r\n" not in (request := connection.recv(65536)):
            if not request:
                return
        if client.fault is Fault.MUTE:
            self._hold(client)
            return
        if client.fault is Fault.MISSING:
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n" + self._before)
        for _ in self._turns(client):
            fault = client.fault
            if fault is Fault.CUT:
                # Nothing lingers: the other side gets a reset, not a polite end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if fault is Fault.END:
                return
            if fault is Fault.STALL:
                self._hold(client)
                return
            if fault is Fault.NOISE:
                connection.sendall(random.randbytes(4000))
                continue
            if fault is Fault.GARBAGE:
                client.fault = None
                connection.sendall(random.randbytes(20_000))
            part = self._part()
            if fault is Fault.HALF:
                connection.sendall(part[: len(part) // 2])
                return
            if fault is Fault.DRIP:
                for at in range(len(part)):
                    connection.sendall(part[at : at + 1])
                    if self._hold(client, 0.05):
                        return
            connection.sendall(part)
            with self._changed:
                self.sent += 1
                self._changed.notify_all()

    def _turns(self, client: _Client) -> Iterator[None]:
        """Come back whenever a frame is due, until the last; at once where the connection is to be cut."""
        due = time.monotonic()
        while self._left is None or self.sent < self._left:
            with self._changed:
                wait = max(0.0, due - time.monotonic())
                self._changed.wait_for(lambda: self._stopped or client.fault is Fault.CUT, wait)
            if self._stopped:
                return
            yield
            due = max(due + self._interval, time.monotonic() - self._interval)

    def _part(self) -> bytes:
        data = self._picture(next(self._numbers), time.monotonic())
        length = b"Content-Length: %d\r\n" % len(data) if self._sized else b""
        return b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + data + b"\r\n"

    def _hold(self, client: _Client, seconds: float | None = None) -> bool:
        """Send nothing, for so long or until the server or the connection is to end; tell whether it is."""
        held = client.fault
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or client.fault is not held, seconds)


def main() -> None:
    """Serve in a process of its own."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--unsized", action="store_true", help="do not announce the length of frames")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    with MjpegServer(port=args.port, fps=args.fps, size=(width, height), frames=args.frames, sized=not args.unsized) as server:
        print(server.port, flush=True)  # noqa: T201

        def obey() -> None:
            for line in sys.stdin:
                word = line.strip()
                if word in ("away", "back", "clear"):
                    {"away": server.go_away, "back": server.come_back, "clear": server.clear}[word]()
                elif word == "count":
                    print(server.sent, flush=True)  # noqa: T201
                elif word:
                    server.inject(Fault(word.removeprefix("all ")), lasting=word.startswith("all "))
            print(server.sent, flush=True)  # noqa: T201
            os._exit(0)

        threading.Thread(target=obey, daemon=True).start()
        server.wait_until_done()
        print(server.sent, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
