"""Whether a value is a number, and in range; for options and callbacks alike."""

from __future__ import annotations

import math
from numbers import Integral, Real


def is_number(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a value is a finite number from `least` to `most`; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value) and least <= float(value) <= most


def is_whole(value: object, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a value is a whole number from `least` to `most`; 1.0, True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    return least <= int(value) <= most
