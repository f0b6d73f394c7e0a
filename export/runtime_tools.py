"""ONNX Runtime's own tools for graphs, without what they do beside their work.

Importing them adds their folder to Python's search path, by which they import each other, and where modules are called
`benchmark` and `float16`. They log with the functions of `logging` itself, which set up the root logger where a program did
not, and what they log is for their authors.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import onnxruntime

_PACKAGE: Final = str(Path(onnxruntime.__file__).parent)
_FOLDER: Final = str(Path(_PACKAGE) / "transformers")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Import and use ONNX Runtime's tools in here: search path and logging stay as they are."""
    root = logging.getLogger()
    found = sys.path.count(_FOLDER)
    handler = _LastResort()
    root.addFilter(_is_of_the_program)
    if not root.handlers:
        root.addHandler(handler)
    sys.path.append(_FOLDER)  # only the first import would do it
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.removeFilter(_is_of_the_program)
        for _ in range(sys.path.count(_FOLDER) - found):
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(_FOLDER)]  # the last of them is the newest


def _is_of_the_program(record: logging.LogRecord) -> bool:
    return not record.pathname.startswith(_PACKAGE)


class _LastResort(logging.Handler):
    """Keeps `logging.warning` from setting up the root logger, and passes on what goes to stderr where nothing is set up."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do what `logging` does without handlers."""
        last = logging.lastResort
        if last is not None and record.levelno >= last.level:
            last.handle(record)
