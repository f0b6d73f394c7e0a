"""Keeps an object in the middle of a view."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from framehook.app.gui.view_mapping import Aim
from framehook.app.gui.view_objects import row_of
from framehook.inference.result import Result

STEP_MS: Final = 33
"""How often a view that follows is to be moved."""
PATIENCE: Final = 1.5
"""Seconds for which an object may be hidden before it counts as lost."""
_SHARE: Final = 0.4
"""How much of the view's width or height the object is to take up at most."""
_LARGEST: Final = 8.0  # zoom
_CLOSEST: Final = 4.0  # device pixels per pixel of the frame; closer shows nothing but blur
_EASE: Final = 0.25  # seconds in which two thirds of the way are gone
_LONGEST_STEP: Final = 0.1  # seconds: after a pause the view does not jump


class Following:
    """Follows one track.

    Attributes:
        number: Its id.
        before: What the view showed before, to which it goes back; None once the user has chosen a zoom.
    """

    def __init__(self, number: int, result: Result, before: Aim) -> None:
        """Begin with the result in which it was chosen."""
        self.number = number
        self.before: Aim | None = replace(before)
        self._segment = result.frame.segment
        self._seen_at = result.frame.captured_at
        self._stepped_at: float | None = None

    def keep_zoom(self) -> None:
        """Leave the zoom alone from now on: the user chose one."""
        self.before = None

    def is_lost(self, result: Result) -> bool:
        """Whether the object was not seen for too long, or its source was interrupted, and ids began anew."""
        frame = result.frame
        if row_of(result, self.number) is not None and frame.segment == self._segment:
            self._seen_at = frame.captured_at
            return False
        return frame.segment != self._segment or frame.captured_at - self._seen_at > PATIENCE

    def step(self, result: Result, aim: Aim, size: tuple[int, int], now: float) -> None:
        """Move a view of `size` device pixels a bit of the way towards the object.

        Args:
            result: Where the object is.
            aim: What the view shows; it is moved.
            size: Of the view.
            now: Monotonic seconds.
        """
        row = row_of(result, self.number)
        past = _LONGEST_STEP if self._stepped_at is None else min(now - self._stepped_at, _LONGEST_STEP)
        self._stepped_at = now
        if row is None:
            return
        frame = result.frame.size
        x, y, width, height = result.boxes.xywh[row].tolist()
        zoom = aim.zoom if self.before is None else _zoom_for((width, height), frame, size)
        share = 1 - math.exp(-past / _EASE)
        centre = (
            aim.centre[0] + share * (x / frame[0] - aim.centre[0]),
            aim.centre[1] + share * (y / frame[1] - aim.centre[1]),
        )
        aim.move_to(aim.zoom * (zoom / aim.zoom) ** share, centre, frame, size)


def _zoom_for(box: tuple[float, float], frame: tuple[int, int], size: tuple[int, int]) -> float:
    """The zoom at which a box of that size is well seen, all of it; 1 where it takes up most of the frame."""
    fit = min(view / side for view, side in zip(size, frame, strict=True))
    wanted = min(_SHARE * view / max(fit * side, 1.0) for view, side in zip(size, box, strict=True))
    return max(min(wanted, _LARGEST, _CLOSEST / fit), 1.0)
