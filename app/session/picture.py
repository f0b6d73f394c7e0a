"""A rendered frame, ready to be painted, and the part of a frame that a view wants to see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from framehook.inference.result import Result

Pixels: TypeAlias = npt.NDArray[np.uint8]


class Region(NamedTuple):
    """A rectangle of a frame in its pixels; edges need not be whole."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Viewport:
    """What a view shows of a slot.

    Attributes:
        size: (width, height) of the view in device pixels.
        zoom: 1 fits the whole frame into the view; 2 shows half of its width ...
        centre: The point of the frame in the middle of the view, in fractions of its width and height.
        original: Show the captured frame, with nothing drawn on it.
    """

    size: tuple[int, int]
    zoom: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)
    original: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A frame as one view is to paint it: 1:1, at `at`, in device pixels.

    Attributes:
        key: The slot it is of.
        result: What was found in the frame; its boxes are in the frame's pixels.
        pixels: H x W x 4 uint8, B G R and 255 in memory (`QImage.Format_RGB32` on little-endian machines), C-contiguous. It
            belongs to the pool it comes from: valid until the picture is given back.
        at: Where in the view its upper left corner goes, (x, y) in device pixels.
        region: The part of the frame that it shows.
        viewport: What it was rendered for.
        run: The run it is of (see `SessionState.run`).
    """

    key: str
    result: Result
    pixels: Pixels
    at: tuple[int, int]
    region: Region
    viewport: Viewport
    run: int

    @property
    def scale(self) -> float:
        """Device pixels of the view per pixel of the frame."""
        return float(self.pixels.shape[1]) / self.region.width
