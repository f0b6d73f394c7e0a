"""The panels around the picture: where they stand at first, and how that is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from PyQt6.QtCore import QByteArray, QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QResizeEvent
from PyQt6.QtWidgets import (
    QApplication,
    QCheckBox,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QTabBar,
    QToolButton,
    QWidget,
)

from framehook.app.gui.icons import icon

Area: TypeAlias = Qt.DockWidgetArea

VERSION: Final = 2
"""Of the set of panels; a layout that was saved for another set is not restored."""

_SIDE: Final = range(300, 421)
"""Pixels of width that panels beside the picture get at first: a quarter of the window within these."""
_BELOW: Final = range(180, 321)
"""Pixels of height that panels below it get at first, likewise."""
_LINES: Final = 8
"""Lines of text that are seen of those in a large font as well, with their titles and tabs."""
_TARGET: Final = 24
"""Pixels of width and height that a button has at least."""
_SIGN: Final = 16  # pixels
_BUTTONS: Final = (QCheckBox, QRadioButton, QPushButton)


class Docks:
    """The docks of a window.

    Qt moves a panel that stands behind another one out of the window, and does not hide it: the Tab key would lead into it. So
    it is hidden here for as long as it is behind.
    """

    def __init__(self, window: QMainWindow, leave: Callable[[], object]) -> None:
        """Begin without any.

        Args:
            window: Where they are.
            leave: Gives the keyboard to the picture; called when a panel that has it is hidden.
        """
        self._window = window
        self._leave = leave
        self._docks: dict[str, tuple[QDockWidget, Area]] = {}
        self._actions: list[QAction] = []
        self._naming = QTimer(window)  # Qt makes and fills the bars of tabs when it lays out the window
        self._naming.setSingleShot(True)
        self._naming.timeout.connect(self._name_tabs)
        window.setDockOptions(
            QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.AnimatedDocks
        )
        window.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, window.tabPosition(Area.TopDockWidgetArea))
        window.setCorner(Qt.Corner.BottomRightCorner, Area.RightDockWidgetArea)

    def add(self, title: str, panel: QWidget, area: Area, keys: str) -> None:
        """Add a panel, behind those that are in the area already.

        Args:
            title: Its title, by which it is found again.
            panel: What is in it.
            area: Where it stands at first.
            keys: What shows and hides it.
        """
        dock = QDockWidget(title, self._window)
        dock.setObjectName(f"dock_{title.lower()}")
        bar = _TitleBar(dock)
        dock.setTitleBarWidget(bar)
        dock.setWidget(panel)
        dock.setAccessibleName(title)
        for part in (bar, panel):
            policy = part.sizePolicy()
            policy.setRetainSizeWhenHidden(True)  # the window does not change its size with the panel in front
            part.setSizePolicy(policy)
        for kind in _BUTTONS:
            for button in panel.findChildren(kind):
                button.setMinimumHeight(max(button.minimumHeight(), _TARGET))
        dock.visibilityChanged.connect(lambda in_front: self._show_parts(dock, in_front))
        dock.topLevelChanged.connect(lambda floating: self._show_parts(dock, floating) if floating else None)
        before = next((each for each, place in self._docks.values() if place == area), None)
        self._docks[title] = dock, area
        self._place(dock, area, before)
        action = _PanelAction(title, self._window)
        action.setCheckable(True)
        action.setShortcut(keys)
        action.setToolTip(f"Go to the panel, or hide it where the keyboard is in it ({keys})")
        action.by_keys.connect(lambda: self._go_to_or_hide(dock))
        action.by_mouse.connect(lambda: self._show_or_hide(dock))
        for asked in (action.by_keys, action.by_mouse):
            asked.connect(lambda: action.setChecked(not dock.isHidden()))
        shown = dock.toggleViewAction()
        if shown is not None:
            shown.toggled.connect(action.setChecked)
        self._window.addAction(action)
        self._actions.append(action)

    def actions(self) -> list[QAction]:
        """What shows and hides each panel; one that stands behind others is brought to the front.

        Their keys lead into a panel, and hide it where the keyboard is in it already.
        """
        return list(self._actions)

    def _go_to_or_hide(self, dock: QDockWidget) -> None:
        if _has_keyboard(dock):
            self._hide(dock)
        else:
            self.show_panel(dock.windowTitle())

    def _show_or_hide(self, dock: QDockWidget) -> None:
        if not dock.isHidden() and not dock.visibleRegion().isEmpty():
            self._hide(dock)
        else:
            self.show_panel(dock.windowTitle())

    def _hide(self, dock: QDockWidget) -> None:
        held = _has_keyboard(dock)
        dock.hide()
        if held:
            self._leave()

    def show_panel(self, title: str) -> None:
        """Bring a panel to the front, and give it the keyboard."""
        dock = self._docks[title][0]
        dock.show()
        dock.raise_()
        panel = dock.widget()
        if panel is None:
            return
        panel.show()  # Qt tells later that it is in front
        if dock.isFloating():
            dock.activateWindow()
        first = _first_stop(panel)
        if first is not None:
            first.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def panel(self, title: str) -> QDockWidget:
        """The dock of a panel."""
        return self._docks[title][0]

    def arrange(self) -> None:
        """Put all panels where they are at first: those of one area behind each other, the first in front."""
        first: dict[Area, QDockWidget] = {}
        for dock, _ in self._docks.values():  # all, so that nothing of how they stood together has a say
            self._window.removeDockWidget(dock)
        for dock, area in self._docks.values():
            self._place(dock, area, first.setdefault(area, dock))
            dock.setFloating(False)
            dock.show()
        for dock in first.values():
            dock.raise_()
        width, height = self._window.width(), self._window.height()
        least = _LINES * self._window.fontMetrics().height()
        for area, dock in first.items():
            sideways = area in (Area.LeftDockWidgetArea, Area.RightDockWidgetArea)
            size = _within(width // 4, _SIDE) if sideways else max(_within(height // 4, _BELOW), least)
            way = Qt.Orientation.Horizontal if sideways else Qt.Orientation.Vertical
            self._window.resizeDocks([dock], [size], way)

    def save(self) -> QByteArray:
        """Where the panels are."""
        return self._window.saveState(VERSION)

    def restore(self, saved: QByteArray) -> bool:
        """Put the panels where they were; False where that is not known."""
        return not saved.isEmpty() and self._window.restoreState(saved, VERSION)

    def _place(self, dock: QDockWidget, area: Area, front: QDockWidget | None) -> None:
        """Put a dock behind another, and never beside it: that would make the window wider than the screen."""
        if front is None or front is dock:
            self._window.addDockWidget(area, dock)
        else:
            self._window.tabifyDockWidget(front, dock)

    def _show_parts(self, dock: QDockWidget, in_front: bool) -> None:
        if self._window.isMinimized() and not dock.isFloating():
            return  # whatever is in front stays so, and keeps the keyboard
        for part in (dock.titleBarWidget(), dock.widget()):
            if part is not None:
                if in_front:  # what was hidden is told of its size only when it is shown, and asks for the room it had before
                    QApplication.sendEvent(part, QResizeEvent(part.size(), part.size()))
                part.setVisible(in_front)
        self._naming.start(0)

    def _name_tabs(self) -> None:
        """Have each bar of tabs say what it is."""
        for bar in self._window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
            titles = ", ".join(bar.tabText(number) for number in range(bar.count()))
            bar.setAccessibleName(f"Panels: {titles}")


class _PanelAction(QAction):
    """Tells whether it was its keys that triggered it, or its entry in the menu."""

    by_keys = pyqtSignal()
    by_mouse = pyqtSignal()

    def __init__(self, text: str, window: QMainWindow) -> None:
        super().__init__(text, window)
        self._by_keys = False
        self.triggered.connect(lambda: (self.by_keys if self._by_keys else self.by_mouse).emit())

    def event(self, event: QEvent | None) -> bool:
        if event is None or event.type() is not QEvent.Type.Shortcut:
            return super().event(event)
        self._by_keys = True
        try:
            return super().event(event)
        finally:
            self._by_keys = False


class _TitleBar(QWidget):
    """The title of a panel, by which it is moved, with buttons that are large enough to be hit and can be reached by keys."""

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        title = QLabel(dock.windowTitle())
        title.setIndent(4)
        self._float = _button("enlarge")
        self._float.clicked.connect(lambda: dock.setFloating(not dock.isFloating()))
        self._close = _button("close")
        self._close.clicked.connect(dock.close)
        self._close.setToolTip("Hide this panel")
        self._close.setAccessibleName(f"Hide {dock.windowTitle()}")
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(0)
        line.addWidget(title, 1)
        line.addWidget(self._float)
        line.addWidget(self._close)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        dock.topLevelChanged.connect(self._tell)
        self._tell(dock.isFloating())

    def _tell(self, floating: bool) -> None:
        title = self._dock.windowTitle()
        self._float.setToolTip("Put this panel back into the window" if floating else "Make this panel a window of its own")
        self._float.setAccessibleName(f"Put {title} back" if floating else f"Detach {title}")


def _button(sign: str) -> QToolButton:
    button = QToolButton()
    button.setAutoRaise(True)
    button.setIcon(icon(sign))
    button.setIconSize(QSize(_SIGN, _SIGN))
    button.setFixedSize(_TARGET, _TARGET)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _has_keyboard(dock: QDockWidget) -> bool:
    focus = QApplication.focusWidget()
    return focus is not None and dock.isAncestorOf(focus)


def _first_stop(panel: QWidget) -> QWidget | None:
    """What of a panel gets the keyboard: what it chose, or what Tab reaches first."""
    chosen = panel.focusProxy()
    if chosen is not None:
        return chosen
    here = panel
    while (here := here.nextInFocusChain() or panel) is not panel:
        stops = bool(here.focusPolicy() & Qt.FocusPolicy.TabFocus) and here.isEnabled() and here.isVisibleTo(panel)
        if stops and panel.isAncestorOf(here):
            return here
    return None


def _within(size: int, bounds: range) -> int:
    return min(max(size, bounds[0]), bounds[-1])
