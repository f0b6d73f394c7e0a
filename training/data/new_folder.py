"""Files that are there all together, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from framehook.inference.errors import DatasetError, RecordingError
from framehook.inference.saving import way_out


@contextmanager
def new_folder(folder: str | Path, *, exist_ok: bool = False) -> Iterator[Path]:
    """Fill a folder by way of a hidden one, out of which the files come when all went well.

    Args:
        folder: The folder to fill; it is made, its parents too. It may be there if it is empty.
        exist_ok: It may hold files: those of the same names are replaced, the others stay.

    Yields:
        The folder to write into.

    Raises:
        DatasetError: it holds something, or is a file.
        RecordingError: it cannot be written. Nothing in it was changed then, unless the disk failed while files were moved.
    """
    wanted = Path(folder).expanduser().absolute()
    try:
        if wanted.exists() and not wanted.is_dir():
            raise DatasetError(f"{folder} is a file; name a new folder")
        there = wanted.exists() and any(wanted.iterdir())
        if there and not exist_ok:
            raise DatasetError(f"{folder} holds something already; name a new folder")
        wanted.parent.mkdir(parents=True, exist_ok=True)
        # Where its files can be moved to their places without a copy, also if the folder is a disk of its own.
        beside = wanted if wanted.exists() else wanted.parent
        made = Path(tempfile.mkdtemp(prefix=f".{wanted.name}.", dir=beside))
        try:
            yield made
            _move(made, wanted)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise RecordingError(f"{folder} cannot be written: {error.strerror or error}{where}{way_out(error)}") from error


def _move(made: Path, wanted: Path) -> None:
    """Move every file into the same place below `wanted`."""
    wanted.mkdir(exist_ok=True)
    for each in sorted(made.iterdir()):
        target = wanted / each.name
        if each.is_dir() and target.exists():
            _move(each, target)
        else:
            each.replace(target)
