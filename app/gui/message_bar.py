"""A line above the picture that tells what went wrong and what to do, in place of a dialog that would be in the way."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QEnterEvent, QFontDatabase, QKeyEvent, QPainter, QPaintEvent, QPalette, QResizeEvent
from PyQt6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.icons import icon
from framehook.app.gui.theme import Accent, accent, mixed, watch
from framehook.app.session.state import Level, Note
from framehook.inference.errors import one_line

Action = tuple[str, Callable[[], object]]
"""What a button says, and what it does."""

_AT_MOST: Final = 8
_SECONDS: Final = {Level.INFO: 6.0, Level.WARNING: 20.0}
"""After these a message goes by itself; it is in the log all the same."""
_ACCENTS: Final[dict[Level, Accent]] = {Level.INFO: "blue", Level.WARNING: "amber", Level.ERROR: "red"}
_WORDS: Final = {Level.INFO: "Note", Level.WARNING: "Warning", Level.ERROR: "Error"}
_TINT: Final = 0.16
_STRIPE: Final = 4  # pixels
_SIGN: Final = 18  # pixels
_DETAIL_LINES: Final = 8


@dataclass(frozen=True, slots=True)
class _Message:
    level: Level
    text: str
    detail: str = ""
    action: Action | None = None
    times: int = 1

    @property
    def shown(self) -> str:
        return self.text if self.times == 1 else f"{self.text} (×{self.times})"  # noqa: RUF001 - as one writes it

    @property
    def seconds(self) -> float | None:
        return None if self.action is not None else _SECONDS.get(self.level)


class MessageBar(QWidget):
    """Shows the newest message, in one line; the others wait behind it until it is closed or goes.

    Errors, and messages with a button, stay until they are closed; warnings and notes go by themselves, but not while the
    pointer or the keyboard is in the bar. A message that is unfolded, has the keyboard or one of whose buttons has the pointer
    stays in front, and new ones wait behind it. A message that comes again is shown once, with how often it came. The bar
    hides itself when there is nothing to tell, and never takes the keyboard away from where it is.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._messages: list[_Message] = []  # the newest last
        self._sign = QLabel()
        self._text = _ElidedLabel()
        self._text.elided.connect(self._offer_more)
        self._waiting = QLabel()
        self._more = QToolButton()
        self._more.setCheckable(True)
        self._more.setIcon(icon("more"))
        self._more.setToolTip("Show the whole message (Space)")
        self._more.setAccessibleName("Show the whole message")
        self._more.toggled.connect(self._expand)
        self._act = QPushButton()
        self._act.setAutoDefault(False)
        self._act.clicked.connect(self._do)
        self._close = QToolButton()
        self._close.setIcon(icon("close"))
        self._close.setToolTip("Close this message (Esc)")
        self._close.setAccessibleName("Close this message")
        self._close.clicked.connect(self.close_message)
        for button in (self._more, self._act, self._close):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for tool in (self._more, self._close):
            tool.setAutoRaise(True)
        self._detail = QPlainTextEdit()
        self._detail.setReadOnly(True)
        self._detail.setTabChangesFocus(True)
        self._detail.setAccessibleName("The whole message")
        self._detail.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._detail.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._detail.hide()

        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._sign)
        line.addWidget(self._text, 1)
        for widget in (self._waiting, self._more, self._act, self._close):
            line.addWidget(widget)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(_STRIPE + 8, 4, 6, 4)
        whole.setSpacing(4)
        whole.addLayout(line)
        whole.addWidget(self._detail)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.close_message)
        self.hide()
        watch(self, self._colour)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._wait_or_go)

    def show_note(self, note: Note, action: Action | None = None) -> None:
        """Show a note of the session; see `show_message`."""
        self.show_message(note.level, note.text, note.detail, action)

    def show_message(self, level: Level, text: str, detail: str = "", action: Action | None = None) -> None:
        """Show a message, before those that are there; behind the one that is shown while somebody is at that.

        Args:
            level: How much it matters.
            text: One line.
            detail: More, of several lines, which is shown when it is asked for.
            action: A button beside it, which closes the message too: `("Run it", run)`.
        """
        text = one_line(text)
        kept = self._messages.pop() if self._messages and self._is_in_use() else None
        if kept is not None and (kept.level, kept.text) == (level, text):
            self._messages.append(replace(kept, times=kept.times + 1))  # its detail and button are in use
            self._tell()
            return
        times = 1
        for each in self._messages:
            if (each.level, each.text) == (level, text):
                times += each.times
        self._messages = [each for each in self._messages if (each.level, each.text) != (level, text)]
        self._messages.append(_Message(level, text, detail.strip(), action, times))
        if kept is not None:
            self._messages.append(kept)
        while len(self._messages) > _AT_MOST:
            # What would have gone by itself goes first.
            goes = next((each for each in self._messages[:-1] if each.seconds is not None), self._messages[0])
            self._messages.remove(goes)
        if kept is None:
            self._present()
        else:
            self._tell()

    def close_message(self) -> None:
        """Close the message that is shown; the one before comes back, if there is one."""
        if self._messages:
            self._messages.pop()
        self._present()

    def clear(self) -> None:
        """Close all messages."""
        self._messages.clear()
        self._present()

    def _present(self) -> None:
        self._timer.stop()
        if not self._messages:
            self.hide()
            return
        message = self._messages[-1]
        self._tell()
        self.setAccessibleDescription(message.detail)
        whole = message.shown if not message.detail else f"{message.shown}\n\n{message.detail}"
        self._detail.setPlainText(whole)
        lines = min(max(whole.count("\n") + 1, 2), _DETAIL_LINES)
        self._detail.setFixedHeight(self._detail.fontMetrics().lineSpacing() * lines + 14)
        self._act.setVisible(message.action is not None)
        if message.action is not None:
            self._act.setText(message.action[0])
        self._more.setChecked(False)
        self._offer_more()
        self._colour()
        self.show()
        self._wait_or_go()

    def _tell(self) -> None:
        """Say in one line what is shown, how often it came and how many wait; all else stays as it is."""
        message = self._messages[-1]
        name = f"{_WORDS[message.level]}: {message.shown}"
        self._text.show_text(message.shown)
        self._text.setAccessibleName(name)
        self._sign.setAccessibleName(_WORDS[message.level])
        self.setAccessibleName(name)
        behind = len(self._messages) - 1
        self._waiting.setVisible(behind > 0)
        self._waiting.setText(f"+{behind}")
        more = "1 more message" if behind == 1 else f"{behind} more messages"
        self._waiting.setToolTip(f"{more}: close this one to see the next")
        self._waiting.setAccessibleName(more)

    def _has_keyboard(self) -> bool:
        focus = QApplication.focusWidget()
        return focus is not None and self.isAncestorOf(focus)

    def _is_in_use(self) -> bool:
        """Whether somebody reads what is shown, or is about to press one of its buttons."""
        pressed = any(button.underMouse() for button in (self._more, self._act, self._close))
        return pressed or self._has_keyboard() or self._more.isChecked()

    def _wait_or_go(self) -> None:
        """Let what is shown go in a while, unless somebody is at it."""
        seconds = self._messages[-1].seconds if self._messages else None
        if seconds is None or self.underMouse() or self._has_keyboard() or self._more.isChecked():
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start(round(seconds * 1000))

    def _offer_more(self) -> None:
        hidden = self._text.is_elided or bool(self._messages and self._messages[-1].detail)
        self._more.setVisible(hidden or self._more.isChecked())

    def _expand(self, on: bool) -> None:
        self._detail.setVisible(on)
        self._more.setIcon(icon("less" if on else "more"))
        words = "Show one line only" if on else "Show the whole message"
        self._more.setToolTip(f"{words} (Space)")
        self._more.setAccessibleName(words)
        self._wait_or_go()

    def _do(self) -> None:
        action = self._messages[-1].action if self._messages else None
        self.close_message()
        if action is not None:
            action[1]()

    def _colour(self) -> None:
        if self._messages:
            self._sign.setPixmap(icon(self._messages[-1].level.value).pixmap(QSize(_SIGN, _SIGN), self.devicePixelRatioF()))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if not self._messages:
            return
        colour = accent(_ACCENTS[self._messages[-1].level], self.palette())
        painter = QPainter(self)
        painter.fillRect(self.rect(), mixed(self.palette().color(QPalette.ColorRole.Window), colour, _TINT))
        painter.fillRect(0, 0, _STRIPE, self.height(), colour)

    def enterEvent(self, event: QEnterEvent | None) -> None:
        self._wait_or_go()
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        super().leaveEvent(event)
        self._wait_or_go()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.close_message()
        else:
            super().keyPressEvent(event)


class _ElidedLabel(QWidget):
    """One line of plain text that ends in an ellipsis where there is no room for it; its tooltip has all of it then."""

    elided = pyqtSignal()
    """Whether it is elided has changed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_elided = False
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def show_text(self, text: str) -> None:
        self._whole = text
        self._fit()
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole), metrics.height())

    def minimumSizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.averageCharWidth() * 12, metrics.height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setPen(QColor(self.palette().color(QPalette.ColorRole.WindowText)))
        text = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        elided = self.fontMetrics().horizontalAdvance(self._whole) > self.width()
        # What looks like HTML in a message is none; the paragraph has it wrapped.
        self.setToolTip(f"<p>{html.escape(self._whole)}</p>" if elided else "")
        if elided is not self.is_elided:
            self.is_elided = elided
            self.elided.emit()
