"""What hands the results of a run on to whoever looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from framehook.inference.callbacks import Callback
from framehook.inference.connection import SourceChange
from framehook.inference.frame import SourceInfo
from framehook.inference.result import Result

if TYPE_CHECKING:
    from framehook.inference.predictor import Predictor


class Relay(Callback):
    """Hands on each result once all other callbacks are through with it, and each change of a source.

    It looks at `frame_results`, so that whatever a callback puts in the place of `results` does not disturb the picture.
    """

    order: ClassVar[int] = 1000
    foreground_only: ClassVar[bool] = True

    def __init__(
        self,
        show: Callable[[str, Result], None],
        changed: Callable[[SourceChange, str], None],
        begins_again: Callable[[SourceChange], bool],
        key_of: Callable[[SourceInfo], str | None],
    ) -> None:
        """Choose who is told.

        Args:
            show: Called with the slot and the result.
            changed: Called with a change and the slot.
            begins_again: Whether a file that has ended is to be played again.
            key_of: The slot of a source.
        """
        self._show = show
        self._changed = changed
        self._begins_again = begins_again
        self._key_of = key_of

    def on_predict_batch_end(self, predictor: Predictor) -> None:
        for result in predictor.frame_results:
            key = self._key_of(result.frame.source)
            if key is not None:
                self._show(key, result)

    def on_source_change(self, predictor: Predictor) -> None:
        change = predictor.change
        key = None if change is None else self._key_of(change.source)
        if change is None or key is None:
            return
        again = self._begins_again(change)
        self._changed(change, key)
        if again:
            predictor.seek(0.0, change.source)
