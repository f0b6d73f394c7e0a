"""Pictures of single objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.per_source import PerRun, PerSource, PerTrack, Spacing
from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.ranges import is_number
from framehook.inference.result import Image, Result
from framehook.inference.saving import FrameNames, folder_of, fresh_folder, safe_name, write_picture

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor


class Crops(Callback):
    """Saves what is in the boxes as JPEGs, cut from the captured frame: nothing is drawn on them, and nothing hidden in them.

    They lie in a folder for each class, `<class>/<source>_<frame>_<box>.jpg`, frame and box counted from 1, or with one picture
    a track `<class>/<source>_track<id>.jpg`. Boxes are cut off at the frame's edge; of one that lies outside there is no
    picture. Nothing is overwritten.

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
        classes: Sequence[int | str] | int | str | None = None,
        min_conf: float = 0.0,
        every: float = 0.0,
        per_track: Literal["all", "first", "best"] = "all",
    ) -> None:
        """Choose what to save, and where.

        Args:
            folder: Where to; None for `crops` in the run's `save_dir`, or `crops2` ... where that holds files already.
            classes: Only these classes, by number or name; None for all.
            min_conf: Only boxes that score at least this much, 0..1.
            every: Only from frames of a source that lie at least so many seconds apart; 0 for every frame.
            per_track: `all` boxes; or of each track its `first` one, or the `best`: that of the highest score so far, which
                takes the place of the one before.

        Raises:
            OptionError: a value out of range.
        """
        if not is_number(min_conf, 0, 1):
            raise OptionError(f"min_conf={min_conf!r} is out of range; pass a number from 0 to 1")
        if not is_number(every, 0):
            raise OptionError(f"every={every!r} is out of range; pass seconds between frames, from 0")
        if per_track not in ("all", "first", "best"):
            raise OptionError(f"per_track={per_track!r} is unknown; pass 'all', 'first' or 'best'")
        self._folder = None if folder is None else Path(folder).expanduser()
        self._classes = None if classes is None else (classes,) if isinstance(classes, int | str) else tuple(classes)
        self._min_conf = min_conf
        self._every = every
        self._per_track = per_track
        self.folders: list[Path] = []
        self.count = 0
        self._runs: PerRun[_Run] = PerRun(lambda: _Run(PerSource(lambda _frame: _Source(Spacing(every)))))

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        run = self._runs.of(predictor)
        for result in predictor.frame_results:
            if self._classes is not None and run.classes is None:
                run.classes = _numbers(self._classes, result.names)
            source = run.sources.of(result.frame)
            rows = self._wanted(result.boxes, run.classes)
            if rows and source.spacing.due(result.frame):
                source.spacing.take(result.frame)
                self._save(predictor, run, source, result, rows)

    def on_predict_end(self, predictor: Predictor) -> None:
        self._runs.pop(predictor)

    def _wanted(self, boxes: Boxes, classes: frozenset[int] | None) -> list[int]:
        wanted = boxes.conf >= self._min_conf
        if classes is not None:
            wanted &= np.isin(boxes.cls, list(classes))
        if self._per_track != "all":
            if boxes.id is None:
                raise OptionError(
                    f"per_track='{self._per_track}' needs tracks, and nothing was tracked; call track(), or pass "
                    "tracker='bytetrack'"
                )
            wanted &= boxes.id >= 0
        rows: list[int] = np.flatnonzero(wanted).tolist()
        return rows

    def _save(self, predictor: Predictor, run: _Run, source: _Source, result: Result, rows: list[int]) -> None:
        boxes = result.boxes
        name = run.names.of(result.frame) if self._per_track == "all" else run.names.stem_of(result.frame)
        for row in rows:
            cut = cut_out(result.orig_img, boxes.xyxy[row].tolist())
            if cut.size == 0:
                continue
            folder = self._folder_of(predictor, run) / _folder_name(result, int(boxes.cls[row]))
            if boxes.id is None or self._per_track == "all":
                self._add(folder / f"{name}_{row + 1}.jpg", cut)
                continue
            track = source.tracks.of(int(boxes.id[row]))
            conf = float(boxes.conf[row])
            if track.path is not None and (self._per_track == "first" or conf <= track.conf):
                continue
            if track.path is not None and track.path.parent == folder:
                write_picture(track.path, cut, overwrite=True)
            else:
                before, track.path = track.path, self._add(folder / f"{name}_track{boxes.id[row]}.jpg", cut)
                if before is not None:  # the tracker was not sure of the class, and is surer now
                    before.unlink(missing_ok=True)
                    self.count -= 1
            track.conf = conf

    def _add(self, path: Path, picture: Image) -> Path:
        written = write_picture(path, picture)
        self.count += 1
        return written

    def _folder_of(self, predictor: Predictor, run: _Run) -> Path:
        if run.folder is None:
            run.folder = fresh_folder(folder_of(predictor) / "crops") if self._folder is None else self._folder
            if run.folder not in self.folders:
                self.folders.append(run.folder)
        return run.folder


def cut_out(image: Image, xyxy: Sequence[float]) -> Image:
    """The part of a picture that a box touches, whole pixels; empty where the box is, or lies outside."""
    height, width = image.shape[:2]
    left, top = (max(int(np.floor(edge)), 0) for edge in xyxy[:2])
    right, bottom = min(int(np.ceil(xyxy[2])), width), min(int(np.ceil(xyxy[3])), height)
    if xyxy[2] <= xyxy[0] or xyxy[3] <= xyxy[1]:
        right, bottom = left, top
    return image[top : max(bottom, top), left : max(right, left)]


@dataclass(slots=True)
class _Track:
    """The picture of a track: where it lies, and how sure the detector was."""

    path: Path | None = None
    conf: float = 0.0


@dataclass(slots=True)
class _Source:
    spacing: Spacing
    tracks: PerTrack[_Track] = field(default_factory=lambda: PerTrack(_Track))


@dataclass(slots=True)
class _Run:
    """What is kept for a run."""

    sources: PerSource[_Source]
    folder: Path | None = None
    names: FrameNames = field(default_factory=FrameNames)
    classes: frozenset[int] | None = None


def _numbers(classes: tuple[int | str, ...], names: Mapping[int, str]) -> frozenset[int]:
    """The numbers of classes given by number or name.

    Raises:
        OptionError: the model has no such class; the message names the nearest.
    """
    by_name = {name: number for number, name in names.items()}
    numbers = set()
    for each in classes:
        number = by_name.get(each) if isinstance(each, str) else int(each)
        if number is None or number not in names:
            raise OptionError(f"classes: the model has no class {each!r}.{did_you_mean(str(each), by_name)}")
        numbers.add(number)
    return frozenset(numbers)


def _folder_name(result: Result, cls: int) -> str:
    return safe_name(result.name_of(cls)) or f"class {cls}"
