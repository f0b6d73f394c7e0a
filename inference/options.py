"""The options of a prediction run, checked in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Self, TypedDict

from framehook.inference.errors import OptionError, UnknownOptionError, did_you_mean


class PredictArgs(TypedDict, total=False):
    """The keyword arguments of `predict` and `track`; `PredictOptions` says what each means."""

    conf: float
    iou: float
    imgsz: int | tuple[int, int] | None
    classes: Sequence[int | str] | int | str | None
    max_det: int
    agnostic_nms: bool
    batch: int
    vid_stride: int
    pace: Literal["max", "realtime"]
    overlay: Sequence[str] | str | None
    save: bool
    save_txt: bool
    save_dir: str | Path | None
    tracker: str | None
    tracker_options: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions:
    """Everything that can be chosen for a run; frozen, replaced as a whole by `Run.update`.

    Attributes:
        conf: Detections that score at most this are left out, 0..1.
        iou: Of two boxes of a class that overlap more than this (intersection over union), the lower score is suppressed.
        imgsz: Network input in pixels, a side or (height, width), for models that leave it open; None for the model's own.
        classes: Only these classes, by number or name; None for all.
        max_det: At most this many boxes a frame, best scores first.
        agnostic_nms: Suppress across classes.
        batch: Frames per network call and per event; live sources give what is ready.
        vid_stride: Use every n-th frame of a source.
        pace: For files: `max` as fast as possible, every frame; `realtime` at the file's own rate, dropping what is late.
        overlay: What is drawn on `result.canvas`: any of boxes, labels, confidence, trails, heatmap, blur, pixelate; None for
            nothing.
        save: Save annotated results in `save_dir`: a video per video source, pictures otherwise.
        save_txt: Save one YOLO-format text file a frame in `save_dir/labels`.
        save_dir: Where to save; None makes the next free `runs/predict`, `runs/predict2` ... when something is saved.
        tracker: Name of a tracker of the `trackers` package, or None for none.
        tracker_options: Its options, by its own names.
    """

    conf: float = 0.25
    iou: float = 0.7
    imgsz: int | tuple[int, int] | None = None
    classes: Sequence[int | str] | int | str | None = None
    max_det: int = 300
    agnostic_nms: bool = False
    batch: int = 1
    vid_stride: int = 1
    pace: Literal["max", "realtime"] = "max"
    overlay: Sequence[str] | str | None = ("boxes", "labels", "confidence")
    save: bool = False
    save_txt: bool = False
    save_dir: str | Path | None = None
    tracker: str | None = None
    tracker_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            OptionError: a value an option cannot take.
        """
        # What a caller passes may change later, or be readable only once; options must not.
        self._keep("classes", self.classes if isinstance(self.classes, str) else _fixed(self.classes))
        self._keep("overlay", self.overlay if isinstance(self.overlay, str) else _fixed(self.overlay))
        self._keep("imgsz", _fixed(self.imgsz))
        self._keep("tracker_options", None if self.tracker_options is None else dict(self.tracker_options))
        for name in ("conf", "iou"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise OptionError(f"{name}={value!r} is out of range; pass a number from 0 to 1")
            self._keep(name, float(value))
        for name in ("max_det", "batch", "vid_stride"):
            value = getattr(self, name)
            if not _is_whole(value) or value < 1:
                raise OptionError(f"{name}={value!r} is out of range; pass a whole number from 1")
            self._keep(name, int(value))
        if self.pace not in ("max", "realtime"):
            raise OptionError(f"pace={self.pace!r} is unknown; pass 'max' or 'realtime'")
        sides: tuple[Any, ...] = self.imgsz if isinstance(self.imgsz, tuple) else (self.imgsz,)
        if self.imgsz is not None and (len(sides) not in (1, 2) or not all(_is_whole(side) and side > 0 for side in sides)):
            raise OptionError(f"imgsz={self.imgsz!r} is not a size; pass a side in pixels or (height, width)")
        if self.tracker_options is not None and self.tracker is None:
            raise OptionError("tracker_options need a tracker; pass tracker='bytetrack', or call track()")

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def build(cls, options: Mapping[str, Any]) -> Self:
        """Make options from keyword arguments.

        Raises:
            UnknownOptionError: a name that is no option; the message names the nearest one.
            OptionError: a value an option cannot take.
        """
        _check_names(options)
        return cls(**options)

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """Return these options with some changed.

        Raises:
            UnknownOptionError, OptionError: as in `build`.
        """
        _check_names(changes)
        return dataclasses.replace(self, **changes)


OPTION_NAMES = tuple(field.name for field in dataclasses.fields(PredictOptions))
AT_START = ("batch", "vid_stride", "pace", "save", "save_txt", "save_dir")
"""Options of how frames are read and what is saved: they are chosen when a run starts, and stay."""


def _check_names(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in OPTION_NAMES:
            hint = did_you_mean(name, OPTION_NAMES) or f" The options are {', '.join(OPTION_NAMES)}."
            raise UnknownOptionError(f"unknown option '{name}'.{hint}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, Iterable) else value
