"""The figures of a run: frames, rates, latency, time per stage, how each source stands, and where every frame went."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import numpy as np

from framehook.inference.connection import SourceState, Standing
from framehook.inference.frame import SourceInfo
from framehook.inference.ledger import Ledger, LedgerBook

WINDOW: Final = 2000
"""Frames over which latencies and stages are taken: memory must not grow with the stream, and old times are forgotten."""
RECENT: Final = 60
"""Frames over which the current frame rate is taken."""
REMEMBERED: Final = 512
"""Sources whose rate and latency are kept, those of the last frames: a list may hold many thousand files."""
OF_SOURCE: Final = 250
"""Frames over which the latency of one source is taken."""

STAGES: Final = ("wait", "preprocess", "inference", "postprocess", "callbacks", "consumer")
"""Where the time of a frame goes: waiting to be taken, the network, the callbacks, and whoever iterates the run."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from capture to hand-over, over the last `WINDOW` frames."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Self | None:
        """The percentiles of some frames; None where there are none."""
        return cls(*(float(value) for value in np.percentile(milliseconds, (50, 95, 99)))) if len(milliseconds) else None


@dataclass(frozen=True, slots=True)
class SourceStats:
    """Figures of one source, or of a run's picture files together, at one moment.

    Attributes:
        source: What is known of it.
        ledger: Where its frames went.
        state: How it stands.
        reason: Why, in words, without credentials.
        connections: How often it connected.
        failures: Attempts to connect that failed since.
        silence: Seconds since its last frame was captured, or None before the first.
        fps: Frames handed on per second, recently.
        latency: Capture to hand-over in milliseconds, or None before the first frame.
    """

    source: SourceInfo
    ledger: Ledger
    state: SourceState
    reason: str = ""
    connections: int = 0
    failures: int = 0
    silence: float | None = None
    fps: float = 0.0
    latency: Latency | None = None

    def as_dict(self) -> dict[str, Any]:
        """The figures in plain types, for JSON; times in milliseconds where the name ends in `_ms`, else in seconds."""
        ledger = self.ledger
        return {
            "id": self.source.id,
            "name": self.source.name,
            "live": self.source.live,
            "state": str(self.state),
            "reason": self.reason,
            "connections": self.connections,
            "failures": self.failures,
            "silence": self.silence,
            "fps": self.fps,
            "latency_ms": None if self.latency is None else asdict(self.latency),
            "captured": ledger.captured,
            "delivered": ledger.delivered,
            "dropped": {str(cause): number for cause, number in ledger.dropped.items()},
            "pending": ledger.pending,
        }


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a run at one moment.

    Attributes:
        frames: Frames that went through all their events.
        elapsed: Seconds since the run started, or that it took.
        fps: Frames per second over the whole run.
        fps_recent: Frames per second over the last `RECENT` frames and the time since: it sinks when nothing comes.
        latency: Capture to hand-over in milliseconds, or None before the first frame.
        speed: Mean milliseconds a frame spent in each of `STAGES`, over the last `WINDOW` frames. Stages overlap where files
            are computed ahead.
        speed_recent: As `speed`, over the last `RECENT` frames: it shows within seconds what became slower.
        detections: Boxes handed on.
        sources: The figures of each source, by its `SourceInfo.group`.
        background_dropped: Calls of background callbacks that were dropped.
    """

    frames: int = 0
    elapsed: float = 0.0
    fps: float = 0.0
    fps_recent: float = 0.0
    latency: Latency | None = None
    speed: Mapping[str, float] = field(default_factory=dict)
    speed_recent: Mapping[str, float] = field(default_factory=dict)
    detections: int = 0
    sources: Mapping[str, SourceStats] = field(default_factory=dict)
    background_dropped: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The figures in plain types, for JSON; times in milliseconds where the name ends in `_ms`, else in seconds."""
        return {
            "elapsed": self.elapsed,
            "frames": self.frames,
            "fps": self.fps,
            "fps_recent": self.fps_recent,
            "latency_ms": None if self.latency is None else asdict(self.latency),
            "stages_ms": dict(self.speed),
            "stages_recent_ms": dict(self.speed_recent),
            "detections": self.detections,
            "background_dropped": self.background_dropped,
            "sources": [each.as_dict() for each in self.sources.values()],
        }


class _Rate:
    """When the last frames were handed on, and how late they were."""

    def __init__(self, window: int) -> None:
        self.times: deque[float] = deque(maxlen=RECENT + 1)
        self.latencies: deque[float] = deque(maxlen=window)

    def count(self, now: float, latency_ms: float) -> None:
        self.times.append(now)
        self.latencies.append(latency_ms)

    def fps(self, now: float) -> float:
        """Frames per second; the time since the last one counts where it is longer than usual: no stall is hidden."""
        times = list(self.times)
        if len(times) < 2:
            return 0.0
        span, silence = times[-1] - times[0], now - times[-1]
        usual = span / (len(times) - 1)
        span += max(0.0, silence - usual)
        return (len(times) - 1) / span if span > 0 else 0.0


class Meter:
    """Collects the figures while a run goes on; counted by the thread that advances it, read from any."""

    def __init__(self) -> None:
        """Start the clock."""
        self._lock = threading.RLock()  # a run may be collected, and ended, while its thread is in here
        self._started = time.monotonic()
        self._stopped: float | None = None
        self._frames = 0
        self._detections = 0
        self._rate = _Rate(WINDOW)
        self._sources: dict[str, _Rate] = {}
        self._stages = np.zeros((WINDOW, len(STAGES)), np.float32)

    def count(self, source: SourceInfo, latency_ms: float, stages: Sequence[float], detections: int, now: float) -> None:
        """Count one frame.

        Args:
            source: Whose it is.
            latency_ms: Milliseconds from its capture to `now`.
            stages: Milliseconds in each of `STAGES`.
            detections: How many boxes it has.
            now: When it was handed on, monotonic seconds.
        """
        with self._lock:
            self._stages[self._frames % WINDOW] = stages
            self._frames += 1
            self._detections += detections
            self._rate.count(now, latency_ms)
            rate = self._sources.pop(source.group, None) or _Rate(OF_SOURCE)
            rate.count(now, latency_ms)
            self._sources[source.group] = rate  # at the end: the first is the one that has been silent for longest
            if len(self._sources) > REMEMBERED:
                del self._sources[next(iter(self._sources))]

    def stop(self) -> None:
        """Stop the clock."""
        if self._stopped is None:
            self._stopped = time.monotonic()

    def read(self, ledger: LedgerBook, standings: Sequence[Standing], background_dropped: int) -> Stats:
        """The figures now.

        Args:
            ledger: Where frames went.
            standings: How each source stands, in the order in which they are to be told.
            background_dropped: Calls of background callbacks that were dropped.
        """
        now = self._stopped or time.monotonic()
        elapsed = now - self._started
        with self._lock:
            frames = self._frames
            return Stats(
                frames=frames,
                elapsed=elapsed,
                fps=frames / elapsed if elapsed > 0 else 0.0,
                fps_recent=self._rate.fps(now),
                latency=Latency.of(self._rate.latencies),
                speed=self._means(WINDOW),
                speed_recent=self._means(RECENT),
                detections=self._detections,
                sources=self._read_sources(ledger, standings, now),
                background_dropped=background_dropped,
            )

    def _means(self, number: int) -> dict[str, float]:
        """Mean milliseconds in each stage, over the last frames."""
        number = min(number, self._frames)
        if not number:
            return {}
        means = self._stages[np.arange(self._frames - number, self._frames) % WINDOW].mean(axis=0)
        return {stage: float(mean) for stage, mean in zip(STAGES, means, strict=True)}

    def _read_sources(self, ledger: LedgerBook, standings: Sequence[Standing], now: float) -> dict[str, SourceStats]:
        ledgers = ledger.read()
        at = {standing.shown: standing for standing in standings}
        order = {group: number for number, group in enumerate(at)}
        # As the sources were named; the files of a list that are over come first.
        groups = sorted({**ledgers, **at}, key=lambda group: order.get(group, -1))
        figures = {}
        for group in groups:
            rate, source = self._sources.get(group), ledger.source(group) or at[group].source
            standing = at.get(group) or Standing(source, group, SourceState.ENDED, "", 1, 0, None)
            figures[group] = SourceStats(
                source=source,
                ledger=ledgers.get(group, Ledger()),
                state=standing.state,
                reason=standing.reason,
                connections=standing.connections,
                failures=standing.failures,
                silence=None if standing.captured_at is None else max(0.0, now - standing.captured_at),
                fps=rate.fps(now) if rate is not None else 0.0,
                latency=Latency.of(rate.latencies) if rate is not None else None,
            )
        return figures
