"""Where a frame lies in a view: worked out once, for those who render it and those who point at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from framehook.app.session.picture import Viewport

LARGEST_SCALE: Final = 64.0
"""Device pixels per pixel of the frame at most: more shows nothing new."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole frame, scaled, in the device pixels of a view; where it is larger than the view, part of it lies outside.

    Attributes:
        frame_size: (width, height) of the frame in pixels.
        view_size: (width, height) of the view in device pixels.
        size: (width, height) of the scaled frame in device pixels.
        origin: Where its upper left corner lies in the view, (x, y) in device pixels.
    """

    frame_size: tuple[int, int]
    view_size: tuple[int, int]
    size: tuple[int, int]
    origin: tuple[int, int]

    @classmethod
    def of(cls, frame_size: tuple[int, int], viewport: Viewport) -> Self:
        """Place a frame of `frame_size` (width, height): as `viewport` asks for, but never with a gap that panning could close.

        A zoom below 1 is taken as 1, one beyond `LARGEST_SCALE` as that.
        """
        fit = min(view / frame for view, frame in zip(viewport.size, frame_size, strict=True))
        scale = max(min(fit * max(viewport.zoom, 1.0), LARGEST_SCALE), fit)
        width, height = (max(round(side * scale), 1) for side in frame_size)
        origin = (
            _start(width, viewport.size[0], viewport.centre[0]),
            _start(height, viewport.size[1], viewport.centre[1]),
        )
        return cls(frame_size, viewport.size, (width, height), origin)

    @property
    def scale(self) -> float:
        """Device pixels per pixel of the frame."""
        return self.size[0] / self.frame_size[0]

    @property
    def centre(self) -> tuple[float, float]:
        """The point of the frame in the middle of the view, in fractions of its width and height."""
        x, y = ((view / 2 - start) / side for view, start, side in zip(self.view_size, self.origin, self.size, strict=True))
        return x, y

    def fraction_at(self, x: float, y: float) -> tuple[float, float]:
        """The point of the frame, in fractions of its width and height, at a point of the view in device pixels."""
        return (x - self.origin[0]) / self.size[0], (y - self.origin[1]) / self.size[1]


def _start(side: int, view: int, centre: float) -> int:
    """Where a scaled side starts: in the middle if it fits into the view, else with the view's middle at `centre`."""
    if side <= view:
        return (view - side) // 2
    return min(max(round(view / 2 - centre * side), view - side), 0)
