"""The bar below the picture: play, step, stop, loop, and where in the file it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from PyQt6.QtCore import QEvent, QSignalBlocker, QSize, Qt
from PyQt6.QtGui import QAction, QMouseEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QSlider, QStyle, QStyleOptionSlider, QToolButton, QWidget

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.paced import Paced
from framehook.app.session.picture import Picture
from framehook.app.session.state import SessionState, Slot
from framehook.inference.connection import SourceState

SEEK_MS: Final = 100
"""Milliseconds between two jumps while the handle is dragged."""
ACTIONS: Final = ("play_pause", "step", "stop", "loop")

_SIGN: Final = 16  # pixels; larger where the font is
_TARGET: Final = 24
"""Pixels of width and height that a button has at least."""
_PER_KEY: Final = 5_000  # ms
_PER_PAGE: Final = 30_000  # ms
_PATIENCE: Final = 1.0
"""Seconds after which a jump that led nowhere is no longer waited for."""
_LIVE: Final = {
    SourceState.CONNECTING: "connecting",
    SourceState.CONNECTED: "live",
    SourceState.STALLED: "silent",
    SourceState.RECONNECTING: "reconnecting",
    SourceState.ENDED: "ended",
}
_Stretch = tuple[int, int]
"""Run and segment: they change when a source jumps, so that a picture of before can be told from one of after."""
_NOWHERE: Final[_Stretch] = (-1, -1)


class TransportBar(QWidget):
    """Buttons to steer the run, and the position of one slot, which can be changed where the source has positions."""

    def __init__(self, bridge: Bridge, actions: Mapping[str, QAction]) -> None:
        """Listen to a bridge; `actions` by the names in `ACTIONS`, which are those of the menus."""
        super().__init__()
        self._bridge = bridge
        self._key: str | None = None
        self._at: dict[str, tuple[_Stretch, float]] = {}
        self._jump: tuple[str, float] | None = None
        self._left: tuple[str, _Stretch, float] | None = None  # of which slot what was jumped away from, and when
        self._paced = Paced(self, SEEK_MS, self._seek)

        self.slider = _SeekSlider()
        self.slider.setAccessibleName("Position")
        self.slider.setToolTip("Where it is; drag or click to go elsewhere, arrow keys go 5 s, Page keys 30 s")
        self.time = QLabel()
        self.time.setAccessibleName("Time")
        self.time.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(4)
        self._buttons: list[QToolButton] = []
        for name in ACTIONS:
            action = actions[name]
            button = QToolButton()
            button.setDefaultAction(action)
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAccessibleName(action.text().replace("&", ""))
            layout.addWidget(button)
            self._buttons.append(button)
        self._size_buttons()
        layout.addSpacing(6)
        layout.addWidget(self.slider, stretch=1)
        layout.addStretch()
        layout.addSpacing(6)
        layout.addWidget(self.time)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

        self.slider.actionTriggered.connect(self._moved)
        self.slider.sliderReleased.connect(self._paced.hurry)
        bridge.picture_ready.connect(self._take)
        bridge.state_changed.connect(self._follow)
        self._follow(bridge.state)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() is QEvent.Type.FontChange and hasattr(self, "_buttons"):
            self._size_buttons()

    def _size_buttons(self) -> None:
        """Signs are as large as texts, and buttons large enough to be hit."""
        sign = max(_SIGN, self.fontMetrics().height())
        for button in self._buttons:
            button.setIconSize(QSize(sign, sign))
            button.setMinimumSize(max(_TARGET, sign + 12), max(_TARGET, sign + 8))

    def show_slot(self, key: str | None) -> None:
        """Show the position of a slot; of the first where it is None, or none of that key is there any more."""
        self._key = key
        self._follow(self._bridge.state)

    def _slot(self) -> Slot | None:
        slots = self._bridge.state.slots
        return next((slot for slot in slots if slot.key == self._key), slots[0] if slots else None)

    # What comes --------------------------------------------------------------------------------------------------------------

    def _take(self, picture: Picture) -> None:
        frame = picture.result.frame
        if frame.pts is None:
            return
        self._at[picture.key] = ((picture.run, frame.segment), frame.pts)
        slot = self._slot()
        if slot is not None and slot.key == picture.key:
            self._show(slot)

    def _follow(self, state: SessionState) -> None:
        keys = {slot.key for slot in state.slots}
        self._at = {key: at for key, at in self._at.items() if key in keys}
        slot = self._slot()
        if slot is None:
            self.slider.hide()
            self.time.setText("")
            return
        self.slider.setVisible(slot.seekable and slot.duration is not None)
        if slot.duration is not None:
            with QSignalBlocker(self.slider):
                self.slider.setMaximum(round(slot.duration * 1000))
        self._show(slot)

    def _show(self, slot: Slot) -> None:
        """Show where a slot is: where the user wants it, where that is not there yet."""
        stretch, seconds = self._at.get(slot.key, (None, None))
        if self._left is not None:
            key, before, since = self._left
            arrived = stretch != before or time.monotonic() - since > _PATIENCE
            if key != slot.key or (arrived and not self.slider.isSliderDown() and not self._paced.waits):
                self._left = None
        if self._left is not None or self.slider.isSliderDown():
            seconds = self.slider.sliderPosition() / 1000
        elif seconds is not None:
            self.slider.setValue(round(seconds * 1000))
        self.time.setText(_times(slot, seconds))
        # As wide as it will get, so that the slider does not tremble.
        widest = self.time.fontMetrics().horizontalAdvance(_widest(self.time.text()))
        if widest > self.time.minimumWidth() or widest < self.time.minimumWidth() * 0.7:
            self.time.setMinimumWidth(widest)

    # What the user does ------------------------------------------------------------------------------------------------------

    def _moved(self, _action: int) -> None:
        """The user moved the handle: by mouse, wheel or key."""
        slot = self._slot()
        if slot is None:
            return
        self._jump = slot.key, self.slider.sliderPosition() / 1000
        self._left = slot.key, self._at.get(slot.key, (_NOWHERE, 0.0))[0], time.monotonic()
        self._paced.ask()
        self.time.setText(_times(slot, self._jump[1]))

    def _seek(self) -> None:
        if self._jump is not None:
            key, seconds = self._jump
            self._bridge.session.seek(seconds, key)


class _SeekSlider(QSlider):
    """Goes where it is clicked, at once, and can be dragged on from there."""

    def __init__(self) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setSingleStep(_PER_KEY)
        self.setPageStep(_PER_PAGE)
        self.setMinimumWidth(80)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        style = self.style()
        if event is not None and style is not None and event.button() is Qt.MouseButton.LeftButton:
            option = QStyleOptionSlider()
            self.initStyleOption(option)
            part, control = QStyle.SubControl, QStyle.ComplexControl.CC_Slider
            handle = style.subControlRect(control, option, part.SC_SliderHandle, self)
            if not handle.contains(event.position().toPoint()):
                groove = style.subControlRect(control, option, part.SC_SliderGroove, self)
                start, room = groove.x() + handle.width() // 2, groove.width() - handle.width()
                at = QStyle.sliderValueFromPosition(
                    self.minimum(), self.maximum(), event.position().toPoint().x() - start, room
                )
                self.setSliderPosition(at)  # the handle is under the mouse then
        super().mousePressEvent(event)


def _times(slot: Slot, seconds: float | None) -> str:
    if slot.source is not None and slot.source.live:
        since = "" if seconds is None else f" {in_words(seconds)}"
        return f"{_LIVE[slot.connection]}{since}"
    if seconds is None:
        seconds = 0.0
    if slot.duration is None:
        return in_words(seconds) if slot.seekable else ""
    return f"{in_words(min(seconds, slot.duration))} / {in_words(slot.duration)}"


def in_words(seconds: float) -> str:
    """A time as players show it: 0:12, 12:34, 1:02:03."""
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _widest(text: str) -> str:
    return "".join("0" if each.isdigit() else each for each in text)
