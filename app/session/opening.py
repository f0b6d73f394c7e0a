"""Opens sources aside, since servers and cameras take their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.slots import Opened, display_name
from framehook.inference.sources import Source, open_sources

Answer: TypeAlias = Callable[[Opened, list[Source] | Exception], None]
"""Called at the desk with what came of a wish: its sources, which are to be closed, or why there are none."""


class Opener:
    """Opens what the user wishes, each wish on a thread of its own: one that is slow does not hold up the others."""

    def __init__(self, board: Board, desk: Desk) -> None:
        """Open nothing yet."""
        self._board = board
        self._desk = desk

    def open(self, wish: Opened, answer: Answer) -> None:
        """Open one wish, and answer at the desk."""
        busy = f"opening {display_name(wish.spec)}"
        self._board.busy(busy)

        def tell(outcome: list[Source] | Exception) -> None:
            self._board.done(busy)
            answer(wish, outcome)

        def work() -> None:
            try:
                outcome: list[Source] | Exception = list(open_sources(wish.spec))
            except Exception as error:  # noqa: BLE001 - a source of the user's own may raise anything
                outcome = error
            if not self._desk.hand_in(partial(tell, outcome)) and isinstance(outcome, list):
                close_all(outcome)

        self._desk.aside("framehook-open", work)


def close_all(sources: Iterable[Source]) -> None:
    """Close sources that are not wanted after all."""
    for source in sources:
        source.close()
