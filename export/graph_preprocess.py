"""Preprocessing as a part of the graph: from one frame of any size to the tensor that a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from framehook.export.graph_build import Operators
from framehook.inference.geometry import Fit
from framehook.inference.preprocess import InputFormat

_EDGES: Final = (1, 0, 1, 0)
"""What picks left, top, right and bottom from (height, width)."""


@dataclass(frozen=True, slots=True)
class Placement:
    """The tensors that say where the frame lies in the input: `Letterbox` of a frame whose size shows when the graph runs.

    Attributes:
        frame: Height and width of the frame, float64.
        inner: Height and width of the scaled frame inside the input, float64.
        offset: Of its top left corner inside the input, y and x, int64; None where it is zero.
    """

    frame: str
    inner: str
    offset: str | None


def place_frame(ops: Operators, frame: str, fit: Fit, input_size: tuple[int, int]) -> Placement:
    """Place a frame (H x W x 3) into an input of (width, height) as `Letterbox.fit` does, in the same double precision."""
    width, height = input_size
    size = ops.cast(ops.gather(ops("Shape", frame), 0, 1), np.float64)
    room = ops.constant((height, width), np.float64)
    if fit is Fit.STRETCH:
        return Placement(size, room, None)
    scales = ops("Div", room, size)
    scale = ops("Min", ops.gather(scales, 0), ops.gather(scales, 1))
    # ONNX rounds halves to even as Python does.
    wanted = ops("Round", ops("Mul", size, scale))
    inner = ops("Min", ops("Max", wanted, ops.constant((1, 1), np.float64)), room)
    if fit is Fit.TOP_LEFT:
        return Placement(size, inner, None)
    rest = ops("Sub", ops.integers(height, width), ops.cast(inner, np.int64))
    return Placement(size, inner, ops("Div", rest, ops.integers(2, 2)))


def make_input(
    ops: Operators,
    frame: str,
    placement: Placement,
    *,
    form: InputFormat,
    input_size: tuple[int, int],
    dtype: np.dtype[Any],
    out: str,
) -> None:
    """Make the network's input tensor of a frame: the very numbers that `Preprocessor` makes.

    Args:
        ops: Where the operators are written.
        frame: H x W x 3 uint8 BGR.
        placement: Where the frame lies in the input.
        form: What the network expects.
        input_size: (width, height) of the input.
        dtype: Of the input.
        out: The name to give to the input tensor, 1 x 3 x H x W or 1 x H x W x 3.
    """
    width, height = input_size
    pixels = _scale(ops, frame, placement, rgb=form.rgb)
    if form.fit is not Fit.STRETCH:
        pixels = ops("Pad", pixels, _pads(ops, placement, height, width), ops.constant(form.pad))
    # A length that is known lets the runtime plan the memory of all of the network beforehand.
    pixels = ops("Reshape", pixels, ops.integers(1, 3, height, width))
    if form.channels_last:
        pixels = ops("Transpose", pixels, perm=[0, 2, 3, 1])
    each = (3,) if form.channels_last else (3, 1, 1)
    # The same two numbers a channel as in Preprocessor, in the same single precision.
    mean = np.zeros(3, np.float32) if form.mean is None else np.array(form.mean, np.float32)
    std = np.ones(3, np.float32) if form.std is None else np.array(form.std, np.float32)
    gain, bias = np.float32(form.scale) / std, -mean / std
    if np.any(gain != 1):
        pixels = ops("Mul", pixels, ops.constant(gain.reshape(each)))
    if np.any(bias):
        pixels = ops("Add", pixels, ops.constant(bias.reshape(each)))
    if dtype == np.float32:
        ops("Identity", pixels, out=out)
    else:
        ops.cast(pixels, dtype, out=out)


def to_frame(ops: Operators, boxes: str, placement: Placement) -> str:
    """Map N x M x 4 boxes from input pixels to frame pixels, clipped to the frame, as `Letterbox.to_frame` does."""
    if placement.offset is not None:
        boxes = ops("Sub", boxes, ops.cast(ops.gather(placement.offset, *_EDGES), np.float32))
    scale = ops.cast(ops("Div", placement.frame, placement.inner), np.float32)
    boxes = ops("Mul", boxes, ops.gather(scale, *_EDGES))
    limit = ops.cast(ops.gather(placement.frame, *_EDGES), np.float32)
    return ops("Min", ops("Max", boxes, ops.constant(0)), limit)


def _scale(ops: Operators, frame: str, placement: Placement, *, rgb: bool) -> str:
    """Scale a frame linearly to 3 x height x width, in whole grey levels as float32.

    OpenCV's arithmetic (`INTER_LINEAR` of bytes) rather than ONNX's `Resize`: weights of eleven bits, exact sums along the
    rows, and two products down the columns that are each rounded down to quarters of a grey level. `Resize` is one level away
    in one value of nine, which moves scores of float networks by hundredths at times, and those of int8 networks often. This
    costs about as much (frames of 768 x 576: 1.3 ms against .8; of 1920 x 1080: 1.3 to 3.4 ms against 2.9 to 3.9, one thread):
    only rows that count are looked at, and of the picture on its side whole rows are picked where `Gather` would pick bytes.
    Single precision is too short for the products by three bits, which decides about one value in a million.
    """
    height, width = (ops.gather(placement.inner, axis) for axis in (0, 1))
    above, below, rows_above, rows_below = _neighbours(ops, ops.gather(placement.frame, 0), height)
    left, right, before, behind = _neighbours(ops, ops.gather(placement.frame, 1), width)
    # Rows that several rows of the result need are scaled once: U rows of them.
    needed, _, places = ops.several("Unique", ops("Concat", rows_above, rows_below, axis=0), count=3, sorted=1)
    rows = ops("Gather", frame, needed, axis=0)
    turned = ops("Transpose", ops("Reshape", rows, ops.integers(0, -1)), perm=[1, 0])
    channels = ops.constant([[2], [1], [0]] if rgb else [[0], [1], [2]], np.int64)

    def columns(numbers: str, weights: str) -> str:
        """3 x width x U: these columns of each channel, in its order, times their weights, in sixteenths."""
        index = ops("Add", ops("Mul", numbers, ops.integers(3)), channels)
        picked = ops.cast(ops("Gather", turned, index, axis=0), np.float32)
        return ops("Mul", picked, ops.unsqueeze(ops("Mul", weights, ops.constant(1 / 16)), 1))

    across = ops("Floor", ops("Add", columns(before, left), columns(behind, right)))
    upright = ops("Transpose", across, perm=[0, 2, 1])

    def down(part: int, weights: str) -> str:
        """3 x height x width: the upper or lower rows times their weights, in quarters."""
        index = ops.take(ops("Reshape", places, ops.integers(2, -1)), part, axis=0)
        picked = ops("Gather", upright, index, axis=1)
        return ops("Floor", ops("Mul", picked, ops.unsqueeze(ops("Mul", weights, ops.constant(2.0**-16)), 1)))

    quarters = ops("Add", down(0, above), down(1, below))
    return ops("Floor", ops("Add", ops("Mul", quarters, ops.constant(0.25)), ops.constant(0.5)))


def _neighbours(ops: Operators, length: str, scaled: str) -> tuple[str, str, str, str]:
    """Between which two pixels of an axis each pixel of the scaled axis lies.

    Args:
        ops: Where the operators are written.
        length: Of the axis, a vector of one float64.
        scaled: Length of the scaled axis, likewise.

    Returns:
        Their weights (float32, whole numbers, 2048 in all), and their numbers (int64).
    """
    count = ops("Range", ops.constant(0, np.float64), ops.take(scaled, 0, axis=0), ops.constant(1, np.float64))
    step = ops("Div", ops.constant((1,), np.float64), ops("Div", scaled, length))
    half = ops.constant(0.5, np.float64)
    position = ops.cast(ops("Sub", ops("Mul", ops("Add", count, half), step), half), np.float32)
    first = ops("Floor", position)
    share = ops("Sub", position, first)
    full, one = ops.constant(2048), ops.constant(1)
    weights = [ops("Round", ops("Mul", part, full)) for part in (ops("Sub", one, share), share)]
    last = ops("Sub", ops.cast(length, np.float32), one)
    inside = [ops("Min", ops("Max", each, ops.constant(0)), last) for each in (first, ops("Add", first, one))]
    return weights[0], weights[1], ops.cast(inside[0], np.int64), ops.cast(inside[1], np.int64)


def _pads(ops: Operators, placement: Placement, height: int, width: int) -> str:
    """What is missing before and behind each of the three axes."""
    none = ops.integers(0)
    before = placement.offset or ops.integers(0, 0)
    rest = ops("Sub", ops.integers(height, width), ops.cast(placement.inner, np.int64))
    behind = rest if placement.offset is None else ops("Sub", rest, placement.offset)
    return ops("Concat", none, before, none, behind, axis=0)
