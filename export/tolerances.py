"""How far an export may be from its source, and why so far."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["float", "half", "int8"]
"""What the exported network computes in: what its source does, float16, or int8."""

CONF: Final = 0.25
"""Detections that score more than this are compared: what a run shows when nobody chooses."""
ENOUGH: Final = 20
"""With fewer detections of the source than this, boxes prove nothing."""

TENSOR: Final = 1e-3
"""Float: how far the numbers of a row of the network's outputs (a box's side, a class) may be off, in their own unit (pixels,
scores): their differences' root of the mean square. Between PyTorch and ONNX Runtime it was .00002 of a YOLO11n on clips like
those it was trained on, .0001 on another clip, and .00016 on made-up pictures, whatever instructions the processor had (SSE4.1,
AVX2, AVX-512). It is not tighter, for how much single precision moves boxes is the network's affair: moving each pixel by its
last digit moved them as far. So a weight goes unseen that moves boxes by no more than that: a tenth more of the largest weight
of one layer of that YOLO11n in the middle (.00013 to .00018), or of its largest bias, in part (.0007 to .0011)."""
SINGLE: Final = 5e-5
"""Float: the share of the largest number of its row that a single number may be off beyond that: .03 at 640 pixels. Single
precision alone moved edges of that YOLO11n by .0002 to .004 pixels on clips, and by .007 on made-up pictures."""
ROW_SHARE: Final = 3e-4
"""Float: the share of the largest number of its row that a number may be off at all, which is what judges scores. They are
steadier than boxes: those of YOLO11n were .000002 off, and a tenth more of one weight before them made .0004 to .001. It shows
what the others cannot: scores of a class that is not in the frames are a hundred thousandth, whatever its weights."""
ROW_FLOOR: Final = 1e-6
"""Float: what is always allowed; approximate sigmoids are no better."""
CUT_OFF: Final = 0.02
"""The share of a list of best proposals that may be others: those about as good as the first that did not get in."""

GREY_LEVELS: Final = 1.0
"""Preprocessing: how far a pixel may be off, of 255. OpenCV scales pictures in whole grey levels, a graph in fractions."""
GREY_BIAS: Final = 0.25
"""Preprocessing: how far a channel may be off on average; rounding goes both ways."""
PADDING_LEVELS: Final = 0.01
"""Preprocessing: how far the padding may be off, which nothing rounds."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is allowed of one kind of export.

    Attributes:
        overlap: Two detections are the same from this intersection over union on ...
        score: ... and where their scores are no further apart than this.
        share: Least share of the source's detections that are the same. Below 1 it is asked of `ENOUGH` detections and more.
        ap50: Least average precision at an overlap of one half, with the source's detections as the truth; of as many.
        found_again: Least share of the source's detections that are found again, at an overlap of one half; of as many.
        spread: Error of a row of the network's outputs (root of the mean square), in units of the row's standard deviation;
            None for float, whose numbers are judged one by one.
        of_rows: Which row's error counts.
    """

    overlap: float
    score: float
    share: float = 0.0
    ap50: float = 0.0
    found_again: float = 0.0
    spread: float | None = None
    of_rows: Literal["worst", "median"] = "worst"


_OWN_PIXELS: Final = Tolerance(overlap=0.98, score=0.01, ap50=0.9, found_again=0.9)
"""What is allowed where each side scales the frame itself, so that pixels are up to a grey level apart. How far that moves a
detection is the network's affair: on real clips .91 to .99 of those of YOLOX-nano and NanoDet-Plus stayed the same by these
figures, and .25 to .4 of those of person320, which rounds to int8 inside. So this is told, and what is asked for is that things
are found again; that all which follows the pixels is right shows on the same pixels, where nothing moves."""

_ALLOWED: Final[dict[Kind, Tolerance]] = {
    "float": Tolerance(overlap=0.99, score=0.001, share=1.0),
    # Eleven bits: each operation is right to .0005, and there are some hundred, so that scores move by thousandths. With all
    # of it in float16 the worst row of YOLOX-nano was .08 of its spread off, and .99 of its detections were the same.
    "half": Tolerance(overlap=0.95, score=0.02, share=0.9, ap50=0.95, found_again=0.95, spread=0.2),
    # 256 steps a layer: single scores move by tenths, and what counts is that the same things are found, ranked alike. Where
    # .85 and more were found again, the average precision against human labels fell by .01. Rows of good ones are half of their
    # spread off, mostly where nothing is; a constant would be all of it off.
    "int8": Tolerance(overlap=0.9, score=0.1, ap50=0.8, found_again=0.8, spread=0.9, of_rows="median"),
}


def tolerance_for(kind: Kind, *, own_pixels: bool = False) -> Tolerance:
    """What is allowed of an export.

    Args:
        kind: What it computes in.
        own_pixels: Whether each side scales the frames itself, so that they see different pixels.
    """
    allowed = _ALLOWED[kind]
    if not own_pixels:
        return allowed
    if kind == "float":
        return _OWN_PIXELS
    least = min(allowed.ap50, _OWN_PIXELS.ap50), min(allowed.found_again, _OWN_PIXELS.found_again)
    return dataclasses.replace(allowed, share=0.0, ap50=least[0], found_again=least[1])
