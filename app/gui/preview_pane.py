"""Shows a source before it is opened, or says why it cannot be shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from PyQt6.QtCore import QRect, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QImage, QPainter, QPaintEvent, QPalette, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from framehook.app.session.picture import Pixels
from framehook.app.session.preview import Preview, PreviewPhase
from framehook.inference.frame import SourceInfo
from framehook.inference.sources import Source

_SETTLE_MS: Final = 200
"""Who walks through a list with the arrow keys does not mean to open each of its cameras."""


class PreviewPane(QWidget):
    """A picture of what `show_spec` names, live where that is; texts in its place.

    A camera is given to one at a time: one that was let go of is shown again only once it is released, and `close_preview`
    tells when somebody else can have it.
    """

    told = pyqtSignal()
    """What it shows or says has changed."""

    _woken = pyqtSignal()
    _released = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None, *, make: Callable[[Any], Source] | None = None) -> None:
        """Show nothing yet.

        Args:
            parent: The owner.
            make: Opens what is shown; as for `Preview`.
        """
        super().__init__(parent)
        self._make = make
        self._spec: Any = None
        self._preview: Preview | None = None
        self._leaving: dict[Any, Preview] = {}  # one that shows the same begins only once it is gone
        self._pixels: Pixels | None = None
        self._text = ""
        self._about = ""
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._begin)
        self._woken.connect(self._look)
        self._released.connect(self._has_left)
        self.setMinimumSize(320, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Preview")

    @property
    def about(self) -> str:
        """What is known of the source that is shown: its size and rate; or an empty text."""
        return self._about

    @property
    def text(self) -> str:
        """What stands in place of a picture, or an empty text."""
        return self._text

    @property
    def shows_picture(self) -> bool:
        """Whether there is a picture."""
        return self._pixels is not None

    def show_spec(self, spec: Any, text: str = "") -> None:
        """Show a source, or nothing.

        Args:
            spec: What `open_source` takes, of a kind that can be compared; None for nothing.
            text: What to say where there is nothing to show.
        """
        if spec is None or spec != self._spec:
            former, self._spec = self._spec, spec
            self._let_go(former)
            if spec is not None:
                self._settle.start()
        if self._preview is None:
            self._say(text if spec is None else "Opening…")

    def close_preview(self, released: Callable[[], object] | None = None) -> None:
        """Let go of what is shown, at once, and show nothing any more.

        Args:
            released: Called, from any thread, once what was shown can be opened by somebody else.
        """
        self._settle.stop()
        preview = self._preview or self._leaving.get(self._spec)
        self._preview = self._spec = None
        if preview is not None:
            preview.close(released)
        elif released is not None:
            released()

    def sizeHint(self) -> QSize:
        return QSize(480, 270)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if self._preview is not None:
            self._preview.fit(self._room())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Base))
        if self._pixels is None:
            painter.setPen(self.palette().color(QPalette.ColorRole.Text))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(16, 12, -16, -12), int(flags), self._text)
            return
        height, width = self._pixels.shape[:2]
        image = QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)  # type: ignore[call-overload]
        ratio = self.devicePixelRatioF()
        shown = QSize(round(width / ratio), round(height / ratio)).scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        middle = self.rect().center()
        place = QRect(middle.x() - shown.width() // 2, middle.y() - shown.height() // 2, shown.width(), shown.height())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, image)

    def _room(self) -> tuple[int, int]:
        ratio = self.devicePixelRatioF()
        return max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))

    def _begin(self) -> None:
        if self._spec is None or self._preview is not None or self._spec in self._leaving:
            return
        self._preview = Preview(self._spec, self._wake, size=self._room(), make=self._make)

    def _let_go(self, spec: Any) -> None:
        preview, self._preview = self._preview, None
        self._settle.stop()
        self._pixels = None
        self._about = ""
        if preview is not None:
            self._leaving[spec] = preview
            preview.close(partial(self._tell_released, spec))

    # From the preview's thread. A window that ends with the program takes the pane along, and with it who would want to know.

    def _wake(self) -> None:
        with suppress(RuntimeError):
            self._woken.emit()

    def _tell_released(self, spec: Any) -> None:
        with suppress(RuntimeError):
            self._released.emit(spec)

    # ------------------------------------------------------------------------------------------------------------------------

    def _has_left(self, spec: Any) -> None:
        self._leaving.pop(spec, None)
        if spec == self._spec and not self._settle.isActive():
            self._begin()

    def _look(self) -> None:
        preview = self._preview
        if preview is None:
            return
        state = preview.state
        pixels = preview.take()
        if pixels is not None:
            self._pixels = pixels
            self.update()
        about = _described(state.source)
        if state.phase is PreviewPhase.FAILED and self._pixels is not None:
            self._pixels = None
        if about != self._about:
            self._about = about
            self.told.emit()
        if self._pixels is None:
            self._say(state.reason if state.phase is PreviewPhase.FAILED else "Opening…")
        elif self._text:
            self._say("")

    def _say(self, text: str) -> None:
        self.update()
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(text)
            self.told.emit()


def _described(source: SourceInfo | None) -> str:
    if source is None:
        return ""
    parts = []
    if source.size is not None:
        parts.append("{} x {}".format(*source.size))
    if source.fps:
        parts.append(f"{source.fps:.4g} fps")
    if source.frame_count and source.fps:
        seconds = source.frame_count / source.fps
        parts.append(f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min")
    return ", ".join(parts)
