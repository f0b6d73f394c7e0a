"""The figures of a training as a table that any program reads."""

from __future__ import annotations

import contextlib
import csv
import io
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.errors import OptionError
from framehook.inference.saving import way_out
from framehook.training.callbacks.per_epoch import PerEpoch, in_order

if TYPE_CHECKING:
    from framehook.training.trainer import Trainer

log = logging.getLogger("framehook")


class CSVLogger(PerEpoch):
    """Writes a row an epoch: `epoch` (counted from 1), `time` (seconds of training so far), losses, metrics, learning rates.

    The columns are named as `trainer.label_loss_items()`, `trainer.metrics` and `trainer.lr` have them. What an epoch has no
    figure of is left empty, as metrics are where it was not validated. A training that is resumed goes on below the rows of
    the epochs before it; those of epochs that are gone through again are replaced. Any other begins anew.

    Rows are added one by one and handed to the system at once, so that whatever ends the program, what is there is whole. If a
    row cannot be written (a full disk), that is logged once, the training goes on, and the row follows as soon as it can.

    Attributes:
        path: The file; that of the last training where none was named.
    """

    order: ClassVar[int] = 100

    def __init__(self, path: str | Path | None = None) -> None:
        """Choose the file; None for `trainer.csv`, which is `results.csv` in the training's folder.

        Raises:
            OptionError: it is a folder.
        """
        self._named = None if path is None else Path(path).expanduser()
        if self._named is not None and self._named.is_dir():
            raise OptionError(f"'{path}' is a folder; pass the name of a file for the figures")
        self.path: Path | None = self._named
        self._table = _Table()
        self._seconds = 0.0
        self._began = 0.0

    def begin(self, trainer: Trainer) -> None:
        self.path = self._named or trainer.csv
        kept: list[dict[str, float]] = []
        if trainer.start_epoch > 0:
            # A table that cannot be read is of no use to the training that goes on, and none of it is lost to anybody else.
            with contextlib.suppress(OptionError):
                kept = [row for row in read_history(self.path) if row.get("epoch", math.inf) <= trainer.start_epoch]
        self._table = _Table(kept)
        self._seconds = kept[-1].get("time", 0.0) if kept else 0.0
        self._began = time.monotonic()

    def epoch_done(self, trainer: Trainer, figures: Mapping[str, float]) -> None:
        assert self.path is not None  # it began
        seconds = self._seconds + time.monotonic() - self._began
        self._table.add({"epoch": trainer.epoch + 1, "time": seconds, **figures})
        self._table.write(self.path)


class _Table:
    """Rows, and the file that shows them."""

    def __init__(self, rows: Sequence[Mapping[str, float]] = ()) -> None:
        self._rows = list(rows)
        self._columns = ["epoch", "time"]
        self._size: int | None = None  # of the file, if it is as it was left; None to write all of it
        self._waiting = 0
        self._told = False
        for row in rows:
            self._name(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Add the row of an epoch. Should it have been gone through before, it and what followed it are taken back."""
        earlier = [each for each in self._rows if each["epoch"] < row["epoch"]]
        if len(earlier) < len(self._rows):
            self._rows, self._size = earlier, None
        self._rows.append(row)
        self._waiting += 1
        self._name(row)

    def write(self, path: Path) -> None:
        """Bring the file up to date."""
        try:
            if self._size is None or not path.exists() or path.stat().st_size != self._size:
                self._write_all(path)
            else:
                with path.open("ab") as file:
                    file.write(self._lines(self._rows[-self._waiting :]))
            self._size, self._waiting = path.stat().st_size, 0
        except OSError as error:
            self._size = None  # part of the row may be there
            if not self._told:
                why = f"{error.strerror or error}{way_out(error)}"
                log.warning("%s cannot be written: %s; the training goes on, its rows follow if they can", path, why)
            self._told = True

    def _name(self, row: Mapping[str, float]) -> None:
        if any(name not in self._columns for name in row):
            known = dict.fromkeys([*self._columns, *row])
            self._columns = ["epoch", "time", *in_order([name for name in known if name not in ("epoch", "time")])]
            self._size = None  # the first line is another one now

    def _write_all(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_bytes(_line(self._columns) + self._lines(self._rows))
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    def _lines(self, rows: Sequence[Mapping[str, float]]) -> bytes:
        return b"".join(_line([_text(row.get(name)) for name in self._columns]) for row in rows)


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def read_history(path: str | Path) -> list[dict[str, float]]:
    """Read the rows of a `results.csv`, in which what is empty is left out.

    So is a last row that was cut off, by a power failure, say: one without an end of line.

    Raises:
        OptionError: no such file, or not a table of figures.
    """
    path = Path(path)
    of = "pass the results.csv of a training"
    try:
        text = path.read_text(encoding="utf-8")
        names, *rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
    except OSError as error:
        raise OptionError(f"'{path}' cannot be read: {error.strerror or error}; {of}") from error
    except (ValueError, csv.Error) as error:  # no text at all, or no rows in it
        raise OptionError(f"'{path}' is not a table of figures; {of}") from error
    names = [name.strip() for name in names]  # other tools pad them
    if "epoch" not in names:
        raise OptionError(f"'{path}' has no column 'epoch'; {of}")
    history = []
    for number, row in enumerate(rows, 2):
        try:
            history.append({name: float(cell) for name, cell in zip(names, row, strict=True) if cell.strip()})
        except ValueError as error:
            raise OptionError(f"'{path}' line {number} is not a row of figures; {of}") from error
    return history
