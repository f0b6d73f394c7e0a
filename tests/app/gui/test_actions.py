"""Every action of the menus: by its keys, with what the user sees of it."""

import json
import re
import shutil
from pathlib import Path

import cv2
import pytest
from PyQt6 import sip
from PyQt6.QtCore import QCoreApplication, QEvent, QObject, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices, QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QTableWidget,
    QToolBar,
    QTreeView,
    QTreeWidget,
    QWidget,
)

from framehook.app.gui.actions import SUBMENU_KEYS, SUBMENUS, specs
from framehook.app.gui.dialogs.about import AboutDialog, ShortcutsDialog
from framehook.app.gui.dialogs.export import ExportDialog
from framehook.app.gui.dialogs.open_model import OpenModelDialog
from framehook.app.gui.dialogs.open_source import OpenSourceDialog
from framehook.app.gui.dialogs.settings import SettingsDialog
from framehook.app.gui.theme import is_dark
from framehook.app.gui.welcome import WelcomeScreen
from framehook.inference.callbacks.overlay import LAYERS
from framehook.inference.load import bundled_model
from framehook.inference.sources.demo import find_demo_clip

from .view_scenes import seen, settled, until
from .window_scenes import (
    FILE,
    LEFT,
    LIVE,
    at,
    button,
    can,
    clock,
    dialog,
    dialogs,
    drag,
    frames_of,
    hold,
    is_on,
    is_tracked,
    message,
    notes,
    objects,
    open_source,
    press,
    press_keys,
    press_message,
    same_picture,
    saved,
    seconds,
    status,
    views,
)

EXERCISED = {}
"""The test of each action, and of each menu that is filled while the window lives."""


def exercises(*names):
    def note(test):
        EXERCISED.update(dict.fromkeys(names, test))
        return test

    return note


def settle():
    """Have done what is to be done by and by: dialogs that were closed are gone then."""
    QApplication.processEvents()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def plain(text):
    """What a menu says, without the letter that chooses it."""
    return text.replace("&", "")


def texts_of(menu):
    """What a menu offers once it is opened, without the letters that choose it."""
    menu.aboutToShow.emit()
    return [plain(action.text()) for action in menu.actions() if not action.isSeparator()]


def entry(menu, text):
    texts_of(menu)
    (action,) = [action for action in menu.actions() if plain(action.text()) == text]
    return action


# The table -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*(spec.name for spec in specs()), *SUBMENUS])
def test_every_action_has_its_test(name):
    assert name in EXERCISED, f"write a test of what the user sees of {name!r}, and mark it with @exercises"


def test_no_keys_mean_two_things(window):
    owners = {}
    for action in [*window.actions_by_name.values(), *window.docks.actions()]:
        for keys in action.shortcuts():
            assert not keys.isEmpty()
            owners.setdefault(keys.toString(), []).append(action.text())
    assert {keys: owner for keys, owner in owners.items() if len(owner) > 1} == {}
    assert all("+" in keys or re.fullmatch(r"Space|\.|Home|F\d+", keys) for keys in owners), owners


def all_menus(window):
    """Every menu of the bar and those in them, as they are once they are opened, by their titles."""
    bar = window.menuBar()
    found = {"the bar": bar.actions()}

    def open_menu(menu):
        menu.aboutToShow.emit()
        found[plain(menu.title())] = [action for action in menu.actions() if not action.isSeparator()]
        for action in menu.actions():
            if action.menu() is not None:
                open_menu(action.menu())

    for action in bar.actions():
        open_menu(action.menu())
    return found


def test_every_entry_of_every_menu_has_a_letter_of_its_own(window, store, tmp_path):
    for number in range(3):
        store.add_recent("source", f"testsrc:320x240@{number + 1}")
        store.add_recent("model", str(tmp_path / f"{number}.onnx"))
        store.add_recent("callbacks", str(tmp_path / f"{number}.py"))
    menus = all_menus(window)
    assert {"the bar", "File", "Overlay", "Panels", "Theme", "Help"} <= set(menus)
    for title, entries in menus.items():
        letters = [QKeySequence.mnemonic(entry.text()).toString() for entry in entries]
        assert all(letters), (title, [entry.text() for entry in entries])
        assert len(set(letters)) == len(letters), (title, sorted(letters))


def test_every_action_has_keys():
    for spec in specs():
        assert spec.keys, spec.name


def test_what_is_in_submenus_has_keys_that_nothing_else_has(window):
    theirs = [QKeySequence(keys).toString() for keys in SUBMENU_KEYS.values()]
    assert len(set(theirs)) == len(theirs)
    others = [*(window.actions_by_name[spec.name] for spec in specs()), *window.docks.actions()]
    assert not {keys.toString() for action in others for keys in action.shortcuts()} & set(theirs)
    there = {action.objectName() for name in ("overlay", "theme") for action in window.actions_by_name.submenus[name].actions()}
    assert there == set(SUBMENU_KEYS)


def test_no_two_actions_have_the_same_icon():
    owners = {}
    for spec in specs():
        if spec.icon:
            owners.setdefault(spec.icon, []).append(spec.name)
    assert {name: owner for name, owner in owners.items() if len(owner) > 1} == {}
    assert {"edit_zones", "train", "track", "quit"} <= {owner[0] for owner in owners.values()}


def test_the_menu_names_what_its_keys_change(window):
    texts = [plain(entry.text()) for entry in all_menus(window)["Model"]]
    assert {"Raise the confidence", "Lower the confidence"} <= set(texts)


def test_every_action_is_in_a_menu_and_says_what_it_does_and_by_which_keys(window):
    bar = window.menuBar()
    menus = [action.menu() for action in bar.actions()]
    in_menus = [action for menu in menus for action in menu.actions()]
    for spec in specs():
        action = window.actions_by_name[spec.name]
        assert action in in_menus
        assert action.toolTip().startswith(spec.tip)
        for keys in spec.keys[:1]:
            assert f"({QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)})" in action.toolTip()


def test_menus_are_opened_and_used_by_keys_alone(window):
    QTest.keyClick(window, Qt.Key.Key_F, Qt.KeyboardModifier.AltModifier)
    until(lambda: QApplication.activePopupWidget() is not None)
    QTest.keyClick(QApplication.activePopupWidget(), Qt.Key.Key_O)
    until(lambda: dialogs(OpenSourceDialog))


# Opening ---------------------------------------------------------------------------------------------------------------------


@exercises("open_source")
def test_a_source_is_chosen_in_a_dialog_that_does_not_hold_the_window(window):
    open_source(window, LIVE)
    press(window, "open_source")
    first = dialog(OpenSourceDialog)
    assert not first.isModal()
    window.activateWindow()
    until(window.isActiveWindow)
    views(window)[0].setFocus()
    press(window, "play_pause")
    until(lambda: status(window).startswith("Paused"))
    press(window, "open_source")
    assert dialog(OpenSourceDialog) is first  # which came to the front
    first.show_page("scene")
    QTest.keyClick(first, Qt.Key.Key_Return)
    until(lambda: status(window).startswith("Playing"))
    assert not dialogs()
    settle()
    assert sip.isdeleted(first)
    press(window, "open_source")
    assert dialog(OpenSourceDialog) is not first


@exercises("open_address")
def test_an_address_is_typed(window):
    press(window, "open_address")
    until(lambda: dialog(OpenSourceDialog).isActiveWindow())
    field = QApplication.focusWidget()
    assert field in dialog(OpenSourceDialog).page.findChildren(QWidget)
    QTest.keyClicks(field, "http://127.0.0.1:9/live")
    QTest.keyClick(field, Qt.Key.Key_Return)
    until(lambda: any("127.0.0.1:9/live: reconnecting" in text for text in notes(window)))
    assert message(window).startswith("Warning: ")
    assert "127.0.0.1:9/live" in message(window)
    until(lambda: window.windowTitle().startswith("127.0.0.1:9/live"))
    press(window, "open_source")
    window.activateWindow()
    until(window.isActiveWindow)
    press(window, "open_address")  # the page of the dialog that is open
    until(lambda: isinstance(QApplication.focusWidget(), QLineEdit))


@exercises("open_file")
def test_files_are_chosen_and_shown_side_by_side(window, clip, tmp_path, store):
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    press(window, "loop")
    press(window, "open_file")
    chooser = dialog(QFileDialog)
    chooser.filesSelected.emit([str(clip), str(other)])
    chooser.reject()
    until(lambda: len(views(window)) == 2)
    until(lambda: "scene.mp4, other.mp4" in window.windowTitle())
    settle()
    assert sip.isdeleted(chooser)
    assert store.text("folder") == str(clip.parent)
    press(window, "open_file")
    assert Path(dialog(QFileDialog).directory().absolutePath()) == clip.parent
    dialog(QFileDialog).reject()


@exercises("open_demo")
@pytest.mark.parametrize("loop", [False, True])
def test_the_demo_clip_is_repeated_and_what_follows_as_it_was_chosen(window, loop):
    if loop:
        press(window, "loop")
    press(window, "open_demo")
    until(lambda: is_on(window, "loop") and window.bridge.session.figures().painting.shown)
    installed = find_demo_clip() is not None
    assert ("bikes.mp4" in window.windowTitle()) is installed
    assert message(window) == "" or (not installed and "The demo clip is not installed" in message(window))
    window.handlers.open_spec(FILE)
    until(lambda: window.windowTitle().startswith("testsrc"))
    until(lambda: is_on(window, "loop") is loop)


def test_what_the_user_chooses_while_the_demo_clip_plays_stays(window):
    press(window, "open_demo")
    until(lambda: window.bridge.session.figures().painting.shown)
    for expected in (False, True):
        press(window, "loop")
        until(lambda: is_on(window, "loop") is expected)  # noqa: B023 - it is waited for here
    window.handlers.open_spec(LIVE)
    until(lambda: clock(window).startswith("live"))
    assert is_on(window, "loop")


@exercises("close_source")
def test_sources_are_closed_one_by_one(window):
    open_source(window, LIVE, FILE)
    press(window, "close_source")
    until(lambda: len(views(window)) == 1)
    assert window.findChild(WelcomeScreen).isVisible() is False
    press(window, "close_source")
    until(lambda: window.findChild(WelcomeScreen).isVisible())
    assert window.windowTitle() == "Framehook"
    assert not can(window, "close_source")


@exercises("recent_sources")
def test_what_was_opened_before_is_opened_again_by_its_name(window, store):
    menu = window.actions_by_name.submenus["recent_sources"]
    assert texts_of(menu) == ["Nothing yet"]
    store.add_recent("source", "7")
    store.add_recent("source", LIVE)
    assert texts_of(menu) == ["1 Test scene 320x240@30:live", "2 Camera 7", "Forget these"]
    entry(menu, "1 Test scene 320x240@30:live").trigger()
    until(lambda: views(window))
    entry(menu, "2 Camera 7").trigger()
    until(lambda: "camera 7" in message(window))
    entry(menu, "Forget these").trigger()
    assert texts_of(menu) == ["Nothing yet"]


@exercises("open_model", "recent_models")
def test_a_model_is_chosen_and_chosen_again(window, store, tmp_path):
    open_source(window, LIVE)
    press(window, "open_model")
    first = dialog(OpenModelDialog)
    assert not first.isModal()
    press(window, "open_model")
    assert dialog(OpenModelDialog) is first
    QTest.keyClick(first, Qt.Key.Key_Return)
    until(lambda: "bundled person detector on" in status(window))
    settle()
    assert sip.isdeleted(first)
    menu = window.actions_by_name.submenus["recent_models"]
    assert texts_of(menu) == ["Nothing yet"]
    gone = tmp_path / "gone.onnx"
    store.add_recent("model", str(gone))
    entry(menu, "1 gone.onnx").trigger()
    until(lambda: "gone.onnx" in message(window))
    assert message(window).startswith("Error: ")
    until(lambda: status(window).startswith("Playing") and "bundled person detector" in status(window))


@exercises("export")
def test_the_export_dialog_stays_one(window):
    until(lambda: can(window, "export"))
    press(window, "export")
    first = dialog(ExportDialog)
    window.activateWindow()
    press(window, "export")
    assert dialog(ExportDialog) is first
    assert not first.isModal()
    first.close()
    settle()
    assert sip.isdeleted(first)
    assert not dialogs()


@pytest.mark.parametrize(("name", "kind"), [("export", ExportDialog), ("open_model", OpenModelDialog)])
def test_a_file_is_chosen_beside_the_window_and_no_longer_than_what_it_is_for(window, name, kind):
    open_source(window, LIVE)
    until(lambda: can(window, "export"))
    press(window, name)
    asking = dialog(kind)
    next(each for each in asking.findChildren(QPushButton) if "rowse" in each.text()).click()
    chooser = dialog(QFileDialog)  # and the window goes on
    shown = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown > shown + 3)
    asking.close()
    settle()
    assert sip.isdeleted(chooser)
    assert not dialogs()


@exercises("train")
def test_a_model_is_trained_in_a_panel_that_comes_to_the_front_and_what_comes_of_it_is_used(window, tmp_path):
    panel = window.docks.panel("Training")
    panel.hide()
    press(window, "train")
    until(lambda: not panel.visibleRegion().isEmpty())
    assert QApplication.focusWidget().accessibleName() == "Dataset"
    trained = Path(shutil.copy(bundled_model(), tmp_path / "best.onnx"))
    window.training.watch_requested.emit(str(trained))
    until(lambda: "best.onnx on" in status(window))
    press(window, "export")
    first = dialog(ExportDialog)
    assert first.windowTitle() == "Export best.onnx"
    other = Path(shutil.copy(trained, tmp_path / "other.onnx"))
    for path in (other, other, trained):
        window.training.export_requested.emit(str(path))
        assert dialog(ExportDialog).windowTitle() == f"Export {path.name}"
        settle()
    assert sip.isdeleted(first)


# Saving ----------------------------------------------------------------------------------------------------------------------


@exercises("snapshot")
def test_a_picture_is_saved(window):
    open_source(window, LIVE)
    press(window, "snapshot")
    until(lambda: message(window).startswith("Note: Saved"))
    (path,) = saved(window, ".png") or saved(window, ".jpg")
    assert cv2.imread(str(path)).shape == (240, 320, 3)
    assert str(path) in message(window)


@exercises("record", "record_original")
def test_recordings_stay_pressed_until_they_are_ended_also_over_the_end_of_a_file(window):
    names = ("record", "record_original")
    open_source(window, "testsrc:320x240@30:900")  # so long that it does not end before they have begun
    for name in names:
        press(window, name)
    until(lambda: all(is_on(window, name) for name in names))
    until(lambda: re.search(r"● Recording 00:\d\d, recording the original 00:\d\d", status(window)))
    window.bridge.session.seek(29.5)
    until(lambda: status(window).startswith("Ended: "))
    for name in names:
        assert is_on(window, name)
        press(window, name)
    until(lambda: not any(is_on(window, name) for name in names) and "●" not in status(window))
    until(lambda: len([text for text in notes(window) if text.startswith("Saved")]) == 2)
    assert message(window).startswith("Note: Saved")
    assert all(0 < frames_of(path) <= 900 for path in saved(window, ".mp4"))
    assert len(saved(window, ".mp4")) == 2


def test_a_recording_that_cannot_begin_is_not_shown_as_one(window, tmp_path):
    (tmp_path / "saved").write_text("a file, no folder")
    open_source(window, LIVE)
    press(window, "record")
    until(lambda: message(window).startswith("Error: "))
    until(lambda: not is_on(window, "record"))


@exercises("save_rows")
def test_rows_are_saved_under_a_name_with_or_without_its_ending(window):
    open_source(window, LIVE)
    for typed, filter_, written in (
        ("found", "JSON lines (*.jsonl)", "found.jsonl"),
        ("found", "CSV (*.csv)", "found.csv"),
        ("a.txt", "CSV (*.csv)", "a.txt"),
    ):
        save_rows(window, typed, filter_, written)


def save_rows(window, typed, filter_, written):
    """Save rows for a while under a name that is typed, and look for them under the name they are to have."""
    press(window, "save_rows")
    chooser = dialog(QFileDialog)
    assert not is_on(window, "save_rows")
    assert Path(chooser.directory().absolutePath()) == window.bridge.session.folder
    chooser.findChild(QComboBox, "fileTypeCombo").textActivated.emit(filter_)
    chooser.selectNameFilter(filter_)
    chooser.filterSelected.emit(filter_)
    field = chooser.findChild(QLineEdit)
    field.setText(typed)
    QTest.keyClick(field, Qt.Key.Key_Return)
    until(lambda: is_on(window, "save_rows"))
    assert "● Saving rows 00:" in status(window)
    rows = window.bridge.session.folder / written
    until(lambda: rows.is_file() and rows.stat().st_size > 0)
    press(window, "save_rows")
    until(lambda: message(window).startswith("Note: Saved rows") and written in message(window))
    assert not is_on(window, "save_rows")
    if rows.suffix == ".jsonl":
        assert json.loads(rows.read_text().splitlines()[0])["boxes"]


def test_rows_that_are_not_saved_after_all_leave_the_action_as_it_was(window):
    open_source(window, LIVE)
    press(window, "save_rows")
    dialog(QFileDialog).reject()
    assert not is_on(window, "save_rows")
    assert "●" not in status(window)


class Desktop(QObject):
    """A file manager."""

    def __init__(self):
        super().__init__()
        self.opened = []

    @pyqtSlot(QUrl)
    def open(self, url):
        self.opened.append(Path(url.toLocalFile()))


@exercises("open_folder")
def test_the_folder_of_recordings_is_shown(window):
    folder = window.bridge.session.folder
    desktop = Desktop()
    QDesktopServices.setUrlHandler("file", desktop, "open")
    try:
        press(window, "open_folder")
        assert message(window) == f"Note: Nothing was saved yet; recordings and pictures go to {folder}"
        folder.mkdir()
        press(window, "open_folder")
        assert desktop.opened == [folder]
    finally:
        QDesktopServices.unsetUrlHandler("file")


@pytest.mark.qt_log_ignore("does not support services", extend=True)
def test_without_a_file_manager_the_folder_is_named(window):
    folder = window.bridge.session.folder
    folder.mkdir()
    press(window, "open_folder")
    until(lambda: message(window) == f"Warning: No file manager could be opened; the folder is {folder}")


@exercises("settings", "theme")
def test_settings_are_in_force_at_once_and_the_menu_shows_the_theme(window, tmp_path):
    menu = window.actions_by_name.submenus["theme"]
    chosen = lambda: [action.objectName() for action in menu.actions() if action.isChecked()]  # noqa: E731
    assert texts_of(menu) == ["As the system", "Light", "Dark"]
    assert chosen() == ["theme_system"]
    entry(menu, "Dark").trigger()
    assert chosen() == ["theme_dark"]
    until(lambda: is_dark(window.palette()))
    assert seen(window)[-5, window.width() // 2].mean() < 128
    press(window, "settings")
    settings = dialog(SettingsDialog)
    assert not settings.isModal()
    (theme,) = [each for each in settings.findChildren(QComboBox) if each.accessibleName() == "Theme"]
    assert theme.currentText() == "Dark"
    theme.setCurrentText("Light")
    (folder,) = [each for each in settings.findChildren(QLineEdit) if each.accessibleName() == "Save in"]
    folder.setText(str(tmp_path / "elsewhere"))
    QTest.mouseClick(settings.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok), LEFT)
    assert chosen() == ["theme_light"]
    until(lambda: not is_dark(window.palette()))
    open_source(window, LIVE)
    press(window, "snapshot")
    until(lambda: "elsewhere" in message(window))


@exercises("quit")
def test_quitting_ends_everything(window):
    open_source(window, LIVE)
    press(window, "open_source")
    window.activateWindow()
    until(window.isActiveWindow)
    press(window, "quit")
    assert not window.isVisible()
    assert not dialogs()
    assert window.ended


# Playing ---------------------------------------------------------------------------------------------------------------------


@exercises("play_pause", "step", "stop")
def test_a_file_is_held_stepped_through_stopped_and_played_again(window):
    open_source(window, FILE)
    assert window.actions_by_name["play_pause"].text() == "&Pause"
    view = hold(window)
    assert window.actions_by_name["play_pause"].text() == "&Play"
    held = seen(view)
    press(window, "step")
    until(lambda: not same_picture(view, held))
    assert status(window).startswith("Paused")
    press(window, "play_pause")
    until(lambda: status(window).startswith("Playing") and re.search(r"\d fps", status(window)))
    press(window, "stop")
    until(lambda: status(window).startswith("Stopped"))
    assert "fps" not in status(window)
    assert not can(window, "stop")
    press(window, "play_pause")
    until(lambda: status(window).startswith("Playing"))
    press(window, "step")
    until(lambda: status(window).startswith("Paused"))


@exercises("back", "forward", "to_start")
def test_a_file_is_played_from_elsewhere(window):
    open_source(window, FILE)
    press(window, "play_pause")
    until(lambda: status(window).startswith("Paused"))
    start = seconds(window)
    for name, goes in (("forward", 5), ("forward", 10), ("back", 5)):
        press(window, name)
        until(lambda: start + goes - 1 <= seconds(window) <= start + goes + 1)  # noqa: B023 - it is waited for here
    press(window, "to_start")
    until(lambda: seconds(window) == 0)


def test_what_has_no_positions_cannot_be_moved_in(window):
    open_source(window, LIVE, FILE)
    QTest.mouseClick(views(window)[0], LEFT)
    assert not any(can(window, name) for name in ("back", "forward", "to_start"))
    QTest.mouseClick(views(window)[1], LEFT)
    assert all(can(window, name) for name in ("back", "forward", "to_start"))


@exercises("loop")
def test_repeating_is_shown_wherever_it_is_switched(window, clip):
    press(window, "loop")
    assert is_on(window, "loop")
    assert button(window, "Repeat").isChecked()
    open_source(window, clip)
    shown = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown > shown + 25)  # it has 20
    QTest.mouseClick(button(window, "Repeat"), LEFT)
    assert not is_on(window, "loop")
    until(lambda: status(window).startswith("Ended: "))


def test_the_keys_of_the_picture_leave_buttons_and_fields_alone(window):
    open_source(window, FILE)
    calls = []
    for name in ("play_pause", "step", "to_start"):
        window.actions_by_name[name].triggered.connect(lambda _, name=name: calls.append(name))
    stop = button(window, "Stop")
    stop.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(stop, Qt.Key.Key_Space)
    until(lambda: status(window).startswith("Stopped"))
    window.docks.panel("Objects").raise_()
    (field,) = [each for each in window.docks.panel("Objects").widget().findChildren(QLineEdit) if each.isVisible()]
    field.setFocus()
    QTest.keyClicks(field, "a .b")
    QTest.keyClick(field, Qt.Key.Key_Home)
    assert field.text() == "a .b"
    assert field.cursorPosition() == 0
    press(window, "welcome")
    other = button(window, "Screens, other cameras and a test scene…")
    other.setFocus()
    QTest.keyClick(other, Qt.Key.Key_Space)
    assert dialogs(OpenSourceDialog)
    dialog(OpenSourceDialog).close()
    assert calls == []
    window.show_picture()
    views(window)[0].setFocus()
    press(window, "play_pause")
    assert calls == ["play_pause"]


def test_the_name_of_a_zone_may_have_blanks_and_dots_in_it(window):
    open_source(window, FILE)
    view = views(window)[0]
    press(window, "draw_line")
    drag(view, (0.2, 0.5), (0.8, 0.5))
    until(lambda: window.bridge.state.zones.get(window.grid.current_key))
    press(window, "edit_zones")

    def edited():
        if view.findChild(QLineEdit) is None:
            QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, 0.4, 0.5))
            press_keys(window, "F2")
        return view.findChild(QLineEdit)

    until(lambda: edited() is not None)
    editor = view.findChild(QLineEdit)
    editor.selectAll()
    QTest.keyClicks(editor, "no. 1 door")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    tree = window.zones.findChild(QTreeWidget)
    until(lambda: tree.topLevelItemCount() == 1 and tree.topLevelItem(0).text(0) == "no. 1 door")
    assert status(window).startswith("Playing")


# Looking ---------------------------------------------------------------------------------------------------------------------


@exercises("fit", "zoom_in", "zoom_out")
def test_the_picture_is_zoomed_and_fitted(window):
    open_source(window, FILE)
    view = hold(window)
    whole = seen(view)
    press(window, "zoom_in")
    until(lambda: not same_picture(view, whole))
    press(window, "zoom_out")
    until(lambda: same_picture(view, whole))
    press(window, "zoom_in", 1)  # Ctrl+=, which needs no Shift
    press(window, "zoom_in")
    until(lambda: not same_picture(view, whole))
    press(window, "fit")
    until(lambda: same_picture(view, whole))


@exercises("enlarge")
def test_one_of_several_sources_is_shown_alone(window):
    open_source(window, LIVE)
    assert not can(window, "enlarge")
    window.handlers.open_spec(FILE, beside=True)
    until(lambda: len(views(window)) == 2)
    press(window, "enlarge")
    assert len(views(window)) == 1
    assert is_on(window, "enlarge")
    press(window, "enlarge")
    assert len(views(window)) == 2
    assert not is_on(window, "enlarge")
    QTest.mouseDClick(views(window)[1], LEFT)
    assert len(views(window)) == 1
    assert is_on(window, "enlarge")
    press_keys(window, "Esc")
    assert not is_on(window, "enlarge")
    press(window, "enlarge")
    press(window, "close_source")
    until(lambda: not is_on(window, "enlarge") and not can(window, "enlarge"))


@exercises("follow")
def test_an_object_is_followed_once_it_is_chosen(window):
    open_source(window, LIVE)
    assert not can(window, "follow")
    view = views(window)[0]
    until(lambda: is_tracked(window))
    QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, 0.5, 0.5))
    until(lambda: can(window, "follow"))
    press(window, "follow")
    assert is_on(window, "follow")
    assert view.following
    press_keys(window, "Esc")
    until(lambda: not is_on(window, "follow"))
    press(window, "follow")
    press(window, "follow")
    assert not is_on(window, "follow")
    press_keys(window, "Esc")
    until(lambda: not can(window, "follow"))


@exercises("original")
def test_the_original_is_shown_from_the_menu_and_from_the_panel(window):
    open_source(window, FILE)
    view = hold(window)
    drawn = seen(view)
    press(window, "original")
    until(lambda: not same_picture(view, drawn))
    assert window.tuning.original.isChecked()
    plain = seen(view)
    window.tuning.original.click()
    until(lambda: same_picture(view, drawn))
    assert not is_on(window, "original")
    press(window, "original")
    until(lambda: same_picture(view, plain))


@exercises("overlay")
def test_layers_are_switched_and_shown_in_the_menu(window):
    open_source(window, FILE)
    until(lambda: objects(window))
    menu = window.actions_by_name.submenus["overlay"]
    texts = ["Boxes", "Labels", "Confidence", "Trails", "Heat map", "Blur", "Pixelate"]
    assert texts_of(menu) == texts
    assert len(texts) == len(LAYERS)
    on = lambda: {plain(action.text()) for action in menu.actions() if action.isChecked()}  # noqa: E731
    assert {"Boxes", "Labels"} <= on()
    for text in ("Boxes", "Labels", "Confidence", "Trails"):
        if text in on():
            entry(menu, text).trigger()
    until(lambda: on() == set())
    view = hold(window)
    press(window, "original")
    settled(window.bridge, view)
    undrawn = seen(view)
    press(window, "original")
    settled(window.bridge, view)
    assert same_picture(view, undrawn)  # nothing is drawn
    entry(menu, "Boxes").trigger()
    until(lambda: on() == {"Boxes"})


@exercises("full_screen")
def test_the_window_fills_the_screen_and_back(window):
    open_source(window, LIVE)
    press(window, "full_screen")
    until(window.isFullScreen)
    assert is_on(window, "full_screen")
    press_keys(window, "Esc")
    until(lambda: not window.isFullScreen() and not is_on(window, "full_screen"))
    window.showMaximized()
    press(window, "full_screen")
    press(window, "full_screen")
    until(lambda: not window.isFullScreen())
    assert window.isMaximized()
    window.showFullScreen()  # as the keys of a desktop do
    until(lambda: is_on(window, "full_screen"))


@exercises("reset_layout", "panels")
def test_panels_are_hidden_and_put_back(window):
    menu = window.actions_by_name.submenus["panels"]
    titles = ["Tuning", "Zones", "Objects", "Performance", "Callbacks", "Log", "Training"]
    assert texts_of(menu) == titles

    def arrangement():
        window.repaint()
        there = [window.docks.panel(title) for title in titles]
        floating = [dock.isFloating() for dock in there]
        return [window.dockWidgetArea(dock) for dock in there], floating, there[0].geometry(), there[2].geometry()

    before = arrangement()
    for number, title in enumerate(titles, 1):
        action = entry(menu, title)
        assert action.isChecked()
        if not window.docks.panel(title).isAncestorOf(window.focusWidget() or window):
            press_keys(window, f"Alt+{number}")  # it comes to the front, and has the keyboard
            assert action.isChecked()
            assert window.docks.panel(title).isAncestorOf(window.focusWidget())
        press_keys(window, f"Alt+{number}")
        assert not action.isChecked()
        assert window.docks.panel(title).isHidden()
    window.findChild(QToolBar).hide()
    press_keys(window, "Alt+6")
    assert window.docks.panel("Log").isVisible()
    window.docks.panel("Log").setFloating(True)
    press(window, "reset_layout")
    until(lambda: arrangement() == before)
    assert all(action.isChecked() for action in menu.actions())
    assert window.findChild(QToolBar).isVisible()


# Tuning ----------------------------------------------------------------------------------------------------------------------


@exercises("more_confident", "less_confident")
def test_the_confidence_is_changed_by_keys(window):
    open_source(window, LIVE)
    (box,) = [each for each in window.tuning.findChildren(QDoubleSpinBox) if each.accessibleName() == "Confidence"]
    before = box.value()
    press(window, "more_confident")
    assert box.value() == pytest.approx(before + 0.05)
    press(window, "less_confident")
    press(window, "less_confident")
    assert box.value() == pytest.approx(before - 0.05)
    until(lambda: objects(window))
    for _ in range(20):
        press(window, "more_confident")
    until(lambda: not objects(window))  # the model is sure by .9


@exercises("track")
def test_tracking_is_switched(window):
    open_source(window, LIVE)
    assert is_on(window, "track")
    until(lambda: is_tracked(window))
    press(window, "track")
    until(lambda: not is_on(window, "track"))
    until(lambda: objects(window) and not is_tracked(window))
    press(window, "track")
    until(lambda: is_on(window, "track"))
    until(lambda: is_tracked(window))


# Zones -----------------------------------------------------------------------------------------------------------------------


@exercises("draw_line", "draw_area", "edit_zones", "reset_zones", "clear_zones")
def test_zones_are_drawn_edited_counted_anew_deleted_and_brought_back(window):
    window.docks.show_panel("Zones")
    open_source(window, LIVE)
    view, tree = views(window)[0], window.zones.findChild(QTreeWidget)
    zones = lambda: {tree.topLevelItem(row).text(0): tree.topLevelItem(row).text(1) for row in range(tree.topLevelItemCount())}  # noqa: E731
    assert not can(window, "clear_zones")
    press(window, "draw_area")
    press(window, "draw_line")  # one tool at a time
    assert is_on(window, "draw_line")
    assert not is_on(window, "draw_area")
    drag(view, (0.1, 0.1), (0.9, 0.1))
    until(lambda: list(zones()) == ["line 1"])
    assert not is_on(window, "draw_line")
    press(window, "draw_area")
    for corner in ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)):
        QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, *corner))
    QTest.keyClick(view, Qt.Key.Key_Return)
    until(lambda: list(zones()) == ["line 1", "area 1"])
    assert not is_on(window, "draw_area")
    until(lambda: zones()["area 1"].startswith("1 inside"))
    press(window, "edit_zones")
    assert is_on(window, "edit_zones")
    press_keys(window, "Esc")
    assert not is_on(window, "edit_zones")
    press(window, "reset_zones")
    until(lambda: zones().get("area 1", "").startswith("1 inside"))
    press(window, "clear_zones")
    until(lambda: not zones())
    assert message(window) == "Note: 2 zones were deleted"
    press_message(window, "Undo")
    until(lambda: list(zones()) == ["line 1", "area 1"])
    assert message(window) == ""


# Callbacks -------------------------------------------------------------------------------------------------------------------


@exercises("load_callbacks", "reload_callbacks", "recent_callbacks")
def test_files_of_callbacks_are_loaded_changed_and_loaded_again(window, tmp_path, store):
    def listed():
        model = window.callbacks.findChild(QTreeView).model()
        parents = [model.index(row, 0) for row in range(model.rowCount())]
        return {model.index(row, 0, parent).data() for parent in parents for row in range(model.rowCount(parent))}

    window.docks.show_panel("Callbacks")
    file = tmp_path / "mine.py"
    file.write_text("def on_predict_batch_end(predictor):\n    pass\n")
    assert not can(window, "reload_callbacks")
    press(window, "load_callbacks")
    dialog(QFileDialog).fileSelected.emit(str(file))
    dialog(QFileDialog).reject()
    until(lambda: any("mine" in name for name in tops(window)))
    until(lambda: can(window, "reload_callbacks"))
    before = listed()
    file.write_text("def on_predict_end(predictor):\n    pass\n\n\ndef on_predict_start(predictor):\n    pass\n")
    press(window, "reload_callbacks")
    until(lambda: listed() != before)
    menu = window.actions_by_name.submenus["recent_callbacks"]
    assert texts_of(menu) == ["1 mine.py", "Forget these"]
    (tmp_path / "other.py").write_text("def on_predict_end(predictor):\n    pass\n")
    store.add_recent("callbacks", str(tmp_path / "other.py"))
    entry(menu, "1 other.py").trigger()
    until(lambda: any("other" in name for name in tops(window)))


def tops(window):
    """The groups of the callbacks panel."""
    model = window.callbacks.findChild(QTreeView).model()
    return [model.index(row, 0).data() for row in range(model.rowCount())]


# Help ------------------------------------------------------------------------------------------------------------------------


@exercises("welcome")
def test_the_first_screen_is_shown_while_something_plays_and_left_again(window):
    assert is_on(window, "welcome")
    open_source(window, LIVE)
    screen = window.findChild(WelcomeScreen)
    assert not is_on(window, "welcome")
    for lead_back in (
        lambda: press(window, "welcome"),
        lambda: press_keys(window, "Esc"),
        lambda: window.handlers.open_spec(FILE),
    ):
        press(window, "welcome")
        assert screen.isVisible()
        assert is_on(window, "welcome")
        assert status(window).startswith("Playing")
        lead_back()
        assert not screen.isVisible()
        assert not is_on(window, "welcome")
        until(lambda: views(window)[0].hasFocus())


@exercises("shortcuts")
def test_all_keys_are_listed(window):
    press(window, "shortcuts")
    table = dialog(ShortcutsDialog).findChild(QTableWidget)
    rows = [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount())]
    assert ["Playback", "Next frame", "."] in rows
    assert ["Panels", "Zones", "Alt+2"] in rows
    listed = {keys for _, _, texts in rows for keys in texts.split(", ")}
    assert {keys.toString() for action in window.actions_by_name.values() for keys in action.shortcuts()} <= listed
    press(window, "shortcuts")
    assert len(dialogs(ShortcutsDialog)) == 1
    press_keys(window, "Esc")
    assert not dialogs()


@exercises("about")
def test_versions_are_told(window):
    until(lambda: can(window, "export"))  # there is a model
    window.actions_by_name["about"].trigger()
    text = dialog(AboutDialog).findChild(QLabel).text()
    for expected in ("Framehook", "Python", "Qt", "32 x 32, yolo on cpu"):
        assert expected in text
    dialog(AboutDialog).close()
    settle()
    assert not QApplication.topLevelWidgets() or not [w for w in QApplication.topLevelWidgets() if isinstance(w, AboutDialog)]
