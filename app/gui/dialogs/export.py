"""The dialog that makes an ONNX file of a model, shows how that goes, and what proves that the file finds the same."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import QSize, Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDesktopServices, QGuiApplication, QPalette
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QStackedWidget,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.icons import icon
from framehook.app.gui.told import Told
from framehook.app.session.exports import ExportJob, ExportState, check_installed
from framehook.app.session.state import Level
from framehook.export.options import MOST, OLDEST_OPSET, ExportOptions
from framehook.export.target import choose_target
from framehook.inference.backends import available_devices
from framehook.inference.decoders import known_decoders
from framehook.inference.errors import FramehookError, OptionError, one_line
from framehook.inference.frame import SourceKind
from framehook.inference.load import CHECKPOINTS, bundled_model
from framehook.inference.nets.architecture import known_architectures
from framehook.inference.registry import REGISTRY, models_folder
from framehook.inference.sources.demo import find_demo_clip

if TYPE_CHECKING:
    from framehook.app.gui.bridge import Bridge

AUTOMATIC: Final = "Automatic"
_PRECISIONS: Final = (("As it is (float32)", ""), ("Half precision (float16)", "half"), ("Integers (int8)", "int8"))
_ABOUT_PRECISION: Final = (
    "Half precision makes the file half as large; its speed is for GPUs. Integers make it a third as large, and up to 1.7 "
    "times as fast on a processor; what they would hurt stays in float."
)
_ABOUT_DATA: Final = (
    "A clip or a folder of pictures like those it will see: integers are calibrated on them, and the file is compared with its "
    "source on them. None for the demo clip."
)
_SIZE: Final = re.compile(r"\s*(\d+)(?:\s*[x×*, ]\s*(\d+))?\s*", re.IGNORECASE)  # noqa: RUF001 - as one writes it
_TITLES: Final = {
    "size": "Size of the file",
    "compared": "Compared",
    "network": "Numbers of the network",
    "pixels": "Preprocessed pixels",
    "detections": "Detections",
    "AP50": "Accuracy (AP50)",
    "speed": "Speed",
    "float": "Left in float",
    "note": "Note",
    "took": "Time taken",
}
"""The rows of a report, for people."""
_PROVING: Final = ("network", "pixels", "detections", "AP50")
"""Those that an export fails over."""
_LABELS: Final = {
    "imgsz": "Network input",
    "batch": "Pictures at a time",
    "dynamic": "Any size and number of pictures",
    "opset": "Version of operators",
    "half": "Half precision",
    "int8": "Integers",
    "data": "Frames",
    "nms": "Suppress overlaps inside",
    "preprocess": "Take whole frames",
    "simplify": "Simplify the graph",
    "verify": "Prove it",
    "output": "File",
    "conf": "Least confidence",
    "iou": "Overlap",
    "max_det": "Most boxes",
    "device": "Runs on",
    "decoder": "Output layout",
    "architecture": "Architecture",
}
"""What the options are called here."""
_VALUE: Final = re.compile(rf"(?<![\w-])({'|'.join(_LABELS)})=(True\b|False\b)?")
_STEPS: Final = 1000
_SIGN: Final = 20  # pixels


class ExportDialog(QDialog):
    """Chooses how a model is exported, exports it in a process of its own, and tells what came of it.

    The window goes on meanwhile. To close the dialog calls an export off.
    """

    _told = pyqtSignal()

    def __init__(self, bridge: Bridge, parent: QWidget | None = None, spec: str | Path | EllipsisType | None = ...) -> None:
        """Offer to export.

        Args:
            bridge: Where the current source is known, and where the exported model is used.
            parent: The window.
            spec: The model, as `Model` takes it; None for the bundled detector. Left out, it is the one in use.
        """
        super().__init__(parent)
        self._bridge = bridge
        in_use = bridge.state.model
        self._spec = spec if not isinstance(spec, EllipsisType) else in_use.spec if in_use is not None else None
        self._file = _file_of(self._spec)
        self._job: ExportJob | None = None
        self._shown: ExportState | None = None
        self._named = False  # whether the user chose the file
        self._fields: dict[str, QWidget] = {}
        self.setWindowTitle(f"Export {self._file.name}")
        self.setModal(False)
        self._pages = QStackedWidget()
        self._pages.addWidget(self._make_form())
        self._pages.addWidget(self._make_progress())
        self._pages.addWidget(self._make_outcome())
        layout = QVBoxLayout(self)
        layout.addWidget(self._pages)
        self._told.connect(self._follow)
        self._prefill()
        self._listen()
        self._adapt()
        self._tell_missing()
        self.resize(QSize(720, 640))

    # The form ---------------------------------------------------------------------------------------------------------------

    def _make_form(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        about = QLabel(
            "Makes an ONNX file that runs anywhere without PyTorch, and proves that it finds what the model finds. "
            "The window goes on meanwhile."
        )
        about.setWordWrap(True)
        layout.addWidget(about)
        inside = QWidget()
        groups = QVBoxLayout(inside)
        groups.addWidget(self._file_group())
        groups.addWidget(self._numbers_group())
        groups.addWidget(self._stages_group())
        groups.addWidget(self._input_group())
        groups.addWidget(self._proof_group())
        groups.addWidget(self._source_group())
        groups.addStretch()
        self._scroll = QScrollArea()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(self._scroll, 1)
        self.problem = Told()
        self.problem.setAccessibleName("What is wrong")
        layout.addWidget(self.problem)
        self.export_button = QPushButton(icon("export"), "&Export")
        self.export_button.setDefault(True)
        self.export_button.setToolTip("Export the model like this (Enter)")
        self.export_button.clicked.connect(self.export)
        self.close_button = _button("Close", "Close this dialog (Esc)", self.reject)
        layout.addLayout(_in_a_row(None, self.export_button, self.close_button))
        return page

    def _file_group(self) -> QWidget:
        self.output = QLineEdit()
        browse = _button("&Browse…", "Choose where the file goes", self._browse_output)
        return self._group(
            "",
            ("output", "&File", _Beside(self.output, browse), "The file to write. It appears when all is well, and only then."),
        )

    def _numbers_group(self) -> QWidget:
        self.precision = QComboBox()
        for title, option in _PRECISIONS:
            self.precision.addItem(title, option)
        self.data = QLineEdit()
        self.data.setClearButtonEnabled(True)
        self._browse_data_button = _button("B&rowse…", "Choose a clip or a picture", self._browse_data)
        return self._group(
            "Numbers",
            (
                "half",
                "&Compute in",
                self.precision,
                _ABOUT_PRECISION,
            ),
            (
                "data",
                "Fra&mes",
                _Beside(self.data, self._browse_data_button),
                _ABOUT_DATA,
            ),
        )

    def _stages_group(self) -> QWidget:
        self.preprocess = QCheckBox("Take &whole frames")
        self.nms = QCheckBox("S&uppress overlaps inside")
        self.conf = _share(0.01, "Least confidence of a box that the file gives")
        self.iou = _share(0.7, "Overlap from which on the weaker of two boxes goes")
        self.max_det = _whole(1, MOST, 300, "Most boxes of a picture that the file gives")
        thresholds = QHBoxLayout()
        for option, field in (("conf", self.conf), ("iou", self.iou), ("max_det", self.max_det)):
            label = QLabel(_LABELS[option])
            label.setBuddy(field)
            thresholds.addWidget(label)
            thresholds.addWidget(field)
            thresholds.addSpacing(8)
            self._fields[option] = field
        thresholds.addStretch()
        return self._group(
            "What the file does itself",
            (
                "preprocess",
                "",
                self.preprocess,
                "The file takes frames of any size, height x width x 3 bytes, blue first, and answers in their pixels.",
            ),
            ("nms", "", self.nms, "The file gives finished boxes. A run can still ask for a higher confidence."),
            ("", "", _holding(thresholds), ""),
        )

    def _input_group(self) -> QWidget:
        self.imgsz = QLineEdit()
        self.imgsz.setPlaceholderText("the model's own")
        self.batch = _whole(1, MOST, 1, "Pictures that a call of the network takes")
        self.dynamic = QCheckBox("An&y size and number of pictures")
        self.opset = _whole(OLDEST_OPSET - 1, 99, OLDEST_OPSET - 1, "Version of ONNX's operators")
        self.opset.setSpecialValueText(AUTOMATIC)
        self.simplify = QCheckBox("&Simplify the graph")
        self.simplify.setChecked(True)
        return self._group(
            "Network",
            ("imgsz", "&Network input", self.imgsz, "A side in pixels, such as 640, or width x height, such as 640 x 480."),
            ("batch", "&Pictures at a time", self.batch, "More than one is for programs that collect pictures."),
            ("dynamic", "", self.dynamic, "Leave size and number open, so that each run chooses."),
            (
                "opset",
                "&Version of operators",
                self.opset,
                "An older version for older runtimes; automatic is what the model was made with.",
            ),
            ("simplify", "", self.simplify, "Constants are folded and operators fused: a little smaller and faster."),
        )

    def _proof_group(self) -> QWidget:
        self.verify = QCheckBox("Prove &it")
        self.verify.setChecked(True)
        return self._group(
            "Proof",
            (
                "verify",
                "",
                self.verify,
                "Run file and source on the same frames. Where they differ by more than stated tolerances, nothing is left.",
            ),
        )

    def _source_group(self) -> QWidget:
        self.device = _choice(AUTOMATIC, *available_devices())
        self.device.setEditable(True)
        self.decoder = _choice(AUTOMATIC, *known_decoders())
        self.architecture = _choice(AUTOMATIC, *known_architectures())
        self.architecture.setEnabled(self._file.suffix.lower() in CHECKPOINTS)
        return self._group(
            "The model it is made of",
            ("device", "Runs &on", self.device, "Where the model runs that the file is compared with: cpu, cuda, cuda:1…"),
            ("decoder", "Output &layout", self.decoder, "What its outputs mean, where the file does not say so itself."),
            ("architecture", "&Architecture", self.architecture, "The network of a checkpoint that holds weights alone."),
        )

    def _group(self, title: str, *rows: tuple[str, str, QWidget, str]) -> QWidget:
        """Rows of (option, label, control, a sentence about it)."""
        group = QGroupBox(title)
        form = QFormLayout(group)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        widest = self.fontMetrics().horizontalAdvance(_LABELS["opset"])  # so that the controls of all groups are in one line
        for option, text, control, sentence in rows:
            field = control if not isinstance(control, _Beside) else control.first
            if option:
                self._fields[option] = field
                field.setToolTip(sentence)
                field.setAccessibleName(_LABELS[option])
                field.setAccessibleDescription(sentence)
            label = QLabel(text)
            label.setBuddy(field)
            label.setMinimumWidth(widest)
            form.addRow(label, control)
            if sentence:
                told = QLabel(sentence)
                told.setWordWrap(True)
                told.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
                told.setAlignment(Qt.AlignmentFlag.AlignTop)
                told.setForegroundRole(QPalette.ColorRole.PlaceholderText)
                form.addRow("", told)
        return group

    def _listen(self) -> None:
        for check in (self.preprocess, self.nms, self.dynamic, self.simplify, self.verify):
            check.toggled.connect(self._adapt)
        for choice in (self.precision, self.device, self.decoder, self.architecture):
            choice.currentTextChanged.connect(self._adapt)
        for number in (self.batch, self.opset, self.max_det):
            number.valueChanged.connect(self._adapt)
        for text in (self.data, self.imgsz):
            text.textChanged.connect(self._adapt)
        self.output.textEdited.connect(self._name)

    def _prefill(self) -> None:
        """What follows from what is open: the model's layout, and a clip to compare on."""
        state = self._bridge.state
        model = state.model
        if model is not None and model.spec == self._spec and model.layout in known_decoders():
            self.decoder.setCurrentText(model.layout)
        clips = [
            slot.source.path
            for slot in state.slots
            if slot.source is not None and slot.source.kind is SourceKind.VIDEO and not slot.source.live
        ]
        clip = clips[0] if clips else find_demo_clip()
        self.data.setText("" if clip is None else str(clip))

    def _adapt(self) -> None:
        """Offer what goes together, and name the file after what is special of it."""
        if self.export_button.isEnabled():  # else something is missing, whatever is chosen
            self.problem.clear()
        precision = self.precision.currentData()
        whole = self.preprocess.isChecked()
        if whole:  # such a file takes one frame of any size
            self.dynamic.setChecked(False)
            self.batch.setValue(1)
        needed = self.verify.isChecked() or precision == "int8"
        for fields, on in (
            ((self.dynamic, self.batch), not whole),
            ((self.conf, self.iou, self.max_det), self.nms.isChecked()),
            ((self.data, self._browse_data_button), needed),
        ):
            for field in fields:
                field.setEnabled(on)
        self.data.setPlaceholderText(
            "a clip or a folder of pictures" if precision == "int8" or find_demo_clip() is None else "the demo clip"
        )
        if not self._named:
            with contextlib.suppress(FramehookError):
                chosen = ExportOptions.build({**self._options(), "output": None})
                folder = self._folder()
                path = None if self._spec is None else self._file
                beside = folder if folder.is_dir() else Path.home()
                target = choose_target(chosen, name=self._file.stem, path=path, beside=beside)
                self.output.setText(str(folder / target.name))

    def _folder(self) -> Path:
        """Where a file goes that nobody has named: beside the model, but for what comes with the package or was pulled."""
        theirs = (bundled_model().parent, models_folder())
        beside = self._file.absolute().parent
        return self._bridge.session.folder if beside in theirs or not os.access(beside, os.W_OK) else beside

    def _name(self) -> None:
        self._named = bool(self.output.text())
        self._adapt()

    def _browse_output(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export to", self.output.text(), "ONNX files (*.onnx)")
        if name:
            self.output.setText(name if Path(name).suffix else f"{name}.onnx")
            self._name()

    def _browse_data(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Frames", self.data.text(), "All files (*)")
        if name:
            self.data.setText(name)

    def _options(self) -> dict[str, Any]:
        """The options, as `ExportOptions` takes them.

        Raises:
            OptionError: a text that cannot be read.
        """
        precision = self.precision.currentData()
        options: dict[str, Any] = {
            "imgsz": _size(self.imgsz.text()),
            "batch": self.batch.value(),
            "dynamic": self.dynamic.isChecked(),
            "opset": self.opset.value() if self.opset.value() >= OLDEST_OPSET else None,
            "half": precision == "half",
            "int8": precision == "int8",
            "data": (self.data.text().strip() or None) if self.data.isEnabled() else None,
            "nms": self.nms.isChecked(),
            "preprocess": self.preprocess.isChecked(),
            "simplify": self.simplify.isChecked(),
            "verify": self.verify.isChecked(),
            "output": self.output.text().strip() or None,
        }
        if options["nms"]:
            options |= {"conf": self.conf.value(), "iou": self.iou.value(), "max_det": self.max_det.value()}
        return options

    def _tell_missing(self) -> None:
        """Say at once what is not installed."""
        try:
            check_installed(self._spec)
        except FramehookError as error:
            self._refuse(error)
            self.export_button.setEnabled(False)

    def _refuse(self, error: FramehookError) -> None:
        """Say what is wrong, and go to where."""
        self.problem.tell(Level.ERROR, in_dialog_terms(one_line(error)))
        named = _VALUE.search(str(error))
        field = self._fields.get(named[1]) if named is not None else None
        if field is not None and field.isEnabled():
            field.setFocus(Qt.FocusReason.OtherFocusReason)
            self._scroll.ensureWidgetVisible(field)

    # The export -------------------------------------------------------------------------------------------------------------

    def export(self) -> None:
        """Export like this, unless something is wrong with it, which is said then."""
        self.problem.clear()
        try:
            options = self._options()
            checked = ExportOptions.build(options)
            if not self._named and options["output"] is not None:
                _make_folder(Path(options["output"]).parent)
            choose_target(checked, name=self._file.stem, path=self._file, beside=Path())
            self._job = ExportJob(
                self._spec,
                options,
                self._tell,
                device=_chosen(self.device),
                decoder=_chosen(self.decoder),
                architecture=_chosen(self.architecture) if self.architecture.isEnabled() else None,
            )
        except FramehookError as error:
            self._refuse(error)
            return
        self.destroyed.connect(self._job.cancel)
        self._way.setText(f"{self._file.name} → {Path(self.output.text()).name}")
        self._pages.setCurrentIndex(1)
        self.cancel_button.setEnabled(True)
        self.cancel_button.setFocus()
        self._follow()

    def cancel(self) -> None:
        """Call the export off."""
        if self._job is not None:
            self.cancel_button.setEnabled(False)
            self._stage.setText("Cancelling…")
            self._job.cancel()

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

    def _tell(self) -> None:
        """From the thread of the export: its state has changed."""
        with contextlib.suppress(RuntimeError):  # the dialog is gone
            self._told.emit()

    def _follow(self) -> None:
        state = None if self._job is None else self._job.state
        if state is None or state is self._shown:
            return
        self._shown = state
        if state.going_on:
            if self.cancel_button.isEnabled():
                self._stage.setText(f"{state.stage[:1].upper()}{state.stage[1:]}…")
            self.progress.setRange(0, _STEPS if state.fraction is not None else 0)
            self.progress.setValue(round((state.fraction or 0.0) * _STEPS))
            return
        self._job = None
        if state.path is not None:
            self._show_report(state)
            return
        self._pages.setCurrentIndex(0)
        self.export_button.setFocus()
        if state.error is None:
            self.problem.tell(Level.INFO, "The export was cancelled, and nothing was written")
        else:
            text = in_dialog_terms(state.error)
            self.problem.tell(Level.ERROR, text)
            self._bridge.report(Level.ERROR, f"The export of {self._file.name} failed: {text}", state.detail)

    def _make_progress(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        self._way = QLabel()
        self._way.setTextFormat(Qt.TextFormat.PlainText)
        self._way.setWordWrap(True)
        self._way.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.progress = QProgressBar()
        self.progress.setAccessibleName("Progress of the export")
        self.progress.setTextVisible(False)
        self._stage = QLabel()
        self._stage.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._stage.setAccessibleName("What is going on")
        self.cancel_button = _button("&Cancel export", "Call the export off; no file is left (Esc)", self.cancel)
        layout.addStretch()
        layout.addWidget(self._way)
        layout.addWidget(self.progress)
        layout.addWidget(self._stage)
        layout.addStretch()
        layout.addLayout(_in_a_row(None, self.cancel_button))
        return page

    # What came of it --------------------------------------------------------------------------------------------------------

    def _make_outcome(self) -> QWidget:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        self.verdict = Told()
        self.verdict.setAccessibleName("What came of it")
        layout.addWidget(self.verdict)
        self.path = QLineEdit()
        self.path.setReadOnly(True)
        self.path.setAccessibleName("The file")
        self.path.setToolTip("The file that was written")
        layout.addWidget(self.path)
        self.report = QTableWidget(0, 3)
        self.report.setAccessibleName("Report")
        self.report.setHorizontalHeaderLabels(["What", "Figures", "Verdict"])
        self.report.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.report.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.report.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.report.setTabKeyNavigation(False)
        self.report.setWordWrap(True)
        self.report.setShowGrid(False)
        self.report.setAlternatingRowColors(True)
        below, beside = self.report.verticalHeader(), self.report.horizontalHeader()
        if below is not None and beside is not None:
            below.hide()
            below.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            beside.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            beside.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            beside.setHighlightSections(False)
            beside.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.report.setStyleSheet("QTableWidget::item { padding: 3px 6px }")
        layout.addWidget(self.report, 1)
        self.use_button = _button("&Use it here", "Go on with the exported model in this window", self._use)
        self.use_button.setIcon(icon("model"))
        self.folder_button = _button("&Show in folder", "Open the folder of the file", self._show_folder)
        self.folder_button.setIcon(icon("folder"))
        self.copy_button = _button("&Copy command", "", self._copy)
        self.again_button = _button("Export &again…", "Go back to the options", self._back)
        self._done_button = _button("Close", "Close this dialog (Esc)", self.reject)
        buttons = (self.use_button, self.folder_button, self.copy_button, None, self.again_button, self._done_button)
        layout.addLayout(_in_a_row(*buttons))
        return page

    def _show_report(self, state: ExportState) -> None:
        proven = bool(state.report.get("proven"))
        compared = state.report.get("parity") is not None
        if proven:
            self.verdict.tell(Level.INFO, "Exported, and proven: the file finds what its source finds")
        elif compared:
            self.verdict.tell(Level.WARNING, "Exported, but not proven: too little was found in the frames to compare it on")
        else:
            self.verdict.tell(Level.WARNING, "Exported, but not proven: it was not compared with its source")
        self.path.setText(str(state.path))
        self.report.setRowCount(0)
        last = ""
        for what, figures in state.rows:
            last = what or last
            row = self.report.rowCount()
            self.report.insertRow(row)
            for column, text in enumerate((_TITLES.get(what, what), figures, _verdict(last, proven=proven, compared=compared))):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
                self.report.setItem(row, column, item)
        self._command = str(self._next(state.report).get("command") or self._next(state.report).get("python") or "")
        self.copy_button.setToolTip(f"Copy what runs the file: {self._command}")
        self.copy_button.setEnabled(bool(self._command))
        self._pages.setCurrentIndex(2)
        self.use_button.setFocus()

    @staticmethod
    def _next(report: Mapping[str, Any]) -> Mapping[str, Any]:
        found = report.get("next")
        return found if isinstance(found, Mapping) else {}

    def _use(self) -> None:
        self._bridge.session.use_model(self.path.text())
        self.accept()

    def _show_folder(self) -> None:
        folder = Path(self.path.text()).parent
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._bridge.report(Level.WARNING, f"No program opens folders here; the file is {self.path.text()}")

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._command)

    def _back(self) -> None:
        self._pages.setCurrentIndex(0)
        self.export_button.setFocus()


def in_dialog_terms(text: str) -> str:
    """A message about the options of an export, in the words of this dialog."""

    def said(found: re.Match[str]) -> str:
        label = f"“{_LABELS[found[1]]}”"
        return label if found[2] == "True" else f"no {label}" if found[2] == "False" else f"{label} "

    return _VALUE.sub(said, text)


# Parts ----------------------------------------------------------------------------------------------------------------------


class _Beside(QWidget):
    """A control with a button beside it."""

    def __init__(self, first: QWidget, button: QPushButton) -> None:
        super().__init__()
        self.first = first
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(first, 1)
        layout.addWidget(button)


def _button(text: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.setToolTip(tip)
    button.clicked.connect(lambda: clicked())
    return button


def _in_a_row(*widgets: QWidget | None) -> QHBoxLayout:
    """Widgets beside each other; None for what is left of the width."""
    row = QHBoxLayout()
    for widget in widgets:
        row.addStretch() if widget is None else row.addWidget(widget)
    return row


def _holding(layout: QHBoxLayout) -> QWidget:
    widget = QWidget()
    layout.setContentsMargins(0, 0, 0, 0)
    widget.setLayout(layout)
    return widget


def _share(value: float, tip: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(0.0, 1.0)
    field.setSingleStep(0.05)
    field.setDecimals(2)
    field.setValue(value)
    field.setToolTip(tip)
    field.setAccessibleName(tip)
    return field


def _whole(least: int, most: int, value: int, tip: str) -> QSpinBox:
    field = QSpinBox()
    field.setRange(least, most)
    field.setValue(value)
    field.setToolTip(tip)
    field.setAccessibleName(tip)
    return field


def _choice(*words: str) -> QComboBox:
    field = QComboBox()
    field.addItems(words)
    return field


def _chosen(field: QComboBox) -> str | None:
    text = field.currentText().strip()
    return None if text in ("", AUTOMATIC) else text


def _size(text: str) -> int | tuple[int, int] | None:
    """A side, or (height, width), of `640` or `640 x 480`, which is width by height."""
    if not text.strip():
        return None
    found = _SIZE.fullmatch(text)
    if found is None:
        raise OptionError(f"imgsz='{text}' is not a size; write a side in pixels, 640, or width x height, 640 x 480")
    return int(found[1]) if found[2] is None else (int(found[2]), int(found[1]))


def _file_of(spec: str | Path | None) -> Path:
    """The file of a model, as far as that can be told by its name."""
    if spec is None:
        return bundled_model()
    return REGISTRY.path_of(str(spec)) if str(spec) in REGISTRY.entries else Path(spec).expanduser()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"output='{folder}' cannot be made: {error.strerror or error}") from error


def _verdict(row: str, *, proven: bool, compared: bool) -> str:
    if row not in _PROVING or not compared:
        return ""
    return "agrees" if proven or row in ("network", "pixels") else "not proven"
