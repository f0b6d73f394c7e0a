"""Scales the newest results to what the views want, on a thread of its own."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from framehook.app.session.buffers import BufferPool
from framehook.app.session.painting import PaintMeter
from framehook.app.session.picture import Picture, Region, Viewport
from framehook.app.session.placement import Placement
from framehook.app.session.scaling import Scaler
from framehook.app.session.state import PaintFigures
from framehook.inference.errors import one_line
from framehook.inference.result import Result

LARGE_PIXELS: Final = 4.0
"""Device pixels per pixel of the frame from which on the pixels of a zoomed frame are shown as squares: for looking closely."""

_log = logging.getLogger("framehook")


class Renderer:
    """Makes pictures of results: cropped, scaled, and converted to what Qt paints without another copy.

    Of each slot it renders the newest result, once the picture before was taken; so nothing piles up, however slow the window
    is. A new viewport renders the last result again. Views get each picture to themselves and give it back.

    Every result of a slot that somebody looks at ends as shown (a picture of it was painted) or as skipped (it was replaced by
    a newer one, the window gave its picture back unpainted, or it could not be rendered). At most three of a slot are neither
    yet: one waits, one is or was rendered, one was taken and is being painted. What is handed in while nobody looks, or is
    under way when they look away, is never skipped; if somebody looks again while it is the last, it counts as shown, without
    a latency, since nobody waited for it.
    """

    def __init__(self, wake: Callable[[], None], *, poison: bool = False) -> None:
        """Start the thread.

        Args:
            wake: Called, in the thread of the renderer, when there is a picture to take.
            poison: Fill the buffers of pictures that were given back, so that a picture painted too late gives itself away.
        """
        self._wake = wake
        self._pool = BufferPool(poison=poison)
        self._changed = threading.Condition()
        self._slots: dict[str, _Slot] = {}
        self._out: dict[Picture, _Turn] = {}  # taken, and not given back; by identity
        self._meter = PaintMeter()
        self._run = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="framehook-render", daemon=True)
        self._thread.start()

    def begin(self, run: int) -> None:
        """Begin the figures anew for the results of another run; pictures that are shown stand."""
        with self._changed:
            self._run = run
            self._meter = PaintMeter()
            for slot in self._slots.values():
                slot.meter = PaintMeter()

    def show(self, key: str, result: Result) -> None:
        """Take the newest result of a slot, in place of one that was not rendered yet."""
        with self._changed:
            if self._closed:
                return
            slot = self._slots.setdefault(key, _Slot())
            replaced = slot.turn
            slot.turn = _Turn(result, self._run, (slot.meter, self._meter), seen=slot.viewport is not None)
            if slot.wanted and replaced is not None:
                self._drop(replaced)
            slot.wanted = True
            slot.turn.pictures += 1
            self._changed.notify_all()

    def replace(self, key: str, old: Result, new: Result) -> bool:
        """Show another version of the newest result of a slot; in the figures it is neither a new frame nor a late one.

        Returns:
            False where `old` is not the newest any more: nothing is changed then.
        """
        with self._changed:
            slot = self._slots.get(key)
            if self._closed or slot is None or slot.turn is None or slot.turn.result is not old:
                return False
            replaced = slot.turn
            slot.turn = _Turn(new, replaced.run, replaced.meters, seen=False, settled=True)
            if slot.wanted:
                self._drop(replaced)
            slot.wanted = True
            slot.turn.pictures += 1
            self._changed.notify_all()
            return True

    def look(self, key: str, viewport: Viewport | None) -> None:
        """Say what a view wants to see of a slot; None where nobody looks."""
        if viewport is not None and not (min(viewport.size) > 0 and math.isfinite(viewport.zoom + sum(viewport.centre))):
            viewport = None
        with self._changed:
            if self._closed or (viewport is None and key not in self._slots):
                return
            slot = self._slots.setdefault(key, _Slot())
            if viewport == slot.viewport:
                return
            slot.viewport = viewport
            if viewport is None:
                slot.scaler = Scaler()  # which holds no buffers
                self._look_away(key, slot)
                if slot.turn is None:
                    del self._slots[key]  # a view may go later than its slot
            elif slot.turn is not None and not slot.wanted:
                slot.wanted = True
                slot.turn.pictures += 1
            self._changed.notify_all()

    def take(self) -> list[Picture]:
        """The pictures that became ready since, one a slot at most; each is to be given back."""
        with self._changed:
            taken = []
            for slot in self._slots.values():
                if slot.ready is not None:
                    picture, turn = slot.ready
                    slot.ready = None
                    self._out[picture] = turn
                    taken.append(picture)
            if taken:
                self._changed.notify_all()
            return taken

    def give_back(self, picture: Picture) -> None:
        """Let go of a picture that was taken; its pixels are somebody else's from now on. Once more does nothing."""
        with self._changed:
            turn = self._out.pop(picture, None)
            if turn is not None:
                self._drop(turn)
        if turn is not None:
            self._pool.give_back(picture.pixels)

    def painted(self, picture: Picture, paint_ms: float) -> None:
        """Say that a picture was painted just now, in so many milliseconds; only a result's first time counts."""
        now = time.monotonic()
        with self._changed:
            turn = self._out.get(picture)
            if turn is None or turn.settled:
                return
            turn.settled = True
        latency_ms = (now - picture.result.frame.captured_at) * 1e3 if turn.seen else None
        for meter in turn.meters:
            meter.show(now, paint_ms, latency_ms)

    def last(self, key: str) -> Result | None:
        """The newest result of a slot, or None before the first."""
        with self._changed:
            slot = self._slots.get(key)
            return None if slot is None or slot.turn is None else slot.turn.result

    def figures(self) -> tuple[PaintFigures, dict[str, PaintFigures]]:
        """What became of the results of the run so far: of all slots together, and of each."""
        now = time.monotonic()
        with self._changed:
            total, meters = self._meter, {key: slot.meter for key, slot in self._slots.items()}
        return total.figures(now), {key: meter.figures(now) for key, meter in meters.items()}

    def forget(self, key: str) -> None:
        """Let go of all that is kept for a slot; a result that is handed in later begins it anew."""
        with self._changed:
            slot = self._slots.pop(key, None)
            if slot is not None:
                self._look_away(key, slot)
        if slot is not None and slot.ready is not None:
            self._pool.give_back(slot.ready[0].pixels)

    def close(self, timeout: float | None = None) -> bool:
        """End the thread, and wait for it: for one rendering at most. Pictures that were taken stay whole.

        Args:
            timeout: Seconds to wait at most: what a callback draws with may never return. None for as long as it takes.

        Returns:
            Whether it has ended.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        for key in list(self._slots):
            self.forget(key)
        self._pool.clear()
        return not self._thread.is_alive()

    # The thread -----------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                picture = self._render(job)
            except BaseException as error:  # noqa: BLE001 - what a callback draws with may raise anything, `SystemExit` too
                self._warn(job, error)
                picture = None
            if self._hand_over(job, picture):
                self._wake()
            del job, picture  # a thread that waits must not keep the last frame alive

    def _next(self) -> _Job | None:
        """Wait for something to render; None at the end."""
        with self._changed:
            while not self._closed:
                for key, slot in self._slots.items():
                    if slot.wanted and slot.ready is None and slot.viewport is not None and slot.turn is not None:
                        slot.wanted = False
                        self._slots[key] = self._slots.pop(key)  # to the end: slots take turns
                        return _Job(key, slot, slot.turn, slot.viewport)
                self._changed.wait()
            return None

    def _hand_over(self, job: _Job, picture: Picture | None) -> bool:
        """Make a picture ready to be taken; False where there is none, or nobody looks any more."""
        with self._changed:
            looked_at = self._slots.get(job.key) is job.slot and job.slot.viewport is not None and not self._closed
            if picture is not None and looked_at:
                job.slot.ready = picture, job.turn
                return True
            job.turn.seen = job.turn.seen and looked_at
            self._drop(job.turn)
        if picture is not None:
            self._pool.give_back(picture.pixels)
        return False

    def _render(self, job: _Job) -> Picture:
        result = job.turn.result
        image = np.asarray(result.orig_img) if job.viewport.original else result.canvas
        placement = Placement.of(result.frame.size, job.viewport)
        columns = _Span.of(placement.frame_size[0], placement.size[0], placement.origin[0], job.viewport.size[0])
        rows = _Span.of(placement.frame_size[1], placement.size[1], placement.origin[1], job.viewport.size[1])
        crop = image[rows.start : rows.stop, columns.start : columns.stop]
        size = columns.scaled, rows.scaled
        pixels = self._pool.take(columns.seen, rows.seen)
        try:
            # A small frame in a large window is to look like a picture, though, not like tiles.
            squares = placement.scale >= LARGE_PIXELS and job.viewport.zoom > 1
            if size == (columns.seen, rows.seen):
                job.slot.scaler.scale(crop, size, into=pixels, squares=squares)
            else:
                scaled = job.slot.scaler.scale(crop, size, squares=squares)
                pixels[:] = scaled[rows.skipped : rows.skipped + rows.seen, columns.skipped : columns.skipped + columns.seen]
        except BaseException:
            self._pool.give_back(pixels)
            raise
        (x, width), (y, height) = columns.region, rows.region
        return Picture(job.key, result, pixels, (columns.at, rows.at), Region(x, y, width, height), job.viewport, job.turn.run)

    def _warn(self, job: _Job, error: BaseException) -> None:
        text = f"{type(error).__name__}: {one_line(error)}"
        if text != job.slot.warned:  # not with every frame
            name = job.turn.result.frame.source.name
            _log.warning("%s: frame %s cannot be shown: %s", name, job.turn.result.frame.index, text)
        job.slot.warned = text

    def _look_away(self, key: str, slot: _Slot) -> None:
        """What is under way was late or left out because nobody looked, which tells nothing of the window. Holds the lock."""
        turns = [turn for picture, turn in self._out.items() if picture.key == key]
        for turn in (*turns, slot.turn, slot.ready and slot.ready[1]):
            if turn is not None:
                turn.seen = False

    def _drop(self, turn: _Turn) -> None:
        """A picture of a result, or the prospect of one, is gone; with the last of them it is skipped. Holds the lock."""
        turn.pictures -= 1
        if turn.pictures == 0 and not turn.settled:
            turn.settled = True
            if turn.seen:
                for meter in turn.meters:
                    meter.skip()


@dataclass(slots=True, eq=False)
class _Turn:
    """A result on its way to the screen.

    Attributes:
        result: The result.
        run: The run it is of.
        meters: Where it is counted.
        seen: Whether somebody has looked all the time since it was handed in.
        pictures: Pictures of it that were not given back yet, or are still to be rendered.
        settled: Whether it is clear what became of it.
    """

    result: Result
    run: int
    meters: tuple[PaintMeter, PaintMeter]
    seen: bool
    pictures: int = 0
    settled: bool = False


@dataclass(slots=True, eq=False)
class _Slot:
    """A slot as it is rendered.

    Attributes:
        viewport: What the view wants, or None while nobody looks.
        turn: The newest result.
        wanted: Whether that is to be rendered, be it new or the viewport.
        ready: A picture that nobody took yet.
        meter: Its figures.
        scaler: Scales its frames; used by the thread alone, and another one after nobody has looked.
        warned: What went wrong last; of the thread alone.
    """

    viewport: Viewport | None = None
    turn: _Turn | None = None
    wanted: bool = False
    ready: tuple[Picture, _Turn] | None = None
    meter: PaintMeter = field(default_factory=PaintMeter)
    scaler: Scaler = field(default_factory=Scaler)
    warned: str = ""


@dataclass(slots=True, eq=False)
class _Job:
    """What the thread renders at the moment."""

    key: str
    slot: _Slot
    turn: _Turn
    viewport: Viewport


@dataclass(frozen=True, slots=True)
class _Span:
    """What is rendered of one side of a frame.

    Attributes:
        start, stop: The pixels of the frame that are cut out: those in sight, and one more for interpolation.
        scaled: Device pixels they are scaled to.
        skipped: How many of those lie before the view.
        seen: How many lie in the view.
        at: Where in the view they begin.
    """

    start: int
    stop: int
    scaled: int
    skipped: int
    seen: int
    at: int

    @classmethod
    def of(cls, side: int, scaled: int, origin: int, view: int) -> _Span:
        """Cut a side of `side` pixels, scaled to `scaled` device pixels from `origin` on, to a view of `view` device pixels."""
        first, last = max(-origin, 0), min(view - origin, scaled)
        start = max(math.floor(first * side / scaled) - 1, 0)
        stop = min(math.ceil(last * side / scaled) + 1, side)
        # Pixels of the frame do not begin at whole device pixels; what this shifts (half of one at most) the region tells.
        begin, end = round(start * scaled / side), round(stop * scaled / side)
        return cls(start, stop, max(end - begin, 1), first - begin, last - first, max(origin, 0))

    @property
    def region(self) -> tuple[float, float]:
        """Where in the frame what is seen begins, and how much of it is seen, in its pixels."""
        step = (self.stop - self.start) / self.scaled
        return self.start + self.skipped * step, self.seen * step
