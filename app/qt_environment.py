"""What has to be right before Qt starts, which ends the process where it is not."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from framehook.inference.errors import MissingDependencyError

INSTALL: Final = "pip install 'framehook[gui]'"
XCB_PACKAGES: Final = "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 libegl1"
"""Debian's and Ubuntu's packages of what Qt needs to open windows on an X display, and may not find."""

_MISLEADING: Final = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_PLUGIN_PATH", "QT_QPA_FONTDIR")


def has_gui() -> bool:
    """Whether what the desktop app needs is installed; nothing is imported."""
    return find_spec("PyQt6") is not None and find_spec("pyqtgraph") is not None


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window could be opened somewhere."""
    chosen = environ.get("QT_QPA_PLATFORM", "")
    return bool(chosen or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or not platform.startswith("linux"))


def shows_windows(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window would be seen by somebody."""
    hidden = environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in ("offscreen", "minimal", "vnc")
    return has_display(environ, platform) and not hidden


def clear_misleading_paths(environ: MutableMapping[str, str] = os.environ) -> None:
    """Forget where plugins and fonts of another Qt lie.

    OpenCV's wheel sets these to its own folder when it is imported, and Qt ends the process if it finds plugins of another
    version there. PyQt6's wheel finds its own without being told; only where it was installed without, they are left alone.
    """
    if own_plugins() is None:
        return
    for name in _MISLEADING:
        environ.pop(name, None)


def own_plugins() -> Path | None:
    """The folder of the plugins that came with PyQt6, or None."""
    package = find_spec("PyQt6")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        plugins = Path(folder) / "Qt6" / "plugins"
        if (plugins / "platforms").is_dir():
            return plugins
    return None


def check_window(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> None:
    """See to it that Qt can open a window here, since it would end the process.

    Raises:
        MissingDependencyError: PyQt6, a display, or a library of the system is missing; the message says what to do.
    """
    if not has_gui():
        raise MissingDependencyError(f"the desktop app needs PyQt6 and pyqtgraph; install them with: {INSTALL}")
    if not has_display(environ, platform):
        raise MissingDependencyError(
            "there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are not set); detect without one: "
            "framehook track SOURCE --save"
        )
    chosen = environ.get("QT_QPA_PLATFORM", "")
    plugins = own_plugins()
    if not platform.startswith("linux") or plugins is None or chosen not in ("", "xcb"):
        return
    if chosen == "" and environ.get("WAYLAND_DISPLAY"):
        return
    try:
        ctypes.CDLL(str(plugins / "platforms" / "libqxcb.so"))
    except OSError as error:
        raise MissingDependencyError(
            f"Qt cannot open windows on this display: {error}; on Debian or Ubuntu: sudo apt-get install {XCB_PACKAGES}"
        ) from None
