"""The screens of this computer, read with mss."""

from __future__ import annotations

import logging
import math
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framehook.inference.errors import (
    FramehookError,
    MissingDependencyError,
    OptionError,
    SourceNotFoundError,
    SourceUnavailableError,
    one_line,
)
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id

if TYPE_CHECKING:
    from types import ModuleType

    from mss import MSS

GRAMMAR = "screen[:NUMBER][@FPS]"
_SPEC = re.compile(r"screen(?::(?P<number>\d+))?(?:@(?P<fps>\d+(?:\.\d+)?))?", re.IGNORECASE)
_log = logging.getLogger("framehook")


@dataclass(frozen=True, slots=True)
class Screen:
    """A monitor.

    Attributes:
        number: What to write after `screen:`; 0 is all monitors together.
        size: (width, height) in the units of the desktop, which are pixels except on screens that scale them.
        place: (x, y) of its upper left corner on the desktop.
        name: What the system calls it, such as `HDMI-1`, or an empty text.
    """

    number: int
    size: tuple[int, int]
    place: tuple[int, int]
    name: str


class ScreenSource(Source):
    """What a monitor shows, at a steady rate by the monotonic clock; live.

    A reader that is late makes it run late: it never gets a burst of pictures. The pointer is not in them. Should the monitor
    change its size, what follows has the new one and begins a new `segment`.
    """

    endless = True
    may_block = True  # an X server on another computer may fall silent

    def __init__(self, number: int | None = None, *, fps: float = 30.0) -> None:
        """Look at a monitor.

        Args:
            number: Which one, from 1; 0 for all together; None for the first.
            fps: Pictures per second.

        Raises:
            OptionError: a rate that is not possible.
            SourceNotFoundError: there is no such monitor.
            SourceUnavailableError: there is no screen, or this program may not read it.
            MissingDependencyError: mss is not installed, or a library of the system that it needs.
        """
        if not (math.isfinite(fps) and fps > 0):
            raise OptionError(f"a screen at {fps} pictures per second is not possible; pass a number above 0")
        self._number = number
        self._grabber: MSS | None = None
        # One picture is taken here, so that what cannot be read fails at once, and since on some screens a unit of the desktop
        # is several pixels. The next ones are taken with a handle of the reading thread's own: not all systems let threads
        # share one.
        grabber, area = _open(number)
        try:
            size = _grab(grabber, area, "the screen").shape
        finally:
            _close(grabber)
        self._number = area.number
        self._fps = fps
        name = f"screen {area.number}" if area.number else "all screens"
        self.info = SourceInfo(
            id=unique_id(name),
            name=name,
            path=f"screen:{area.number}@{fps:g}",
            kind=SourceKind.SCREEN,
            live=True,
            size=(size[1], size[0]),
            fps=float(fps),
        )
        self._area = area
        self._index = 0
        self._segment = 0
        self._start: float | None = None
        self._due = 0.0
        self._stopped = threading.Event()
        self._state = threading.Lock()
        self._reading = False

    @classmethod
    def from_spec(cls, spec: str, *, fps: float | None = None) -> ScreenSource:
        """Look at the monitor that `screen[:NUMBER][@FPS]` names; `fps` stands in where it is silent.

        Raises:
            OptionError: the text is of another form, or a value is out of range.
            SourceError, MissingDependencyError: as for the class.
        """
        match = _SPEC.fullmatch(spec.strip())
        if match is None:
            raise OptionError(f"'{spec}' is no screen; write {GRAMMAR}, such as screen, screen:2 or screen:1@15")
        number = int(match["number"]) if match["number"] else None
        return cls(number, fps=float(match["fps"] or fps or 30.0))

    def read(self) -> Frame | None:
        pts = self._advance()
        if pts is None:
            return None
        with self._state:
            if self._stopped.is_set():
                return None
            self._reading = True
        try:
            captured_at = time.monotonic()
            pixels = self._picture()
        finally:
            with self._state:
                self._reading = False
                left = self._let_go() if self._stopped.is_set() else None
            _close(left)
        return Frame.of(
            pixels, index=self._index - 1, source=self.info, pts=pts, captured_at=captured_at, segment=self._segment
        )

    def skip(self) -> SourceInfo | None:
        return None if self._advance() is None else self.info

    def interrupt(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()
        with self._state:
            # A handle cannot be closed under a read; that closes it itself when it is through.
            left = None if self._reading else self._let_go()
        _close(left)

    def _let_go(self) -> MSS | None:
        grabber, self._grabber = self._grabber, None
        return grabber

    def _advance(self) -> float | None:
        """Wait until the next picture is due, and return its time in seconds; None when stopped."""
        now = time.monotonic()
        if self._start is None:
            self._start = self._due = now
        elif now - self._due > 1 / self._fps:
            self._due = now
        if self._stopped.wait(max(self._due - now, 0.0)):
            return None
        pts = self._due - self._start
        self._due += 1 / self._fps
        self._index += 1
        return pts

    def _picture(self) -> np.ndarray[Any, Any]:
        """Take a picture; where that fails, look once whether the monitor has but changed."""
        if self._grabber is not None:
            try:
                return _grab(self._grabber, self._area, self.info.name)
            except SourceUnavailableError:
                _close(self._let_go())
                self._segment += 1
        try:
            self._grabber, self._area = _open(self._number)
        except SourceNotFoundError as error:
            raise SourceUnavailableError(f"{self.info.name} has gone: {error}") from None
        return _grab(self._grabber, self._area, self.info.name)


def is_screen(spec: object) -> bool:
    """Tell whether a spec names a screen."""
    return isinstance(spec, str) and re.match(r"screen($|[:@])", spec, re.IGNORECASE) is not None


def list_screens() -> list[Screen]:
    """The monitors of this computer; the first entry, number 0, is all of them together.

    Raises:
        SourceUnavailableError: there is no screen.
        MissingDependencyError: mss is not installed, or a library of the system that it needs.
    """
    grabber = _connect()
    try:
        return _screens(grabber)
    finally:
        _close(grabber)


def _open(number: int | None) -> tuple[MSS, Screen]:
    """Connect to the screen and find a monitor, by default the first."""
    grabber = _connect()
    try:
        screens = _screens(grabber)
        if number is None:
            return grabber, screens[min(1, len(screens) - 1)]
        if number >= len(screens):
            raise SourceNotFoundError(f"there is no screen {number}; there are {', '.join(map(_described, screens))}")
        return grabber, screens[number]
    except BaseException:
        _close(grabber)
        raise


def _described(screen: Screen) -> str:
    size = "{} x {}".format(*screen.size)
    return f"{screen.number} ({size})" if screen.number else f"0 (all together, {size})"


def _connect() -> MSS:
    mss = _package()
    try:
        grabber: MSS = mss.MSS()
    except Exception as error:  # noqa: BLE001 - each system raises errors of its own
        failure = _no_screen(error)
    else:
        if os.environ.get("XDG_SESSION_TYPE") == "wayland":
            _log.warning("this is a Wayland session: it shows X programs to each other at most, all else may be black")
        return grabber
    raise failure


def _package() -> ModuleType:
    try:
        import mss
    except ImportError:
        found = False
    else:
        found = hasattr(mss, "MSS")  # from mss 10.2 on
    if not found:
        raise MissingDependencyError(
            "screens are read with mss 10.2 or newer, which is not installed; pip install 'framehook[screen]'"
        )
    return mss


def _screens(grabber: MSS) -> list[Screen]:
    try:
        found = grabber.monitors
    except Exception as error:  # noqa: BLE001 - each system raises errors of its own
        failure = _no_screen(error)
    else:
        return [
            Screen(
                number=number,
                size=(each["width"], each["height"]),
                place=(each["left"], each["top"]),
                name=str(each.get("output") or each.get("name") or "") if number else "",
            )
            for number, each in enumerate(found)
        ]
    raise failure


def _grab(grabber: MSS, area: Screen, name: str) -> np.ndarray[Any, Any]:
    (left, top), (width, height) = area.place, area.size
    try:
        return np.asarray(grabber.grab({"left": left, "top": top, "width": width, "height": height}))
    except Exception as error:  # noqa: BLE001 - each system raises errors of its own, a lost X server an AssertionError
        reason = one_line(error) or type(error).__name__
    raise SourceUnavailableError(f"{name} gives no picture ({reason}); check that the desktop still runs and may be read")


def _close(grabber: MSS | None) -> None:
    if grabber is not None:
        try:
            grabber.close()
        except Exception as error:  # noqa: BLE001 - the screen has gone already
            _log.debug("closing a screen: %s", one_line(error))


def _no_screen(error: Exception) -> FramehookError:
    reason = one_line(error) or type(error).__name__
    library = re.search(r"(libxcb[\w-]*)\.so not found", reason)
    if library is not None:
        package = "libxcb1" if library[1] == "libxcb" else f"{library[1]}0"
        return MissingDependencyError(
            f"the system library {library[1]}.so is missing; on Debian or Ubuntu: apt-get install {package}"
        )
    if not sys.platform.startswith("linux"):
        return SourceUnavailableError(f"the screen cannot be read ({reason}); allow this program to record it")
    display = os.environ.get("DISPLAY")
    if display:
        return SourceUnavailableError(
            f"the screen of DISPLAY={display} cannot be read ({reason}); name that of a desktop that runs and lets you in"
        )
    if os.environ.get("WAYLAND_DISPLAY"):
        return SourceUnavailableError(
            "the screen cannot be read: this is a Wayland session, which shows it to no other program; log in with Xorg instead"
        )
    return SourceUnavailableError(
        "there is no screen: DISPLAY is not set; run this in a desktop session, or set DISPLAY to that of one, such as :0"
    )
