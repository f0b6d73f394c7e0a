"""Buffers of rendered pictures, used over and over."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np

from framehook.app.session.picture import Pixels

POISON: Final = (255, 0, 255, 0)
"""B, G, R and the fourth byte, which is 255 in every picture: what a freed buffer is filled with in the test mode."""
_IDLE: Final = 16
"""Buffers asked for, per buffer in use, after which one that nobody took is let go: views were resized."""


@dataclass(slots=True)
class _Free:
    pixels: Pixels
    since: int


class BufferPool:
    """Hands out buffers and takes them back; may be used from any thread.

    It keeps no more free ones than are in use, and one, and none for long that is of a size that nobody asks for any more:
    its memory follows the size of the views, not the number of pictures.
    """

    def __init__(self, *, poison: bool = False) -> None:
        """Start with no buffer.

        Args:
            poison: Fill a buffer with `POISON` when it is given back, to show who still looks at it.
        """
        self._poison = poison
        self._lock = threading.Lock()
        self._in_use: dict[int, Pixels] = {}
        self._free: list[_Free] = []  # in the order in which they were given back
        self._taken = 0

    def take(self, width: int, height: int) -> Pixels:
        """A buffer, H x W x 4 uint8, C-contiguous, with anything in it; the caller's until it is given back."""
        with self._lock:
            self._taken += 1
            # The one that was used last is the likeliest to be in a cache of the processor.
            place = next((i for i in reversed(range(len(self._free))) if self._free[i].pixels.shape[:2] == (height, width)), -1)
            base = self._free.pop(place).pixels if place >= 0 else np.empty((height, width, 4), np.uint8)
            pixels: Pixels = base.view()  # told from those of earlier and later takers, who may give theirs back twice
            self._in_use[id(pixels)] = pixels
            oldest = self._taken - _IDLE * (len(self._in_use) + 1)
            self._free = [each for each in self._free if each.since > oldest]
            return pixels

    def give_back(self, pixels: Pixels) -> None:
        """Let a buffer be used again; one that is not in use, since it was given back already, is left alone."""
        with self._lock:
            if self._in_use.get(id(pixels)) is not pixels:
                return
            if self._poison:
                pixels[:] = POISON  # before anybody can take it
            del self._in_use[id(pixels)]
            self._free.append(_Free(pixels, self._taken))
            del self._free[: max(len(self._free) - len(self._in_use) - 1, 0)]

    def clear(self) -> None:
        """Let go of all free buffers."""
        with self._lock:
            self._free.clear()

    @property
    def held(self) -> int:
        """Bytes of all buffers, in use and free."""
        with self._lock:
            return sum(each.nbytes for each in self._in_use.values()) + sum(each.pixels.nbytes for each in self._free)
