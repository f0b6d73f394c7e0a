"""The options of an export, checked in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, TypedDict

from framehook.inference.errors import OptionError, UnknownOptionError, did_you_mean
from framehook.inference.ranges import is_number, is_whole

FORMATS: Final = {"onnx": ".onnx"}
"""What can be exported to, and the ending of its files."""
MOST: Final = 10_000
"""Largest batch, and most boxes of a picture: a slip of the finger would fill the memory."""
OLDEST_OPSET: Final = 11
"""The first version of ONNX's operators that scales pictures as everybody else does."""


class ExportArgs(TypedDict, total=False):
    """The keyword arguments of `Model.export` and `Exporter`; `ExportOptions` says what each means."""

    format: Literal["onnx"]
    imgsz: int | tuple[int, int] | None
    batch: int
    dynamic: bool
    opset: int | None
    half: bool
    int8: bool
    data: Any
    nms: bool
    preprocess: bool
    simplify: bool
    verify: bool
    output: str | Path | None
    conf: float
    iou: float
    max_det: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Everything that can be chosen for an export; frozen.

    Attributes:
        format: `onnx`, the only one there is.
        imgsz: Network input in pixels, a side or (height, width); None for the model's own. Where `dynamic` leaves it open it
            is the size that a run takes when nothing else is said.
        batch: Pictures a network call takes.
        dynamic: Leave batch, height and width of the input open.
        opset: Version of ONNX's operators; None for what the model was made with, or what the exporter of PyTorch writes.
        half: Compute in float16; inputs and outputs stay float32.
        int8: Compute in int8, calibrated on `data`; what would suffer stays in float32.
        data: A clip, a folder of pictures, or whatever else a run takes and ends, like what the model will see: int8 is
            calibrated on it, and source and export are compared on it. None compares them on the demo clip or the test scene.
        nms: Have the file suppress overlaps, with the thresholds below: it then gives `detections`.
        preprocess: Have the file take raw frames, H x W x 3 uint8 BGR of any size, one at a time, and answer in their pixels.
        simplify: Fold constants and fuse operators.
        verify: Compare source and export on the same frames before anything appears under the name of the file.
        output: The file, or an existing folder for it; None for a name of the model's beside it, such as `yolo11n_int8.onnx`.
        conf: With `nms`, detections that score at most this are left out, 0..1: low, so that a run can still choose.
        iou: With `nms`, the overlap from which on the lower score goes, 0..1.
        max_det: With `nms`, at most this many boxes a picture.
    """

    format: Literal["onnx"] = "onnx"
    imgsz: int | tuple[int, int] | None = None
    batch: int = 1
    dynamic: bool = False
    opset: int | None = None
    half: bool = False
    int8: bool = False
    data: Any = None
    nms: bool = False
    preprocess: bool = False
    simplify: bool = True
    verify: bool = True
    output: str | Path | None = None
    conf: float = 0.01
    iou: float = 0.7
    max_det: int = 300

    def __post_init__(self) -> None:
        """Check every value, and that they go together.

        Raises:
            OptionError: a value an option cannot take, or two that exclude each other.
        """
        if self.format not in FORMATS:
            raise OptionError(
                f"format={self.format!r} is unknown; models are exported as {', '.join(FORMATS)}, which runs anywhere"
            )
        given: Any = self.imgsz
        self._keep("imgsz", tuple(given) if isinstance(given, list) else given)
        sides: tuple[Any, ...] = self.imgsz if isinstance(self.imgsz, tuple) else (self.imgsz,)
        if self.imgsz is not None and (len(sides) not in (1, 2) or not all(is_whole(side, 1) for side in sides)):
            raise OptionError(f"imgsz={self.imgsz!r} is not a size; pass a side in pixels or (height, width)")
        for name in ("batch", "max_det"):
            value = getattr(self, name)
            if not is_whole(value, 1, MOST):
                raise OptionError(f"{name}={value!r} is out of range; pass a whole number from 1 to {MOST}")
            self._keep(name, int(value))
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if not is_number(value, 0, 1):
                raise OptionError(f"{name}={value!r} is out of range; pass a number from 0 to 1")
            self._keep(name, float(value))
        for name in ("dynamic", "half", "int8", "nms", "preprocess", "simplify", "verify"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise OptionError(f"{name}={value!r} is neither; pass True or False")
        if self.opset is not None and not is_whole(self.opset, OLDEST_OPSET):
            raise OptionError(f"opset={self.opset!r} is out of range; pass a whole number from {OLDEST_OPSET}")
        output: Any = self.output
        if output is not None and not (isinstance(output, str | Path) and str(output) and "\0" not in str(output)):
            raise OptionError(f"output={output!r} is no path; pass that of a file or folder")
        self._check_together()

    def _check_together(self) -> None:
        if self.half and self.int8:
            raise OptionError("half=True and int8=True exclude each other; choose one")
        if self.int8 and self.data is None:
            raise OptionError(
                "int8=True is calibrated on what the model will see; pass data, too: such a clip, or a folder of pictures"
            )
        if self.data is not None and not (self.int8 or self.verify):
            raise OptionError(f"data={self.data!r} is for int8 and for verify; leave it out, or pass verify=True")
        if self.preprocess and self.batch > 1:
            raise OptionError(
                f"batch={self.batch} does not go with preprocess: such a file takes one frame; leave one of the two out"
            )
        if self.preprocess and self.dynamic:
            raise OptionError(
                "dynamic=True does not go with preprocess, whose files take frames of any size anyway; leave one of the two out"
            )
        for name in ("conf", "iou", "max_det"):
            value = getattr(self, name)
            if not self.nms and value != _DEFAULTS[name]:
                raise OptionError(
                    f"{name}={value!r} is put into the file by nms alone; pass nms=True, too, or choose it when running"
                )

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of `imgsz`."""
        if self.imgsz is None:
            return None
        sides = self.imgsz if isinstance(self.imgsz, tuple) else (self.imgsz,)
        return int(sides[-1]), int(sides[0])

    @classmethod
    def build(cls, options: Mapping[str, Any]) -> Self:
        """Make options from keyword arguments.

        Raises:
            UnknownOptionError: a name that is no option; the message names the nearest one.
            OptionError: a value an option cannot take.
        """
        for name in options:
            if name not in OPTION_NAMES:
                hint = did_you_mean(name, OPTION_NAMES) or f" The options are {', '.join(OPTION_NAMES)}."
                raise UnknownOptionError(f"unknown option '{name}'.{hint}")
        return cls(**options)


_DEFAULTS: Final = {field.name: field.default for field in dataclasses.fields(ExportOptions)}
OPTION_NAMES: Final = tuple(_DEFAULTS)
