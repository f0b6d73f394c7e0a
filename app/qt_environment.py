"""What has to be right before Qt starts, which ends the process where it is not."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import closing, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from framehook.inference.errors import MissingDependencyError

INSTALL: Final = "pip install 'framehook[gui]'"
XCB_PACKAGES: Final = "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 libegl1"
"""Debian's and Ubuntu's packages of what Qt needs to open windows on an X display, and may not find."""

_WITHOUT: Final = "detect without one: framehook track SOURCE --save"
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
    hidden = bool({*_chosen(environ)} & {"offscreen", "minimal", "vnc"})
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
            f"there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are not set); {_WITHOUT}"
        )
    plugins = own_plugins()
    chosen = _chosen(environ)
    if plugins is not None and chosen:
        known = sorted(file.name.partition("q")[2].split(".")[0] for file in (plugins / "platforms").iterdir())
        if not any(name.split("-")[0] in known for name in chosen):
            raise MissingDependencyError(
                f"QT_QPA_PLATFORM is {environ['QT_QPA_PLATFORM']!r}, which PyQt6 does not have; "
                f"unset it, or set it to one of {', '.join(known)}"
            )
    _load("PyQt6.QtWidgets")
    if platform.startswith("linux") and plugins is not None and {*chosen} <= {"xcb", "wayland"}:
        _check_display(chosen or ["wayland", "xcb"], plugins, environ)


def _chosen(environ: Mapping[str, str]) -> list[str]:
    """The platforms that Qt is told to try, in order."""
    return [name for each in environ.get("QT_QPA_PLATFORM", "").split(";") if (name := each.partition(":")[0])]


def _load(module: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise _lacking(f"PyQt6 cannot be loaded: {error}") from error


def _check_display(chosen: Sequence[str], plugins: Path, environ: Mapping[str, str]) -> None:
    """See to it that one of the displays answers: a variable may be left over from one that is gone."""
    if "wayland" in chosen and (name := environ.get("WAYLAND_DISPLAY")):
        with closing(socket.socket(socket.AF_UNIX)) as door, suppress(OSError):
            door.connect(str(Path(environ.get("XDG_RUNTIME_DIR", ""), name)))
            return
    display = environ.get("DISPLAY", "")
    if "xcb" in chosen and display:
        try:
            ctypes.CDLL(str(plugins / "platforms" / "libqxcb.so"))
            xcb = ctypes.CDLL("libxcb.so.1")
        except OSError as error:
            raise _lacking(f"Qt cannot open windows on this display: {error}") from None
        xcb.xcb_connect.restype = ctypes.c_void_p
        connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
        failed = xcb.xcb_connection_has_error(connection)
        xcb.xcb_disconnect(connection)
        if not failed:
            return
    names = [name for each, name in (("wayland", "WAYLAND_DISPLAY"), ("xcb", "DISPLAY")) if each in chosen]
    told = ", ".join(f"{name} is {environ.get(name) or 'not set'}" for name in names)
    raise MissingDependencyError(f"no display answers ({told}); {_WITHOUT}")


def _lacking(what: str) -> MissingDependencyError:
    return MissingDependencyError(f"{what}; on Debian or Ubuntu: sudo apt-get install {XCB_PACKAGES}")
