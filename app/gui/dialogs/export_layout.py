"""What the pages of the dialog of an export are laid out with: rows of a form, a fold, buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_CLOSE: Final = 3  # pixels


class Section(QGroupBox):
    """Options under a title: a control each, its label, and a sentence about it.

    What does not fit beside its label stands below it, so that a narrow window and large letters cut nothing off.
    """

    def __init__(self, title: str, label_width: int) -> None:
        """Begin without any.

        Args:
            title: What it is about; may be empty.
            label_width: Pixels that labels have at least, so that the controls of all sections are in one line.
        """
        super().__init__(title)
        self._label_width = label_width
        self._form = QFormLayout(self)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)

    def add(self, text: str, name: str, control: QWidget, sentence: str, *, beside: QWidget | None = None) -> None:
        """Add an option.

        Args:
            text: Its label, `&` before its letter; empty where the control says itself what it is.
            name: What it is called by assistive technology.
            control: What it is chosen with.
            sentence: What it does: below the control, and its tooltip.
            beside: A button that belongs to it.
        """
        control.setToolTip(sentence)
        control.setAccessibleName(name)
        control.setAccessibleDescription(sentence)
        line = QHBoxLayout()
        grows = bool(control.sizePolicy().expandingDirections() & Qt.Orientation.Horizontal)
        line.addWidget(control, int(grows))
        if beside is not None:
            line.addWidget(beside)
        elif not grows:
            line.addStretch()
        field = QWidget()
        rows = QVBoxLayout(field)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(_CLOSE)
        rows.addLayout(line)
        rows.addWidget(sentence_label(sentence))
        label = QLabel(text)
        label.setBuddy(control)
        label.setMinimumWidth(self._label_width)
        self._form.addRow(label, field)


class Fold(QWidget):
    """Shows what is in it once its title is pressed, and hides it again."""

    toggled = pyqtSignal(bool)

    def __init__(self, title: str, tip: str, inside: QWidget, *, unfolded: bool) -> None:
        """Make it.

        Args:
            title: What is in it; `&` before the letter that presses it.
            tip: The same at greater length.
            inside: What is shown and hidden.
            unfolded: Whether it is shown at first.
        """
        super().__init__()
        self._inside = inside
        self._title = QToolButton()
        self._title.setText(title)
        self._title.setAccessibleName(title.replace("&", ""))
        self._title.setToolTip(tip)
        self._title.setCheckable(True)
        self._title.setAutoRaise(True)
        self._title.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._title.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._title.setChecked(unfolded)
        self._title.toggled.connect(self._turn)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self._title, 0, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(inside)
        self._turn(unfolded)

    @property
    def unfolded(self) -> bool:
        """Whether what is inside is shown."""
        return self._title.isChecked()

    def unfold(self) -> None:
        """Show what is inside."""
        self._title.setChecked(True)

    def _turn(self, unfolded: bool) -> None:
        self._title.setArrowType(Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow)
        self._title.setAccessibleDescription("Unfolded" if unfolded else "Folded")
        self._inside.setVisible(unfolded)
        self.toggled.emit(unfolded)


def sentence_label(text: str) -> QLabel:
    """A sentence in the colour of what is said by the way, as high as it is at its width."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    label.setForegroundRole(QPalette.ColorRole.PlaceholderText)
    return label


def push_button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    """A button that Enter presses only where the keyboard is on it."""
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.setToolTip(tip)
    button.clicked.connect(lambda: clicked())
    return button


def in_a_row(*widgets: QWidget | None) -> QHBoxLayout:
    """Widgets beside each other; None for what is left of the width."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addStretch() if widget is None else row.addWidget(widget)
    return row
