"""A real RTSP server (GStreamer's) that sends H.264 of a known size and rate, every frame stamped with its number and time.

It is run by whatever Python has GStreamer's bindings, which on Debian is the system's own; so it imports nothing of ours and no
NumPy:

    python3 server.py --size 320x240 --fps 25 --port 0 [--user me --password secret [--digest]]

prints `port N` when it listens, then `transport ...` for each stream that a client sets up, and ends with its standard input.
The stamps are those of `tests/servers/stamps.py`.
"""

from __future__ import annotations

import argparse
import binascii
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402, F401 - GstApp brings push_buffer

PATH = "/live"
CELL, BITS = 8, 96
BLACK, WHITE = 16, 235  # of video


class Scene:
    """Stamped pictures, as I420 bytes."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        row = bytes(40 + 150 * column // width for column in range(width))
        self._picture = bytearray(row * height + bytes([128]) * (width * height // 2))

    def __call__(self, number: int, sent_at: float) -> bytes:
        body = number.to_bytes(4, "big") + round(sent_at * 1e6).to_bytes(6, "big")
        value = int.from_bytes(body + binascii.crc_hqx(body, 0).to_bytes(2, "big"), "big")
        columns = self._width // CELL
        cells = [WHITE if value >> (BITS - 1 - bit) & 1 else BLACK for bit in range(BITS)]
        for top in range(0, BITS, columns):
            shades = cells[top : top + columns]
            line = b"".join(bytes([shade]) * CELL for shade in shades + [BLACK] * (columns - len(shades)))
            line += bytes([BLACK]) * (self._width - len(line))
            start = top // columns * CELL * self._width
            self._picture[start : start + CELL * self._width] = line * CELL
        return bytes(self._picture)


class Feeder:
    """Feeds one pipeline at the rate of the stream, until it is taken down."""

    def __init__(self, frames: Any, scene: Scene, fps: int) -> None:
        self._frames, self._scene, self._fps = frames, scene, fps
        self._begin = time.monotonic()
        self._number = 0
        self._push()

    def _push(self) -> bool:
        buffer = Gst.Buffer.new_wrapped(self._scene(self._number, time.monotonic()))
        buffer.pts = self._number * Gst.SECOND // self._fps
        buffer.duration = Gst.SECOND // self._fps
        if self._frames.push_buffer(buffer) is Gst.FlowReturn.OK:
            self._number += 1
            wait = self._begin + self._number / self._fps - time.monotonic()
            GLib.timeout_add(max(round(wait * 1000), 0), self._push)
        return GLib.SOURCE_REMOVE


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--port", default="0")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--digest", action="store_true")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))

    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    caps = f"video/x-raw,format=I420,width={width},height={height},framerate={options.fps}/1"
    # A key frame each half second, since a reader shows nothing before the first.
    factory.set_launch(
        f"( appsrc name=frames is-live=true format=time caps={caps} ! openh264enc complexity=low bitrate=4000000 "
        f"gop-size={max(options.fps // 2, 1)} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    factory.set_shared(True)
    factory.set_latency(0)
    scene = Scene(width, height)
    factory.connect(
        "media-configure",
        lambda _, media: Feeder(media.get_element().get_by_name_recurse_up("frames"), scene, options.fps),
    )
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(options.port)
    if options.user:
        protect(server, factory, options)
    server.get_mount_points().add_factory(PATH, factory)
    server.connect("client-connected", lambda _, client: client.connect("setup-request", tell_transport))
    loop = GLib.MainLoop()
    if not server.attach(None):
        sys.exit("cannot listen")
    tell("port", server.get_bound_port())
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


def protect(server: Any, factory: Any, options: argparse.Namespace) -> None:
    """Let in only who knows user name and password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if options.digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)


def tell_transport(_: Any, context: Any) -> None:
    """Tell how a client wants its stream."""
    _, transport = context.request.get_header(GstRtsp.RTSPHeaderField.TRANSPORT, 0)
    tell("transport", transport)


def tell(*words: object) -> None:
    """Print a line for whoever started this server."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
