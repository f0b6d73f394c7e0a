"""The panels around the picture: what can be seen of them, and where the keyboard goes."""

import pytest
from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QCheckBox, QPushButton, QTabBar, QTableWidget, QToolButton

from framehook.app.gui.dialogs.about import ShortcutsDialog
from framehook.app.gui.settings_store import Store
from framehook.app.gui.window import MainWindow

from .panel_scenes import quick_model
from .view_scenes import until
from .window_scenes import FILE, LEFT, button, open_source, press_keys, views

TITLES = ("Tuning", "Zones", "Objects", "Performance", "Callbacks", "Log", "Training")
KEYS = {title: f"Alt+{number}" for number, title in enumerate(TITLES, 1)}


def stops(window):
    """Where Tab leads, until it comes round."""
    start = QApplication.focusWidget()
    found = []
    while not found or found[-1] is not start:
        QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        found.append(QApplication.focusWidget())
        assert len(found) < 300
    return found


def in_front(window, title):
    return not window.docks.panel(title).visibleRegion().isEmpty()


def panel_of(window, widget):
    """The title of the panel that a widget is in, or an empty text."""
    return next((title for title in TITLES if window.docks.panel(title).isAncestorOf(widget)), "")


def entry(window, title):
    """The entry of a panel in the menu."""
    (found,) = [each for each in window.actions_by_name.submenus["panels"].actions() if each.text().replace("&", "") == title]
    return found


@pytest.mark.parametrize("fronts", [("Tuning", "Objects"), ("Zones", "Training"), ("Tuning", "Log")])
def test_tab_leads_only_to_what_can_be_seen(window, fronts):
    window.resize(1280, 720)
    open_source(window, FILE)
    for title in fronts:
        window.docks.show_panel(title)
        until(lambda: in_front(window, title))  # noqa: B023 - it is waited for here
    views(window)[0].setFocus()
    for widget in stops(window):
        assert widget.isVisible()
        panel = panel_of(window, widget)
        assert panel in ("", *fronts), widget
        where = QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())
        assert window.rect().intersects(where), (widget, where)


def test_tab_reaches_the_panel_in_front_and_after_a_change_the_other(window):
    open_source(window, FILE)
    views(window)[0].setFocus()
    assert {"Tuning", "Objects"} <= {panel_of(window, each) for each in stops(window)}
    window.docks.panel("Log").raise_()
    until(lambda: in_front(window, "Log"))
    views(window)[0].setFocus()
    reached = {panel_of(window, each) for each in stops(window)}
    assert "Log" in reached
    assert "Objects" not in reached


def test_a_panel_that_goes_behind_does_not_keep_the_keyboard(window):
    window.docks.show_panel("Log")
    until(lambda: in_front(window, "Log"))
    window.docks.panel("Objects").raise_()
    until(lambda: in_front(window, "Objects"))
    assert panel_of(window, QApplication.focusWidget()) != "Log"


def test_panels_show_what_is_in_them_wherever_they_are_put(window):
    open_source(window, FILE)
    log, objects = window.docks.panel("Log"), window.docks.panel("Objects")
    assert not log.widget().isVisible()
    log.setFloating(True)
    until(log.widget().isVisible)
    log.setFloating(False)
    log.raise_()
    until(lambda: log.widget().isVisible() and not objects.widget().isVisible())
    log.hide()
    until(lambda: sum(in_front(window, title) for title in TITLES[2:]) == 1)
    for title in TITLES[2:]:
        assert window.docks.panel(title).widget().isVisible() is in_front(window, title)
    window.arrange()
    until(lambda: objects.widget().isVisible() and not log.widget().isVisible())
    assert in_front(window, "Objects")
    assert in_front(window, "Tuning")


def test_panels_that_are_put_back_where_they_were_show_what_is_in_them(make_window, store):
    first = make_window(model=quick_model())
    first.docks.show_panel("Training")
    first.docks.panel("Zones").hide()
    first.close()
    second = make_window(model=quick_model())
    until(lambda: in_front(second, "Training") and second.docks.panel("Training").widget().isVisible())
    assert not second.docks.panel("Objects").widget().isVisible()
    press_keys(second, KEYS["Zones"])
    until(lambda: second.docks.panel("Zones").widget().isVisible())


def test_the_keys_of_a_panel_lead_into_it_and_hide_it_only_where_the_keyboard_is_in_it(window):
    open_source(window, FILE)
    for title in TITLES:
        window.arrange()
        views(window)[0].setFocus()
        press_keys(window, KEYS[title])
        until(lambda: in_front(window, title))  # noqa: B023 - it is waited for here
        assert panel_of(window, QApplication.focusWidget()) == title
        views(window)[0].setFocus()
        press_keys(window, KEYS[title])
        assert in_front(window, title)
        assert entry(window, title).isChecked()
        assert panel_of(window, QApplication.focusWidget()) == title
        press_keys(window, KEYS[title])
        until(window.docks.panel(title).isHidden)
        assert not entry(window, title).isChecked()
        assert views(window)[0].hasFocus()


def test_the_menu_hides_a_panel_that_is_in_front_wherever_the_keyboard_is(window):
    open_source(window, FILE)
    views(window)[0].setFocus()
    entry(window, "Log").trigger()
    until(lambda: in_front(window, "Log"))
    views(window)[0].setFocus()
    entry(window, "Log").trigger()
    until(window.docks.panel("Log").isHidden)
    assert views(window)[0].hasFocus()
    assert not entry(window, "Log").isChecked()


def test_a_panel_is_detached_put_back_and_hidden_by_the_buttons_in_its_title(window):
    objects = window.docks.panel("Objects")
    QTest.mouseClick(button(window, "Detach Objects"), LEFT)
    until(objects.isFloating)
    back = next(each for each in objects.findChildren(QToolButton) if each.accessibleName() == "Put Objects back")
    QTest.mouseClick(back, LEFT)
    until(lambda: not objects.isFloating() and objects.widget().isVisible())
    QTest.mouseClick(button(window, "Hide Objects"), LEFT)
    until(objects.isHidden)


def test_buttons_and_check_boxes_of_the_panels_are_large_enough_to_be_hit(window):
    for title in TITLES:
        dock = window.docks.panel(title)
        window.docks.show_panel(title)
        until(lambda: in_front(window, title))  # noqa: B023 - it is waited for here
        in_title = dock.titleBarWidget().findChildren(QToolButton)
        found = [each for kind in (QCheckBox, QPushButton) for each in dock.findChildren(kind) if each.isVisible()]
        assert len(in_title) == 2
        for each in in_title + found:
            assert each.height() >= 24, (title, each.text())
            assert each.width() >= 24, (title, each.text())


def test_the_picture_keeps_its_size_when_another_panel_comes_to_the_front(window):
    window.resize(1280, 720)
    window.arrange()
    open_source(window, FILE)
    until(lambda: window.docks.panel("Objects").height() <= 184)
    size = views(window)[0].size()
    for title in TITLES:
        window.docks.panel(title).raise_()
        until(lambda: in_front(window, title))  # noqa: B023 - it is waited for here
        QTest.qWait(50)
        assert views(window)[0].size() == size, title


def test_the_bars_of_tabs_have_names(window):
    bars = window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly)
    until(lambda: all(bar.accessibleName() for bar in bars if bar.isVisible()))
    names = {bar.accessibleName() for bar in bars if bar.isVisible()}
    assert names == {"Panels: Tuning, Zones", "Panels: Objects, Performance, Callbacks, Log, Training"}


def test_the_picture_has_most_of_a_usual_small_screen(window):
    window.resize(1280, 720)
    window.arrange()
    open_source(window, FILE)
    until(lambda: window.docks.panel("Objects").height() <= 184)
    view = views(window)[0]
    assert window.docks.panel("Tuning").width() <= 420
    assert view.width() * view.height() >= 0.4 * 1280 * 720


@pytest.mark.parametrize("points", [0, 12, 14, 18])
def test_the_window_fits_into_small_screens_in_any_usual_font(qtbot, qapp, tmp_path, points):
    """Before it is shown as well: what is too wide then stays so."""
    before = qapp.font()
    if points:
        large = qapp.font()
        large.setPointSizeF(points)
        qapp.setFont(large)
    window = MainWindow(Store(tmp_path / "s.ini"), model=quick_model())
    try:
        room = QSize(1024, 600) if points <= 14 else QSize(1280, 720)
        assert window.minimumSizeHint().boundedTo(room) == window.minimumSizeHint()
        window.show()
        window.resize(room)
        qapp.processEvents()
        assert window.size() == room
        assert window.minimumSizeHint().boundedTo(room) == window.minimumSizeHint()
    finally:
        window.close()
        assert window.bridge.close(60)
        window.deleteLater()
        qapp.setFont(before)


def test_all_columns_of_the_shortcuts_are_seen_in_a_large_font(qtbot, qapp, window):
    before = qapp.font()
    large = qapp.font()
    large.setPointSizeF(18)
    qapp.setFont(large)
    try:
        dialog = ShortcutsDialog(window, window.docks.actions())
        qtbot.addWidget(dialog)
        with qtbot.waitExposed(dialog):
            dialog.show()
        table = dialog.findChild(QTableWidget)
        assert table.horizontalHeader().length() <= table.viewport().width()
        assert table.rowHeight(0) >= table.fontMetrics().height()
        assert dialog.width() <= dialog.screen().availableSize().width()
    finally:
        qapp.setFont(before)


def test_a_window_that_was_minimised_gives_the_keyboard_back_to_where_it_was(window):
    open_source(window, FILE)
    window.docks.show_panel("Objects")
    until(lambda: in_front(window, "Objects"))
    holder = QApplication.focusWidget()
    assert panel_of(window, holder) == "Objects"
    hidden = []
    window.docks.panel("Objects").visibilityChanged.connect(hidden.append)
    window.showMinimized()
    until(lambda: hidden == [False])
    window.showNormal()
    until(lambda: hidden == [False, True])
    window.activateWindow()
    until(lambda: QApplication.focusWidget() is holder)
    assert holder.isVisible()
