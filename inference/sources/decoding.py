"""From a container to BGR pictures, with PyAV; what video files and streams share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import Flags, InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from framehook.inference.errors import SourceFormatError

# FFmpeg plays plain text as a film of a terminal, and raw bytes as pixels; nobody means that here.
_TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "idf", "adf"})
_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class PictureMaker:
    """Turns decoded frames into upright H x W x 3 uint8 BGR arrays.

    It keeps one scaler. `VideoFrame.to_ndarray(format="bgr24")` sets up a new one for every frame: 0.64 against 0.45 ms for a
    768 x 576 MPEG-4 frame, which is what made PyAV look slower than `cv2.VideoCapture` (0.43 ms; at 960 x 540 H.264 PyAV needs
    1.14 and cv2 1.36 ms).
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray[Any, Any]:
        """Convert one frame; the array is its own, no buffer is reused."""
        # One thread: by itself it wakes one on every core, which costs more than it gains and takes cores from the network.
        converted = self._reformatter.reformat(frame, format="bgr24", interpolation=Interpolation.BICUBIC, threads=1)
        picture = converted.to_ndarray()
        turn = _TURNS.get(quarter_turns(frame))
        return picture if turn is None else cv2.rotate(picture, turn)


def quarter_turns(frame: VideoFrame) -> int:
    """Return by how many quarters (0..3) a frame is to be turned counter-clockwise to stand upright."""
    return round(frame.rotation / 90) % 4


def upright_size(frame: VideoFrame) -> tuple[int, int]:
    """Return (width, height) in pixels of the picture that a frame makes."""
    return (frame.height, frame.width) if quarter_turns(frame) % 2 else (frame.width, frame.height)


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Choose the stream with the film (cover art of a song is none) and have it tell its own times only.

    Raises:
        SourceFormatError: there is none.
    """
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or container.format.name in _TEXT_FORMATS:
        raise SourceFormatError(f"{name} holds no video; pass a video or image file")
    if best.disposition & Disposition.attached_pic:
        raise SourceFormatError(f"{name} holds sound with a cover picture, no video; pass a video or image file")
    # PyAV has FFmpeg make up presentation times where a container has none (AVI, bare pictures): wrong ones, with B-frames.
    container.flags &= ~cast(int, Flags.gen_pts.value)
    return best


def tick_of(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the seconds of one unit of a frame's `pts`, or None where the format tells no times.

    For bare pictures (MJPEG) FFmpeg makes times up, at 25 frames per second.
    """
    return None if container.format.flags & cast(int, av.format.Flags.no_timestamps.value) else stream.time_base


class Decoder:
    """Decodes one stream of an open container, passing over what is damaged.

    Attributes:
        damaged: Number of packets that could not be decoded.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.damaged = 0
        self._container = container
        self._stream = stream

    def __iter__(self) -> Iterator[VideoFrame]:
        failure: av.error.FFmpegError | None = None
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    self.damaged += 1
        except av.error.FFmpegError as error:
            failure = error
        if failure is not None:
            # The packets stop here; pictures that wait in the decoder for their turn are still good.
            with suppress(av.error.FFmpegError):
                yield from self._stream.decode(None)
            raise failure
