"""What a run yields: one frame's outcome."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.errors import RecordingError
from framehook.inference.frame import Frame, FrameImage

if TYPE_CHECKING:
    import supervision  # slow to import; only those who ask for `detections` pay for it

Image: TypeAlias = npt.NDArray[np.uint8]
Painter: TypeAlias = Callable[["Result", Image], None]


class Result:
    """One frame and what was found in it.

    Attributes:
        frame: The captured frame.
        boxes: The detections; assign `Boxes` to replace them.
        names: Class number to class name.
        speed: Milliseconds a frame spent in `preprocess`, `inference` and `postprocess`.
        latency_ms: Milliseconds from the capture of the frame to its being handed on; None until then.
        data: Whatever callbacks attach.
    """

    __slots__ = ("_canvas", "_lock", "_painters", "boxes", "data", "frame", "latency_ms", "names", "speed")

    def __init__(self, frame: Frame, boxes: Boxes, names: Mapping[int, str], speed: Mapping[str, float] | None = None) -> None:
        """Make a result; `speed` is empty where nothing was timed."""
        self.frame = frame
        self.boxes = boxes
        self.names = names
        self.speed: dict[str, float] = dict(speed or {})
        self.latency_ms: float | None = None
        self.data: dict[str, Any] = {}
        self._painters: list[Painter] = []
        self._canvas: Image | None = None
        self._lock = threading.RLock()

    @property
    def orig_img(self) -> FrameImage:
        """The captured frame: H x W x 3 uint8 BGR, read-only."""
        return self.frame.image

    @property
    def orig_shape(self) -> tuple[int, int]:
        """(height, width) of the captured frame in pixels."""
        height, width = self.frame.image.shape[:2]
        return height, width

    @property
    def path(self) -> str:
        """Where the frame comes from: a file path, or a URL without credentials."""
        return self.frame.source.path

    @property
    def canvas(self) -> Image:
        """A writable BGR copy of the frame with the overlay drawn on it, made on first access; draw on it.

        What the recorder, `plot` and the app show.
        """
        with self._lock:
            if self._canvas is None:
                self._canvas = np.array(self.frame.image, subok=False)
                for painter in self._painters:
                    painter(self, self._canvas)
            return self._canvas

    def add_painter(self, painter: Painter) -> None:
        """Have `painter(result, canvas)` draw when the canvas is made, or at once where it was made already."""
        with self._lock:
            self._painters.append(painter)
            if self._canvas is not None:
                painter(self, self._canvas)

    @property
    def painters(self) -> tuple[Painter, ...]:
        """What draws on the canvas, in this order."""
        with self._lock:
            return tuple(self._painters)

    @property
    def detections(self) -> supervision.Detections:
        """The boxes as `supervision.Detections`; assigning some writes them back to `boxes`."""
        import supervision

        boxes = self.boxes
        return supervision.Detections(
            xyxy=boxes.xyxy.copy(),
            confidence=boxes.conf.copy(),
            class_id=boxes.cls.astype(int),
            tracker_id=None if boxes.id is None else boxes.id.astype(int),
            data={"class_name": np.array([self.names.get(int(number), str(number)) for number in boxes.cls])},
        )

    @detections.setter
    def detections(self, detections: supervision.Detections) -> None:
        count = len(detections)
        self.boxes = Boxes(
            detections.xyxy,
            np.ones(count, np.float32) if detections.confidence is None else detections.confidence,
            np.zeros(count, np.int64) if detections.class_id is None else detections.class_id,
            detections.tracker_id,
            orig_shape=self.orig_shape,
        )

    def __len__(self) -> int:
        """The number of boxes."""
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Result({self.frame.source.name} frame {self.frame.index}: {self.verbose()})"

    def copy(self) -> Result:
        """A result of its own over the same frame and boxes: assignments and drawing on one do not show in the other."""
        with self._lock:
            twin = Result(self.frame, self.boxes, self.names, self.speed)
            twin.latency_ms = self.latency_ms
            twin.data = dict(self.data)
            twin._painters = list(self._painters)
            twin._canvas = None if self._canvas is None else self._canvas.copy()
            return twin

    def retaken(self, boxes: Boxes, painters: Iterable[Painter]) -> Result:
        """The same frame with other boxes, to be drawn by other painters when it is looked at; what is attached stays."""
        twin = Result(self.frame, boxes, self.names, self.speed)
        twin.latency_ms = self.latency_ms
        twin.data = dict(self.data)
        twin._painters = list(painters)
        return twin

    def name_of(self, cls: int) -> str:
        """The name of a class number, or the number where the model does not name it."""
        return self.names.get(int(cls), str(int(cls)))

    def verbose(self) -> str:
        """The boxes in words: `2 persons, 1 dog`."""
        counts: dict[str, int] = {}
        for number in self.boxes.cls:
            name = self.name_of(number)
            counts[name] = counts.get(name, 0) + 1
        return ", ".join(f"{count} {name}{'s' if count > 1 else ''}" for name, count in counts.items()) or "nothing"

    def plot(self) -> Image:
        """An annotated H x W x 3 uint8 BGR picture of one's own: a copy of `canvas`."""
        return self.canvas.copy()

    def save(self, path: str | Path) -> Path:
        """Write the annotated picture; the file name's ending chooses the format.

        Raises:
            RecordingError: it cannot be written.
        """
        target = Path(path)
        try:
            done, encoded = cv2.imencode(target.suffix or ".jpg", self.canvas)
        except cv2.error:
            done = False
        if not done:
            raise RecordingError(f"{target} cannot be written: '{target.suffix}' is no picture format; use .jpg or .png")
        try:
            target.write_bytes(encoded.tobytes())
        except OSError as error:
            raise RecordingError(f"{target} cannot be written: {error.strerror or error}") from error
        return target

    def summary(self, *, normalize: bool = False) -> list[dict[str, Any]]:
        """The boxes as plain dictionaries: name, class, confidence, box (x1 y1 x2 y2) and, where tracked, track_id.

        Args:
            normalize: Box edges divided by the frame's width and height, instead of pixels.
        """
        boxes = self.boxes
        edges = boxes.xyxyn if normalize else boxes.xyxy
        rows = []
        for row in range(len(boxes)):
            entry: dict[str, Any] = {
                "name": self.name_of(boxes.cls[row]),
                "class": int(boxes.cls[row]),
                "confidence": round(float(boxes.conf[row]), 5),
                "box": {key: round(float(edge), 5) for key, edge in zip(("x1", "y1", "x2", "y2"), edges[row], strict=True)},
            }
            if boxes.id is not None:
                entry["track_id"] = int(boxes.id[row])
            rows.append(entry)
        return rows

    def to_json(self, *, normalize: bool = False) -> str:
        """`summary` as JSON text."""
        return json.dumps(self.summary(normalize=normalize))
