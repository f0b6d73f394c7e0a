"""Labelled pictures side by side in one: what a batch holds, what was found in it, what a dataset looks like."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.drawing import Look, draw
from framehook.inference.callbacks.past import Past
from framehook.inference.errors import OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.ranges import is_whole
from framehook.inference.result import Result

_SIDES: Final = (64, 4096)
_TITLE: Final = 20
"""Height of a title in pixels."""
_GAP: Final = 4
_PAPER: Final = (32, 30, 28)
_INK: Final = (225, 225, 225)
_CELL: Final = SourceInfo(id="cell", name="cell", path="", kind=SourceKind.ARRAY)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledPicture:
    """A picture and the boxes to draw on it.

    Attributes:
        image: H x W x 3, uint8, BGR; it is not written to.
        xyxy: n x 4: left, top, right, bottom in pixels of the picture.
        cls: n: class numbers.
        conf: n: scores 0..1 of what was found, written beside the names, or None for labels.
        title: What is written over it; empty for nothing.
    """

    image: npt.NDArray[np.uint8]
    xyxy: npt.NDArray[Any]
    cls: npt.NDArray[Any]
    conf: npt.NDArray[Any] | None = None
    title: str = ""


def tile(
    pictures: Sequence[LabelledPicture], names: Mapping[int, str], *, side: int = 320, columns: int | None = None
) -> npt.NDArray[np.uint8]:
    """Draw labelled pictures beside and below each other, each scaled to fit into a square; boxes look as those of runs do.

    Args:
        pictures: One at least.
        names: Class number to class name; classes it leaves out are drawn by their number.
        side: Side of the squares in pixels.
        columns: Pictures in a row; None for as many as there are rows, about.

    Returns:
        H x W x 3, uint8, BGR: rows from the top, each from the left.

    Raises:
        OptionError: no pictures, or a number out of range.
    """
    if not pictures:
        raise OptionError("there are no pictures to draw; pass one at least")
    if not is_whole(side, *_SIDES):
        raise OptionError(f"side={side!r} is out of range; pass a whole number from {_SIDES[0]} to {_SIDES[1]}")
    if columns is not None and not is_whole(columns, 1):
        raise OptionError(f"columns={columns!r} is out of range; pass a whole number from 1")
    across = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
    title = _TITLE if any(each.title for each in pictures) else 0
    rows = [_row(pictures[start : start + across], names, side, title, across) for start in range(0, len(pictures), across)]
    gap = _paper(_GAP, rows[0].shape[1])
    return np.concatenate([gap, *(part for row in rows for part in (row, gap))])


def _row(
    pictures: Sequence[LabelledPicture], names: Mapping[int, str], side: int, title: int, across: int
) -> npt.NDArray[np.uint8]:
    """Some pictures beside each other, as high as the highest of them and its title."""
    drawn = [_drawn(each, names, side) for each in pictures]
    row = _paper(title + max(each.shape[0] for each in drawn), across * (side + _GAP) + _GAP)
    for number, (picture, each) in enumerate(zip(pictures, drawn, strict=True)):
        start = _GAP + number * (side + _GAP)
        if picture.title:
            _write(row[:title, start : start + side], picture.title)
        height, width = each.shape[:2]
        left = start + (side - width) // 2
        row[title : title + height, left : left + width] = each
    return row


def _paper(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), _PAPER, np.uint8)


def _drawn(picture: LabelledPicture, names: Mapping[int, str], side: int) -> npt.NDArray[np.uint8]:
    """A picture with its boxes, as large as fits into a square."""
    height, width = picture.image.shape[:2]
    place = Letterbox.fit((width, height), (side, side), Fit.TOP_LEFT)
    smaller = place.inner_size[0] < width
    # Drawn after scaling, so that lines and letters are of one size in all of them.
    scaled = cv2.resize(picture.image, place.inner_size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    canvas = scaled.astype(np.uint8, copy=False)
    conf = np.ones(len(picture.cls), np.float32) if picture.conf is None else np.asarray(picture.conf, np.float32)
    xyxy = place.to_input(np.asarray(picture.xyxy, np.float32).reshape(-1, 4))
    best = np.argsort(-conf, kind="stable")  # the best are drawn last
    boxes = Boxes(xyxy[best], conf[best], np.asarray(picture.cls)[best], orig_shape=canvas.shape[:2])
    frame = Frame.of(canvas.copy(), index=0, source=_CELL, pts=None, captured_at=0.0)
    layers = {"boxes", "labels"} if picture.conf is None else {"boxes", "labels", "confidence"}
    draw(canvas, Result(frame, boxes, names), layers, Look(line_width=max(1, round(side / 200))), Past.none(frame))
    return canvas


def _write(strip: npt.NDArray[np.uint8], title: str) -> None:
    """Write a title into a strip as high as titles are, its end left out where it is too long."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    room = strip.shape[1] - 8
    if cv2.getTextSize(plain, font, size, 1)[0][0] > room:
        while plain and cv2.getTextSize(f"{plain}...", font, size, 1)[0][0] > room:
            plain = plain[:-1]
        plain += "..."
    cv2.putText(strip, plain, (4, strip.shape[0] - 6), font, size, _INK, 1, cv2.LINE_AA)
