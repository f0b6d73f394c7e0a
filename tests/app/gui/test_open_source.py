import threading
import time
from dataclasses import replace
from functools import partial

import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QPushButton,
    QSpinBox,
    QWidget,
)

from framehook.app.cameras import Camera, list_cameras
from framehook.app.gui.dialogs.open_source import OpenSourceDialog
from framehook.app.gui.preview_pane import PreviewPane
from framehook.app.gui.theme import apply_theme
from framehook.app.session.state import Phase, Slot
from framehook.inference.errors import MissingDependencyError, SourceUnavailableError
from framehook.inference.sources import Screen, Source, TestSource


@pytest.fixture
def root(tmp_path):
    """A computer without a camera; `plug` connects one."""
    return tmp_path / "computer"


def plug(root, number, name=""):
    device = root / f"dev/video{number}"
    device.parent.mkdir(parents=True, exist_ok=True)
    device.touch()
    told = root / f"sys/class/video4linux/video{number}"
    told.mkdir(parents=True)
    (told / "name").write_text(f"{name}\n")
    return device


@pytest.fixture
def show(qtbot, bridge, store, root):
    made = []

    def show(kind="scene", *, screens=list, **how):
        dialog = OpenSourceDialog(
            bridge,
            None,
            store,
            kind=kind,
            screens=screens,
            **{"platform": "linux", "cameras": partial(list_cameras, root), **how},
        )
        qtbot.addWidget(dialog)
        made.append(dialog)
        with qtbot.waitActive(dialog):
            dialog.show()
            dialog.activateWindow()
        return dialog

    yield show
    for dialog in made:
        dialog.reject()


def visible(dialog, kind, name=None):
    found = [each for each in dialog.findChildren(kind) if each.isVisible() and name in (None, each.accessibleName())]
    assert len(found) == 1, [each.accessibleName() for each in found]
    return found[0]


def rows(shown):
    return [shown.item(row).text() for row in range(shown.count())]


def preview(dialog):
    return visible(dialog, PreviewPane)


def open_button(dialog):
    return dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Open)


def says(dialog):
    return " ".join(each.text() for each in dialog.findChildren(QLabel) if each.isVisible())


def colours(widget):
    image = widget.grab().toImage()
    return {image.pixelColor(x, y).name() for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)}


def test_every_kind_of_source_is_there_and_named(show):
    dialog = show("camera")
    kinds = visible(dialog, QListWidget, "Kind of source")
    assert rows(kinds) == ["Camera", "Screen", "File or folder", "Address", "Test scene"]
    for row in range(kinds.count()):
        kinds.setCurrentRow(row)
        assert kinds.item(row).toolTip() in says(dialog)


def test_the_names_of_the_kinds_are_whole_with_large_letters_too(show, qapp):
    before, font = qapp.font(), qapp.font()
    font.setPointSize(18)
    qapp.setFont(font)
    try:
        kinds = visible(show("file"), QListWidget, "Kind of source")
        assert kinds.horizontalScrollBar().maximum() == 0
    finally:
        qapp.setFont(before)


def test_a_scene_is_previewed_live_and_opened_as_chosen(show, qtbot):
    dialog = show("scene")
    pane = preview(dialog)
    qtbot.waitUntil(lambda: pane.shows_picture)
    assert "640 x 480, 30 fps" in says(dialog)
    before = pane.grab().toImage()
    qtbot.waitUntil(lambda: pane.grab().toImage() != before)
    assert len(colours(pane)) > 20
    visible(dialog, QComboBox, "Size").setCurrentIndex(0)
    visible(dialog, QSpinBox, "Frame rate").setValue(25)
    qtbot.waitUntil(lambda: "320 x 240, 25 fps" in says(dialog))
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert told.args == ["testsrc:320x240@25:live", False]
    assert not dialog.isVisible()


def test_a_scene_may_play_like_a_file(show, qtbot):
    dialog = show("scene")
    box = next(each for each in dialog.findChildren(QCheckBox) if "camera" in each.text())
    box.setChecked(False)
    with qtbot.waitSignal(dialog.chosen) as told:
        qtbot.mouseClick(open_button(dialog), Qt.MouseButton.LeftButton)
    assert told.args[0] == "testsrc:640x480@30"


def test_escape_opens_nothing(show, qtbot):
    dialog = show("scene")
    with qtbot.assertNotEmitted(dialog.chosen, wait=100):
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_without_a_camera_that_is_said_and_nothing_can_be_opened(show, qtbot, root):
    dialog = show("camera")
    assert "No camera is connected" in preview(dialog).text
    assert not open_button(dialog).isEnabled()
    plug(root, 3, "Late Camera")
    again = next(each for each in dialog.findChildren(QPushButton) if each.text() == "Look again")
    qtbot.mouseClick(again, Qt.MouseButton.LeftButton)
    assert rows(visible(dialog, QListWidget, "Cameras")) == ["Camera 3, Late Camera"]
    assert open_button(dialog).isEnabled()


def test_cameras_are_called_by_their_names_and_one_that_fails_says_why(show, qtbot, root):
    plug(root, 61, "Integrated Camera")
    plug(root, 62)
    dialog = show("camera")
    assert rows(visible(dialog, QListWidget, "Cameras")) == ["Camera 61, Integrated Camera", "Camera 62"]
    qtbot.waitUntil(lambda: "camera 61 cannot be opened" in preview(dialog).text)
    QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "camera 62 cannot be opened" in preview(dialog).text)
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Return)
    assert told.args == [62, False]


def test_a_camera_that_one_may_not_use_says_so(show):
    locked = Camera(0, "/dev/video0", "Locked", allowed=False, group="video")
    gone = Camera(1, "/dev/video1", "Gone", there=False, allowed=False)
    dialog = show("camera", cameras=lambda: [locked, gone])
    assert rows(visible(dialog, QListWidget, "Cameras")) == [
        "Camera 0, Locked (you may not use it; join the group video)",
        "Camera 1, Gone (there is no /dev/video1)",
    ]


def test_where_cameras_cannot_be_listed_some_numbers_are_offered(show):
    dialog = show("camera", platform="win32")
    assert rows(visible(dialog, QListWidget, "Cameras")) == ["Camera 0", "Camera 1", "Camera 2", "Camera 3"]


def test_screens_are_listed_with_their_sizes(show, qtbot):
    found = [
        Screen(0, (3000, 1000), (0, 0), ""),
        Screen(1, (1920, 1000), (0, 0), "HDMI-1"),
        Screen(2, (1080, 1000), (0, 0), ""),
    ]
    dialog = show("screen", screens=lambda: found)
    shown = visible(dialog, QListWidget, "Screens")
    qtbot.waitUntil(lambda: shown.count() == 3)
    assert rows(shown) == ["All screens together, 3000 x 1000", "Screen 1, 1920 x 1000, HDMI-1", "Screen 2, 1080 x 1000"]
    visible(dialog, QSpinBox, "Frame rate").setValue(15)
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Return)
    assert told.args == ["screen:1@15", False]


def test_a_single_screen_is_not_offered_twice(show, qtbot):
    dialog = show("screen", screens=lambda: [Screen(0, (800, 600), (0, 0), ""), Screen(1, (800, 600), (0, 0), "")])
    shown = visible(dialog, QListWidget, "Screens")
    qtbot.waitUntil(lambda: rows(shown) == ["Screen 1, 800 x 600"])


def test_where_screens_cannot_be_read_it_says_what_to_install(show, qtbot):
    def missing():
        raise MissingDependencyError("screens are read with mss 10.2 or newer; pip install 'framehook[screen]'")

    dialog = show("screen", screens=missing)
    qtbot.waitUntil(lambda: "pip install 'framehook[screen]'" in preview(dialog).text)
    assert not open_button(dialog).isEnabled()


def test_a_display_that_is_silent_does_not_hold_the_window_up(show):
    answers = threading.Event()
    dialog = show("screen", screens=lambda: answers.wait(20) and [])
    assert "Looking for screens" in preview(dialog).text
    dialog.reject()
    assert not answers.is_set()
    answers.set()


def test_before_a_file_is_named_it_is_said_what_to_do(show):
    dialog = show("file")
    assert "Type or choose what to open" in preview(dialog).text
    assert len(colours(preview(dialog))) > 1  # it is written there
    QTest.keyClicks(dialog.focusWidget(), "rtsp://camera/live")
    assert "no preview" in preview(dialog).text


def test_a_scene_offers_its_sizes_and_rates_as_they_are_written_elsewhere(show):
    dialog = show("scene")
    size = visible(dialog, QComboBox, "Size")
    assert [size.itemText(place) for place in range(2)] == ["320 x 240", "640 x 480"]
    assert visible(dialog, QSpinBox, "Frame rate").text() == "30 fps"


def test_a_file_is_previewed_and_opened_as_a_path(show, qtbot, clip):
    dialog = show("file")
    QTest.keyClicks(dialog.focusWidget(), str(clip))
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    assert "320 x 240, 20 fps, 1 s" in says(dialog)
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Return)
    assert told.args == [clip, False]


def test_a_file_that_is_not_there_is_told_in_the_preview(show, qtbot, tmp_path):
    dialog = show("file")
    visible(dialog, QLineEdit, "File, folder or pattern").setText(str(tmp_path / "gone.mp4"))
    qtbot.waitUntil(lambda: "gone.mp4 does not exist" in preview(dialog).text)


def test_a_file_called_like_a_camera_is_a_file(show, qtbot, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    dialog = show("file")
    visible(dialog, QLineEdit, "File, folder or pattern").setText("0")
    with qtbot.waitSignal(dialog.chosen) as told:
        qtbot.mouseClick(open_button(dialog), Qt.MouseButton.LeftButton)
    assert told.args[0] == tmp_path / "0"


def choose(qtbot, dialog, *names):
    """Choose names in the file dialog that has come up."""
    box = next(each for each in dialog.findChildren(QFileDialog) if each.isVisible())
    box.findChild(QLineEdit, "fileNameEdit").setText(" ".join(f'"{name}"' for name in names) if len(names) > 1 else names[0])
    QTest.keyClick(box.findChild(QLineEdit, "fileNameEdit"), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: sip.isdeleted(box))


def test_files_and_folders_are_chosen_with_the_file_dialog(show, qtbot, store, tmp_path):
    store.set_text("open-source-folder", str(tmp_path))
    (tmp_path / "sub").mkdir()
    for name in ("b10.jpg", "b9.jpg"):
        (tmp_path / name).touch()
    dialog = show("file")
    buttons = {each.text(): each for each in dialog.findChildren(QPushButton)}
    qtbot.mouseClick(buttons["Choose f&older…"], Qt.MouseButton.LeftButton)
    choose(qtbot, dialog, str(tmp_path / "sub"))
    assert visible(dialog, QLineEdit, "File, folder or pattern").text() == str(tmp_path / "sub")
    qtbot.mouseClick(buttons["Choose &files…"], Qt.MouseButton.LeftButton)
    choose(qtbot, dialog, str(tmp_path / "b10.jpg"), str(tmp_path / "b9.jpg"))
    with qtbot.waitSignal(dialog.chosen) as told:
        qtbot.mouseClick(open_button(dialog), Qt.MouseButton.LeftButton)
    assert told.args == [[tmp_path / "b9.jpg", tmp_path / "b10.jpg"], False]


def test_what_was_opened_before_is_a_click_away(show, qtbot, store, clip):
    for text in ("/gone/other.mp4", str(clip), "0", "rtsp://me:hush@door/live"):
        store.add_recent("source", text)
    store.add_recent("address", "rtsp://me:hush@door/live")
    dialog = show("file")
    shown = visible(dialog, QListWidget, "Opened before")
    assert rows(shown) == ["scene.mp4", "other.mp4"]
    shown.setCurrentRow(0)
    assert visible(dialog, QLineEdit, "File, folder or pattern").text() == str(clip)
    dialog.show_page("address")
    shown = visible(dialog, QListWidget, "Opened before")
    assert rows(shown) == ["door/live"]
    with qtbot.waitSignal(dialog.chosen) as told:
        place = shown.visualItemRect(shown.item(0)).center()
        qtbot.mouseClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=place)
        qtbot.mouseDClick(shown.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert told.args == ["rtsp://door/live", False]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "For example rtsp://"),
        ("camera.local/stream", "An address begins with rtsp://"),
        ("rtps://camera/stream", "Did you mean 'rtsp"),
        ("rtsp://", "Now the host"),
        ("rtsp://camera/stream", "Press “Try it”"),
    ],
)
def test_what_is_typed_as_an_address_is_helped_with(show, typed, said):
    dialog = show("address")
    visible(dialog, QLineEdit, "Address").setText(typed)
    assert said in preview(dialog).text
    assert open_button(dialog).isEnabled() is (typed == "rtsp://camera/stream")


def test_an_address_is_tried_only_when_asked_and_says_what_is_wrong(show, qtbot):
    dialog = show("address")
    visible(dialog, QLineEdit, "Address").setText("http://me:hush@127.0.0.1:9/stream")
    qtbot.wait(400)  # longer than a preview waits before it begins
    assert "Press “Try it”" in preview(dialog).text
    attempt = next(each for each in dialog.findChildren(QPushButton) if each.text() == "&Try it")
    qtbot.mouseClick(attempt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "127.0.0.1:9" in preview(dialog).text)
    assert "hush" not in preview(dialog).text


def test_an_opened_address_is_offered_again_without_its_password(show, qtbot, store):
    dialog = show("address")
    QTest.keyClicks(dialog.focusWidget(), "rtsp://me:hush@door/live")
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Return)
    assert told.args == ["rtsp://me:hush@door/live", False]
    assert store.recent("address") == ["rtsp://door/live"]
    assert store.sync()
    assert "hush" not in store.path.read_text()


def test_beside_is_offered_once_something_is_open(show, qtbot, bridge):
    dialog = show("scene")
    box = next(each for each in dialog.findChildren(QCheckBox) if "beside" in each.text())
    assert not box.isEnabled()
    bridge.session.open("testsrc:64x48@30:live")
    qtbot.waitUntil(box.isEnabled)
    box.setChecked(True)
    with qtbot.waitSignal(dialog.chosen) as told:
        QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert told.args == ["testsrc:640x480@30:live", True]
    assert not any(each.text() == "" for each in dialog.findChildren(QCheckBox))
    again = show("scene", add=True)
    assert next(each for each in again.findChildren(QCheckBox) if "beside" in each.text()).isChecked()


def test_what_is_chosen_plays_in_the_session(show, qtbot, bridge):
    dialog = show("scene")
    dialog.chosen.connect(lambda spec, beside: bridge.session.open(spec, add=beside))
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bridge.state.phase is Phase.PLAYING)
    assert [slot.spec for slot in bridge.state.slots] == ["testsrc:640x480@30:live"]


class OneCamera(Source):
    """There is one of it: whoever opens it holds a lock meanwhile, and lets go of it late."""

    endless = True
    lock = threading.Lock()

    def __init__(self, spec):
        if not self.lock.acquire(blocking=False):
            raise SourceUnavailableError(f"camera {spec} cannot be opened; another program uses it")
        self._scene = TestSource(size=(64, 48), live=True)
        self.info = self._scene.info

    def read(self):
        return self._scene.read()

    def interrupt(self):
        self._scene.interrupt()

    def close(self):
        self._scene.close()
        time.sleep(0.3)  # a driver takes its time
        self.lock.release()


def test_a_camera_is_free_when_it_is_told_and_the_window_does_not_wait_for_that(show, qtbot, root):
    plug(root, 0, "Only")
    dialog = show("camera", make=OneCamera)
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    free = []
    dialog.chosen.connect(lambda spec, _beside: free.append(OneCamera.lock.acquire(blocking=False)))
    QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Return)
    assert not dialog.isVisible()
    assert not free  # the driver is still at it
    qtbot.waitUntil(lambda: bool(free))
    assert free == [True]
    OneCamera.lock.release()


def test_a_camera_that_was_left_and_come_back_to_is_shown_again(show, qtbot, root):
    plug(root, 0, "Only")
    dialog = show("camera", make=OneCamera)
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    dialog.show_page("address")
    dialog.show_page("camera")
    qtbot.wait(250)  # a preview would have begun by now
    assert "cannot be opened" not in preview(dialog).text
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)


def test_who_opens_a_camera_that_is_just_being_let_go_of_waits_for_it_as_well(show, qtbot, root):
    plug(root, 0, "Only")
    dialog = show("camera", make=OneCamera)
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    dialog.show_page("address")
    dialog.show_page("camera")
    free = []
    dialog.chosen.connect(lambda spec, _beside: free.append(OneCamera.lock.acquire(blocking=False)))
    qtbot.mouseClick(open_button(dialog), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(free))
    assert free == [True]
    OneCamera.lock.release()


def test_a_camera_that_plays_in_the_session_is_not_taken_from_it(show, bridge, root, qtbot):
    plug(root, 0, "Busy")
    bridge.state = replace(bridge.state, slots=(Slot(key="1", spec=0, name="camera 0"),))
    dialog = show("camera", make=OneCamera)
    qtbot.wait(300)  # a preview would have begun by now
    assert "open already" in preview(dialog).text
    assert open_button(dialog).isEnabled()


def test_pages_that_are_turned_show_no_picture_of_another(show, qtbot):
    dialog = show("scene")
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)
    dialog.show_page("address")
    assert not preview(dialog).shows_picture
    assert "640" not in says(dialog)
    dialog.show_page("scene")
    qtbot.waitUntil(lambda: preview(dialog).shows_picture)


def test_everything_has_a_name_and_can_be_reached_with_tab(show, root):
    plug(root, 63, "Cam")
    for kind in ("camera", "screen", "file", "address", "scene"):
        dialog = show(kind, screens=lambda: [Screen(0, (8, 6), (0, 0), ""), Screen(1, (8, 6), (0, 0), "")])
        reached = set()
        for _ in range(16):
            reached.add(dialog.focusWidget())
            QTest.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
        for each in dialog.findChildren(QWidget):
            wants = each.focusPolicy() & Qt.FocusPolicy.TabFocus == Qt.FocusPolicy.TabFocus and each.focusProxy() is None
            inner = isinstance(each.parent(), QSpinBox | QLineEdit | QComboBox | QListWidget)
            if wants and each.isVisible() and each.isEnabled() and not inner and each is not dialog:
                assert each in reached, (kind, each, each.accessibleName())
                assert each.accessibleName() or isinstance(each, QAbstractButton), (kind, each)
        dialog.reject()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_in_place_of_the_picture_are_readable(show, qapp, theme):
    apply_theme(qapp, theme)
    dialog = show("address")
    qapp.processEvents()
    image = preview(dialog).grab().toImage()
    seen = {image.pixelColor(x, y).lightness() for x in range(image.width()) for y in range(image.height())}
    assert max(seen) - min(seen) > 150
    assert (image.pixelColor(2, 2).lightness() > 128) is (theme == "light")
