"""The gate of a run: paused, stepped through, stopped; and the one condition on which everything in a run waits."""

from __future__ import annotations

import threading


class Gate:
    """Holds a run before its next batch. Nothing polls: whoever waits for anything in a run waits on `changed`.

    Its lock comes after those of sources, which may tell their state while they hold one, and before those of ledger and
    meter; no source, callback or logger is called under it.

    `enter` and `admit` belong to the thread that advances the run, everything else may be called from any thread.

    Attributes:
        changed: Guards everything a run's feeds share, and is notified of every change; re-entrant.
        stopped: Whether the run is to end.
        paused: Whether it is held.
        waiting: Whether it waits for a frame, and may have it: a paused run that steps takes frames, too.
    """

    def __init__(self) -> None:
        """An open gate."""
        self.changed = threading.Condition()
        self.stopped = False
        self.paused = False
        self.waiting = False
        self._steps = 0
        self._admitted = True  # whether the batch under way was let through

    def enter(self) -> bool:
        """Wait while the run is paused, unless a step was asked for; False when it is stopped."""
        with self.changed:
            self._admitted = False
            while not self.admit():
                self.changed.wait()
            return not self.stopped

    def admit(self) -> bool:
        """Whether the batch under way may go on, using up a step where it needs one. Holds the condition."""
        if self.stopped or not self.paused:
            self._admitted = True
        elif not self._admitted and self._steps:
            self._steps -= 1
            self._admitted = True
        return self._admitted

    def pause(self) -> None:
        """Hold the run before its next batch."""
        with self.changed:
            self.paused = True
            self.waiting = False
            self._admitted = False
            self._steps = 0
            self.changed.notify_all()

    def resume(self) -> None:
        """Let a paused run go on."""
        with self.changed:
            self.paused = False
            self._steps = 0
            self.changed.notify_all()

    def step(self, count: int) -> None:
        """Let `count` batches through a gate that is closed."""
        with self.changed:
            self._steps += count
            self.changed.notify_all()

    def stop(self) -> bool:
        """End the run: waits return now. False if it was stopped before."""
        with self.changed:
            first, self.stopped = not self.stopped, True
            self.changed.notify_all()
            return first
