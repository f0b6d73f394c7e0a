"""A message in its place, beside what it is about."""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from framehook.app.gui.icons import icon
from framehook.app.session.state import Level

_SIGN: Final = 16  # pixels


class Told(QWidget):
    """A message with its sign; nothing where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self._sign = QLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("What is wrong")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 2)
        layout.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._text, 1)
        self.hide()

    def text(self) -> str:
        """What is told."""
        return self._text.text()

    def tell(self, level: Level, text: str) -> None:
        """Tell something in place of what was told before."""
        self._sign.setPixmap(icon(level.value).pixmap(QSize(_SIGN, _SIGN), self.devicePixelRatioF()))
        self._text.setText(text)
        self.setAccessibleDescription(text)
        self.show()

    def clear(self) -> None:
        """Tell nothing any more."""
        self._text.clear()
        self.hide()
