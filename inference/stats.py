"""The figures of a run: frames, rates, latency, time per stage, and where every frame went."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from framehook.inference.ledger import Ledger, LedgerBook

WINDOW: Final = 2000
"""Frames over which latency percentiles are taken, so that memory does not grow with the stream."""
RECENT: Final = 60
"""Frames over which the current frame rate is taken."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from capture to hand-over, over the last `WINDOW` frames."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a run at one moment.

    Attributes:
        frames: Frames that went through all their events.
        elapsed: Seconds since the run started, or that it took.
        fps: Frames per second over the whole run.
        fps_recent: Frames per second over the last `RECENT` frames.
        latency: Capture to hand-over in milliseconds, or None before the first frame.
        speed: Mean milliseconds a frame in preprocess, inference and postprocess.
        detections: Boxes handed on.
        sources: The ledger of each source, by its `SourceInfo.group`.
        background_dropped: Calls of background callbacks that were dropped.
    """

    frames: int = 0
    elapsed: float = 0.0
    fps: float = 0.0
    fps_recent: float = 0.0
    latency: Latency | None = None
    speed: Mapping[str, float] = field(default_factory=dict)
    detections: int = 0
    sources: Mapping[str, Ledger] = field(default_factory=dict)
    background_dropped: int = 0


class Meter:
    """Collects the figures while a run goes on; used by the thread that advances it, read from any."""

    def __init__(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._stopped: float | None = None
        self._frames = 0
        self._detections = 0
        self._speed: dict[str, float] = {}
        self._latency: deque[float] = deque(maxlen=WINDOW)
        self._handed_on: deque[float] = deque(maxlen=RECENT + 1)

    def count(self, latency_ms: float, speed: Mapping[str, float], detections: int, now: float) -> None:
        """Count one frame handed on at `now`, monotonic seconds."""
        self._frames += 1
        self._detections += detections
        for stage, milliseconds in speed.items():
            self._speed[stage] = self._speed.get(stage, 0.0) + milliseconds
        self._latency.append(latency_ms)
        self._handed_on.append(now)

    def stop(self) -> None:
        """Stop the clock."""
        if self._stopped is None:
            self._stopped = time.monotonic()

    def read(self, ledger: LedgerBook, background_dropped: int) -> Stats:
        """The figures now."""
        elapsed = (self._stopped or time.monotonic()) - self._started
        frames, times = self._frames, list(self._handed_on)
        latencies = list(self._latency)
        span = times[-1] - times[0] if len(times) > 1 else 0.0
        return Stats(
            frames=frames,
            elapsed=elapsed,
            fps=frames / elapsed if elapsed > 0 else 0.0,
            fps_recent=(len(times) - 1) / span if span > 0 else 0.0,
            latency=Latency(*(float(value) for value in np.percentile(latencies, (50, 95, 99)))) if latencies else None,
            speed={stage: total / frames for stage, total in dict(self._speed).items()} if frames else {},
            detections=self._detections,
            sources=ledger.read(),
            background_dropped=background_dropped,
        )
