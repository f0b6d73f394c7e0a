"""From the command line, or from a program, to the window and back."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from PyQt6.QtCore import QSocketNotifier
from PyQt6.QtWidgets import QApplication

from framehook.app.gui.settings_store import Store
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.window import MainWindow
from framehook.app.interrupt import stopping_signals
from framehook.app.session.notes import detail_of
from framehook.app.session.state import Level
from framehook.inference.errors import one_line
from framehook.model import Model


def run_app(
    sources: Sequence[Any] = (),
    *,
    model: Model | None = None,
    model_spec: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    loop: bool | None = None,
    callbacks: Sequence[Path] = (),
    store: Store | None = None,
) -> int:
    """Open the window, and return the exit code when it is closed.

    Args:
        sources: What to open at once, side by side.
        model: A model to begin with, whose callbacks are called, too.
        model_spec: Or the arguments of `Session.use_model`; without either the bundled detector is used.
        options: Options of runs, before those of the user's settings.
        loop: Whether files begin again at their end; None for what the user's settings say.
        callbacks: Python files of callbacks to load.
        store: What is remembered from one start to the next; None for the user's own.

    Raises:
        UnknownOptionError, OptionError: an option is wrong.
    """
    app = application()
    store = Store() if store is None else store
    settings = store.settings()
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
    window.show()
    with _closed_by_signals(window.close), _errors_told(window):
        code = app.exec()
    if not window.ended:
        # A callback that does not return, or a server that does not answer, would keep the process alive: files are complete
        # by now, as far as that can be.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def application() -> QApplication:
    """The application of this process, made where there is none."""
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = QApplication(sys.argv[:1])
    app.setApplicationName("Framehook")
    app.setApplicationDisplayName("Framehook")
    app.setOrganizationName("Framehook")
    app.setDesktopFileName("framehook")
    return app


@contextmanager
def _closed_by_signals(close: Callable[[], object]) -> Iterator[None]:
    """While it lasts, Ctrl-C and a polite kill close the window, as if its cross was clicked.

    Python calls handlers of signals only while it is running Python code, which the event loop of Qt may not do for long. So
    what wakes it is a socket that the interpreter writes to at once.
    """
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    woken = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read)  # type: ignore[call-overload]  # stubs know no int
    woken.activated.connect(lambda: reader.recv(64))
    before_fd = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: close()) for number in stopping_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        woken.setEnabled(False)
        reader.close()
        writer.close()


@contextmanager
def _errors_told(window: MainWindow) -> Iterator[None]:
    """While it lasts, an error in the window's own code is shown in the window; PyQt would end the process otherwise."""

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        window.bridge.report(
            Level.ERROR, f"unexpected {kind.__name__}: {one_line(error)}; this is a bug, please report it", detail_of(error)
        )

    before, sys.excepthook = sys.excepthook, tell
    try:
        yield
    finally:
        sys.excepthook = before
