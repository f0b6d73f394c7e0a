"""Whole frames, now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun, PerSource, Spacing
from framehook.inference.errors import OptionError
from framehook.inference.ranges import is_number
from framehook.inference.result import Result
from framehook.inference.saving import FrameNames, folder_of, fresh_folder, write_picture

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor


class Snapshots(Callback):
    """Saves frames as JPEGs: one every so many seconds, or when something is to be seen.

    Seconds are those of the file, and for cameras and streams those of the clock; a seek or a reconnection begins anew.
    Pictures have no times, so that it is always time for one. Files are named `<source>_<frame>.jpg`, with frames counted from
    1, and overwrite nothing.

    Example:
        >>> when_crowded = Snapshots("crowds", every=10, when=lambda result: len(result.boxes) > 5)

    Attributes:
        folders: The folders written to, of all runs.
        count: Pictures saved, in all runs.
    """

    order: ClassVar[int] = 100
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        every: float = 1.0,
        when: Callable[[Result], object] | None = None,
        annotated: bool = True,
    ) -> None:
        """Choose what to save, and where.

        Args:
            folder: Where to; None for `frames` in the run's `save_dir`, or `frames2` ... where that holds files already.
            every: The least seconds between two pictures of a source; 0 for every frame.
            when: Called with results: whether the frame is to be saved. None saves whenever it is time.
            annotated: Save what `result.canvas` shows after all other callbacks; else the captured frame.

        Raises:
            OptionError: a value out of range.
        """
        if not is_number(every, 0):
            raise OptionError(f"every={every!r} is out of range; pass seconds between pictures, from 0")
        if when is not None and not callable(when):
            raise OptionError(f"when={when!r} cannot be called; pass a function that takes a result")
        self._folder = None if folder is None else Path(folder).expanduser()
        self._when = when
        self._annotated = annotated
        self.folders: list[Path] = []
        self.count = 0
        self._runs: PerRun[_Run] = PerRun(lambda: _Run(PerSource(lambda _frame: Spacing(every))))

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        run = self._runs.of(predictor)
        for result in predictor.frame_results:
            spacing = run.sources.of(result.frame)
            if spacing.due(result.frame) and (self._when is None or self._when(result)):
                spacing.take(result.frame)
                self._save(predictor, run, result)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)

    def _save(self, predictor: Predictor, run: _Run, result: Result) -> None:
        if run.folder is None:
            run.folder = fresh_folder(folder_of(predictor) / "frames") if self._folder is None else self._folder
            if run.folder not in self.folders:
                self.folders.append(run.folder)
        image = result.canvas if self._annotated else result.orig_img
        write_picture(run.folder / f"{run.names.of(result.frame)}.jpg", image)
        self.count += 1


@dataclass(slots=True)
class _Run:
    """What is kept for a run."""

    sources: PerSource[Spacing]
    folder: Path | None = None
    names: FrameNames = field(default_factory=FrameNames)
