"""Motion JPEG over HTTP: pictures one after another, each with a few lines of text ahead of it.

FFmpeg plays that, too, but where the text does not tell the length of the pictures, as the servers that many people write
themselves do not, it sees the end of one only when the next begins: a frame too late, 200 ms at 5 a second. JPEG pictures tell
themselves where they end. (FFmpeg still connects, logs in, decrypts and decodes.)
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

_START = b"\xff\xd8\xff"
_DATA, _END, _NEXT = 0xDA, 0xD9, 0xD8
# In compressed data these are no markers: the byte itself (followed by 0), restarts, and filling.
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
_OPENINGS = (b"--", b"content-")
_HEAD = 4096
PICTURE_AT_MOST = 64 << 20
"""Bytes among which a picture must end."""
_BEHIND_SECONDS = 0.5
_WAITED = 0.001  # s; bytes that are there already come sooner
_HURRY_SECONDS = 0.5  # what waits is looked through much faster than it comes


def opens_multipart(head: bytes) -> bool | None:
    """Tell by the first bytes of a body whether it is one of parts with text ahead of each; None for not clear yet.

    Whatever is in the parts: FFmpeg, which would play other pictures, too, is not to be asked. It believes the length that is
    announced of a part, and takes that much memory before a byte of it has come.
    """
    text = head.lstrip(b"\r\n").lower()
    if any(text.startswith(opening) for opening in _OPENINGS):
        return True
    return None if len(head) < _HEAD and any(opening.startswith(text) for opening in _OPENINGS) else False


class JpegSplitter:
    """Finds the pictures in a flow of bytes.

    A picture is a chain of segments, which tell their lengths, and of compressed data, in which a marker ends it; so what looks
    like a picture in noise, or inside of a picture, is not taken for one.

    Attributes:
        damaged: How many were begun and never ended.
    """

    def __init__(self) -> None:
        self.damaged = 0
        self._data = bytearray()
        self._at = 0  # what is before it was looked at
        self._begin: int | None = None  # of the picture under way
        self._compressed = False  # whether compressed data is looked through, not segments

    def feed(self, data: bytes) -> list[bytes]:
        """Add what arrived; return the pictures that are complete with it."""
        self._data += data
        pictures: list[bytes] = []
        while self._step(pictures):
            pass
        done = self._at if self._begin is None else self._begin
        del self._data[:done]
        self._at -= done
        self._begin = None if self._begin is None else 0
        if len(self._data) > PICTURE_AT_MOST:
            self._drop(at=len(self._data))
        return pictures

    def _step(self, pictures: list[bytes]) -> bool:
        """Go on to the next marker, if it is there."""
        data = self._data
        if self._begin is None:
            begin = data.find(_START, self._at)
            if begin < 0:
                self._at = max(self._at, len(data) - len(_START) + 1)
                return False
            self._begin, self._at, self._compressed = begin, begin + 2, False
        if self._compressed:
            found = _MARKER.search(data, self._at)
            if found is None:
                self._at = max(self._at, len(data) - 1)
                return False
            self._at = found.start()
        at = self._at
        if len(data) < at + 2:
            return False
        kind = data[at + 1]
        if data[at] != 0xFF:
            self._drop(at=self._begin + 2)
        elif kind == 0xFF:  # filling
            self._at += 1
        elif kind == _END:
            pictures.append(bytes(data[self._begin : at + 2]))
            self._begin, self._at = None, at + 2
        elif kind == _NEXT:
            # Some cameras leave out the end; then there is the text of the next part. Otherwise the picture was cut off.
            rest = data.rfind(b"\n--", self._begin, at)
            if rest > 0:
                pictures.append(bytes(data[self._begin : rest]))
                self._begin, self._at = None, at
            else:
                self._drop(at=at)
        elif len(data) < at + 4:
            return False
        else:
            self._at = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            self._compressed = kind == _DATA
        return True

    def _drop(self, *, at: int) -> None:
        self.damaged += 1
        self._begin, self._at = None, at


class JpegDecoder:
    """Decodes the pictures in packets of bytes; those that wait in line while it cannot keep up are passed over.

    Their times are not told, so that they would be taken for new however long they waited. A picture that had to be waited for,
    and ends in a packet that is not full, has nothing behind it. Where none such has come for a while, all are dropped until
    one comes. A sender that is never caught up with has no pace of its own, and is left as it is.

    Attributes:
        skipped: Number of pictures that were passed over.
        waited: Seconds that passed in waiting for packets since the last picture; whoever waits for them adds to it.
    """

    def __init__(self, full: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a decoder of packets of at most `full` bytes; `clock` tells the time in seconds."""
        self.skipped = 0
        self.waited = 0.0
        self._full = full
        self._clock = clock
        self._splitter = JpegSplitter()
        self._codec = VideoCodecContext.create("mjpeg", "r")
        self._codec.thread_type = "SLICE"  # threads of whole frames would hold back as many frames as there are threads
        self._undecodable = 0
        self._behind_since: float | None = None
        self._hurry_since: float | None = None
        self._paced = True

    @property
    def damaged(self) -> int:
        """How many pictures could not be decoded, or never ended."""
        return self._splitter.damaged + self._undecodable

    def decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """Return the frames that are complete with this packet; None at the end of them."""
        if packet is None:
            return []
        found = self._splitter.feed(bytes(packet))
        pictures = self._timely(found, packet.size >= self._full)
        self.skipped += len(found) - len(pictures)
        frames: list[VideoFrame] = []
        for picture in pictures:
            try:
                frames += self._codec.decode(Packet(picture))
            except av.error.FFmpegError:
                self._undecodable += 1
        return frames

    def _timely(self, pictures: list[bytes], full: bool) -> list[bytes]:
        """Return those pictures of a packet that are not passed over."""
        if not pictures:
            return pictures
        now = self._clock()
        waited, self.waited = self.waited, 0.0
        if waited >= _WAITED and not full:
            caught_up = self._hurry_since is not None
            self._behind_since = self._hurry_since = None
            return pictures[-1:] if caught_up else pictures
        if self._behind_since is None:
            self._behind_since = now
        if not self._paced or now - self._behind_since < _BEHIND_SECONDS:
            return pictures
        if self._hurry_since is None:
            self._hurry_since = now
        self._paced = now - self._hurry_since < _HURRY_SECONDS
        return [] if self._paced else pictures
