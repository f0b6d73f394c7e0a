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
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from framehook.inference.callbacks.clock import TICKS
from framehook.inference.callbacks.remux import make_fast_start
from framehook.inference.callbacks.salvage import FRAGMENTED, is_playable, trim
from framehook.inference.errors import RecordingError, one_line
from framehook.inference.saving import way_out

log = logging.getLogger("framehook")

CAPACITY: Final = 8
"""Frames that wait to be encoded at most."""
_KEY_TICKS: Final = TICKS
_LATEST_LIVE_KEY: Final = TICKS * 9 // 10  # nobody knows how long after this picture the next one comes
_LOOKAHEAD_SECONDS: Final = 0.2
_MOST_LOOKAHEAD: Final = 10  # frames; what x264's preset asks for

Picture = npt.NDArray[np.uint8]


class Encoder:
    """Writes H.264 (or MPEG-4 Part 2 where PyAV was built without x264), yuv420p, odd sizes padded by a pixel.

    Whatever the frame rate, there is a key picture at least every second. An MP4 is written in fragments from one key picture
    to the next, each complete in itself, and a fragment reaches the disk when the next begins; Matroska in clusters of a
    second. So of a process that is killed all but the last second can be played, and what waited in the queue, or the last two
    pictures where they are further apart. When it is closed, an MP4 is made an ordinary one with its index in front; where
    that fails, it stays in fragments, and plays. A file of which nothing can be played after an error is removed.
    """

    def __init__(self, path: Path, *, size: tuple[int, int], rate: Fraction, crf: int, live: bool = False) -> None:
        """Open the file.

        Args:
            path: It is overwritten.
            size: (width, height) of the pictures in pixels.
            rate: Frames a second, about; each frame brings its own time.
            crf: Quality, 0 (lossless) to 51; 23 is x264's default.
            live: The rate may be quite wrong, and pictures may stop coming: none is held back to look ahead. That makes the
                file larger, by a fifth or so.

        Raises:
            RecordingError: it cannot be written.
        """
        self.path = path
        #: Bytes of the pictures that were written so far.
        self.written = 0
        self._queue: deque[tuple[Picture, int]] = deque()
        self._changed = threading.Condition()
        self._finishing = False
        self._end: int | None = None
        self._error: Exception | None = None
        self._told = False
        self._begun = False
        self._playable = False
        self._key_at: int | None = None
        self._encoded_at = 0
        self._held: Packet[VideoStream] | None = None
        self._duration = self._step = round(TICKS / rate)
        self._latest_key = _LATEST_LIVE_KEY if live else _KEY_TICKS
        self._packets = 0
        self._fragmented = path.suffix.lower() in FRAGMENTED
        options = {"flush_packets": "1"}
        if self._fragmented:
            # Not `hybrid_fragmented`: it keeps the index of the whole file in memory. Without the trailer, which nobody needs,
            # FFmpeg tells when the last fragment does not fit onto the disk.
            options["movflags"] = "+frag_keyframe+empty_moov+default_base_moof+skip_trailer"
        else:
            options["cluster_time_limit"] = str(_KEY_TICKS * 1000 // TICKS)  # ms; FFmpeg holds back five seconds otherwise
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab"):
                pass  # what cannot be written is told now; the file itself begins with its first picture
            # "file:" keeps a colon in a name from being read as a protocol.
            self._container: OutputContainer = av.open(f"file:{path}", "w", options=options)
        except OSError as error:
            raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error
        try:
            self._stream = _add_stream(self._container, size, rate, crf, live=live)
        except (OSError, ValueError) as error:
            self._container.close()
            raise RecordingError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
        self._thread = threading.Thread(target=self._work, name=f"framehook-record-{path.name}", daemon=True)
        self._thread.start()

    def has_room(self) -> bool:
        """Whether `add` would return at once."""
        return len(self._queue) < CAPACITY

    def is_over(self) -> bool:
        """Whether nothing is left to do: `close` would return at once."""
        return not self._thread.is_alive()

    @property
    def failed(self) -> bool:
        """Whether writing failed, so that the file is not what was asked for."""
        return self._error is not None

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

    def finish(self, end: int | None = None) -> None:
        """Let the thread encode what waits and close the file; returns at once.

        Args:
            end: When the last picture ends, in ticks; None where it lasts as long as the one before it.
        """
        with self._changed:
            if not self._finishing:
                self._finishing = True
                self._end = end
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
                self._encode(*taken)
            if self._begun:
                for packet in self._stream.encode(None):
                    self._mux(packet)
                self._mux(None)
            self._container.close()
            if not self._begun and self.path.stat().st_size == 0:
                self.path.unlink()
            elif not self.path.exists():
                raise FileNotFoundError("it was removed while it was written")
            elif self._begun and self._fragmented:
                self._make_fast_start()
        except Exception as error:  # noqa: BLE001 - handed to the thread that records, which raises it
            self._fail(error)

    def _encode(self, planes: Picture, ticks: int) -> None:
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        picture.pts, picture.time_base = ticks, Fraction(1, TICKS)
        # The next picture will probably come as long after this one as this one after the one before, or as the rate says.
        since = None if self._key_at is None else ticks - self._key_at
        if since is None or since > self._latest_key or since + max(ticks - self._encoded_at, self._step) > _KEY_TICKS:
            picture.pict_type = PictureType.I
            self._key_at = ticks
        self._encoded_at = ticks
        for packet in self._stream.encode(picture):
            self._mux(packet)

    def _mux(self, packet: Packet[VideoStream] | None) -> None:
        """Write the packet before this one, whose duration is known now; None after the last."""
        held, self._held = self._held, packet
        if held is None or held.pts is None:
            return
        end = self._end if packet is None else packet.pts
        if end is not None and end > held.pts:
            self._duration = end - held.pts
        held.duration = self._duration
        self.written += held.size
        self._packets += 1
        self._container.mux(held)

    def _make_fast_start(self) -> None:
        try:
            make_fast_start(self.path, kind=self._container.format.name, packets=self._packets)
        except RecordingError:
            raise  # frames are missing in what was written
        except Exception as error:  # noqa: BLE001 - the recording is whole already
            log.warning("%s can be played, but stays in fragments: %s", self.path, one_line(error))

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


@functools.cache
def _codec() -> str:
    try:
        return av.codec.Codec("libx264", "w").name
    except av.codec.codec.UnknownCodecError:
        log.warning("PyAV was built without x264; recordings are MPEG-4 Part 2, which browsers do not play")
        return "mpeg4"


def _add_stream(container: OutputContainer, size: tuple[int, int], rate: Fraction, crf: int, *, live: bool) -> VideoStream:
    codec = _codec()
    if codec == "libx264":
        # Without B-frames pictures leave the encoder in their order, and times are exact in every kind of file.
        options = {"preset": "veryfast", "crf": str(crf), "bf": "0", "forced-idr": "1"}
        if live:
            options["tune"] = "zerolatency"
        else:
            options["rc-lookahead"] = str(min(int(rate * _LOOKAHEAD_SECONDS), _MOST_LOOKAHEAD))
    else:
        options = {"qscale": str(max(crf // 5, 1))}
    stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
    context = stream.codec_context
    context.width, context.height = (side + side % 2 for side in size)
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, TICKS)
    context.gop_size = 250  # pictures at most; what counts is time
    # What cv2 converts to; players guess otherwise, differently for large pictures.
    context.colorspace = Colorspace.SMPTE170M
    context.color_range = ColorRange.MPEG
    return stream


def _to_yuv(image: Picture) -> Picture:
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    return cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)  # type: ignore[return-value]
