"""The window: the pictures in the middle, the panels around them, and what is said of all of it."""

from __future__ import annotations

import time
from typing import Any, Final

from PyQt6.QtCore import QEvent, QSize, Qt
from PyQt6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.actions import Actions
from framehook.app.gui.bridge import Bridge
from framehook.app.gui.docks import Docks
from framehook.app.gui.drops import Drops
from framehook.app.gui.grid import GridView
from framehook.app.gui.handlers import Handlers
from framehook.app.gui.icons import icon
from framehook.app.gui.message_bar import MessageBar
from framehook.app.gui.panels.callbacks import CallbacksPanel
from framehook.app.gui.panels.log import LogPanel
from framehook.app.gui.panels.objects import ObjectsPanel
from framehook.app.gui.panels.performance import PerformancePanel
from framehook.app.gui.panels.training import TrainingPanel
from framehook.app.gui.panels.transport import TransportBar
from framehook.app.gui.panels.tuning import TuningPanel
from framehook.app.gui.panels.zones import ZonesPanel
from framehook.app.gui.settings_store import Store
from framehook.app.gui.status import StatusLine, sources_in_words
from framehook.app.gui.welcome import WelcomeScreen
from framehook.app.session.state import Level, Note, Phase, SessionState

FIRST_SIZE: Final = QSize(1280, 720)
"""Of the window, where the screen is large enough."""

CLOSING: Final = 1.5
"""Seconds in which everything is to end when it is closed: the process has half a second more."""

_TOOLS = ("open_source", "open_model", "", "record", "snapshot", "", "draw_line", "draw_area", "", "fit", "follow", "enlarge")


class MainWindow(QMainWindow):
    """The one window of the app. It owns the session: closing it ends everything and completes all files.

    Attributes:
        bridge: To the session.
        grid: The pictures.
        ended: Whether it was closed, and nothing goes on any more.
    """

    def __init__(self, store: Store, **options: Any) -> None:
        """Make the window, not shown.

        Args:
            store: What is remembered from one start to the next.
            **options: Those of `Session`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
        """
        super().__init__()
        self.setObjectName("framehook")
        self.setWindowTitle("Framehook")
        self.setWindowIcon(icon("framehook"))
        self.bridge = Bridge(self, **options)
        self._store = store
        self.ended = False
        self._arranged = False
        self._asked_for_welcome = False
        self._was_in_middle = False
        self.bridge.state_changed.connect(self._remember_focus)  # before the views, which go with their sources
        self.grid = GridView(self.bridge)
        self._welcome = WelcomeScreen(self.bridge, store)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._welcome)
        self._stack.addWidget(self.grid)
        self._messages = MessageBar()
        middle = QWidget()
        self.actions_by_name = Actions(self, self.grid)
        self._transport = TransportBar(self.bridge, self.actions_by_name)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget, stretch in ((self._messages, 0), (self._stack, 1), (self._transport, 0)):
            column.addWidget(widget, stretch)
        self.setCentralWidget(middle)

        self.tuning = TuningPanel(self.bridge)
        self.zones = ZonesPanel(self.bridge)
        self.objects = ObjectsPanel(self.bridge)
        self.callbacks = CallbacksPanel(self.bridge)
        self.training = TrainingPanel(self.bridge, store)
        self._docks = Docks(self, self._focus_middle)
        right, bottom = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
        self._docks.add("Tuning", self.tuning, right, "Alt+1")
        self._docks.add("Zones", self.zones, right, "Alt+2")
        self._docks.add("Objects", self.objects, bottom, "Alt+3")
        self._docks.add("Performance", PerformancePanel(self.bridge), bottom, "Alt+4")
        self._docks.add("Callbacks", self.callbacks, bottom, "Alt+5")
        self._docks.add("Log", LogPanel(self.bridge), bottom, "Alt+6")
        self._docks.add("Training", self.training, bottom, "Alt+7")

        bar = self.menuBar()
        if bar is not None:
            self.actions_by_name.fill(bar)
        self._tools = self._toolbar()
        self.addToolBar(self._tools)
        self.setStatusBar(StatusLine(self.bridge, self))
        self.bridge.state_changed.connect(self._show_state)  # before the handlers, which ask whether the picture is shown
        self.handlers = Handlers(self, store)
        self._drops = Drops(self)
        self._drops.dropped.connect(self.handlers.take_drop)
        self._connect_welcome()
        self.bridge.noted.connect(self._show_note)
        self._restore()
        self._show_state(self.bridge.state)

    @property
    def docks(self) -> Docks:
        """The panels."""
        return self._docks

    @property
    def messages(self) -> MessageBar:
        """What is told above the picture."""
        return self._messages

    def show_welcome(self) -> None:
        """Show what to do first, also while something plays."""
        self._asked_for_welcome = True
        self._show_state(self.bridge.state)

    @property
    def shows_picture(self) -> bool:
        """Whether the pictures are shown, rather than what to do first."""
        return self._stack.currentWidget() is self.grid

    def show_picture(self) -> None:
        """Show the pictures again."""
        self._asked_for_welcome = False
        self._show_state(self.bridge.state)

    def arrange(self) -> None:
        """Put the tools and all panels where they were at first."""
        self.addToolBar(self._tools)
        self._tools.show()
        self._docks.arrange()

    # What Qt calls ----------------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        if event is not None and event.spontaneous():
            return  # it was behind others, or small, and is as it was
        if not self._arranged:  # sizes are not known before
            self._arranged = True
            self.arrange()
        self._focus_middle()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.WindowStateChange:  # the desktop has keys for it as well
            self.actions_by_name["full_screen"].setChecked(self.isFullScreen())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """What nothing in it had a use for."""
        if event is None or event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
        elif self._messages.isVisible():
            self._messages.close_message()
        elif self._asked_for_welcome:
            self.show_picture()
        elif self.isFullScreen():
            self.actions_by_name["full_screen"].setChecked(False)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        if self.ended:
            return
        self._store.set_window("geometry", self.saveGeometry())
        self._store.set_window("docks", self._docks.save())
        self._store.sync()
        self.handlers.close()
        self.hide()  # at once; files are completed meanwhile
        until = time.monotonic() + CLOSING
        self.training.close_down()  # it is asked to end, and waited for last
        self.ended = self.bridge.close(CLOSING)
        self.training.close_down(max(until - time.monotonic(), 0.0))
        super().closeEvent(event)

    # Parts ------------------------------------------------------------------------------------------------------------------

    def _toolbar(self) -> QToolBar:
        bar = QToolBar("Tools", self)
        bar.setObjectName("tools")
        bar.setAccessibleName("Tools")
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        for name in _TOOLS:
            if name:
                bar.addAction(self.actions_by_name[name])
            else:
                bar.addSeparator()
        return bar

    def _connect_welcome(self) -> None:
        self._welcome.demo_requested.connect(self.handlers.open_demo)
        self._welcome.camera_requested.connect(lambda number: self.handlers.open_spec(number))
        self._welcome.file_requested.connect(self.actions_by_name["open_file"].trigger)
        self._welcome.url_requested.connect(self.actions_by_name["open_address"].trigger)
        self._welcome.other_requested.connect(self.actions_by_name["open_source"].trigger)
        self._welcome.train_requested.connect(self.actions_by_name["train"].trigger)
        self._welcome.recent_requested.connect(self.handlers.open_spec)
        self.zones.draw_requested.connect(lambda what: self.actions_by_name[f"draw_{what}"].trigger())
        for panel in (self._transport, self.zones):
            self.grid.current_changed.connect(panel.show_slot)
        self.grid.current_changed.connect(self._focus_picture)
        self.objects.follow_requested.connect(self._follow_chosen)
        self.tuning.original_toggled.connect(self.actions_by_name["original"].setChecked)
        self.actions_by_name["original"].toggled.connect(self.tuning.original.setChecked)

    def _restore(self) -> None:
        if not self.restoreGeometry(self._store.window("geometry")):
            screen = QGuiApplication.primaryScreen()
            room = FIRST_SIZE if screen is None else screen.availableSize()
            self.resize(FIRST_SIZE.boundedTo(room))
        self._arranged = self._docks.restore(self._store.window("docks"))

    def _show_state(self, state: SessionState) -> None:
        has_sources = bool(state.slots) or state.phase is Phase.OPENING
        self._asked_for_welcome = self._asked_for_welcome and has_sources
        picture = has_sources and not self._asked_for_welcome
        self.actions_by_name["welcome"].setChecked(not picture)
        self.actions_by_name["welcome"].setEnabled(has_sources)
        shown = self.grid if picture else self._welcome
        if shown is not self._stack.currentWidget():
            held = self._was_in_middle or self._is_in_middle()
            self._stack.setCurrentWidget(shown)
            if held:
                shown.setFocus()  # so that the keys of the picture work
        self._was_in_middle = False
        names = sources_in_words(state)
        self.setWindowTitle(f"{names} – Framehook" if names else "Framehook")  # noqa: RUF001 - a dash

    def _is_in_middle(self) -> bool:
        focus = QApplication.focusWidget()
        return focus is None or self._stack.isAncestorOf(focus)

    def _remember_focus(self, _: SessionState) -> None:
        """Remember whether the picture has the keyboard: when it goes, Qt gives that to whatever comes next in the window."""
        self._was_in_middle = self._is_in_middle()

    def _focus_middle(self) -> None:
        """Give the keyboard to the picture, or to what stands in its place."""
        shown = self._stack.currentWidget()
        if shown is not None:
            shown.setFocus()

    def _focus_picture(self, key: str | None) -> None:
        """Give the keyboard to what was opened, or is left, so that the keys of the picture work; not while somebody types."""
        if key is not None and not isinstance(self.focusWidget(), QLineEdit | QAbstractSpinBox):
            self.grid.setFocus()

    def _follow_chosen(self) -> None:
        follow = self.actions_by_name["follow"]
        if follow.isEnabled():
            follow.trigger()
        else:
            self._messages.show_message(Level.INFO, "Only objects with an id can be followed: turn tracking on")

    def _show_note(self, note: Note) -> None:
        if note.level is not Level.INFO or note.text.startswith("Saved"):
            self._messages.show_note(note)
