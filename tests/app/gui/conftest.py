"""Windows without a screen. They are looked at as a user does: texts, pixels, files."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")  # before Qt starts

import pytest
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from framehook.app.gui import window as window_module
from framehook.app.gui.bridge import Bridge
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.window import MainWindow
from framehook.app.qt_environment import clear_misleading_paths

from .panel_scenes import quick_model

clear_misleading_paths()

WAIT = 60_000
"""Milliseconds that anything may take on a machine that does much else."""


@pytest.fixture(scope="session")
def qapp_args():
    return ["framehook"]


class PatientBot(QtBot):
    """Waits as long as anything may take, where it is not told how long; what comes is waited for no longer."""

    def waitUntil(self, callback, *, timeout=WAIT):  # noqa: N802 - Qt's way of naming, here and below
        super().waitUntil(callback, timeout=timeout)

    def waitSignal(self, signal, *, timeout=WAIT, **how):  # noqa: N802
        return super().waitSignal(signal, timeout=timeout, **how)

    def waitSignals(self, signals, *, timeout=WAIT, **how):  # noqa: N802
        return super().waitSignals(signals, timeout=timeout, **how)

    def waitActive(self, widget, *, timeout=WAIT):  # noqa: N802
        return super().waitActive(widget, timeout=timeout)

    def waitExposed(self, widget, *, timeout=WAIT):  # noqa: N802
        return super().waitExposed(widget, timeout=timeout)


@pytest.fixture
def qtbot(qapp, request):
    return PatientBot(request)


@pytest.fixture(autouse=True)
def _patient_end(monkeypatch):
    """What `MainWindow.ended` tells is whether everything has ended, however busy the machine is."""
    monkeypatch.setattr(window_module, "CLOSING", WAIT / 1000)


@pytest.fixture(autouse=True)
def _same_look(qapp):
    """The light theme, and dialogs that can be looked into, whatever the desktop has."""
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    apply_theme(qapp, "light")
    yield
    # What `deleteLater` was asked for is done now, so that nothing of one test lives on in the next.
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def store(tmp_path):
    """What is remembered, of nobody's own; whatever is saved goes into a folder of the test."""
    store = Store(tmp_path / "settings.ini")
    store.save(Settings(save_dir=tmp_path / "saved"))
    return store


@pytest.fixture
def make_bridge(qapp):
    """Make bridges with sessions, which are closed at the end."""
    made = []

    def make(**options):
        made.append(Bridge(**options))
        return made[-1]

    yield make
    for bridge in made:
        bridge.close(WAIT / 1000)
        bridge.deleteLater()


@pytest.fixture
def bridge(make_bridge):
    """A bridge with a session of its own, with nothing open."""
    return make_bridge()


@pytest.fixture
def make_window(qtbot, store):
    """Make windows as the app does, shown, which are closed at the end."""
    made = []

    def make(**options):
        window = MainWindow(store, **{"options": store.settings().options(), **options})
        window.bridge.session.folder = store.settings().save_dir
        made.append(window)
        with qtbot.waitActive(window):
            window.show()
            window.activateWindow()
        return window

    yield make
    for window in made:
        window.close()
        assert window.bridge.close(WAIT / 1000)
        window.deleteLater()


@pytest.fixture
def window(make_window):
    """The window of the app, with a model that finds a person in the middle of every frame, and nothing open."""
    return make_window(model=quick_model())
