"""Which boxes are which objects."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]


def overlaps(found: npt.ArrayLike, objects: npt.ArrayLike, crowd: Mask | None = None) -> FloatArray:
    """Intersection over union of each box with each object, 0..1; with a crowd the share of the box that lies in it.

    Args:
        found: n x 4: left, top, right, bottom.
        objects: m x 4, likewise.
        crowd: m: which objects are crowds; None for none.

    Returns:
        n x m.
    """
    a, b = np.asarray(found, np.float64).reshape(-1, 4)[:, None], np.asarray(objects, np.float64).reshape(-1, 4)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared: FloatArray = np.prod(np.maximum(sides, 0), axis=2)
    area = np.prod(a[..., 2:] - a[..., :2], axis=2)
    whole = area + np.prod(b[..., 2:] - b[..., :2], axis=2) - shared
    if crowd is not None:
        whole = np.where(crowd[None], area, whole)
    overlap: FloatArray = np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
    return overlap


def judged(overlap: FloatArray, crowd: Mask, least: float) -> tuple[Mask, Mask]:
    """Which boxes of a class are right: COCO's rule. The best box comes first, and takes the object it overlaps most.

    Args:
        overlap: n x m, of boxes, best score first, with the objects of the class; see `overlaps`.
        crowd: m: which objects are crowds. They take any number of boxes, which then count neither for nor against.
        least: Overlap from which on a box is an object's.

    Returns:
        n: which boxes are right; n: which do not count. The rest are wrong.
    """
    right, uncounted = np.zeros(len(overlap), np.bool_), np.zeros(len(overlap), np.bool_)
    near = np.where(overlap >= least, overlap, 0.0)
    free = ~crowd
    for row in np.flatnonzero((near > 0).any(axis=1)):
        open_to_it = near[row] * free
        best = int(len(open_to_it) - 1 - np.argmax(open_to_it[::-1]))  # the last of equals, as in COCO's own code
        if open_to_it[best] > 0:
            right[row] = True
            free[best] = False
        elif (near[row] * crowd).any():
            uncounted[row] = True
    return right, uncounted
