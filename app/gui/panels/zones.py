"""The panel of the lines and areas that were drawn on a picture, and what they have counted."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QGuiApplication, QKeySequence, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QMenu,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import icon
from framehook.app.session.state import Level, SessionState, ZonesOfSlot
from framehook.inference.callbacks.drawing import PALETTE
from framehook.inference.errors import FramehookError, one_line

Counts = Mapping[str, Any]
_NAME, _COUNTS = 0, 1
_MOST: Final = "Most at once"
_DRAW: Final = (
    ("line", "Draw line", "Draw a line on the picture: tracks that cross it are counted, either way"),
    ("polygon", "Draw area", "Draw an area on the picture: it is counted who is inside, and who ever was"),
)


class ZonesPanel(QWidget):
    """The zones of one slot, with their counts as they come."""

    draw_requested = pyqtSignal(str)
    """`line` or `area`: the user wants to draw one."""

    def __init__(self, bridge: Bridge) -> None:
        """Listen to a bridge."""
        super().__init__()
        self._bridge = bridge
        self._key: str | None = None
        self._shown: ZonesOfSlot = {}
        self._filling = False

        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.tree = QTreeWidget()
        self._set_up_tree()
        draws = QHBoxLayout()
        self.draw_buttons: dict[str, QToolButton] = {}
        for sign, text, tip in _DRAW:
            kind = "line" if sign == "line" else "area"
            button = QToolButton()
            button.setText(text)
            button.setIcon(icon(sign))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setToolTip(tip)
            button.setAccessibleName(text)
            button.clicked.connect(lambda _checked, kind=kind: self.draw_requested.emit(kind))
            self.draw_buttons[kind] = button
            draws.addWidget(button)
        draws.addStretch()

        self.rename_action = self._action("Rename", "Give the selected zone another name", self._rename, "F2")
        self.delete_action = self._action("Delete", "Delete the selected zone", self._delete, QKeySequence.StandardKey.Delete)
        self.reset_action = self._action("Reset counts", "Count from zero in all zones of this source", self._reset)
        self.json_action = self._action("Copy as JSON", "Copy the counts of this source as JSON", self.copy_json)
        self.csv_action = self._action("Copy as CSV", "Copy the counts of this source as CSV", self.copy_csv)
        self.csv_action.setShortcut(QKeySequence.StandardKey.Copy)
        self.csv_action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for action in (self.rename_action, self.delete_action, self.reset_action):
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAccessibleName(f"{action.text()}, zones")
            tools.addWidget(button)
        tools.addWidget(self._copy_button())
        tools.addStretch()
        self.tree.addActions([self.rename_action, self.delete_action, self.reset_action, self.json_action, self.csv_action])

        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.title)
        layout.addLayout(draws)
        layout.addWidget(self.tree)
        layout.addLayout(tools)
        bridge.state_changed.connect(self._follow)
        bridge.figures_changed.connect(lambda: self._count())
        self._follow(bridge.state)

    def _set_up_tree(self) -> None:
        tree = self.tree
        tree.setColumnCount(2)
        tree.setHeaderLabels(["Zone", "Counts"])
        tree.setAccessibleName("Zones")
        tree.setToolTip("Each zone in the colour it is drawn in; open it for its counts by class")
        tree.setUniformRowHeights(True)
        tree.setIndentation(14)
        tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        tree.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        header = tree.header()
        assert header is not None
        header.setStretchLastSection(True)
        header.resizeSection(_NAME, 12 * tree.fontMetrics().averageCharWidth() + 60)
        tree.itemChanged.connect(self._renamed)
        tree.itemSelectionChanged.connect(self._enable)

    def _action(self, text: str, tip: str, call: Any, keys: str | QKeySequence.StandardKey | None = None) -> QAction:
        action = QAction(text, self)
        action.triggered.connect(lambda: call())
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            tip += f" ({action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)})"
        action.setToolTip(tip)
        self.addAction(action)
        return action

    def _copy_button(self) -> QToolButton:
        menu = QMenu(self)
        menu.addActions([self.csv_action, self.json_action])
        self.copy_button = QToolButton()
        self.copy_button.setText("Copy")
        self.copy_button.setToolTip("Copy the counts of this source")
        self.copy_button.setAccessibleName("Copy counts")
        self.copy_button.setMenu(menu)
        self.copy_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return self.copy_button

    def sizeHint(self) -> QSize:
        return QSize(320, 240)

    def show_slot(self, key: str | None) -> None:
        """Show the zones of a slot; of the first where it is None, or none of that key is there any more."""
        self._key = key
        self._follow(self._bridge.state)

    def copy_json(self) -> None:
        """Put the counts onto the clipboard as JSON, by the names of the zones."""
        self._copy(json.dumps(self._counts(), indent=2))

    def copy_csv(self) -> None:
        """Put the counts onto the clipboard as CSV: a row for each zone, and one for each class in it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        kinds = ("in", "out", "inside", "entered", "most")
        writer.writerow(("zone", "class", *kinds))
        for name, counts in self._counts().items():
            writer.writerow((name, "", *(_cell(counts, kind) for kind in kinds)))
            for cls, of_class in counts["classes"].items():
                writer.writerow((name, cls, *(_cell(of_class, kind) for kind in kinds)))
        self._copy(text.getvalue())

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._count()

    # What is shown -----------------------------------------------------------------------------------------------------------

    @property
    def _slot(self) -> str | None:
        """The slot whose zones are shown."""
        slots = self._bridge.state.slots
        keys = [slot.key for slot in slots]
        return self._key if self._key in keys else keys[0] if keys else None

    def _zones(self) -> ZonesOfSlot:
        key = self._slot
        return {} if key is None else self._bridge.session.state.zones.get(key, {})

    def _counts(self) -> dict[str, dict[str, Any]]:
        key = self._slot
        return {} if key is None else self._bridge.session.zone_counts(key)

    def _follow(self, state: SessionState) -> None:
        key = self._slot
        slot = None if key is None else state.slot(key)
        zones = self._zones()
        if slot is None:
            self.title.setText("Open a source to draw zones on it")
        elif zones:
            self.title.setText(f"Zones of {slot.name}")
        else:
            self.title.setText(f"No zones on {slot.name} yet: draw a line or an area on the picture")
        for button in self.draw_buttons.values():
            button.setEnabled(slot is not None)
        if zones != self._shown or list(zones) != list(self._shown):
            self._fill(zones)
        self._enable()
        self._count()

    def _fill(self, zones: ZonesOfSlot) -> None:
        chosen, opened = self._chosen(), {item.text(_NAME) for item in self._items() if item.isExpanded()}
        self._filling = True
        try:
            self._shown = dict(zones)
            self.tree.clear()
            colours = {} if self._slot is None else self._bridge.session.zone_colours(self._slot)
            for name, points in zones.items():
                item = QTreeWidgetItem([name, ""])
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
                item.setData(_NAME, Qt.ItemDataRole.DecorationRole, QColor(colours.get(name, PALETTE[0])))
                item.setToolTip(_NAME, f"{name}: {'a line' if len(points) == 2 else f'an area of {len(points)} corners'}")
                self.tree.addTopLevelItem(item)
                item.setExpanded(name in opened)
                item.setSelected(name == chosen)
        finally:
            self._filling = False

    def _count(self) -> None:
        if not self.isVisible():
            return
        counts = self._counts()
        self._filling = True
        try:
            for item in self._items():
                of_zone = counts.get(item.text(_NAME))
                if of_zone is not None:
                    _count_in(item, of_zone)
        finally:
            self._filling = False

    def _items(self) -> list[QTreeWidgetItem]:
        places = range(self.tree.topLevelItemCount())
        return [item for place in places if (item := self.tree.topLevelItem(place)) is not None]

    def _chosen_item(self) -> QTreeWidgetItem | None:
        """The selected zone, also where one of its classes is selected."""
        item = next(iter(self.tree.selectedItems()), None)
        return item if item is None else item.parent() or item

    def _chosen(self) -> str | None:
        item = self._chosen_item()
        return None if item is None else item.text(_NAME)

    def _enable(self) -> None:
        for action in (self.rename_action, self.delete_action):
            action.setEnabled(self._chosen_item() is not None)
        for action in (self.reset_action, self.json_action, self.csv_action):
            action.setEnabled(bool(self._shown))
        self.copy_button.setEnabled(bool(self._shown))

    # What the user does ------------------------------------------------------------------------------------------------------

    def _rename(self) -> None:
        item = self._chosen_item()
        if item is not None:
            self.tree.editItem(item, _NAME)

    def _renamed(self, item: QTreeWidgetItem, column: int) -> None:
        key = self._slot
        if self._filling or key is None or column != _NAME:
            return
        place = self.tree.indexOfTopLevelItem(item)
        names = list(self._shown)
        old, new = names[place], item.text(_NAME).strip()
        if new == old:
            return
        if not new or new in names:
            self._fill(self._shown)
            if new:
                self._bridge.report(Level.WARNING, f"there is a zone '{new}' already; give this one another name")
            return
        self._set(key, {new if name == old else name: points for name, points in self._shown.items()})

    def _delete(self) -> None:
        key, chosen = self._slot, self._chosen()
        if key is not None and chosen is not None:
            self._set(key, {name: points for name, points in self._shown.items() if name != chosen})

    def _reset(self) -> None:
        key = self._slot
        if key is not None:
            self._bridge.session.reset_zones(key)
            self._count()

    def _set(self, key: str, zones: ZonesOfSlot) -> None:
        try:
            self._bridge.session.set_zones(key, zones)
        except FramehookError as error:
            self._bridge.report(Level.ERROR, one_line(error))

    def _copy(self, text: str) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)


def _count_in(item: QTreeWidgetItem, counts: Counts) -> None:
    """Show the counts of a zone, and below it those of each class."""
    _set_text(item, _COUNTS, _in_words(counts))
    lines = {name: _in_words(of_class) for name, of_class in counts["classes"].items()}
    if "most" in counts:
        lines = {_MOST: f"{counts['most']:,}", **lines}
    there = {child.text(_NAME): child for place in range(item.childCount()) if (child := item.child(place)) is not None}
    for name, child in there.items():
        if name not in lines:
            item.removeChild(child)
    for name, words in lines.items():
        child = there.get(name)
        if child is None:
            child = QTreeWidgetItem([name, ""])
            item.addChild(child)
        _set_text(child, _COUNTS, words)


def _set_text(item: QTreeWidgetItem, column: int, text: str) -> None:
    """Only where it changes: each change has the row laid out and drawn anew."""
    if item.text(column) != text:
        item.setText(column, text)
        item.setToolTip(column, text)


def _in_words(counts: Counts) -> str:
    if "in" in counts:
        return f"{counts['in']:,} in, {counts['out']:,} out"
    parts = [f"{counts['inside']:,} inside"]
    if counts["entered"] is not None:
        parts.append(f"{counts['entered']:,} entered")
    return ", ".join(parts)


def _cell(counts: Counts, kind: str) -> object:
    value = counts.get(kind)
    return "" if value is None else value
