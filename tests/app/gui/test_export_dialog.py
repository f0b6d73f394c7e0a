import shutil
import sys
from pathlib import Path

import pytest
from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtWidgets import QAbstractSpinBox, QCheckBox, QComboBox, QFileDialog, QLineEdit, QSpinBox

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.dialogs.export import ExportDialog, in_dialog_terms
from framehook.app.session.state import Level
from framehook.export.options import OPTION_NAMES
from framehook.inference.load import bundled_model
from framehook.model import Model

WAIT = 120_000
SCENE = "testsrc:320x240@30:20"


@pytest.fixture
def bridge(qtbot, tmp_path):
    bridge = Bridge()
    bridge.session.folder = tmp_path / "saved"
    yield bridge
    assert bridge.close(20)


@pytest.fixture
def show(qtbot, bridge):
    def show(*spec):
        dialog = ExportDialog(bridge, None, *spec)
        qtbot.addWidget(dialog)
        with qtbot.waitActive(dialog):
            dialog.show()
            dialog.activateWindow()
        return dialog

    return show


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(bundled_model(), tmp_path / "mine.onnx"))


def finish(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.is_exporting and not dialog.cancel_button.isVisible(), timeout=WAIT)


def cells(dialog):
    table = dialog.report
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount())]


def name(dialog, path):
    dialog.output.selectAll()
    dialog.output.insert(str(path))
    dialog.output.textEdited.emit(str(path))


def test_a_model_is_exported_and_the_proof_shown_and_used(qtbot, bridge, show, tmp_path):
    dialog = show()
    name(dialog, tmp_path / "person.onnx")
    dialog.data.setText(SCENE)
    dialog.preprocess.setChecked(True)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.cancel_button.isVisible()
    assert not dialog.export_button.isVisible()
    qtbot.waitUntil(
        lambda: dialog.progress.maximum() > 0 and dialog.progress.value() > dialog.progress.maximum() / 3, timeout=WAIT
    )
    finish(qtbot, dialog)
    rows = {what: (figures, verdict) for what, figures, verdict in cells(dialog) if what}
    assert rows["Size of the file"][0].startswith("3.4 MB")
    assert rows["Compared"][0].startswith("on 20 frames of")
    assert rows["Numbers of the network"] == ("exactly the same numbers", "agrees")
    assert rows["Preprocessed pixels"][1] == "agrees"
    # Nobody is to be seen in the generated scene.
    assert rows["Detections"][1] == "not proven"
    assert "not proven" in dialog.verdict.text()
    assert dialog.path.text() == str(tmp_path / "person.onnx")

    dialog.copy_button.click()
    assert QGuiApplication.clipboard().text() == f"framehook predict {SCENE} --model {tmp_path / 'person.onnx'}"

    def used(state):
        return state.model is not None and str(state.model.spec) == str(tmp_path / "person.onnx")

    with qtbot.waitSignal(bridge.state_changed, timeout=30_000, check_params_cb=used):
        dialog.use_button.click()
    assert not dialog.isVisible()
    assert Model(tmp_path / "person.onnx").detector.baked.frames


def test_the_folder_of_the_file_is_shown(qtbot, show, tmp_path):
    class Opened(QObject):
        def __init__(self):
            super().__init__()
            self.urls = []

        @pyqtSlot(QUrl)
        def open(self, url):
            self.urls.append(url.toLocalFile())

    opened = Opened()
    dialog = show()
    name(dialog, tmp_path / "person.onnx")
    dialog.verify.setChecked(False)
    dialog.export_button.click()
    finish(qtbot, dialog)
    assert "was not compared" in dialog.verdict.text()
    QDesktopServices.setUrlHandler("file", opened.open)
    try:
        dialog.folder_button.click()
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert opened.urls == [str(tmp_path)]
    dialog.again_button.click()
    assert dialog.export_button.isVisible()


def test_a_file_is_offered_beside_the_model_and_named_after_what_is_special(show, model, tmp_path):
    dialog = show(model)
    assert dialog.windowTitle() == "Export mine.onnx"
    assert dialog.output.text() == str(tmp_path / "mine_export.onnx")
    dialog.nms.setChecked(True)
    dialog.precision.setCurrentIndex(1)
    assert dialog.output.text() == str(tmp_path / "mine_nms_half.onnx")
    name(dialog, tmp_path / "other.onnx")
    dialog.nms.setChecked(False)
    assert dialog.output.text() == str(tmp_path / "other.onnx")


def test_the_model_in_use_is_exported_where_none_is_named(qtbot, bridge, show, model):
    assert show().windowTitle() == "Export person320.onnx"
    bridge.session.use_model(model)
    qtbot.waitUntil(lambda: bridge.state.model is not None, timeout=30_000)
    assert show().windowTitle() == "Export mine.onnx"
    assert show(None).windowTitle() == "Export person320.onnx"


def test_the_bundled_model_goes_into_the_folder_for_what_is_saved(qtbot, show, tmp_path):
    dialog = show()
    assert dialog.output.text() == str(tmp_path / "saved" / "person320.onnx")
    dialog.verify.setChecked(False)
    dialog.export_button.click()
    finish(qtbot, dialog)
    assert (tmp_path / "saved" / "person320.onnx").is_file()


def test_what_does_not_go_together_is_not_offered(show):
    dialog = show()
    assert not dialog.conf.isEnabled()
    dialog.nms.setChecked(True)
    assert dialog.conf.isEnabled()
    assert dialog.max_det.isEnabled()
    dialog.batch.setValue(4)
    dialog.dynamic.setChecked(True)
    dialog.preprocess.setChecked(True)
    assert (dialog.batch.value(), dialog.batch.isEnabled()) == (1, False)
    assert (dialog.dynamic.isChecked(), dialog.dynamic.isEnabled()) == (False, False)
    dialog.verify.setChecked(False)
    assert not dialog.data.isEnabled()
    dialog.precision.setCurrentText("Integers (int8)")
    assert dialog.data.isEnabled()
    assert not dialog.architecture.isEnabled()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda dialog: dialog.imgsz.setText("33o"), "“Network input” '33o' is not a size; write a side in pixels"),
        (
            lambda dialog: (dialog.precision.setCurrentText("Integers (int8)"), dialog.data.clear()),
            "“Integers” is calibrated on what the model will see; pass data, too",
        ),
        (lambda dialog: name(dialog, "model.tflite"), "“File” 'model.tflite' is no folder, and no .onnx file"),
        (lambda dialog: name(dialog, bundled_model()), "is the model itself"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started_and_goes_with_a_change(show, wrong, said):
    dialog = show()
    wrong(dialog)
    dialog.export_button.click()
    assert dialog.problem.isVisible()
    assert said in dialog.problem.text()
    assert not dialog.is_exporting
    dialog.simplify.toggle()
    assert not dialog.problem.isVisible()


def test_an_export_that_fails_says_why_and_can_be_tried_again(qtbot, bridge, show, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing" * 100)
    dialog = show(tmp_path / "bad.onnx")
    with qtbot.waitSignal(bridge.noted, timeout=WAIT, check_params_cb=lambda note: note.level is Level.ERROR) as noted:
        dialog.export_button.click()
    finish(qtbot, dialog)
    assert "bad.onnx" in dialog.problem.text()
    assert noted.args[0].text.startswith("The export of bad.onnx failed: ")
    assert dialog.export_button.isVisible()
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


@pytest.mark.parametrize("way", ["button", "escape", "close"])
def test_an_export_is_called_off_and_leaves_nothing(qtbot, show, tmp_path, way):
    dialog = show()
    name(dialog, tmp_path / "person.onnx")
    dialog.data.setText("testsrc:320x240@30:64")
    dialog.export_button.click()
    qtbot.waitUntil(lambda: len(list(tmp_path.glob(".*"))) == 1, timeout=WAIT)
    if way == "button":
        dialog.cancel_button.click()
    elif way == "escape":
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    else:
        dialog.close()
    qtbot.waitUntil(lambda: not dialog.is_exporting, timeout=WAIT)
    assert not list(tmp_path.glob("*.onnx"))
    assert not list(tmp_path.glob(".*"))
    assert dialog.isVisible() is (way != "close")
    if way != "close":
        assert "cancelled, and nothing was written" in dialog.problem.text()


def test_the_clip_that_plays_is_what_is_compared_on(qtbot, bridge, show, clip):
    with qtbot.waitSignal(
        bridge.state_changed, timeout=30_000, check_params_cb=lambda state: any(slot.source is not None for slot in state.slots)
    ):
        bridge.session.open(clip)
    dialog = show()
    assert dialog.data.text() == str(clip)
    assert dialog.decoder.currentText() == bridge.state.model.layout


def test_files_are_chosen_in_dialogs(show, tmp_path, clip, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "chosen"), ""))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(clip), ""))
    dialog = show()
    for button in dialog.findChildren(type(dialog.export_button)):
        if "rowse" in button.text():
            button.click()
    assert dialog.output.text() == str(tmp_path / "chosen.onnx")
    assert dialog.data.text() == str(clip)


def test_a_missing_package_is_told_at_once(show, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxslim", None)  # which is how Python notes that there is no such module
    dialog = show()
    assert "pip install 'framehook[export]'" in dialog.problem.text()
    assert not dialog.export_button.isEnabled()


def test_every_option_is_offered_and_says_what_it_does(show):
    dialog = show()
    controls = dialog.findChildren((QCheckBox, QComboBox, QLineEdit, QSpinBox))
    named = {control.accessibleName() for control in controls}
    assert {"File", "Frames", "Network input", "Pictures at a time", "Take whole frames", "Output layout", "Runs on"} <= named
    for option in (*OPTION_NAMES, "device", "decoder", "architecture"):
        assert option == "format" or in_dialog_terms(f"{option}=1") != f"{option}=1", option
    for control in controls:
        if not isinstance(control.parent(), QAbstractSpinBox | QComboBox):  # whose own fields these are
            assert control.toolTip(), control.accessibleName()
            assert control.accessibleName()


def test_the_dialog_fits_a_small_screen(show):
    dialog = show()
    assert dialog.minimumSizeHint().height() < 600
    assert dialog.minimumSizeHint().width() < 720
