"""Loads models aside, and says what they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from framehook.app.session.board import Board
from framehook.app.session.desk import Desk
from framehook.app.session.state import ModelFacts
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.network import image_input, takes_frames
from framehook.inference.options import PredictOptions
from framehook.inference.predictor import check_options
from framehook.inference.sources.addresses import short_name
from framehook.model import Model


class ModelLoader:
    """Loads one model at a time, as far as the user is concerned: of several that are wished for, the last one counts.

    Attributes:
        loading: Whether a model is on its way.
    """

    def __init__(
        self, board: Board, desk: Desk, loaded: Callable[[Model, str | Path | None], None], failed: Callable[[], None]
    ) -> None:
        """Load nothing yet.

        Args:
            board: Where it is shown that something is loaded, and told what went wrong.
            desk: Where the outcome is handed in.
            loaded: Called at the desk with the model and what it was loaded of.
            failed: Called at the desk where there is no model after all.
        """
        self._board = board
        self._desk = desk
        self._loaded = loaded
        self._failed = failed
        self._number = 0
        self.loading = False

    def load(self, spec: str | Path | None, make: Callable[[], Model]) -> None:
        """Load a model; one that is being loaded is not wanted any more."""
        self._number += 1
        self.loading = True
        busy = f"loading {title_of(spec)}"
        self._board.busy(busy)

        def tell(number: int, outcome: Model | Exception) -> None:
            self._board.done(busy)
            if isinstance(outcome, Exception):
                self._board.report(outcome)
            if number != self._number:
                return
            self.loading = False
            if isinstance(outcome, Exception):
                self._failed()
            else:
                self._loaded(outcome, spec)

        def work(number: int) -> None:
            try:
                outcome: Model | Exception = make()
                if self._board.state.options.tracker is not None:
                    import trackers  # noqa: F401 - slow to import, which is better done now than at the first frame
            except Exception as error:  # noqa: BLE001 - a damaged file may fail anywhere
                outcome = error
            self._desk.hand_in(partial(tell, number, outcome))

        self._desk.aside("framehook-load", partial(work, self._number))


def facts_of(model: Model, spec: str | Path | None) -> ModelFacts:
    """What is known of a model, for people."""
    network = model.detector.backend.network
    if takes_frames(network):
        size = "frames of any size"
    else:
        sides = [side if isinstance(side, int) and side > 0 else None for side in image_input(network).shape]
        rest = sides[1:3] if sides[-1] == 3 else sides[2:4]
        size = " x ".join("any" if side is None else str(side) for side in reversed(rest))
    return ModelFacts(title_of(spec), spec, model.device, dict(model.names), size, model.detector.decoder.name)


def title_of(spec: str | Path | None) -> str:
    """What to call a model, without credentials."""
    return "bundled person detector" if spec is None else short_name(str(spec))


def fitting(options: PredictOptions, model: Model) -> tuple[dict[str, object], str]:
    """What of the options has to be given up for a model, and why.

    Returns:
        The options to change, none where all fit; and a note for the user.
    """
    error = _misfit(options, model)
    if error is None:
        return {}, ""
    classes: dict[str, object] = {"classes": None, "imgsz": None}
    tracker: dict[str, object] = {"tracker": None, "tracker_options": None}
    for changes, told in (
        (classes, "All classes are shown, at the model's own input size"),
        (tracker, "Nothing is tracked"),
        ({**classes, **tracker}, "All classes are shown, at the model's own input size, and nothing is tracked"),
    ):
        if _misfit(options.replace(changes), model) is None:
            return changes, f"{one_line(error).rstrip('.')}. {told}"
    return {}, one_line(error)


def _misfit(options: PredictOptions, model: Model) -> FramehookError | None:
    try:
        check_options(options, model.detector)
    except FramehookError as error:
        return error
    return None
