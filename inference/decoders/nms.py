"""Which candidates become detections: score, class, overlap and number.

Non-maximum suppression is our own because `cv2.dnn.NMSBoxesBatched` differs from the definition (OpenCV 5.0, against plain
loops): boxes of different classes meet where coordinates are negative, as it keeps classes apart by an offset of the largest
coordinate, and boxes without area suppress each other. It also takes 0.2 s for 8000 candidates (it ends when all are judged);
for a few hundred and less it is the faster one, by well under a millisecond.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray, IntArray
from framehook.inference.decoders.base import Candidates

MAX_CANDIDATES: Final = 30_000
"""Only so many candidates, the best, enter suppression; the bound the field uses."""

_BLOCK: Final = 128

Mask = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
Rows = slice | npt.NDArray[np.intp]


def suppress(
    candidates: Candidates,
    *,
    conf: float,
    iou: float,
    classes: Collection[int] | None = None,
    max_det: int = 300,
    agnostic: bool = False,
) -> Candidates:
    """Keep the best of overlapping candidates: greedy, class-aware non-maximum suppression.

    Exact and deterministic: overlaps are computed in double precision and equal scores keep their order. Of more than
    `MAX_CANDIDATES` that pass the filters the best are considered, and the work ends with the `max_det`-th box kept, so that it
    is bounded by `MAX_CANDIDATES * max_det` overlaps.

    Args:
        candidates: What a decoder with `needs_nms` found.
        conf: Only scores above this pass.
        iou: A box is suppressed by a better one when their intersection over union exceeds this.
        classes: Only these class numbers pass; None for all.
        max_det: At most this many boxes are kept.
        agnostic: Suppress boxes of different classes as well.

    Returns:
        The kept boxes, highest score first.
    """
    order = best_first(candidates, conf=conf, classes=classes, limit=MAX_CANDIDATES)
    if len(order) > 1:
        order = order[_greedy(candidates.xyxy[order], None if agnostic else candidates.cls[order], iou, max_det)]
    return candidates[order[:max_det]]


def select(candidates: Candidates, *, conf: float, classes: Collection[int] | None = None, max_det: int = 300) -> Candidates:
    """Filter by score, class and number only, for networks that suppress inside the graph.

    Arguments and result as in `suppress`.
    """
    return candidates[best_first(candidates, conf=conf, classes=classes, limit=max_det)]


def best_first(candidates: Candidates, *, conf: float, classes: Collection[int] | None, limit: int) -> npt.NDArray[np.intp]:
    """Rows of the candidates above `conf` and of these classes, highest score first, ties in their order, at most `limit`."""
    passed = candidates.conf > conf
    if classes is not None:
        passed &= np.isin(candidates.cls, list(classes))
    rows = np.flatnonzero(passed)
    # A stable sort of the negated scores: a reversed ascending sort would turn the order of ties round.
    return rows[np.argsort(-candidates.conf[rows], kind="stable")[:limit]]


def _greedy(xyxy: FloatArray, cls: IntArray | None, iou: float, max_det: int) -> npt.NDArray[np.intp]:
    """Rows to keep of boxes sorted best first.

    Block by block, so that most of the work is a few large array operations: a block is first thinned by what is already kept,
    then by itself.
    """
    edges = np.ascontiguousarray(xyxy.T, np.float64)
    area = np.maximum(edges[2] - edges[0], 0) * np.maximum(edges[3] - edges[1], 0)
    kept = np.empty(0, np.intp)
    for start in range(0, len(xyxy), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(xyxy)))
        block: Rows = slice(start, start + len(rows))  # a view, where picked rows would be a copy
        if len(kept):
            block = rows = rows[~_overlaps(edges, area, cls, kept, rows, iou).any(axis=0)]
        kept = np.concatenate((kept, rows[_greedy_block(_overlaps(edges, area, cls, block, block, iou))]))
        if len(kept) >= max_det:
            break
    return kept


def _greedy_block(overlaps: Mask) -> Mask:
    """Which rows stay, where row i, if it stays, removes each later row j of which `overlaps[i, j]` is true."""
    # Rows as the bits of Python's integers: a few calls into NumPy in all, where masks would take several for each row.
    packed = np.packbits(overlaps, axis=1, bitorder="little")
    width, bits = packed.shape[1], packed.tobytes()
    stays = np.zeros(len(overlaps), np.bool_)
    removed = 0
    for row in range(len(overlaps)):
        if not removed >> row & 1:
            stays[row] = True
            removed |= int.from_bytes(bits[row * width : (row + 1) * width], "little")
    return stays


def _overlaps(edges: Doubles, area: Doubles, cls: IntArray | None, first: Rows, second: Rows, iou: float) -> Mask:
    """Whether two boxes, of one class unless `cls` is None, overlap by more than `iou`.

    Returns:
        A matrix with a row for each of `first` and a column for each of `second`.
    """
    a, b = edges[:, first][:, :, None], edges[:, second][:, None]
    width = np.minimum(a[2], b[2])
    width -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    shared = np.multiply(width, height, out=width)
    union = np.add(area[first][:, None], area[second], out=height)
    union -= shared
    # Dividing, not multiplying the threshold, is what makes an overlap of exactly `iou` compare equal to it. Two boxes without
    # area have no union; the smallest double leaves their overlap at zero.
    np.maximum(union, np.finfo(np.float64).tiny, out=union)
    over: Mask = np.divide(shared, union, out=shared) > iou
    if cls is not None:
        over &= cls[first][:, None] == cls[second]
    return over
