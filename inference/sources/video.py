"""Video files: every frame, its true time, and seeking to the very frame shown at a time.

They are read with PyAV: its frames carry their own timestamps, it seeks by the file's index, and it writes nothing to stderr.
With `cv2.VideoCapture` (5.0) the times are right, too, but a seek counts frames at the nominal rate: in a Matroska file with a
variable rate it landed 20 frames off, in MPEG-TS it could not find the first twelve frames again; and it is not faster
(`PictureMaker`).
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from framehook.inference.errors import FramehookError, SeekError, SourceError, SourceFormatError, SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.addresses import redacted, short_name
from framehook.inference.sources.base import Source, unique_id
from framehook.inference.sources.decoding import Decoder, PictureMaker, tick_of, upright_size, video_stream

_log = logging.getLogger("framehook")
_SHORT = 0.9  # a file that ends before this share of its announced length is reported
_STEPS_BACK = (0.0, 1.0, 4.0, 16.0)  # s; where an index leads past the wanted frame, start further ahead of it


class VideoSource(Source):
    """A video file or an animated GIF, on disk or behind an HTTP address.

    The first frame is decoded on opening, so that what cannot be played fails at once and `info.size` is true. Rotation that
    the file notes is applied. Times count from the first frame.
    """

    def __init__(self, location: str | Path, *, open_timeout: float | None = None, read_timeout: float | None = None) -> None:
        """Open a file.

        Args:
            location: A path, or the URL of a file.
            open_timeout: For URLs: seconds until the film must be open.
            read_timeout: For URLs: seconds of silence until reading fails.

        Raises:
            SourceFormatError: it is no video, or no frame of it can be decoded.
            SourceUnavailableError: the server does not answer.
        """
        self._location = str(location)
        remote = "://" in self._location
        self.may_block = remote
        # PyAV allows the first time-out twice: to connect, and to look into the file.
        self._timeouts = (open_timeout / 2 if open_timeout else None, read_timeout) if remote else None
        self._path = redacted(self._location) if remote else self._location
        self._name = short_name(self._location) if remote else Path(self._location).name
        self._picture = PictureMaker()
        self._index = 0
        self._segment = 0
        self._closed = False
        self._reported = False
        self._ready: deque[VideoFrame] = deque()  # decoded, and next to be read
        self._open()
        try:
            first = self._next()
            if first is None:
                raise SourceFormatError(f"{self._path} holds no frame that can be decoded; it is damaged or incomplete")
        except BaseException:
            self.close()
            raise
        self._ready.append(first)
        self._zero = first.pts if tick_of(self._container, self._stream) is not None else None
        self._end = 0.0
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate
        length = self._announced_length()
        still = self._container.format.name.endswith("_pipe")  # jpeg_pipe and the like: a picture behind a URL
        self.seekable = self._zero is not None and length is not None
        self.info = SourceInfo(
            id=unique_id(self._name),
            name=self._name,
            path=self._path,
            kind=SourceKind.IMAGE if still else SourceKind.VIDEO,
            size=upright_size(first),
            fps=float(rate) if rate and not still else None,
            frame_count=1 if still else stream.frames or (round(length * rate) if length and rate else None) or None,
        )

    def read(self) -> Frame | None:
        frame = self._take()
        if frame is None:
            return None
        captured_at = time.monotonic()
        pts = self._time_of(frame)
        picture = self._picture(frame)
        self._index += 1
        return Frame.of(
            picture, index=self._index - 1, source=self.info, pts=pts, captured_at=captured_at, segment=self._segment
        )

    def skip(self) -> SourceInfo | None:
        if self._take() is None:
            return None
        self._index += 1
        return self.info

    def seek(self, seconds: float) -> None:
        if not self.seekable or self._closed:
            raise SeekError(f"{self._name} cannot seek; it carries no times")
        if not math.isfinite(seconds):
            raise SeekError(f"cannot seek to {seconds} s in {self._name}; pass seconds from its start")
        # A thousandth of a tick forgives the rounding of times that went through a float.
        target = cast(int, self._zero) + math.floor(max(seconds, 0.0) / self._tick + 1e-3)
        self._ready.clear()
        shown = self._start_before(target)
        following = self._next()
        while following is not None and (following.pts is None or following.pts <= target):
            shown, following = following, self._next()
        self._ready.extend(frame for frame in (shown, following) if frame is not None)
        self._segment += 1

    def close(self) -> None:
        self._closed = True
        self._shut()

    def _open(self) -> None:
        self._container = self._opened()
        try:
            self._stream = video_stream(self._container, self._path)
            self._stream.thread_type = "AUTO"
        except FramehookError:
            self._container.close()
            raise
        self._tick = cast(Fraction, self._stream.time_base)
        self._last: int | None = None
        self._decoder = Decoder(self._container, self._stream)
        self._frames: Iterator[VideoFrame] = iter(self._decoder)

    def _opened(self) -> InputContainer:
        try:
            return av.open(self._location, timeout=self._timeouts)
        except av.error.FFmpegError as error:
            failure = self._failure(error)
        raise failure  # outside of `except`: the original holds the whole URL, password included

    def _shut(self) -> None:
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()  # before its container
        self._container.close()

    def _failure(self, error: Exception) -> SourceError:
        reason = str(getattr(error, "strerror", "") or type(error).__name__)
        if self._timeouts is not None and not isinstance(error, av.error.InvalidDataError):
            return SourceUnavailableError(f"{self._path} cannot be read ({reason}); check the address and the network")
        if isinstance(error, PermissionError):
            return SourceError(f"{self._path} cannot be read ({reason})")
        return SourceFormatError(f"{self._path} is no video that can be read ({reason}); it is damaged or of another kind")

    def _next(self) -> VideoFrame | None:
        frame: VideoFrame | None = None
        failure: SourceError | None = None
        try:
            frame = next(self._frames, None)
        except av.error.InvalidDataError:
            return None  # the container breaks off here; the frames before it count
        except av.error.FFmpegError as error:
            failure = self._failure(error)
        if failure is not None:
            raise failure  # outside of `except`, as above
        if frame is not None:
            if frame.pts is None:
                frame.pts = self._decoding_time(frame)
            self._last = frame.pts
        return frame

    def _decoding_time(self, frame: VideoFrame) -> int | None:
        """The time, in ticks, of a frame of a container that notes only in which order to decode.

        A decoder gives one picture for each packet, late by a constant number of packets, so that the decoding times of the
        packets are the times of the pictures but for a shift; the last few pictures come without a packet.
        """
        rate = self._stream.average_rate
        if frame.dts is not None or self._last is None or not rate:
            return frame.dts
        return self._last + round(1 / (rate * self._tick))

    def _take(self) -> VideoFrame | None:
        if self._closed:
            return None
        frame = self._ready.popleft() if self._ready else self._next()
        if frame is None:
            self._report_end()
        else:
            self._end = self._end_of(frame)
        return frame

    def _start_before(self, target: int) -> VideoFrame | None:
        """Move to a frame at or before a time in ticks, by the file's index or else from the start of the file."""
        for back in _STEPS_BACK:
            begin = target - round(back / self._tick)
            if begin < cast(int, self._zero):
                break
            self._frames = iter(())
            self._last = None
            try:
                self._container.seek(begin, stream=self._stream)
            except av.error.FFmpegError:
                break  # this format has no index (GIF)
            self._frames = iter(self._decoder)
            frame = self._next()
            if frame is not None and frame.pts is not None and frame.pts <= target:
                return frame
        self._shut()
        self._open()
        return self._next()

    def _time_of(self, frame: VideoFrame) -> float | None:
        return None if frame.pts is None or self._zero is None else float((frame.pts - self._zero) * self._tick)

    def _end_of(self, frame: VideoFrame) -> float:
        begin = self._time_of(frame)
        if begin is None:
            return self._end
        rate = self._stream.average_rate
        length = float(frame.duration * self._tick) if frame.duration else float(1 / rate) if rate else 0.0
        return max(self._end, begin + length)

    def _announced_length(self) -> float | None:
        """Seconds the file says it lasts, from its first frame, or None where it does not say."""
        stream, container = self._stream, self._container
        if stream.duration:
            return float(stream.duration * self._tick)
        if container.duration is None or container.duration <= 0:
            return None
        start = container.start_time if "matroska" in container.format.name and container.start_time else 0
        return float(container.duration - start) / av.time_base

    def _report_end(self) -> None:
        if self._reported:
            return
        self._reported = True
        # Where several streams share one length, it may be that of a longer sound track.
        alone = bool(self._stream.duration) or len(self._container.streams) == 1
        announced = self._announced_length() if alone and self._zero is not None else None
        rate = self._stream.average_rate
        if self._zero is not None and rate and self._container.format.name == "avi":
            # FFmpeg shortens the length of an AVI file that was cut off, but not the number of frames in its header.
            announced = max(announced or 0.0, float(self._stream.frames / rate))
        damaged = self._decoder.damaged
        if announced is not None and self._end < _SHORT * announced:
            _log.warning("%s ends after %.2f s of %.2f s; it is damaged or incomplete", self._path, self._end, announced)
        elif damaged:
            _log.warning("%s is damaged: %d of its frames could not be decoded", self._path, damaged)
