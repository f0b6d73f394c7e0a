"""Counting what crosses lines, and what is inside areas."""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import cv2
import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.base import Callback
from framehook.inference.callbacks.caption import Colour, draw_caption
from framehook.inference.callbacks.drawing import PALETTE, check_colors
from framehook.inference.callbacks.per_source import PICTURES, PerRun, PerSource, PerTrack, is_gone
from framehook.inference.connection import SourceState
from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.options import Points, checked_zones
from framehook.inference.ranges import is_whole
from framehook.inference.result import Image, Result

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor

Point = tuple[float, float]
Counts = dict[str, dict[str, Any]]
"""By the name of the zone, as `ZoneCounter` says."""
Shape = npt.NDArray[np.float32]
"""The points of a zone, N x 2 in pixels."""

ANCHORS: Final[Mapping[str, tuple[float, float]]] = {
    "bottom": (0.5, 1.0),
    "center": (0.5, 0.5),
    "top": (0.5, 0.0),
    "left": (0.0, 0.5),
    "right": (1.0, 0.5),
}
"""Where in a box, in widths and heights from its left upper corner, the point lies that crosses lines and is inside areas."""

_log = logging.getLogger("framehook")


class ZoneCounter(Callback):
    """Counts tracks that cross lines, and boxes and tracks inside areas; each source of a run by itself.

    The counts until and with a frame are in `result.data["zones"]`, by the name of the zone, when `on_predict_batch_end` fires:

    - Of a line `{"in": 3, "out": 1, "classes": {"person": {"in": 3, "out": 1}}}`. Somebody who stands on its first point and
      looks at the second sees tracks that go in come from the right: for a line drawn from left to right those that go up in
      the picture. On the canvas an arrow shows the way in.
    - Of an area `{"inside": 2, "most": 4, "entered": 7, "classes": {"person": {"inside": 2, "entered": 7}}}`: boxes inside now
      (none once the source or the run is over), the most there were at once, and how many different tracks were ever inside
      (None where nothing is tracked).

    A track crosses a line where the straight way from where it was seen last to where it is now cuts the line between its two
    points, also when it was hidden for a while in between, and counts once it has stayed on the other side for `min_frames`
    frames; so does one that is inside an area. A box that trembles on the line, or a step back, thus counts as nothing. (On 795
    frames of pedestrians with people annotated by hand and nine lines, tracks of YOLOX-nano count 97 crossings too many or few
    in 161 with 1 frame, 19 with 3.) A seek, a reconnection or a new size of the frame is no way to cross a line.
    """

    order: ClassVar[int] = 90  # in `on_predict_postprocess_end`, after users' callbacks that change boxes
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        zones: Mapping[str, Sequence[Sequence[float]]],
        *,
        anchor: str = "bottom",
        min_frames: int = 3,
        draw: bool = True,
        only: Callable[[SourceInfo], bool] | None = None,
        colors: Sequence[str] = PALETTE,
    ) -> None:
        """Choose where to count.

        Args:
            zones: Points (x, y) by name: two are a line, three or more an area. In pixels of the frame; where all values of a
                zone are from 0 to 1, in fractions of its width and height.
            anchor: The point of a box that counts, in the middle of its edge: bottom (where a person stands), top, left, right;
                or center.
            min_frames: Frames in a row for which a track has to be beyond a line or inside an area before it counts.
            draw: Draw zones and counts on `result.canvas`.
            only: Tells of a source whether it has these zones; asked for each frame. Nothing is counted or drawn in the others,
                and the `result.data` of their frames is left as it is. None: all have them.
            colors: Colours to take turns, such as `["#ff0000", "#00ff00"]`.

        Raises:
            OptionError: a zone that is no line and no area, or a value out of range.
        """
        self._zones = checked_zones(zones)
        self._names = {name: name for name in self._zones}  # what they are called now, by what they were called at first
        if anchor not in ANCHORS:
            raise OptionError(f"anchor={anchor!r} is unknown.{did_you_mean(str(anchor), ANCHORS)} Pass {', '.join(ANCHORS)}")
        if not is_whole(min_frames, 1):
            raise OptionError(f"min_frames={min_frames!r} is out of range; pass a whole number from 1")
        self._anchor = ANCHORS[anchor]
        self._min_frames = min_frames
        self._draw = draw
        self._only = only
        self._colours = check_colors(colors)
        self._lock = threading.Lock()
        self._figures: dict[str, dict[str, _LineFigures | _AreaFigures]] = {}
        self._runs: PerRun[PerSource[_Source]] = PerRun(lambda: PerSource(self._begin, let_go=self._leave))

    @property
    def zones(self) -> dict[str, Points]:
        """The points of each zone, by name."""
        names = self._names
        return {names[key]: points for key, points in self._zones.items()}

    def rename(self, name: str, to: str) -> None:
        """Give a zone another name, from the next frame on; it goes on counting. May be called from any thread.

        Raises:
            OptionError: there is no zone of that name, or one of the other already.
        """
        with self._lock:
            keys = {shown: key for key, shown in self._names.items()}
            if name not in keys:
                raise OptionError(f"there is no zone '{name}'.{did_you_mean(name, keys)} There are {', '.join(keys)}")
            if to != name and to in keys:
                raise OptionError(f"there is a zone '{to}' already; choose another name")
            self._names = {**self._names, keys[name]: to}

    @property
    def counts(self) -> Counts:
        """The counts of all sources and runs, summed (`most` is that of one source), as in `result.data["zones"]`."""
        with self._lock:
            return {
                self._names[key]: _figures_of(points).plus(figures[key] for figures in self._figures.values()).counts()
                for key, points in self._zones.items()
            }

    @property
    def sources(self) -> dict[str, Counts]:
        """The counts of each source, by its `SourceInfo.group`."""
        with self._lock:
            return {group: self._counts_of(figures) for group, figures in self._figures.items()}

    def on_predict_postprocess_end(self, predictor: Predictor) -> None:
        sources = self._runs.of(predictor)
        for result in predictor.frame_results:
            if self._only is not None and not self._only(result.frame.source):
                continue
            source = sources.of(result.frame)
            source.place(result, self._zones)
            with self._lock:
                source.count(result, self._anchor, self._min_frames)
                counts = self._counts_of(source.figures)
                shapes = {self._names[key]: shape for key, shape in source.shapes.items()}
            result.data.setdefault("zones", {}).update(counts)
            if self._draw:
                result.add_painter(_Painter(shapes, counts, self._colours))

    def on_source_change(self, predictor: Predictor) -> None:
        sources, change = self._runs.find(predictor), predictor.change
        if sources is None or change is None or change.state is not SourceState.ENDED:
            return
        if is_gone(change):
            sources.end(change.source)
        elif change.source.kind not in PICTURES:
            for source in sources.values():
                if source.group == change.source.group:
                    self._leave(source)

    def on_predict_end(self, predictor: Predictor) -> None:
        sources = self._runs.pop(predictor)
        for source in () if sources is None else sources.values():
            self._leave(source)

    def _counts_of(self, figures: Mapping[str, _LineFigures | _AreaFigures]) -> Counts:
        return {self._names[key]: each.counts() for key, each in figures.items()}

    def _begin(self, frame: Frame) -> _Source:
        with self._lock:
            fresh = {key: _figures_of(points) for key, points in self._zones.items()}
            return _Source(frame.source.group, self._figures.setdefault(frame.source.group, fresh))

    def _leave(self, source: _Source) -> None:
        """Nobody is inside any more where a source is over."""
        with self._lock:
            for figures in source.figures.values():
                if isinstance(figures, _AreaFigures):
                    figures.inside = Counter()


# Figures ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _LineFigures:
    """How many tracks of each class crossed a line, either way."""

    into: Counter[str] = field(default_factory=Counter)
    out: Counter[str] = field(default_factory=Counter)

    def plus(self, others: Iterable[Any]) -> Self:
        """These, with the figures of other sources added to them."""
        for other in others:
            self.into += other.into
            self.out += other.out
        return self

    def counts(self) -> dict[str, Any]:
        classes = sorted(self.into.keys() | self.out.keys())
        return {
            "in": self.into.total(),
            "out": self.out.total(),
            "classes": {name: {"in": self.into[name], "out": self.out[name]} for name in classes},
        }


@dataclass(slots=True)
class _AreaFigures:
    """How many boxes of each class are in an area, and how many tracks were; `tracked` tells whether there were tracks."""

    inside: Counter[str] = field(default_factory=Counter)
    entered: Counter[str] = field(default_factory=Counter)
    most: int = 0
    tracked: bool = False

    def plus(self, others: Iterable[Any]) -> Self:
        """These, with the figures of other sources added to them."""
        for other in others:
            self.inside += other.inside
            self.entered += other.entered
            self.most = max(self.most, other.most)
            self.tracked = self.tracked or other.tracked
        return self

    def counts(self) -> dict[str, Any]:
        classes = sorted(self.inside.keys() | self.entered.keys())
        entered = self.entered if self.tracked else None
        return {
            "inside": self.inside.total(),
            "most": self.most,
            "entered": None if entered is None else entered.total(),
            "classes": {
                name: {"inside": self.inside[name], "entered": None if entered is None else entered[name]} for name in classes
            },
        }


def _figures_of(points: Points) -> _LineFigures | _AreaFigures:
    return _LineFigures() if len(points) == 2 else _AreaFigures()


# Following ----------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Way:
    """A track and a line.

    Attributes:
        inward: Whether it is on the side that crossing in leads to.
        frames: How many frames it has been there without a break.
        crossed: How often it crossed in, less how often it crossed out, since that was last counted.
    """

    inward: bool
    frames: int = 0
    crossed: int = 0


@dataclass(slots=True)
class _Track:
    """Where a track was seen last, how it stands to each line, and how long it has been in each area."""

    point: Point | None = None
    ways: dict[str, _Way] = field(default_factory=dict)
    frames_inside: dict[str, int] = field(default_factory=dict)
    entered: set[str] = field(default_factory=set)

    def forget_way(self) -> None:
        """Start afresh where it is seen next, but remember what it was counted for."""
        self.point = None
        self.ways.clear()
        self.frames_inside.clear()


class _Source:
    """The zones of one source in pixels, its tracks, and its figures."""

    def __init__(self, group: str, figures: dict[str, _LineFigures | _AreaFigures]) -> None:
        self.group = group
        self.figures = figures
        self.shapes: dict[str, Shape] = {}
        self._stretch: tuple[int, tuple[int, int]] | None = None
        self._tracks: PerTrack[_Track] = PerTrack(_Track)

    def place(self, result: Result, zones: Mapping[str, Points]) -> None:
        """Get ready for a frame, which may be the first, or not follow on the one before."""
        frame = result.frame
        stretch = (frame.segment, frame.size)
        if self._stretch == stretch:
            return
        if self._stretch is None:
            _check_ids(result, zones)
        for track in self._tracks.values():
            track.forget_way()
        if self._stretch is None or self._stretch[1] != frame.size:
            self.shapes = {name: _in_pixels(points, frame.size) for name, points in zones.items()}
            for name, shape in self.shapes.items():
                if np.any(shape.max(0) < 0) or np.any(shape.min(0) > frame.size):
                    where = f"{frame.source.name}, {frame.size[0]} x {frame.size[1]}"
                    _log.warning("zone '%s' lies outside the frames of %s, and counts nothing there", name, where)
        self._stretch = stretch

    def count(self, result: Result, anchor: tuple[float, float], min_frames: int) -> None:
        """Count what is new in a frame."""
        boxes = result.boxes
        areas = {name: figures for name, figures in self.figures.items() if isinstance(figures, _AreaFigures)}
        for area in areas.values():
            area.inside = Counter()
            area.tracked = area.tracked or boxes.id is not None
        numbers = [-1] * len(boxes) if boxes.id is None else boxes.id.tolist()
        for point, number, cls in zip(_points(boxes, anchor), numbers, boxes.cls.tolist(), strict=True):
            name = result.name_of(cls)
            track = self._tracks.of(number) if number >= 0 else None
            for zone, figures in self.figures.items():
                if isinstance(figures, _AreaFigures):
                    inside = cv2.pointPolygonTest(self.shapes[zone], point, measureDist=False) >= 0
                    figures.inside[name] += inside
                    if track is not None and _has_entered(track, zone, inside, min_frames):
                        figures.entered[name] += 1
                elif track is not None:
                    crossed = _crossing(track, zone, self.shapes[zone], point, min_frames)
                    if crossed > 0:
                        figures.into[name] += 1
                    elif crossed < 0:
                        figures.out[name] += 1
            if track is not None:
                track.point = point
        for area in areas.values():
            area.inside = +area.inside
            area.most = max(area.most, area.inside.total())


def _crossing(track: _Track, zone: str, line: Shape, point: Point, min_frames: int) -> int:
    """Whether a track that is at `point` now has crossed a line: 1 for in, -1 for out, 0 for neither or not yet."""
    start, end = line.tolist()
    inward = _turn(start, end, point) < 0
    way = track.ways.get(zone)
    if way is None or track.point is None:
        track.ways[zone] = _Way(inward, 1)
        return 0
    if way.inward != inward:
        # The ends of the line lie on either side of the way: it goes between them, not round one of them.
        if (_turn(track.point, point, start) < 0) != (_turn(track.point, point, end) < 0):
            way.crossed += 1 if inward else -1
        way.inward = inward
        way.frames = 0
    way.frames += 1
    if way.frames < min_frames:
        return 0
    crossed, way.crossed = way.crossed, 0
    return crossed


def _has_entered(track: _Track, zone: str, inside: bool, min_frames: int) -> bool:
    """Whether it is now to be counted that a track is inside an area: once."""
    frames = track.frames_inside[zone] = track.frames_inside.get(zone, 0) + 1 if inside else 0
    if frames < min_frames or zone in track.entered:
        return False
    track.entered.add(zone)
    return True


def _turn(start: Sequence[float], end: Sequence[float], point: Sequence[float]) -> float:
    """Below 0 where `point` lies to the left of the way from `start` to `end`, as it is seen in the picture."""
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _points(boxes: Boxes, anchor: tuple[float, float]) -> list[Point]:
    """The point of each box that counts, within the frame: a box that its lower edge cuts off stands on its last row."""
    low, high = boxes.xyxy[:, :2].astype(float), boxes.xyxy[:, 2:].astype(float)
    height, width = boxes.orig_shape
    points = np.clip(low + (high - low) * anchor, 0, (width - 1, height - 1))
    return [(x, y) for x, y in points.tolist()]


def _in_pixels(points: Points, size: tuple[int, int]) -> Shape:
    shape = np.array(points, np.float32)
    return shape * np.array(size, np.float32) if shape.min() >= 0 and shape.max() <= 1 else shape


def _check_ids(result: Result, zones: Mapping[str, Points]) -> None:
    lines = [name for name, points in zones.items() if len(points) == 2]
    if lines and result.boxes.id is None and result.frame.source.kind not in PICTURES:
        raise OptionError(
            f"zone '{lines[0]}' is a line, whose crossings are counted by tracks, and nothing is tracked; "
            "call track(), or pass tracker='bytetrack'"
        )


# Drawing ------------------------------------------------------------------------------------------------------------------


def undrawn(result: Result, names: Set[str]) -> Result:
    """A result without these zones: neither drawn on it, nor counted in it."""
    painters = [each.without(names) if isinstance(each, _Painter) else each for each in result.painters]
    twin = result.retaken(result.boxes, painters)
    if "zones" in result.data:
        twin.data["zones"] = {name: counts for name, counts in result.data["zones"].items() if name not in names}
    return twin


class _Painter:
    """Draws zones and their counts as they were at one frame."""

    __slots__ = ("_colours", "_counts", "_shapes")

    def __init__(self, shapes: Mapping[str, Shape], counts: Counts, colours: Sequence[str]) -> None:
        self._shapes = shapes
        self._counts = counts
        self._colours = colours

    def without(self, names: Set[str]) -> _Painter:
        """One that leaves zones out, and draws the others as this one does."""
        kept = {name: place for place, name in enumerate(self._shapes) if name not in names}
        shapes = {name: self._shapes[name] for name in kept}
        return _Painter(shapes, self._counts, [self._colours[place % len(self._colours)] for place in kept.values()])

    def __call__(self, result: Result, canvas: Image) -> None:
        height, width = canvas.shape[:2]
        short, room = min(height, width), (width, height)
        thickness = line_width(room)
        captions = []
        for place, (name, shape) in enumerate(self._shapes.items()):
            colour = _bgr(self._colours[place % len(self._colours)])
            text = zone_text(name, self._counts[name])
            cv2.polylines(canvas, [np.round(shape).astype(np.int32)], len(shape) > 2, colour, thickness, cv2.LINE_AA)
            if len(shape) == 2:
                ends = _pair(shape[0]), _pair(shape[1])
                arrow = arrow_of(*ends, max(short / 18, 12), room)
                tail, tip = ((round(x), round(y)) for x, y in arrow)
                cv2.arrowedLine(canvas, tail, tip, colour, thickness, cv2.LINE_AA, tipLength=0.4)
                at = caption_corner(*ends, arrow, _caption_size(text, room), room)
            else:
                at = _pair(shape[shape[:, 1].argmin()])
            captions.append((text, at, colour))
        for text, at, colour in captions:  # on top of the lines of all zones
            draw_caption(canvas, text, at, ground=colour)


def zone_text(name: str, counts: Mapping[str, Any]) -> str:
    """What stands beside a zone: its name, and its counts as in `result.data["zones"]`."""
    if "in" in counts:
        return f"{name}: {counts['in']} in, {counts['out']} out"
    entered = "" if counts["entered"] is None else f", {counts['entered']} entered"
    return f"{name}: {counts['inside']} inside{entered}"


def line_width(size: tuple[int, int]) -> int:
    """How wide, in pixels, zones are drawn on a frame of `size` (width, height)."""
    return max(2, round(min(size) / 300))


def arrow_of(start: Point, end: Point, length: float, room: tuple[float, float]) -> tuple[Point, Point]:
    """Tail and tip of the arrow in the middle of a line that shows the way in.

    It begins on the line; where less of it is outside the picture, of (width, height) `room`, if it ends there, it does that.
    """
    along = end[0] - start[0], end[1] - start[1]
    share = length / math.hypot(*along)
    middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    inward = along[1] * share, -along[0] * share
    tip = middle[0] + inward[0], middle[1] + inward[1]
    tail = middle[0] - inward[0], middle[1] - inward[1]

    def outside(point: Point) -> float:
        return sum(max(-at, at - space, 0.0) for at, space in zip(point, room, strict=True))

    return (middle, tip) if outside(tip) <= outside(tail) else (tail, middle)


def caption_corner(
    start: Point, end: Point, arrow: tuple[Point, Point], size: tuple[float, float], room: tuple[float, float]
) -> Point:
    """Where the left upper corner of a line's caption goes: at an end of the line, within the picture, beside the arrow.

    Args:
        start: The line's first point.
        end: The line's second point.
        arrow: As `arrow_of` says.
        size: (width, height) of the caption.
        room: (width, height) of the picture.
    """
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    along = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    (tail_x, tail_y), (tip_x, tip_y) = arrow
    head = math.hypot(tip_x - tail_x, tip_y - tail_y)
    away = (tail_x - tip_x) / head, (tail_y - tip_y) / head
    half = size[0] / 2, size[1] / 2
    gap = head / 3
    beyond = abs(along[0]) * half[0] + abs(along[1]) * half[1] + gap
    aside = abs(along[1]) * half[0] + abs(along[0]) * half[1] + gap
    ends = sorted(((start, -1), (end, 1)), key=lambda each: (each[0][1], each[0][0]))  # the upper one first
    places = [(x + side * along[0] * beyond, y + side * along[1] * beyond) for (x, y), side in ends]
    for way in (aside, -aside):
        for (x, y), side in ends:
            back = -side * (beyond - gap)
            places.append((x + along[0] * back + away[0] * way, y + along[1] * back + away[1] * way))
    free = (min(tail_x, tip_x) - gap, min(tail_y, tip_y) - gap), (max(tail_x, tip_x) + gap, max(tail_y, tip_y) + gap)

    def corner(place: Point) -> Point:
        left, top = (max(min(at - side / 2, space - side), 0.0) for at, side, space in zip(place, size, room, strict=True))
        return left, top

    def fault(place: Point) -> tuple[float, float]:
        at = corner(place)
        cover = [min(at[axis] + size[axis], free[1][axis]) - max(at[axis], free[0][axis]) for axis in (0, 1)]
        hidden = max(cover[0], 0.0) * max(cover[1], 0.0)
        return hidden, round(math.dist((at[0] + half[0], at[1] + half[1]), place), 3)

    return corner(min(places, key=fault))


@lru_cache(maxsize=256)
def _caption_size(text: str, room: tuple[int, int]) -> tuple[int, int]:
    """(width, height) that `draw_caption` covers on a picture of (width, height) `room`."""
    blank = np.zeros((room[1], room[0], 3), np.uint8)
    draw_caption(blank, text, (0, 0), ground=(255, 255, 255))
    return int(np.count_nonzero(blank[0, :, 0])), int(np.count_nonzero(blank[:, 0, 0]))


def _pair(point: npt.NDArray[np.float32]) -> Point:
    x, y = point.tolist()
    return x, y


def _bgr(colour: str) -> Colour:
    """A colour such as #ff8800."""
    red, green, blue = bytes.fromhex(colour[1:])
    return blue, green, red
