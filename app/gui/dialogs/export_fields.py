"""The fields of the dialog of an export, and how what is in them is read."""

from __future__ import annotations

import re
from typing import Final

from PyQt6.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox

from framehook.inference.errors import OptionError

AUTOMATIC: Final = "Automatic"
_SIZE: Final = re.compile(r"\s*(\d+)(?:\s*[x×*, ]\s*(\d+))?\s*", re.IGNORECASE)  # noqa: RUF001 - as one writes it


def share_field(value: float) -> QDoubleSpinBox:
    """A number from 0 to 1."""
    field = QDoubleSpinBox()
    field.setRange(0.0, 1.0)
    field.setSingleStep(0.05)
    field.setDecimals(2)
    field.setValue(value)
    return field


def whole_field(least: int, most: int, value: int) -> QSpinBox:
    """A whole number."""
    field = QSpinBox()
    field.setRange(least, most)
    field.setValue(value)
    return field


def choice_field(*words: str) -> QComboBox:
    """One of some words, or none, which leaves it to the program."""
    field = QComboBox()
    field.addItems((AUTOMATIC, *words))
    return field


def chosen_in(field: QComboBox) -> str | None:
    """The word that is chosen, or was typed; None where that is left to the program."""
    text = field.currentText().strip()
    return None if text in ("", AUTOMATIC) else text


def read_size(text: str) -> int | tuple[int, int] | None:
    """A side, or (height, width), of `640` or `640 x 480`, which is width by height; None of an empty text.

    Raises:
        OptionError: it is neither.
    """
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise OptionError(f"imgsz='{text}' is not a size; write a side in pixels, 640, or width x height, 640 x 480")
    return int(found[1]) if found[2] is None else (int(found[2]), int(found[1]))
