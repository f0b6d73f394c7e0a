"""Which object of a view is chosen: by its id, which the whole window knows of, or by its box where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framehook.app.gui.view_objects import Mark, id_of, row_of
from framehook.app.session.picture import Picture
from framehook.inference.result import Result

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge


class Choice:
    """The object that is chosen in one slot, from frame to frame."""

    def __init__(self, bridge: Bridge, key: str) -> None:
        """Nothing is chosen by its box; what is chosen by its id the bridge knows."""
        self._bridge = bridge
        self._key = key
        self._mark: Mark | None = None
        self._stretch: tuple[int, int] | None = None  # in which ids mean what they meant when one was chosen
        self._before: tuple[str, int] | None = None

    @property
    def number(self) -> int | None:
        """The id, or None where nothing is chosen, or something without one."""
        selected = self._bridge.selected
        return selected[1] if selected is not None and selected[0] == self._key else None

    @property
    def anything(self) -> bool:
        """Whether something is chosen, in this frame or not."""
        return self.number is not None or self._mark is not None

    def row_in(self, result: Result) -> int | None:
        """The row of the chosen box, or None where it is not in the frame."""
        if self.number is not None:
            return row_of(result, self.number)
        return None if self._mark is None else self._mark.row_in(result)

    def click(self, result: Result, row: int | None) -> None:
        """Choose a box; the one that is chosen already, or none, chooses nothing."""
        self._before = self._bridge.selected
        if row is None or row == self.row_in(result):
            self.clear()
            return
        number = id_of(result, row)
        self._bridge.select(None if number is None else (self._key, number))
        self._mark = Mark.of(result, row) if number is None else None

    def take_back(self) -> None:
        """Choose by id what was chosen before the last click, which turned out to be half of a double click."""
        self._mark = None
        self._bridge.select(self._before)

    def clear(self) -> None:
        """Choose nothing."""
        self._mark = None
        self._bridge.select(None)

    def begin(self, picture: Picture | None) -> None:
        """The bridge was told of another choice, while this was shown."""
        if self._bridge.selected is not None:
            self._mark = None
        if picture is not None:
            self._stretch = _stretch_of(picture)

    def go_on(self, picture: Picture) -> None:
        """Look for it in the next frame; after an interruption ids mean other objects."""
        stretch = _stretch_of(picture)
        if self.number is not None and self._stretch not in (None, stretch):
            self._bridge.select(None)
        self._stretch = stretch
        if self._mark is not None:
            row = self._mark.row_in(picture.result)
            self._mark = None if row is None else Mark.of(picture.result, row)


def _stretch_of(picture: Picture) -> tuple[int, int]:
    return picture.run, picture.result.frame.segment
