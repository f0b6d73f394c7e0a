"""Small ONNX graphs of real operators that find the one coloured rectangle of a picture, in the layouts of the DETR family.

The class is the rectangle's colour, with the brightest value the network is given as its logit, so that box, order of channels
and normalisation all show in the answer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx builds the graphs of these tests; install it with: pip install onnx")

QUERIES = 5
LOW = -6.0
"""Logit of every class that is not there."""
SIDE = (64, 96)
"""Height and width of the input."""


def rectangle(color: tuple[int, int, int], box: tuple[int, int, int, int], size: tuple[int, int] = (640, 360)) -> np.ndarray:
    """A black BGR picture of (width, height) with a rectangle (left, top, right, bottom) in it."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = color
    return picture


def save_raw(
    path: Path,
    *,
    columns: int,
    names: tuple[str, str] = ("logits", "pred_boxes"),
    first: int = 0,
    threshold: float = 0.5,
    picture: str = "pixel_values",
    mask: str = "",
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a graph that gives class scores and boxes of queries, in the order of `names`.

    Args:
        path: Where to.
        columns: Columns of the class scores.
        names: Outputs: first those of the logits, unless they are `labels`, which come second.
        first: Column of red; green and blue follow.
        threshold: What lies above this is the rectangle.
        picture: Name of the input.
        mask: Type and name of an input beside it that switches the answer off where it is not one; empty for none.
        metadata: What the file says of itself.
    """
    logits, boxes = names
    outputs = [f"float[N,{QUERIES},{columns}] {logits}", f"float[N,{QUERIES},4] {boxes}"]
    inputs = [f"float[N,3,{SIDE[0]},{SIDE[1]}] {picture}", *([mask] if mask else [])]
    body = f"""
        {_finder(picture, threshold)}
        {_masked(mask.split()[-1]) if mask else "raw_logits = Identity(brightest)"}
        {_padded("raw_logits", logits, first, columns)}
        box_pads = Constant<value_ints=[0,0,0,0,{QUERIES - 1},0]>()
        half = Constant<value_float=0.5>()
        {boxes} = Pad(center, box_pads, half)
    """
    return _save(path, inputs, outputs[::-1] if logits == "labels" else outputs, body, metadata)


def save_deployed(path: Path, *, columns: int = 80, kind: str = "int64") -> Path:
    """Write a graph with postprocessing inside, as the export scripts of RT-DETR and D-FINE do; sizes are of this type."""
    inputs = [f"float[N,3,{SIDE[0]},{SIDE[1]}] images", f"{kind}[N,2] orig_target_sizes"]
    outputs = [f"int64[N,{QUERIES}] labels", f"float[N,{QUERIES},4] boxes", f"float[N,{QUERIES}] scores"]
    body = f"""
        {_finder("images", 0.5)}
        {_padded("brightest", "logits", 0, columns)}
        sizes = Cast<to=1>(orig_target_sizes)
        four = Concat<axis=1>(sizes, sizes)
        axis = Constant<value_ints=[1]>()
        wide = Unsqueeze(four, axis)
        corners = Concat<axis=2>(left3, top3, right3, bottom3)
        pixels = Mul(corners, wide)
        box_pads = Constant<value_ints=[0,0,0,0,{QUERIES - 1},0]>()
        zero = Constant<value_float=0.0>()
        every_box = Pad(pixels, box_pads, zero)
        every_score = Sigmoid(logits)
        flat = Flatten<axis=1>(every_score)
        kept = Constant<value_ints=[{QUERIES}]>()
        scores, index = TopK<axis=1>(flat, kept)
        count = Constant<value_int={columns}>()
        labels = Mod(index, count)
        query = Div(index, count)
        last = Constant<value_ints=[2]>()
        query3 = Unsqueeze(query, last)
        repeats = Constant<value_ints=[1,1,4]>()
        query4 = Tile(query3, repeats)
        boxes = GatherElements<axis=1>(every_box, query4)
    """
    return _save(path, inputs, outputs, body, None)


def _finder(picture: str, threshold: float) -> str:
    """Operators that give `left3` ... `bottom3` N x 1 x 1 in fractions of the input, `center` N x 1 x 4, `brightest` N x 1 x 3.

    Whatever exceeds the threshold in any channel belongs to the rectangle.
    """
    lines = [
        f"limit = Constant<value_float={threshold}>()",
        "beyond = Constant<value_float=2.0>()",
        "before = Constant<value_float=-1.0>()",
        "halved = Constant<value_float=0.5>()",
        "channel = Constant<value_ints=[1]>()",
        f"brightest2 = ReduceMax<axes=[2,3], keepdims=0>({picture})",
        "brightest = Unsqueeze(brightest2, channel)",
    ]
    for axis, count, other, low, high in ((3, SIDE[1], 2, "left", "right"), (2, SIDE[0], 3, "top", "bottom")):
        starts, ends = np.arange(count) / count, np.arange(1, count + 1) / count
        lines += [
            f"profile{axis} = ReduceMax<axes=[1,{other}], keepdims=0>({picture})",
            f"within{axis} = Greater(profile{axis}, limit)",
            f"starts{axis} = Constant<value_floats=[{', '.join(map(str, starts))}]>()",
            f"ends{axis} = Constant<value_floats=[{', '.join(map(str, ends))}]>()",
            f"from{axis} = Where(within{axis}, starts{axis}, beyond)",
            f"to{axis} = Where(within{axis}, ends{axis}, before)",
            f"{low} = ReduceMin<axes=[1], keepdims=1>(from{axis})",
            f"{high} = ReduceMax<axes=[1], keepdims=1>(to{axis})",
            f"{low}3 = Unsqueeze({low}, channel)",
            f"{high}3 = Unsqueeze({high}, channel)",
            f"sum{axis} = Add({low}3, {high}3)",
            f"middle{axis} = Mul(sum{axis}, halved)",
            f"length{axis} = Sub({high}3, {low}3)",
        ]
    return "\n".join([*lines, "center = Concat<axis=2>(middle3, middle2, length3, length2)"])


def _masked(mask: str) -> str:
    """Operators that make all logits zero unless a mask N x H x W is one everywhere."""
    return f"""
        seen = Cast<to=1>({mask})
        all_seen = ReduceMin<axes=[1,2], keepdims=0>(seen)
        one_and_two = Constant<value_ints=[1,2]>()
        all_seen3 = Unsqueeze(all_seen, one_and_two)
        raw_logits = Mul(all_seen3, brightest)
    """


def _padded(name: str, result: str, first: int, columns: int) -> str:
    """Operators that make N x 1 x 3 logits N x queries x columns."""
    return f"""
        logit_pads = Constant<value_ints=[0,0,{first},0,{QUERIES - 1},{columns - 3 - first}]>()
        low = Constant<value_float={LOW}>()
        {result} = Pad({name}, logit_pads, low)
    """


def _save(path: Path, inputs: list[str], outputs: list[str], body: str, metadata: dict[str, str] | None) -> Path:
    text = f"""<ir_version: 8, opset_import: ["" : 16]>
        finder ({", ".join(inputs)}) => ({", ".join(outputs)}) {{ {body} }}"""
    model = onnx.parser.parse_model(text)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path
