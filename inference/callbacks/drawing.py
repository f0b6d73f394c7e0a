"""How the overlay looks: the layers, drawn with the annotators of `supervision` and OpenCV."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.past import Past, step_of
from framehook.inference.errors import OptionError
from framehook.inference.result import Image, Result

if TYPE_CHECKING:
    import supervision

PALETTE: Final = (
    "#ff5a5f", "#00b8a9", "#ffb400", "#3d8bff", "#9b5de5", "#8ac926", "#ff7a00", "#00c2ff",
    "#f15bb5", "#2ec27e", "#c77dff", "#d4d700", "#ef476f", "#118ab2", "#ff9f80", "#7bdff2",
)  # fmt: skip
"""Neighbours differ, as tracks that come one after another are often seen together."""
HIDING: Final = frozenset(("blur", "pixelate"))
"""The layers that hide what is in the boxes."""
_PENDING: Final = "#8a8f98"  # a box that belongs to no track
_LIGHT: Final = 150  # of 255; on colours lighter than this, letters are black


@dataclass(frozen=True, slots=True)
class Look:
    """Colours and sizes; None for those that suit the frame."""

    colors: tuple[str, ...] = PALETTE
    line_width: int | None = None
    text_scale: float | None = None

    def __post_init__(self) -> None:
        """Check the colours.

        Raises:
            OptionError: a colour that is none.
        """
        check_colors(self.colors)


def check_colors(colors: Iterable[str]) -> tuple[str, ...]:
    """Check colours, such as `#ff8800`.

    Raises:
        OptionError: a colour that is none, or there are none.
    """
    checked = tuple(colors)
    for color in checked:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", str(color)):
            raise OptionError(f"colour {color!r} is none; write colours as '#ff8800'")
    if not checked:
        raise OptionError("colors=() is empty; pass at least one colour, such as '#ff8800'")
    return checked


def hide(canvas: Image, found: Iterable[Boxes], layers: Set[str]) -> None:
    """Blur or pixelate what is in any of these boxes; those that are the same are one."""
    import supervision

    detections = supervision.Detections(xyxy=np.unique(np.concatenate([boxes.xyxy for boxes in found]), axis=0))
    if "blur" in layers:
        supervision.BlurAnnotator().annotate(canvas, detections)
    if "pixelate" in layers:
        supervision.PixelateAnnotator().annotate(canvas, detections)


def draw(canvas: Image, result: Result, layers: Set[str], look: Look, past: Past) -> None:
    """Draw the layers that show something on the canvas of a result, the lowest first."""
    import supervision

    boxes = result.boxes
    # Lowest scores first, so that the best are on top.
    detections = supervision.Detections(xyxy=boxes.xyxy[::-1].copy())
    height, width = canvas.shape[:2]
    tools = _tools(look, (width, height))
    # The last colour of the palette is that of boxes without a track.
    colors = boxes.cls % len(look.colors) if boxes.id is None else np.where(boxes.id < 0, -1, boxes.id % len(look.colors))
    colors = np.where(colors < 0, len(look.colors), colors).astype(int)
    if "heatmap" in layers:
        _draw_heat(canvas, past.heat_with(boxes))
    if "trails" in layers:
        _draw_trails(canvas, result, past, colors, tools)
    if "boxes" in layers:
        tools.boxes.annotate(canvas, detections, custom_color_lookup=colors[::-1])
    if "labels" in layers or "confidence" in layers:
        _draw_labels(canvas, result, layers, colors, tools)


@dataclass(frozen=True, slots=True)
class _Tools:
    """Annotators and sizes for one frame size."""

    boxes: supervision.BoxAnnotator
    labels: supervision.LabelAnnotator
    colors: tuple[tuple[int, int, int], ...]
    line_width: int
    text_scale: float
    text_width: int
    padding: int


@lru_cache(maxsize=16)
def _tools(look: Look, size: tuple[int, int]) -> _Tools:
    """Make the annotators for a look and a frame size, (width, height) in pixels."""
    from supervision import BoxAnnotator, Color, ColorPalette, LabelAnnotator

    colors = [Color.from_hex(color) for color in (*look.colors, _PENDING)]
    # Black letters on light colours, white ones on dark.
    inks = [Color.BLACK if _luminance(color.as_rgb()) > _LIGHT else Color.WHITE for color in colors]
    short = min(size)
    line_width = look.line_width or max(2 if short >= 200 else 1, round(short / 340))
    text_scale = look.text_scale or min(max(short / 1300, 0.36), 2.0)
    text_width = max(1, round(text_scale * 1.6))
    padding = max(2, round(text_scale * 7))
    palette = ColorPalette(colors)
    labels = LabelAnnotator(
        color=palette,
        text_color=ColorPalette(inks),
        text_scale=text_scale,
        text_thickness=text_width,
        text_padding=padding,
    )
    boxes = BoxAnnotator(color=palette, thickness=line_width)
    return _Tools(boxes, labels, tuple(color.as_bgr() for color in colors), line_width, text_scale, text_width, padding)


def _luminance(rgb: tuple[int, int, int]) -> float:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]


def _draw_labels(canvas: Image, result: Result, layers: Set[str], colors: npt.NDArray[Any], tools: _Tools) -> None:
    """Write each label above its box, or inside it where there is no room above, and never beyond the frame's edge."""
    import supervision

    boxes = result.boxes
    height, width = canvas.shape[:2]
    texts, corners = [], []
    for row in range(len(boxes)):
        text = label_of(result, row, layers)
        (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, tools.text_scale, tools.text_width)
        text_width += 2 * tools.padding
        text_height += 2 * tools.padding
        left, top = boxes.xyxy[row, :2]
        bottom = top if top >= text_height else min(top + text_height, height)
        texts.append(text)
        # The outer edge of the box's line, and the label's, are one.
        corners.append((min(max(left - tools.line_width // 2, 0), max(width - text_width, 0)), bottom))
    if not texts:
        return
    at = np.array(corners, np.float32)
    order = np.arange(len(texts))[::-1]
    tools.labels.annotate(
        canvas,
        supervision.Detections(xyxy=np.concatenate((at, at + 1), axis=1)[order]),
        labels=[texts[row] for row in order],
        custom_color_lookup=colors[order],
    )


def label_of(result: Result, row: int, layers: Set[str]) -> str:
    """What is written of a box: `#3 person .87`."""
    boxes = result.boxes
    words = []
    if "labels" in layers:
        if boxes.id is not None and boxes.id[row] >= 0:
            words.append(f"#{boxes.id[row]}")
        words.append(_plain(result.name_of(int(boxes.cls[row])), int(boxes.cls[row])))
    if "confidence" in layers:
        words.append(f"{boxes.conf[row]:.2f}".removeprefix("0"))
    return " ".join(words)


@lru_cache(maxsize=1024)
def _plain(name: str, number: int) -> str:
    """A name in the letters that OpenCV can write: without accents, or by its number where nothing of it is left."""
    letters = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    plain = plain.encode("ascii", "replace").decode()
    return plain if plain.strip("? ") or plain == name else f"class {number}"


def _draw_trails(canvas: Image, result: Result, past: Past, colors: npt.NDArray[Any], tools: _Tools) -> None:
    """Draw the way of each track in the frame, thinner the longer ago."""
    boxes = result.boxes
    if boxes.id is None:
        return
    steps = (*past.steps, step_of(boxes))
    ids = np.concatenate([step.ids for step in steps])
    centres = np.concatenate([step.centres for step in steps])
    ages = np.repeat(np.arange(len(steps)), [len(step.ids) for step in steps])
    for row in np.flatnonzero(boxes.id >= 0):
        own = ids == boxes.id[row]
        # Sixteenths of a pixel, so that slow tracks do not look like stairs.
        points = np.round(centres[own] * 16).astype(np.int32)
        widths = np.maximum(np.round(2 * tools.line_width * (ages[own] + 1) / len(steps)), 1).astype(int)
        for start, end, line_width in zip(points, points[1:], widths[1:], strict=False):
            cv2.line(canvas, start.tolist(), end.tolist(), tools.colors[colors[row]], int(line_width), cv2.LINE_AA, 4)


def _draw_heat(canvas: Image, heat: npt.NDArray[np.float32]) -> None:
    """Lay a heat map over the picture: the hotter, the less of the picture is seen."""
    most = float(heat.max(initial=0.0))
    if most <= 0:
        return
    height, width = canvas.shape[:2]
    # The square root shows where somebody passed once beside where many stood for long.
    level = np.sqrt(heat / most)
    tint = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    share = np.minimum(level * 1.5, 0.6)[:, :, None]
    # Worked out for the few cells and in bytes for the many pixels: a fifth of the time of blending in floats.
    kept = np.repeat(255 * (1 - share), 3, axis=2).astype(np.uint8)
    added = (tint * share).astype(np.uint8)
    cv2.multiply(canvas, cv2.resize(kept, (width, height)), dst=canvas, scale=1 / 255)
    cv2.add(canvas, cv2.resize(added, (width, height)), dst=canvas)
