"""Cameras of this computer."""

from __future__ import annotations

import glob
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np

from framehook.inference.errors import SourceUnavailableError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id
from framehook.inference.sources.live import OPEN_TIMEOUT, READ_TIMEOUT, LiveSource

_log = logging.getLogger("framehook")
_level_lock = threading.Lock()
_quieted: list[int] = []  # the level to return to, once for each that wants quiet


class Capture(Protocol):
    """What a camera source needs of `cv2.VideoCapture`."""

    def isOpened(self) -> bool: ...  # noqa: N802 - OpenCV's names
    def get(self, propId: int, /) -> float: ...  # noqa: N803
    def set(self, propId: int, value: float, /) -> bool: ...  # noqa: N803
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


def open_camera(
    device: int | str,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    reconnect: bool = True,
    open_capture: Callable[[int | str], Capture] | None = None,
) -> LiveSource:
    """Open a camera that is opened again, under the same number or file, when it was pulled out or hangs.

    Args:
        device: Its number, or a device file such as `/dev/video0`.
        width: Picture width to ask for, pixels; the camera may give another one, which is logged.
        height: Picture height to ask for, pixels.
        fps: Frames per second to ask for.
        open_timeout: Seconds after which opening it again is given up on.
        read_timeout: Seconds without a frame after which it counts as lost.
        reconnect: Whether to open it again; otherwise `read` raises when it is lost.
        open_capture: Makes the capture; `cv2.VideoCapture` if not given.

    Raises:
        SourceUnavailableError: there is no such camera, or another program holds it.
    """
    connect = partial(CameraSource, device, width=width, height=height, fps=fps, open_capture=open_capture)
    first = connect()
    return LiveSource(
        first.info, connect, first=first, open_timeout=open_timeout, read_timeout=read_timeout, reconnect=reconnect
    )


class CameraSource(Source):
    """A camera, by number or device file; live, and over when it is pulled out (`open_camera` waits for it to come back).

    `pts` counts from the first frame by the clock of the computer, as cameras have none that can be trusted. `captured_at` is
    taken when the driver hands the frame over, before it is converted.
    """

    endless = True
    may_block = True

    def __init__(
        self,
        device: int | str,
        *,
        width: int | None = None,
        height: int | None = None,
        fps: float | None = None,
        open_capture: Callable[[int | str], Capture] | None = None,
    ) -> None:
        """Open a camera.

        Args:
            device: Its number, or a device file such as `/dev/video0`.
            width: Picture width to ask for, pixels; the camera may give another one, which is logged.
            height: Picture height to ask for, pixels.
            fps: Frames per second to ask for.
            open_capture: Makes the capture; `cv2.VideoCapture` if not given.

        Raises:
            SourceUnavailableError: there is no such camera, or another program holds it.
        """
        number = _number_of(device)
        name = f"camera {number}" if isinstance(number, int) else str(number)
        capture = (open_capture or _open_capture)(number)
        if not capture.isOpened():
            capture.release()
            raise SourceUnavailableError(f"{name} cannot be opened; {_what_to_do()}")
        self._capture = capture
        self._index = 0
        self._first_at = 0.0
        self._stopped = threading.Event()
        self._closed = False
        self._configure(name, {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FPS: fps})
        given = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate = capture.get(cv2.CAP_PROP_FPS)
        self.info = SourceInfo(
            id=unique_id(name),
            name=name,
            path=str(device),
            kind=SourceKind.CAMERA,
            live=True,
            size=given if min(given) > 0 else None,
            fps=rate if rate > 0 else None,
        )

    def read(self) -> Frame | None:
        captured_at = self._grab()
        if captured_at is None:
            return None
        got, pixels = self._capture.retrieve()
        if not got:
            raise self._lost()
        pts = captured_at - self._first_at
        return Frame.of(np.asarray(pixels), index=self._index - 1, source=self.info, pts=pts, captured_at=captured_at)

    def skip(self) -> SourceInfo | None:
        return None if self._grab() is None else self.info

    def interrupt(self) -> None:
        # A driver that hangs cannot be woken: OpenCV gives up on it after ten seconds, and then this holds.
        self._stopped.set()

    def close(self) -> None:
        self._stopped.set()
        if not self._closed:
            self._closed = True
            self._capture.release()

    def _grab(self) -> float | None:
        if self._stopped.is_set():
            return None
        grabbed = self._capture.grab()
        captured_at = time.monotonic()
        if self._stopped.is_set():
            return None
        if not grabbed:
            raise self._lost()
        if self._index == 0:
            self._first_at = captured_at
        self._index += 1
        return captured_at

    def _lost(self) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self.info.name} gives no more frames; check its cable, and that no other program uses it"
        )

    def _configure(self, name: str, wanted: dict[int, float | None]) -> None:
        capture = self._capture
        with quiet_opencv():
            if wanted[cv2.CAP_PROP_FRAME_WIDTH] or wanted[cv2.CAP_PROP_FRAME_HEIGHT]:
                # Uncompressed pictures of more than about 640 x 480 do not fit through USB 2 at full rate.
                capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            for prop, value in wanted.items():
                if value is not None:
                    capture.set(prop, value)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest of four
        labels = {cv2.CAP_PROP_FRAME_WIDTH: "width", cv2.CAP_PROP_FRAME_HEIGHT: "height", cv2.CAP_PROP_FPS: "fps"}
        for prop, value in wanted.items():
            given = capture.get(prop)
            if value is not None and given > 0 and abs(given - value) > 0.5:
                _log.warning("%s gives %s %g instead of %g", name, labels[prop], given, value)


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to stderr what we report ourselves; the level that the program chose returns afterwards."""
    # What is done in quiet may hang, and must not keep others from it; so the lock is not held meanwhile.
    with _level_lock:
        before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _quieted.append(_quieted[0] if _quieted else before)
    try:
        yield
    finally:
        with _level_lock:
            before = _quieted.pop()
            if not _quieted:
                cv2.utils.logging.setLogLevel(before)


def _open_capture(number: int | str) -> Capture:
    with quiet_opencv():
        return cv2.VideoCapture(number)


def _number_of(device: int | str) -> int | str:
    """Turn a device file into the number OpenCV wants; links such as those in `/dev/v4l/by-id` are followed."""
    if isinstance(device, int):
        return device
    if device.isdecimal():
        return int(device)
    match = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(device))
    return int(match[1]) if match else device


def _what_to_do() -> str:
    if not sys.platform.startswith("linux"):
        return "check that it is connected, that no other program uses it, and that this program may use the camera"
    found = sorted(glob.glob("/dev/video*"), key=lambda path: (len(path), path))
    if not found:
        return "no camera is connected to this computer (there is no /dev/video*)"
    return f"found {', '.join(found)}; check the number, that no other program uses it, and that you may read it (group video)"
