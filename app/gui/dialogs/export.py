"""The dialog that makes an ONNX file of a model, shows how that goes, and what proves that the file finds the same."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Final

from PyQt6.QtCore import QSize, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices
from PyQt6.QtWidgets import QDialog, QStackedWidget, QVBoxLayout, QWidget

from framehook.app.gui.dialogs.export_form import ExportForm
from framehook.app.gui.dialogs.export_outcome import ExportOutcome
from framehook.app.gui.dialogs.export_progress import ExportProgress
from framehook.app.gui.dialogs.export_terms import in_dialog_terms
from framehook.app.session.exports import ExportJob, ExportState
from framehook.app.session.state import Level
from framehook.inference.errors import FramehookError

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge
    from framehook.app.gui.settings_store import Store

_WIDE: Final = 46
_HIGH: Final = 39
"""Of the dialog, in lines of text, so that it grows with the letters."""
_OF_SCREEN: Final = 0.9


class ExportDialog(QDialog):
    """Chooses how a model is exported, exports it in a process of its own, and tells what came of it.

    The window goes on meanwhile. To close the dialog calls an export off.

    Attributes:
        form: The page on which is chosen what to export and how.
        progress: The page that shows how it goes.
        outcome: The page that tells what came of it.
    """

    _told = pyqtSignal()

    def __init__(
        self,
        bridge: Bridge,
        parent: QWidget | None = None,
        spec: str | Path | EllipsisType | None = ...,
        *,
        store: Store | None = None,
    ) -> None:
        """Offer to export.

        Args:
            bridge: Where the current source is known, and where the exported model is used.
            parent: The window.
            spec: The model, as `Model` takes it; None for the bundled detector. Left out, it is the one in use.
            store: What remembers how the dialog was left; None where nothing is to be remembered.
        """
        super().__init__(parent)
        self._bridge = bridge
        in_use = bridge.state.model
        self._spec = spec if not isinstance(spec, EllipsisType) else in_use.spec if in_use is not None else None
        self._job: ExportJob | None = None
        self._shown: ExportState | None = None
        self.form = ExportForm(bridge, self._spec, store)
        self.progress = ExportProgress()
        self.outcome = ExportOutcome()
        self.setWindowTitle(f"Export {self.form.file.name}")
        self.setModal(False)
        self._pages = QStackedWidget()
        for page in (self.form, self.progress, self.outcome):
            self._pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.addWidget(self._pages)
        self.form.export_requested.connect(self.export)
        self.form.close_requested.connect(self.reject)
        self.progress.cancel_requested.connect(self._call_off)
        self.outcome.use_requested.connect(self._use)
        self.outcome.folder_requested.connect(self._show_folder)
        self.outcome.again_requested.connect(self._show_form)
        self.outcome.close_requested.connect(self.reject)
        self._told.connect(self._follow)
        self.resize(self._roomy())

    def export(self) -> None:
        """Export like this, unless something is wrong with it, which is said then."""
        self.form.problem.clear()
        try:
            choice = self.form.choice()
            self._job = ExportJob(
                self._spec,
                choice.options,
                self._tell,
                device=choice.device,
                decoder=choice.decoder,
                architecture=choice.architecture,
            )
        except FramehookError as error:
            self.form.refuse(error)
            return
        self.destroyed.connect(self._job.cancel)
        self._pages.setCurrentWidget(self.progress)
        self.progress.begin(self.form.file.name, Path(self.form.output.text()))
        self._follow()

    def cancel(self) -> None:
        """Call the export off."""
        if self._job is not None:
            self.progress.cancel()

    @property
    def spec(self) -> str | Path | None:
        """The model that it is about."""
        return self._spec

    @property
    def is_exporting(self) -> bool:
        """Whether an export goes on."""
        return self._job is not None and self._job.state.going_on

    def reject(self) -> None:
        if self.is_exporting:
            self.cancel()
        else:
            super().reject()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.cancel()
        super().reject()  # Qt would ask `reject` of ours, which stays to tell that it was cancelled
        if event is not None:
            event.accept()

    def _roomy(self) -> QSize:
        """A size in which what is chosen most can be seen without scrolling, where the screen has room for it."""
        line = self.fontMetrics().height()
        size = QSize(_WIDE * line, _HIGH * line)
        screen = self.screen()
        return size if screen is None else size.boundedTo(screen.availableSize() * _OF_SCREEN)

    def _tell(self) -> None:
        """From the thread of the export: its state has changed."""
        with contextlib.suppress(RuntimeError):  # the dialog is gone
            self._told.emit()

    def _follow(self) -> None:
        state = None if self._job is None else self._job.state
        if state is None or state is self._shown:
            return
        self._shown = state
        self.progress.show_state(state)
        if state.going_on:
            return
        self._job = None
        if state.path is not None:
            self._pages.setCurrentWidget(self.outcome)
            self.outcome.show_report(state)
            return
        self._show_form()
        if state.error is None:
            self.form.problem.tell(Level.INFO, "The export was cancelled, and nothing was written")
        else:
            text = in_dialog_terms(state.error)
            self.form.problem.tell(Level.ERROR, text)
            self._bridge.report(Level.ERROR, f"The export of {self.form.file.name} failed: {text}", state.detail)

    def _call_off(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _show_form(self) -> None:
        self._pages.setCurrentWidget(self.form)
        self.form.export_button.setFocus()

    def _use(self, path: str) -> None:
        self._bridge.session.use_model(path)
        self.accept()

    def _show_folder(self, path: str) -> None:
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(path).parent))):
            self._bridge.report(Level.WARNING, f"No program opens folders here; the file is {path}")
