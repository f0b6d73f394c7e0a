"""What became of results on their way to the screen: shown or skipped, how late, how fast."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from typing import Final

from framehook.app.session.state import PaintFigures
from framehook.inference.stats import RECENT, Latency

SPAN: Final = 10.0
"""Seconds before the last picture over which latencies and times are taken: a window that has become slow tells so soon."""
WINDOW: Final = 1000
"""Pictures over which they are taken at most: memory must not grow with the stream."""


class PaintMeter:
    """Counts for one slot, or for all of them; from any thread."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._shown = 0
        self._skipped = 0
        self._times: deque[float] = deque(maxlen=RECENT + 1)
        self._recent: deque[tuple[float, float, float | None]] = deque(maxlen=WINDOW)  # when, paint_ms, latency_ms

    def show(self, now: float, paint_ms: float, latency_ms: float | None) -> None:
        """Count a result of which a picture was painted for the first time.

        Args:
            now: When that ended, monotonic seconds.
            paint_ms: Milliseconds it took.
            latency_ms: Milliseconds since the frame was captured; None where it was kept waiting on purpose.
        """
        with self._lock:
            self._shown += 1
            self._times.append(now)
            self._recent.append((now, paint_ms, latency_ms))

    def skip(self) -> None:
        """Count a result that no picture will be painted of."""
        with self._lock:
            self._skipped += 1

    def figures(self, now: float) -> PaintFigures:
        """The figures at `now`, monotonic seconds."""
        with self._lock:
            shown, skipped = self._shown, self._skipped
            times, recent = list(self._times), list(self._recent)
        since = recent[-1][0] - SPAN if recent else 0.0
        paint_ms = [each for at, each, _ in recent if at >= since]
        latencies = [each for at, _, each in recent if at >= since and each is not None]
        return PaintFigures(
            shown=shown,
            skipped=skipped,
            fps=_rate(times, now),
            latency=Latency.of(latencies),
            paint_ms=statistics.median(paint_ms) if paint_ms else None,
        )


def _rate(times: list[float], now: float) -> float:
    """Pictures per second; the time since the last one counts where it is longer than usual: no standstill is hidden."""
    if len(times) < 2:
        return 0.0
    span = times[-1] - times[0]
    intervals = len(times) - 1
    span += max(0.0, now - times[-1] - span / intervals)
    return intervals / span if span > 0 else 0.0
