import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from framehook.app.gui.theme import Ticks, accent, apply_theme, is_dark, mixed, watch

TEXTS = (
    ("WindowText", "Window"),
    ("Text", "Base"),
    ("Text", "AlternateBase"),
    ("ButtonText", "Button"),
    ("ToolTipText", "ToolTipBase"),
    ("HighlightedText", "Highlight"),
    ("Link", "Base"),
)


def show(app, theme):
    apply_theme(app, theme)
    app.processEvents()  # widgets learn of it by events


def role(palette, name, group=QPalette.ColorGroup.Active):
    return palette.color(group, getattr(QPalette.ColorRole, name))


def luminance(colour):
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one, other):
    """As the guidelines for accessible content (WCAG) define it."""
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_light_and_dark_really_change_what_is_seen(qapp, qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    QVBoxLayout(window).addWidget(QLabel("words"))
    window.resize(100, 60)
    with qtbot.waitExposed(window):
        window.show()
    seen = {}
    for theme in ("light", "dark"):
        show(qapp, theme)
        seen[theme] = QColor(window.grab().toImage().pixel(1, 1)).lightness()
    assert seen["light"] > 200
    assert seen["dark"] < 80


def test_the_systems_own_look_comes_back(qapp):
    apply_theme(qapp, "system")
    before = role(qapp.palette(), "Window").name(), is_dark(qapp.palette())
    apply_theme(qapp, "light" if before[1] else "dark")
    assert is_dark(qapp.palette()) is not before[1]
    apply_theme(qapp, "system")
    assert (role(qapp.palette(), "Window").name(), is_dark(qapp.palette())) == before


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_texts_can_be_read(qapp, theme, text, ground):
    apply_theme(qapp, theme)
    assert contrast(role(qapp.palette(), text), role(qapp.palette(), ground)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_disabled_or_a_hint_is_fainter_but_visible(qapp, theme):
    apply_theme(qapp, theme)
    palette = qapp.palette()
    faint = contrast(role(palette, "Text", QPalette.ColorGroup.Disabled), role(palette, "Base"))
    assert 3.5 < faint < contrast(role(palette, "Text"), role(palette, "Base"))
    for ground in ("Base", "Window"):
        assert contrast(role(palette, "PlaceholderText"), role(palette, ground)) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["red", "amber", "green", "blue"])
def test_accents_can_be_read_as_text(qapp, theme, name):
    apply_theme(qapp, theme)
    palette = qapp.palette()
    for ground in ("Window", "Base"):
        assert contrast(accent(name, palette), role(palette, ground)) >= 4.0


def test_a_watcher_is_told_at_once_and_with_every_change_until_its_widget_is_gone(qapp, qtbot):
    show(qapp, "light")
    widget = QLineEdit()
    told = []
    watch(widget, lambda: told.append(is_dark(widget.palette())))
    assert told == [False]
    show(qapp, "dark")
    assert told[-1] is True
    show(qapp, "light")
    assert told[-1] is False
    count = len(told)
    widget.deleteLater()
    qtbot.waitUntil(lambda: not _lives(widget))
    show(qapp, "dark")
    assert len(told) == count


def test_who_restyles_a_widget_by_its_palette_is_not_called_for_that(qapp, qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    told = []

    def restyle():
        told.append(1)
        palette = widget.palette()
        palette.setColor(QPalette.ColorRole.Base, accent("red", palette))
        widget.setPalette(palette)

    watch(widget, restyle)
    before = len(told)
    show(qapp, "dark")
    assert before < len(told) < before + 5
    assert widget.palette().base().color() == accent("red", qapp.palette())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", [QCheckBox, QRadioButton, QLineEdit, QSpinBox, QComboBox, QListWidget])
def test_what_is_ticked_or_filled_in_has_an_outline_that_is_seen(qapp, qtbot, theme, kind):
    """Where it has not the keyboard, which has an outline of its own; three to one is what WCAG 2.2, 1.4.11, asks for."""
    window, widget = QWidget(), kind()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    column.addWidget(widget)
    column.addWidget(other := QLineEdit())
    if kind is QListWidget:
        widget.setItemDelegate(Ticks(widget))
        item = QListWidgetItem("")
        item.setCheckState(Qt.CheckState.Unchecked)
        widget.addItem(item)
    show(qapp, theme)
    with qtbot.waitExposed(window):
        window.show()
    other.setFocus()
    image = window.grab(widget.geometry()).toImage()
    inside = 12 if kind is QListWidget else 0  # its frame is no outline of a tick
    seen = {
        image.pixelColor(x, y).name()
        for x in range(inside, min(image.width(), 40))
        for y in range(2 * (inside > 0), image.height())
    }
    ground = role(qapp.palette(), "Base" if kind is QListWidget else "Window")
    assert max(contrast(QColor(each), ground) for each in seen) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_outline_is_for_what_can_be_used_alone(qapp, theme):
    apply_theme(qapp, theme)
    for kind in ("QCheckBox", "QLineEdit"):
        disabled = QPalette.ColorGroup.Disabled
        assert role(qapp.palette(kind), "Window", disabled) == role(qapp.palette(), "Window", disabled)
        assert role(qapp.palette(kind), "Base") == role(qapp.palette(), "Base")


def test_colours_mix():
    assert mixed(QColor("#000000"), QColor("#ffffff"), 0.5).name() in ("#7f7f7f", "#808080")
    assert mixed(QColor("#123456"), QColor("#ffffff"), 0).name() == "#123456"
    assert mixed(QColor("#123456"), QColor("#fedcba"), 1).name() == "#fedcba"


def _lives(widget):
    try:
        widget.objectName()
    except RuntimeError:
        return False
    return True
