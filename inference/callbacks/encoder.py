"""One video file, encoded on a thread of its own."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from framehook.inference.errors import RecordingError
from framehook.inference.saving import way_out

log = logging.getLogger("framehook")

TICKS: Final = 60_000
"""The clock of every file: ticks a second. Exact for 24, 25, 30, 29.97 and milliseconds, and no more than MPEG-4 can count."""
CAPACITY: Final = 8
"""Frames that wait to be encoded at most."""
_KEYFRAME_SECONDS: Final = 2
_FRAGMENTED: Final = (".mp4", ".m4v", ".mov")

Picture = npt.NDArray[np.uint8]


class Encoder:
    """Writes H.264 (or MPEG-4 Part 2 where PyAV was built without x264), yuv420p, odd sizes padded by a pixel.

    An MP4 is written in fragments of two seconds, each complete in itself, and made an ordinary MP4 when it is closed. A
    fragment reaches the disk when the next begins: of a process that is killed, all but the last two to four seconds can be
    played, and nothing where it ran for less. A file of which nothing can be played after an error is removed.
    """

    def __init__(self, path: Path, *, size: tuple[int, int], rate: Fraction, crf: int) -> None:
        """Open the file.

        Args:
            path: It is overwritten.
            size: (width, height) of the pictures in pixels.
            rate: Frames a second, about; each frame brings its own time.
            crf: Quality, 0 (lossless) to 51; 23 is x264's default.

        Raises:
            RecordingError: it cannot be written.
        """
        self.path = path
        self._queue: deque[tuple[Picture, int]] = deque()
        self._changed = threading.Condition()
        self._finishing = False
        self._error: Exception | None = None
        self._told = False
        self._begun = False
        self._playable = False
        options = {"flush_packets": "1"}
        if path.suffix.lower() in _FRAGMENTED:
            options["movflags"] = "+hybrid_fragmented+frag_keyframe"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):
                pass  # what cannot be written is told now; the file itself begins with its first picture
            # "file:" keeps a colon in a name from being read as a protocol.
            self._container: OutputContainer = av.open(f"file:{path}", "w", options=options)
        except OSError as error:
            raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error
        try:
            self._stream = _add_stream(self._container, size, rate, crf)
        except (OSError, ValueError) as error:
            self._container.close()
            raise RecordingError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
        self._thread = threading.Thread(target=self._work, name=f"framehook-record-{path.name}", daemon=True)
        self._thread.start()

    def has_room(self) -> bool:
        """Whether `add` would return at once."""
        return len(self._queue) < CAPACITY

    def add(self, image: Picture, ticks: int) -> None:
        """Hand over a picture; waits while the queue is full.

        It is converted before this returns and may be drawn on afterwards.

        Args:
            image: H x W x 3 uint8 BGR, of the size the file was opened with.
            ticks: Its time, later than that of the picture before.

        Raises:
            RecordingError: writing failed; raised once.
        """
        with self._changed:
            self._raise_once()
            if self._error is not None:
                return
        planes = _to_yuv(image)
        if not self._begun:
            # Not before: FFmpeg crashes on the end of a fragmented file that was begun and got no picture.
            try:
                self._container.start_encoding()
                self._begun = True
            except (OSError, ValueError) as error:
                self._fail(error)
        with self._changed:
            while len(self._queue) >= CAPACITY and self._error is None:
                self._changed.wait()
            self._raise_once()
            if self._error is None:
                self._queue.append((planes, ticks))
                self._changed.notify_all()

    def finish(self) -> None:
        """Let the thread encode what waits and close the file; returns at once."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Finish, and wait until the file is complete.

        Raises:
            RecordingError: writing failed, and nobody was told yet.
        """
        self.finish()
        self._thread.join()
        self._raise_once()

    def _raise_once(self) -> None:
        if self._error is not None and not self._told:
            self._told = True
            reason = getattr(self._error, "strerror", None) or str(self._error) or type(self._error).__name__
            rest = "; what was written until then can be played" if self._playable else ""
            raise RecordingError(f"{self.path} could not be written on: {reason}{rest}{way_out(self._error)}") from self._error

    def _work(self) -> None:
        try:
            while (taken := self._take()) is not None:
                planes, ticks = taken
                picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
                self._container.mux(self._stream.encode(picture))
            if self._begun:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if not self._begun and self.path.stat().st_size == 0:
                self.path.unlink()
            elif not self.path.exists():
                raise FileNotFoundError("it was removed while it was written")
        except Exception as error:  # noqa: BLE001 - handed to the thread that records, which raises it
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Close the file, keep of it what can be played, and note the error for whoever records."""
        if self._error is None:
            with contextlib.suppress(Exception):
                self._container.close()
            with contextlib.suppress(Exception):  # whatever happens, the thread that records must hear of the first
                trim(self.path)
                self._playable = is_playable(self.path)
                if not self._playable:
                    self.path.unlink()
            with self._changed:
                self._error = error
                self._queue.clear()
                self._changed.notify_all()

    def _take(self) -> tuple[Picture, int] | None:
        with self._changed:
            while not self._queue:
                if self._finishing:
                    return None
                self._changed.wait()
            self._changed.notify_all()
            return self._queue.popleft()


def trim(path: Path) -> None:
    """Cut a broken fragmented MP4 after its last complete fragment, so that no player stumbles over the rest.

    Raises:
        OSError: it cannot be read or written.
    """
    if path.suffix.lower() not in _FRAGMENTED:
        return
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        start, complete = 0, 0
        while start + 8 <= end:
            file.seek(start)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8 or start + length > end:
                break
            start += length
            if kind != b"moof":  # it is worth nothing without the pictures that follow it
                complete = start
        if complete:
            file.truncate(complete)


def is_playable(path: Path) -> bool:
    """Whether a video has at least one picture that can be decoded."""
    try:
        with av.open(f"file:{path}") as container:
            return next(container.decode(video=0), None) is not None
    except (OSError, ValueError, IndexError, EOFError):
        return False


@functools.cache
def _codec() -> str:
    try:
        return av.codec.Codec("libx264", "w").name
    except av.codec.codec.UnknownCodecError:
        log.warning("PyAV was built without x264; recordings are MPEG-4 Part 2, which browsers do not play")
        return "mpeg4"


def _add_stream(container: OutputContainer, size: tuple[int, int], rate: Fraction, crf: int) -> VideoStream:
    codec = _codec()
    # Without B-frames pictures leave the encoder in their order, and times are exact in every kind of file.
    options = {"preset": "veryfast", "crf": str(crf), "bf": "0"} if codec == "libx264" else {"qscale": str(max(crf // 5, 1))}
    stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
    context = stream.codec_context
    context.width, context.height = (side + side % 2 for side in size)
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, TICKS)
    context.gop_size = max(1, min(round(rate * _KEYFRAME_SECONDS), 250))
    # What cv2 converts to; players guess otherwise, differently for large pictures.
    context.colorspace = Colorspace.SMPTE170M
    context.color_range = ColorRange.MPEG
    return stream


def _to_yuv(image: Picture) -> Picture:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)  # type: ignore[return-value]
