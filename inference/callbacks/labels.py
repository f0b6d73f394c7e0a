"""Detections as text files that YOLO tools read."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun
from framehook.inference.errors import RecordingError
from framehook.inference.frame import Frame, SourceKind
from framehook.inference.saving import folder_of, numbered, stem_of, way_out

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor


class Labels(Callback):
    """Writes one text file a frame into `labels` in the run's `save_dir`, or `labels2` ... where that holds files already.

    A line stands for a box: `class cx cy w h conf`, and the track id where boxes are tracked; centre and size are divided by
    the frame's width and height. A frame without boxes gives an empty file. Files are named `<source>_<number>.txt`, with the
    frame's number counted from 1 as other YOLO tools do, and `<picture>.txt` for pictures.

    Attributes:
        folders: The folders written to, of all runs.
    """

    order: ClassVar[int] = 100

    def __init__(self) -> None:
        """Write into the folder of whatever run fires the events."""
        self.folders: list[Path] = []
        self._runs: PerRun[_Written] = PerRun(_Written)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        written = self._runs.of(predictor)
        for result in predictor.frame_results:
            if written.folder is None:
                written.folder = _make_folder(folder_of(predictor) / "labels")
                self.folders.append(written.folder)
            file = written.folder / f"{written.name_for(result.frame)}.txt"
            try:
                file.write_text("".join(lines_of(result.boxes)), encoding="utf-8")
            except OSError as error:
                with contextlib.suppress(OSError):
                    file.unlink()  # a file without lines would say that nothing was found
                raise RecordingError(f"{file} cannot be written: {error.strerror or error}{way_out(error)}") from error

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)


def lines_of(boxes: Boxes) -> list[str]:
    """The boxes as lines of a YOLO text file."""
    lines = []
    for row, edges in enumerate(boxes.xywhn):
        words = [str(boxes.cls[row]), *(f"{edge:.6f}" for edge in edges), f"{boxes.conf[row]:.6f}"]
        if boxes.id is not None:
            words.append(str(boxes.id[row]))
        lines.append(" ".join(words) + "\n")
    return lines


@dataclass(slots=True)
class _Written:
    """What a run wrote so far."""

    folder: Path | None = None
    stems: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def name_for(self, frame: Frame) -> str:
        """The name of a frame's file, without ending."""
        if frame.source.kind is SourceKind.IMAGE:
            return self._free(stem_of(frame.source))
        if frame.source.id not in self.stems:
            self.stems[frame.source.id] = self._free(stem_of(frame.source))
        return f"{self.stems[frame.source.id]}_{frame.index + 1}"

    def _free(self, stem: str) -> str:
        free = next(path.name for path in numbered(Path(stem)) if path.name not in self.taken)
        self.taken.add(free)
        return free


def _make_folder(path: Path) -> Path:
    """A folder of that name, or the next number's where it holds files: labels made by hand may lie there."""
    try:
        for number in itertools.count(1):
            folder = path if number == 1 else path.with_name(f"{path.name}{number}")
            folder.mkdir(parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                return folder
    except OSError as error:
        raise RecordingError(f"{path} cannot be made: {error.strerror or error}") from error
    raise AssertionError("there is always another number")
