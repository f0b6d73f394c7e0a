"""The panel of what can be turned while it plays: thresholds, classes, tracker, overlay, pace."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from PyQt6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.paced import Paced
from framehook.app.gui.theme import Ticks
from framehook.app.session.session import TRACKER
from framehook.app.session.state import Level, ModelFacts, Phase, SessionState
from framehook.inference.callbacks import Overlay, Tracking
from framehook.inference.callbacks.overlay import check_layers
from framehook.inference.callbacks.per_source import PICTURES
from framehook.inference.callbacks.tracking import KEEP_UNCONFIRMED
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.options import PredictOptions

UPDATE_MS: Final = 50
"""Milliseconds between two changes of options: a slider that is dragged changes faster than frames come."""
TRACKERS: Final = ("bytetrack", "sort", "ocsort", "botsort", "cbiou", "mcbyte")
"""What `Tracking` can follow with, the usual one first; to ask the `trackers` package itself would take it a second to load."""
DEFAULTS: Final = PredictOptions(pace="realtime", tracker=TRACKER, tracker_options={KEEP_UNCONFIRMED: True})
"""What a session begins with."""

WidgetT = TypeVar("WidgetT", bound=QWidget)

_STEPS: Final = 100
"""Steps of a slider from 0 to 1; the box beside it takes values in between."""
_DECIMALS: Final = 3
_NUMBER: Final = Qt.ItemDataRole.UserRole
_TICKABLE: Final = Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_TUNED: Final = ("conf", "iou", "max_det", "classes", "tracker", "tracker_options", "overlay", "pace", "vid_stride")
_PACES: Final = (("In real time", "realtime"), ("As fast as possible", "max"))
_MANY: Final = 9
"""Classes from which on there is a line to search them, and the list scrolls."""
_LAYERS: Final = {
    "boxes": "A box around each object",
    "labels": "What each object is, and its id",
    "confidence": "How sure the model is of each object",
    "trails": "The way that each track took",
    "heatmap": "Where objects have been, as a heat map",
    "blur": "Blur what is in the boxes",
    "pixelate": "Pixelate what is in the boxes",
}
"""Every layer in the order in which people look for them, and what it shows."""


class TuningPanel(QWidget):
    """The options of a run, changed while it goes on.

    What is chosen here is handed to the session, twenty times a second at most; what is shown is what the session says.
    """

    original_toggled = pyqtSignal(bool)
    """Whether the captured frame is to be shown, with nothing drawn on it."""

    def __init__(self, bridge: Bridge, defaults: PredictOptions = DEFAULTS) -> None:
        """Listen to a bridge; `defaults` are what a reset goes back to."""
        super().__init__()
        self._bridge = bridge
        self._defaults = defaults
        self._wanted: dict[str, Any] = {}
        self._paced = Paced(self, UPDATE_MS, self._send)

        self.model_line = _note("The model in use: its device, the size of its input, and how its outputs are laid out")
        self.hint = _note("When a change shows")
        self.hint.setMinimumHeight(self.hint.fontMetrics().height())  # also while it is empty: to pause must not move the rest
        self.conf = _Share(
            "Confidence", "Objects that the model is less sure of are left out", more="Ctrl+Up", less="Ctrl+Down"
        )
        self.iou = _Share("Overlap (IoU)", "Of two boxes of a class that overlap more than this, the weaker one is left out")
        self.max_det = _whole("Most objects", "At most this many objects a frame, those that the model is surest of", 1, 10_000)
        self.classes = _ClassList()
        self.tracker = _combo("Tracker", "How objects are followed from frame to frame, and get their ids")
        self.tracker.addItem("None", None)
        for name in TRACKERS:
            self.tracker.addItem(name, name)
        self.tracker_hint = _note("What to know about the tracker")
        self.layers = {layer: _check(layer.capitalize(), tip) for layer, tip in _LAYERS.items()}
        self.layers["heatmap"].setText("Heat map")
        self.overlay_hint = _note("What to know about the overlay")
        self.original = _check(
            "Show the original", "Show the captured frame with nothing drawn on it; what is recorded stays as it is"
        )
        self.pace = _combo("Playback", "How fast files play; to change it starts the run again, where it is")
        for title, pace in _PACES:
            self.pace.addItem(title, pace)
        self.vid_stride = _whole(
            "Every n-th frame",
            "Use every n-th frame of a source and pass over the others; to change it starts the run again",
            1,
            1000,
        )
        self.reset_button = QPushButton("Reset to defaults")
        self.reset_button.setToolTip("Put everything on this panel back to what it was at first")
        self._lay_out()
        self._connect()
        self._show(bridge.state)

    def _lay_out(self) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.model_line)
        layout.addWidget(self.hint)
        detection = QGridLayout()
        detection.setColumnStretch(0, 1)
        for row, share in enumerate((self.conf, self.iou)):
            detection.addWidget(_title(share.spin), 2 * row, 0, 1, 2)
            detection.addWidget(share.slider, 2 * row + 1, 0)
            detection.addWidget(share.spin, 2 * row + 1, 1)
        detection.addWidget(_title(self.max_det), 4, 0)
        detection.addWidget(self.max_det, 4, 1)
        following = QVBoxLayout()
        following.addLayout(_row(_title(self.tracker), self.tracker))
        following.addWidget(self.tracker_hint)
        overlay = QGridLayout()
        for place, box in enumerate(self.layers.values()):
            overlay.addWidget(box, place // 2, place % 2)
        overlay.addWidget(self.overlay_hint, 4, 0, 1, 2)
        overlay.addWidget(self.original, 5, 0, 1, 2)
        playback = QGridLayout()
        playback.setColumnStretch(0, 1)
        for row, widget in enumerate((self.pace, self.vid_stride)):
            playback.addWidget(_title(widget), row, 0)
            playback.addWidget(widget, row, 1)
        for title, part in (
            ("Detection", detection),
            ("Classes", self.classes),
            ("Tracking", following),
            ("Overlay", overlay),
            ("Playback", playback),
        ):
            group = QGroupBox(title)
            group.setLayout(part)
            layout.addWidget(group)
        layout.addWidget(self.reset_button, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addStretch()
        scroll = QScrollArea()
        scroll.setWidget(inner)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        # Who scrolls the panel must not turn what happens to be under the mouse.
        wheel = _WheelGuard(self)
        turned = (QComboBox, QSlider, QAbstractSpinBox)
        for widget in [child for child in inner.findChildren(QWidget) if isinstance(child, turned)]:
            widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            widget.installEventFilter(wheel)

    def _connect(self) -> None:
        self.conf.changed.connect(lambda value: self._want(conf=value))
        self.iou.changed.connect(lambda value: self._want(iou=value))
        self.max_det.valueChanged.connect(lambda value: self._want(max_det=value))
        self.classes.changed.connect(lambda: self._want(classes=self.classes.chosen()))
        self.tracker.currentIndexChanged.connect(lambda: self._want(tracker=self.tracker.currentData(), tracker_options=None))
        for box in self.layers.values():
            box.toggled.connect(lambda: self._want(overlay=self._chosen_layers()))
        self.original.toggled.connect(self.original_toggled)
        self.original.toggled.connect(lambda: self._hint())
        self.pace.currentIndexChanged.connect(lambda: self._want(pace=self.pace.currentData()))
        self.vid_stride.valueChanged.connect(lambda value: self._want(vid_stride=value))
        self.reset_button.clicked.connect(self.reset)
        self._bridge.state_changed.connect(self._show)
        self._bridge.hooks_changed.connect(lambda: self._hint())

    def sizeHint(self) -> QSize:
        return QSize(320, 560)

    def nudge_confidence(self, by: float) -> None:
        """Raise the confidence, or lower it where `by` is below 0; it stays from 0 to 1."""
        self.conf.choose(self.conf.value + by)

    def reset(self) -> None:
        """Put every option of this panel back to its default."""
        now = self._bridge.session.state.options
        defaults = {name: getattr(self._defaults, name) for name in _TUNED}
        # Only what differs: some of them start the run again.
        self._wanted = {name: value for name, value in defaults.items() if value != getattr(now, name)}
        self._paced.ask()
        self._paced.hurry()

    # From the user to the session --------------------------------------------------------------------------------------------

    def _want(self, **changes: Any) -> None:
        self._wanted.update(changes)
        self._paced.ask()

    def _send(self) -> None:
        changes, self._wanted = self._wanted, {}
        try:
            self._bridge.session.update(**changes)
        except FramehookError as error:
            self._bridge.report(Level.ERROR, one_line(error))
        self._show(self._bridge.session.state)

    def _chosen_layers(self) -> tuple[str, ...] | None:
        return tuple(layer for layer, box in self.layers.items() if box.isChecked()) or None

    # From the session to the user --------------------------------------------------------------------------------------------

    def _show(self, state: SessionState) -> None:
        """Show what the session says, but for what the user has just chosen and it was not told yet."""
        options, model, waits = state.options, state.model, self._wanted.keys()
        self.model_line.setText(_model_line(model))
        for name, share in (("conf", self.conf), ("iou", self.iou)):
            if name not in waits:
                share.show_value(getattr(options, name))
        for name, spin in (("max_det", self.max_det), ("vid_stride", self.vid_stride)):
            # To set the value that it has would take away what is being typed.
            if name not in waits and spin.value() != getattr(options, name):
                with QSignalBlocker(spin):
                    spin.setValue(getattr(options, name))
        if "classes" not in waits:
            self.classes.show_classes({} if model is None else model.names, options)
        if "tracker" not in waits:
            _choose(self.tracker, options.tracker)
        if "overlay" not in waits:
            for layer, box in self.layers.items():
                with QSignalBlocker(box):
                    box.setChecked(layer in check_layers(options.overlay))
        if "pace" not in waits:
            _choose(self.pace, options.pace)
        self.pace.setEnabled(not state.slots or any(slot.source is None or not slot.source.live for slot in state.slots))
        self._hint()

    def _hint(self) -> None:
        """Say what does not show at once, and what does not apply."""
        state = self._bridge.session.state
        usual = self._bridge.session.hooks.usual
        self.hint.setText(_when(state.phase, usual=usual))
        self.hint.setToolTip("" if usual else "What callbacks make of a picture shows when they are called")
        _say(self.tracker_hint, self._about_tracker(state))
        _say(self.overlay_hint, self._about_overlay(state))

    def _about_tracker(self, state: SessionState) -> str:
        options = state.options
        if any(not tracking.follows_options for tracking in self._bridge.session.callbacks.objects(Tracking)):
            return "A callback brings a tracker of its own, which counts instead of this."
        sources = [slot.source for slot in state.slots]
        if sources and all(source is not None and source.frame_count == 1 and source.kind in PICTURES for source in sources):
            return "A single picture is not tracked."
        if options.tracker is None:
            return "Without a tracker objects have no ids, and lines count nothing."
        chosen = {
            name: value for name, value in (options.tracker_options or {}).items() if name != KEEP_UNCONFIRMED or not value
        }
        return "With " + ", ".join(f"{name}={value!r}" for name, value in chosen.items()) if chosen else ""

    def _about_overlay(self, state: SessionState) -> str:
        if any(not overlay.follows_options for overlay in self._bridge.session.callbacks.objects(Overlay)):
            return "A callback brings an overlay of its own, which counts instead of this."
        if state.options.tracker is None and "trails" in check_layers(state.options.overlay):
            return "Trails need a tracker."
        return ""


class _Share(QObject):
    """A number from 0 to 1: a slider for the hand, and a box for the exact value."""

    changed = pyqtSignal(float)
    """The user chose another value."""

    def __init__(self, name: str, tip: str, *, more: str = "", less: str = "") -> None:
        super().__init__()
        self.value = 0.0
        keys = f" ({more} and {less})" if more else ""
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setPageStep(_STEPS // 20)
        self.slider.setMinimumWidth(80)
        self.spin = QDoubleSpinBox()
        self.spin.setRange(0, 1)
        self.spin.setDecimals(_DECIMALS)
        self.spin.setSingleStep(0.05)
        self.spin.setKeyboardTracking(False)  # else to type .45 would choose 0 and .4 on the way
        for widget, kind in ((self.slider, " slider"), (self.spin, "")):
            widget.setAccessibleName(name + kind)
            widget.setToolTip(f"{tip}{keys}")
        self.slider.valueChanged.connect(lambda step: self.choose(step / _STEPS))
        self.spin.valueChanged.connect(self.choose)

    def choose(self, value: float) -> None:
        """Choose a value, as the user does."""
        value = round(min(max(value, 0.0), 1.0), _DECIMALS)
        if value != self.value:
            self.show_value(value)
            self.changed.emit(value)

    def show_value(self, value: float) -> None:
        """Show a value that was chosen."""
        if value == self.value:
            return  # to set the box anew would take away what is being typed
        self.value = value
        with QSignalBlocker(self.slider), QSignalBlocker(self.spin):
            self.slider.setValue(round(value * _STEPS))
            self.spin.setValue(value)


class _ClassList(QVBoxLayout):
    """The classes of the model, each with a tick; those that are ticked are looked for."""

    changed = pyqtSignal()
    """The user chose other classes."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[int, str] = {}
        self._unknown: tuple[object, ...] = ()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search classes")
        self.search.setAccessibleName("Search classes")
        self.search.setToolTip("Show only classes of whose name this is a part")
        self.search.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setAccessibleName("Classes")
        self.list.setToolTip("What is looked for; Space ticks and unticks")
        self.list.setItemDelegate(Ticks(self.list))
        self.list.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.all = _button("All", "Look for all classes; of those that are shown, where some are searched")
        self.none = _button("None", "Look for nothing; leave out those that are shown, where some are searched")
        self.about = _note("How many classes are looked for")
        tools = QHBoxLayout()
        tools.addWidget(self.about, stretch=1)
        tools.addWidget(self.all)
        tools.addWidget(self.none)
        self.addWidget(self.search)
        self.addWidget(self.list)
        self.addLayout(tools)
        self.search.textChanged.connect(self._search)
        self.list.itemChanged.connect(self._tell)
        self.all.clicked.connect(lambda: self._tick(Qt.CheckState.Checked))
        self.none.clicked.connect(lambda: self._tick(Qt.CheckState.Unchecked))
        self._size()

    def chosen(self) -> tuple[int | str, ...] | None:
        """What the option `classes` is to be: names, or numbers where several classes share one; None for all."""
        items = self._items()
        ticked = [item.data(_NUMBER) for item in items if item.checkState() is Qt.CheckState.Checked]
        if len(ticked) == len(items):
            return None
        names = tuple(self._names[number] for number in ticked)
        return names if len(set(self._names.values())) == len(self._names) else tuple(ticked)

    def show_classes(self, names: dict[int, str], options: PredictOptions) -> None:
        """Show the classes of a model, and which of them are chosen."""
        wanted, self._unknown = _numbers(names, options.classes)
        with QSignalBlocker(self.list):
            if names != self._names:
                self._names = dict(names)
                self.list.clear()
                for number, name in names.items():
                    item = QListWidgetItem(name)
                    item.setFlags(_TICKABLE)
                    item.setData(_NUMBER, number)
                    item.setCheckState(Qt.CheckState.Unchecked)
                    self.list.addItem(item)
                self._search(self.search.text())
                self._size()
            for item in self._items():
                state = Qt.CheckState.Checked if item.data(_NUMBER) in wanted else Qt.CheckState.Unchecked
                if item.checkState() is not state:
                    item.setCheckState(state)
        self._count()

    def _items(self) -> list[QListWidgetItem]:
        return [item for row in range(self.list.count()) if (item := self.list.item(row)) is not None]

    def _tick(self, state: Qt.CheckState) -> None:
        with QSignalBlocker(self.list):
            for item in self._items():
                if not item.isHidden():
                    item.setCheckState(state)
        self._tell()

    def _tell(self) -> None:
        self._unknown = ()
        self._count()
        self.changed.emit()

    def _search(self, text: str) -> None:
        for item in self._items():
            item.setHidden(text.strip().casefold() not in item.text().casefold())

    def _count(self) -> None:
        items = self._items()
        ticked = sum(item.checkState() is Qt.CheckState.Checked for item in items)
        if not items:
            text = "They show here once a model is loaded."
        elif self._unknown:
            text = f"This model does not know {', '.join(map(str, self._unknown))}."
        elif not ticked:
            text = "Nothing is looked for."
        else:
            number = "1 class" if len(items) == 1 else f"{len(items):,} classes"
            text = f"{ticked:,} of {number}" if ticked < len(items) else f"All {'of ' if ticked == 1 else ''}{number}"
        _say(self.about, text)

    def _size(self) -> None:
        """As high as its classes, up to a point; short lists need no search."""
        count = self.list.count()
        self.search.setVisible(count >= _MANY)
        self.list.setVisible(count > 0)
        for button in (self.all, self.none):
            button.setEnabled(count > 0)
        row = max(self.list.sizeHintForRow(0), 1)
        self.list.setFixedHeight(min(max(count, 1), _MANY - 2) * row + 2 * self.list.frameWidth())


class _WheelGuard(QObject):
    """Lets the wheel turn only what has the focus; else it scrolls what is around."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


def _numbers(names: dict[int, str], classes: Any) -> tuple[set[int], tuple[object, ...]]:
    """The class numbers that an option `classes` stands for, and what of it the model does not know."""
    if classes is None:
        return set(names), ()
    by_name: dict[Any, int] = {name: number for number, name in names.items()}
    by_name.update((number, number) for number in names)
    given = [classes] if isinstance(classes, int | str) else list(classes)
    unknown = tuple(each for each in given if each not in by_name) if names else ()
    return {by_name[each] for each in given if each in by_name}, unknown


def _when(phase: Phase, *, usual: bool) -> str:
    """When changes show, where that is not at once; what callbacks would make of a picture that stands is not known."""
    match phase:
        case Phase.PAUSED if not usual:
            return "Paused: changes show with the next frame."
        case Phase.ENDED | Phase.FAILED if not usual:
            return "Nothing plays: changes show when it does."
        case Phase.IDLE:
            return "Nothing plays: changes show when it does."
        case _:
            return ""


def _model_line(model: ModelFacts | None) -> str:
    if model is None:
        return "No model is loaded yet"
    return f"{model.title}\n{model.device}, input {model.input}, layout {model.layout}"


def _say(label: QLabel, text: str) -> None:
    """Show a text, or nothing at all where there is nothing to say."""
    label.setText(text)
    label.setVisible(bool(text))


def _choose(combo: QComboBox, data: str | None) -> None:
    """Show a choice, which may be one that is not among those offered."""
    with QSignalBlocker(combo):
        place = combo.findData(data)
        if place < 0:
            combo.addItem(str(data), data)
            place = combo.count() - 1
        combo.setCurrentIndex(place)


# The parts ------------------------------------------------------------------------------------------------------------------


def _title(widget: QWidget) -> QLabel:
    label = QLabel(widget.accessibleName())
    label.setToolTip(widget.toolTip())
    label.setBuddy(widget)
    return label


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for place, widget in enumerate(widgets):
        row.addWidget(widget, stretch=place)
    return row


def _named(widget: WidgetT, name: str, tip: str) -> WidgetT:
    widget.setAccessibleName(name)
    widget.setToolTip(tip)
    return widget


def _note(name: str) -> QLabel:
    label = QLabel()
    label.setAccessibleName(name)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def _check(title: str, tip: str) -> QCheckBox:
    return _named(QCheckBox(title), title, tip)


def _combo(name: str, tip: str) -> QComboBox:
    return _named(QComboBox(), name, tip)


def _whole(name: str, tip: str, low: int, high: int) -> QSpinBox:
    spin = _named(QSpinBox(), name, tip)
    spin.setRange(low, high)
    spin.setKeyboardTracking(False)
    return spin


def _button(text: str, tip: str) -> QToolButton:
    button = _named(QToolButton(), f"{text} classes", tip)
    button.setText(text)
    return button
