"""A server of H.264 in MPEG-TS, over TCP or UDP, whose frames are stamped, and whose faults can be chosen while it runs."""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

import av
import cv2
import numpy as np

from .ports import hold_port
from .stamps import stamp

_PACKET = 188
_DATAGRAM = 7 * _PACKET


class MpegTsServer:
    """Encodes one live film and sends it to all who are connected; whoever comes later sees it from the next key frame on.

    Over UDP it sends to `port` from the start, whether anyone listens or not.

    Attributes:
        port: Where it listens (TCP), or sends to (UDP).
        connections: How many were accepted so far.
        sent: How many frames were encoded so far.
    """

    def __init__(
        self,
        transport: Literal["tcp", "udp"] = "tcp",
        *,
        port: int = 0,
        size: tuple[int, int] = (640, 480),
        fps: int = 30,
        codec: str = "libx264",
        key_every: int = 10,
    ) -> None:
        """Begin to encode, and listen at once.

        Args:
            transport: How it is sent.
            port: 0 for any free one.
            size: (width, height) in pixels.
            fps: Frames per second.
            codec: FFmpeg's name of the encoder.
            key_every: Frames from one key frame to the next.
        """
        self.connections = 0
        self.sent = 0
        self._transport = transport
        self._fps = fps
        self._key_every = key_every
        self._film = size, codec
        self._version = 0
        self._changed = threading.Condition()
        self._clients: list[socket.socket] = []
        self._stopped = False
        self._stalled = False
        self._noisy = False
        self._listener: socket.socket | None = None
        if transport == "tcp":
            self._place = hold_port(port)
        else:
            self._place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._place.bind(("127.0.0.1", port))
        self.port: int = self._place.getsockname()[1]
        if transport == "udp":
            self._place.close()  # it is the reader's
        self._threads: list[threading.Thread] = []
        self.come_back()
        self._start(self._encode)

    @property
    def url(self) -> str:
        """Where its stream is."""
        return f"{self._transport}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End everything."""
        self._stopped = True
        self.go_away()
        for thread in self._threads:
            thread.join(5)
        self._place.close()

    def stall(self, stalled: bool = True) -> None:
        """Send nothing any more, or again."""
        self._stalled = stalled

    def noise(self, noisy: bool = True) -> None:
        """Send noise in place of the film, or the film again."""
        self._noisy = noisy

    def film(self, *, size: tuple[int, int] | None = None, codec: str | None = None) -> None:
        """Go on with another film, under a new program map and other packet identifiers."""
        self._film = size or self._film[0], codec or self._film[1]

    def cut(self) -> None:
        """Break off all connections."""
        with self._changed:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def go_away(self) -> None:
        """Stop listening, and break off all connections; over UDP, stop sending."""
        with self._changed:
            listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`; closing alone does not
            listener.close()
        self.cut()

    def come_back(self) -> None:
        """Listen or send again."""
        if self._transport == "tcp":
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._start(self._accept, self._listener)
        else:
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.connect(("127.0.0.1", self.port))
            self._clients.append(sender)

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            client.settimeout(5)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                if self._listener is not listener:
                    client.close()
                    return
                self.connections += 1
                self._clients.append(client)

    def _encode(self) -> None:
        numbers = itertools.count()
        due = time.monotonic()
        while not self._stopped:
            film = size, codec = self._film
            coarse = np.random.default_rng(7).integers(0, 255, (size[1] // 48 + 1, size[0] // 48 + 1, 3), np.uint8)
            scene = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
            self._version += 1
            options = {
                "flush_packets": "1",
                "pat_period": "0.1",
                "tables_version": str(self._version),
                "mpegts_start_pid": str(0x100 + 16 * self._version),
            }
            with av.open(_Broadcast(self), "w", format="mpegts", options=options) as container:
                fast = {"preset": "ultrafast", "tune": "zerolatency"} if codec == "libx264" else {}
                stream = container.add_stream(codec, rate=self._fps, options=fast)
                stream.width, stream.height = size
                stream.pix_fmt = "yuv420p"
                stream.codec_context.gop_size = self._key_every
                while not self._stopped and self._film == film:
                    due = max(due + 1 / self._fps, time.monotonic() - 1 / self._fps)
                    time.sleep(max(0.0, due - time.monotonic()))
                    stamp(scene, next(numbers), time.monotonic())
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="bgr24")))
                    self.sent += 1

    def _send(self, data: bytes) -> None:
        if self._stalled:
            return
        if self._noisy:
            data = random.randbytes(len(data))
        with self._changed:
            clients = list(self._clients)
        for client in clients:
            try:
                if self._transport == "tcp":
                    client.sendall(data)
                else:
                    for begin in range(0, len(data), _DATAGRAM):
                        with suppress(ConnectionRefusedError):  # nobody listens
                            client.send(data[begin : begin + _DATAGRAM])
            except OSError:
                client.close()
                with self._changed:
                    if client in self._clients:
                        self._clients.remove(client)


class _Broadcast:
    """The file that the film is written to."""

    def __init__(self, server: MpegTsServer) -> None:
        self._send = server._send

    def write(self, data: bytes) -> int:
        """Send it to everyone."""
        self._send(bytes(data))
        return len(data)
