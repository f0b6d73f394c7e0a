"""Detected boxes of one frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


class Boxes:
    """The boxes of one frame, as frozen arrays that belong together row by row.

    Attributes:
        xyxy: N x 4 float32, left, top, right, bottom in frame pixels; right and bottom are exclusive edges.
        conf: N float32, score 0..1.
        cls: N int64, index into the model's names.
        id: N int64 track ids (from 0, or -1 for a box that belongs to no track), or None where nothing was tracked.
        orig_shape: (height, width) of the frame in pixels.
    """

    __slots__ = ("cls", "conf", "id", "orig_shape", "xyxy")

    xyxy: FloatArray
    conf: FloatArray
    cls: IntArray
    id: IntArray | None
    orig_shape: tuple[int, int]

    def __init__(
        self,
        xyxy: npt.ArrayLike,
        conf: npt.ArrayLike,
        cls: npt.ArrayLike,
        id: npt.ArrayLike | None = None,
        *,
        orig_shape: tuple[int, int],
    ) -> None:
        """Take arrays, or anything NumPy makes arrays of; they are copied only when the dtype differs.

        Raises:
            ValueError: the lengths or shapes do not fit together, or an edge or a score is no finite number.
        """
        freeze = object.__setattr__
        freeze(self, "xyxy", _frozen(xyxy, np.float32).reshape(-1, 4))
        freeze(self, "conf", _frozen(conf, np.float32))
        freeze(self, "cls", _frozen(cls, np.int64))
        freeze(self, "id", None if id is None else _frozen(id, np.int64))
        freeze(self, "orig_shape", orig_shape)
        count = len(self.xyxy)
        for name in ("conf", "cls") if id is None else ("conf", "cls", "id"):
            if getattr(self, name).shape != (count,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}; {count} boxes need ({count},)")
        for name in ("xyxy", "conf"):
            values = getattr(self, name)
            # One broken number makes the sum broken; only then is it worth finding out which.
            if not math.isfinite(values.sum(dtype=np.float64)) and not (finite := np.isfinite(values)).all():
                row = int(np.argwhere(~finite)[0, 0])
                raise ValueError(f"{name} of box {row} is {values[row].tolist()}; it must be of finite numbers")

    @classmethod
    def empty(cls, orig_shape: tuple[int, int]) -> Self:
        """No boxes at all."""
        return cls(np.empty((0, 4), np.float32), [], [], orig_shape=orig_shape)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"boxes are frozen; make new ones and assign result.boxes (tried to set '{name}')")

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: int | slice | npt.ArrayLike) -> Self:
        """Select rows by number, slice, index array or mask; the outcome is always `Boxes`."""
        rows: Any = np.atleast_1d(np.asarray(index)) if not isinstance(index, slice) else index
        if isinstance(rows, np.ndarray) and rows.size == 0:
            rows = rows.astype(np.int64)
        return type(self)(
            self.xyxy[rows],
            self.conf[rows],
            self.cls[rows],
            None if self.id is None else self.id[rows],
            orig_shape=self.orig_shape,
        )

    def __iter__(self) -> Iterator[Self]:
        """Yield each box as `Boxes` of length one."""
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        tracked = "" if self.id is None else ", tracked"
        return f"Boxes({len(self)}{tracked})"

    def with_ids(self, id: npt.ArrayLike | None) -> Self:
        """Return the same boxes with these track ids."""
        return type(self)(self.xyxy, self.conf, self.cls, id, orig_shape=self.orig_shape)

    @property
    def is_track(self) -> bool:
        """Whether the boxes carry track ids."""
        return self.id is not None

    @property
    def xywh(self) -> FloatArray:
        """N x 4 float32: centre x, centre y, width, height in frame pixels."""
        low, high = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate(((low + high) / 2, high - low), axis=1)

    @property
    def xyxyn(self) -> FloatArray:
        """`xyxy` divided by the frame's width and height, 0..1."""
        return self.xyxy / self._scale()

    @property
    def xywhn(self) -> FloatArray:
        """`xywh` divided by the frame's width and height, 0..1."""
        return self.xywh / self._scale()

    def _scale(self) -> FloatArray:
        height, width = self.orig_shape
        return np.array([width, height, width, height], np.float32)


def _frozen(values: npt.ArrayLike, dtype: type) -> Any:
    """A read-only array of `values`; the caller's own array stays writable."""
    array: npt.NDArray[Any] = np.asarray(values, dtype).view()
    array.flags.writeable = False
    return array
