"""The dialog that chooses a model: the bundled one, one that was pulled or opened before, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from framehook.app.describe import megabytes
from framehook.app.gui.icons import icon
from framehook.inference.backends import available_devices
from framehook.inference.decoders import known_decoders
from framehook.inference.load import BUNDLED, CHECKPOINTS, MODEL_FILES, bundled_model
from framehook.inference.nets.architecture import known_architectures
from framehook.inference.registry import REGISTRY, Registry

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge
    from framehook.app.gui.settings_store import Store

AUTOMATIC: Final = "Automatic"
_CHOICE: Final = Qt.ItemDataRole.UserRole
_FILTER: Final = f"Models ({' '.join(f'*{ending}' for ending in MODEL_FILES)});;All files (*)"
_FOLDER: Final = "model_folder"
_WIDE: Final = 44
_HIGH: Final = 40
"""Of the dialog, in lines of text, so that it grows with the letters."""
_OF_SCREEN: Final = 0.9


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model that can be chosen.

    Attributes:
        spec: What to open; None for the bundled detector.
        file: Its file.
        title: What to call it.
        about: What is known of it.
    """

    spec: str | None
    file: Path
    title: str
    about: str


class OpenModelDialog(QDialog):
    """Chooses a model and what to run it on; the session loads it, and tells what is wrong with it."""

    def __init__(self, bridge: Bridge, parent: QWidget | None, store: Store, registry: Registry = REGISTRY) -> None:
        """Offer what is at hand; no model is read for that.

        Args:
            bridge: Where the model is used.
            parent: The window.
            store: What remembers models that were opened before.
            registry: Where models lie that were pulled.
        """
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self.setWindowTitle("Open model")
        self.setModal(False)
        self.models = QListWidget()
        self.models.setAccessibleName("Models")
        self.models.setToolTip("Models at hand; open one with Enter or a double click")
        self.models.setIconSize(QSize(20, 20))
        self.models.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.models.setAlternatingRowColors(True)
        self.models.setWordWrap(True)
        self.models.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # what is too long is wrapped
        self.models.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.models.setSpacing(2)
        self.more = _told("")
        self.facts = _told("")
        self.facts.setAccessibleName("What is known of the model")
        self.device = _choice("Where the model runs: cpu, cuda, cuda:1…", *available_devices())
        self.device.setEditable(True)
        self.device.setCurrentText(store.settings().device or AUTOMATIC)
        self.decoder = _choice("How its outputs are laid out, where the file does not say so itself", *known_decoders())
        self.architecture = _choice("The network of a checkpoint that holds weights alone", *known_architectures())
        form = QFormLayout()
        for text, field in (("Runs &on", self.device), ("Output &layout", self.decoder), ("&Architecture", self.architecture)):
            form.addRow(text, field)
            form.addRow("", _told(field.toolTip()))
            field.setAccessibleName(text.replace("&", ""))
        self.browse_button = QPushButton(icon("open-file"), "&Browse…")
        self.browse_button.setToolTip("Choose a model file: .onnx, or a checkpoint, .pt")
        self.browse_button.setAutoDefault(False)
        self.browse_button.clicked.connect(self.browse)
        self.open_button = QPushButton(icon("model"), "&Open")
        self.open_button.setToolTip("Go on with this model (Enter)")
        self.open_button.setDefault(True)
        self.open_button.clicked.connect(self.open_chosen)
        cancel = QPushButton("Cancel")
        cancel.setToolTip("Keep the model in use (Esc)")
        cancel.setAutoDefault(False)
        cancel.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addWidget(self.browse_button)
        buttons.addStretch()
        buttons.addWidget(self.open_button)
        buttons.addWidget(cancel)
        layout = QVBoxLayout(self)
        layout.addWidget(self.models, 1)
        layout.addWidget(self.facts)
        layout.addWidget(self.more)
        layout.addSpacing(8)
        layout.addLayout(form)
        layout.addSpacing(8)
        layout.addLayout(buttons)
        line = self.fontMetrics().height()
        size, screen = QSize(_WIDE * line, _HIGH * line), self.screen()
        self.resize(size if screen is None else size.boundedTo(screen.availableSize() * _OF_SCREEN))
        self._fill(registry)
        self.models.currentItemChanged.connect(self._describe)
        self.models.itemActivated.connect(self.open_chosen)
        self._choose_the_one_in_use()
        self._describe()

    def browse(self) -> None:
        """Choose a file, to be offered; returns at once."""
        dialog = QFileDialog(self, "Open model", self._store.text(_FOLDER), _FILTER)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self.offer(Path(name)))
        dialog.open()

    def offer(self, path: Path) -> None:
        """Put a file at the top of the list, chosen, so that it can be opened as it is or with other settings."""
        path = path.expanduser().absolute()
        self._store.set_text(_FOLDER, str(path.parent))
        for row in range(self.models.count()):
            item = self.models.item(row)
            if item is not None and item.data(_CHOICE).file == path:
                self.models.setCurrentItem(item)
                break
        else:
            self.models.insertItem(0, _item(_of_file(path)))
            self.models.setCurrentRow(0)
        self.open_button.setFocus()

    def open_chosen(self) -> None:
        """Go on with what is chosen."""
        choice = self._chosen()
        if choice is None:
            return
        named = self.architecture.isEnabled()
        self._bridge.session.use_model(
            choice.spec,
            device=_picked(self.device),
            decoder=_picked(self.decoder),
            architecture=_picked(self.architecture) if named else None,
        )
        if choice.spec == str(choice.file):
            self._store.add_recent("model", choice.spec)
        self.accept()

    def _fill(self, registry: Registry) -> None:
        size = _size(bundled_model())
        about = f"Finds people, 320 x 320, {size}; small and modest, and always there"
        choices = [_Choice(None, bundled_model(), f"{BUNDLED}, the bundled person detector", about)]
        for entry in registry.entries.values():
            path = registry.path_of(entry.name)
            if path.is_file():
                choices.append(_Choice(entry.name, path, entry.name, f"{entry.about}, {_size(path)}, {entry.licence}; pulled"))
        choices += [_of_file(Path(text)) for text in self._store.recent("model")]
        for choice in choices:
            self.models.addItem(_item(choice))
        missing = [name for name in registry.entries if not registry.path_of(name).is_file()]
        if missing:
            self.more.setText(f"More can be pulled on the command line, such as: framehook models pull {missing[0]}")

    def _choose_the_one_in_use(self) -> None:
        model = self._bridge.state.model
        spec = None if model is None or model.spec is None else str(model.spec)
        self.models.setCurrentRow(0)
        for row in range(self.models.count()):
            item = self.models.item(row)
            if item is not None and item.data(_CHOICE).spec == spec:
                self.models.setCurrentRow(row)
                return

    def _chosen(self) -> _Choice | None:
        item = self.models.currentItem()
        choice: _Choice | None = None if item is None else item.data(_CHOICE)
        return choice

    def _describe(self) -> None:
        """Say what is known of what is chosen without reading it."""
        choice = self._chosen()
        checkpoint = choice is not None and choice.file.suffix.lower() in CHECKPOINTS
        self.architecture.setEnabled(checkpoint)
        self.open_button.setEnabled(choice is not None)
        if choice is None:
            self.facts.setText("")
            return
        told = [str(choice.file)]
        if checkpoint and find_spec("torch") is None:
            told.append("It needs PyTorch, which is not installed: pip install 'framehook[torch]'")
        self.facts.setText("\n".join(told))


def _of_file(path: Path) -> _Choice:
    try:
        there = path.stat()
    except OSError:
        return _Choice(str(path), path, path.name, "It is not there any more")
    kind = "Checkpoint of PyTorch" if path.suffix.lower() in CHECKPOINTS else "ONNX file"
    changed = datetime.fromtimestamp(there.st_mtime).strftime("%Y-%m-%d %H:%M")
    return _Choice(str(path), path, path.name, f"{kind}, {megabytes(there.st_size)}, changed {changed}")


def _item(choice: _Choice) -> QListWidgetItem:
    gone = not choice.file.is_file()
    item = QListWidgetItem(icon("warning" if gone else "model"), f"{choice.title}\n{choice.about}")
    item.setData(_CHOICE, choice)
    item.setToolTip(str(choice.file))
    return item


def _told(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignTop)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def _choice(tip: str, *words: str) -> QComboBox:
    field = QComboBox()
    field.addItems((AUTOMATIC, *words))
    field.setToolTip(tip)
    return field


def _picked(field: QComboBox) -> str | None:
    text = field.currentText().strip()
    return None if text in ("", AUTOMATIC) else text


def _size(path: Path) -> str:
    return megabytes(path.stat().st_size)
