"""The door to the desktop app for the command line, which must work where Qt is not installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framehook.app.qt_environment import check_window, shows_windows
from framehook.inference.errors import FramehookError
from framehook.inference.options import PredictOptions
from framehook.inference.sources.demo import find_demo_clip


def open_window(
    sources: Sequence[Any],
    *,
    model: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    loop: bool | None = None,
    callbacks: Sequence[Path] = (),
) -> int:
    """Open the window on some sources, and return the exit code when it is closed.

    Args:
        sources: What to look at, side by side; none for the screen that says what can be done.
        model: The arguments of `Session.use_model`, or None for the bundled detector.
        options: Options of runs.
        loop: Whether files begin again at their end; None for what the user's settings say.
        callbacks: Python files of callbacks.

    Raises:
        MissingDependencyError: PyQt6, a display or a library of the system is missing; the message says what to do.
        UnknownOptionError, OptionError: an option is wrong.
    """
    PredictOptions.build(options or {})
    check_window()
    from framehook.app.gui.launch import run_app

    return run_app(sources, model_spec=model, options=options, loop=loop, callbacks=callbacks, leaves=True)


def open_demo_window() -> int | None:
    """Show the demo clip in a window, over and over; None where no window can be opened here, or the clip is missing."""
    clip = find_demo_clip()
    if clip is None or not shows_windows():
        return None
    try:
        check_window()
    except FramehookError:
        return None
    return open_window([clip], loop=True)
