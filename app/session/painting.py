"""What became of results on their way to the screen: shown or skipped, how late, how fast."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from typing import Final

from framehook.app.session.state import PaintFigures
from framehook.inference.stats import RECENT, Latency

WINDOW: Final = 500
"""Pictures over which latencies and times are taken: memory must not grow with the stream, and old times are forgotten."""


class PaintMeter:
    """Counts for one slot, or for all of them; from any thread."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._shown = 0
        self._skipped = 0
        self._times: deque[float] = deque(maxlen=RECENT + 1)
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._paint_ms: deque[float] = deque(maxlen=WINDOW)

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
            self._paint_ms.append(paint_ms)
            if latency_ms is not None:
                self._latencies.append(latency_ms)

    def skip(self) -> None:
        """Count a result that no picture will be painted of."""
        with self._lock:
            self._skipped += 1

    def figures(self, now: float) -> PaintFigures:
        """The figures at `now`, monotonic seconds."""
        with self._lock:
            shown, skipped = self._shown, self._skipped
            times, latencies, paint_ms = list(self._times), list(self._latencies), list(self._paint_ms)
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
