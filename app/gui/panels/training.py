"""The panel in which a model is trained: what is chosen, how it goes, and what to do with what comes of it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from PyQt6.QtCore import QSize, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QResizeEvent, QShowEvent
from PyQt6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.panels.training_curves import TrainingCurves
from framehook.app.gui.panels.training_form import TrainingForm
from framehook.app.gui.panels.training_sample import SampleView
from framehook.app.gui.panels.transport import in_words
from framehook.app.gui.settings_store import Store
from framehook.app.gui.told import Told
from framehook.app.session.state import Level
from framehook.app.session.trainings import MAP, MAP50, TRAIN, TrainingJob, TrainingState, free_folder
from framehook.inference.errors import FramehookError, one_line

TRAINED: Final = "trained"
"""The folder of all trainings, among what is saved."""
_STEPS: Final = 1000
_WIDE: Final = 760
"""Pixels of width from which on the parts stand side by side."""
_FORM: Final = 340
"""Pixels that the form takes there, at least."""
_ENDS: Final = {
    "patience": "; it got no better",
    "time": "; the time was up",
    "stop": "; it was stopped",
}


class TrainingPanel(QWidget):
    """Trains a model in a process of its own, shows how that goes, and hands on what comes of it."""

    watch_requested = pyqtSignal(str)
    """To go on with this checkpoint in the window."""
    export_requested = pyqtSignal(str)
    """To export this checkpoint."""

    _told = pyqtSignal()

    def __init__(self, bridge: Bridge, store: Store, *, train: Callable[..., TrainingJob] = TrainingJob) -> None:
        """Offer to train.

        Args:
            bridge: Where the model in use is known, and what is to be told goes.
            store: Where it is remembered what was chosen last.
            train: Begins a training.
        """
        super().__init__()
        self._bridge = bridge
        self._train = train
        self._job: TrainingJob | None = None
        self._shown: TrainingState | None = None
        self._way = ""
        self.form = TrainingForm(bridge, store)
        self.curves = TrainingCurves()
        self.sample = SampleView()
        self._pages = QStackedWidget()
        self._pages.addWidget(self.form)
        self._pages.addWidget(self._make_progress())
        self._pages.currentChanged.connect(self._fit_page)
        self._parts = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._lay_out()
        self._fit_page()
        self.form.wanted.connect(self.begin)
        self._told.connect(self._follow, type=Qt.ConnectionType.QueuedConnection)  # type: ignore[call-arg]  # not in the stubs
        self.setFocusProxy(self.form)

    @property
    def is_training(self) -> bool:
        """Whether a training goes on."""
        return self._job is not None and self._job.state.going_on

    @property
    def pid(self) -> int | None:
        """The number of the process that trains, or did last; None before there is one."""
        return None if self._job is None else self._job.pid

    def begin(self, source: str, options: dict[str, Any]) -> None:
        """Train, from a checkpoint or an architecture."""
        folder = free_folder(self._bridge.session.folder / TRAINED)
        try:
            self._start(source, {**options, "save_dir": str(folder)}, None)
        except FramehookError as error:
            self.form.refuse(one_line(error))
            return
        self._way = f"{_what(source)} on {Path(str(options['data'])).name}"
        self._show_progress()

    def _resume(self) -> None:
        """Go on with the training that was stopped."""
        if self._shown is None or self._shown.last is None:
            return
        try:
            self._start(str(self._shown.last), {"resume": str(self._shown.last)}, self._shown)
        except FramehookError as error:
            self.problem.tell(Level.ERROR, one_line(error))
            return
        self._show_progress()

    def _start(self, source: str, options: dict[str, Any], before: TrainingState | None) -> None:
        self._job = self._train(source, options, self._tell, note=self._bridge.session.note, before=before)
        self.destroyed.connect(self._job.leave)

    def _show_progress(self) -> None:
        self._shown = None
        self.problem.clear()
        self._pages.setCurrentIndex(1)
        self._follow()
        self.stop_button.setFocus()

    def stop(self) -> None:
        """Have the training end after the batch under way; asked for once more, at once."""
        if self._job is None or not self._job.state.going_on:
            return
        if self._job.state.stopping:
            self.stop_button.setEnabled(False)
            self._job.leave()
        else:
            self._job.stop()

    def close_down(self, timeout: float = 0.0) -> bool:
        """The window is closed: end the training, whose checkpoints stay. Whether all ended within `timeout` seconds."""
        until = time.monotonic() + timeout
        ended = self._job is None or self._job.close(timeout)
        return self.form.close_down(max(until - time.monotonic(), 0.0)) and ended

    # Layout -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        inner = QWidget()
        inner.setLayout(self._parts)
        self._parts.setContentsMargins(6, 6, 6, 6)
        self._parts.setSpacing(10)
        for part in (self._pages, self.curves, self.sample):
            self._parts.addWidget(part)
        self._wide = False
        self._arrange()
        area = QScrollArea()
        area.setWidget(inner)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(area)

    def _arrange(self) -> None:
        wide = self._wide
        self._parts.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)
        self._pages.setMinimumWidth(_FORM if wide else 0)
        self._pages.setSizePolicy(
            QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred if wide else QSizePolicy.Policy.Maximum
        )
        self.form.set_upright(not wide)
        self.curves.set_upright(not wide)
        for part, stretch in enumerate((0, 5, 3) if wide else (0, 2, 2)):
            self._parts.setStretch(part, stretch)

    def _fit_page(self) -> None:
        """Take the height of the page that is shown alone."""
        for number in range(self._pages.count()):
            page = self._pages.widget(number)
            if page is not None:
                here = number == self._pages.currentIndex()
                page.setSizePolicy(
                    QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred if here else QSizePolicy.Policy.Ignored
                )

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        wide = self.width() >= _WIDE
        if wide != self._wide:
            self._wide = wide
            self._arrange()

    def sizeHint(self) -> QSize:
        return QSize(320, 520)

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._draw()

    def _make_progress(self) -> QWidget:
        page = QWidget()
        self._title = _Line("What is trained")
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._stage = _Line("What is going on")
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the training")
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(12)
        self._losses = _Line("Losses")
        self._accuracy = _Line("Accuracy")
        self.problem = Told()
        self.stop_button = _button("Stop", "", self.stop)
        self.resume_button = _button("Go on", "Go on with this training where it was stopped", self._resume)
        self.again_button = _button("New training…", "Go back to what is chosen, and train again", self._back)
        self.watch_button = _button("Watch it live", "", self._watch)
        self.export_button = _button("Export…", "", self._export)
        self.folder_button = _button("Folder", "Open the folder of the training in the file manager", self._show_folder)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self._title, self._stage, self.progress, self._losses, self._accuracy, self.problem):
            column.addWidget(widget)
        for row in (
            (self.stop_button, self.resume_button, self.again_button),
            (self.watch_button, self.export_button, self.folder_button),
        ):
            buttons = QHBoxLayout()
            buttons.setSpacing(4)
            for button in row:
                buttons.addWidget(button)
            buttons.addStretch()
            column.addLayout(buttons)
        column.addStretch()
        return page

    # How it goes ------------------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """From the thread of the training: its state has changed."""
        with contextlib.suppress(RuntimeError):  # the panel is gone
            self._told.emit()

    def _follow(self) -> None:
        state = None if self._job is None else self._job.state
        if state is None or state is self._shown:
            return
        ended = not state.going_on and (self._shown is None or self._shown.going_on)
        self._shown = state
        here = self.stop_button.hasFocus()
        self._show_facts(state)
        self._show_buttons(state)
        if ended:
            self._end(state)
            if here:
                (self.watch_button if self.watch_button.isEnabled() else self.again_button).setFocus()
        if self.isVisible():
            self._draw()

    def _draw(self) -> None:
        if self._shown is not None:
            self.curves.show_state(self._shown)
            self.sample.show_sample(self._shown.sample)

    def _show_facts(self, state: TrainingState) -> None:
        self._title.say(f"{self._way} ({state.device})" if state.device else self._way)
        self._stage.say(_stage(state))
        fraction = state.fraction if state.going_on else float(state.error is None)
        self.progress.setRange(0, 0 if fraction is None else _STEPS)
        self.progress.setValue(round((fraction or 0.0) * _STEPS))
        figures = state.losses or (state.history[-1].figures if state.history else {})
        losses = {key.partition("/")[2].removesuffix("_loss"): value for key, value in figures.items() if key.startswith(TRAIN)}
        self._losses.say(", ".join(f"{name} {_figure(value)}" for name, value in losses.items()))
        self._accuracy.say(_accuracy(state))

    def _show_buttons(self, state: TrainingState) -> None:
        weights = state.best or state.last
        name = "" if weights is None else weights.name
        self.stop_button.setVisible(state.going_on)
        self.again_button.setVisible(not state.going_on)
        unfinished = state.last is not None and state.epoch < state.epochs and state.report.get("why") != "patience"
        self.resume_button.setVisible(not state.going_on and unfinished)
        self.stop_button.setEnabled(True)
        self.stop_button.setText("Stop now" if state.stopping else "Stop")
        self.stop_button.setToolTip(
            "End it at once, where it is; checkpoints stay"
            if state.stopping
            else "End the training after the batch under way; what it learned is kept"
        )
        for button, tip in (
            (self.watch_button, f"Go on with {name} in this window" if name else "Once there is a checkpoint"),
            (self.export_button, f"Make a verified ONNX file of {name}" if name else "Once there is a checkpoint"),
        ):
            button.setEnabled(weights is not None)
            button.setToolTip(tip)
        self.folder_button.setEnabled(state.folder is not None)

    def _end(self, state: TrainingState) -> None:
        if state.error is not None:
            self.problem.tell(Level.ERROR, state.error)
            self._bridge.report(Level.ERROR, f"The training of {self._way} failed: {state.error}", state.detail)
        elif state.best is not None or state.last is not None:
            best = _accuracy(state)
            self._bridge.report(Level.INFO, f"Saved {state.best or state.last}" + (f": {best}" if best else ""))

    # What to do with it -----------------------------------------------------------------------------------------------------

    def _weights(self) -> Path | None:
        return None if self._shown is None else self._shown.best or self._shown.last

    def _watch(self) -> None:
        weights = self._weights()
        if weights is not None:
            self.watch_requested.emit(str(weights))

    def _export(self) -> None:
        weights = self._weights()
        if weights is not None:
            self.export_requested.emit(str(weights))

    def _show_folder(self) -> None:
        folder = None if self._shown is None else self._shown.folder
        if folder is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._bridge.report(Level.WARNING, f"No file manager could be opened; the folder is {folder}")

    def _back(self) -> None:
        self._pages.setCurrentIndex(0)
        self.form.go.setFocus()


def _what(source: str) -> str:
    """`yolo11n` of an architecture, `best.pt` of a checkpoint."""
    path = Path(source)
    return path.stem if path.suffix == ".yaml" else path.name


def _stage(state: TrainingState) -> str:
    if not state.going_on:
        epochs = len(state.history)
        if state.error is not None:
            return "Failed" + (f" in epoch {state.epoch} of {state.epochs}" if state.epoch else "")
        why = _ENDS.get(str(state.report.get("why", "stop")), "")
        return (
            f"Trained {epochs} {'epoch' if epochs == 1 else 'epochs'}{why}"
            if epochs
            else "Stopped before the first epoch ended"
        )
    if state.stopping:
        return "Stopping…"
    if state.stage != "training" or not state.epochs:
        epoch = f"Epoch {state.epoch} of {state.epochs}: " if state.epoch else ""
        text = state.stage if epoch else f"{state.stage[:1].upper()}{state.stage[1:]}"
        return f"{epoch}{text}…"
    left = "" if state.left is None or not math.isfinite(state.left) else f", {in_words(state.left)} left"
    return f"Epoch {state.epoch} of {state.epochs}, batch {state.batch} of {state.batches}{left}"


def _accuracy(state: TrainingState) -> str:
    best = state.best_epoch
    if best is None:
        return ""
    return (
        f"best mAP50-95 {_figure(best.figures[MAP])}, mAP50 {_figure(best.figures.get(MAP50, math.nan))} in epoch {best.epoch}"
    )


def _figure(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "no number"


class _Line(QLabel):
    """A line of text, which is cut short in its middle where there is no room; the tooltip has all of it then."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._whole = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, text: str) -> None:
        """Show a text; nothing where it is empty."""
        if text != self._whole:  # to set a text has the whole panel laid out anew
            self._whole = text
            self.setAccessibleDescription(text)
            self.setVisible(bool(text))
            self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        shown = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.width())
        if shown != self.text():
            self.setText(shown)
            self.setToolTip(self._whole if shown != self._whole else "")


def _button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(True)  # Enter presses it, as Space does
    button.clicked.connect(lambda: clicked())
    return button
