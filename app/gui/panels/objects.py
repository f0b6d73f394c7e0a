"""The panel of what is seen now: a row for every object in the newest pictures."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from PyQt6.QtCore import QAbstractTableModel, QItemSelectionModel, QModelIndex, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QColor, QGuiApplication, QKeyEvent, QKeySequence, QPalette, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.paced import Paced
from framehook.app.session.picture import Picture
from framehook.app.session.state import SessionState
from framehook.inference.callbacks.drawing import PALETTE
from framehook.inference.result import Result

UPDATE_MS: Final = 200
"""Milliseconds between two updates of the table: faster than that nobody reads."""
NAMED: Final = 6
"""Classes that are counted by name in the line above the table."""

Key: TypeAlias = tuple[str, int | None, int]
"""The slot, the track id, and for boxes without one their place among those of the slot."""
Value: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    tip: str
    text: Callable[[Any], str]
    wide: str
    """A text as wide as any that usually stands in it."""
    number: bool = True


_COLUMNS: Final = (
    _Column("Source", "The source in whose picture it is", str, "a camera's name", number=False),
    _Column("Id", "The number that tracking gave it, in the colour it is drawn in", str, "00000"),
    _Column("Class", "What it is", str, "motorcycle", number=False),
    _Column("Confidence", "How sure the model is, from 0 to 1", "{:.2f}".format, "0.00"),
    _Column("Age, s", "Seconds since it was seen first", "{:.1f}".format, "000.0"),
    _Column("Speed, px/s", "How fast its centre moves, in pixels of the frame per second", "{:.0f}".format, "0000"),
    _Column("x", "Its left edge, in pixels of the frame", "{:.0f}".format, "0000"),
    _Column("y", "Its upper edge, in pixels of the frame", "{:.0f}".format, "0000"),
    _Column("Width", "Its width, in pixels of the frame", "{:.0f}".format, "0000"),
    _Column("Height", "Its height, in pixels of the frame", "{:.0f}".format, "0000"),
)
_SOURCE, _ID, _CLASS = 0, 1, 2
_COLOURS: Final = tuple(QColor(colour) for colour in PALETTE)
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_MIDDLE: Final = Qt.AlignmentFlag.AlignCenter
_LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_NOTHING: Final = "-"
_NO_OBJECTS: Final = "No objects"
_WHOLE_ROW: Final = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
_STEPS: Final = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
_ENDS: Final = (Qt.Key.Key_Home, Qt.Key.Key_End)
_FOLLOW: Final = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


@dataclass(frozen=True, slots=True)
class Row:
    """An object: what it is known by, and its value for each column."""

    key: Key
    values: tuple[Value, ...]

    @property
    def chosen(self) -> tuple[str, int] | None:
        """Its slot and track id, or None where it has no id."""
        slot, number, _ = self.key
        return None if number is None else (slot, number)


def rows_of(slot: str, source: str, result: Result) -> list[Row]:
    """The objects of a picture, in the order of its boxes."""
    boxes = result.boxes
    motion = result.data.get("motion") or {}
    numbers: list[int] = [-1] * len(boxes) if boxes.id is None else boxes.id.tolist()
    rows = []
    for place, (number, cls, conf, (left, top, right, bottom)) in enumerate(
        zip(numbers, boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxy.tolist(), strict=True)
    ):
        facts = motion.get(number) if number >= 0 else None
        age, speed = (None, None) if facts is None else (facts.age, facts.speed)
        tracked = number if number >= 0 else None
        key = (slot, tracked, 0 if tracked is not None else place)
        name = result.name_of(cls)
        rows.append(Row(key, (source, tracked, name, conf, age, speed, left, top, right - left, bottom - top)))
    return rows


class ObjectTable(QAbstractTableModel):
    """The objects that pass the filter, sorted.

    It sorts and filters by itself: with 300 objects that all move that takes .3 ms, where `QSortFilterProxyModel`, which asks
    for two values with every comparison, takes 13. Rows stay who they are from one update to the next, so that whatever the
    view holds to them (selection, scroll) stays, too.
    """

    def __init__(self) -> None:
        """Make an empty table, sorted by id."""
        super().__init__()
        self._all: list[Row] = []
        self._shown: list[Row] = []
        self._filter: tuple[str, ...] = ()
        self._by = _ID
        self._descending = False

    # What Qt asks ----------------------------------------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._shown)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(_COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole:
            return text_of(self._shown[index.row()], index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if _COLUMNS[index.column()].number else _LEFT
        if role == Qt.ItemDataRole.DecorationRole and index.column() == _ID:
            number = self._shown[index.row()].key[1]
            return None if number is None else _COLOURS[number % len(_COLOURS)]
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == _SOURCE:  # it may be cut short
            return text_of(self._shown[index.row()], _SOURCE)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = _COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{column.tip}. Click to sort by it."
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _MIDDLE if column.number else _LEFT  # at the right it would lie below the arrow of the sorted column
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._by = column
        self._descending = order is Qt.SortOrder.DescendingOrder
        self._update()

    # What the panel asks ---------------------------------------------------------------------------------------------------

    def show(self, rows: list[Row]) -> None:
        """Take the newest objects of all slots."""
        self._all = rows
        self._update()

    def keep(self, text: str) -> None:
        """Show only objects of whose class the text is a part, or whose id it is; commas stand between several."""
        self._filter = tuple(part for part in (part.strip().casefold() for part in text.split(",")) if part)
        self._update()

    @property
    def filtered(self) -> int:
        """How many objects there are that the filter does not let pass."""
        return len(self._all) - len(self._shown)

    def row(self, number: int) -> Row:
        """A row of the table as it is shown."""
        return self._shown[number]

    def find(self, chosen: tuple[str, int]) -> int | None:
        """The row of an object by its slot and track id, or None where it is not shown."""
        return next((number for number, row in enumerate(self._shown) if row.chosen == chosen), None)

    def _update(self) -> None:
        wanted = self._sorted([row for row in self._all if self._passes(row)])
        new = {row.key: row for row in wanted}
        old = {row.key for row in self._shown}
        # Those that stay, in their new order and with their new values; behind them those that go, which leave as one block,
        # and then those that come, as one block.
        staying = [row for row in wanted if row.key in old]
        going = [row for row in self._shown if row.key not in new]
        self._arrange(staying + going)
        if going:
            self.beginRemoveRows(QModelIndex(), len(staying), len(self._shown) - 1)
            del self._shown[len(staying) :]
            self.endRemoveRows()
        if len(wanted) > len(staying):
            self.beginInsertRows(QModelIndex(), len(staying), len(wanted) - 1)
            self._shown += [row for row in wanted if row.key not in old]
            self.endInsertRows()
        self._arrange(wanted)
        if wanted:
            self.dataChanged.emit(self.index(0, 0), self.index(len(wanted) - 1, len(_COLUMNS) - 1))

    def _arrange(self, rows: list[Row]) -> None:
        """Put the rows that are shown into another order, and take their new values."""
        if any(new.key != old.key for new, old in zip(rows, self._shown, strict=True)):
            self.layoutAboutToBeChanged.emit()
            held = self.persistentIndexList()
            at = {row.key: number for number, row in enumerate(rows)}
            moved = [self.index(at[self._shown[index.row()].key], index.column()) for index in held]
            self._shown = rows
            self.changePersistentIndexList(held, moved)
            self.layoutChanged.emit()
        else:
            self._shown = rows

    def _passes(self, row: Row) -> bool:
        if not self._filter:
            return True
        name, number = str(row.values[_CLASS]).casefold(), str(row.values[_ID])
        return any(part in name or part == number for part in self._filter)

    def _sorted(self, rows: list[Row]) -> list[Row]:
        """Sort, with what has no value at the end either way."""
        by = self._by
        known = [row for row in rows if row.values[by] is not None]
        known.sort(key=lambda row: _sort_key(row.values[by]), reverse=self._descending)
        return known + [row for row in rows if row.values[by] is None]


def _sort_key(value: Value) -> Any:
    return value.casefold() if isinstance(value, str) else value


def text_of(row: Row, column: int) -> str:
    """A value as it is shown."""
    value = row.values[column]
    return _NOTHING if value is None else _COLUMNS[column].text(value)


def as_csv(rows: Iterable[Row]) -> str:
    """Rows as CSV with a line of titles; a value that is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("source", "id", "class", "confidence", "age_s", "speed_px_s", "x", "y", "width", "height"))
    for row in rows:
        writer.writerow("" if value is None else round(value, 4) if isinstance(value, float) else value for value in row.values)
    return text.getvalue()


class _Table(QTableView):
    """Its columns fill its width: the source and the class, of which nobody knows how long they are, share what is left.

    By keys: the arrows begin with the current row, Home and End go to the first and the last, and Escape selects none.
    """

    follow_requested = pyqtSignal()
    """Return was pressed on an object, which is selected."""

    def __init__(self) -> None:
        super().__init__()
        self.least = {_SOURCE: 0, _CLASS: 0}
        """Pixels that these columns need; where there are not that many, the table scrolls."""
        self._source = 0  # pixels that the longest name takes
        self._source_given = False  # the user gave it its width
        self._filling = False
        self._hint = QLabel()
        self._hint.setAlignment(_MIDDLE)
        self._hint.setWordWrap(True)
        self._hint.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._hint.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        column = QVBoxLayout(self.viewport())
        column.addWidget(self._hint)

    def explain(self, hint: str) -> None:
        """Say why there are no rows, in their place; with an empty text, nothing."""
        if hint != self._hint.text():
            self._hint.setText(hint)
            self._hint.setVisible(bool(hint))
            self.setAccessibleDescription(hint)

    def make_room(self, sources: Iterable[str]) -> None:
        """Make the source wide enough for these names, as far as there is room."""
        self._source = max((self.fontMetrics().horizontalAdvance(name) + 12 for name in sources), default=0)
        self.fill()

    def fill(self, resized: int | None = None, before: int = 0, now: int = 0) -> None:
        """Fit the source and the class to what is left; a width that the user has just given one stays.

        Args:
            resized: The column whose width has just changed, or None.
            before: Its width before, 0 where it was hidden.
            now: Its width now, likewise.
        """
        columns, viewport = self.horizontalHeader(), self.viewport()
        if self._filling or resized == _CLASS or columns is None or viewport is None:
            return
        if resized == _SOURCE:
            if not before or not now:  # it is being hidden or shown, and still counts as what it was
                return
            self._source_given = True
        room = viewport.width() - columns.length() + columns.sectionSize(_CLASS)
        self._filling = True
        try:
            if not self._source_given and not columns.isSectionHidden(_SOURCE):
                room += columns.sectionSize(_SOURCE)
                spare = max(room - sum(self.least.values()), 0)
                width = min(max(self._source, self.least[_SOURCE]), self.least[_SOURCE] + spare // 2)
                columns.resizeSection(_SOURCE, width)
                room -= width
            columns.resizeSection(_CLASS, max(self.least[_CLASS], room))
        finally:
            self._filling = False

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.fill()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        selection, model = self.selectionModel(), self.model()
        if event is None or selection is None or model is None:
            return
        key, rows, nothing = event.key(), model.rowCount(), not selection.hasSelection()
        plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        if not plain or not rows or (nothing and key == Qt.Key.Key_Escape):
            super().keyPressEvent(event)
        elif key == Qt.Key.Key_Escape:
            selection.clearSelection()
        elif key in _ENDS:
            self._go_to(0 if key == Qt.Key.Key_Home else rows - 1)
        elif key in _FOLLOW or (nothing and key in _STEPS):
            if nothing:
                self._go_to(max(self.currentIndex().row(), 0))
            if key in _FOLLOW:
                self.follow_requested.emit()
        else:
            super().keyPressEvent(event)

    def _go_to(self, row: int) -> None:
        selection, model = self.selectionModel(), self.model()
        if selection is not None and model is not None:
            selection.setCurrentIndex(model.index(row, max(self.currentIndex().column(), _ID)), _WHOLE_ROW)


class ObjectsPanel(QWidget):
    """The objects in the newest pictures of all slots, with a filter, and their number by class."""

    follow_requested = pyqtSignal()
    """The object that is selected is to be followed; it has no id where none is chosen."""

    def __init__(self, bridge: Bridge) -> None:
        """Listen to a bridge."""
        super().__init__()
        self._bridge = bridge
        self._newest: dict[str, Result] = {}
        self._chosen: tuple[str, int] | None = None
        self._settling = False  # the table changes by itself; what is selected then was not selected by the user
        self._paced = Paced(self, UPDATE_MS, self._update)

        self.counts = QLabel(_NO_OBJECTS)
        self.counts.setWordWrap(True)
        self.counts.setAccessibleName("Objects by class")
        self.counts.setToolTip("How many objects of each class are in the newest pictures")
        self.counts.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.filter = QLineEdit()
        self.filter.setPlaceholderText("Filter by class or id")
        self.filter.setToolTip("Show only objects of this class or id; commas stand between several, as in: person, 12")
        self.filter.setAccessibleName("Filter objects")
        self.filter.setClearButtonEnabled(True)
        self.filter.setMinimumWidth(self.filter.fontMetrics().averageCharWidth() * 18)
        self.filter.setMaximumWidth(self.filter.fontMetrics().averageCharWidth() * 36)
        self.table = _Table()
        self.model = ObjectTable()
        self._set_up_table()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        line = QHBoxLayout()
        line.addWidget(self.filter, 1)
        line.addWidget(self.counts, 2)
        layout.addLayout(line)
        layout.addWidget(self.table)
        self.setFocusProxy(self.table)

        self.filter.textChanged.connect(self._filter)
        bridge.picture_ready.connect(self._take)
        bridge.state_changed.connect(self._follow)
        bridge.selection_changed.connect(self._choose)
        self._follow(bridge.state)

    def _set_up_table(self) -> None:
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName("Objects")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setAlternatingRowColors(True)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names of sources differ at their ends
        table.setTabKeyNavigation(False)
        table.setCornerButtonEnabled(False)
        rows, columns = table.verticalHeader(), table.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(table.fontMetrics().height() + 6)
        columns.setHighlightSections(False)
        columns.setSectionsMovable(True)
        columns.setMinimumSectionSize(24)
        metrics = table.fontMetrics()
        for number, column in enumerate(_COLUMNS):
            swatch = 24 if number == _ID else 0
            # Beside a title stands the arrow of the sorted column.
            title = metrics.horizontalAdvance(column.title) + 26
            width = max(title, metrics.horizontalAdvance(column.wide) + swatch + 12)
            table.setColumnWidth(number, width)
            if number in table.least:
                table.least[number] = width
        columns.sectionResized.connect(table.fill)
        table.setSortingEnabled(True)
        table.sortByColumn(_ID, Qt.SortOrder.AscendingOrder)
        selection = table.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._tell)
        copy = QAction("Copy as CSV", table)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self.copy)
        table.addAction(copy)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        keys = copy.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        table.setToolTip(
            f"Select an object to mark it in the picture; Return follows it, Esc lets it go, {keys} copies the selected as CSV"
        )
        table.follow_requested.connect(self.follow_requested)

    def copy(self) -> None:
        """Put the selected rows onto the clipboard as CSV; all rows where none is selected."""
        rows = [self.model.row(number) for number in self._selected_rows() or range(self.model.rowCount())]
        clipboard = QGuiApplication.clipboard()
        if rows and clipboard is not None:
            clipboard.setText(as_csv(rows))

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._paced.ask()

    def _take(self, picture: Picture) -> None:
        self._newest[picture.key] = picture.result
        if self.isVisible():
            self._paced.ask()

    def _follow(self, state: SessionState) -> None:
        self.table.setColumnHidden(_SOURCE, len(state.slots) < 2)
        self.table.make_room(slot.name for slot in state.slots)
        keys = {slot.key for slot in state.slots}
        self._newest = {key: result for key, result in self._newest.items() if key in keys}
        self._explain()
        if self.isVisible():
            self._paced.ask()

    def _update(self) -> None:
        rows: list[Row] = []
        for slot in self._bridge.state.slots:
            result = self._newest.get(slot.key)
            if result is not None:
                rows += rows_of(slot.key, slot.name, result)
        self._change(lambda: self.model.show(rows))
        self._count(rows)
        self._explain()

    def _filter(self, text: str) -> None:
        self._change(lambda: self.model.keep(text))
        self._explain()

    def _explain(self) -> None:
        """Say in place of the rows why there are none, and what to do."""
        state, filtered = self._bridge.state, self.model.filtered
        if self.model.rowCount():
            hint = ""
        elif not state.slots:
            hint = "Nothing is open. Open a source, and what is found in it stands here."
        elif filtered:
            objects = "The one object there is does" if filtered == 1 else f"All {filtered} objects do"
            hint = f"{objects} not pass the filter. Clear it to see {'it' if filtered == 1 else 'them'}."
        elif not self._newest:
            hint = "No picture has come yet."
        elif state.options.classes:
            hint = "Nothing is found in the picture. Lower the confidence, or choose more classes, in the panel Tuning."
        else:
            hint = "Nothing is found in the picture. Lower the confidence in the panel Tuning to find more."
        self.table.explain(hint)

    def _change(self, change: Callable[[], None]) -> None:
        """Change the table without the user having selected anything."""
        self._settling = True
        try:
            change()
            # An object that was away for a moment is selected again when it is back.
            if self._chosen is not None and not self._selected_rows():
                self._select(self._chosen, scroll=False)
        finally:
            self._settling = False

    def _count(self, rows: Sequence[Row]) -> None:
        counts = Counter(str(row.values[_CLASS]) for row in rows).most_common()
        texts = [f"{number} {name}" for name, number in counts]
        more = len(texts) - NAMED
        text = ", ".join(texts[:NAMED]) + (f" and {more} more {'classes' if more > 1 else 'class'}" if more > 0 else "")
        if text != self.counts.text():
            self.counts.setText(text or _NO_OBJECTS)
            # It may grow, but does not shrink: the table would jump with every object that comes and goes.
            needed = self.counts.heightForWidth(self.counts.width())
            self.counts.setMinimumHeight(max(needed, self.counts.minimumHeight()))
        self.counts.setToolTip(", ".join(texts))

    # Selection -------------------------------------------------------------------------------------------------------------

    def _selected_rows(self) -> list[int]:
        selection = self.table.selectionModel()
        return [] if selection is None else sorted(index.row() for index in selection.selectedRows())

    def _tell(self) -> None:
        """Tell of what the user selected: the row that is current, or the only one."""
        if self._settling:
            return
        rows = self._selected_rows()
        current = self.table.currentIndex().row()
        row = None if not rows else current if current in rows else rows[0]
        self._chosen = None if row is None else self.model.row(row).chosen
        self._settling = True  # the answer would take back rows that were selected together
        try:
            self._bridge.select(self._chosen)
        finally:
            self._settling = False

    def _choose(self, chosen: tuple[str, int] | None) -> None:
        """Select the object that was chosen elsewhere."""
        if self._settling:
            return
        self._chosen = chosen
        self._settling = True
        try:
            if chosen is None:
                self.table.clearSelection()
            else:
                self._select(chosen, scroll=True)
        finally:
            self._settling = False

    def _select(self, chosen: tuple[str, int], *, scroll: bool) -> None:
        selection, row = self.table.selectionModel(), self.model.find(chosen)
        if selection is None:
            return
        if row is None:
            selection.clearSelection()
            return
        index = self.model.index(row, _ID)
        if not scroll:
            selection.select(index, _WHOLE_ROW)
            return
        sideways = self.table.horizontalScrollBar()
        assert sideways is not None
        where = sideways.value()
        selection.setCurrentIndex(index, _WHOLE_ROW)
        self.table.scrollTo(index)
        sideways.setValue(where)
