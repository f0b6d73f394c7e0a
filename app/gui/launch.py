"""From the command line, or from a program, to the window and back."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self

from PyQt6.QtCore import QEvent, QSocketNotifier, QTimer
from PyQt6.QtWidgets import QApplication

from framehook.app.cli import INTERRUPTED
from framehook.app.gui.scale import SCALES, scaled
from framehook.app.gui.settings_store import Store
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.window import MainWindow
from framehook.app.interrupt import stopping_signals
from framehook.app.qt_environment import clear_misleading_paths
from framehook.app.session.notes import detail_of
from framehook.app.session.state import Level
from framehook.inference.errors import one_line
from framehook.model import Model

PATIENCE: Final = 4.0
"""Seconds after a signal in which the window must have closed; one more ends the process then, whatever it is doing."""

_kept: Final[list[QApplication]] = []
"""The application that was made here: Qt wants it to outlive all else of its own."""


def run_app(
    sources: Sequence[Any] = (),
    *,
    model: Model | None = None,
    model_spec: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    loop: bool | None = None,
    callbacks: Sequence[Path] = (),
    store: Store | None = None,
    leaves: bool = False,
) -> int:
    """Open the window, and return the exit code when it is closed; to be called in the main thread.

    Args:
        sources: What to open at once, side by side.
        model: A model to begin with, whose callbacks are called, too.
        model_spec: Or the arguments of `Session.use_model`; without either the bundled detector is used.
        options: Options of runs, before those of the user's settings.
        loop: Whether files begin again at their end; None for what the user's settings say.
        callbacks: Python files of callbacks to load.
        store: What is remembered from one start to the next; None for the user's own.
        leaves: Whether to end the process where something does not: a callback that never returns, a server that does not
            answer. Files are complete by then, as far as that can be.

    Raises:
        UnknownOptionError, OptionError: an option is wrong.
    """
    store = Store() if store is None else store
    settings = store.settings()
    app = application(settings.scale)
    with _ClosedBySignals() as signals:
        apply_theme(app, settings.theme)
        window = MainWindow(
            store,
            model=model,
            options={**settings.options(), **(options or {})},
            loop=settings.loop if loop is None else loop,
        )
        session = window.bridge.session
        session.folder = settings.save_dir
        if model is None and (model_spec or settings.device):
            given = {name: value for name, value in (model_spec or {}).items() if value is not None}
            session.use_model(**{"spec": None, "device": settings.device, **given})
        for file in callbacks:
            session.load_hooks(file)
        recent = store.recent("source") if settings.start_with == "last" else []
        window.handlers.open_at_start([*sources] or recent[:1])
        with _errors_told(window):
            window.show()
            signals.close(window)
            code = app.exec()
            ended = window.ended
            # Now, rather than when Python gets to it, which may be after the application is gone.
            window.deleteLater()
            app.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    if leaves and not ended:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def application(scale: int = SCALES[0]) -> QApplication:
    """The application of this process; made where there is none, with everything so large (`scaled`)."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        clear_misleading_paths()  # at the last moment: OpenCV, imported by now, has set them
        with scaled(scale):
            app = QApplication(sys.argv[:1])
        _kept.append(app)
    app.setApplicationName("Framehook")
    app.setApplicationDisplayName("Framehook")
    app.setOrganizationName("Framehook")
    app.setDesktopFileName("framehook")
    return app


class _ClosedBySignals:
    """While it is entered, Ctrl-C, a polite kill and a closed terminal close the window, as if its cross was clicked.

    Python calls handlers of signals only while it is running Python code, which the event loop of Qt may not do for long; and
    it calls them in the middle of whatever is going on, perhaps with the very lock held that closing needs. So the handler
    does next to nothing, and a socket that the interpreter writes to at once wakes the event loop, which does the closing.
    """

    def __init__(self) -> None:
        """Prepare; nothing changes before it is entered."""
        self._window: MainWindow | None = None
        self._first: float | None = None
        self._before: dict[int, Any] = {}
        self._before_fd = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        descriptor = self._reader.fileno()
        self._woken = QSocketNotifier(descriptor, QSocketNotifier.Type.Read)  # type: ignore[call-overload]  # stubs know no int
        self._woken.activated.connect(self._wake)
        self._before_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._handle) for number in stopping_signals()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_fd)
        self._woken.setEnabled(False)
        self._reader.close()
        self._writer.close()

    def close(self, window: MainWindow) -> None:
        """Have this window closed; soon, where a signal came before it was made."""
        self._window = window
        if self._first is not None:
            QTimer.singleShot(0, window.close)  # an application whose only window goes before it runs would never end

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is None:
            self._first = now
        elif now - self._first > PATIENCE:
            os._exit(INTERRUPTED)

    def _wake(self) -> None:
        self._reader.recv(64)  # also of signals that others handle
        if self._first is not None and self._window is not None:
            self._window.close()


@contextmanager
def _errors_told(window: MainWindow) -> Iterator[None]:
    """While it lasts, an error in the window's own code is shown in the window; PyQt would end the process otherwise.

    Once the window is closed it is printed.
    """
    bridge = window.bridge

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if bridge.closed:
            before(kind, error, trace)
        else:
            said = f"unexpected {kind.__name__}: {one_line(error)}; this is a bug, please report it"
            bridge.report(Level.ERROR, said, detail_of(error))

    before, sys.excepthook = sys.excepthook, tell
    try:
        yield
    finally:
        sys.excepthook = before
