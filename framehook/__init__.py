"""Framehook: real-time video inference with a callback at every stage.

    from framehook import Model

    model = Model()                                   # the bundled person detector; or Model("your.onnx")
    for result in model.track(0, stream=True):        # a webcam; or a file, a URL, a folder ...
        print(result.boxes.id, result.boxes.xyxy)

The rooms behind the front door are `framehook.inference` (sources, backends, decoders, callbacks, the predictor) and
`framehook.app` (the command line).
"""

from importlib import import_module
from typing import TYPE_CHECKING

from framehook._version import __version__
from framehook.inference.system_libraries import missing_library

if TYPE_CHECKING:
    from framehook.inference.boxes import Boxes
    from framehook.inference.callbacks import Callback
    from framehook.inference.errors import FramehookError
    from framehook.inference.frame import Frame
    from framehook.inference.result import Result
    from framehook.inference.run import Run
    from framehook.model import Model

    YOLO = Model
    """The name that code written for other libraries imports."""

__all__ = ["Boxes", "Callback", "Frame", "FramehookError", "Model", "Result", "Run", "YOLO", "__version__"]

# Imported on first use: the command line can show its help, or say that a system library is missing, without OpenCV.
_HOMES = {
    "Boxes": "framehook.inference.boxes",
    "Callback": "framehook.inference.callbacks",
    "Frame": "framehook.inference.frame",
    "FramehookError": "framehook.inference.errors",
    "Model": "framehook.model",
    "Result": "framehook.inference.result",
    "Run": "framehook.inference.run",
    "YOLO": "framehook.model",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(_HOMES[name])
    except ImportError as error:
        raise missing_library(error) or error from None
    value = getattr(home, "Model" if name == "YOLO" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
