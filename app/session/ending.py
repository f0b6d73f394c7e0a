"""Runs that are asked for their end, and tell where they do not come to it."""

from __future__ import annotations

from functools import partial
from typing import Final

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.playing import Playing
from framehook.app.session.state import Level

SOON: Final = 2.0
"""Seconds after which it is told that a run has not ended."""
ENDING: Final = "waiting for what played to end"


class Endings:
    """Ends runs. One whose callback does not return is waited for, since what it would do later belongs to no other run."""

    def __init__(self, board: Board, desk: Desk) -> None:
        """Nothing to end yet."""
        self._board = board
        self._desk = desk
        self._late: Playing | None = None  # the one that is told of

    def ask(self, playing: Playing | None) -> None:
        """At the desk: ask a run for its end, and tell where that does not come soon; returns at once."""
        if playing is not None and not playing.stopped:
            playing.stop()
            self._desk.aside("framehook-ending", partial(self._wait, playing))

    def came(self, playing: Playing) -> None:
        """At the desk: a run has ended."""
        playing.over = True
        if self._late is playing:
            self._late = None
            self._board.done(ENDING)

    def _wait(self, playing: Playing) -> None:
        if not playing.join(SOON):
            self._desk.hand_in(partial(self._tell, playing, playing.held_up_by()))

    def _tell(self, playing: Playing, held_up_by: str) -> None:
        if playing.over:
            return
        self._late = playing
        self._board.busy(ENDING)
        if held_up_by:
            advice = "nothing else can play until it does. If it never will, close the window and correct it"
            self._board.note(Level.WARNING, f"The callback {held_up_by} does not return; {advice}")
