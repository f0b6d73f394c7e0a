"""A lock on a folder that ends with the process that holds it, however that ends."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import IO, Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK: Final = "lock"


class FolderLock:
    """Keeps two processes from sending what waits in one folder, which would make two runs of it."""

    def __init__(self, folder: Path) -> None:
        """Prepare; `take` takes it."""
        self._path = folder / LOCK
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Take it; False where another has it. Where the disk knows no locks, it counts as taken."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        except OSError:
            return True
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.release()
            return False
        except OSError:
            return True
        return True

    def release(self) -> None:
        """Give it back; giving it back again does nothing."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
