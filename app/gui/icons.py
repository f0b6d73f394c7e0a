"""The app's icons: drawings of our own, in the colour of the text around them.

They are kept as SVG on a ground of 24 x 24 and drawn for every size and scale anew, so that they are crisp everywhere. The
palette is asked with each drawing, so that they follow a change between light and dark with the next paint.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PyQt6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PyQt6.QtSvg import QSvgRenderer
from PyQt6.QtWidgets import QDialogButtonBox

from framehook.app.gui.theme import Accent, accent

# `{ink}` stands for the colour of the text. Lines are in it, and nothing is filled, where a shape does not say otherwise.
_TEETH = "".join(f'<path d="M12 2.6v2.9" stroke-width="2.8" transform="rotate({45 * turn} 12 12)"/>' for turn in range(8))
_FOLDER = '<path d="M3.5 18.5v-12a1 1 0 0 1 1-1h4.7l2 2.5h8.3a1 1 0 0 1 1 1v9.5a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z"/>'
_PICTURE = '<rect x="3.5" y="5" width="17" height="14" rx="1.5"/>'
_LENS = '<circle cx="10.5" cy="10.5" r="6.5"/><path d="M15.4 15.4L20.5 20.5M7.5 10.5h6"/>'
_DRAWINGS: Final[dict[str, str]] = {
    # playing
    "play": '<path d="M8 5.5v13l10.5-6.5z" fill="{ink}"/>',
    "pause": '<g fill="{ink}"><rect x="7" y="6" width="3" height="12" rx=".5"/>'
    '<rect x="14" y="6" width="3" height="12" rx=".5"/></g>',
    "stop": '<rect x="6.5" y="6.5" width="11" height="11" rx="1" fill="{ink}"/>',
    "step": '<path d="M6 6v12l8.5-6z" fill="{ink}"/><path d="M18 6v12" stroke-width="2.5"/>',
    "replay": '<path d="M5.3 9a7.5 7.5 0 1 1-.6 5.2"/><path d="M4.8 4v5.2h5.2"/>',
    "loop": '<path d="M17 3.5l3.5 3.5-3.5 3.5M3.5 11.5v-1a3.5 3.5 0 0 1 3.5-3.5h13M7 20.5l-3.5-3.5 3.5-3.5'
    'M20.5 12.5v1a3.5 3.5 0 0 1-3.5 3.5h-13"/>',
    # saving
    "record": '<circle cx="12" cy="12" r="8.5"/><circle cx="12" cy="12" r="4.5" fill="{red}" stroke="{red}"/>',
    "record-original": '<rect x="2.8" y="6.5" width="13" height="11" rx="1.5"/><path d="M15.8 11l5.4-3.2v8.4l-5.4-3.2"/>'
    '<circle cx="9.3" cy="12" r="2" fill="{red}" stroke="{red}"/>',
    "snapshot": '<path d="M4 7.5h3.6l1.6-2.5h5.6l1.6 2.5h3.6a1 1 0 0 1 1 1v9.5a1 1 0 0 1-1 1h-16a1 1 0 0 1-1-1v-9.5'
    'a1 1 0 0 1 1-1z"/>'
    '<circle cx="12" cy="13" r="3.5"/>',
    "rows": '<rect x="3.5" y="4.5" width="17" height="15" rx="1.5"/><path d="M3.5 9.5h17M3.5 14.5h17M9.5 9.5v10"/>',
    "export": '<path d="M12 15v-11.5M8 7.5l4-4 4 4M4.5 14v5a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1v-5"/>',
    # sources and models
    "open-file": '<path d="M3.5 18v-11.5a1 1 0 0 1 1-1h4.5l2 2.5h6.5a1 1 0 0 1 1 1v2"/>'
    '<path d="M3.5 18.3l2.6-6.6a1 1 0 0 1 .9-.7h13.2a.8.8 0 0 1 .75 1.1l-2.4 6a1 1 0 0 1-.9.7h-13.6a.5.5 0 0 1-.55-.5z"/>',
    "folder": _FOLDER,
    "video": _PICTURE + '<path d="M10 9.3v5.4l4.6-2.7z" fill="{ink}"/>',
    "camera": '<circle cx="12" cy="10" r="7"/><circle cx="12" cy="10" r="2.6"/><path d="M7 20.7h10M12 17v3.7"/>',
    "screen": '<rect x="3" y="4" width="18" height="12.5" rx="1.5"/><path d="M8.5 20.3h7M12 16.5v3.8"/>',
    "link": '<path d="M10 7.8h-3a4.2 4.2 0 0 0 0 8.4h3M14 7.8h3a4.2 4.2 0 0 1 0 8.4h-3M8.5 12h7"/>',
    "demo": '<path d="M4 10.5h16v8.5a1 1 0 0 1-1 1h-14a1 1 0 0 1-1-1z"/><path d="M4 10.5l-.7-3.2 15.6-3.4.7 3.2z'
    'M8.6 6.2l1.6 3M13.4 5.1l1.6 3"/>',
    "scene": _PICTURE + '<circle cx="9" cy="10.5" r="2"/><circle cx="15" cy="14" r="2" fill="{ink}"/>',
    "model": '<path d="M7.8 7.6l7.6 3.4M7.8 16.4l7.6-3.4"/><circle cx="5.5" cy="6.5" r="2.5"/>'
    '<circle cx="5.5" cy="17.5" r="2.5"/>'
    '<circle cx="17.8" cy="12" r="2.7"/>',
    "train": '<path d="M2.8 9.5l9.2-4.5 9.2 4.5-9.2 4.5z"/><path d="M6.5 11.5v4.6c1.5 1.7 3.4 2.4 5.5 2.4s4-.7 5.5-2.4v-4.6'
    'M21.2 9.5v5"/>',
    # the view
    "line": '<path d="M7.4 16.6l9.2-9.2"/><circle cx="6" cy="18" r="2"/><circle cx="18" cy="6" r="2"/>',
    "polygon": '<path d="M12 4.5l8 6-3 9h-10l-3-9z"/><g fill="{ink}"><circle cx="12" cy="4.5" r="1.1"/>'
    '<circle cx="20" cy="10.5" r="1.1"/>'
    '<circle cx="17" cy="19.5" r="1.1"/><circle cx="7" cy="19.5" r="1.1"/><circle cx="4" cy="10.5" r="1.1"/></g>',
    "fit": '<path d="M4 8.5v-3.5a1 1 0 0 1 1-1h3.5M15.5 4h3.5a1 1 0 0 1 1 1v3.5M20 15.5v3.5a1 1 0 0 1-1 1h-3.5'
    'M8.5 20h-3.5a1 1 0 0 1-1-1v-3.5"/>'
    '<rect x="8" y="9.3" width="8" height="5.4" rx=".5"/>',
    "zoom-in": _LENS + '<path d="M10.5 7.5v6"/>',
    "zoom-out": _LENS,
    "follow": '<circle cx="12" cy="12" r="6.5"/><path d="M12 2.5v4.5M12 17v4.5M2.5 12h4.5M17 12h4.5"/>'
    '<circle cx="12" cy="12" r="1" fill="{ink}"/>',
    "enlarge": '<path d="M14 4h6v6M20 4l-6.5 6.5M10 20h-6v-6M4 20l6.5-6.5"/>',
    "track": '<rect x="12.5" y="3.5" width="8" height="8" rx="1"/><g fill="{ink}"><circle cx="4.8" cy="19.2" r="1"/>'
    '<circle cx="8.3" cy="17.6" r="1"/><circle cx="11.4" cy="15.4" r="1"/></g>',
    "edit": '<path d="M4.5 19.5l1-4.2 10.4-10.4a1.6 1.6 0 0 1 2.3 0l.9.9a1.6 1.6 0 0 1 0 2.3l-10.4 10.4z"/>'
    '<path d="M13.8 7.2l3.1 3.1"/>',
    "grid": '<rect x="4" y="4" width="6.5" height="6.5" rx="1"/><rect x="13.5" y="4" width="6.5" height="6.5" rx="1"/>'
    '<rect x="4" y="13.5" width="6.5" height="6.5" rx="1"/><rect x="13.5" y="13.5" width="6.5" height="6.5" rx="1"/>',
    "original": _PICTURE + '<circle cx="15.7" cy="9.3" r="1.3"/><path d="M3.8 17l5.2-5.5 4 4 2.5-2.3 4.8 4.3"/>',
    "overlay": _PICTURE + '<path d="M8 16v-6.5h6v6.5z" /><path d="M8 9.5v-1.5h3.5v1.5" fill="{ink}"/>',
    # panels
    "objects": '<rect x="3.5" y="9.5" width="9.5" height="11" rx="1"/>'
    '<path d="M11 6v-1.5a1 1 0 0 1 1-1h7.5a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-3"/>',
    "performance": '<path d="M3.5 4v15a1 1 0 0 0 1 1h16M7.5 15l3.5-4.5 3.5 2.5 5-7"/>',
    "callbacks": '<path d="M9 4.5c-2.4 0-2.6 1-2.6 2.8v2c0 1.7-.6 2.7-2.6 2.7 2 0 2.6 1 2.6 2.7v2c0 1.8.2 2.8 2.6 2.8"/>'
    '<path d="M15 4.5c2.4 0 2.6 1 2.6 2.8v2c0 1.7.6 2.7 2.6 2.7-2 0-2.6 1-2.6 2.7v2c0 1.8-.2 2.8-2.6 2.8"/>'
    '<g fill="{ink}"><circle cx="10.2" cy="12" r=".6"/><circle cx="13.8" cy="12" r=".6"/></g>',
    "log": '<path d="M9 6.5h11M9 12h11M9 17.5h7"/><g fill="{ink}"><circle cx="4.8" cy="6.5" r=".8"/>'
    '<circle cx="4.8" cy="12" r=".8"/>'
    '<circle cx="4.8" cy="17.5" r=".8"/></g>',
    "tuning": '<path d="M3.5 7h9M17.5 7h3M3.5 17h3M11.5 17h9"/><circle cx="15" cy="7" r="2.5"/>'
    '<circle cx="9" cy="17" r="2.5"/>',
    "settings": f'<circle cx="12" cy="12" r="6.6"/><circle cx="12" cy="12" r="2.6"/>{_TEETH}',
    # signs
    "add": '<path d="M12 5v14M5 12h14"/>',
    "remove": '<path d="M5 12h14"/>',
    "close": '<path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/>',
    "quit": '<path d="M13.5 4h-8a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5"/>',
    "reload": '<path d="M18.7 9a7.5 7.5 0 1 0 .6 5.2"/><path d="M19.2 4v5.2h-5.2"/>',
    "more": '<path d="M6 9.5l6 6 6-6"/>',
    "less": '<path d="M6 14.5l6-6 6 6"/>',
    "info": '<g stroke="{blue}"><circle cx="12" cy="12" r="8.5"/><path d="M12 11v5.5"/>'
    '<circle cx="12" cy="7.9" r=".7" fill="{blue}"/></g>',
    "warning": '<g stroke="{amber}"><path d="M12 4l9 15.5h-18z"/><path d="M12 10v4.2"/>'
    '<circle cx="12" cy="16.8" r=".6" fill="{amber}"/></g>',
    "error": '<g stroke="{red}"><path d="M8.5 3.5h7l5 5v7l-5 5h-7l-5-5v-7z"/><path d="M12 7.5v5.3"/>'
    '<circle cx="12" cy="16.1" r=".7" fill="{red}"/></g>',
    "done": '<path d="M5 12.8l4.6 4.7 9.4-10.5" stroke-width="2"/>',
    "busy": '<circle cx="12" cy="12" r="8" stroke-opacity=".25"/><path d="M12 4a8 8 0 0 1 8 8" stroke-width="2.2"/>',
    "framehook": '<rect x="1.5" y="1.5" width="21" height="21" rx="5" fill="#2f6fc4" stroke="none"/>'
    '<g stroke="#ffffff"><path d="M5.5 9v-2.5a1 1 0 0 1 1-1h2.5M15 5.5h2.5a1 1 0 0 1 1 1v2.5M9 18.5h-2.5'
    'a1 1 0 0 1-1-1v-2.5"/>'
    '<path d="M12 8v7a3.2 3.2 0 0 0 6.4 0v-.8" stroke="#ffc24b" stroke-width="2.2"/>'
    '<circle cx="12" cy="8" r="1.2" fill="#ffc24b" stroke="none"/></g>',
}
NAMES: Final = tuple(_DRAWINGS)
_SIGNS: Final[tuple[Accent, ...]] = ("red", "amber", "blue")
_SVG: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><g fill="none" stroke="{ink}" stroke-width="1.7" '
    'stroke-linecap="round" stroke-linejoin="round">%s</g></svg>'
)


def icon(name: str) -> QIcon:
    """An icon by its name, one of `NAMES`.

    Raises:
        KeyError: there is none of that name.
    """
    return QIcon(_Engine(name, _DRAWINGS[name]))


def without_icons(buttons: QDialogButtonBox) -> QDialogButtonBox:
    """Take away the icons that some platforms put on the usual buttons of dialogs: those are Qt's own, and of another kind."""
    for button in buttons.buttons():
        button.setIcon(QIcon())
    return buttons


class _Engine(QIconEngine):
    def __init__(self, name: str, drawing: str) -> None:
        super().__init__()
        self._name = name
        self._drawing = drawing

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter is None:
            return
        palette = QGuiApplication.palette()
        enabled = mode is not QIcon.Mode.Disabled
        group = QPalette.ColorGroup.Active if enabled else QPalette.ColorGroup.Disabled
        chosen = mode is QIcon.Mode.Selected
        ink = palette.color(group, QPalette.ColorRole.HighlightedText if chosen else QPalette.ColorRole.WindowText)
        # What is disabled, or stands on the colour of a selection, is of one colour.
        plain = chosen or not enabled
        signs = [(ink if plain else accent(sign, palette)).name() for sign in _SIGNS]
        side = min(rect.width(), rect.height())
        target = QRectF(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2, side, side)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not enabled and self._name == "framehook":
            painter.setOpacity(0.4)
        _renderer(self._drawing, ink.name(), *signs).render(painter, target)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(QColor(Qt.GlobalColor.transparent))
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def iconName(self) -> str:
        return self._name

    def clone(self) -> QIconEngine:
        return _Engine(self._name, self._drawing)


@lru_cache(maxsize=256)
def _renderer(drawing: str, ink: str, red: str, amber: str, blue: str) -> QSvgRenderer:
    svg = (_SVG % drawing).format(ink=ink, red=red, amber=amber, blue=blue)
    return QSvgRenderer(QByteArray(svg.encode()))
