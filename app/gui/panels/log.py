"""The panel of what there was to tell: sources that changed, warnings, errors with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QModelIndex, QPointF, QSize, QSortFilterProxyModel, Qt
from PyQt6.QtGui import (
    QAction,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QIcon,
    QKeySequence,
    QPainter,
    QPalette,
    QResizeEvent,
    QStandardItem,
    QStandardItemModel,
    QTextCharFormat,
    QTextLayout,
    QTextOption,
)
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import icon
from framehook.app.session.state import Level, Note

KEPT: Final = 2000
"""Notes that are kept; the oldest go first."""

_NOTE: Final = Qt.ItemDataRole.UserRole
_COUNT: Final = Qt.ItemDataRole.UserRole + 1
_CLOCK: Final = "%H:%M:%S"
_MARGIN: Final = 3
_GAP: Final = 6
_TARGET: Final = 24
"""Pixels of height that a button has at least."""
_ORDER: Final = {Level.INFO: 0, Level.WARNING: 1, Level.ERROR: 2}
_FILTERS: Final = (("All notes", Level.INFO), ("Warnings, errors", Level.WARNING), ("Errors", Level.ERROR))


class LogPanel(QWidget):
    """The notes of a session, the newest last; what is told again and again is told once, with how often."""

    def __init__(self, bridge: Bridge) -> None:
        """Listen to a bridge."""
        super().__init__()
        self._bridge = bridge
        self._notes = QStandardItemModel(0, 1, self)
        self._shown = _ByLevel(self)
        self._shown.setSourceModel(self._notes)
        self.view = _LogView()
        self.view.setModel(self._shown)
        self.levels = QComboBox()
        for title, level in _FILTERS:
            self.levels.addItem(title, level)
        self.levels.setAccessibleName("Notes to show")
        self.levels.setToolTip("Show all notes, or only those that matter more")
        self.levels.setMinimumHeight(_TARGET)
        self.levels.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        copy = self._action("Copy", "Copy the selected notes; all that are shown where none is selected", self.copy)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        keys = copy.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        copy.setToolTip(f"{copy.toolTip()} ({keys})")
        save = self._action("Save…", "Save all notes to a text file", self.save)
        clear = self._action("Clear", "Forget all notes", self.clear)
        self._needing_notes = (copy, save, clear)

        tools = QHBoxLayout()
        tools.setSpacing(2)
        tools.addWidget(self.levels)
        tools.addStretch()
        for action in self._needing_notes:
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAutoRaise(True)
            button.setMinimumSize(_TARGET, _TARGET)
            button.setAccessibleName(f"{action.text().rstrip('…')} notes")
            tools.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(tools)
        layout.addWidget(self.view)

        self.view.addActions(self._needing_notes)
        self.levels.currentIndexChanged.connect(self._filter)
        bridge.noted.connect(self._add)
        self._enable()

    def _action(self, text: str, tip: str, call: Callable[[], None]) -> QAction:
        action = QAction(text, self)
        action.setIconText(text)  # a button would leave out the ellipsis
        action.setToolTip(tip)
        action.triggered.connect(lambda: call())
        self.addAction(action)
        return action

    def sizeHint(self) -> QSize:
        return QSize(480, 200)

    # What the buttons do -----------------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Put the selected notes, or all that are shown where none is selected, onto the clipboard as text."""
        selection, clipboard = self.view.selectionModel(), QGuiApplication.clipboard()
        if selection is None or clipboard is None:
            return
        # A detail that is selected stands for its note.
        rows = {(index.parent() if index.parent().isValid() else index).row() for index in selection.selectedIndexes()}
        chosen = sorted(rows) or range(self._shown.rowCount())
        clipboard.setText("".join(_as_text(self._shown.index(row, 0)) for row in chosen))

    def clear(self) -> None:
        """Forget all notes."""
        self._notes.clear()
        self._enable()

    def save(self) -> None:
        """Ask for a file, and save all notes there."""
        dialog = QFileDialog(self, "Save log", "framehook-log.txt", "Text (*.txt *.log);;All files (*)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("txt")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.save_to)
        dialog.open()

    def save_to(self, path: str) -> None:
        """Save all notes to a file; where that fails, it is noted."""
        text = "".join(_as_text(self._notes.index(row, 0)) for row in range(self._notes.rowCount()))
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            self._bridge.report(
                Level.ERROR, f"the log cannot be saved to {path}: {error.strerror or error}; choose another file"
            )

    # What comes --------------------------------------------------------------------------------------------------------------

    def _add(self, note: Note) -> None:
        last = self._notes.item(self._notes.rowCount() - 1)
        if last is not None and _is_same(last.data(_NOTE), note):
            self._fill(last, note, last.data(_COUNT) + 1)
            return
        item = QStandardItem()
        item.setEditable(False)
        item.setIcon(icon(note.level))
        self._fill(item, note, 1)
        if self._notes.rowCount() >= KEPT:
            self._notes.removeRow(0)
        self._notes.appendRow(item)
        self._enable()

    def _fill(self, item: QStandardItem, note: Note, count: int) -> None:
        repeated = f" ({count:,} times)" if count > 1 else ""
        item.setData(note, _NOTE)
        item.setData(count, _COUNT)
        item.setAccessibleText(f"{note.level}: {note.text}{repeated}")
        item.setText(f"{_clock(note)}  {note.text}{repeated}")
        item.setToolTip(f"{_long_clock(note)}, {note.level}" + (". Open it with → for the details." if note.detail else ""))
        item.removeRows(0, item.rowCount())
        if note.detail:
            detail = QStandardItem(note.detail.rstrip())
            detail.setEditable(False)
            detail.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
            item.appendRow(detail)

    def _filter(self) -> None:
        self._shown.level = self.levels.currentData()
        self._shown.invalidateFilter()

    def _enable(self) -> None:
        for action in self._needing_notes:
            action.setEnabled(self._notes.rowCount() > 0)


class _ByLevel(QSortFilterProxyModel):
    """Lets notes through that matter enough."""

    level = Level.INFO

    def filterAcceptsRow(self, source_row: int, source_parent: QModelIndex) -> bool:
        source = self.sourceModel()
        if source is None or source_parent.isValid():  # the detail of a note that is shown
            return True
        note = source.index(source_row, 0).data(_NOTE)
        # A row is empty for a moment before it is filled.
        return note is None or _ORDER[note.level] >= _ORDER[self.level]


class _LogView(QTreeView):
    """Wraps its rows to its width, and stays at the newest unless the user scrolled up."""

    def __init__(self) -> None:
        super().__init__()
        self._at_end = True
        self.setAccessibleName("Notes")
        self.setHeaderHidden(True)
        self.setIndentation(14)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # By rows, for which only those in sight have to be measured.
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setItemDelegate(_Wrapped(self))
        bar = self.verticalScrollBar()
        assert bar is not None
        self._bar = bar
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._stay)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()  # rows of another width are of another height

    def _scrolled(self, value: int) -> None:
        self._at_end = value >= self._bar.maximum()

    def _stay(self, _lowest: int, highest: int) -> None:
        if self._at_end:
            self._bar.setValue(highest)


class _Wrapped(QStyledItemDelegate):
    """Draws a text over as many lines as it needs; long words such as addresses are broken."""

    def __init__(self, view: QTreeView) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        if painter is None:
            return
        self.initStyleOption(option, index)
        text, option.text = option.text or "", ""
        style = self._view.style()
        assert style is not None
        icon_side = 0 if option.icon.isNull() else option.decorationSize.width()
        line = option.fontMetrics.height()
        area = option.rect.adjusted(_GAP, _MARGIN, 0, -_MARGIN)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        sign, option.icon = QIcon(option.icon), QIcon()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, self._view)
        painter.save()
        if icon_side:
            mode = sign.Mode.Selected if chosen else sign.Mode.Normal
            sign.paint(painter, area.x(), area.y() + (line - icon_side) // 2, icon_side, icon_side, mode=mode)
        role = QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.Text
        painter.setPen(option.palette.color(_group(option), role))
        start = QPointF(area.x() + (icon_side + _GAP if icon_side else 0), area.y())
        layout = _lines(text, option.font, self._room(index, icon_side))
        layout.draw(painter, start, [_dimmed(option.palette)] if icon_side and not chosen else [])
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        self.initStyleOption(option, index)
        icon_side = 0 if option.icon.isNull() else option.decorationSize.width()
        layout = _lines(option.text or "", option.font, self._room(index, icon_side))
        return QSize(0, int(layout.boundingRect().height()) + 2 * _MARGIN)

    def _room(self, index: QModelIndex, icon_side: int) -> int:
        """Pixels that a text may be wide."""
        viewport = self._view.viewport()
        assert viewport is not None
        depth = 2 if index.parent().isValid() else 1
        taken = depth * self._view.indentation() + (icon_side + _GAP if icon_side else 0) + 2 * _GAP
        return max(viewport.width() - taken, 40)


def _lines(text: str, font: QFont, width: int) -> QTextLayout:
    layout = QTextLayout(text.replace("\n", "\u2028"), font)
    how = QTextOption()
    how.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    layout.setTextOption(how)
    layout.beginLayout()
    height = 0.0
    while (line := layout.createLine()).isValid():
        line.setLineWidth(width)
        line.setPosition(QPointF(0, height))
        height += line.height()
    layout.endLayout()
    return layout


def _dimmed(palette: QPalette) -> QTextLayout.FormatRange:
    """The time of a note matters less than what it says."""
    pale = QTextCharFormat()
    pale.setForeground(palette.placeholderText())
    dimmed = QTextLayout.FormatRange()
    dimmed.start, dimmed.length, dimmed.format = 0, len("00:00:00"), pale
    return dimmed


def _group(option: QStyleOptionViewItem) -> QPalette.ColorGroup:
    active = option.state & QStyle.StateFlag.State_Active
    return QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive


def _is_same(one: Note, other: Note) -> bool:
    return (one.level, one.text) == (other.level, other.text)


def _clock(note: Note) -> str:
    return datetime.fromtimestamp(note.at).strftime(_CLOCK)


def _long_clock(note: Note) -> str:
    return datetime.fromtimestamp(note.at).strftime(f"%Y-%m-%d {_CLOCK}")


def _as_text(index: QModelIndex) -> str:
    note, count = index.data(_NOTE), index.data(_COUNT)
    repeated = f" ({count:,} times)" if count > 1 else ""
    detail: Iterable[str] = note.detail.rstrip().splitlines()
    return "".join((f"{_long_clock(note)} {note.level:<7} {note.text}{repeated}\n", *(f"    {line}\n" for line in detail)))
