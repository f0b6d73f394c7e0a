"""Whether two networks give the same numbers for the same input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from framehook.export.tolerances import CUT_OFF, ROW_FLOOR, ROW_SHARE, SINGLE, TENSOR, Tolerance
from framehook.inference.backends.base import Tensor
from framehook.inference.errors import ParityError

Doubles = npt.NDArray[np.float64]

_FAINT: Final = 1e-4
"""A spread below this counts as this: a class that is nowhere has scores of a hundred thousandth, all of it noise."""


@dataclass(frozen=True, slots=True)
class TensorFigures:
    """How far the network of an export is from its source's.

    Attributes:
        inputs: How many network calls were compared.
        difference: The largest difference of two numbers, in their own unit.
        error: What is judged: of a float export how far the worst row is off, by what is allowed; else the error of a row in
            units of the row's spread.
        allowed: The most that `error` may be.
        where: The place of the largest error: `output0, row 17`.
    """

    inputs: int
    difference: float
    error: float
    allowed: float
    where: str


class TensorComparison:
    """Compares the outputs of one network call after another; what it holds does not grow with their number.

    A row is what one number of every proposal says: a box's side, the score of a class. It runs along the longer of the last
    two axes of an output, which decoders take in either order.
    """

    def __init__(self, tolerance: Tolerance, *, ranked: bool) -> None:
        """Start without any call.

        Args:
            tolerance: What is allowed.
            ranked: Whether proposals come sorted by score, so that equals may trade places, and the last ones for others.
        """
        self._tolerance = tolerance
        self._ranked = ranked
        self._inputs = 0
        self._names: Sequence[str] = ()
        self._rows: list[_Rows] = []

    def add(self, expected: Sequence[Tensor], found: Sequence[Tensor], names: Sequence[str]) -> None:
        """Compare the outputs of one call.

        Args:
            expected: Outputs of the source.
            found: Outputs of the export.
            names: What the outputs are called.

        Raises:
            ParityError: they differ in number or shape, or where they are finite.
        """
        shapes, theirs = ([" x ".join(map(str, each.shape)) or "one" for each in side] for side in (found, expected))
        if shapes != theirs:
            raise ParityError(
                f"the exported network gives outputs of {', '.join(shapes)} numbers, and its source of {', '.join(theirs)}; "
                "the graph is another one"
            )
        ours, others = ([np.asarray(each, np.float64) for each in side] for side in (expected, found))
        for name, one, other in zip(names, ours, others, strict=True):
            if not np.array_equal(np.isfinite(one), np.isfinite(other)):
                raise ParityError(
                    f"{name} of the exported network holds numbers that are not finite where its source's are, as when float16 "
                    "overflows; leave half out, or export with simplify=False"
                )
        if self._ranked and self._tolerance.spread is None:
            others = _aligned(ours, others)
        elif self._ranked:
            # By other scores they rank otherwise, and others are among the best; what they are like as a whole stays.
            ours, others = ([np.sort(each, axis=1) if each.ndim > 1 else each for each in side] for side in (ours, others))
        if not self._rows:
            self._names, self._rows = list(names), [_Rows(_row_count(each)) for each in ours]
        for rows, one, other in zip(self._rows, ours, others, strict=True):
            rows.add(_as_rows(one), _as_rows(other))
        self._inputs += 1

    def figures(self) -> TensorFigures:
        """What all calls so far gave."""
        tolerance = self._tolerance
        difference = max((float(rows.difference.max(initial=0)) for rows in self._rows), default=0.0)
        if tolerance.spread is None:
            errors = [rows.excess() for rows in self._rows]
        else:
            errors = [rows.relative_error() for rows in self._rows]
        worst = max(range(len(errors)), key=lambda number: errors[number].max(initial=0), default=0)
        where = ""
        if errors:
            row = int(errors[worst].argmax()) if errors[worst].size else 0
            where = f"{self._names[worst]}, row {row}" if len(errors[worst]) > 1 else self._names[worst]
        every = np.concatenate(errors) if errors else np.zeros(1)
        if tolerance.of_rows == "median":
            every = np.median(every[every > 0], keepdims=True) if every.any() else np.zeros(1)
        return TensorFigures(self._inputs, difference, float(every.max()), tolerance.spread or 1.0, where)


class _Rows:
    """Running figures of the rows of one output, over all calls."""

    def __init__(self, count: int) -> None:
        self.difference = np.zeros(count)  # the largest
        self._largest = np.zeros(count)
        self._squares, self._sum, self._sum_of_squares = np.zeros(count), np.zeros(count), np.zeros(count)
        self._length = 0

    def add(self, expected: Doubles, found: Doubles) -> None:
        finite = np.isfinite(expected)
        expected, found = np.where(finite, expected, 0), np.where(finite, found, 0)
        off, size = np.abs(expected - found), np.abs(expected)
        for running, values in ((self.difference, off), (self._largest, size)):
            np.maximum(running, values.max(axis=1, initial=0), out=running)
        self._squares += (off**2).sum(axis=1)
        self._sum += expected.sum(axis=1)
        self._sum_of_squares += (expected**2).sum(axis=1)
        self._length += expected.shape[1]

    def excess(self) -> Doubles:
        """How far each row is off, by what is allowed."""
        single = np.minimum(TENSOR + SINGLE * self._largest, ROW_FLOOR + ROW_SHARE * self._largest)
        excess: Doubles = np.maximum(self._mean_difference() / TENSOR, self.difference / single)
        return excess

    def relative_error(self) -> Doubles:
        """How far each row is off, in units of its standard deviation; zero where both are as faint as noise."""
        length = max(self._length, 1)
        spread = np.sqrt(np.maximum(self._sum_of_squares / length - (self._sum / length) ** 2, 0))
        off = self._mean_difference()
        error: Doubles = np.where((spread < _FAINT) & (off < _FAINT), 0, off / np.maximum(spread, _FAINT))
        return error

    def _mean_difference(self) -> Doubles:
        """The root of the mean square of each row's differences."""
        mean: Doubles = np.sqrt(self._squares / max(self._length, 1))
        return mean


def _row_count(output: Doubles) -> int:
    return min(output.shape[-2:]) if output.ndim >= 3 else 1


def _as_rows(output: Doubles) -> Doubles:
    """An output as rows x all the rest, the batch included."""
    if output.ndim < 3:
        return output.reshape(1, -1)
    axis = -1 if output.shape[-1] <= output.shape[-2] else -2
    return np.moveaxis(output, axis, 0).reshape(output.shape[axis], -1)


def _aligned(expected: list[Doubles], found: list[Doubles]) -> list[Doubles]:
    """`found` with its proposals in the order of `expected`, where they only traded places.

    Proposals that are in one list alone are taken for the same up to `CUT_OFF` of the list: they were cut off differently.
    """
    proposals = max((each.shape[1] for each in expected if each.ndim >= 2), default=0)
    which = [number for number, each in enumerate(expected) if each.ndim >= 2 and each.shape[1] == proposals]
    if not which:
        return found
    found = [each.copy() if number in which else each for number, each in enumerate(found)]
    for image in range(len(expected[which[0]])):
        ours, others = (
            np.concatenate([side[number][image].reshape(proposals, -1) for number in which], axis=1)
            for side in (expected, found)
        )
        near = TENSOR * np.maximum(1, np.abs(ours).max(axis=0, initial=0))
        order, unlike = _order(ours, others, near)
        for number in which:
            found[number][image] = found[number][image][order]
            if len(unlike) <= CUT_OFF * proposals:
                found[number][image][unlike] = expected[number][image][unlike]
    return found


def _order(ours: Doubles, others: Doubles, near: Doubles) -> tuple[npt.NDArray[np.intp], list[int]]:
    """Which row of `others` each row of `ours` is, and which rows are none: those get one of the rows that are left.

    Rows are the same where no number is further apart than `near`.
    """
    order = np.arange(len(ours))
    moved = np.flatnonzero((np.abs(ours - others) > near).any(axis=1))
    free = list(moved)
    unlike = []
    for row in moved:
        same = (np.abs(others[free] - ours[row]) <= near).all(axis=1)
        if same.any():
            order[row] = free.pop(int(same.argmax()))
        else:
            unlike.append(int(row))
    order[unlike] = free
    return order, unlike
