"""Detections as text files that YOLO tools read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun
from framehook.inference.errors import RecordingError
from framehook.inference.saving import FrameNames, folder_of, fresh_folder, way_out

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
    foreground_only: ClassVar[bool] = True

    def __init__(self) -> None:
        """Write into the folder of whatever run fires the events."""
        self.folders: list[Path] = []
        self._runs: PerRun[_Written] = PerRun(_Written)

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        written = self._runs.of(predictor)
        for result in predictor.frame_results:
            if written.folder is None:
                written.folder = fresh_folder(folder_of(predictor) / "labels")
                self.folders.append(written.folder)
            file = written.folder / f"{written.names.of(result.frame)}.txt"
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
    names: FrameNames = field(default_factory=FrameNames)
