import pytest
from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QIcon
from PyQt6.QtWidgets import QDialogButtonBox, QToolButton

from framehook.app.gui.icons import NAMES, icon, without_icons
from framehook.app.gui.theme import apply_theme


def pixels(drawn, size=24, mode=QIcon.Mode.Normal, ratio=1.0):
    image = drawn.pixmap(QSize(size, size), ratio, mode).toImage()
    return [QColor.fromRgba(image.pixel(x, y)) for y in range(image.height()) for x in range(image.width())]


def ink(drawn, **how):
    """The colour of the most opaque pixel."""
    return max(pixels(drawn, **how), key=QColor.alpha)


@pytest.mark.parametrize("name", NAMES)
def test_every_icon_draws_something_within_its_square(qapp, name):
    drawn = [colour.alpha() > 40 for colour in pixels(icon(name), 24)]
    assert 15 < sum(drawn) < 500
    corners = [drawn[0], drawn[23], drawn[-24], drawn[-1]]
    assert not any(corners)


def test_no_two_icons_look_the_same(qapp):
    looks = {tuple(colour.rgba() for colour in pixels(icon(name))) for name in NAMES}
    assert len(looks) == len(NAMES)


def test_a_name_that_is_none_is_refused(qapp):
    with pytest.raises(KeyError, match="plya"):
        icon("plya")


def test_icons_have_the_colour_of_the_text_and_follow_it(qapp):
    play = icon("play")
    for theme in ("light", "dark", "light"):
        apply_theme(qapp, theme)
        assert ink(play).name() == qapp.palette().windowText().color().name()


def test_what_is_disabled_is_greyed(qapp):
    apply_theme(qapp, "light")
    play, record = icon("play"), icon("record")
    assert ink(play, mode=QIcon.Mode.Disabled).lightness() > ink(play).lightness() + 60
    assert any(colour.saturation() > 150 and colour.alpha() > 200 for colour in pixels(record))
    assert not any(colour.saturation() > 150 and colour.alpha() > 200 for colour in pixels(record, mode=QIcon.Mode.Disabled))


def test_icons_are_drawn_for_the_pixels_of_the_screen(qapp):
    pixmap = icon("pause").pixmap(QSize(16, 16), 2.0)
    assert (pixmap.width(), pixmap.height(), pixmap.devicePixelRatio()) == (32, 32, 2.0)
    image = pixmap.toImage()
    # Drawn small and enlarged, hardly a pixel would be fully there or fully absent.
    alphas = [QColor.fromRgba(image.pixel(x, y)).alpha() for y in range(32) for x in range(32)]
    assert sum(alpha in (0, 255) for alpha in alphas) > 0.9 * len(alphas)


def test_a_button_that_is_shown_changes_with_the_theme(qapp, qtbot):
    button = QToolButton()
    qtbot.addWidget(button)
    button.setIcon(icon("stop"))
    button.setAutoRaise(True)
    button.resize(40, 40)
    with qtbot.waitExposed(button):
        button.show()
    middle = QColor(button.grab().toImage().pixel(20, 20))
    assert middle.lightness() < 80
    apply_theme(qapp, "dark")
    qapp.processEvents()
    assert QColor(button.grab().toImage().pixel(20, 20)).lightness() > 180


def test_the_usual_buttons_of_dialogs_have_no_icons_of_another_kind(qtbot):
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
    qtbot.addWidget(box)
    for button in box.buttons():
        button.setIcon(icon("close"))  # as a platform may do
    assert without_icons(box) is box
    assert all(button.icon().isNull() and button.text() for button in box.buttons())
