"""Pictures that stand are looked at once more when options change, since no frame comes to show what the change does."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Final

import numpy as np

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.renderer import Renderer
from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.drawing import HIDING
from framehook.inference.callbacks.overlay import check_layers, redrawn
from framehook.inference.callbacks.tracking import KEEP_UNCONFIRMED
from framehook.inference.callbacks.zones import undrawn
from framehook.inference.detector import Computed, Detector
from framehook.inference.options import PredictOptions
from framehook.inference.result import Result

SAME_TRACK: Final = 0.5
"""Intersection over union from which on a box of another detection of the same frame is that of the track."""

_DETECTING: Final = frozenset({"conf", "iou", "max_det", "classes", "agnostic_nms", "imgsz", "tracker", "tracker_options"})
_BUSY: Final = "looking at the picture again"


class Retakes:
    """Shows the last frame of each slot as it would be with other options, or through another model.

    It stays the same frame: no event is fired, nothing is counted, recorded or tracked anew. Objects that were tracked keep
    their ids; what is found beside them has none. The network runs once for each frame that stands; other thresholds are
    applied to what it said. Wishes that come faster than they are fulfilled replace each other.
    """

    def __init__(self, board: Board, desk: Desk, renderer: Renderer) -> None:
        """Nothing stands yet."""
        self._board = board
        self._desk = desk
        self._renderer = renderer
        self._lock = threading.Lock()
        self._wish: _Wish | None = None
        self._working = False
        self._forgetting = False
        self._standing: dict[str, _Standing] = {}  # of the working thread

    def take(
        self,
        keys: Iterable[str],
        detector: Detector,
        options: PredictOptions,
        changed: Iterable[str] | None = None,
        zones: Mapping[str, Set[str]] | None = None,
    ) -> None:
        """Show the last frames of slots with these options; returns at once.

        Args:
            keys: The slots.
            detector: What finds boxes in them.
            options: The options, which fit the detector.
            changed: The names of those that changed; None where the model did.
            zones: The zones of slots that are not as they were at those frames: they are drawn there no more.
        """
        gone = dict(zones or {})
        names = set(changed) if changed is not None else _DETECTING
        finds = bool(names & _DETECTING)
        if not finds and "overlay" not in names and not any(gone.values()):
            return
        with self._lock:
            if self._wish is not None:
                finds = finds or self._wish.finds
                for key, before in self._wish.gone.items():
                    gone[key] = gone.get(key, frozenset()) | before
            self._wish = _Wish(tuple(keys), detector, options, finds, gone)
            if self._working:
                return
            self._working = True
        self._desk.aside("framehook-retake", self._work)

    def forget(self) -> None:
        """Let go of all that is kept: other frames come, or none any more."""
        with self._lock:
            self._wish = None
            self._forgetting = self._working
            if not self._working:
                self._standing = {}

    def _work(self) -> None:
        while (wish := self._next()) is not None:
            there = {key: last for key in wish.keys if (last := self._renderer.last(key)) is not None}
            self._standing = {key: standing for key, standing in self._standing.items() if key in there}
            for key, last in there.items():
                try:
                    self._standing[key] = self._retake(key, last, wish)
                except BaseException as error:  # noqa: BLE001 - a decoder of the user's may raise anything; the next may do
                    self._board.report(error)

    def _next(self) -> _Wish | None:
        with self._lock:
            wish, self._wish = self._wish, None
            self._working = wish is not None
            if wish is None and self._forgetting:
                self._standing, self._forgetting = {}, False
            return wish

    def _retake(self, key: str, last: Result, wish: _Wish) -> _Standing:
        standing = self._standing.get(key)
        if standing is None or standing.shown is not last:
            standing = _Standing(last, last)
        if key in wish.gone:
            standing.base = undrawn(standing.base, wish.gone[key])
        layers = check_layers(wish.options.overlay)
        found = self._find(standing, wish) if wish.finds or layers & HIDING else standing.shown.boxes
        boxes = with_tracks(found, standing.base, wish) if wish.finds else standing.shown.boxes
        new = redrawn(standing.base, boxes, layers, (boxes, found))
        new.names = wish.detector.names if wish.finds else standing.shown.names
        if self._renderer.replace(key, standing.shown, new):
            standing.shown = new
        return standing

    def _find(self, standing: _Standing, wish: _Wish) -> Boxes:
        detector, options = wish.detector, wish.options
        computed = standing.computed
        if computed is None or standing.detector is not detector or computed.input_size != detector.input_size(options):
            self._board.busy(_BUSY)
            try:
                computed = detector.compute([np.asarray(standing.base.orig_img)], options)
            finally:
                self._board.done(_BUSY)
            standing.detector, standing.computed = detector, computed
        return detector.decode(computed, options).boxes[0]


@dataclass(frozen=True, slots=True)
class _Wish:
    keys: tuple[str, ...]
    detector: Detector
    options: PredictOptions
    finds: bool
    """Whether other boxes may be found, rather than the same be drawn in another way."""
    gone: dict[str, Set[str]]
    """Zones that are no longer as they were, by slot."""


@dataclass(slots=True)
class _Standing:
    """A frame that stands.

    Attributes:
        base: Its result as the run had it, but for zones that were changed since.
        shown: What is shown of it now.
        detector: What computed it last.
        computed: What the network said of it.
    """

    base: Result
    shown: Result
    detector: Detector | None = None
    computed: Computed | None = None


def with_tracks(found: Boxes, base: Result, wish: _Wish) -> Boxes:
    """What was found in a frame, with the ids of its tracks; what has no track is treated as the tracker is told to."""
    tracks, options = base.boxes, wish.options
    if options.tracker is None or tracks.id is None:
        return found
    ids = np.full(len(found), -1, np.int64)
    if len(found) and len(tracks) and base.names == wish.detector.names:
        from supervision import box_iou_batch  # slow to import; tracking has done so

        overlaps = box_iou_batch(tracks.xyxy, found.xyxy) * (tracks.cls[:, None] == found.cls[None, :])
        while overlaps.max() >= SAME_TRACK:
            track, row = np.unravel_index(overlaps.argmax(), overlaps.shape)
            ids[row] = tracks.id[track]
            overlaps[track, :] = overlaps[:, row] = 0.0
    kept = np.full(len(found), True) if (options.tracker_options or {}).get(KEEP_UNCONFIRMED) else ids >= 0
    return found[kept].with_ids(ids[kept])
