"""Which output layouts suppression can be built for; told before anything is begun."""

from __future__ import annotations

from typing import Final

from framehook.inference.errors import OptionError

FINISHED: Final = "end2end"
"""The layout whose boxes need no suppression, and get none."""
ON_GRIDS: Final = ("yolox", "nanodet")
"""Layouts that are decoded with the cells of a grid, so that the size of the input has to be known."""
SUPPRESSED: Final = ("yolo", "yolov5", *ON_GRIDS)
"""Layouts that suppression can be built for."""


def check_suppressible(layout: str) -> None:
    """Raise OptionError where suppression cannot be built into a graph of this layout."""
    if layout not in (*SUPPRESSED, FINISHED):
        raise OptionError(
            f"nms cannot be built into a graph of layout '{layout}', only of {', '.join(SUPPRESSED)}; leave nms out: what a "
            "layout needs is done when the file is run"
        )
