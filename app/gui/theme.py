"""Light and dark: what the user chose, or what the system shows, also where Qt cannot tell the system what to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, get_args

from PyQt6.QtCore import QEvent, QModelIndex, QObject, QSize, Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication, QStyledItemDelegate, QStyleOptionViewItem, QWidget

Theme: TypeAlias = Literal["system", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)

Accent: TypeAlias = Literal["red", "amber", "green", "blue"]

_SCHEMES: Final[dict[Theme, Qt.ColorScheme]] = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}
_BLIND: Final = ("windows", "windowsvista")  # styles that paint light whatever the palette says
_ROLE: Final = QPalette.ColorRole
_COLOURS: Final[dict[Theme, dict[QPalette.ColorRole, str]]] = {
    "light": {
        _ROLE.Window: "#f0f0f1", _ROLE.WindowText: "#17181a", _ROLE.Base: "#ffffff", _ROLE.AlternateBase: "#f5f6f7",
        _ROLE.Text: "#17181a", _ROLE.Button: "#e9eaec", _ROLE.ButtonText: "#17181a", _ROLE.BrightText: "#ffffff",
        _ROLE.PlaceholderText: "#5f636a", _ROLE.ToolTipBase: "#fffbe6", _ROLE.ToolTipText: "#17181a",
        _ROLE.Highlight: "#1f6fd0", _ROLE.HighlightedText: "#ffffff", _ROLE.Accent: "#1f6fd0",
        _ROLE.Link: "#1559ad", _ROLE.LinkVisited: "#6a3fa0",
        _ROLE.Light: "#ffffff", _ROLE.Midlight: "#e2e3e5", _ROLE.Mid: "#b9bbbf", _ROLE.Dark: "#9b9ea3", _ROLE.Shadow: "#6e7175",
    },
    "dark": {
        _ROLE.Window: "#2d3034", _ROLE.WindowText: "#e8e9eb", _ROLE.Base: "#17191b", _ROLE.AlternateBase: "#1e2022",
        _ROLE.Text: "#e8e9eb", _ROLE.Button: "#3a3e43", _ROLE.ButtonText: "#e8e9eb", _ROLE.BrightText: "#ffffff",
        _ROLE.PlaceholderText: "#979ba2", _ROLE.ToolTipBase: "#3f4348", _ROLE.ToolTipText: "#e8e9eb",
        _ROLE.Highlight: "#2671cb", _ROLE.HighlightedText: "#ffffff", _ROLE.Accent: "#3d8be4",
        _ROLE.Link: "#7db4f5", _ROLE.LinkVisited: "#b79be6",
        _ROLE.Light: "#52565c", _ROLE.Midlight: "#464a4f", _ROLE.Mid: "#1f2123", _ROLE.Dark: "#17181a", _ROLE.Shadow: "#0c0d0e",
    },
}  # fmt: skip
_DISABLED: Final[dict[Theme, str]] = {"light": "#6d7177", "dark": "#8f949b"}
_OUTLINED: Final = ("QCheckBox", "QRadioButton", "QLineEdit", "QAbstractSpinBox", "QComboBox")
_OUTLINES: Final[dict[Theme, str]] = {"light": "#767a81", "dark": "#a0a6ae"}
"""The outlines of what can be ticked or filled in: three times as bright or dark as what is around and in them."""
_DARKER: Final = 140 * 100 // 110
"""Fusion draws an outline in the colour of the window darkened by 140 %, those of ticks lightened by 110 %."""
_TEXTS: Final = (_ROLE.WindowText, _ROLE.Text, _ROLE.ButtonText, _ROLE.HighlightedText)
_ACCENTS: Final[dict[Accent, tuple[str, str]]] = {  # on light, on dark ground
    "red": ("#c4281f", "#ff6b63"),
    "amber": ("#9a5b00", "#f2b33d"),
    "green": ("#1c7c3c", "#57c97a"),
    "blue": ("#1760bd", "#74aef5"),
}


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Show the whole application light, dark, or as the system is; at once, and again whenever it is called.

    Where the platform does not take orders (X11 without a desktop's theme, tests), a palette of ours is used with the style
    Fusion. Widgets learn of it by a `PaletteChange`; see `watch`.
    """
    style = app.style()
    if style is not None and style.name().lower() in _BLIND:
        app.setStyle("Fusion")
    hints = app.styleHints()
    if hints is None:
        return
    # First back to the system's own palette: one that was set by hand would hide what the platform does next.
    app.setPalette(QPalette())
    hints.setColorScheme(_SCHEMES[theme])
    if theme != "system" and not _shows(app, theme):
        app.setStyle("Fusion")
        palette = _palette(theme)
        app.setPalette(palette)
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
            palette.setColor(group, _ROLE.Window, QColor(_OUTLINES[theme]).lighter(_DARKER))
        for kind in _OUTLINED:
            app.setPalette(palette, kind)


def is_dark(palette: QPalette) -> bool:
    """Whether texts are lighter than what they stand on. Qt's colour scheme does not tell where the palette is ours."""
    return palette.color(_ROLE.Window).lightness() < palette.color(_ROLE.WindowText).lightness()


def accent(name: Accent, palette: QPalette) -> QColor:
    """A colour that means something (red: recording, an error), readable as a line or text on the window of a palette."""
    on_light, on_dark = _ACCENTS[name]
    return QColor(on_dark if is_dark(palette) else on_light)


def mixed(one: QColor, other: QColor, share: float) -> QColor:
    """A colour between two; `share` 0 is all of the first, 1 all of the second."""
    parts = (a + (b - a) * share for a, b in zip(one.getRgbF()[:3], other.getRgbF()[:3], strict=True))
    return QColor.fromRgbF(*parts)


def watch(widget: QWidget, restyle: Callable[[], object]) -> None:
    """Call `restyle` now and with every change of the widget's palette: for what does not paint with the palette by itself."""
    _Watcher(widget, restyle)
    restyle()


class Ticks(QStyledItemDelegate):
    """Draws the rows of a list that are ticked, with boxes that look like check boxes elsewhere, and room around them."""

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: QModelIndex) -> None:
        super().initStyleOption(option, index)
        if option is not None:
            option.palette.setColor(_ROLE.Window, QApplication.palette("QCheckBox").color(_ROLE.Window))

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        size = super().sizeHint(option, index)
        size.setHeight(size.height() + 6)
        return size


class _Watcher(QObject):
    """Belongs to the widget, and lives as long."""

    def __init__(self, widget: QWidget, restyle: Callable[[], object]) -> None:
        super().__init__(widget)
        self._restyle = restyle
        self._restyling = False
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        # To restyle may change the widget's own palette, of which it is told again.
        if event is not None and event.type() is QEvent.Type.PaletteChange and not self._restyling:
            self._restyling = True
            try:
                self._restyle()
            finally:
                self._restyling = False
        return super().eventFilter(watched, event)


def _shows(app: QApplication, theme: Theme) -> bool:
    hints = app.styleHints()
    return hints is not None and hints.colorScheme() is _SCHEMES[theme] and is_dark(app.palette()) is (theme == "dark")


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    for role, colour in _COLOURS[theme].items():
        palette.setColor(role, QColor(colour))
    for role in _TEXTS:
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(_DISABLED[theme]))
    palette.setColor(QPalette.ColorGroup.Disabled, _ROLE.Highlight, palette.color(_ROLE.Mid))
    return palette
