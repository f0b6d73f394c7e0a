"""What stands in place of the picture while nothing is open: what this is, and how to begin."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QPalette, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from framehook.app.cameras import Camera, list_cameras
from framehook.app.gui.bridge import Bridge
from framehook.app.gui.icons import icon
from framehook.app.gui.settings_store import Store, recent_icon, recent_name
from framehook.app.gui.theme import watch
from framehook.inference.sources.demo import REMEDY, find_demo_clip

RECENT_SHOWN: Final = 5
_WIDTH: Final = 680  # pixels, as far as lines run
_TWO: Final = 600  # pixels from which on two ways to begin stand side by side
_SIDE: Final = 20  # pixels left free on both sides
_NAME: Final = 50  # letters of usual width that a line may take which leads somewhere
_AROUND: Final = 32  # pixels around the text of such a line and its icon
_ICON: Final = 28
_LOGO: Final = 40


class WelcomeScreen(QScrollArea):
    """Says in a sentence what the app does, and offers every way to begin; each leads to a signal, nothing is opened here."""

    demo_requested = pyqtSignal()
    """The demo clip, or a test scene where that is not installed."""
    camera_requested = pyqtSignal(int)
    """The camera of that number."""
    file_requested = pyqtSignal()
    """To choose a file."""
    url_requested = pyqtSignal()
    """To type an address."""
    other_requested = pyqtSignal()
    """To choose among everything that can be opened."""
    train_requested = pyqtSignal()
    """To train a model."""
    recent_requested = pyqtSignal(str)
    """Something that was opened before, as `Store.recent` has it."""

    def __init__(
        self,
        bridge: Bridge,
        store: Store,
        *,
        cameras: Callable[[], list[Camera]] = list_cameras,
        demo_clip: Callable[[], Path | None] = find_demo_clip,
        platform: str = sys.platform,
    ) -> None:
        """Make it.

        Args:
            bridge: It is told of what is opened, upon which recent sources are listed anew.
            store: Where recent sources are.
            cameras: Lists the cameras.
            demo_clip: Finds the demo clip.
            platform: As `sys.platform`: only on Linux can cameras be listed.
        """
        super().__init__()
        self._store = store
        self._cameras = cameras
        self._find_clip = demo_clip
        self._lists_cameras = platform.startswith("linux")
        self._camera = 0
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Welcome")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

        self._logo = QLabel()
        title = QLabel("<b>Framehook</b>")
        title.setObjectName("title")
        font = title.font()
        font.setPointSizeF(font.pointSizeF() * 1.6)
        title.setFont(font)
        about = _wrapped("Finds and follows objects in live video: pick a camera, a stream or a file and watch what it sees.")
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(title)
        words.addWidget(about)
        head = QHBoxLayout()
        head.setSpacing(14)
        head.addWidget(self._logo, 0, Qt.AlignmentFlag.AlignTop)
        head.addLayout(words, 1)

        self._demo = BigButton("video")
        self._demo.clicked.connect(self.demo_requested)
        self._use_camera = BigButton("camera")
        self._use_camera.clicked.connect(lambda: self.camera_requested.emit(self._camera))
        self._file = BigButton("open-file")
        self._file.say("Open a video or picture…", "Also a folder, or several files.")
        self._file.clicked.connect(self.file_requested)
        self._address = BigButton("link")
        self._address.say("Open a stream address…", "RTSP, HTTP, RTMP and more.")
        self._address.clicked.connect(self.url_requested)
        self._ways = QGridLayout()
        self._ways.setSpacing(10)
        self._columns = 0
        self._arrange(2)
        self.setFocusProxy(self._demo)
        other = self._other = _Link("add", "Screens, other cameras and a test scene…")
        other.setToolTip("Choose among everything that can be opened, with a preview")
        other.clicked.connect(self.other_requested)
        train = self._train = _Link("train", "Train a model on pictures of your own…")
        train.setToolTip("Choose a dataset, watch a model learn, and run it here")
        train.clicked.connect(self.train_requested)
        links = QVBoxLayout()
        links.setSpacing(0)
        links.addWidget(other, 0, Qt.AlignmentFlag.AlignLeft)
        links.addWidget(train, 0, Qt.AlignmentFlag.AlignLeft)

        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        drop = _wrapped("Or drop a video, a folder, a model (.onnx, .pt) or a callbacks file (.py) here.")
        drop.setForegroundRole(QPalette.ColorRole.PlaceholderText)

        column = QVBoxLayout()
        column.setSpacing(14)
        column.addLayout(head)
        column.addLayout(self._ways)
        column.addLayout(links)
        column.addLayout(self._recent)
        column.addWidget(drop)
        middle = QWidget()
        middle.setMaximumWidth(_WIDTH)
        middle.setLayout(column)
        whole = QVBoxLayout()
        whole.setContentsMargins(_SIDE, 16, _SIDE, 16)
        whole.addStretch(1)
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(middle, 1000)
        across.addStretch(1)
        whole.addLayout(across)
        whole.addStretch(2)
        ground = _Ground()
        ground.setLayout(whole)
        self.setWidget(ground)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fit()
        watch(self, self._colour)
        bridge.state_changed.connect(self._list_recent)
        self.refresh()

    def refresh(self) -> None:
        """Look again for cameras, the clip and what was opened before."""
        if self._find_clip() is not None:
            self._demo.say("Watch the demo clip", "People and bicycles on a street, found and followed.")
        else:
            self._demo.say("Watch a test scene", f"The demo clip is not there: {REMEDY}.")
        self._offer_camera()
        self._list_recent()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Put everything into the width there is."""
        viewport = self.viewport()
        room = self.width() if viewport is None else viewport.width()
        self._arrange(2 if room >= _TWO else 1)
        for widget in (self._other, self._train, *(self._at(place) for place in range(self._recent.count()))):
            if isinstance(widget, _Link):
                widget.fit(room - 2 * _SIDE)

    def _arrange(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for place, way in enumerate((self._demo, self._use_camera, self._file, self._address)):
            self._ways.addWidget(way, place // columns, place % columns)
        self._ways.setColumnStretch(0, 1)
        self._ways.setColumnStretch(1, columns - 1)

    def _offer_camera(self) -> None:
        if not self._lists_cameras:
            self._camera = 0
            self._use_camera.say("Use the camera", "The first one of this computer.")
            return
        found = self._cameras()
        usable = [each for each in found if each.there and each.allowed]
        self._use_camera.setEnabled(bool(usable))
        if usable:
            self._camera = usable[0].number
            name = usable[0].name or f"Camera {usable[0].number}"
            others = f", the first of {len(usable)}" if len(usable) > 1 else ""
            self._use_camera.say("Use the camera", name + others)
        elif found:
            group = found[0].group
            whom = f", which the group “{group}” may" if group else ""
            self._use_camera.say("Use the camera", f"You may not read {found[0].path}{whom}; see “framehook doctor”.")
        else:
            self._use_camera.say("Use the camera", "None is connected to this computer.")

    def _list_recent(self) -> None:
        texts = self._store.recent("source")[:RECENT_SHOWN]
        shown = [widget.property("recent") for place in range(self._recent.count()) if (widget := self._at(place)) is not None]
        if shown == ["", *texts] or (not texts and not shown):
            return  # as it is, with the keyboard where it is
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        if not texts:
            return
        heading = QLabel("<b>Open again</b>")
        heading.setProperty("recent", "")
        self._recent.addWidget(heading)
        for text in texts:
            button = _Link(recent_icon(text), recent_name(text))
            button.setProperty("recent", text)
            button.setToolTip(f"<p>{html.escape(text)}</p>")
            button.clicked.connect(partial(self._again, text))
            self._recent.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self._fit()

    def _at(self, place: int) -> QWidget | None:
        item = self._recent.itemAt(place)
        return None if item is None else item.widget()

    def _again(self, text: str) -> None:
        self.recent_requested.emit(text)

    def _colour(self) -> None:
        self._logo.setPixmap(icon("framehook").pixmap(QSize(_LOGO, _LOGO), self.devicePixelRatioF()))


class _Ground(QWidget):
    """As high as its texts are at its width: a scroll area does not ask for that, and would cut them off."""

    def event(self, event: QEvent | None) -> bool:
        done = super().event(event)
        layout = self.layout()
        if event is not None and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize) and layout is not None:
            self.setMinimumHeight(layout.totalHeightForWidth(self.width()))
        return done


class BigButton(QPushButton):
    """A button with an icon, a title, and a line that says more."""

    def __init__(self, sign: str) -> None:
        super().__init__()
        self._sign = sign
        self._picture = QLabel()
        self._title = _wrapped("")
        self._title.setTextFormat(Qt.TextFormat.RichText)
        self._more = _wrapped("")
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addStretch(1)
        words.addWidget(self._title)
        words.addWidget(self._more)
        words.addStretch(1)
        line = QHBoxLayout(self)
        line.setContentsMargins(14, 10, 14, 10)
        line.setSpacing(12)
        line.addWidget(self._picture)
        line.addLayout(words, 1)
        for label in (self._picture, self._title, self._more):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setAutoDefault(True)  # Enter presses it, as Space does
        watch(self, self._colour)

    def say(self, title: str, more: str) -> None:
        """Put both lines on it."""
        self._title.setText(f"<b>{html.escape(title)}</b>")
        self._more.setText(more)
        self.setAccessibleName(title)
        self.setAccessibleDescription(more)
        self.setToolTip(more)

    def sizeHint(self) -> QSize:
        layout = self.layout()
        return super().sizeHint() if layout is None else layout.sizeHint()

    def minimumSizeHint(self) -> QSize:
        layout = self.layout()
        return super().minimumSizeHint() if layout is None else layout.minimumSize()

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        layout = self.layout()
        return -1 if layout is None else layout.totalHeightForWidth(width)

    def _colour(self) -> None:
        self._picture.setPixmap(icon(self._sign).pixmap(QSize(_ICON, _ICON), self.devicePixelRatioF()))


def _wrapped(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(120)  # it would ask for about half of its text
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


class _Link(QToolButton):
    """A button that looks like a line of text, which is cut short in its middle where there is no room."""

    def __init__(self, sign: str, text: str) -> None:
        super().__init__()
        self._whole = text.replace("&", "&&")
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIcon(icon(sign))
        self.setAccessibleName(text)
        self.fit(_WIDTH)

    def fit(self, width: int) -> None:
        """Be no wider than `width` pixels."""
        metrics = self.fontMetrics()
        room = min(_NAME * metrics.averageCharWidth(), width - self.iconSize().width() - _AROUND)
        text = metrics.elidedText(self._whole, Qt.TextElideMode.ElideMiddle, room)
        if text != self.text():
            self.setText(text)
