"""What is to be so from now on: looks, what the app begins with, how it plays, where it saves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from PyQt6.QtCore import QStandardPaths, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import icon, without_icons
from framehook.app.gui.scale import fitting_scales
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import THEMES, Theme, apply_theme
from framehook.app.session.state import Level
from framehook.inference.backends import available_devices
from framehook.inference.callbacks.overlay import LAYERS
from framehook.inference.callbacks.tracking import tracker_names

USUAL_TRACKERS: Final = ("bytetrack", "sort", "ocsort", "botsort", "cbiou", "mcbyte")
_THEMES: Final = {"system": "As the system is", "light": "Light", "dark": "Dark"}
_LAYERS: Final = {
    "boxes": "&Boxes",
    "labels": "&Labels",
    "confidence": "Con&fidence",
    "trails": "T&rails",
    "heatmap": "&Heat map",
    "blur": "Bl&ur",
    "pixelate": "Pi&xelate",
}


def known_trackers() -> list[str]:
    """The trackers to choose from. Their package is slow to import: before it was needed, the usual ones are named."""
    return tracker_names() if "trackers" in sys.modules else list(USUAL_TRACKERS)


class SettingsDialog(QDialog):
    """Settings, kept in the store with OK. The theme changes at once, to be seen, and back with Cancel."""

    saved = pyqtSignal(object)
    """`Settings`: they were kept, and are to be in force."""

    def __init__(self, bridge: Bridge, parent: QWidget | None, store: Store) -> None:
        super().__init__(parent)
        self._bridge = bridge
        self._store = store
        self.setWindowTitle("Settings")

        self._theme = _choice("Theme", "Light or dark; changes at once", [(_THEMES[each], each) for each in THEMES])
        self._theme.currentIndexChanged.connect(self._show_theme)
        sizes = [(f"{each} %", each) for each in sorted({*fitting_scales(), store.settings().scale})]
        tip = "How large letters and symbols are, from the next start on, unless QT_SCALE_FACTOR says otherwise"
        self._scale = _choice("Size", tip, sizes)
        starts = [("Nothing", "nothing"), ("What was open last", "last")]
        self._start = _choice("Start with", "What is open when the app starts; passwords are not kept", starts)
        self._folder = QLineEdit()
        self._folder.setAccessibleName("Save in")
        self._folder.setToolTip("Where recordings, pictures and rows are saved")
        self._folder.setMinimumWidth(280)
        choose = QPushButton(icon("folder"), "Choose…")
        choose.setAutoDefault(False)
        choose.setToolTip("Choose the folder to save in")
        choose.clicked.connect(self._choose_folder)
        folder = QHBoxLayout()
        folder.addWidget(self._folder, 1)
        folder.addWidget(choose)
        app = QFormLayout()
        app.addRow("&Theme", self._theme)
        app.addRow("Si&ze", self._scale)
        app.addRow("Start &with", self._start)
        saves = QLabel("Save &in")
        saves.setBuddy(self._folder)
        app.addRow(saves, folder)

        self._conf = _share("Confidence", "Detections that score less are left out")
        self._iou = _share("Overlap", "Of two boxes of a class that overlap more than this, the weaker one is left out")
        trackers = [("None", None), *((name, name) for name in known_trackers())]
        self._tracker = _choice("Tracker", "What follows objects from frame to frame", trackers)
        self._layers = {name: QCheckBox(_LAYERS[name]) for name in sorted(LAYERS, key=list(_LAYERS).index)}
        layers = QGridLayout()
        for place, box in enumerate(self._layers.values()):
            box.setToolTip("Draw it into the picture")
            layers.addWidget(box, place // 4, place % 4)
        finds = QFormLayout()
        finds.addRow("&Confidence", self._conf)
        finds.addRow("&Overlap (IoU)", self._iou)
        finds.addRow("Trac&ker", self._tracker)
        finds.addRow("Draw", layers)

        paces = [("At their own speed", "realtime"), ("As fast as possible", "max")]
        self._pace = _choice("Files play", "Streams and cameras always come at their own speed", paces)
        self._loop = QCheckBox("Begin again at the &end")
        self._loop.setToolTip("Files are played over and over")
        devices = [("The best there is", None), *((name, name) for name in available_devices())]
        self._device = _choice("Models run on", "Takes effect when a model is opened next", devices)
        plays = QFormLayout()
        plays.addRow("Files &play", self._pace)
        plays.addRow("", self._loop)
        plays.addRow("&Models run on", self._device)

        buttons = QDialogButtonBox.StandardButton
        self._buttons = without_icons(QDialogButtonBox(buttons.Ok | buttons.Cancel | buttons.RestoreDefaults))
        restore = self._buttons.button(buttons.RestoreDefaults)
        if restore is not None:
            restore.setText("Reset to &defaults")
            restore.setToolTip("Show the settings as they are at first; OK keeps them")
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._buttons.clicked.connect(self._maybe_restore)
        whole = QVBoxLayout(self)
        for title, form in (("The app", app), ("What is found and drawn", finds), ("Playing", plays)):
            group = QGroupBox(title)
            group.setLayout(form)
            whole.addWidget(group)
        whole.addStretch(1)
        whole.addWidget(self._buttons)
        self._folder.textChanged.connect(self._check)
        self._show(store.settings())

    def chosen(self) -> Settings:
        """What the dialog shows."""
        return Settings(
            theme=self._theme.currentData(),
            scale=self._scale.currentData(),
            start_with=self._start.currentData(),
            conf=self._conf.value(),
            iou=self._iou.value(),
            tracker=self._tracker.currentData(),
            overlay=tuple(name for name, box in self._layers.items() if box.isChecked()),
            pace=self._pace.currentData(),
            loop=self._loop.isChecked(),
            save_dir=Path(self._folder.text().strip()).expanduser(),
            device=self._device.currentData(),
        )

    def accept(self) -> None:
        chosen = self.chosen()
        self._store.save(chosen)
        if not self._store.sync():
            self._bridge.report(Level.WARNING, f"the settings cannot be kept: {self._store.path} cannot be written")
        super().accept()
        self.saved.emit(chosen)

    def reject(self) -> None:
        _apply(self._store.settings().theme)  # which the menu may have changed meanwhile
        super().reject()

    def _show(self, settings: Settings) -> None:
        _set(self._theme, settings.theme)
        _set(self._scale, settings.scale)
        _set(self._start, settings.start_with)
        self._folder.setText(str(settings.save_dir))
        self._conf.setValue(settings.conf)
        self._iou.setValue(settings.iou)
        _set(self._tracker, settings.tracker)
        for name, box in self._layers.items():
            box.setChecked(name in settings.overlay)
        _set(self._pace, settings.pace)
        self._loop.setChecked(settings.loop)
        _set(self._device, settings.device)

    def _show_theme(self) -> None:
        _apply(self._theme.currentData())

    def _maybe_restore(self, button: QAbstractButton | None) -> None:
        if button is self._buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults):
            self._show(Settings())

    def _check(self) -> None:
        text = self._folder.text().strip()
        fits = bool(text) and Path(text).expanduser().is_absolute()
        ok = self._buttons.button(QDialogButtonBox.StandardButton.Ok)
        if ok is not None:
            ok.setEnabled(fits)
            ok.setToolTip("" if fits else "The folder to save in has to be a whole path")

    def _choose_folder(self) -> None:
        start = self._folder.text().strip()
        if not Path(start).expanduser().is_dir():
            start = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        dialog = QFileDialog(self, "Save in", start)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._folder.setText)
        dialog.open()


def _apply(theme: Theme) -> None:
    app = QApplication.instance()
    if isinstance(app, QApplication):
        apply_theme(app, theme)


def _choice(name: str, tip: str, words: list[tuple[str, Any]]) -> QComboBox:
    box = QComboBox()
    for text, value in words:
        box.addItem(text, value)
    box.setAccessibleName(name)
    box.setToolTip(tip)
    return box


def _set(box: QComboBox, value: Any) -> None:
    place = box.findData(value)
    if place < 0:  # kept by another version, or on another computer: it is shown as it is rather than changed
        box.addItem(str(value), value)
        place = box.count() - 1
    box.setCurrentIndex(place)


def _share(name: str, tip: str) -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, 1)
    box.setSingleStep(0.05)
    box.setDecimals(2)
    box.setAccessibleName(name)
    box.setToolTip(f"{tip}; from 0 to 1")
    return box
