"""Everything that can be done in the window: its name, its keys, and the menu it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QMenu, QMenuBar, QWidget

from framehook.app.gui.icons import icon


@dataclass(frozen=True, slots=True)
class Spec:
    """One action.

    Attributes:
        name: What it is called in the code.
        text: What the menu says; `&` marks the letter that chooses it.
        keys: Its shortcuts, the one that is shown first.
        tip: What it does, for the tooltip and the status bar.
        icon: Name of its icon, or an empty text.
        checkable: Whether it is on or off.
        group: Actions of one group exclude each other.
        short: What its button in the toolbar says.
        in_view: Whether its keys are those of the picture alone, since elsewhere they press a button or move a cursor.
    """

    name: str
    text: str
    keys: tuple[str, ...]
    tip: str
    icon: str = ""
    checkable: bool = False
    group: str = ""
    short: str = ""
    in_view: bool = False


SEPARATOR: Final = None
SUBMENU: Final = "submenu:"
"""In front of the name of a menu that is filled while the window lives: what was opened recently, say."""

MENUS: Final[Mapping[str, tuple[Spec | str | None, ...]]] = {
    "&File": (
        Spec(
            "open_source",
            "&Open source…",
            ("Ctrl+O",),
            "Choose a camera, a screen, a file or an address",
            "open-file",
            short="Open",
        ),
        Spec("open_file", "Open &file…", ("Ctrl+Shift+O",), "Choose a video or a picture", "video"),
        Spec("open_address", "Open &address…", ("Ctrl+U",), "Type the address of a stream", "link"),
        Spec("open_demo", "Open the &demo clip", ("Ctrl+D",), "Watch the clip that comes with Framehook", "demo"),
        "submenu:recent_sources",
        Spec("close_source", "&Close source", ("Ctrl+W",), "Close the source of the chosen view", "close"),
        SEPARATOR,
        Spec("snapshot", "Save a &picture", ("Ctrl+S",), "Save what the chosen view shows", "snapshot", short="Picture"),
        Spec(
            "record",
            "R&ecord",
            ("Ctrl+R",),
            "Record the video with what is drawn on it",
            "record",
            checkable=True,
            short="Record",
        ),
        Spec(
            "record_original",
            "Record the ori&ginal",
            ("Ctrl+Shift+R",),
            "Record the video as it was captured: all frames that are looked at for objects",
            "record-original",
            checkable=True,
        ),
        Spec(
            "save_rows", "Save &what is found…", ("Ctrl+J",), "Write boxes as rows: JSONL, CSV or MOT", "rows", checkable=True
        ),
        Spec(
            "open_folder",
            "S&how the folder of recordings",
            ("Ctrl+Shift+F",),
            "Open the folder in the file manager",
            "folder",
        ),
        SEPARATOR,
        Spec("settings", "Se&ttings…", ("Ctrl+,",), "What stays from one start to the next", "settings"),
        Spec("quit", "&Quit", ("Ctrl+Q",), "Complete all files and close the window", "quit"),
    ),
    "&Playback": (
        Spec("play_pause", "&Play", ("Space",), "Play, or pause", "play", in_view=True),
        Spec("step", "&Next frame", (".",), "Pause, and show one frame more", "step", in_view=True),
        Spec("stop", "&Stop", ("Ctrl+.",), "End the run; cameras and streams are let go", "stop"),
        SEPARATOR,
        Spec("back", "&Back 5 seconds", ("Alt+Left",), "Go back in the file"),
        Spec("forward", "&Forward 5 seconds", ("Alt+Right",), "Go on in the file"),
        Spec("to_start", "&To the beginning", ("Home",), "Go to the first frame of the file", in_view=True),
        Spec("loop", "&Repeat", ("Ctrl+L",), "Begin files again at their end", "loop", checkable=True),
    ),
    "&View": (
        Spec("fit", "&Fit", ("Ctrl+0",), "Show the whole frame", "fit", short="Fit"),
        Spec("zoom_in", "Zoom &in", ("Ctrl++", "Ctrl+="), "Look closer", "zoom-in"),
        Spec("zoom_out", "Zoom &out", ("Ctrl+-",), "Look from farther away", "zoom-out"),
        Spec(
            "enlarge",
            "&Enlarge one source",
            ("F10",),
            "Show the chosen view alone, or all again",
            "enlarge",
            checkable=True,
            short="Enlarge",
        ),
        Spec(
            "follow",
            "Fo&llow the chosen object",
            ("Ctrl+F",),
            "Keep it in the middle",
            "follow",
            checkable=True,
            short="Follow",
        ),
        Spec(
            "original",
            "Show the ori&ginal",
            ("Ctrl+G",),
            "Show the frames with nothing drawn on them",
            "original",
            checkable=True,
        ),
        SEPARATOR,
        "submenu:overlay",
        "submenu:panels",
        "submenu:theme",
        Spec("full_screen", "F&ull screen", ("F11",), "Fill the screen with the window", checkable=True),
        Spec("reset_layout", "&Reset the layout", ("Ctrl+Shift+0",), "Put all panels where they were at first"),
    ),
    "&Model": (
        Spec("open_model", "&Open model…", ("Ctrl+M",), "Choose a model, and what it runs on", "model", short="Model"),
        "submenu:recent_models",
        Spec("export", "&Export…", ("Ctrl+E",), "Make a verified ONNX file of the model", "export"),
        Spec("train", "Tra&in…", ("Ctrl+Shift+T",), "Have a model learn from labelled pictures", "train"),
        SEPARATOR,
        Spec("more_confident", "R&aise the confidence", ("Ctrl+Up",), "Show less: by 0.05, what scores below it is left out"),
        Spec("less_confident", "&Lower the confidence", ("Ctrl+Down",), "Show more: by 0.05, what scores below it is left out"),
        Spec("track", "&Track objects", ("Ctrl+T",), "Follow objects from frame to frame", "track", checkable=True),
    ),
    "&Zones": (
        Spec(
            "draw_line",
            "Draw a &line",
            ("Ctrl+1",),
            "Count what crosses it",
            "line",
            checkable=True,
            group="tool",
            short="Line",
        ),
        Spec(
            "draw_area",
            "Draw an &area",
            ("Ctrl+2",),
            "Count what is inside",
            "polygon",
            checkable=True,
            group="tool",
            short="Area",
        ),
        Spec("edit_zones", "&Edit zones", ("Ctrl+3",), "Move, rename and delete zones", "edit", checkable=True, group="tool"),
        SEPARATOR,
        Spec("reset_zones", "&Count from zero", ("Ctrl+4",), "Begin to count anew in the zones of the chosen view"),
        Spec("clear_zones", "&Delete all zones", ("Ctrl+Shift+Del",), "Take the zones of the chosen view away"),
    ),
    "&Callbacks": (
        Spec("load_callbacks", "&Load file…", ("Ctrl+K",), "Run a Python file of functions named after events", "callbacks"),
        Spec("reload_callbacks", "&Reload files", ("Ctrl+Shift+K",), "Run all loaded files again"),
        "submenu:recent_callbacks",
    ),
    "&Help": (
        Spec("welcome", "&Getting started", ("F1",), "What to do first; once more leads back", checkable=True),
        Spec("shortcuts", "&Keyboard shortcuts", ("Ctrl+/",), "All keys at a glance"),
        Spec("about", "&About Framehook", ("Shift+F1",), "Versions, and what this window runs on"),
    ),
}
"""The menus, from left to right."""

SUBMENUS: Final[Mapping[str, str]] = {
    "recent_sources": "Open &recent",
    "overlay": "O&verlay",
    "panels": "&Panels",
    "theme": "&Theme",
    "recent_models": "Open &recent",
    "recent_callbacks": "Load re&cent",
}
"""What the menus are called that are filled while the window lives."""

SUBMENU_KEYS: Final[Mapping[str, str]] = {
    "overlay_boxes": "Ctrl+Shift+X",
    "overlay_labels": "Ctrl+Shift+L",
    "overlay_confidence": "Ctrl+Shift+C",
    "overlay_trails": "Ctrl+Shift+I",
    "overlay_heatmap": "Ctrl+Shift+H",
    "overlay_blur": "Ctrl+Shift+B",
    "overlay_pixelate": "Ctrl+Shift+P",
    "theme_system": "Ctrl+F9",
    "theme_light": "Ctrl+F10",
    "theme_dark": "Ctrl+F11",
}
"""The keys of what is in those menus, by the names of the actions."""


class Actions(dict[str, QAction]):
    """The actions of a window by name.

    Attributes:
        submenus: The menus that are filled while the window lives, by name.
    """

    def __init__(self, window: QWidget, picture: QWidget) -> None:
        """Make all actions; what they do is connected by the window.

        Args:
            window: Where their keys work.
            picture: Where those keys work that mean something else elsewhere.
        """
        super().__init__()
        self.submenus: dict[str, QMenu] = {}
        groups: dict[str, QActionGroup] = {}
        for spec in specs():
            action = self[spec.name] = make_action(spec, picture if spec.in_view else window)
            if spec.group:
                group = groups.setdefault(spec.group, QActionGroup(window))
                group.setExclusionPolicy(QActionGroup.ExclusionPolicy.ExclusiveOptional)
                group.addAction(action)

    def fill(self, bar: QMenuBar) -> None:
        """Put the actions into the menus of a window."""
        for title, entries in MENUS.items():
            menu = bar.addMenu(title)
            if menu is None:
                continue
            menu.setToolTipsVisible(True)
            for entry in entries:
                if entry is SEPARATOR:
                    menu.addSeparator()
                elif isinstance(entry, str):
                    name = entry.removeprefix(SUBMENU)
                    submenu = menu.addMenu(SUBMENUS[name])
                    if submenu is not None:
                        self.submenus[name] = submenu
                elif isinstance(entry, Spec):
                    menu.addAction(self[entry.name])


def specs() -> Iterator[Spec]:
    """Every action."""
    for entries in MENUS.values():
        yield from (entry for entry in entries if isinstance(entry, Spec))


def make_action(spec: Spec, owner: QWidget) -> QAction:
    """An action whose keys work in a widget, and are told in its tooltip."""
    action = QAction(spec.text, owner)
    action.setObjectName(spec.name)
    action.setShortcuts([QKeySequence(keys) for keys in spec.keys])
    action.setCheckable(spec.checkable)
    shown = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    action.setToolTip(f"{spec.tip} ({shown})" if shown else spec.tip)
    action.setStatusTip(spec.tip)
    if spec.short:
        action.setIconText(spec.short)
    if spec.icon:
        action.setIcon(icon(spec.icon))
    if spec.in_view:
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    owner.addAction(action)
    return action
