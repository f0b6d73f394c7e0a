"""A captured frame, and the one door through which arrays become frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import cv2
import numpy as np

from framehook.inference.errors import FrameError, ReadOnlyFrameError


class SourceKind(StrEnum):
    """What a source is made of; decides how results of it are saved."""

    VIDEO = "video"
    IMAGE = "image"
    CAMERA = "camera"
    STREAM = "stream"
    SCREEN = "screen"
    ARRAY = "array"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its first frame.

    Attributes:
        id: Unique within a run; per-source state (trackers, ledger, recordings) is kept under it.
        name: Short name for people: a file name, `camera 0`, a URL without credentials.
        path: What results carry as `path`: a full file path, or the URL without credentials.
        kind: What it is made of.
        live: True where frames that nobody takes are lost (cameras, streams); False for files, where every frame is delivered.
        size: (width, height) in pixels, or None when unknown before the first frame.
        fps: Nominal frames per second, or None when unknown or meaningless.
        frame_count: Number of frames announced by a file (may be wrong), or None for endless and unknown ones.
    """

    id: str
    name: str
    path: str
    kind: SourceKind
    live: bool = False
    size: tuple[int, int] | None = None
    fps: float | None = None
    frame_count: int | None = None

    @property
    def group(self) -> str:
        """What its frames are counted and followed under: its id, or `pictures` for the picture files of a run together."""
        return "pictures" if self.kind is SourceKind.IMAGE else self.id


class FrameImage(np.ndarray[Any, np.dtype[np.uint8]]):
    """The pixels of a captured frame: an array that explains itself when it is written to.

    Whatever is computed from it is a plain `numpy.ndarray`.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if not self.flags.writeable:
            raise ReadOnlyFrameError(READ_ONLY)
        super().__setitem__(key, value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.get("out", ())
        if any(isinstance(array, FrameImage) and not array.flags.writeable for array in out):
            raise ReadOnlyFrameError(READ_ONLY)
        if out:
            kwargs["out"] = tuple(_plain(array) for array in out)
        return getattr(ufunc, method)(*map(_plain, inputs), **kwargs)


READ_ONLY = "captured frames are read-only; draw on result.canvas, or take a copy with np.array(frame.image)"


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, FrameImage) else value


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One captured picture and where it comes from.

    Attributes:
        image: H x W x 3 uint8 BGR pixels, read-only.
        index: Counts every captured frame of its source from 0, those later dropped included.
        source: The source it comes from.
        pts: Media time in seconds from the start of the source, or None where the source has no clock (arrays, images).
        captured_at: `time.monotonic()` seconds at which the frame was captured.
        segment: Counts the uninterrupted stretches of the source; it changes after a seek or a reconnection, when whatever
            follows motion (trackers, trails) starts afresh.
    """

    image: FrameImage = field(repr=False)
    index: int
    source: SourceInfo
    pts: float | None
    captured_at: float
    segment: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @classmethod
    def of(
        cls,
        pixels: Any,
        *,
        index: int,
        source: SourceInfo,
        pts: float | None,
        captured_at: float,
        segment: int = 0,
    ) -> Self:
        """Make a frame of anything `as_image` takes."""
        return cls(as_image(pixels), index, source, pts, captured_at, segment)


def as_image(pixels: Any) -> FrameImage:
    """View or convert an array as a read-only H x W x 3 uint8 BGR image.

    Grey (H x W or H x W x 1) is spread over three channels and the alpha of BGRA (H x W x 4) is dropped. A contiguous BGR
    array is viewed, not copied; the caller's own array stays writable.

    Raises:
        FrameError: the array is empty, not uint8, or of another shape.
    """
    array = np.asarray(pixels)
    if array.dtype != np.uint8:
        raise FrameError(
            f"an image of dtype {array.dtype} cannot be used; pass uint8 pixels, 0..255 "
            "(for floats 0..1: (image * 255).astype(np.uint8))"
        )
    if array.size == 0:
        raise FrameError(f"an image of shape {array.shape} has no pixels")
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        array = cv2.cvtColor(array, cv2.COLOR_GRAY2BGR)
    elif array.ndim == 3 and array.shape[2] == 4:
        array = cv2.cvtColor(array, cv2.COLOR_BGRA2BGR)
    elif array.ndim != 3 or array.shape[2] != 3:
        raise FrameError(f"an image of shape {array.shape} cannot be used; pass H x W, H x W x 3 (BGR) or H x W x 4 (BGRA)")
    image = np.ascontiguousarray(array).view(FrameImage)
    image.flags.writeable = False
    return image
