"""The desktop app: windows over a session. The only place that imports PyQt6.

`framehook gui` opens it; so does a program of your own, with its model and its callbacks:

    from framehook import Model
    from framehook.app.gui import show

    model = Model()
    model.add_callback("on_predict_batch_end", my_callback)
    show(model, "clip.mp4")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framehook.app.qt_environment import check_window

if TYPE_CHECKING:
    from framehook.model import Model

__all__ = ["show"]


def show(model: Model | None = None, *sources: Any, **options: Any) -> int:
    """Open the window and return when it is closed; to be called in the main thread.

    Args:
        model: The model, whose callbacks are called; None for the bundled detector.
        *sources: What to open at once, side by side; anything `open_sources` takes.
        **options: See `PredictOptions`: conf, classes, tracker, overlay ...

    Returns:
        The exit code for the process, 0.

    Raises:
        MissingDependencyError: PyQt6, a display or a library of the system is missing; the message says what to do.
        UnknownOptionError, OptionError: an option is wrong.
    """
    check_window()
    from framehook.app.gui.launch import run_app

    return run_app(sources, model=model, options=options)
