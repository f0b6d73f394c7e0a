"""Long jobs that are done one after another, and of which one that never ends can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from framehook.app.session.desk import Desk
from framehook.app.session.state import Level, Tell

PATIENCE: Final = 2.0
"""Seconds that a job waits until it is told what it waits for."""


@dataclass(slots=True, eq=False)
class _Turn:
    """A job that waits or is being done.

    Attributes:
        path: What it is about.
        at_once: Whether it waits for no other.
        told: Whether it was told that others wait for it.
    """

    path: Path
    at_once: bool
    told: bool = False


class Turns:
    """Runs jobs about files aside, in the order in which they came: each waits for those before it.

    Of the jobs about one file the last one counts: one that is handed in gives up those before it. What was given up is not
    begun any more; where it has begun, nothing waits for its end.
    """

    def __init__(self, desk: Desk, note: Tell) -> None:
        """Nothing to do yet.

        Args:
            desk: What does the jobs aside.
            note: Given what there is to tell the user: that a job is held up, and by which file.
        """
        self._desk = desk
        self._note = note
        self._changed = threading.Condition()
        self._turns: list[_Turn] = []  # what waits or is being done, and was not given up

    def take(self, path: Path, job: Callable[[], object], *, at_once: bool = False) -> None:
        """Have a job done that is about a file.

        Args:
            path: The file.
            job: What to do.
            at_once: Whether it is short, and need not wait for its turn; nothing gives it up then.
        """
        turn = _Turn(path, at_once)
        with self._changed:
            self.give_up(path)
            self._turns.append(turn)

        def work() -> None:
            if self._comes(turn):
                try:
                    job()
                finally:
                    self._leave(turn)

        self._desk.aside("framehook-hooks", work)

    def give_up(self, path: Path) -> None:
        """Wait no longer for what goes on about a file, and do not begin what waits."""
        with self._changed:
            self._turns = [turn for turn in self._turns if turn.path != path or turn.at_once]
            self._changed.notify_all()

    def _comes(self, turn: _Turn) -> bool:
        """Wait until it is the turn of a job; False where it was given up."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_next(turn), PATIENCE):
                before = self._turns[0]
                if not before.told:
                    before.told = True
                    self._note(
                        Level.WARNING,
                        f"{before.path.name} is still being run, and {turn.path.name} waits for it; remove {before.path.name}, "
                        "or load it again, if it does not come to its end",
                        "",
                    )
                self._changed.wait_for(lambda: self._is_next(turn))
            return turn in self._turns

    def _is_next(self, turn: _Turn) -> bool:
        return turn.at_once or turn not in self._turns or turn is self._turns[0]

    def _leave(self, turn: _Turn) -> None:
        with self._changed:
            if turn in self._turns:
                self._turns.remove(turn)
            self._changed.notify_all()
