"""The options of a prediction run, checked in one place."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self, TypedDict

from framehook.inference.errors import OptionError, UnknownOptionError, did_you_mean
from framehook.inference.ranges import is_number, is_whole

ROW_FORMATS: Final = {"jsonl": (".jsonl", ".ndjson"), "csv": (".csv",), "mot": (".txt",)}
"""Formats in which rows of detections are written, and the endings of their files, the usual one first."""

_FARTHEST: Final = 1_000_000  # pixels; OpenCV counts farther ones wrong
Points = tuple[tuple[float, float], ...]


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
    save_segment: float | None
    save_keep: int | None
    save_on_error: Literal["raise", "stop"]
    save_txt: bool
    save_rows: str | Path | None
    save_crop: bool
    save_frames: float | None
    save_dir: str | Path | None
    zones: Mapping[str, Sequence[Sequence[float]]] | None
    show_fps: bool
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
        save_segment: Seconds after which the video goes on in another file, at least 1; None for one file.
        save_keep: How many complete files of a source to keep, of those of this run; older ones are deleted. None for all.
        save_on_error: When a video cannot be written any more: `raise` ends the run, `stop` its recording alone.
        save_txt: Save one YOLO-format text file a frame in `save_dir/labels`.
        save_rows: Save what is found as rows of one file: `jsonl`, `csv` or `mot` for a file of that format in `save_dir`, or
            the path of a file, whose ending (.jsonl, .csv, .txt for MOT) chooses.
        save_crop: Save a picture of each detected object in `save_dir/crops`.
        save_frames: Save an annotated frame every so many seconds in `save_dir/frames`; 0 for every frame.
        save_dir: Where to save; None makes the next free `runs/predict`, `runs/predict2` ... when something is saved.
        zones: Points by name, in pixels or all of them in fractions of the frame (0..1): two points are a line, whose crossings
            are counted, three or more an area, where it is counted who is inside.
        show_fps: Draw the frame rate on `result.canvas`, and the latency of live sources.
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
    save_segment: float | None = None
    save_keep: int | None = None
    save_on_error: Literal["raise", "stop"] = "raise"
    save_txt: bool = False
    save_rows: str | Path | None = None
    save_crop: bool = False
    save_frames: float | None = None
    save_dir: str | Path | None = None
    zones: Mapping[str, Sequence[Sequence[float]]] | None = None
    show_fps: bool = False
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
            if not is_number(value, 0, 1):
                raise OptionError(f"{name}={value!r} is out of range; pass a number from 0 to 1")
            self._keep(name, float(value))
        for name in ("max_det", "batch", "vid_stride"):
            value = getattr(self, name)
            if not is_whole(value, 1):
                raise OptionError(f"{name}={value!r} is out of range; pass a whole number from 1")
            self._keep(name, int(value))
        if self.pace not in ("max", "realtime"):
            raise OptionError(f"pace={self.pace!r} is unknown; pass 'max' or 'realtime'")
        sides: tuple[Any, ...] = self.imgsz if isinstance(self.imgsz, tuple) else (self.imgsz,)
        if self.imgsz is not None and (len(sides) not in (1, 2) or not all(is_whole(side, 1) for side in sides)):
            raise OptionError(f"imgsz={self.imgsz!r} is not a size; pass a side in pixels or (height, width)")
        self._check_recording()
        if self.save_rows is not None:
            if not isinstance(self.save_rows, str | Path):
                raise OptionError(f"save_rows={self.save_rows!r} is no name; pass {', '.join(ROW_FORMATS)}, or a file")
            if self.save_rows not in ROW_FORMATS:
                row_format(self.save_rows)
        if self.save_frames is not None:
            if not is_number(self.save_frames, 0):
                raise OptionError(f"save_frames={self.save_frames!r} is out of range; pass seconds between pictures, from 0")
            self._keep("save_frames", float(self.save_frames))
        if self.zones is not None:
            self._keep("zones", checked_zones(self.zones))
        if self.tracker_options is not None and self.tracker is None:
            raise OptionError("tracker_options need a tracker; pass tracker='bytetrack', or call track()")

    def _check_recording(self) -> None:
        segment, keep = self.save_segment, self.save_keep
        if segment is not None and not is_number(segment, 1):
            raise OptionError(f"save_segment={segment!r} is out of range; pass seconds, 1 or more")
        if keep is not None and not is_whole(keep, 1):
            raise OptionError(f"save_keep={keep!r} is out of range; pass how many files to keep, 1 or more")
        if keep is not None and segment is None:
            raise OptionError(f"save_keep={keep!r} is about the parts of a recording; pass save_segment, too")
        if segment is not None and not self.save:
            raise OptionError(f"save_segment={segment!r} is about a recording; pass save=True, too")
        if self.save_on_error not in ("raise", "stop"):
            raise OptionError(f"save_on_error={self.save_on_error!r} is unknown; pass 'raise' or 'stop'")

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
AT_START = (
    *("batch", "vid_stride", "pace"),
    *("save", "save_segment", "save_keep", "save_on_error", "save_txt", "save_rows", "save_crop", "save_frames", "save_dir"),
    *("zones", "show_fps"),
)
"""Options of how frames are read and what is saved and counted: they are chosen when a run starts, and stay."""


def row_format(path: str | Path) -> str:
    """The format of rows that a file's ending stands for.

    Raises:
        OptionError: it stands for none; the message names the nearest format.
    """
    ending = Path(path).suffix.lower()
    for name, endings in ROW_FORMATS.items():
        if ending in endings:
            return name
    hint = did_you_mean(Path(path).name, ROW_FORMATS)
    raise OptionError(
        f"'{path}' is no name for rows.{hint} "
        f"Pass {', '.join(ROW_FORMATS)}, or a file that ends in .jsonl, .csv or .txt (which is MOT)"
    )


def checked_zones(zones: Mapping[str, Any]) -> dict[str, Points]:
    """Zones as tuples of points.

    Raises:
        OptionError: one is no line and no area.
    """
    if not isinstance(zones, Mapping):
        raise OptionError(f"zones are points by name, such as {{'door': [(100, 200), (300, 200)]}}; these are {zones!r}")
    return {str(name): _zone(name, points) for name, points in zones.items()}


def _zone(name: object, points: Any) -> Points:
    try:
        pairs = tuple((float(x), float(y)) for x, y in points)
    except (TypeError, ValueError):
        pairs = ()
    if len(pairs) < 2 or not all(math.isfinite(edge) for pair in pairs for edge in pair):
        raise OptionError(
            f"zone '{name}' cannot be made of {points!r}; a line takes two points, an area three or more, each of x and y"
        )
    if max(abs(edge) for pair in pairs for edge in pair) > _FARTHEST:
        raise OptionError(f"zone '{name}' lies too far away; pass points within {_FARTHEST:,} pixels, not {points!r}")
    # Zones are drawn, and looked into, in single precision: points that are apart may fall together there.
    single = tuple(struct.unpack("ff", struct.pack("ff", *pair)) for pair in pairs)
    if _is_flat(pairs) or _is_flat(single):
        raise OptionError(f"zone '{name}' has no {'length' if len(pairs) == 2 else 'area'}: its points are {points!r}")
    return pairs


def _is_flat(pairs: Sequence[tuple[float, ...]]) -> bool:
    """Whether all points are one, or three and more lie on one line."""
    ways = [(x - pairs[0][0], y - pairs[0][1]) for x, y in pairs]
    far = max(ways, key=lambda way: math.hypot(*way))
    return not any(far) or (len(pairs) > 2 and all(math.isclose(x * far[1], y * far[0]) for x, y in ways))


def _check_names(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in OPTION_NAMES:
            hint = did_you_mean(name, OPTION_NAMES) or f" The options are {', '.join(OPTION_NAMES)}."
            raise UnknownOptionError(f"unknown option '{name}'.{hint}")


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, Iterable) else value
