"""Pictures of a source before it is opened: what a camera sees, what is on a screen, how a file begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import cv2
import numpy as np

from framehook.app.session.picture import Pixels
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.frame import SourceInfo
from framehook.inference.sources import Screen, Source, list_screens, open_source
from framehook.inference.sources.camera import CameraSource
from framehook.inference.sources.single import is_camera


class PreviewPhase(StrEnum):
    """How a preview stands."""

    OPENING = "opening"
    SHOWING = "showing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PreviewState:
    """What is known of a preview.

    Attributes:
        phase: How it stands.
        source: What it shows, once that is open.
        reason: What is wrong, in words, or an empty text.
    """

    phase: PreviewPhase = PreviewPhase.OPENING
    source: SourceInfo | None = None
    reason: str = ""


class Preview:
    """Opens a source on a thread of its own, and keeps its newest picture, scaled to fit.

    Of a live source it shows what comes, of a file the first picture alone; then it lets go of it. No picture is made before
    the last one was taken, so that nothing piles up where a window is busy.
    """

    def __init__(
        self,
        spec: Any,
        changed: Callable[[], None],
        *,
        size: tuple[int, int] = (480, 270),
        make: Callable[[Any], Source] | None = None,
    ) -> None:
        """Begin to open it.

        Args:
            spec: What `open_source` takes.
            changed: Called, from the preview's thread, when there is a picture to take or the state is another.
            size: (width, height) in pixels in which pictures are to fit.
            make: Opens the source; by default a camera as the driver gives it, and all else by `open_source`. Neither connects
                again: what is wrong is told at once.
        """
        self._spec = spec
        self._changed = changed
        self._size = size
        self._make = make or _opened
        self._lock = threading.Lock()
        self._state = PreviewState()
        self._picture: Pixels | None = None
        self._source: Source | None = None
        self._closing = threading.Event()
        self._over = False
        self._released: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._run, name="framehook-preview", daemon=True)
        self._thread.start()

    @property
    def state(self) -> PreviewState:
        """How it stands; from any thread."""
        return self._state

    def take(self) -> Pixels | None:
        """The newest picture, H x W x 4 uint8 (B G R 255), C-contiguous and the caller's own; None if there is no new one."""
        with self._lock:
            picture, self._picture = self._picture, None
            return picture

    def fit(self, size: tuple[int, int]) -> None:
        """Scale pictures from now on to fit in (width, height) pixels."""
        self._size = size

    def close(self, released: Callable[[], object] | None = None) -> None:
        """Let go of the source, without waiting for it: `changed` is not called any more once this returns.

        Args:
            released: Called, from any thread, once the source is closed, so that it can be opened again; a driver that hangs
                makes this late.
        """
        with self._lock:
            self._closing.set()
            self._picture = None
            source = self._source
            if released is not None and not self._over:
                self._released.append(released)
                released = None
        if source is not None:
            source.interrupt()
        if released is not None:
            released()

    def join(self, timeout: float) -> bool:
        """Wait until the source is closed; False where that takes longer than `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._show()
        except FramehookError as error:
            self._tell(PreviewState(PreviewPhase.FAILED, self._state.source, one_line(error)))
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, and the dialog has to say so
            self._tell(PreviewState(PreviewPhase.FAILED, self._state.source, f"{type(error).__name__}: {one_line(error)}"))
        finally:
            with self._lock:
                self._over = True
                waiting, self._released = self._released, []
            for call in waiting:
                call()

    def _show(self) -> None:
        if self._closing.is_set():
            return
        with self._make(self._spec) as source:
            with self._lock:
                self._source = source
                if self._closing.is_set():
                    return
            self._tell(PreviewState(PreviewPhase.OPENING, source.info))
            while not self._closing.is_set() and self._advance(source):
                pass

    def _advance(self, source: Source) -> bool:
        """Show the next picture; False at the end."""
        if self._picture is not None:
            return source.skip() is not None
        frame = source.read()
        if frame is None:
            return False
        picture = _fitted(frame.image, self._size)
        with self._lock:
            self._picture = picture
        self._tell(PreviewState(PreviewPhase.SHOWING, source.info))
        return source.info.live

    def _tell(self, state: PreviewState) -> None:
        # Under the lock, so that nobody is called once `close` has returned: there may be no window any more.
        with self._lock:
            if not self._closing.is_set():
                self._state = state
                self._changed()


class ScreenSearch:
    """Looks for the screens of this computer on a thread of its own: a display may be on another computer, and silent."""

    def __init__(self, found: Callable[[list[Screen], str], None], look: Callable[[], list[Screen]] = list_screens) -> None:
        """Begin to look.

        Args:
            found: Called, from that thread, with the screens, or with why there are none.
            look: Lists the screens.
        """
        self._found = found
        self._look = look
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._run, name="framehook-screens", daemon=True).start()

    def close(self) -> None:
        """Call nobody any more."""
        with self._lock:
            self._closed = True

    def _run(self) -> None:
        screens: list[Screen] = []
        reason = ""
        try:
            screens = self._look()
        except FramehookError as error:
            reason = one_line(error)
        with self._lock:
            if not self._closed:
                self._found(screens, reason)


def _opened(spec: Any) -> Source:
    # A source that connects again leaves its camera to a thread of its own; this one has to know when it is released.
    if is_camera(spec):
        return CameraSource(spec if isinstance(spec, int) else str(spec))
    return open_source(spec, reconnect=False)


def _fitted(image: np.ndarray[Any, Any], size: tuple[int, int]) -> Pixels:
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    if scale <= 0:
        return np.zeros((1, 1, 4), np.uint8)
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, wanted, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(cv2.cvtColor(small, cv2.COLOR_BGR2BGRA), dtype=np.uint8)
