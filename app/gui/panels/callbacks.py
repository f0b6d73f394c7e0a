"""The panel of callbacks: what is called at which event, how long it takes, what it raised; the user's own files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from PyQt6.QtCore import QFileSystemWatcher, QModelIndex, QSize, QSortFilterProxyModel, Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDropEvent,
    QFontDatabase,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
    QShowEvent,
    QStandardItem,
    QStandardItemModel,
)
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
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
from framehook.app.gui.panels.paced import Paced
from framehook.app.session.hook_origins import BUILT_IN, CODE
from framehook.app.session.hooks import HookFile, HookKey, HookRow
from framehook.app.session.state import Level
from framehook.inference.events import EVENTS, PredictEvent

UPDATE_MS: Final = 100
"""Milliseconds between two updates of the table."""

EXAMPLE: Final = """\
def on_predict_batch_end(predictor):
    for result in predictor.frame_results:
        print(result.verbose())
"""
"""The shortest file that does something."""

STARTER: Final = '''\
"""Callbacks of your own. Change this file, save it, and press Reload in the panel of callbacks.

Every function that is named after an event is called in each run, with the predictor as its argument. The events are
on_predict_start, on_predict_batch_start, on_predict_postprocess_end, on_predict_batch_end, on_source_change, on_predict_end.
One that raises is switched off, and the panel shows why.
"""

import cv2

YELLOW = (0, 220, 255)  # blue, green, red


def on_predict_batch_end(predictor):
    """For every frame, when its boxes and tracks are there."""
    for result in predictor.frame_results:
        # The picture that is shown and recorded, with the overlay drawn already. The captured frame is `result.orig_img`.
        canvas = result.canvas
        size = max(canvas.shape[0] / 720, 0.4)
        place, width = (round(16 * size), round(40 * size)), max(round(2 * size), 1)
        cv2.putText(canvas, result.verbose(), place, cv2.FONT_HERSHEY_SIMPLEX, size, YELLOW, width, cv2.LINE_AA)

        # One row for each object: the middle of its box, its width and its height, in pixels.
        for x, y, _, _ in result.boxes.xywh:
            cv2.circle(canvas, (round(float(x)), round(float(y))), round(6 * size), YELLOW, -1, cv2.LINE_AA)

        # How old and how fast (in pixels per second) each track is. This is there in the app alone.
        for number, facts in result.data.get("motion", {}).items():
            if facts.speed is not None and facts.speed > canvas.shape[1]:
                print(f"track {number} is fast: {facts.speed:.0f} px/s")


def on_predict_end(predictor):
    """Once, when the run is over, whatever ended it."""
    print(f"{predictor.stats.frames} frames, {predictor.stats.detections} objects")
'''
"""A file to begin with."""

_HOW_TO: Final = (
    "Run your own code on every frame: load a Python file of functions that are named after events, or drop it here. "
    "It runs once you load it, never by itself."
)
_KEY: Final = Qt.ItemDataRole.UserRole
_SORT: Final = Qt.ItemDataRole.UserRole + 1
_SIGN: Final = Qt.ItemDataRole.UserRole + 2
_CHECK: Final = Qt.ItemDataRole.CheckStateRole
_CLOCK: Final = "%H:%M:%S"
_EVENTS: Final = {event: place for place, event in enumerate(EVENTS)}
_PER_FRAME: Final = (PredictEvent.BATCH_START, PredictEvent.POSTPROCESS_END, PredictEvent.BATCH_END)
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_GROUPS: Final = {CODE: "Added by code", BUILT_IN: "Built in"}


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    tip: str
    wide: str
    """A text as wide as any that usually stands in it."""
    number: bool = True
    narrow: str = ""
    """What is to be readable where there is little room: there, longer texts are cut short."""


_COLUMNS: Final = (
    _Column("Callback", "What is called; uncheck it to switch it off", "on_predict_batch_end", False, "Snapshots"),
    _Column("Event", "When it is called", "on_predict_postprocess_end", False, "on_…s_end"),
    _Column("Order", "Callbacks of one event run from low to high", "-100"),
    _Column("Calls", "How often it was called in this run", "000,000"),
    _Column("Mean, ms", "Milliseconds that a call takes, the mean of recent ones", "000.00"),
    _Column("95 %, ms", "Milliseconds that 19 in 20 recent calls stay below", "000.00"),
    _Column("Errors", "How often it raised in this run", "0000"),
    _Column("State", "Whether it is on, and why not", "off: raised ValueError: no luck", False, "off: raised"),
)
_NAME, _EVENT, _ORDER, _CALLS, _MEAN, _P95, _ERRORS, _STATE = range(len(_COLUMNS))
_SHOWN: Final = (_NAME, _EVENT, _CALLS, _MEAN, _ERRORS, _STATE, _P95, _ORDER)
"""From left to right: where there is no room for all, what matters least is to be scrolled to."""
_SHARING: Final = (_EVENT, _NAME, _STATE)
"""Columns that get what is left, one after the other, up to what they want."""
_TARGET: Final = 24
"""Pixels of height that a button has at least."""
_GUIDE: Final = 40
"""Letters that a line of the guide beside the table has about."""


class CallbacksPanel(QWidget):
    """Every callback of the session, by where it comes from, each with a switch; and the user's files, to load and reload."""

    file_chosen = pyqtSignal(object)
    """The `Path` of a file that the user chose here, which is being loaded."""

    def __init__(self, bridge: Bridge) -> None:
        """Listen to a bridge."""
        super().__init__()
        self._bridge = bridge
        self._filling = False
        self._fitting = False  # the columns
        self._widths_chosen = False
        self._files: tuple[HookFile, ...] = ()
        self._changed: set[Path] = set()  # files that are others by now than those that were loaded
        self._unsure = True
        self._summary = ""
        self._rows: dict[HookKey, HookRow] = {}
        self._groups: dict[str, QStandardItem] = {}
        self._paced = Paced(self, UPDATE_MS, self._refresh)
        self._model = QStandardItemModel(0, len(_COLUMNS), self)
        self._shown = _Sorted(self)
        self._shown.setSourceModel(self._model)
        self.table = _Tree()
        self.summary = QLabel()
        self.detail = QPlainTextEdit()
        self._side = QStackedWidget()
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._make_actions()
        self._set_up_table()
        self._lay_out()
        self._watcher = QFileSystemWatcher(self)
        self.setAcceptDrops(True)

        self._watcher.fileChanged.connect(self._look_again)
        self._watcher.directoryChanged.connect(self._look_again)
        self._model.itemChanged.connect(self._switch)
        bridge.hooks_changed.connect(self._ask)
        bridge.figures_changed.connect(self._ask)
        self._refresh()

    def _make_actions(self) -> None:
        self.load_action = self._action(
            "Load file…", "callbacks", "Run a Python file, and call the functions in it", self.choose_file
        )
        self.reload_action = self._action(
            "Reload",
            "reload",
            "Run the file of the chosen row again, or all files; if it fails, the callbacks in use stay",
            self.reload,
        )
        self.reload_action.setShortcut("F5")
        self.remove_action = self._action("Remove", "close", "Take the callbacks of the chosen row's file away", self.remove)
        self.remove_action.setShortcut(QKeySequence.StandardKey.Delete)

    def _action(self, text: str, sign: str, tip: str, call: Callable[[], None]) -> QAction:
        action = QAction(icon(sign), text, self)
        action.setIconText(text)  # what buttons show, which Qt would take the dots from
        action.setToolTip(tip)
        action.triggered.connect(lambda: call())
        return action

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for action in (self.load_action, self.reload_action, self.remove_action):
            action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
            if keys:
                action.setToolTip(f"{action.toolTip()} ({keys})")
            self.addAction(action)
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAutoRaise(True)
            button.setMinimumHeight(_TARGET)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setAccessibleName(action.text().rstrip("…"))
            tools.addWidget(button)
        self.summary.setToolTip("The mean time of all callbacks that run for each frame, together")
        self.summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.summary.setAlignment(_RIGHT)
        tools.addWidget(self.summary, 1)
        self._tools = tools

        self.detail.setReadOnly(True)
        self.detail.setAcceptDrops(False)
        self.detail.setTabChangesFocus(True)
        self.detail.setAccessibleName("What went wrong")
        self.detail.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._side.addWidget(self._how_to())
        self._side.addWidget(self.detail)
        self._split.addWidget(self.table)
        self._split.addWidget(self._side)
        self._split.setChildrenCollapsible(False)
        self._split.setStretchFactor(0, 1)
        self._split.setStretchFactor(1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(tools)
        layout.addWidget(self._split, 1)

    def _how_to(self) -> QWidget:
        """What to do while there is no file."""
        page = QWidget()
        text = QLabel(_HOW_TO)
        text.setWordWrap(True)
        example = QPlainTextEdit(EXAMPLE.rstrip())
        example.setReadOnly(True)
        example.setAcceptDrops(False)
        example.setTabChangesFocus(True)
        example.setAccessibleName("Example of a callback")
        example.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        example.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        save = QPushButton(icon("export"), "Save starter file…")
        save.setToolTip("Save a commented example to change as you like, and load it")
        save.clicked.connect(self.choose_starter)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(text)
        layout.addWidget(example, 1)
        layout.addWidget(save, 0, Qt.AlignmentFlag.AlignLeft)
        # A low panel scrolls: it must not take from the picture what it needs for an example.
        area = QScrollArea()
        area.setWidget(page)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the example in it is reached by itself
        return area

    def _set_up_table(self) -> None:
        table = self.table
        self._model.setHorizontalHeaderLabels([column.title for column in _COLUMNS])
        for number, column in enumerate(_COLUMNS):
            header = self._model.horizontalHeaderItem(number)
            if header is not None:
                header.setToolTip(f"{column.tip}. Click to sort by it.")
                header.setTextAlignment(_RIGHT if column.number else Qt.AlignmentFlag.AlignLeft)
        table.setModel(self._shown)
        table.sortByColumn(_ORDER, Qt.SortOrder.AscendingOrder)
        columns = table.header()
        assert columns is not None
        columns.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        columns.setStretchLastSection(False)
        for place, number in enumerate(_SHOWN):
            columns.moveSection(columns.visualIndex(number), place)
        table.resized.connect(self._fit_columns)
        columns.sectionResized.connect(self._keep_widths)
        selection = table.selectionModel()
        assert selection is not None
        selection.currentChanged.connect(self._show_detail)
        table.toggled.connect(self._toggle)

    def sizeHint(self) -> QSize:
        return QSize(640, 200)

    # What the buttons do ----------------------------------------------------------------------------------------------------

    def choose_file(self) -> None:
        """Ask for a file, and load it."""
        dialog = self._dialog("Load callbacks")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self.load(Path(name)))
        dialog.open()

    def load(self, path: Path) -> None:
        """Load a file that the user chose."""
        self.file_chosen.emit(path)
        self._bridge.session.load_hooks(path)

    def reload(self) -> None:
        """Load the file of the chosen row again; all files where another row is chosen, or none."""
        chosen = self._chosen_file()
        for path in [file.path for file in self._files] if chosen is None else [chosen]:
            self._bridge.session.load_hooks(path)

    def remove(self) -> None:
        """Take the file of the chosen row away."""
        chosen = self._chosen_file()
        if chosen is not None:
            self._bridge.session.unload_hooks(chosen)

    def choose_starter(self) -> None:
        """Ask where to save a file to begin with, and load it."""
        dialog = self._dialog("Save starter file")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("py")
        dialog.selectFile("my_callbacks.py")
        dialog.fileSelected.connect(lambda name: self.save_starter(Path(name)))
        dialog.open()

    def save_starter(self, path: Path) -> None:
        """Save a file to begin with, and load it; where that fails, it is noted."""
        try:
            path.write_text(STARTER, encoding="utf-8")
        except OSError as error:
            text = f"{path} cannot be written: {error.strerror or error}; choose another place"
            self._bridge.report(Level.ERROR, text)
            return
        self.load(path)

    def _dialog(self, title: str) -> QFileDialog:
        dialog = QFileDialog(self, title)
        dialog.setNameFilter("Python files (*.py)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        return dialog

    # What is dropped --------------------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        if event is not None and _dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        if event is None:
            return
        files = _dropped(event)
        if files:
            event.acceptProposedAction()
        for file in files:
            self.load(file)

    # What is shown ----------------------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._paced.ask()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        beside = self.width() > 2 * self.height()
        self._split.setOrientation(Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical)
        self._share_width()
        self._fit_summary()

    def _share_width(self) -> None:
        """Give the guide what its lines need, or less where columns need it, and what went wrong more."""
        if self._split.orientation() is Qt.Orientation.Vertical:
            return
        width, letter, bar = self._split.width(), self.fontMetrics().averageCharWidth(), self.table.verticalScrollBar()
        least, _ = self._column_widths()
        needed = sum(least.values()) + 2 * self.table.frameWidth() + (0 if bar is None else bar.sizeHint().width())
        guide = min(
            _GUIDE * letter, round(0.3 * width), max(width - self._split.handleWidth() - needed, _GUIDE * letter * 2 // 3)
        )
        beside = round(0.4 * width) if self._side.currentIndex() == 1 else guide
        self._split.setSizes([width - self._split.handleWidth() - beside, beside])

    def _column_widths(self) -> tuple[dict[int, int], dict[int, int]]:
        """Pixels that each column needs at least, and for all of its texts."""
        metrics, least, wanted = self.table.fontMetrics(), {}, {}
        for number, column in enumerate(_COLUMNS):
            beside = 2 * self.table.indentation() + 24 if number == _NAME else 0  # what a row is indented by, and its box
            beside += metrics.height() + 4 if number == _STATE else 0  # its sign
            arrow = 22 if number == _ORDER else 12  # of the sorted column
            title = metrics.horizontalAdvance(column.title) + arrow
            least[number], wanted[number] = (
                max(title, metrics.horizontalAdvance(text) + beside + 10)
                for text in (column.narrow or column.wide, column.wide)
            )
        return least, wanted

    def _fit_columns(self) -> None:
        """Numbers take what they need, and texts what is left; nothing changes where the user has chosen the widths."""
        viewport = self.table.viewport()
        if self._widths_chosen or viewport is None:
            return
        widths, wanted = self._column_widths()
        room = viewport.width() - sum(widths.values())
        for number in _SHARING:
            more = min(max(room, 0), wanted[number] - widths[number])
            widths[number] += more
            room -= more
        self._fitting = True
        for number, width in widths.items():
            self.table.setColumnWidth(number, width)
        self._fitting = False

    def _keep_widths(self) -> None:
        """The user drew a column wider or narrower."""
        self._widths_chosen = self._widths_chosen or not self._fitting

    def _ask(self, _figures: object = None) -> None:
        if self.isVisible():
            self._paced.ask()

    def _refresh(self) -> None:
        hooks = self._bridge.session.hooks
        before, self._files, loading, rows = self._files, hooks.files, hooks.loading, hooks.rows()
        self._rows = {row.key: row for row in rows}
        if self._files != before or self._unsure:
            self._watch()
        files = {str(file.path): file for file in self._files}
        wanted = list(dict.fromkeys([*files, *map(str, loading), *(row.key.origin for row in rows)]))
        self._filling = True
        try:
            for origin in [origin for origin in self._groups if origin not in wanted]:
                self._model.removeRow(self._groups.pop(origin).row())
            for origin in wanted:
                group = self._groups.get(origin) or self._add_group(origin)
                self._fill_group(group, files.get(origin), Path(origin) in loading)
                children = [(place, row) for place, row in enumerate(rows) if row.key.origin == origin]
                self._fill_children(group, children)
        finally:
            self._filling = False
        per_frame = [row.mean or 0.0 for row in rows if row.on and not row.background and row.event in _PER_FRAME]
        busy = any(row.calls for row in rows)
        self._summary = f"{sum(per_frame):.2f} ms a frame" if busy else ""
        self._fit_summary()
        self._show_detail()

    def _fit_summary(self) -> None:
        """What takes the rest of its line is left out where it would be cut off."""
        fits = self.summary.fontMetrics().horizontalAdvance(self._summary) <= self.width() - self._tools.sizeHint().width() - 20
        self.summary.setText(self._summary if fits else "")

    def _add_group(self, origin: str) -> QStandardItem:
        group = self._groups[origin] = _item()
        group.setData(origin, _KEY)
        rank = list(_GROUPS).index(origin) + 1 if origin in _GROUPS else 0
        group.setData((rank, len(self._groups)), _SORT)
        self._model.appendRow(group)
        at = self._shown.mapFromSource(group.index())
        self.table.setFirstColumnSpanned(at.row(), QModelIndex(), True)
        self.table.expand(at)
        return group

    def _fill_group(self, group: QStandardItem, file: HookFile | None, loading: bool) -> None:
        origin = str(group.data(_KEY))
        if origin in _GROUPS:
            _put(group, Qt.ItemDataRole.DisplayRole, _GROUPS[origin])
            return
        state, sign = "", ""
        if loading:
            state, sign = "loading…", "busy"
        elif file is not None and file.problem:
            state, sign = "not reloaded, since it fails", "error"
        elif file is not None and file.path in self._changed:
            state, sign = "changed on disk; reload it", "warning"
        loaded = f"loaded at {datetime.fromtimestamp(file.at).strftime(_CLOCK)}" if file is not None else ""
        _put(group, Qt.ItemDataRole.DisplayRole, f"{Path(origin).name}: {state or loaded}")
        tips = [origin, loaded, file.problem if file is not None else ""]
        _put(group, Qt.ItemDataRole.ToolTipRole, "\n".join(tip for tip in tips if tip))
        _sign(group, sign)

    def _fill_children(self, group: QStandardItem, rows: list[tuple[int, HookRow]]) -> None:
        keys = {row.key for _, row in rows}
        for number in reversed(range(group.rowCount())):
            if _child(group, number, _NAME).data(_KEY) not in keys:
                group.removeRow(number)
        there = {_child(group, number, _NAME).data(_KEY): number for number in range(group.rowCount())}
        for place, row in rows:
            if row.key not in there:
                there[row.key] = group.rowCount()
                name = _item()
                name.setData(row.key, _KEY)
                group.appendRow([name, *(_item(right=column.number) for column in _COLUMNS[1:])])
            self._fill_row([_child(group, there[row.key], number) for number in range(len(_COLUMNS))], place, row)

    def _fill_row(self, items: list[QStandardItem], place: int, row: HookRow) -> None:
        texts = {
            _NAME: (row.name, row.name.casefold()),
            _EVENT: (row.event + (", in the background" if row.background else ""), _EVENTS[row.event]),
            _ORDER: (str(row.order), place),
            _CALLS: (f"{row.calls:,}", row.calls),
            _MEAN: _milliseconds(row.mean),
            _P95: _milliseconds(row.p95),
            _ERRORS: (f"{row.errors:,}", row.errors),
            _STATE: (row.status, row.status),
        }
        tip = f"{row.name}, at {row.event}" + (f"\n{row.about}" if row.about else "")
        if row.fixed:
            tip += "\nIt cannot be switched off: others rely on it"
        if row.last is not None:
            tip += f"\nIts last call took {row.last:.2f} ms"
        if row.error:
            tip += f"\n{row.error}\nChoose the row to see where"
        for number, item in enumerate(items):
            text, sort = texts[number]
            _put(item, Qt.ItemDataRole.DisplayRole, text)
            _put(item, _SORT, sort)
            _put(item, Qt.ItemDataRole.ToolTipRole, tip)
        _sign(items[_STATE], "error" if row.error and not row.on else "warning" if row.error else "")
        items[_NAME].setCheckable(not row.fixed)
        _put(items[_NAME], _CHECK, Qt.CheckState.Checked if row.on else Qt.CheckState.Unchecked)

    def _show_detail(self) -> None:
        """Beside the table stands what the chosen callback raised; else, while there is no file, what to do."""
        text = self._detail_of(self.table.currentIndex())
        if text and text != self.detail.toPlainText():
            self.detail.setPlainText(text)
        page, there = int(bool(text)), bool(text) or not self._files
        if page != self._side.currentIndex() or there is self._side.isHidden():
            self._side.setCurrentIndex(page)
            self._side.setVisible(there)
            self._share_width()
        chosen = self._chosen_file()
        self.reload_action.setEnabled(bool(self._files))
        self.remove_action.setEnabled(chosen is not None)

    def _detail_of(self, index: QModelIndex) -> str:
        key = index.siblingAtColumn(_NAME).data(_KEY)
        row = self._rows.get(key) if isinstance(key, HookKey) else None
        if row is not None:
            return f"{row.error}\n\n{row.detail}" if row.error else ""
        return next((file.problem for file in self._files if str(file.path) == key), "")

    def _chosen_file(self) -> Path | None:
        """The file of the chosen row; the only one where none is chosen."""
        index = self.table.currentIndex()
        top = index.parent() if index.parent().isValid() else index
        origin = top.siblingAtColumn(_NAME).data(_KEY)
        chosen = next((file.path for file in self._files if str(file.path) == origin), None)
        return self._files[0].path if chosen is None and len(self._files) == 1 else chosen

    def _watch(self) -> None:
        """Look whether files have changed, and be told when they do; an editor may put another in the place of one."""
        self._unsure = False
        self._changed = {file.path for file in self._files if _changed_since(file)}
        wanted = {str(file.path) for file in self._files} | {str(file.path.parent) for file in self._files}
        watched = {*self._watcher.files(), *self._watcher.directories()}
        if watched - wanted:
            self._watcher.removePaths(watched - wanted)
        if wanted - watched:
            self._watcher.addPaths(wanted - watched)

    def _look_again(self) -> None:
        self._unsure = True
        self._ask()

    # What is switched -------------------------------------------------------------------------------------------------------

    def _switch(self, item: QStandardItem) -> None:
        """A box was checked or unchecked, by the user or by what is shown."""
        row = self._rows.get(item.data(_KEY)) if not self._filling and item.isCheckable() else None
        if row is not None:
            self._bridge.session.hooks.switch(row.key, item.checkState() is Qt.CheckState.Checked)

    def _toggle(self, index: QModelIndex) -> None:
        item = self._model.itemFromIndex(self._shown.mapToSource(index.siblingAtColumn(_NAME)))
        if item is not None and item.isCheckable():
            item.setCheckState(Qt.CheckState.Unchecked if item.checkState() is Qt.CheckState.Checked else Qt.CheckState.Checked)


class _Tree(QTreeView):
    """Rows of callbacks under where they come from; the space bar switches the chosen one, whatever column it is in."""

    toggled = pyqtSignal(QModelIndex)
    resized = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Callbacks")
        self.setAlternatingRowColors(True)
        self.setUniformRowHeights(True)
        height = self.fontMetrics().height()
        self.setIconSize(QSize(height, height))
        self.setItemDelegate(_Roomy(self))
        self.setAllColumnsShowFocus(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIndentation(14)
        self.setSortingEnabled(True)
        self.setMinimumWidth(160)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.resized.emit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Space and self.currentIndex().parent().isValid():
            self.toggled.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)


class _Roomy(QStyledItemDelegate):
    """Gives every row the same height, with or without an icon, and shows boxes that cannot be unchecked as such."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(super().sizeHint(option, index).width(), option.fontMetrics.height() + 6)

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        fixed = index.data(_CHECK) is not None and not index.flags() & Qt.ItemFlag.ItemIsUserCheckable
        if option is not None and fixed:
            option.state &= ~QStyle.StateFlag.State_Enabled


class _Sorted(QSortFilterProxyModel):
    """Sorts callbacks by what their columns stand for; where they come from stays in its order: the user's files first."""

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:
        if left.parent().isValid():
            one, other = left.data(_SORT), right.data(_SORT)
            # A row is empty for a moment before it is filled.
            return one is not None and other is not None and bool(one < other)
        before = bool(left.siblingAtColumn(_NAME).data(_SORT) < right.siblingAtColumn(_NAME).data(_SORT))
        return before is (self.sortOrder() is Qt.SortOrder.AscendingOrder)


def _item(*, right: bool = False) -> QStandardItem:
    item = QStandardItem()
    item.setEditable(False)
    if right:
        item.setTextAlignment(_RIGHT)
    return item


def _child(group: QStandardItem, row: int, column: int) -> QStandardItem:
    child = group.child(row, column)
    assert child is not None
    return child


def _put(item: QStandardItem, role: int, value: Any) -> None:
    """Set what is shown, where it has changed: the table is laid out anew for every change."""
    if item.data(role) != value:
        item.setData(value, role)


def _sign(item: QStandardItem, name: str) -> None:
    if item.data(_SIGN) != name:
        item.setData(name, _SIGN)
        item.setIcon(icon(name) if name else QIcon())


def _milliseconds(value: float | None) -> tuple[str, float]:
    """The text, and what to sort it by."""
    return ("-", -1.0) if value is None else (f"{value:.2f}", value)


def _changed_since(file: HookFile) -> bool:
    """Whether a file is another than the one that was loaded."""
    try:
        return file.path.stat().st_mtime_ns != file.modified
    except OSError:
        return False  # while it is being replaced, it is not there


def _dropped(event: QDropEvent) -> list[Path]:
    """The Python files that are dropped."""
    data = event.mimeData()
    names: Iterable[str] = [] if data is None else (url.toLocalFile() for url in data.urls())
    return [Path(name) for name in names if name.lower().endswith(".py")]
