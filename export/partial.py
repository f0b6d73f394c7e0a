"""A file that appears under its name as a whole or not at all, whatever kills the program."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from framehook.inference.errors import ExportError
from framehook.inference.saving import way_out

if sys.platform != "win32":
    import fcntl

PARTIAL: Final = ".partial.onnx"
"""Ending of unfinished files, whose names start with a dot and that of the file they are to become."""


class PartialFile:
    """An unfinished file beside its target; leaving it removes the file, unless `finish` gave it its name.

    Its writer holds a lock on it for as long as it lives. What a killed one left is thereby told from what another is writing
    now, in another container too, and is removed when the same target is exported to again.

    Attributes:
        target: What it is to become.
        path: Where it is written.
    """

    def __init__(self, target: Path) -> None:
        """Prepare for `target`; nothing is written before it is entered."""
        self.target = target
        self.path = target
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Remove what killed exports left, and make the file, empty.

        Raises:
            ExportError: it cannot be made.
        """
        try:
            self._remove_abandoned()
            while self._file is None:
                self._file = self._made()
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            # Windows removes no file that is open; elsewhere the lock is kept until nobody can find the file.
            if sys.platform == "win32":
                self._file.close()
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def write(self, content: bytes) -> None:
        """Write all of the file, through to the disk.

        Raises:
            ExportError: it cannot be written.
        """
        assert self._file is not None  # it is entered
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def finish(self) -> None:
        """Give the file its name, in place of what had it.

        Raises:
            ExportError: it cannot be named so.
        """
        assert self._file is not None  # it is entered
        try:
            if sys.platform == "win32":
                self._file.close()
            os.replace(self.path, self.target)
        except OSError as error:
            raise self._unwritable(error) from error
        self._file.close()
        self._file = None

    def _made(self) -> IO[bytes] | None:
        """A new file, locked; None where somebody who cleans up came between the two and took it for abandoned."""
        self.path = self.target.with_name(f".{self.target.name}.{secrets.token_hex(4)}{PARTIAL}")
        file = self.path.open("xb")
        try:
            if _lock(file) is not False and self.path.exists():
                return file
        except BaseException:
            file.close()
            self.path.unlink(missing_ok=True)
            raise
        file.close()
        return None

    def _remove_abandoned(self) -> None:
        for path in self.target.parent.iterdir():
            if path.name.startswith(f".{self.target.name}.") and path.name.endswith(PARTIAL):
                with contextlib.suppress(OSError), path.open("rb+") as file:
                    if _lock(file):  # where there are no locks, it may be another's who is still writing
                        path.unlink()

    def _unwritable(self, error: OSError) -> ExportError:
        return ExportError(f"{self.target} cannot be written: {error.strerror or error}{way_out(error)}")


def _lock(file: IO[bytes]) -> bool | None:
    """Take the lock of a file, which ends with whoever holds it; False where another has it, None where there are no locks.

    Some network file systems have none. Windows has no need of it: what is open there cannot be removed.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
    return True
