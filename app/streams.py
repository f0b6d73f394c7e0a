"""Standard output and error that may be closed, full, or read by somebody who goes away."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, Final, TextIO

from framehook.inference.errors import FramehookError

_NOBODY_READS: Final = (errno.EPIPE, errno.EIO)
"""The reader of a pipe has gone; the terminal was closed."""


class OutputError(FramehookError, OSError):
    """Standard output cannot be written."""


class _Tolerant(io.FileIO):
    """Where a stream goes: once nobody reads it, what is written is thrown away, and the run goes on.

    Any other failure is raised, once: results that were to be kept are lost, on a full disk say.
    """

    def __init__(self, descriptor: int, *, name: str | None) -> None:
        """Write to a descriptor, which stays open; failures are raised as those of `name`, or not at all without one."""
        super().__init__(descriptor, "wb", closefd=False)
        self._stream = name
        self._given_up = False

    def write(self, data: Any) -> int:
        if not self._given_up:
            try:
                return super().write(data)
            except OSError as error:
                self._given_up = True
                if self._stream is not None and error.errno not in _NOBODY_READS:
                    raise OutputError(f"{self._stream} cannot be written: {error.strerror}") from error
        return memoryview(data).nbytes


def guard_streams() -> int:
    """Put tolerant streams in the place of `sys.stdout` and `sys.stderr`; returns an exit code, not 0 without any output."""
    sys.stderr = _guarded(sys.stderr, name=None)
    if sys.stdout is None:
        return _report(OutputError("standard output cannot be written: it is closed; send it to a file or to /dev/null"))
    sys.stdout = _guarded(sys.stdout, name="standard output")
    return 0


@contextmanager
def output_for_rows() -> Iterator[TextIO]:
    """Give out standard output for rows alone: whatever else is printed meanwhile goes to standard error.

    It is not tolerant: who writes rows is to hear that nobody reads them any more.
    """
    sys.stdout.flush()
    raw = io.FileIO(sys.stdout.fileno(), "wb", closefd=False)
    rows = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", newline="\n")
    try:
        with redirect_stdout(sys.stderr):
            yield rows
    finally:
        with suppress(OSError):  # what could not be written was told when it was tried
            rows.close()


def flush() -> int:
    """Write what is left in the buffer of standard output; returns the exit code."""
    try:
        sys.stdout.flush()
    except OutputError as error:
        return _report(error)
    return 0


def _report(error: OutputError) -> int:
    from framehook.app.messages import report

    return report(error, debug=False)


def _guarded(stream: TextIO, *, name: str | None) -> TextIO:
    # Windows writes to a console in a way of its own, and a console does not break.
    if not isinstance(stream, io.TextIOWrapper) or (os.name == "nt" and stream.isatty()):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(stream.fileno(), name=name)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
