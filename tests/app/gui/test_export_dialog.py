import shutil
import sys
from pathlib import Path

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QObject, QSize, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices, QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QToolButton,
    QWidget,
)

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.dialogs.export import ExportDialog
from framehook.app.gui.dialogs.export_terms import in_dialog_terms
from framehook.app.gui.settings_store import Store
from framehook.app.gui.theme import apply_theme
from framehook.app.session.state import Level
from framehook.export.options import OPTION_NAMES
from framehook.inference.load import bundled_model
from framehook.model import Model
from tests.export.slow import save_slow

WAIT = 600_000
"""Milliseconds that anything may take where much else goes on, which exports let go first."""
SCENE = "testsrc:320x240@30:3"  # so few that all are compared, however long it takes


@pytest.fixture
def bridge(qtbot, tmp_path):
    bridge = Bridge()
    bridge.session.folder = tmp_path / "saved"
    yield bridge
    assert bridge.close(60)


@pytest.fixture
def show(qtbot, bridge):
    def show(*spec, **how):
        dialog = ExportDialog(bridge, None, *spec, **how)
        qtbot.addWidget(dialog)
        with qtbot.waitActive(dialog, timeout=WAIT):
            dialog.show()
            dialog.activateWindow()
        return dialog

    return show


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """A model whose comparison takes minutes."""
    return save_slow(tmp_path_factory.mktemp("slow") / "slow.onnx")


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(bundled_model(), tmp_path / "mine.onnx"))


def finish(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.is_exporting and not dialog.progress.cancel_button.isVisible(), timeout=WAIT)


def cells(dialog):
    table = dialog.outcome.report
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount())]


def name(dialog, path):
    dialog.form.output.selectAll()
    dialog.form.output.insert(str(path))
    dialog.form.output.textEdited.emit(str(path))


def test_a_model_is_exported_and_the_proof_shown_and_used(qtbot, bridge, show, tmp_path):
    dialog = show()
    name(dialog, tmp_path / "person.onnx")
    dialog.form.data.setText(SCENE)
    dialog.form.preprocess.setChecked(True)
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.progress.cancel_button.isVisible()
    assert not dialog.form.export_button.isVisible()
    qtbot.waitUntil(
        lambda: (
            dialog.progress.progress.maximum() > 0 and dialog.progress.progress.value() > dialog.progress.progress.maximum() / 3
        ),
        timeout=WAIT,
    )
    finish(qtbot, dialog)
    rows = {what: (figures, verdict) for what, figures, verdict in cells(dialog) if what}
    assert rows["Size of the file"][0].startswith("3.4 MB")
    assert rows["Compared"][0].startswith("on 3 frames of")
    assert rows["Numbers of the network"] == ("exactly the same numbers", "agrees")
    assert rows["Preprocessed pixels"][1] == "agrees"
    # Nobody is to be seen in the generated scene.
    assert rows["Detections"][1] == "not proven"
    assert "not proven" in dialog.outcome.verdict.text()
    assert dialog.outcome.path.text() == str(tmp_path / "person.onnx")

    dialog.outcome.copy_button.click()
    assert QGuiApplication.clipboard().text() == f"framehook predict {SCENE} --model {tmp_path / 'person.onnx'}"

    def used(state):
        return state.model is not None and str(state.model.spec) == str(tmp_path / "person.onnx")

    with qtbot.waitSignal(bridge.state_changed, timeout=WAIT, check_params_cb=used):
        dialog.outcome.use_button.click()
    assert not dialog.isVisible()
    assert Model(tmp_path / "person.onnx").detector.baked.frames


def test_the_steps_of_an_export_are_listed_and_the_folder_of_its_file_is_shown(qtbot, show, tmp_path):
    class Opened(QObject):
        def __init__(self):
            super().__init__()
            self.urls = []

        @pyqtSlot(QUrl)
        def open(self, url):
            self.urls.append(url.toLocalFile())

    opened = Opened()
    dialog = show()
    assert dialog.form.output.text() == str(tmp_path / "saved" / "person320.onnx")  # the model is that of the package
    dialog.form.verify.setChecked(False)
    dialog.form.export_button.click()
    assert dialog.progress.heading.text() == "Exporting person320.onnx"
    finish(qtbot, dialog)
    assert (tmp_path / "saved" / "person320.onnx").is_file()
    steps = [dialog.progress.steps.item(row) for row in range(dialog.progress.steps.count())]
    texts = [step.text() for step in steps]
    assert texts == ["Starting", "Loading the model", "Making the graph", "Simplifying", "Writing"]
    assert steps[0].data(Qt.ItemDataRole.AccessibleTextRole) == "Starting: done"
    assert "was not compared" in dialog.outcome.verdict.text()
    QDesktopServices.setUrlHandler("file", opened.open)
    try:
        dialog.outcome.folder_button.click()
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert opened.urls == [str(tmp_path / "saved")]
    dialog.outcome.again_button.click()
    assert dialog.form.export_button.isVisible()


def test_a_file_is_offered_beside_the_model_and_named_after_what_is_special(show, model, tmp_path):
    dialog = show(model)
    assert dialog.windowTitle() == "Export mine.onnx"
    assert dialog.form.output.text() == str(tmp_path / "mine_export.onnx")
    dialog.form.nms.setChecked(True)
    dialog.form.precision.setCurrentIndex(1)
    assert dialog.form.output.text() == str(tmp_path / "mine_nms_half.onnx")
    name(dialog, tmp_path / "other.onnx")
    dialog.form.nms.setChecked(False)
    assert dialog.form.output.text() == str(tmp_path / "other.onnx")


def test_a_name_can_be_cleared_and_typed_anew_and_is_filled_in_where_none_is_left(show, model, tmp_path):
    dialog = show(model)
    field = dialog.form.output
    assert field.hasFocus()
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    assert field.text() == ""
    QTest.keyClicks(field, "other.onnx")
    assert field.text() == "other.onnx"
    field.selectAll()
    QTest.keyClick(field, Qt.Key.Key_Delete)
    QTest.keyClick(field, Qt.Key.Key_Tab)
    assert field.text() == str(tmp_path / "mine_export.onnx")


def test_the_model_in_use_is_exported_where_none_is_named(qtbot, bridge, show, model):
    assert show().windowTitle() == "Export person320.onnx"
    bridge.session.use_model(model)
    qtbot.waitUntil(lambda: bridge.state.model is not None, timeout=WAIT)
    assert show().windowTitle() == "Export mine.onnx"
    assert show(None).windowTitle() == "Export person320.onnx"


def test_what_does_not_go_together_is_not_offered(show):
    dialog = show()
    assert not dialog.form.conf.isEnabled()
    dialog.form.nms.setChecked(True)
    assert dialog.form.conf.isEnabled()
    assert dialog.form.max_det.isEnabled()
    dialog.form.batch.setValue(4)
    dialog.form.dynamic.setChecked(True)
    dialog.form.preprocess.setChecked(True)
    assert (dialog.form.batch.value(), dialog.form.batch.isEnabled()) == (1, False)
    assert (dialog.form.dynamic.isChecked(), dialog.form.dynamic.isEnabled()) == (False, False)
    dialog.form.verify.setChecked(False)
    assert not dialog.form.data.isEnabled()
    dialog.form.precision.setCurrentText("Integers (int8)")
    assert dialog.form.data.isEnabled()
    assert not dialog.form.architecture.isEnabled()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda dialog: dialog.form.imgsz.setText("33o"), "“Network input” '33o' is not a size; write a side in pixels"),
        (
            lambda dialog: (dialog.form.precision.setCurrentText("Integers (int8)"), dialog.form.data.clear()),
            "“Integers” is calibrated on what the model will see; pass data, too",
        ),
        (lambda dialog: name(dialog, "model.tflite"), "“File” 'model.tflite' is no folder, and no .onnx file"),
        (lambda dialog: name(dialog, bundled_model()), "is the model itself"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started_and_goes_with_a_change(show, wrong, said):
    dialog = show()
    wrong(dialog)
    dialog.form.export_button.click()
    assert dialog.form.problem.isVisible()
    assert said in dialog.form.problem.text()
    assert not dialog.is_exporting
    dialog.form.simplify.toggle()
    assert not dialog.form.problem.isVisible()


def test_an_export_that_fails_says_why_and_can_be_tried_again(qtbot, bridge, show, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing" * 100)
    dialog = show(tmp_path / "bad.onnx")
    with qtbot.waitSignal(bridge.noted, timeout=WAIT, check_params_cb=lambda note: note.level is Level.ERROR) as noted:
        dialog.form.export_button.click()
    finish(qtbot, dialog)
    assert "bad.onnx" in dialog.form.problem.text()
    assert noted.args[0].text.startswith("The export of bad.onnx failed: ")
    assert dialog.form.export_button.isVisible()
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


@pytest.mark.parametrize("way", ["button", "escape", "close"])
def test_an_export_is_called_off_and_leaves_nothing(qtbot, show, tmp_path, slow, way):
    dialog = show(slow)
    name(dialog, tmp_path / "person.onnx")
    dialog.form.data.setText("testsrc:320x240@30:8")
    dialog.form.simplify.setChecked(False)
    dialog.form.export_button.click()
    qtbot.waitUntil(lambda: len(list(tmp_path.glob(".*"))) == 1, timeout=WAIT)
    if way == "button":
        dialog.progress.cancel_button.click()
    elif way == "escape":
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    else:
        dialog.close()
    finish(qtbot, dialog)
    assert not list(tmp_path.glob("*.onnx"))
    assert not list(tmp_path.glob(".*"))
    assert dialog.isVisible() is (way != "close")
    if way != "close":
        assert "cancelled, and nothing was written" in dialog.form.problem.text()


def test_the_clip_that_plays_is_what_is_compared_on(qtbot, bridge, show, clip):
    with qtbot.waitSignal(
        bridge.state_changed,
        timeout=WAIT,
        check_params_cb=lambda state: state.model is not None and any(slot.source is not None for slot in state.slots),
    ):
        bridge.session.open(clip)
    dialog = show()
    assert dialog.form.data.text() == str(clip)
    assert dialog.form.decoder.currentText() == bridge.state.model.layout


def chooser(dialog):
    """The file dialog that has come up."""
    (found,) = [each for each in dialog.findChildren(QFileDialog) if each.isVisible()]
    return found


def choose(qtbot, dialog, path):
    """Type a path into the file dialog that has come up."""
    found = chooser(dialog)
    field = found.findChild(QLineEdit, "fileNameEdit")
    field.setText(str(path))
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sip.isdeleted(found), timeout=WAIT)


def test_files_are_chosen_in_dialogs_beside_which_the_window_goes_on(qtbot, show, tmp_path, clip):
    dialog = show()
    output, data = [each for each in dialog.findChildren(QPushButton) if "rowse" in each.text()]
    for button in (output, data):
        button.click()  # returns at once
        chooser(dialog).reject()
    qtbot.waitUntil(lambda: not dialog.findChildren(QFileDialog), timeout=WAIT)
    assert dialog.form.output.text() == str(tmp_path / "saved" / "person320.onnx")
    assert dialog.form.data.text() != str(clip)
    output.click()
    choose(qtbot, dialog, tmp_path / "chosen")
    data.click()
    choose(qtbot, dialog, clip)
    assert dialog.form.output.text() == str(tmp_path / "chosen.onnx")
    assert dialog.form.data.text() == str(clip)
    dialog.form.preprocess.setChecked(True)
    assert dialog.form.output.text() == str(tmp_path / "chosen.onnx")  # which was chosen, and stays


def test_a_missing_package_is_told_at_once(show, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxslim", None)  # which is how Python notes that there is no such module
    dialog = show()
    assert "pip install 'framehook[export]'" in dialog.form.problem.text()
    assert not dialog.form.export_button.isEnabled()


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


def advanced(dialog):
    (found,) = [each for each in dialog.findChildren(QToolButton) if each.accessibleName() == "Advanced"]
    return found


def reached_by_tab(dialog):
    reached = []
    for _ in range(40):
        QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
        reached.append(dialog.focusWidget())
    return {each.accessibleName() for each in reached}


def test_it_begins_at_the_file_and_with_what_everyone_chooses(qtbot, show):
    dialog = show()
    assert QApplication.focusWidget() is dialog.form.output
    for field in (dialog.form.output, dialog.form.precision, dialog.form.verify, dialog.form.data):
        assert not field.visibleRegion().isEmpty()
    rare = {"Network input", "Pictures at a time", "Take whole frames", "Most boxes", "Runs on", "Output layout"}
    for field in (dialog.form.imgsz, dialog.form.preprocess, dialog.form.device):
        assert not field.isVisible()
    basic = reached_by_tab(dialog)
    assert {"File", "Compute in", "Prove it", "Frames", "Advanced"} <= basic
    assert not rare & basic
    advanced(dialog).setFocus()
    QTest.keyClick(advanced(dialog), Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not dialog.form.imgsz.visibleRegion().isEmpty(), timeout=WAIT)  # it scrolls there
    dialog.form.nms.setChecked(True)
    assert rare <= reached_by_tab(dialog)


def test_it_is_remembered_whether_the_advanced_options_are_shown(show, tmp_path):
    store = Store(tmp_path / "settings.ini")
    dialog = show(store=store)
    assert not dialog.form.imgsz.isVisible()
    advanced(dialog).click()
    again = show(store=store)
    assert again.form.imgsz.isVisible()
    advanced(again).click()
    assert not show(store=store).form.imgsz.isVisible()


def test_what_is_wrong_among_the_advanced_options_is_shown(qtbot, show):
    dialog = show()
    dialog.form.imgsz.setText("33o")
    dialog.form.export_button.click()
    assert dialog.form.imgsz.isVisible()
    assert dialog.form.imgsz.hasFocus()
    qtbot.waitUntil(lambda: not dialog.form.imgsz.visibleRegion().isEmpty(), timeout=WAIT)


@pytest.mark.parametrize("points", [9, 18])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_cut_off_whatever_the_size_of_letters(qtbot, qapp, show, points, theme):
    apply_theme(qapp, theme)
    before, font = qapp.font(), qapp.font()
    font.setPointSize(points)
    qapp.setFont(font)
    try:
        dialog = show()
        assert dialog.minimumSizeHint().height() < 600
        assert dialog.minimumSizeHint().width() < 720
        advanced(dialog).click()
        for size in (dialog.size().boundedTo(QSize(1280, 680)), QSize(720, 600)):
            dialog.resize(size)
            (area,) = dialog.form.findChildren(QScrollArea)
            qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0, timeout=WAIT)  # noqa: B023 - it is waited for here
            assert area.horizontalScrollBar().maximum() == 0
            for each in area.widget().findChildren(QWidget):
                if isinstance(each, QLabel | QCheckBox | QPushButton | QComboBox | QSpinBox) and each.isVisible():
                    assert each.width() >= each.minimumSizeHint().width() - 3, each  # layouts leave out a margin of some
                    right = each.mapTo(area.viewport(), each.rect().topRight()).x()
                    assert right < area.viewport().width(), each
                if isinstance(each, QLabel) and each.wordWrap() and each.isVisible():
                    # As high as its text: nothing is cut, and there is no gap below.
                    assert 0 <= each.height() - each.heightForWidth(each.width()) <= 2, each.text()
    finally:
        qapp.setFont(before)
