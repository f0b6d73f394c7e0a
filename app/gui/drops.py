"""What it means to drop something on the window, said before it is dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PyQt6.QtCore import QEvent, QMimeData, QObject, QRect, QRectF, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QColor, QDragEnterEvent, QDragMoveEvent, QDropEvent, QPainter, QPaintEvent, QPalette, QPen
from PyQt6.QtWidgets import QWidget

from framehook.app.gui.icons import icon
from framehook.inference.sources.addresses import SCHEMES, scheme_of, short_name

MODELS: Final = frozenset((".onnx", ".pt"))
CALLBACKS: Final = frozenset((".py",))
_ICON: Final = 48  # pixels
_MARGIN: Final = 16


@dataclass(frozen=True, slots=True)
class Drop:
    """What was dropped, sorted by what it is for.

    Attributes:
        sources: Files, folders and addresses to look at; addresses may hold credentials.
        model: A model to use.
        callbacks: Files of callbacks. They are programs: they are run only once the user has said so.
        problem: Why nothing of it can be used, or an empty text.
    """

    sources: tuple[Path | str, ...] = ()
    model: Path | None = None
    callbacks: tuple[Path, ...] = ()
    problem: str = ""

    def __bool__(self) -> bool:
        return not self.problem and bool(self.sources or self.model or self.callbacks)

    @property
    def spec(self) -> Any:
        """The sources as `Session.open` takes them: one, or a list; None where there is none."""
        if len(self.sources) > 1:
            return list(self.sources)
        return self.sources[0] if self.sources else None

    @property
    def hint(self) -> str:
        """What happens when it is dropped, in words; no credentials are in them."""
        if self.problem:
            return self.problem
        wishes = []
        if self.model is not None:
            wishes.append(f"use {self.model.name} as the model")
        if self.sources:
            wishes.append(f"open {_named(self.sources)}")
        if self.callbacks:
            wishes.append(f"load the callbacks in {_named(self.callbacks)}; you are asked first, as this runs code")
        return f"Drop to {' and '.join(wishes)}" if wishes else "Nothing here can be opened"


def meaning(urls: Iterable[QUrl | str]) -> Drop:
    """Sort what is dropped by its names alone: nothing is opened.

    Args:
        urls: Local files as `file://` addresses, network addresses, texts.
    """
    sources: list[Path | str] = []
    models: list[Path] = []
    callbacks: list[Path] = []
    for url in urls:
        address = (
            url if isinstance(url, str) else url.toString(QUrl.UrlFormattingOption(QUrl.ComponentFormattingOption.FullyEncoded))
        )
        address = address.strip()
        local = QUrl(address).toLocalFile() if scheme_of(address) == "file" else ""
        if local:
            path = Path(local)
            kind = path.suffix.lower()
            (models if kind in MODELS else callbacks if kind in CALLBACKS else sources).append(path)
        elif scheme_of(address) in SCHEMES:
            sources.append(address)
    if len(models) > 1:
        return Drop(problem="One model at a time, please")
    return Drop(tuple(sources), models[0] if models else None, tuple(callbacks))


def meaning_of(data: QMimeData | None) -> Drop:
    """Sort what a drag carries: files and addresses, or a text that is one."""
    if data is None:
        return Drop()
    if data.hasUrls():
        return meaning(data.urls())
    return meaning(data.text().split("\n")) if data.hasText() else Drop()


class Drops(QObject):
    """Takes what is dropped on a window, and shows meanwhile what that would do."""

    dropped = pyqtSignal(object)
    """`Drop`: something that can be used."""

    def __init__(self, window: QWidget) -> None:
        """Take drops on `window`, to which this belongs from now on."""
        super().__init__(window)
        self._window = window
        self._hint = DropHint(window)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if isinstance(event, QDragEnterEvent):
            drop = meaning_of(event.mimeData())
            self._hint.show_drop(drop)
            # What cannot be used is taken too as long as it is above the window: only so there is an end of it to be told of.
            event.setDropAction(Qt.DropAction.CopyAction if drop else Qt.DropAction.IgnoreAction)
            event.accept()
            return True
        if isinstance(event, QDragMoveEvent):
            drop = meaning_of(event.mimeData())
            event.setDropAction(Qt.DropAction.CopyAction if drop else Qt.DropAction.IgnoreAction)
            event.setAccepted(bool(drop))
            return True
        if event is not None and event.type() is QEvent.Type.DragLeave:
            self._hint.hide()
        elif isinstance(event, QDropEvent):
            self._hint.hide()
            drop = meaning_of(event.mimeData())
            event.setAccepted(bool(drop))
            if drop:
                event.setDropAction(Qt.DropAction.CopyAction)
                self.dropped.emit(drop)
            return True
        elif event is not None and event.type() is QEvent.Type.Resize:
            self._hint.setGeometry(self._window.rect())
        return super().eventFilter(watched, event)


class DropHint(QWidget):
    """Lies over a window while something is dragged across it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._text = ""
        self._sign = "open-file"
        self.hide()

    @property
    def text(self) -> str:
        """What it says."""
        return self._text

    def show_drop(self, drop: Drop) -> None:
        """Say what a drop would do."""
        self._text = drop.hint
        self.setAccessibleName(self._text)
        if not drop:
            self._sign = "warning"
        else:
            self._sign = "model" if drop.model else "open-file" if drop.sources else "callbacks"
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.raise_()
        self.show()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        palette = self.palette()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = QColor(palette.color(QPalette.ColorRole.Window))
        veil.setAlphaF(0.88)
        painter.fillRect(self.rect(), veil)
        pen = QPen(palette.color(QPalette.ColorRole.Accent), 3, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN), 12, 12)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 1.5)
        painter.setFont(font)
        painter.setPen(palette.color(QPalette.ColorRole.WindowText))
        middle = self.rect().center()
        icon(self._sign).paint(painter, QRect(middle.x() - _ICON // 2, middle.y() - _ICON - 8, _ICON, _ICON))
        below = self.rect().adjusted(4 * _MARGIN, middle.y() + 8, -4 * _MARGIN, -2 * _MARGIN)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        painter.drawText(below, int(flags), self._text)


def _named(items: Iterable[Path | str]) -> str:
    names = [(each.name or str(each)) if isinstance(each, Path) else short_name(each) for each in items]
    if len(names) <= 3:
        return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    return f"{names[0]}, {names[1]} and {len(names) - 2} more"
