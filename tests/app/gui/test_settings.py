import dataclasses
import sys
from pathlib import Path

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from framehook.app.gui.dialogs.settings import USUAL_TRACKERS, SettingsDialog, known_trackers
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import apply_theme, is_dark
from framehook.app.session.state import Level
from framehook.inference.backends import available_devices
from framehook.inference.callbacks.overlay import LAYERS
from framehook.inference.callbacks.tracking import tracker_names

Button = QDialogButtonBox.StandardButton


@pytest.fixture
def show(qtbot, bridge, store):
    def show(store=store):
        dialog = SettingsDialog(bridge, None, store)
        qtbot.addWidget(dialog)
        with qtbot.waitActive(dialog):
            dialog.show()
            dialog.activateWindow()
        return dialog

    return show


def named(dialog, kind, name):
    return next(each for each in dialog.findChildren(kind) if each.accessibleName() == name)


def choices(box):
    return [box.itemText(place) for place in range(box.count())]


def choose(dialog, name, text):
    box = named(dialog, QComboBox, name)
    assert text in choices(box)
    box.setCurrentText(text)


def ticked(dialog):
    return {each.text().replace("&", "") for each in dialog.findChildren(QCheckBox) if each.isChecked()}


def tick(qtbot, dialog, text):
    box = next(each for each in dialog.findChildren(QCheckBox) if each.text().replace("&", "") == text)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))


def press(qtbot, dialog, button):
    qtbot.mouseClick(dialog.findChild(QDialogButtonBox).button(button), Qt.MouseButton.LeftButton)


def test_it_shows_what_is_so(show, store, tmp_path):
    store.save(Settings(theme="dark", conf=0.45, tracker=None, overlay=("boxes", "blur"), loop=True, save_dir=tmp_path))
    dialog = show()
    assert named(dialog, QComboBox, "Theme").currentText() == "Dark"
    assert named(dialog, QComboBox, "Start with").currentText() == "Nothing"
    assert named(dialog, QLineEdit, "Save in").text() == str(tmp_path)
    assert named(dialog, QDoubleSpinBox, "Confidence").value() == 0.45
    assert named(dialog, QComboBox, "Tracker").currentText() == "None"
    assert ticked(dialog) == {"Boxes", "Blur", "Begin again at the end"}


def test_what_is_chosen_is_kept_and_told(show, store, qtbot, tmp_path):
    dialog = show()
    choose(dialog, "Start with", "What was open last")
    choose(dialog, "Tracker", "sort")
    choose(dialog, "Files play", "As fast as possible")
    choose(dialog, "Models run on", "cpu")
    named(dialog, QDoubleSpinBox, "Confidence").setValue(0.6)
    named(dialog, QDoubleSpinBox, "Overlap").setValue(0.5)
    tick(qtbot, dialog, "Trails")
    tick(qtbot, dialog, "Begin again at the end")
    named(dialog, QLineEdit, "Save in").setText(str(tmp_path / "here"))
    with qtbot.waitSignal(dialog.saved) as told:
        press(qtbot, dialog, Button.Ok)
    wanted = Settings(
        start_with="last",
        conf=0.6,
        iou=0.5,
        tracker="sort",
        overlay=("boxes", "labels", "confidence"),
        pace="max",
        loop=True,
        save_dir=tmp_path / "here",
        device="cpu",
    )
    assert told.args == [wanted]
    assert Store(store.path).settings() == wanted  # as the next start finds it
    assert not dialog.isVisible()


def test_cancel_changes_nothing(show, store, qtbot, qapp):
    before = store.settings()
    dialog = show()
    choose(dialog, "Theme", "Dark")
    named(dialog, QDoubleSpinBox, "Confidence").setValue(0.9)
    assert is_dark(qapp.palette())  # at once, to be seen
    with qtbot.assertNotEmitted(dialog.saved):
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert store.settings() == before
    assert not is_dark(qapp.palette())


def test_the_theme_changes_at_once_and_stays_with_ok(show, store, qtbot, qapp):
    dialog = show()
    choose(dialog, "Theme", "Dark")
    qapp.processEvents()
    assert dialog.grab().toImage().pixelColor(2, 2).lightness() < 100
    press(qtbot, dialog, Button.Ok)
    assert is_dark(qapp.palette())
    assert store.settings().theme == "dark"


def test_cancel_leaves_a_theme_that_was_chosen_elsewhere_meanwhile(show, store, qtbot, qapp):
    dialog = show()
    store.save(dataclasses.replace(store.settings(), theme="dark"))  # as the menu does
    choose(dialog, "Theme", "Light")
    press(qtbot, dialog, Button.Cancel)
    assert is_dark(qapp.palette())


def test_the_defaults_come_back_but_are_kept_only_with_ok(show, store, qtbot):
    store.save(Settings(conf=0.9, overlay=(), start_with="last"))
    dialog = show()
    assert dialog.findChild(QDialogButtonBox).button(Button.RestoreDefaults).text() == "Reset to &defaults"  # as in the panel
    press(qtbot, dialog, Button.RestoreDefaults)
    assert dialog.isVisible()
    assert named(dialog, QDoubleSpinBox, "Confidence").value() == Settings().conf
    assert store.settings().conf == 0.9
    press(qtbot, dialog, Button.Ok)
    assert store.settings() == Settings()


@pytest.mark.parametrize("typed", ["", "   ", "relative/folder"])
def test_a_folder_that_is_no_whole_path_cannot_be_kept(show, typed):
    dialog = show()
    line = named(dialog, QLineEdit, "Save in")
    ok = dialog.findChild(QDialogButtonBox).button(Button.Ok)
    assert ok.isEnabled()
    line.setText(typed)
    assert not ok.isEnabled()
    assert "whole path" in ok.toolTip()
    line.setText("~/videos")
    assert ok.isEnabled()


def test_a_folder_that_begins_with_a_tilde_is_the_users_own(show, store, qtbot):
    dialog = show()
    named(dialog, QLineEdit, "Save in").setText("~/videos")
    press(qtbot, dialog, Button.Ok)
    assert store.settings().save_dir == Path.home() / "videos"


def test_the_folder_is_chosen_with_the_file_dialog(show, qtbot, tmp_path):
    (tmp_path / "chosen").mkdir()
    dialog = show()
    named(dialog, QLineEdit, "Save in").setText(str(tmp_path))
    button = next(each for each in dialog.findChildren(QPushButton) if each.text() == "Choose…")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    box = next(each for each in dialog.findChildren(QFileDialog) if each.isVisible())
    box.findChild(QLineEdit, "fileNameEdit").setText(str(tmp_path / "chosen"))
    QTest.keyClick(box.findChild(QLineEdit, "fileNameEdit"), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sip.isdeleted(box))
    assert named(dialog, QLineEdit, "Save in").text() == str(tmp_path / "chosen")


def test_what_another_computer_had_is_shown_rather_than_lost(show, store, qtbot):
    store.save(Settings(device="cuda:3", tracker="mine"))
    dialog = show()
    assert named(dialog, QComboBox, "Models run on").currentText() == "cuda:3"
    press(qtbot, dialog, Button.Ok)
    assert (store.settings().device, store.settings().tracker) == ("cuda:3", "mine")


def test_only_what_is_installed_is_offered(show):
    dialog = show()
    assert choices(named(dialog, QComboBox, "Models run on"))[1:] == available_devices()
    assert {each.text().replace("&", "") for each in dialog.findChildren(QCheckBox)} >= {"Boxes", "Heat map", "Pixelate"}
    assert len(dialog.findChildren(QCheckBox)) == len(LAYERS) + 1


def test_the_usual_trackers_are_trackers_indeed():
    assert set(USUAL_TRACKERS) <= set(tracker_names())
    assert "trackers" in sys.modules
    assert known_trackers() == tracker_names()


def test_settings_that_cannot_be_written_are_told_and_in_force_all_the_same(show, qtbot, bridge, tmp_path):
    (tmp_path / "no").write_text("a file where a folder would have to be")
    dialog = show(Store(tmp_path / "no" / "settings.ini"))
    named(dialog, QDoubleSpinBox, "Confidence").setValue(0.6)
    notes = []
    bridge.noted.connect(notes.append)
    with qtbot.waitSignal(dialog.saved) as told:
        press(qtbot, dialog, Button.Ok)
    assert told.args[0].conf == 0.6
    qtbot.waitUntil(lambda: any("cannot be written" in note.text and note.level is Level.WARNING for note in notes))


def test_everything_has_a_name_a_tip_and_a_place_in_the_order_of_tab(show):
    dialog = show()
    reached = set()
    for _ in range(40):
        QTest.keyClick(dialog.focusWidget() or dialog, Qt.Key.Key_Tab)
        reached.add(dialog.focusWidget())
    for kind in (QComboBox, QDoubleSpinBox, QAbstractButton, QLineEdit):
        for each in dialog.findChildren(kind):
            if not each.isVisible() or isinstance(each.parent(), QComboBox | QDoubleSpinBox):
                continue
            assert each in reached, each
            assert each.accessibleName() or each.text(), each
            if not isinstance(each.parent(), QDialogButtonBox):
                assert each.toolTip(), each


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_is_cut_off(show, qapp, theme):
    apply_theme(qapp, theme)
    dialog = show()
    assert dialog.width() <= 1280
    assert dialog.height() <= 680
    for each in dialog.findChildren(QWidget):
        if isinstance(each, QLabel | QCheckBox | QPushButton) and each.isVisible():
            assert each.width() >= each.minimumSizeHint().width(), each.text()
            assert each.height() >= each.minimumSizeHint().height(), each.text()
