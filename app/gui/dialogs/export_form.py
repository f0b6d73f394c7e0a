"""The page of the dialog of an export on which is chosen what to export, and how."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFrame,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.dialogs.export_fields import AUTOMATIC, choice_field, chosen_in, read_size, share_field, whole_field
from framehook.app.gui.dialogs.export_layout import Fold, Section, in_a_row, push_button
from framehook.app.gui.dialogs.export_terms import LABELS, in_dialog_terms, option_in
from framehook.app.gui.icons import icon
from framehook.app.gui.told import Told
from framehook.app.session.exports import check_installed
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
    from framehook.app.gui.settings_store import Store

UNFOLDED: Final = "export-advanced"
"""The flag of the store that the advanced options are shown."""
_PRECISIONS: Final = (("As it is (float32)", ""), ("Half precision (float16)", "half"), ("Integers (int8)", "int8"))
_ABOUT_PRECISION: Final = (
    "Half precision makes the file half as large; its speed is for GPUs. Integers make it a third as large, and up to 1.7 "
    "times as fast on a processor; what they would hurt stays in float."
)
_ABOUT_DATA: Final = (
    "A clip or a folder of pictures like those it will see: integers are calibrated on them, and the file is compared with its "
    "source on them. None for the demo clip."
)
_ONNX: Final = "ONNX files (*.onnx)"


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What is to be exported how.

    Attributes:
        options: As `ExportOptions` takes them.
        device: What to run the source on; None for the best there is.
        decoder: How its outputs are laid out; None for what the file says.
        architecture: The network of a checkpoint of weights alone; None for what the file says.
    """

    options: dict[str, Any]
    device: str | None
    decoder: str | None
    architecture: str | None


class ExportForm(QWidget):
    """Offers the options of an export, those that matter to everyone first, and says what is wrong with them."""

    export_requested = pyqtSignal()
    close_requested = pyqtSignal()

    def __init__(self, bridge: Bridge, spec: str | Path | None, store: Store | None = None) -> None:
        """Offer to export.

        Args:
            bridge: Where it is known what is open.
            spec: The model, as `Model` takes it; None for the bundled detector.
            store: What remembers whether the advanced options are shown; None to begin without them.
        """
        super().__init__()
        self._bridge = bridge
        self._spec = spec
        self.file = file_of(spec)
        self._store = store
        self._named = False  # whether the user chose the file
        self._fields: dict[str, QWidget] = {}
        about = QLabel(
            "Makes an ONNX file that runs anywhere without PyTorch, and proves that it finds what the model finds. "
            "The window goes on meanwhile."
        )
        about.setWordWrap(True)
        advanced = QWidget()
        hidden = QVBoxLayout(advanced)
        hidden.setContentsMargins(0, 0, 0, 0)
        inside = QWidget()
        sections = QVBoxLayout(inside)
        sections.setContentsMargins(0, 0, 0, 0)
        for section in (self._file_section(), self._precision_section(), self._proof_section()):
            sections.addWidget(section)
        for section in (self._network_section(), self._stages_section(), self._source_section()):
            hidden.addWidget(section)
        unfolded = store is not None and store.flag(UNFOLDED)
        tip = "The network, what the file does itself, and the model it is made of"
        self._advanced = Fold("A&dvanced", tip, advanced, unfolded=unfolded)
        self._advanced.toggled.connect(self._unfold)
        self._placed = QTimer(self)  # what is shown now is to be seen, too, once it has its place
        self._placed.setSingleShot(True)
        self._placed.timeout.connect(self._show_advanced)
        sections.addWidget(self._advanced)
        sections.addStretch()
        self._scroll = QScrollArea()
        self._scroll.setWidget(inside)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # it scrolls to whatever has the keyboard
        self.problem = Told()
        self.problem.setAccessibleName("What is wrong")
        self.export_button = QPushButton(icon("export"), "&Export")
        self.export_button.setDefault(True)
        self.export_button.setToolTip("Export the model like this (Enter)")
        self.export_button.clicked.connect(lambda: self.export_requested.emit())
        self.close_button = push_button("Close", "Close this dialog (Esc)", self.close_requested.emit)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(about)
        rows.addWidget(self._scroll, 1)
        rows.addWidget(self.problem)
        rows.addLayout(in_a_row(None, self.export_button, self.close_button))
        self._prefill()
        self._listen()
        self._adapt()
        self._tell_missing()
        self.output.setFocus()

    def choice(self) -> ExportChoice:
        """What is chosen, once it was checked; the folder that the file goes into by itself is made.

        Raises:
            FramehookError: something is wrong with it, or cannot be read.
        """
        self._name_again()  # the keyboard may not have left the field
        options = self._options()
        checked = ExportOptions.build(options)
        if not self._named and options["output"] is not None:
            _make_folder(Path(options["output"]).parent)
        choose_target(checked, name=self.file.stem, path=self.file, beside=Path())
        return ExportChoice(
            options,
            chosen_in(self.device),
            chosen_in(self.decoder),
            chosen_in(self.architecture) if self.architecture.isEnabled() else None,
        )

    def refuse(self, error: FramehookError) -> None:
        """Say what is wrong, and go to where."""
        self.problem.tell(Level.ERROR, in_dialog_terms(one_line(error)))
        field = self._fields.get(option_in(str(error)) or "")
        if field is not None and field.isEnabled():
            if self._advanced.isAncestorOf(field):
                self._advanced.unfold()
            field.setFocus(Qt.FocusReason.OtherFocusReason)
            self._scroll.ensureWidgetVisible(field)

    # The options ------------------------------------------------------------------------------------------------------------

    def _file_section(self) -> Section:
        self.output = QLineEdit()
        browse = push_button("&Browse…", "Choose where the file goes", self._browse_output)
        section = self._section("")
        about = "The file to write. It appears when all is well, and only then."
        self._add(section, "output", "&File", self.output, about, beside=browse)
        return section

    def _precision_section(self) -> Section:
        self.precision = QComboBox()
        for title, option in _PRECISIONS:
            self.precision.addItem(title, option)
        section = self._section("Precision")
        self._add(section, "half", "&Compute in", self.precision, _ABOUT_PRECISION, name="Compute in")
        self._fields["int8"] = self.precision
        return section

    def _proof_section(self) -> Section:
        self.verify = QCheckBox("Prove &it")
        self.verify.setChecked(True)
        self.data = QLineEdit()
        self.data.setClearButtonEnabled(True)
        self._browse_data_button = push_button("B&rowse…", "Choose a clip or a picture", self._browse_data)
        section = self._section("Proof")
        about = "Run file and source on the same frames. Where they differ by more than stated tolerances, nothing is left."
        self._add(section, "verify", "", self.verify, about)
        self._add(section, "data", "Fra&mes", self.data, _ABOUT_DATA, beside=self._browse_data_button)
        return section

    def _network_section(self) -> Section:
        self.imgsz = QLineEdit()
        self.imgsz.setPlaceholderText("the model's own")
        self.batch = whole_field(1, MOST, 1)
        self.dynamic = QCheckBox("An&y size and number of pictures")
        self.opset = whole_field(OLDEST_OPSET - 1, 99, OLDEST_OPSET - 1)
        self.opset.setSpecialValueText(AUTOMATIC)
        self.simplify = QCheckBox("&Simplify the graph")
        self.simplify.setChecked(True)
        section = self._section("Network")
        about = "A side in pixels, such as 640, or width x height, such as 640 x 480."
        self._add(section, "imgsz", "&Network input", self.imgsz, about)
        self._add(section, "batch", "&Pictures at a time", self.batch, "More than one is for programs that collect pictures.")
        self._add(section, "dynamic", "", self.dynamic, "Leave size and number open, so that each run chooses.")
        about = "An older version for older runtimes; automatic is what the model was made with."
        self._add(section, "opset", "&Version of operators", self.opset, about)
        about = "Constants are folded and operators fused: a little smaller and faster."
        self._add(section, "simplify", "", self.simplify, about)
        return section

    def _stages_section(self) -> Section:
        self.preprocess = QCheckBox("Take &whole frames")
        self.nms = QCheckBox("S&uppress overlaps inside")
        self.conf = share_field(0.01)
        self.iou = share_field(0.7)
        self.max_det = whole_field(1, MOST, 300)
        section = self._section("What the file does itself")
        about = "The file takes frames of any size, height x width x 3 bytes, blue first, and answers in their pixels."
        self._add(section, "preprocess", "", self.preprocess, about)
        about = "The file gives finished boxes. A run can still ask for a higher confidence."
        self._add(section, "nms", "", self.nms, about)
        self._add(section, "conf", "Least confidence", self.conf, "Boxes that score less are not given by the file.")
        self._add(section, "iou", "Overlap", self.iou, "Of two boxes that overlap more than this, the weaker one goes.")
        self._add(section, "max_det", "Most boxes", self.max_det, "Boxes of a picture that the file gives at most.")
        return section

    def _source_section(self) -> Section:
        self.device = choice_field(*available_devices())
        self.device.setEditable(True)
        self.decoder = choice_field(*known_decoders())
        self.architecture = choice_field(*known_architectures())
        self.architecture.setEnabled(self.file.suffix.lower() in CHECKPOINTS)
        section = self._section("The model it is made of")
        about = "Where the model runs that the file is compared with: cpu, cuda, cuda:1…"
        self._add(section, "device", "Runs &on", self.device, about)
        about = "What its outputs mean, where the file does not say so itself."
        self._add(section, "decoder", "Output &layout", self.decoder, about)
        about = "The network of a checkpoint that holds weights alone."
        self._add(section, "architecture", "&Architecture", self.architecture, about)
        return section

    def _section(self, title: str) -> Section:
        beside = ("output", "data", "imgsz", "batch", "opset", "conf", "device", "decoder", "architecture")
        return Section(title, max(self.fontMetrics().horizontalAdvance(LABELS[option]) for option in beside))

    def _add(
        self,
        section: Section,
        option: str,
        text: str,
        control: QWidget,
        sentence: str,
        *,
        name: str = "",
        beside: QWidget | None = None,
    ) -> None:
        section.add(text, name or LABELS[option], control, sentence, beside=beside)
        self._fields[option] = control

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
        self.output.editingFinished.connect(self._name_again)

    def _unfold(self, unfolded: bool) -> None:
        if self._store is not None:
            self._store.set_flag(UNFOLDED, unfolded)
        if unfolded:
            self._placed.start()

    def _show_advanced(self) -> None:
        bar = self._scroll.verticalScrollBar()
        if bar is not None:
            bar.setValue(self._advanced.y())

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
                path = None if self._spec is None else self.file
                beside = folder if folder.is_dir() else Path.home()
                target = choose_target(chosen, name=self.file.stem, path=path, beside=beside)
                self.output.setText(str(folder / target.name))

    def _folder(self) -> Path:
        """Where a file goes that nobody has named: beside the model, but for what comes with the package or was pulled."""
        theirs = (bundled_model().parent, models_folder())
        beside = self.file.absolute().parent
        return self._bridge.session.folder if beside in theirs or not os.access(beside, os.W_OK) else beside

    def _name(self) -> None:
        self._named = True
        self._adapt()

    def _name_again(self) -> None:
        """A field that is left empty is filled in; not before it is left, or nothing else could be typed into it."""
        if not self.output.text().strip():
            self._named = False
            self._adapt()

    def _browse_output(self) -> None:
        dialog = QFileDialog(self, "Export to", self.output.text(), _ONNX)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("onnx")
        dialog.fileSelected.connect(self._take_output)
        dialog.open()

    def _take_output(self, name: str) -> None:
        self.output.setText(name)
        self._name()

    def _browse_data(self) -> None:
        dialog = QFileDialog(self, "Frames", str(Path(self.data.text()).parent), "All files (*)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.data.setText)
        dialog.open()

    def _options(self) -> dict[str, Any]:
        """The options, as `ExportOptions` takes them.

        Raises:
            OptionError: a text that cannot be read.
        """
        precision = self.precision.currentData()
        options: dict[str, Any] = {
            "imgsz": read_size(self.imgsz.text()),
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
            self.refuse(error)
            self.export_button.setEnabled(False)


def file_of(spec: str | Path | None) -> Path:
    """The file of a model, as far as that can be told by its name."""
    if spec is None:
        return bundled_model()
    return REGISTRY.path_of(str(spec)) if str(spec) in REGISTRY.entries else Path(spec).expanduser()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OptionError(f"output='{folder}' cannot be made: {error.strerror or error}") from error
