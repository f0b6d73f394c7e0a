"""Scales frames to what is painted: near to the ideal, and quick enough for every frame."""

from __future__ import annotations

from typing import Any, Final

import cv2

from framehook.app.session.picture import Pixels
from framehook.inference.result import Image

BARELY: Final = 0.8
"""Above this scale cubic interpolation alone is near enough to the ideal; below, it passes over pixels."""


class Scaler:
    """Makes BGRA pictures of BGR frames; keeps the buffers it works in. For one thread.

    The ideal is Lanczos' filter, as wide as the scale wants it. What is to be shrunk is halved until it is little more than
    twice too large, brought to twice the size by cubic interpolation, and halved once more: OpenCV has a quick way for exact
    halves. Its mean of areas takes up to three times as long for other scales than all of this; it is farther from the ideal
    above a half, and below about as near. Interpolation is quicker with four channels than with three.
    """

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._buffers: dict[str, Any] = {}
        self._former: dict[str, Any] = {}  # those of the frame before

    def scale(self, image: Image, size: tuple[int, int], *, into: Pixels | None = None, squares: bool = False) -> Pixels:
        """Scale a frame.

        Args:
            image: H x W x 3 uint8, BGR.
            size: Width and height that it is scaled to.
            into: Where to put the outcome: height x width x 4 uint8, C-contiguous. None for a buffer of this scaler.
            squares: Show its pixels as squares where it is enlarged, rather than a smooth picture.

        Returns:
            Height x width x 4 uint8, BGRA, opaque; where it is this scaler's, it stands until the next call.
        """
        self._former, self._buffers = self._buffers, {}  # so that none is kept that is of no use any more
        twice = 2 * size[0], 2 * size[1]
        halvings = 0
        while twice == _size(image) or max(_scales(image, twice)) <= BARELY:
            halvings += 1
            half = max(image.shape[1] // 2, 1), max(image.shape[0] // 2, 1)
            # Without an odd row or column, which is less than half a pixel of the outcome: only exact halves are quick.
            image = self._resize(f"halved {halvings}", image[: 2 * half[1], : 2 * half[0]], half, cv2.INTER_AREA)
        if size == _size(image):
            return self._opaque("scaled", image, into)
        pixels, scale = self._opaque("opaque", image), min(_scales(image, size))
        if scale <= BARELY:
            return self._resize("scaled", self._resize("twice", pixels, twice, cv2.INTER_CUBIC), size, cv2.INTER_AREA, into)
        larger = cv2.INTER_NEAREST if squares else cv2.INTER_LINEAR
        return self._resize("scaled", pixels, size, cv2.INTER_CUBIC if scale < 1 else larger, into)

    def _opaque(self, step: str, image: Image, into: Pixels | None = None) -> Pixels:
        there = self._former.get(step) if into is None else into
        return self._keep(step, cv2.cvtColor(image, cv2.COLOR_BGR2BGRA, dst=there), into)

    def _resize(self, step: str, image: Image, size: tuple[int, int], way: int, into: Pixels | None = None) -> Pixels:
        there = self._former.get(step) if into is None else into
        return self._keep(step, cv2.resize(image, size, dst=there, interpolation=way), into)

    def _keep(self, step: str, pixels: Any, into: Pixels | None) -> Pixels:
        """Keep what a step has made for the next frame; OpenCV has made a new one where the one before had another size."""
        if into is None:
            self._buffers[step] = pixels
        kept: Pixels = pixels
        return kept


def _size(image: Image) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _scales(image: Image, size: tuple[int, int]) -> tuple[float, float]:
    return size[0] / image.shape[1], size[1] / image.shape[0]
