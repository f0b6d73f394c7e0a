"""Pictures that are in memory already: arrays, PIL images, lists of them, and whatever yields them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import cv2
import numpy as np

from framehook.inference.errors import FrameError
from framehook.inference.frame import Frame, FrameImage, SourceInfo, SourceKind, as_image
from framehook.inference.sources.base import Source, unique_id


class ArraySource(Source):
    """Arrays or PIL images one after another; arrays are shown as they are, not copied."""

    def __init__(self, pictures: Sequence[Any] | np.ndarray[Any, Any], *, name: str = "array") -> None:
        """Wrap pictures.

        Args:
            pictures: One H x W x 3 (BGR), H x W x 4 (BGRA) or H x W (grey) uint8 array; an N x H x W x 3 array; or a sequence
                of such arrays and PIL images.
            name: Short name for people.

        Raises:
            FrameError: an array is no picture. Those of a sequence are looked at when their turn comes.
        """
        if isinstance(pictures, np.ndarray):
            if pictures.ndim != 4:
                pictures = pictures[np.newaxis]
            if not len(pictures):
                raise FrameError(f"an array of shape {pictures.shape} holds no picture")
            as_image(pictures[0])
        first = pictures[0]
        width, height = first.size if is_pil_image(first) else _array_size(first)
        self.info = SourceInfo(unique_id(name), name, name, SourceKind.ARRAY, size=(width, height), frame_count=len(pictures))
        self._pictures = pictures
        self._index = 0
        self._closed = False

    def read(self) -> Frame | None:
        if self.skip() is None:
            return None
        index = self._index - 1
        image = picture_of(self._pictures[index], f"picture {index} of {self.info.name}")
        return Frame(image, index, self.info, None, time.monotonic())

    def skip(self) -> SourceInfo | None:
        if self._closed or self._index >= len(self._pictures):
            return None
        self._index += 1
        return self.info

    def close(self) -> None:
        self._closed = True
        self._pictures = ()


class IterableSource(Source):
    """What a generator or another iterable yields, every frame of it; arrays are copied, as generators like to reuse theirs.

    What the iterable raises leaves `read` as it is.
    """

    may_block = True

    def __init__(self, pictures: Iterable[Any], *, name: str = "iterable") -> None:
        """Wrap an iterable of arrays and PIL images, of the shapes that `ArraySource` takes."""
        count = len(pictures) if isinstance(pictures, Sized) else None
        self.info = SourceInfo(unique_id(name), name, name, SourceKind.ARRAY, frame_count=count)
        self._pictures: Iterator[Any] = iter(pictures)
        self._index = 0
        self._closed = False

    def read(self) -> Frame | None:
        picture = self._next()
        if picture is None:
            return None
        captured_at = time.monotonic()
        index = self._index - 1
        if isinstance(picture, np.ndarray):
            picture = picture.copy()
        return Frame(picture_of(picture, f"picture {index} of {self.info.name}"), index, self.info, None, captured_at)

    def skip(self) -> SourceInfo | None:
        return None if self._next() is None else self.info

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        finish = getattr(self._pictures, "close", None)
        if callable(finish):
            try:
                finish()
            except ValueError:
                # Another thread is inside the generator and abandoned there; it cannot be closed from here.
                return

    def _next(self) -> Any:
        if self._closed:
            return None
        try:
            picture = next(self._pictures)
        except StopIteration:
            return None
        self._index += 1
        if picture is None:
            raise FrameError(f"picture {self._index - 1} of {self.info.name} is None; yield H x W x 3 uint8 arrays (BGR)")
        return picture


def is_pil_image(value: object) -> bool:
    """Tell a PIL image without importing PIL: whoever passes one has imported it."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def is_picture(value: object) -> bool:
    """Tell whether a value is a picture in memory: a NumPy array, a PIL image, or something that turns into an array."""
    return isinstance(value, np.ndarray) or is_pil_image(value) or hasattr(value, "__array__")


def picture_of(value: Any, what: str) -> FrameImage:
    """Return a picture as H x W x 3 uint8 BGR.

    Raises:
        FrameError: it is none; the message begins with `what`.
    """
    try:
        if is_pil_image(value):
            return as_image(_pil_pixels(value))
        if not is_picture(value):
            raise FrameError(f"a {type(value).__name__} is no picture; pass H x W x 3 uint8 arrays (BGR) or PIL images")
        return as_image(value)
    except FrameError as error:
        raise FrameError(f"{what}: {error}") from None


def _pil_pixels(image: Any) -> np.ndarray[Any, Any]:
    """Return a PIL image as BGR; transparency is dropped, 16-bit grey brought to 8 bits."""
    if image.mode.startswith("I;16"):
        deep = np.asarray(image)
        return (deep >> 8).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise FrameError(f"a PIL image of mode {image.mode} has no fixed range; convert it to L or RGB first")
    if image.width == 0 or image.height == 0:
        raise FrameError(f"a PIL image of {image.width} x {image.height} has no pixels")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # PIL warns about the direct way
    return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)


def _array_size(array: Any) -> tuple[int, int]:
    shape = np.shape(array)
    return (shape[1], shape[0]) if len(shape) >= 2 else (0, 0)
