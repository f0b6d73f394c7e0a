"""Where a run saves."""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.errors import RecordingError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.options import ROW_FORMATS, PredictOptions

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

RUNS: Final = Path("runs")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_being_written: set[Path] = set()
_being_written_lock = threading.Lock()


def saves_in_folder(options: PredictOptions) -> bool:
    """Whether a run of these options saves anything in its folder, rather than in a file that has a name of its own."""
    others = options.save_txt or options.save_crop or options.save_frames is not None
    return options.save or others or options.save_rows in ROW_FORMATS


def make_save_dir(options: PredictOptions) -> Path | None:
    """Make the folder a run saves in: `save_dir`, or the next free `runs/predict`, `runs/predict2` ...; None to save nothing.

    Raises:
        RecordingError: it cannot be made.
    """
    if not saves_in_folder(options):
        return None
    if options.save_dir is None:
        return next_free_folder("predict")
    chosen = Path(options.save_dir).expanduser()
    try:
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error
    return chosen


def next_free_folder(name: str) -> Path:
    """Make the first of `runs/name`, `runs/name2`, `runs/name3` ... that does not exist.

    Raises:
        RecordingError: it cannot be made.
    """
    number = 1
    try:
        RUNS.mkdir(exist_ok=True)
        while True:
            free = RUNS / (name if number == 1 else f"{name}{number}")
            try:
                free.mkdir()  # the making itself claims the name, should another process look for one too
            except FileExistsError:
                number += 1
            else:
                return free
    except OSError as error:
        raise RecordingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error


def folder_of(predictor: Predictor) -> Path:
    """The folder a run saves in, made now if the run's options ask for none.

    Raises:
        RecordingError: it cannot be made.
    """
    if predictor.save_dir is None:
        predictor.save_dir = make_save_dir(predictor.args.replace({"save": True}))
    assert predictor.save_dir is not None  # it saves
    return predictor.save_dir


def remove_unused_folder(predictor: Predictor) -> None:
    """Remove the folder that was made for a run and numbered, if nothing was saved in it; one that a user named stays."""
    folder = predictor.save_dir
    if folder is None or predictor.args.save_dir is not None or folder.parent != RUNS:
        return
    with contextlib.suppress(OSError):
        folder.rmdir()  # refuses where anything is in it
        predictor.save_dir = None


def way_out(error: BaseException | None) -> str:
    """What to do about an error of writing, to be put behind its message: something where the disk is full, else nothing."""
    return "; free some space or save elsewhere" if getattr(error, "errno", None) in _FULL else ""


def stem_of(source: SourceInfo) -> str:
    """A file name, without ending, for what is saved of a source."""
    of_file = source.kind in (SourceKind.VIDEO, SourceKind.IMAGE)
    return safe_name(Path(source.name).stem if of_file else source.name) or "source"


def safe_name(text: str) -> str:
    """A text as part of a file name on any system; empty where nothing of it can be."""
    return re.sub(r'[\x00-\x1f\s/\\:*?"<>|]+', "_", text).strip("_.")[:100]


@dataclass(slots=True)
class FrameNames:
    """Names, without ending, for files of single frames of a run: `<source>_<number>`, and `<picture>` for pictures.

    The frame's number is counted from 1, as other YOLO tools do. Two sources of one name stay apart.
    """

    _stems: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def of(self, frame: Frame) -> str:
        """The name of the next frame; to be asked once a frame."""
        if frame.source.kind is SourceKind.IMAGE:
            return self._free(stem_of(frame.source))
        return f"{self.stem_of(frame)}_{frame.index + 1}"

    def stem_of(self, frame: Frame) -> str:
        """The name of a frame's source."""
        if frame.source.id not in self._stems:
            self._stems[frame.source.id] = self._free(stem_of(frame.source))
        return self._stems[frame.source.id]

    def _free(self, stem: str) -> str:
        free = next(path.name for path in numbered(Path(stem)) if path.name not in self._taken)
        self._taken.add(free)
        return free


def numbered(path: Path) -> Iterator[Path]:
    """`name.mp4`, `name_2.mp4`, `name_3.mp4` ..."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}_{number}{path.suffix}")


def free_file(path: Path) -> Path:
    """Make an empty file under the first of the `numbered` names that is free, so that nothing is ever overwritten.

    Raises:
        RecordingError: it cannot be made.
    """
    try:
        for free in numbered(path):
            try:
                free.touch(exist_ok=False)  # the making itself claims the name
            except FileExistsError:
                continue
            return free
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror or error}") from error
    raise AssertionError("there is always another number")


def claim_file(path: Path, *, overwrite: bool) -> Path:
    """Take a file to write into, or the next number's where it exists and may not be overwritten.

    Nor is one overwritten, ever, that is being written: claimed, and not yet given back with `release_file`.

    Raises:
        RecordingError: it cannot be made.
    """
    with _being_written_lock:
        chosen = path if overwrite and path.absolute() not in _being_written else free_file(path)
        _being_written.add(chosen.absolute())
        return chosen


def is_source(path: Path, sources: Iterable[str]) -> bool:
    """Whether a file is one of the sources, whatever links lead to it; `sources` are paths, or anything else."""
    for source in sources:
        with contextlib.suppress(OSError, ValueError):
            if path.samefile(Path(source).expanduser()):
                return True
    return False


def refuse_source(path: Path, sources: Iterable[SourceInfo]) -> None:
    """See to it that no source of a run is overwritten.

    Raises:
        RecordingError: the file is one of them.
    """
    if is_source(path, (source.path for source in sources)):
        raise RecordingError(f"{path} is the source itself; save to another file")


def release_file(path: Path) -> None:
    """Give back a file that was claimed."""
    with _being_written_lock:
        _being_written.discard(path.absolute())


def fresh_folder(path: Path) -> Path:
    """Make a folder of that name, or of the next number where it holds files: what was made by hand may lie there.

    Raises:
        RecordingError: it cannot be made.
    """
    try:
        for number in itertools.count(1):
            folder = path if number == 1 else path.with_name(f"{path.name}{number}")
            folder.mkdir(parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                return folder
    except OSError as error:
        raise RecordingError(f"{path} cannot be made: {error.strerror or error}") from error
    raise AssertionError("there is always another number")


def write_picture(path: Path, image: npt.NDArray[Any], *, overwrite: bool = False) -> Path:
    """Write an H x W x 3 uint8 BGR picture as a JPEG, under the next free number where it exists and may not be overwritten.

    A picture is there as a whole or not at all.

    Raises:
        RecordingError: it cannot be written; what was there stays.
    """
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(image))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordingError(f"the folder {path.parent} cannot be made: {error.strerror or error}") from error
    target = path if overwrite else free_file(path)
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(encoded.tobytes())
        part.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        with contextlib.suppress(OSError):
            if not overwrite:
                target.unlink()  # the name was claimed by an empty file
        raise RecordingError(f"{target} cannot be written: {error.strerror or error}{way_out(error)}") from error
    return target
