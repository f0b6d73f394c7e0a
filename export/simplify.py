"""Folding of constants and fusing of operators, by onnxslim."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from framehook.inference.errors import one_line

if TYPE_CHECKING:
    import onnx

_ALONE: Final = threading.Lock()  # onnxslim keeps its settings in global variables


def simplify(model: onnx.ModelProto) -> tuple[onnx.ModelProto, str | None]:
    """Simplify a graph.

    Returns:
        The simplified graph, a copy, and None; or the given one, and why it could not be simplified.
    """
    import onnx
    import onnxslim

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    with _ALONE:
        _quieten()
        try:
            slim = onnxslim.slim(copy)
            onnx.checker.check_model(slim)
        except Exception as error:  # noqa: BLE001 - it raises anything, and the graph is fine without it
            return model, f"it was not simplified, onnxslim failed: {type(error).__name__}: {one_line(error)[:200]}"
    return slim, None


def _quieten() -> None:
    """Keep onnxslim, which adds a handler of its own where there is none, from writing to the terminal."""
    logger = logging.getLogger("onnxslim")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
