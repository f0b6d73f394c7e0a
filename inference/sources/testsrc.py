"""A generated moving scene whose frames carry their number in the pixels: for trying things out, and for tests."""

from __future__ import annotations

import math
import re
import threading
import time
from typing import Any

import cv2
import numpy as np

from framehook.inference.errors import FrameError, OptionError, SeekError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id

GRAMMAR = "testsrc[:WIDTHxHEIGHT][@FPS][:FRAMES][:live]"
_SPEC = re.compile(
    r"testsrc(?::(?P<width>\d+)x(?P<height>\d+))?(?:@(?P<fps>\d+(?:\.\d+)?))?(?::(?P<frames>\d+))?(?P<live>:live)?",
    re.IGNORECASE,
)
_BITS = 32
_SMALLEST, _LARGEST = (64, 48), (8192, 8192)  # pixels; two for each bit of the number


class TestSource(Source):
    """Discs and a bar that move over a shaded ground, with the frame's number written out and as a strip of bits.

    Every pixel follows from size, rate and index alone. As a file it is as fast as asked for, its times are exact, and it can
    seek if it has a length. Live, it comes at its rate by the monotonic clock, and a reader that is late makes it run late:
    every number is delivered, but never in a burst.
    """

    __test__ = False  # not a test for pytest to collect

    def __init__(
        self, *, size: tuple[int, int] = (640, 480), fps: float = 30.0, frames: int | None = None, live: bool = False
    ) -> None:
        """Make a scene.

        Args:
            size: (width, height) in pixels, 64 x 48 at least.
            fps: Frames per second.
            frames: Number of frames, or None for an endless scene.
            live: Whether frames come at their rate, rather than as fast as asked for.

        Raises:
            OptionError: a value out of range.
        """
        width, height = size
        if not (_SMALLEST[0] <= width <= _LARGEST[0] and _SMALLEST[1] <= height <= _LARGEST[1]):
            raise OptionError(f"a test scene of {width} x {height} is not possible; 64 x 48 to 8192 x 8192 pixels are")
        if not (math.isfinite(fps) and fps > 0):
            raise OptionError(f"a test scene of {fps} frames per second is not possible; pass a number above 0")
        if frames is not None and frames < 1:
            raise OptionError(f"a test scene of {frames} frames is not possible; pass 1 or more, or None for an endless one")
        self.endless = frames is None
        self.seekable = frames is not None and not live
        self.info = SourceInfo(
            id=unique_id("testsrc"),
            name="testsrc",
            path=f"testsrc:{width}x{height}@{fps:g}" + (f":{frames}" if frames else "") + (":live" if live else ""),
            kind=SourceKind.TEST,
            live=live,
            size=(width, height),
            fps=float(fps),
            frame_count=frames,
        )
        self._ground = _ground(width, height)
        self._fps = fps
        self._frames = frames
        self._position = 0
        self._index = 0
        self._segment = 0
        self._stopped = threading.Event()
        self._start: float | None = None
        self._due = 0.0

    @classmethod
    def from_spec(cls, spec: str, *, size: tuple[int, int] | None = None, fps: float | None = None) -> TestSource:
        """Make a scene from `testsrc[:WIDTHxHEIGHT][@FPS][:FRAMES][:live]`; `size` and `fps` stand in where it is silent.

        Raises:
            OptionError: the text is of another form, or a value is out of range.
        """
        match = _SPEC.fullmatch(spec.strip())
        if match is None:
            raise OptionError(f"'{spec}' is no test scene; write {GRAMMAR}, such as testsrc:640x480@30:100 or testsrc@30:live")
        width, height = size or (640, 480)
        return cls(
            size=(int(match["width"] or width), int(match["height"] or height)),
            fps=float(match["fps"] or fps or 30.0),
            frames=int(match["frames"]) if match["frames"] else None,
            live=match["live"] is not None,
        )

    def read(self) -> Frame | None:
        pts = self._advance()
        if pts is None:
            return None
        captured_at = time.monotonic()
        picture = _draw(self._ground, self._position - 1, self._fps)
        return Frame.of(
            picture, index=self._index - 1, source=self.info, pts=pts, captured_at=captured_at, segment=self._segment
        )

    def skip(self) -> SourceInfo | None:
        return None if self._advance() is None else self.info

    def seek(self, seconds: float) -> None:
        if not self.seekable or self._frames is None:
            raise SeekError(f"{self.info.path} cannot seek; a test scene with a number of frames that is not live can")
        if not math.isfinite(seconds):
            raise SeekError(f"cannot seek to {seconds} s in {self.info.path}; pass seconds from its start")
        # The rounding of a time that went through a float must not lead to the frame before.
        position = math.floor(max(seconds, 0.0) * self._fps + 1e-6)
        self._position = min(position, self._frames - 1)
        self._segment += 1

    def interrupt(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()

    def _advance(self) -> float | None:
        """Wait for the next frame if need be, and return its time in seconds; None at the end."""
        if self._stopped.is_set() or (self._frames is not None and self._position >= self._frames):
            return None
        pts = self._position / self._fps
        if self.info.live:
            now = time.monotonic()
            if self._start is None:
                self._start = self._due = now
            elif now < self._due:
                if self._stopped.wait(self._due - now):
                    return None
            elif now - self._due > 1 / self._fps:
                self._due = now
            pts = self._due - self._start
            self._due += 1 / self._fps
        self._position += 1
        self._index += 1
        return pts


def frame_number(image: np.ndarray[Any, Any]) -> int:
    """Read the number of a test scene's frame from its pixels; it survives video compression.

    Args:
        image: H x W x 3 uint8, of the scene's own size.

    Returns:
        The position of the frame in the scene, from 0, modulo 2 to the 32nd.

    Raises:
        FrameError: the picture is too small to be of a test scene.
    """
    height, width = image.shape[:2]
    if width < _SMALLEST[0] or height < _SMALLEST[1]:
        raise FrameError(f"a picture of {width} x {height} is of no test scene; those have 64 x 48 pixels at least")
    cell, strip = _cell(width, height)
    middles = np.asarray(image)[strip // 2, cell // 2 : cell * _BITS : cell].mean(axis=-1) > 127
    return int((middles.astype(np.uint64) << np.arange(_BITS, dtype=np.uint64)).sum())


def _cell(width: int, height: int) -> tuple[int, int]:
    return width // _BITS, max(4, height // 24)


def _ground(width: int, height: int) -> np.ndarray[Any, Any]:
    across = np.linspace(40, 110, width, dtype=np.float32)[np.newaxis, :]
    down = np.linspace(30, 100, height, dtype=np.float32)[:, np.newaxis]
    planes = (across + 0 * down, down + 0 * across, (across + down) / 2)
    return np.stack(planes, axis=-1).astype(np.uint8)


def _draw(ground: np.ndarray[Any, Any], number: int, fps: float) -> np.ndarray[Any, Any]:
    image = ground.copy()
    height, width = image.shape[:2]
    cell, strip = _cell(width, height)
    seconds = number / fps
    radius = max(4, min(width, height) // 12)
    for speed, phase, color in ((0.11, 0.0, (60, 180, 250)), (0.17, 0.4, (90, 220, 90)), (0.23, 0.7, (240, 140, 70))):
        x = radius + round((width - 2 * radius) * _to_and_fro(seconds * speed + phase))
        y = strip + radius + round((height - strip - 2 * radius) * _to_and_fro(seconds * speed * 1.7 + phase * 2))
        cv2.circle(image, (x, y), radius, color, cv2.FILLED)
    bar = round((width - radius) * ((seconds * 0.2) % 1.0))
    image[height - radius // 2 :, bar : bar + radius] = (230, 230, 230)
    scale = height / 480
    cv2.putText(
        image,
        str(number),
        (width // 20, height // 2),
        cv2.FONT_HERSHEY_SIMPLEX,
        2 * scale,
        (255, 255, 255),
        max(1, round(4 * scale)),
    )
    bits = (number >> np.arange(_BITS, dtype=np.int64) & 1).astype(np.uint8) * 255
    image[:strip, : cell * _BITS] = np.repeat(bits, cell)[np.newaxis, :, np.newaxis]
    return image


def _to_and_fro(phase: float) -> float:
    return abs(phase % 2.0 - 1.0)
