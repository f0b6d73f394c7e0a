"""Where a frame lies inside the network's input: computed once, used by preprocessing, decoding, export and training."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

import numpy as np

from framehook.inference.boxes import FloatArray


class Fit(StrEnum):
    """How a frame is placed into an input of another shape."""

    CENTER = "center"
    """Scaled with its aspect ratio kept, in the middle of the padding (YOLOv5, YOLOv8, YOLO11 ...)."""
    TOP_LEFT = "top_left"
    """Scaled with its aspect ratio kept, in the top left corner (YOLOX)."""
    STRETCH = "stretch"
    """Scaled to fill the input, aspect ratio lost (TF object detection, DETR family)."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The placement of one frame in one network input.

    Attributes:
        frame_size: (width, height) of the frame in pixels.
        input_size: (width, height) of the network input in pixels.
        inner_size: (width, height) of the scaled frame inside the input.
        offset: (x, y) of the scaled frame's top left corner inside the input.
    """

    frame_size: tuple[int, int]
    input_size: tuple[int, int]
    inner_size: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def fit(cls, frame_size: tuple[int, int], input_size: tuple[int, int], fit: Fit) -> Self:
        """Place a frame of `frame_size` (width, height) into an input of `input_size` (width, height)."""
        if fit is Fit.STRETCH:
            return cls(frame_size, input_size, input_size, (0, 0))
        (width, height), (in_width, in_height) = frame_size, input_size
        scale = min(in_width / width, in_height / height)
        inner = min(max(round(width * scale), 1), in_width), min(max(round(height * scale), 1), in_height)
        if fit is Fit.TOP_LEFT:
            return cls(frame_size, input_size, inner, (0, 0))
        # An odd remainder puts the larger half below and to the right, as the trainers of these networks do.
        return cls(frame_size, input_size, inner, ((in_width - inner[0]) // 2, (in_height - inner[1]) // 2))

    def to_frame(self, xyxy: FloatArray) -> FloatArray:
        """Map N x 4 boxes from input pixels to frame pixels, clipped to the frame. Returns a new array."""
        shift, scale, limit = _to_frame(self)
        boxes: FloatArray = (xyxy - shift) * scale
        np.maximum(boxes, 0, out=boxes)
        np.minimum(boxes, limit, out=boxes)
        return boxes

    def to_input(self, xyxy: FloatArray) -> FloatArray:
        """Map N x 4 boxes from frame pixels to input pixels. Returns a new array."""
        scale_x = self.inner_size[0] / self.frame_size[0]
        scale_y = self.inner_size[1] / self.frame_size[1]
        x, y = self.offset
        scaled = xyxy * np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
        moved: FloatArray = scaled + np.array([x, y, x, y], np.float32)
        return moved


@lru_cache(maxsize=64)
def _to_frame(box: Letterbox) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What to subtract, what to multiply by and what to limit to, for left, top, right, bottom."""
    x, y = box.offset
    scale_x, scale_y = box.frame_size[0] / box.inner_size[0], box.frame_size[1] / box.inner_size[1]
    return (
        np.array([x, y, x, y], np.float32),
        np.array([scale_x, scale_y, scale_x, scale_y], np.float32),
        np.array([*box.frame_size, *box.frame_size], np.float32),
    )
