"""The panels around the picture: where they stand at first, and how that is remembered."""

from __future__ import annotations

from typing import Final, TypeAlias

from PyQt6.QtCore import QByteArray, Qt
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QWidget

Area: TypeAlias = Qt.DockWidgetArea

VERSION: Final = 2
"""Of the set of panels; a layout that was saved for another set is not restored."""


class Docks:
    """The docks of a window."""

    def __init__(self, window: QMainWindow) -> None:
        """Begin without any."""
        self._window = window
        self._docks: dict[str, tuple[QDockWidget, Area]] = {}
        self._actions: list[QAction] = []
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
        dock.setWidget(panel)
        dock.setAccessibleName(title)
        self._docks[title] = dock, area
        self._window.addDockWidget(area, dock)
        action = QAction(title, self._window)
        action.setCheckable(True)
        action.setShortcut(keys)
        action.setToolTip(f"Show the panel, or hide it where it is in front ({keys})")
        action.triggered.connect(lambda: self._show_or_hide(dock, action))
        shown = dock.toggleViewAction()
        if shown is not None:
            shown.toggled.connect(action.setChecked)
        self._window.addAction(action)
        self._actions.append(action)

    def actions(self) -> list[QAction]:
        """What shows and hides each panel; one that stands behind others is brought to the front."""
        return list(self._actions)

    def _show_or_hide(self, dock: QDockWidget, action: QAction) -> None:
        if not dock.isHidden() and not dock.visibleRegion().isEmpty():
            dock.hide()
            return
        self.show_panel(dock.windowTitle())
        action.setChecked(True)

    def show_panel(self, title: str) -> None:
        """Bring a panel to the front, and give it the keyboard."""
        dock = self._docks[title][0]
        dock.show()
        dock.raise_()
        panel = dock.widget()
        if panel is not None:
            panel.setFocus()

    def panel(self, title: str) -> QDockWidget:
        """The dock of a panel."""
        return self._docks[title][0]

    def arrange(self) -> None:
        """Put all panels where they are at first: those of one area behind each other, the first in front."""
        first: dict[Area, QDockWidget] = {}
        for dock, _ in self._docks.values():  # all, so that nothing of how they stood together has a say
            self._window.removeDockWidget(dock)
        for dock, area in self._docks.values():
            self._window.addDockWidget(area, dock)
            dock.setFloating(False)
            dock.show()
            if area in first:
                self._window.tabifyDockWidget(first[area], dock)
            else:
                first[area] = dock
        for dock in first.values():
            dock.raise_()
        width, height = self._window.width(), self._window.height()
        for area, dock in first.items():
            sideways = area in (Area.LeftDockWidgetArea, Area.RightDockWidgetArea)
            size = max(300, width // 4) if sideways else max(228, height // 4)
            way = Qt.Orientation.Horizontal if sideways else Qt.Orientation.Vertical
            self._window.resizeDocks([dock], [size], way)

    def save(self) -> QByteArray:
        """Where the panels are."""
        return self._window.saveState(VERSION)

    def restore(self, saved: QByteArray) -> bool:
        """Put the panels where they were; False where that is not known."""
        return not saved.isEmpty() and self._window.restoreState(saved, VERSION)
