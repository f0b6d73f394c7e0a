"""The picture of what a model under training finds."""

from __future__ import annotations

from typing import Final

from PyQt6.QtCore import QRect, QSize, Qt
from PyQt6.QtGui import QImage, QPainter, QPaintEvent, QPalette
from PyQt6.QtWidgets import QSizePolicy, QWidget

from framehook.app.session.trainings import SamplePicture

_NOTHING: Final = "What the model finds in some of the pictures is shown here after each epoch."


class SampleView(QWidget):
    """Shows the newest picture, as large as it fits; before the first, what will be here."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: SamplePicture | None = None
        self._image = QImage()
        self._scaled = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(140, 90)
        self.setAccessibleName("Sample predictions")
        self.setAccessibleDescription(_NOTHING)
        self.setToolTip("What the model finds in some pictures of the validation set")

    def show_sample(self, sample: SamplePicture | None) -> None:
        """Show this picture, or none."""
        if sample is self._shown:
            return
        self._shown = sample
        self._scaled = QImage()
        if sample is None:
            self._image = QImage()
            self.setAccessibleDescription(_NOTHING)
        else:
            height, width, _ = sample.pixels.shape
            self._image = QImage(sample.pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)  # type: ignore[call-overload]
            self.setAccessibleDescription(f"The picture {sample.path.name}")
            self.setToolTip(f"What the model finds in some pictures of the validation set: {sample.path}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(280, 140)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        if self._image.isNull():
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, _NOTHING)
            return
        scale = self.devicePixelRatioF()
        room = QSize(round(self.width() * scale), round(self.height() * scale))
        wanted = self._image.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio)
        if self._scaled.size() != wanted:
            how = Qt.TransformationMode.SmoothTransformation
            self._scaled = self._image.scaled(wanted, Qt.AspectRatioMode.IgnoreAspectRatio, how)
        place = QRect(0, 0, round(wanted.width() / scale), round(wanted.height() / scale))
        place.moveCenter(self.rect().center())
        painter.drawImage(place, self._scaled)
