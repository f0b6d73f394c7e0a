"""What is chosen before a training begins: data, what to start from, and how long and how large."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import icon
from framehook.app.gui.settings_store import Store
from framehook.app.gui.told import Told
from framehook.app.session.state import Level, SessionState
from framehook.app.session.trainings import ExampleSet, check_installed
from framehook.inference.backends import available_devices
from framehook.inference.errors import FramehookError, OptionError, one_line
from framehook.inference.load import CHECKPOINTS, DESCRIPTIONS
from framehook.inference.nets.architecture import known_architectures
from framehook.training.options import MOST, OPTIMIZERS, TrainOptions

AUTOMATIC: Final = "Automatic"
EXAMPLE: Final = "example-set"
"""The folder of the example set, among what is saved."""
MAKE: Final = "Make the example set"
EXAMPLE_EPOCHS: Final = 30
EXAMPLE_SIDE: Final = 160
EXAMPLE_BATCH: Final = 8
"""With these a network that begins with random weights finds nearly everything in the example set, in minutes on a CPU."""
FIRST: Final = "yolo11n"
"""What is started from unless something else is chosen."""
_USUAL: Final = TrainOptions()
_DATA: Final = "Dataset (*.yaml *.yml *.json);;All files (*)"
_MODELS: Final = "Checkpoints (*.pt *.pth);;Architectures (*.yaml *.yml);;All files (*)"
_STEP: Final = 32
"""What the side of pictures is a multiple of."""


class TrainingForm(QWidget):
    """Chooses what is trained, on what and how; says what is wrong with it."""

    wanted = pyqtSignal(str, dict)
    """To train: what to start from, and the options of it as `TrainOptions` takes them, without a folder."""

    _drawn = pyqtSignal()

    def __init__(self, bridge: Bridge, store: Store) -> None:
        """Offer what is there.

        Args:
            bridge: Where the model in use is known.
            store: Where it is remembered what was chosen last.
        """
        super().__init__()
        self._bridge = bridge
        self._store = store
        self._example: ExampleSet | None = None
        self._open: str | None = None  # the checkpoint that is open in the window
        self.data = QLineEdit(store.text("training_data"))
        self.data.setPlaceholderText("data.yaml, or a COCO .json")
        self.data.setClearButtonEnabled(True)
        self.start = QComboBox()
        self.start.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.start.setMinimumContentsLength(10)
        self.epochs = _whole(1, MOST, _USUAL.epochs, 1)
        self.imgsz = _whole(_STEP, 4096, _USUAL.imgsz, _STEP)
        self.batch = _whole(1, 4096, _USUAL.batch, 1)
        self.device = QComboBox()
        self.device.addItems([AUTOMATIC, *available_devices()])
        self.device.setEditable(True)
        self.device.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.device.setMinimumContentsLength(7)
        self.lr0 = QLineEdit()
        self.lr0.setPlaceholderText(AUTOMATIC)
        self.optimizer = QComboBox()
        for optimizer in OPTIMIZERS:
            self.optimizer.addItem(AUTOMATIC if optimizer == _USUAL.optimizer else optimizer, optimizer)
        self.patience = _whole(0, MOST, _USUAL.patience, 1)
        self.workers = _whole(0, 256, _USUAL.workers, 1)
        self.seed = _whole(0, MOST, _USUAL.seed, 1)
        self.mosaic = QCheckBox("Mosaic")
        self.mosaic.setChecked(_USUAL.mosaic > 0)
        for field, name, tip in (
            (self.data, "Dataset", "A YAML file that names folders of pictures and the classes, or a COCO json file"),
            (self.start, "Start from", "A checkpoint, which learns on; or an architecture, which begins with random weights"),
            (self.epochs, "Epochs", "How often all pictures are gone through"),
            (self.imgsz, "Image size", "Side in pixels of the squares that pictures are trained at"),
            (self.batch, "Batch", "Pictures of a step: fewer take less memory"),
            (self.device, "Device", "What it runs on: cpu, cuda, cuda:1, mps… Automatic is the best there is"),
            (self.lr0, "Learning rate", "That of the beginning, such as 0.01; empty for what fits the optimizer"),
            (self.optimizer, "Optimizer", "How weights are changed; Automatic is AdamW for short trainings, SGD for others"),
            (self.patience, "Patience", "Epochs that get no better after which the training ends; 0 for never"),
            (self.workers, "Workers", "Processes that load pictures; 0 where there is little memory"),
            (self.seed, "Seed", "Of all that is random: with the same, a training can be repeated"),
            (self.mosaic, "Mosaic", "Put four pictures together into one, the strongest of the changes that are made to them"),
        ):
            field.setAccessibleName(name)
            field.setToolTip(tip)
        self.browse_data = _button("Browse…", "Choose the dataset", self._choose_data)
        self.browse_data.setAccessibleName("Browse for a dataset")
        self.example = _button(MAKE, "Draw a small dataset to try a training with: circles, squares, triangles", self._draw)
        self.browse_start = _button("Browse…", "Choose a checkpoint, or the file of an architecture", self._choose_start)
        self.browse_start.setAccessibleName("Browse for a checkpoint")
        self.go = _button("Start training", "Train like this; the window goes on meanwhile (Enter)", self.submit)
        self.go.setIcon(icon("play"))
        self.more = _button("", "Show or hide what seldom needs a change", lambda: None)
        self.more.setCheckable(True)
        self.more.setAccessibleName("Advanced options")
        self.problem = Told()
        self._rare = QWidget()
        self._fields = _Fields()
        self._lay_out()
        self.more.toggled.connect(self._unfold)
        self._unfold(False)
        self._drawn.connect(self._take_example)
        self.data.textChanged.connect(self.problem.clear)
        self.start.currentIndexChanged.connect(self.problem.clear)
        bridge.state_changed.connect(self._offer_open)
        self._offer(store.text("training_start"))
        self._offer_open(bridge.state)
        self._tell_missing()
        self.setFocusProxy(self.data)

    @property
    def _example_folder(self) -> Path:
        return self._bridge.session.folder / EXAMPLE

    def submit(self) -> None:
        """Ask for a training like this, unless something is wrong with it, which is said then."""
        self.problem.clear()
        data, start = self.data.text().strip(), str(self.start.currentData())
        device = self.device.currentText().strip()
        options: dict[str, Any] = {
            "data": data,
            "epochs": self.epochs.value(),
            "imgsz": self.imgsz.value(),
            "batch": self.batch.value(),
            "device": None if device in ("", AUTOMATIC) else device,
            "optimizer": self.optimizer.currentData(),
            "patience": self.patience.value(),
            "workers": self.workers.value(),
            "seed": self.seed.value(),
            "mosaic": _USUAL.mosaic if self.mosaic.isChecked() else 0.0,
        }
        if Path(data).parent == self._example_folder:
            options["nbs"] = options["batch"]  # its few pictures would make a single step of an epoch
        try:
            check_installed()
            if not data:
                raise OptionError("Choose a dataset first: a YAML or COCO json file, or the example set")
            if self.imgsz.value() % _STEP:
                raise OptionError(
                    f"An image size of {self.imgsz.value()} is no multiple of {_STEP}; {_near(self.imgsz.value())} is"
                )
            options["lr0"] = _rate(self.lr0.text().strip())
            TrainOptions.build(options)
        except FramehookError as error:
            self.refuse(one_line(error))
            (self.data if not data else self.go).setFocus()
            return
        self._store.set_text("training_data", data)
        self._store.set_text("training_start", start)
        self.wanted.emit(start, options)

    def refuse(self, text: str) -> None:
        """Say why there is no training."""
        self.problem.tell(Level.ERROR, text)

    def begin_from(self, path: str) -> None:
        """Offer a checkpoint or the file of an architecture, and choose it."""
        self._offer(path)

    def close_down(self, timeout: float) -> bool:
        """Wait so many seconds for what is being drawn; whether it is. One that is not complete is drawn anew next time."""
        return self._example is None or self._example.close(timeout)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """What nothing in it had a use for: Enter starts, as in a dialog."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.submit()
        else:
            super().keyPressEvent(event)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        rows: tuple[tuple[str, QWidget], ...] = (
            ("Dataset", _beside(self.data, self.browse_data)),
            ("Start from", _beside(self.start, self.browse_start)),
        )
        for row, (text, field) in enumerate(rows):
            grid.addWidget(_label(text, (self.data, self.start)[row]), row, 0)
            grid.addWidget(field, row, 1, 1, 3)
        for place, (text, short) in enumerate(
            (("Epochs", self.epochs), ("Image size", self.imgsz), ("Batch", self.batch), ("Device", self.device))
        ):
            grid.addWidget(_label(text, short), 2 + place // 2, 2 * (place % 2))
            grid.addWidget(short, 2 + place // 2, 2 * (place % 2) + 1)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        rare = QFormLayout(self._rare)
        rare.setContentsMargins(0, 0, 0, 0)
        rare.setVerticalSpacing(4)
        for each in (self.lr0, self.optimizer, self.patience, self.workers, self.seed):
            rare.addRow(_label(each.accessibleName(), each), each)
        rare.addRow(self.mosaic)
        inner = QWidget()
        fields = QVBoxLayout(inner)
        fields.setContentsMargins(0, 0, 0, 0)
        fields.setSpacing(4)
        fields.addLayout(grid)
        fields.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        fields.addWidget(self._rare)
        fields.addStretch()
        self._fields.setWidget(inner)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._fields)
        column.addWidget(self.problem)
        line = QHBoxLayout()
        line.addWidget(self.go)
        line.addStretch()
        line.addWidget(self.example)
        column.addLayout(line)
        column.addStretch()

    def set_upright(self, upright: bool) -> None:
        """Take the height that all fields need, as there is enough above each other; else they scroll, above the buttons."""
        self._fields.set_whole(upright)

    def _unfold(self, unfolded: bool) -> None:
        self.more.setText(f"{'▾' if unfolded else '▸'} Advanced")
        self._rare.setVisible(unfolded)
        self._fields.updateGeometry()
        if unfolded:
            self._fields.ensureWidgetVisible(self.lr0)

    def _tell_missing(self) -> None:
        """Say at once what is not installed."""
        try:
            check_installed()
        except FramehookError as error:
            self.refuse(one_line(error))
            self.go.setEnabled(False)

    # What to start from -----------------------------------------------------------------------------------------------------

    def _offer(self, chosen: str) -> None:
        """List what can be started from, with `chosen` in the list and chosen, where it is something."""
        files = [
            text for text in self._store.recent("model") if Path(text).suffix.lower() in CHECKPOINTS and Path(text).is_file()
        ]
        if Path(chosen).suffix.lower() in (*CHECKPOINTS, *DESCRIPTIONS) and Path(chosen).is_file():
            files.insert(0, chosen)
        if self._open is not None:
            files.insert(0, self._open)
        before = self.start.blockSignals(True)
        self.start.clear()
        for file in dict.fromkeys(files):
            title = "the open model" if file == self._open else Path(file).parent.name
            self.start.addItem(icon("model"), f"{Path(file).name} ({title})", file)
            self.start.setItemData(self.start.count() - 1, file, Qt.ItemDataRole.ToolTipRole)
        for name in known_architectures():
            self.start.addItem(f"{name}, untrained", f"{name}.yaml")
        self.start.blockSignals(before)
        place = self.start.findData(chosen or self._open)
        self.start.setCurrentIndex(place if place >= 0 else self.start.findData(f"{FIRST}.yaml"))

    def _offer_open(self, state: SessionState) -> None:
        spec = None if state.model is None else state.model.spec
        there = str(spec) if spec is not None and Path(spec).suffix.lower() in CHECKPOINTS else None
        if there != self._open:
            self._open = there
            self._offer(str(self.start.currentData()))

    def _choose_start(self) -> None:
        self._choose("Start from", _MODELS, self.begin_from)

    # Data -------------------------------------------------------------------------------------------------------------------

    def _choose_data(self) -> None:
        self._choose("Open a dataset", _DATA, self.data.setText)

    def _choose(self, title: str, kinds: str, take: Callable[[str], object]) -> None:
        dialog = QFileDialog(self, title, self._store.text("training_folder"), kinds)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda file: self._store.set_text("training_folder", str(Path(file).parent)))
        dialog.fileSelected.connect(take)
        dialog.open()

    def _draw(self) -> None:
        self.example.setEnabled(False)
        self.example.setText("Drawing…")
        self.problem.clear()
        self._example = ExampleSet(self._example_folder, self._tell_drawn)

    def _tell_drawn(self) -> None:
        """From the thread that draws."""
        with contextlib.suppress(RuntimeError):  # the form is gone
            self._drawn.emit()

    def _take_example(self) -> None:
        made, self._example = self._example, None
        self.example.setEnabled(True)
        self.example.setText(MAKE)
        if made is None or not made.close():
            return
        if made.path is None:
            self.refuse(made.error or "the example set cannot be drawn")
            return
        self.data.setText(str(made.path))
        self.epochs.setValue(EXAMPLE_EPOCHS)
        self.imgsz.setValue(EXAMPLE_SIDE)
        self.batch.setValue(EXAMPLE_BATCH)
        self.go.setFocus()


class _Fields(QScrollArea):
    """Fields below each other, as high as they are where there is room, and scrolled where there is not."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its fields are reached by themselves
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

    def set_whole(self, whole: bool) -> None:
        """Never scroll."""
        self._whole = whole
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        inner = self.widget()
        return super().sizeHint() if inner is None else inner.sizeHint()

    def minimumSizeHint(self) -> QSize:
        inner, bar = self.widget(), self.verticalScrollBar()
        if inner is None or bar is None:
            return super().minimumSizeHint()
        least = inner.minimumSizeHint()
        if self._whole:
            return least
        return QSize(least.width() + bar.sizeHint().width(), min(least.height(), 2 * self.fontMetrics().height()))


def _rate(text: str) -> float | None:
    """The learning rate that was typed; None where none was.

    Raises:
        OptionError: it is no number.
    """
    try:
        return float(text) if text else None
    except ValueError:
        raise OptionError(f"A learning rate of '{text}' is no number; type one such as 0.01, or none at all") from None


def _near(side: int) -> int:
    return max(_STEP, round(side / _STEP) * _STEP)


def _whole(least: int, most: int, value: int, step: int) -> QSpinBox:
    field = QSpinBox()
    field.setRange(least, most)
    field.setSingleStep(step)
    field.setValue(value)
    field.setMinimumWidth(70)
    return field


def _label(text: str, buddy: QWidget) -> QLabel:
    label = QLabel(text)
    label.setBuddy(buddy)
    label.setToolTip(buddy.toolTip())
    return label


def _beside(first: QWidget, *buttons: QWidget) -> QWidget:
    widget = QWidget()
    line = QHBoxLayout(widget)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(4)
    line.addWidget(first, 1)
    for button in buttons:
        line.addWidget(button)
    return widget


def _button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(True)  # Enter presses it, as Space does
    button.clicked.connect(lambda: clicked())
    return button
