"""Annotated pictures of pictures."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PICTURES
from framehook.inference.errors import RecordingError
from framehook.inference.frame import SourceKind
from framehook.inference.saving import folder_of, free_file, stem_of, way_out

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor


class Pictures(Callback):
    """Writes the canvas of each picture (image files and arrays, not frames of videos) as a JPEG into the run's `save_dir`.

    Pictures keep their names, with `.jpg` at the end; those of arrays are numbered, `array_1.jpg`, `array_2.jpg` ... Nothing is
    overwritten: of two pictures of one name the second becomes `name_2.jpg`.

    Attributes:
        paths: The files written so far, in all runs, oldest first.
    """

    order: ClassVar[int] = 100
    foreground_only: ClassVar[bool] = True

    def __init__(self) -> None:
        """Write into the folder of whatever run fires the events."""
        self.paths: list[Path] = []

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        for result in predictor.frame_results:
            source = result.frame.source
            if source.kind not in PICTURES:
                continue
            one = source.kind is SourceKind.IMAGE or source.frame_count == 1
            name = stem_of(source) if one else f"{stem_of(source)}_{result.frame.index + 1}"
            file = free_file(folder_of(predictor) / f"{name}.jpg")
            try:
                self.paths.append(result.save(file))
            except RecordingError as error:
                with contextlib.suppress(OSError):
                    file.unlink()  # the name was claimed by an empty file
                raise RecordingError(f"{error}{way_out(error.__cause__)}") from error
