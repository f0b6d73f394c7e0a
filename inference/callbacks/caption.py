"""Short texts on a canvas, each on a ground of its own so that it can be read on any picture."""

from __future__ import annotations

from typing import Final

import cv2

from framehook.inference.result import Image

Colour = tuple[int, int, int]
"""Blue, green, red, 0..255."""
_LIGHT: Final = 150  # of 255; on grounds lighter than this, letters are black


def draw_caption(canvas: Image, text: str, at: tuple[float, float], *, ground: Colour) -> None:
    """Write a text with its left upper corner at `at`, in pixels, or as near to that as keeps it within the picture.

    Letters grow with the frame. What OpenCV's font has no letters for becomes a question mark.
    """
    height, width = canvas.shape[:2]
    scale = min(max(min(width, height) / 1300, 0.36), 2.0)
    thickness = max(1, round(scale * 1.6))
    padding = max(2, round(scale * 7))
    blue, green, red = ground
    ink = (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > _LIGHT else (255, 255, 255)
    text = text.encode("ascii", "replace").decode()
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left = round(max(min(at[0], width - text_width - 2 * padding), 0))
    top = round(max(min(at[1], height - text_height - 2 * padding), 0))
    corner = left + text_width + 2 * padding - 1, top + text_height + 2 * padding - 1
    cv2.rectangle(canvas, (left, top), corner, ground, cv2.FILLED)
    cv2.putText(
        canvas,
        text,
        (left + padding, top + padding + text_height),
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        ink,
        thickness,
        cv2.LINE_AA,
    )
