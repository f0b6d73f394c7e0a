"""How large letters and symbols are, beside what the system makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PyQt6.QtCore import QCoreApplication, QSize
from PyQt6.QtGui import QGuiApplication

SCALES: Final = (100, 125, 150, 175, 200, 250, 300)
"""Sizes to choose from, in percent of what the system makes them."""
LEAST: Final = QSize(1280, 720)
"""Logical pixels of the smallest screen that the window is made for."""

_VARIABLE: Final = "QT_SCALE_FACTOR"
_PROPERTY: Final = "framehook_scale"


@contextmanager
def scaled(percent: int) -> Iterator[None]:
    """Make an application in here, and everything is so large in it; where the user has set QT_SCALE_FACTOR, as that says.

    It is the only way to tell Qt, and programs that are started later are to know nothing of it.
    """
    ours = percent != SCALES[0] and _VARIABLE not in os.environ
    if ours:
        os.environ[_VARIABLE] = f"{percent / 100:g}"
    try:
        yield
    finally:
        if ours:
            del os.environ[_VARIABLE]
    app = QCoreApplication.instance()
    if app is not None:
        app.setProperty(_PROPERTY, percent if ours else SCALES[0])


def fitting_scales() -> list[int]:
    """Those of `SCALES` with which the window has room on a screen that is there; the smallest always."""
    app = QCoreApplication.instance()
    now = (app.property(_PROPERTY) if app is not None else None) or SCALES[0]
    screens = [screen.size() * (now / SCALES[0]) for screen in QGuiApplication.screens()]
    return [each for each in SCALES if each == SCALES[0] or any(_has_room(screen, each) for screen in screens)]


def _has_room(screen: QSize, percent: int) -> bool:
    """Whether a screen of so many logical pixels, at the smallest size, holds the window at another."""
    least = LEAST * (percent / SCALES[0])
    return screen.width() >= least.width() and screen.height() >= least.height()
