"""Detections as rows of one file: JSON lines, CSV, MOT."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TextIO

import numpy as np

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun, PerSource, is_gone
from framehook.inference.errors import OptionError, RecordingError
from framehook.inference.frame import Frame, SourceKind
from framehook.inference.options import ROW_FORMATS, row_format
from framehook.inference.result import Result
from framehook.inference.saving import claim_file, folder_of, refuse_source, release_file, stem_of, way_out

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

CSV_COLUMNS: Final = ("source", "frame", "pts", "time", "id", "cls", "name", "conf", "x1", "y1", "x2", "y2")


class Rows(Callback):
    """Writes what is found into one file, frame by frame, after all other callbacks that change it.

    - `jsonl`: a JSON object a frame, also where nothing was found: `source` (its name), `frame` (counted from 0), `pts` (media
      time in seconds, or null), `time` (of capture, UTC), `size` (width and height), `boxes` (each `id`, `cls`, `name`, `conf`
      and `xyxy` in pixels) and, where callbacks attached something to `result.data`, `data`: as much of it as JSON can hold,
      which pictures and other arrays are not.
    - `csv`: a line a box, under a line that names the columns, which are those of `CSV_COLUMNS`.
    - `mot`: a line a box as the MOT challenge has it, `frame,id,left,top,width,height,conf,-1,-1,-1`, frames counted from 1. It
      has no column for the source, so that each source has a file of its own.

    A box that belongs to no track has the id null, nothing, and -1. Edges are rounded to hundredths of a pixel. (For YOLO's
    text file a frame there is `Labels`.)

    What is found in a frame is written, and handed to the system, at once and as a whole: whatever ends the program, at most
    the frame under way is missing, and no line is in pieces. If writing fails (a full disk), the run ends with a
    `RecordingError`, and what was written stays.

    Attributes:
        paths: The files written so far, in all runs, oldest first.
    """

    order: ClassVar[int] = 100
    foreground_only: ClassVar[bool] = True

    def __init__(self, path: str | Path | TextIO | None = None, format: str | None = None) -> None:
        """Choose where to write, and how.

        Args:
            path: The file, which is overwritten; for MOT those of further sources are named
                after them, `name_<source>.txt`, and overwrite nothing. Or a text
                stream, such as `sys.stdout`: once nobody reads it any more, the run is asked to stop. None names the file
                `rows.jsonl` or `rows.csv`, and for MOT after the source, in the run's `save_dir`, and overwrites nothing.
            format: `jsonl`, `csv` or `mot`; None goes by the file's ending (.jsonl, .csv, .txt for MOT), else `jsonl`.

        Raises:
            OptionError: no such format, or none that the ending stands for.
        """
        if format is not None and format not in ROW_FORMATS:
            raise OptionError(f"format={format!r} is unknown; pass {', '.join(ROW_FORMATS)}")
        self._path = Path(path).expanduser() if isinstance(path, str | Path) else None
        self._stream = None if isinstance(path, str | Path) else path
        if self._stream is not None and not callable(getattr(self._stream, "write", None)):
            raise OptionError(f"path={path!r} is no file; pass the name of one, or a text stream")
        if self._path is not None and self._path.is_dir():
            raise OptionError(f"'{path}' is a folder; pass the name of a file for the rows")
        if self._stream is not None and format == "mot":
            raise OptionError("MOT has a file for each source and cannot go to a stream; pass format='jsonl' or 'csv'")
        self._format = format or ("jsonl" if self._path is None else row_format(self._path))
        self.paths: list[Path] = []
        self._runs: PerRun[_Run] = PerRun(_Run)
        self._files: PerRun[list[Path]] = PerRun(list)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        run = self._runs.of(predictor)
        lines_of = _LINES[self._format]
        for result in predictor.frame_results:
            file = self._file_for(predictor, run, result.frame)
            try:
                file.write(lines_of(result, run.name_of(result.frame)))
            except BrokenPipeError:
                predictor.stop()

    def on_source_change(self, predictor: Predictor) -> None:
        run, change = self._runs.find(predictor), predictor.change
        if run is not None and change is not None and is_gone(change):
            run.sources.end(change.source)

    def on_predict_end(self, predictor: Predictor) -> None:
        run = self._runs.pop(predictor)
        if run is not None:
            run.close()

    def files_of(self, predictor: Predictor) -> list[Path]:
        """The files that one run wrote so far, oldest first."""
        return list(self._files.of(predictor))

    def _file_for(self, predictor: Predictor, run: _Run, frame: Frame) -> _Output:
        slot = run.sources.of(frame) if self._format == "mot" else run.all
        if slot.file is None:
            slot.file = self._open(predictor, frame)
            if self._format == "csv":
                slot.file.write(_csv_line(CSV_COLUMNS))
        return slot.file

    def _open(self, predictor: Predictor, frame: Frame) -> _Output:
        if self._stream is not None:
            return _Stream(self._stream)
        file = _File(self._next_path(predictor, frame))
        self.paths.append(file.path)
        self._files.of(predictor).append(file.path)
        return file

    def _next_path(self, predictor: Predictor, frame: Frame) -> Path:
        """The file to write into, claimed."""
        if self._path is None:
            stem = stem_of(frame.source) if self._format == "mot" else "rows"
            return claim_file(folder_of(predictor) / f"{stem}{ROW_FORMATS[self._format][0]}", overwrite=False)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"the folder of {self._path} cannot be made: {error.strerror or error}") from error
        refuse_source(self._path, (*predictor.sources, frame.source))
        if self._path not in self._files.of(predictor):
            return claim_file(self._path, overwrite=True)
        # Only MOT has further files; a name that tells the source is found again.
        named = self._path.with_name(f"{self._path.stem}_{stem_of(frame.source)}{self._path.suffix}")
        return claim_file(named, overwrite=False)


class _Output(Protocol):
    """Where lines go."""

    def write(self, lines: str) -> None: ...

    def close(self) -> None: ...


class _File:
    """A file to which lines are added, and in which there are only whole ones."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            release_file(path)
            raise self._failure(error) from error

    def write(self, lines: str) -> None:
        rest = memoryview(lines.encode(errors="backslashreplace"))  # names of files may hold anything
        end = self._end + len(rest)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # of a pipe nothing can be taken back
                self._file.truncate(self._end)
                self._file.seek(self._end)
            if isinstance(error, BrokenPipeError):
                raise
            raise self._failure(error) from error
        self._end = end

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._failure(error) from error
        finally:
            release_file(self.path)

    def _failure(self, error: OSError) -> RecordingError:
        return RecordingError(f"{self.path} cannot be written: {error.strerror or error}{way_out(error)}")


class _Stream:
    """A text stream that belongs to somebody else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, lines: str) -> None:
        try:
            self._stream.write(lines)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            name = "standard output" if getattr(self._stream, "name", None) in (1, "<stdout>") else "the stream of rows"
            raise RecordingError(f"{name} cannot be written: {error.strerror or error}{way_out(error)}") from error

    def close(self) -> None:
        """It stays open."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A file that is opened with the first frame that is written into it."""

    file: _Output | None = None

    def close(self) -> None:
        file, self.file = self.file, None
        if file is not None:
            file.close()


@dataclass(slots=True)
class _Run:
    """The files of one run, and what its sources are called in them."""

    all: _Slot = field(default_factory=_Slot)
    sources: PerSource[_Slot] = field(default_factory=lambda: PerSource(lambda _frame: _Slot(), let_go=_Slot.close))
    names: dict[str, str] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)

    def name_of(self, frame: Frame) -> str:
        """The name of a frame's source; of two sources of one name the second is `name (2)`."""
        source = frame.source
        if source.kind is SourceKind.IMAGE:
            return source.name
        if source.id not in self.names:
            number = self.taken[source.name] = self.taken.get(source.name, 0) + 1
            self.names[source.id] = source.name if number == 1 else f"{source.name} ({number})"
        return self.names[source.id]

    def close(self) -> None:
        with contextlib.ExitStack() as each:  # the others too, where one cannot be closed
            for slot in (self.all, *self.sources.values()):
                each.callback(slot.close)


# Lines of a frame ---------------------------------------------------------------------------------------------------------


def json_line(result: Result, name: str) -> str:
    """A frame as a line of JSON; `name` is that of its source."""
    frame, boxes = result.frame, result.boxes
    rows = zip(_ids(result), boxes.cls.tolist(), boxes.conf.tolist(), _edges(result), strict=True)
    entry: dict[str, Any] = {
        "source": name,
        "frame": frame.index,
        "pts": None if frame.pts is None else round(frame.pts, 4),
        "time": _time_of(frame),
        "size": list(frame.size),
        "boxes": [
            {"id": number, "cls": cls, "name": result.name_of(cls), "conf": round(conf, 4), "xyxy": edges}
            for number, cls, conf, edges in rows
        ],
    }
    line = _json(entry)
    data = ",".join(f"{_json(key)}:{text}" for key, value in result.data.items() if (text := _json_or_none(value)) is not None)
    return f'{line[:-1]},"data":{{{data}}}}}\n' if data else f"{line}\n"


def csv_lines(result: Result, name: str) -> str:
    """The boxes of a frame as lines of CSV."""
    frame, boxes = result.frame, result.boxes
    pts = None if frame.pts is None else round(frame.pts, 4)
    when = _time_of(frame)
    rows = zip(_ids(result), boxes.cls.tolist(), boxes.conf.tolist(), _edges(result), strict=True)
    return "".join(
        _csv_line((name, frame.index, pts, when, number, cls, result.name_of(cls), round(conf, 4), *edges))
        for number, cls, conf, edges in rows
    )


def mot_lines(result: Result, name: str) -> str:
    """The boxes of a frame as lines of MOT; `name` is not among them."""
    lines = []
    for number, conf, (left, top, right, bottom) in zip(_ids(result), result.boxes.conf, _edges(result), strict=True):
        edges = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f}"
        lines.append(f"{result.frame.index + 1},{-1 if number is None else number},{edges},{conf:.4f},-1,-1,-1\n")
    return "".join(lines)


_LINES: Final[Mapping[str, Callable[[Result, str], str]]] = {"jsonl": json_line, "csv": csv_lines, "mot": mot_lines}


def _ids(result: Result) -> list[int | None]:
    boxes = result.boxes
    return [None] * len(boxes) if boxes.id is None else [number if number >= 0 else None for number in boxes.id.tolist()]


def _edges(result: Result) -> list[list[float]]:
    edges: list[list[float]] = np.round(result.boxes.xyxy.astype(float), 2).tolist()
    return edges


def _time_of(frame: Frame) -> str:
    """When a frame was captured, by the clock on the wall: `2026-03-01T12:00:00.123+00:00`."""
    captured = time.time() - (time.monotonic() - frame.captured_at)
    return datetime.fromtimestamp(captured, UTC).isoformat(timespec="milliseconds")


def _csv_line(values: tuple[Any, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def _json_or_none(value: Any) -> str | None:
    """A value as JSON, or None where JSON cannot hold it."""
    try:
        return _json(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(value: Any) -> Any:
    """A NumPy number as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is nothing that JSON can hold")
