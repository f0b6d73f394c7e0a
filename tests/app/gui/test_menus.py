"""Every menu is opened with the mouse, and every entry is clicked where it stands."""

import pytest
from PyQt6.QtCore import QCoreApplication, QEvent, QObject, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from framehook.app.gui.actions import MENUS, SUBMENUS, Spec
from framehook.app.gui.theme import is_dark
from framehook.inference.callbacks.overlay import LAYERS

from .view_scenes import until
from .window_scenes import (
    FILE,
    LEFT,
    LIVE,
    at,
    button,
    dialogs,
    drag,
    is_on,
    is_tracked,
    message,
    notes,
    open_source,
    status,
    views,
)

PANELS = ("Tuning", "Zones", "Objects", "Performance", "Callbacks", "Log", "Training")


def plain(text):
    return text.replace("&", "")


def title_of(name):
    """The menu that an action or a submenu is in."""
    for title, entries in MENUS.items():
        for entry in entries:
            if entry == f"submenu:{name}" or (isinstance(entry, Spec) and entry.name == name):
                return title
    raise KeyError(name)


def open_menu(window, title):
    """Click on a menu of the bar, and return what pops up."""
    bar = window.menuBar()
    (heading,) = [action for action in bar.actions() if action.text() == title]
    place = bar.actionGeometry(heading).center()
    QTest.mouseMove(bar, place)
    QTest.mouseClick(bar, LEFT, pos=place)
    until(lambda: QApplication.activePopupWidget() is heading.menu())
    return heading.menu()


def open_submenu(window, name):
    """Open a menu of the bar and one in it, and return what pops up."""
    menu = open_menu(window, title_of(name))
    submenu = window.actions_by_name.submenus[name]
    assert plain(submenu.title()) == plain(SUBMENUS[name])
    place = menu.actionGeometry(submenu.menuAction()).center()
    QTest.mouseMove(menu, place)
    QTest.mouseClick(menu, LEFT, pos=place)
    until(lambda: QApplication.activePopupWidget() is submenu)
    return submenu


def click_in(menu, action):
    """Click an entry where it stands in the menu; the menus close, and the entry was chosen once."""
    place = menu.actionGeometry(action)
    assert menu.rect().contains(place)
    assert place.height() > 8
    until(action.isEnabled)
    chosen = []
    noted = action.triggered.connect(lambda: chosen.append(1))
    QTest.mouseMove(menu, place.center())
    QTest.mouseClick(menu, LEFT, pos=place.center())
    action.triggered.disconnect(noted)
    assert chosen == [1], action.text()
    until(lambda: QApplication.activePopupWidget() is None)


class Mouse:
    """Clicks entries of the menus of a window, and knows which."""

    def __init__(self, window):
        self._window = window
        self._clicked = set()

    def click(self, name):
        """Click an action in its menu."""
        click_in(open_menu(self._window, title_of(name)), self._window.actions_by_name[name])
        self._clicked.add(name)
        self._leave()

    def click_filled(self, name, text):
        """Click an entry of a menu that is filled while the window lives."""
        submenu = open_submenu(self._window, name)
        click_in(submenu, entry_of(submenu, text))
        self._leave()

    def has_clicked_all(self, title):
        """Whether every action of a menu was clicked."""
        wanted = {each.name for each in MENUS[title] if isinstance(each, Spec)}
        assert wanted <= self._clicked, wanted - self._clicked
        return True

    def _leave(self):
        """Leave the tools under the menu, of which the line at the bottom would tell."""
        if self._window.isVisible():
            QTest.mouseMove(self._window, self._window.rect().center())


@pytest.fixture
def mouse(window):
    return Mouse(window)


def entry(window, name, text):
    return entry_of(window.actions_by_name.submenus[name], text)


def entry_of(menu, text):
    """The entry of that text, which may have a number in front, or of that name in the code."""
    (action,) = [each for each in menu.actions() if each.objectName() == text or plain(each.text()).endswith(text)]
    return action


def texts(menu):
    return [plain(action.text()) for action in menu.actions() if not action.isSeparator()]


def close_menus():
    while (popup := QApplication.activePopupWidget()) is not None:
        QTest.keyClick(popup, Qt.Key.Key_Escape)


def close_dialogs():
    for each in dialogs():
        each.reject() if hasattr(each, "reject") else each.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def opens_dialog(mouse, name):
    assert not dialogs()
    mouse.click(name)
    until(lambda: len(dialogs()) == 1)
    close_dialogs()


def test_every_menu_pops_up_under_its_title_with_all_of_its_entries(window):
    for title, entries in MENUS.items():
        menu = open_menu(window, title)
        wanted = [each.text if isinstance(each, Spec) else SUBMENUS[each.removeprefix("submenu:")] for each in entries if each]
        assert texts(menu) == [plain(text) for text in wanted]
        for action in menu.actions():
            assert menu.rect().contains(menu.actionGeometry(action)), action.text()
        assert menu.grab().toImage().size().height() >= 8 * len(wanted)
        close_menus()


def test_the_entries_of_files_do_what_they_say(window, mouse, clip, tmp_path):
    for name in ("open_source", "open_file", "open_address", "settings"):
        opens_dialog(mouse, name)
    open_source(window, LIVE)
    mouse.click("snapshot")
    until(lambda: message(window).startswith("Note: Saved"))
    opens_dialog(mouse, "save_rows")
    for name in ("record", "record_original"):
        for on in (True, False):
            mouse.click(name)
            until(lambda: is_on(window, name) is on)  # noqa: B023 - it is waited for here
    opened = Desktop()
    QDesktopServices.setUrlHandler("file", opened, "open")
    try:
        mouse.click("open_folder")
        assert opened.paths == [str(window.bridge.session.folder)]
    finally:
        QDesktopServices.unsetUrlHandler("file")
    mouse.click("close_source")
    until(lambda: status(window).startswith("Nothing is open"))
    mouse.click("open_demo")
    until(lambda: is_on(window, "loop") and views(window))
    mouse.click("quit")
    assert window.ended
    assert not window.isVisible()
    assert mouse.has_clicked_all("&File")


class Desktop(QObject):
    """A file manager."""

    def __init__(self):
        super().__init__()
        self.paths = []

    @pyqtSlot(QUrl)
    def open(self, url):
        self.paths.append(url.toLocalFile())


def test_the_entries_of_playback_do_what_they_say(window, mouse):
    open_source(window, FILE)
    session, key = window.bridge.session, window.grid.current_key
    mouse.click("play_pause")
    until(lambda: status(window).startswith("Paused"))
    at_ = lambda: session.renderer.last(key).frame.pts  # noqa: E731
    for name, far in (("forward", 5), ("back", -5)):
        before = at_()
        mouse.click(name)
        until(lambda: abs(at_() - before - far) < 0.2)  # noqa: B023 - it is waited for here
    before = at_()
    mouse.click("step")
    until(lambda: 0 < at_() - before < 0.1)
    mouse.click("to_start")
    until(lambda: at_() == 0)
    for on in (True, False):
        mouse.click("loop")
        until(lambda: is_on(window, "loop") is on)  # noqa: B023 - it is waited for here
    mouse.click("stop")
    until(lambda: status(window).startswith("Stopped"))
    assert mouse.has_clicked_all("&Playback")


def test_the_entries_of_the_view_do_what_they_say(window, mouse):
    open_source(window, FILE, LIVE)
    until(lambda: is_tracked(window))
    mouse.click("enlarge")
    assert len(views(window)) == 1
    mouse.click("enlarge")
    assert len(views(window)) == 2
    view = window.grid.current_view
    mouse.click("zoom_in")
    assert view.aim.zoom > 1
    mouse.click("zoom_out")
    assert view.aim.zoom == pytest.approx(1)
    view.zoom_in()
    mouse.click("fit")
    assert view.aim.zoom == 1
    QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, 0.5, 0.5))
    until(lambda: window.actions_by_name["follow"].isEnabled())
    mouse.click("follow")
    assert view.following
    mouse.click("original")
    assert view.original
    window.docks.panel("Log").hide()
    mouse.click("reset_layout")
    assert not window.docks.panel("Log").isHidden()
    mouse.click("full_screen")
    until(window.isFullScreen)
    assert mouse.has_clicked_all("&View")


def test_the_entries_of_models_do_what_they_say(window, mouse):
    until(lambda: window.actions_by_name["export"].isEnabled())
    for name in ("open_model", "export"):
        opens_dialog(mouse, name)
    before = window.bridge.session.state.options.conf
    for name, conf in (("more_confident", before + 0.05), ("less_confident", before)):
        mouse.click(name)
        until(lambda: window.bridge.session.state.options.conf == pytest.approx(conf))  # noqa: B023 - it is waited for here
    mouse.click("track")
    until(lambda: window.bridge.session.state.options.tracker is None)
    window.docks.panel("Training").hide()
    mouse.click("train")
    assert not window.docks.panel("Training").isHidden()
    assert mouse.has_clicked_all("&Model")


def test_the_entries_of_zones_do_what_they_say(window, mouse):
    open_source(window, LIVE)
    view, key = window.grid.current_view, window.grid.current_key
    mouse.click("draw_line")
    drag(view, (0.1, 0.4), (0.9, 0.4))
    until(lambda: list(window.bridge.state.zones.get(key, {})) == ["line 1"])
    mouse.click("draw_area")
    assert view.tool is not None
    mouse.click("edit_zones")
    assert not is_on(window, "draw_area")
    mouse.click("edit_zones")
    assert view.tool is None
    mouse.click("reset_zones")
    mouse.click("clear_zones")
    until(lambda: not window.bridge.state.zones.get(key))
    assert message(window) == "Note: 1 zone was deleted"
    assert mouse.has_clicked_all("&Zones")


def test_the_entries_of_callbacks_and_help_do_what_they_say(window, mouse, tmp_path, store):
    opens_dialog(mouse, "load_callbacks")
    for name in ("shortcuts", "about"):
        opens_dialog(mouse, name)
    file = tmp_path / "mine.py"
    file.write_text(
        "with open(__file__ + '.ran', 'a') as ran:\n    ran.write('x')\n\n\ndef on_predict_end(predictor):\n    pass\n"
    )
    ran = tmp_path / "mine.py.ran"
    store.add_recent("callbacks", str(file))
    mouse.click_filled("recent_callbacks", "mine.py")
    until(lambda: ran.exists() and window.actions_by_name["reload_callbacks"].isEnabled())
    mouse.click("reload_callbacks")
    until(lambda: ran.read_text() == "xx")
    open_source(window, LIVE)
    mouse.click("welcome")
    until(lambda: button(window, "Watch the demo clip").isVisible())
    mouse.click_filled("recent_callbacks", "Forget these")
    assert store.recent("callbacks") == []
    assert mouse.has_clicked_all("&Callbacks")
    assert mouse.has_clicked_all("&Help")


def test_the_entries_of_what_was_opened_before_open_it_again(window, mouse, store, tmp_path):
    for name in ("recent_sources", "recent_models", "recent_callbacks"):
        submenu = open_submenu(window, name)
        assert texts(submenu) == ["Nothing yet"]
        assert not submenu.actions()[-1].isEnabled()
        close_menus()
    store.add_recent("source", LIVE)
    store.add_recent("model", str(tmp_path / "gone.onnx"))
    mouse.click_filled("recent_sources", "Test scene 320x240@30:live")
    until(lambda: status(window).startswith("Playing"))
    mouse.click_filled("recent_models", "gone.onnx")
    until(lambda: any("gone.onnx" in note for note in notes(window)))
    for name, kind in (("recent_sources", "source"), ("recent_models", "model")):
        mouse.click_filled(name, "Forget these")
        assert store.recent(kind) == []


def test_the_entries_of_the_overlay_switch_their_layers(window, mouse):
    for text, layer in ((f"overlay_{layer}", layer) for layer in LAYERS):
        before = set(window.bridge.session.state.options.overlay or ())
        mouse.click_filled("overlay", text)
        wanted = before ^ {layer}
        assert set(window.bridge.session.state.options.overlay or ()) == wanted
        until(lambda: entry(window, "overlay", text).isChecked() is (layer in wanted))  # noqa: B023 - it is waited for here


def test_the_entries_of_panels_show_and_hide_them(window, mouse):
    def in_front(title):
        return not window.docks.panel(title).visibleRegion().isEmpty()

    for title in PANELS:
        for _ in range(2):
            submenu = open_submenu(window, "panels")
            before = in_front(title)
            click_in(submenu, entry(window, "panels", title))
            until(lambda: in_front(title) is not before)  # noqa: B023 - it is waited for here
            assert entry(window, "panels", title).isChecked() is not before


def test_the_entries_of_themes_change_the_window(window, mouse, store):
    for text, dark in (("Dark", True), ("Light", False), ("As the system", None)):
        mouse.click_filled("theme", text)
        assert store.settings().theme == text.lower().removeprefix("as the ")
        assert [plain(each.text()) for each in window.actions_by_name.submenus["theme"].actions() if each.isChecked()] == [text]
        if dark is not None:
            until(lambda: is_dark(window.palette()) is dark)  # noqa: B023 - it is waited for here
