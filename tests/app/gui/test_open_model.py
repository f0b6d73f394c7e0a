import shutil
from pathlib import Path

import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog, QLineEdit

from framehook.app.gui.bridge import Bridge
from framehook.app.gui.dialogs.open_model import AUTOMATIC, OpenModelDialog
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.session.state import Level
from framehook.inference.load import bundled_model
from framehook.inference.registry import Registry


@pytest.fixture
def bridge(qtbot):
    bridge = Bridge()
    yield bridge
    assert bridge.close(60)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "settings.ini")


@pytest.fixture
def show(qtbot, bridge, store, tmp_path):
    def show():
        dialog = OpenModelDialog(bridge, None, store, Registry(folder=tmp_path / "pulled"))
        qtbot.addWidget(dialog)
        with qtbot.waitActive(dialog):
            dialog.show()
            dialog.activateWindow()
        return dialog

    return show


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copy(bundled_model(), tmp_path / "mine.onnx"))


def texts(dialog):
    return [dialog.models.item(row).text() for row in range(dialog.models.count())]


def test_the_bundled_model_pulled_ones_and_those_opened_before_are_offered(show, store, tmp_path, model):
    store.add_recent("model", str(tmp_path / "gone.onnx"))
    store.add_recent("model", str(model))
    (tmp_path / "pulled").mkdir()
    shutil.copy(bundled_model(), tmp_path / "pulled" / "yolox_nano.onnx")
    dialog = show()
    bundled, pulled, mine, gone = texts(dialog)
    assert "bundled person detector" in bundled
    assert pulled.startswith("yolox_nano\nYOLOX-nano, 416x416")
    assert mine.startswith("mine.onnx\nONNX file, 3.4 MB")
    assert gone == "gone.onnx\nIt is not there any more"
    assert dialog.facts.text() == str(bundled_model())
    assert "framehook models pull yolox_tiny" in dialog.more.text()


def test_a_model_is_opened_by_a_double_click_and_remembered(qtbot, bridge, show, store, model):
    store.add_recent("model", str(model))
    dialog = show()
    item = dialog.models.item(1)
    where = dialog.models.visualItemRect(item).center()
    qtbot.mouseClick(dialog.models.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert dialog.facts.text() == str(model)
    with qtbot.waitSignal(
        bridge.state_changed,
        check_params_cb=lambda state: state.model is not None and str(state.model.spec) == str(model),
    ):
        qtbot.mouseDClick(dialog.models.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert not dialog.isVisible()
    assert store.recent("model") == [str(model)]
    again = show()
    assert again.models.currentItem().text().startswith("mine.onnx")  # it is the one in use


def choose(qtbot, dialog, path):
    """Type a path into the file dialog that has come up."""
    (found,) = [each for each in dialog.findChildren(QFileDialog) if each.isVisible()]
    field = found.findChild(QLineEdit, "fileNameEdit")
    field.setText(str(path))
    QTest.keyClick(field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sip.isdeleted(found))


def chooser(dialog):
    """The file dialog that has come up, if any."""
    return next((each for each in dialog.findChildren(QFileDialog) if each.isVisible()), None)


def test_a_file_is_chosen_and_opened_with_the_keyboard(qtbot, bridge, show, store, model):
    dialog = show()
    qtbot.keyClick(dialog, Qt.Key.Key_B, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: chooser(dialog) is not None)  # a button that is pressed by its letter is seen to be pressed
    kinds = chooser(dialog).nameFilters()
    assert "*.onnx" in kinds[0]
    assert "*.pt" in kinds[0]
    choose(qtbot, dialog, model)
    assert texts(dialog)[0].startswith("mine.onnx")
    assert dialog.models.currentRow() == 0
    dialog.activateWindow()
    with qtbot.waitSignal(bridge.state_changed, check_params_cb=lambda state: state.model is not None):
        qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert store.recent("model") == [str(model)]
    assert bridge.state.model.device == "cpu"


def test_files_are_chosen_where_the_one_before_was_and_offered_once(qtbot, show, model):
    dialog = show()
    dialog.browse_button.click()
    choose(qtbot, dialog, model)
    dialog.browse_button.click()
    assert Path(chooser(dialog).directory().absolutePath()) == model.parent
    choose(qtbot, dialog, model)
    assert len(texts(dialog)) == 2
    dialog.browse_button.click()
    chooser(dialog).reject()
    assert len(texts(dialog)) == 2


def test_device_and_layout_are_handed_on(qtbot, bridge, show, model):
    dialog = show()
    dialog.offer(model)
    dialog.decoder.setCurrentText("rtdetr")
    dialog.device.setCurrentText("abacus")
    with qtbot.waitSignal(bridge.noted) as noted:
        dialog.open_button.click()
    assert "'abacus' is unknown" in noted.args[0].text


def test_it_begins_with_the_device_of_the_settings(show, store):
    assert show().device.currentText() == AUTOMATIC
    store.save(Settings(device="cuda:1"))
    assert show().device.currentText() == "cuda:1"


def test_a_file_that_is_no_model_is_told_of_in_a_note(qtbot, bridge, show, tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"nothing" * 100)
    dialog = show()
    dialog.offer(bad)
    with qtbot.waitSignal(bridge.noted, check_params_cb=lambda note: note.level is Level.ERROR) as noted:
        dialog.open_button.click()
    assert "bad.onnx" in noted.args[0].text


def test_an_architecture_is_asked_for_where_a_checkpoint_may_not_know_its_own(show, tmp_path):
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    dialog = show()
    assert not dialog.architecture.isEnabled()
    dialog.offer(weights)
    assert dialog.architecture.isEnabled()
    assert dialog.architecture.findText("yolo11n") > 0
    assert "Checkpoint of PyTorch, 0.0 kB" in texts(dialog)[0]


def test_every_control_says_what_it_is(show):
    dialog = show()
    for control in (dialog.models, dialog.device, dialog.decoder, dialog.architecture):
        assert control.accessibleName()
        assert control.toolTip()
    assert all(button.toolTip() for button in (dialog.browse_button, dialog.open_button))
