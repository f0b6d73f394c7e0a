"""Where a run saves."""

from __future__ import annotations

import contextlib
import errno
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from framehook.inference.errors import RecordingError
from framehook.inference.frame import SourceInfo, SourceKind
from framehook.inference.options import PredictOptions

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

RUNS: Final = Path("runs")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def make_save_dir(options: PredictOptions) -> Path | None:
    """Make the folder a run saves in: `save_dir`, or the next free `runs/predict`, `runs/predict2` ...; None to save nothing.

    Raises:
        RecordingError: it cannot be made.
    """
    if not (options.save or options.save_txt):
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
    stem = Path(source.name).stem if of_file else source.name
    return re.sub(r'[\x00-\x1f\s/\\:*?"<>|]+', "_", stem).strip("_.")[:100] or "source"


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
