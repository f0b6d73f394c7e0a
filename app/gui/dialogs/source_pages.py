"""The pages of the dialog that opens a source, one for each kind."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Final

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QPalette
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QCompleter,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from framehook.app.cameras import Camera, list_cameras
from framehook.app.gui.icons import icon
from framehook.app.gui.settings_store import Store, recent_icon, recent_name
from framehook.app.session.preview import ScreenSearch
from framehook.inference.errors import did_you_mean
from framehook.inference.sources import Screen, list_screens
from framehook.inference.sources.addresses import SCHEMES, redacted, scheme_of
from framehook.inference.sources.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_order

LISTS: Final = (".streams", ".txt", ".m3u8")
_FOLDER: Final = "open-source-folder"
_SIZES: Final = ((320, 240), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))
_GUESSED: Final = 4
"""Cameras to offer where they cannot be listed."""
_SPEC: Final = Qt.ItemDataRole.UserRole


class Page(QWidget):
    """Lets the user choose one source of a kind."""

    changed = pyqtSignal()
    """What would be opened, or said, is another."""
    activated = pyqtSignal()
    """It is to be opened now."""

    title: ClassVar[str]
    sign: ClassVar[str]
    about: ClassVar[str]

    def spec(self) -> Any:
        """What would be opened; None for nothing."""
        return None

    def preview(self) -> Any:
        """What to show of it before; None for nothing."""
        return self.spec()

    def reason(self) -> str:
        """What to say where there is nothing to show."""
        return ""

    def remember(self, store: Store) -> None:
        """It is opened now; that it was is remembered by whoever opens it, what is special to the page here."""

    def enter(self) -> None:
        """The page is shown now."""

    def leave(self) -> None:
        """The dialog is closed."""


class CamerasPage(Page):
    """The cameras of this computer."""

    title = "Camera"
    sign = "camera"
    about = "A webcam, or whatever the system offers as one"

    def __init__(self, cameras: Callable[[], list[Camera]] = list_cameras, platform: str = sys.platform) -> None:
        super().__init__()
        self._cameras = cameras
        self._lists = platform.startswith("linux")
        self._list = _list("Cameras")
        self._list.currentItemChanged.connect(lambda *_: self.changed.emit())
        self._list.itemDoubleClicked.connect(lambda _item: self.activated.emit())
        self.setFocusProxy(self._list)
        again = QPushButton(icon("reload"), "Look again")
        again.setToolTip("Look for cameras again, after one was connected")
        again.setAutoDefault(False)
        again.clicked.connect(self._look)
        whole = _column(self)
        whole.addWidget(self._list, 1)
        whole.addWidget(again, 0, Qt.AlignmentFlag.AlignLeft)

    def spec(self) -> int | None:
        item = self._list.currentItem()
        return None if item is None else int(item.data(_SPEC))

    def reason(self) -> str:
        return "No camera is connected to this computer (there is no /dev/video*)." if self._lists else ""

    def enter(self) -> None:
        if self._list.count() == 0:
            self._look()

    def _look(self) -> None:
        before = self.spec()
        self._list.clear()
        if self._lists:
            for camera in self._cameras():
                _add(self._list, camera.number, "camera", _camera_name(camera))
        else:
            for number in range(_GUESSED):
                _add(self._list, number, "camera", f"Camera {number}")
        _choose(self._list, before)
        self.changed.emit()


class ScreensPage(Page):
    """The screens of this computer."""

    title = "Screen"
    sign = "screen"
    about = "What a monitor shows"

    _found = pyqtSignal(object, str)

    def __init__(self, screens: Callable[[], list[Screen]] = list_screens) -> None:
        super().__init__()
        self._screens = screens
        self._search: ScreenSearch | None = None
        self._why = ""
        self._list = _list("Screens")
        self._list.currentItemChanged.connect(lambda *_: self.changed.emit())
        self._list.itemDoubleClicked.connect(lambda _item: self.activated.emit())
        self.setFocusProxy(self._list)
        self._rate = QSpinBox()
        self._rate.setRange(1, 60)
        self._rate.setValue(30)
        self._rate.setSuffix(" fps")
        self._rate.setToolTip("How often a picture is taken of it")
        self._rate.setAccessibleName("Frame rate")
        self._rate.valueChanged.connect(lambda _value: self.changed.emit())
        whole = _column(self)
        whole.addWidget(self._list, 1)
        form = QFormLayout()
        form.addRow("&Rate", self._rate)
        whole.addLayout(form)
        self._found.connect(self._show)

    def spec(self) -> str | None:
        item = self._list.currentItem()
        return None if item is None else f"screen:{item.data(_SPEC)}@{self._rate.value()}"

    def reason(self) -> str:
        return self._why

    def enter(self) -> None:
        if self._search is None:
            self._why = "Looking for screens…"
            self.changed.emit()
            self._search = ScreenSearch(self._found.emit, self._screens)

    def leave(self) -> None:
        if self._search is not None:
            self._search.close()
            self._search = None

    def _show(self, screens: list[Screen], reason: str) -> None:
        self._why = reason or ("" if screens else "There is no screen.")
        self._list.clear()
        single = len(screens) == 2  # the first is all of them together, which is the same then
        for screen in screens[1:] if single else screens:
            size = "{} x {}".format(*screen.size)
            name = f"Screen {screen.number}" if screen.number else "All screens together"
            _add(self._list, screen.number, "screen", ", ".join(filter(None, (name, size, screen.name))))
        _choose(self._list, 1)
        self.changed.emit()


class FilesPage(Page):
    """Files, folders and patterns."""

    title = "File or folder"
    sign = "open-file"
    about = "Videos, pictures, folders and patterns of them, lists of sources"

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._line = QLineEdit()
        self._line.setPlaceholderText("A file, a folder, or a pattern such as shots/*.jpg")
        self._line.setAccessibleName("File, folder or pattern")
        self._line.setClearButtonEnabled(True)
        self._line.textChanged.connect(lambda _text: self.changed.emit())
        files = QPushButton(icon("open-file"), "Choose &files…")
        files.setToolTip("Choose videos or pictures; several are played one after another")
        folder = QPushButton(icon("folder"), "Choose f&older…")
        folder.setToolTip("Choose a folder of videos or pictures")
        files.clicked.connect(self._choose_files)
        folder.clicked.connect(self._choose_folder)
        buttons = QHBoxLayout()
        for button in (files, folder):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        self._recent = _recent_list((each for each in store.recent("source") if recent_icon(each) == "video"), self._line)
        self._recent.itemDoubleClicked.connect(lambda _item: self.activated.emit())
        whole = _column(self)
        whole.addWidget(self._line)
        whole.addLayout(buttons)
        whole.addWidget(_heading("Opened before", self._recent))
        whole.addWidget(self._recent, 1)
        whole.addStretch(0 if self._recent.count() else 1)
        self.setFocusProxy(self._line)

    def spec(self) -> Path | str | tuple[Path | str, ...] | None:
        text = self._line.text().strip()
        # A file may be called 0, or screen; as a path it is not taken for a camera.
        found = tuple(
            each if scheme_of(each) else Path(each).expanduser().absolute() for each in _quoted(text) or filter(None, [text])
        )
        return found if len(found) > 1 else found[0] if found else None

    def preview(self) -> Path | None:
        spec = self.spec()
        first = spec[0] if isinstance(spec, tuple) else spec
        # An address would be connected to with every letter that is typed, and a list of sources is no source.
        return first if isinstance(first, Path) and first.suffix.lower() not in LISTS else None

    def reason(self) -> str:
        if self.spec() is None:
            return "Type or choose what to open, for example shots/*.jpg; it is shown here first"
        return "There is no preview of a list of sources, or of an address."

    def show_paths(self, paths: Iterable[str]) -> None:
        """Put paths on the line, as if they were typed."""
        several = list(paths)
        self._line.setText(several[0] if len(several) == 1 else " ".join(f'"{path}"' for path in several))

    def _choose_files(self) -> None:
        media = " ".join(f"*{suffix}" for suffix in sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        lists = " ".join(f"*{suffix}" for suffix in LISTS)
        kinds = f"Videos and pictures ({media});;Lists of sources ({lists});;All files (*)"
        dialog = QFileDialog(self, "Open videos or pictures", self._store.text(_FOLDER), kinds)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._take_files)
        dialog.open()

    def _choose_folder(self) -> None:
        dialog = QFileDialog(self, "Open a folder of videos or pictures", self._store.text(_FOLDER))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._take_folder)
        dialog.open()

    def _take_files(self, files: list[str]) -> None:
        self._store.set_text(_FOLDER, str(Path(files[0]).parent))
        self.show_paths(sorted(files, key=lambda each: natural_order(Path(each))))

    def _take_folder(self, folder: str) -> None:
        self._store.set_text(_FOLDER, folder)
        self.show_paths([folder])


class AddressPage(Page):
    """Addresses of streams."""

    title = "Address"
    sign = "link"
    about = "A network camera or another stream"

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._tried: str | None = None
        known = store.recent("address")
        self._line = QLineEdit()
        self._line.setPlaceholderText("rtsp://user:password@camera/stream")
        self._line.setAccessibleName("Address")
        self._line.setToolTip("RTSP, RTMP, HTTP (MJPEG, HLS, files), TCP, UDP; user name and password are not kept")
        self._line.setClearButtonEnabled(True)
        self._line.textChanged.connect(self._type)
        completer = QCompleter(known, self._line)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self._line.setCompleter(completer)
        self._try = QPushButton(icon("play"), "&Try it")
        self._try.setToolTip("Connect, and show what comes, without opening it yet")
        self._try.setAutoDefault(False)
        self._try.clicked.connect(self._attempt)
        line = QHBoxLayout()
        line.addWidget(self._line, 1)
        line.addWidget(self._try)
        self._recent = _recent_list(known, self._line)
        self._recent.itemDoubleClicked.connect(lambda _item: self.activated.emit())
        whole = _column(self)
        whole.addLayout(line)
        whole.addWidget(_heading("Opened before, without user name and password", self._recent))
        whole.addWidget(self._recent, 1)
        whole.addStretch(0 if self._recent.count() else 1)
        self.setFocusProxy(self._line)
        self._type()

    def spec(self) -> str | None:
        text = self._line.text().strip()
        return text if scheme_of(text) in SCHEMES and text.partition("://")[2] else None

    def preview(self) -> str | None:
        return self._tried if self._tried == self.spec() else None

    def reason(self) -> str:
        text = self._line.text().strip()
        if not text:
            return "For example rtsp://user:password@camera/stream or http://camera/video.mjpg"
        scheme = scheme_of(text)
        if not scheme:
            return "An address begins with rtsp://, http://, rtmp://, tcp:// or udp://"
        if scheme not in SCHEMES:
            known = f" Use one of {', '.join(sorted(SCHEMES))}."
            return f"{scheme}:// is unknown.{did_you_mean(scheme, SCHEMES) or known}"
        return "Press “Try it” to see what comes, or open it." if self.spec() else "Now the host, such as camera.local/stream"

    def remember(self, store: Store) -> None:
        store.add_recent("address", self._line.text())

    def _type(self) -> None:
        self._tried = None
        self._try.setEnabled(self.spec() is not None)
        self.changed.emit()

    def _attempt(self) -> None:
        # Twice the same is to try it again.
        self._tried = None
        self.changed.emit()
        self._tried = self.spec()
        self.changed.emit()


class ScenePage(Page):
    """A generated scene."""

    title = "Test scene"
    sign = "scene"
    about = "Discs that move, at any size and rate: to see how fast this computer is"

    def __init__(self) -> None:
        super().__init__()
        self._size = QComboBox()
        for size in _SIZES:
            self._size.addItem("{} x {}".format(*size), size)
        self._size.setCurrentIndex(1)
        self._size.setAccessibleName("Size")
        self._size.setToolTip("Width and height in pixels")
        self._rate = QSpinBox()
        self._rate.setRange(1, 240)
        self._rate.setValue(30)
        self._rate.setSuffix(" fps")
        self._rate.setAccessibleName("Frame rate")
        self._rate.setToolTip("Frames a second")
        self._live = QCheckBox("&Like a camera: what comes too late for it is dropped")
        self._live.setChecked(True)
        self._live.setToolTip("Otherwise it is played as a file is")
        self._size.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self._rate.valueChanged.connect(lambda _value: self.changed.emit())
        self._live.toggled.connect(lambda _on: self.changed.emit())
        form = QFormLayout()
        form.addRow("Si&ze", self._size)
        form.addRow("&Rate", self._rate)
        form.addRow(self._live)
        whole = _column(self)
        whole.addLayout(form)
        whole.addStretch(1)
        self.setFocusProxy(self._size)

    def spec(self) -> str:
        return self._scene() + (":live" if self._live.isChecked() else "")

    def preview(self) -> str:
        return f"{self._scene()}:live"

    def _scene(self) -> str:
        width, height = self._size.currentData()
        return f"testsrc:{width}x{height}@{self._rate.value()}"


def _camera_name(camera: Camera) -> str:
    name = f"Camera {camera.number}" + (f", {camera.name}" if camera.name else "")
    if not camera.there:
        return f"{name} (there is no {camera.path})"
    if not camera.allowed:
        return f"{name} (you may not use it{f'; join the group {camera.group}' if camera.group else ''})"
    return name


def _quoted(text: str) -> list[str]:
    """The parts of a text that begins with a quotation mark, as file dialogs write several names."""
    return re.findall(r'"([^"]+)"', text) if text.startswith('"') else []


def _column(page: QWidget) -> QVBoxLayout:
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 0, 0, 0)
    return column


class ChoiceList(QListWidget):
    """A list in which Enter is for the dialog's own button."""

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()
        else:
            super().keyPressEvent(event)


def _list(name: str) -> QListWidget:
    shown = ChoiceList()
    shown.setAccessibleName(name)
    shown.setIconSize(QSize(20, 20))
    shown.setTextElideMode(Qt.TextElideMode.ElideMiddle)
    shown.setMinimumHeight(60)
    return shown


def _add(shown: QListWidget, spec: Any, sign: str, text: str) -> None:
    item = QListWidgetItem(icon(sign), text)
    item.setData(_SPEC, spec)
    item.setToolTip(text)
    shown.addItem(item)


def _choose(shown: QListWidget, spec: Any) -> None:
    """Choose the item of `spec`, else the first."""
    same = (row for row in range(shown.count()) if (item := shown.item(row)) is not None and item.data(_SPEC) == spec)
    shown.setCurrentRow(next(same, 0))


def _recent_list(texts: Iterable[str], line: QLineEdit) -> QListWidget:
    shown = _list("Opened before")
    for text in texts:
        item = QListWidgetItem(icon(recent_icon(text)), recent_name(text))
        item.setData(_SPEC, text)
        item.setToolTip(redacted(text))
        shown.addItem(item)

    def put(item: QListWidgetItem | None) -> None:
        if item is not None:
            line.setText(str(item.data(_SPEC)))

    shown.currentItemChanged.connect(lambda item, _before: put(item))
    shown.itemClicked.connect(put)
    shown.setVisible(shown.count() > 0)
    return shown


def _heading(text: str, below: QListWidget) -> QLabel:
    heading = QLabel(text)
    heading.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    heading.setBuddy(below)
    heading.setVisible(below.count() > 0)
    return heading
