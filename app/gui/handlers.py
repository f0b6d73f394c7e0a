"""What the actions of the window do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from PyQt6.QtCore import Qt, QUrl
from PyQt6.QtGui import QAction, QActionGroup, QDesktopServices
from PyQt6.QtWidgets import QApplication, QDialog, QFileDialog, QMenu

from framehook.app.gui.actions import SUBMENU_KEYS, Actions
from framehook.app.gui.dialogs.about import AboutDialog, ShortcutsDialog
from framehook.app.gui.dialogs.export import ExportDialog
from framehook.app.gui.dialogs.open_model import OpenModelDialog
from framehook.app.gui.dialogs.open_source import Kind, OpenSourceDialog
from framehook.app.gui.dialogs.settings import SettingsDialog
from framehook.app.gui.drops import Drop
from framehook.app.gui.icons import icon
from framehook.app.gui.settings_store import RecentKind, Settings, Store, recent_icon, recent_name
from framehook.app.gui.theme import Theme, apply_theme
from framehook.app.session.state import Level, Phase, SessionState, Slot, TakeKind
from framehook.inference.callbacks.overlay import LAYERS, check_layers
from framehook.inference.errors import FramehookError, one_line
from framehook.inference.options import Points
from framehook.inference.sources.demo import REMEDY, find_demo_clip
from framehook.inference.sources.files import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from framehook.app.gui.window import MainWindow

JUMP: Final = 5.0
"""Seconds that one step back or forward goes."""
SUCCESSION: Final = 1.0
"""Seconds within which one step after another counts from where the one before leads."""
SIDE_BY_SIDE: Final = 9
"""Sources that are shown at once at most, of those that are opened together."""

_PLAYABLE: Final = (
    "Videos and pictures (*.mp4 *.m4v *.mov *.mkv *.avi *.webm *.ts *.m3u8 *.jpg *.jpeg *.png *.bmp *.webp);;All files (*)"
)
_ROWS: Final = {"JSON lines (*.jsonl)": "jsonl", "CSV (*.csv)": "csv", "MOT (*.txt)": "txt"}
_DIGITS: Final = 10
"""Recent entries before this one are chosen by their digit."""
_TAKES: Final[dict[str, TakeKind]] = {"record": "annotated", "record_original": "original", "save_rows": "rows"}
_TOOLS: Final = ("draw_line", "draw_area", "edit_zones")
_LAYERS: Final = {
    "boxes": "&Boxes",
    "labels": "&Labels",
    "confidence": "&Confidence",
    "trails": "&Trails",
    "heatmap": "&Heat map",
    "blur": "Bl&ur",
    "pixelate": "&Pixelate",
}
"""What the menu calls the layers of the overlay, in the order of the panel in which they are tuned."""


class Handlers:
    """Connects each action to what it does, and shows on it whether it can be done, and whether it is on."""

    def __init__(self, window: MainWindow, store: Store) -> None:
        """Connect the actions of a window."""
        self._window = window
        self._store = store
        self._bridge = window.bridge
        self._session = window.bridge.session
        self._actions: Actions = window.actions_by_name
        self._dialogs: dict[str, QDialog] = {}
        self._demo: Any = None  # the demo clip, from when it is asked for until something else is
        self._demo_seen = False
        self._wishes: dict[str, RecentKind] = {}  # what was to be opened, to be remembered once it is
        self._heading = "", 0.0, -SUCCESSION  # where the last step leads: the slot, the time there, and when it was taken
        self._loop_before = False  # what the user had chosen before it
        triggers: dict[str, Callable[[], object]] = {
            "open_source": self._choose_source,
            "open_file": self._choose_file,
            "open_address": partial(self._choose_source, "address"),
            "open_demo": self.open_demo,
            "close_source": self._close_source,
            "snapshot": self._snapshot,
            "open_folder": self._open_folder,
            "settings": self._choose_settings,
            "quit": window.close,
            "play_pause": self._session.toggle_play,
            "step": self._session.step,
            "stop": self._stop,
            "back": partial(self._jump, -JUMP),
            "forward": partial(self._jump, JUMP),
            "to_start": partial(self._seek, 0.0),
            "fit": lambda: self._on_view("fit"),
            "zoom_in": lambda: self._on_view("zoom_in"),
            "zoom_out": lambda: self._on_view("zoom_out"),
            "reset_layout": window.arrange,
            "open_model": self._choose_model,
            "export": self._show_export,
            "train": partial(window.docks.show_panel, "Training"),
            "more_confident": partial(window.tuning.nudge_confidence, 0.05),
            "less_confident": partial(window.tuning.nudge_confidence, -0.05),
            "reset_zones": self._reset_zones,
            "clear_zones": self._clear_zones,
            "load_callbacks": window.callbacks.choose_file,
            "reload_callbacks": self._reload_callbacks,
            "shortcuts": lambda: self._show_dialog("shortcuts", lambda: ShortcutsDialog(window, window.docks.actions())),
            "about": lambda: self._show_dialog("about", lambda: AboutDialog(self._bridge, window)),
        }
        switches: dict[str, Callable[[bool], object]] = {
            "record": partial(self._take, "annotated"),
            "record_original": partial(self._take, "original"),
            "save_rows": partial(self._take, "rows"),
            "loop": self._set_loop,
            "enlarge": window.grid.set_enlarged,
            "follow": self._follow,
            "original": self._show_original,
            "full_screen": self._fill_screen,
            "welcome": self._show_welcome,
            "track": self._track,
            "draw_line": partial(self._use_tool, "line"),
            "draw_area": partial(self._use_tool, "area"),
            "edit_zones": partial(self._use_tool, "edit"),
        }
        for name, do in triggers.items():
            self._on_trigger(name, do)
        for name, change in switches.items():
            self._on_switch(name, change)
        self._fill_menus()
        self._bridge.state_changed.connect(self._show_state)
        self._bridge.selection_changed.connect(lambda chosen: self._show_state(self._bridge.state))
        self._bridge.hooks_changed.connect(lambda: self._show_state(self._bridge.state))
        window.grid.current_changed.connect(lambda key: self._show_state(self._bridge.state))
        window.grid.enlarged_changed.connect(self._actions["enlarge"].setChecked)
        window.grid.following_changed.connect(self._actions["follow"].setChecked)
        window.grid.tool_ended.connect(self._end_tool)
        window.training.watch_requested.connect(self._use_model)
        window.training.export_requested.connect(self._show_export)
        window.callbacks.file_chosen.connect(lambda path: store.add_recent("callbacks", str(path)))
        self._show_state(self._bridge.state)

    def close(self) -> None:
        """Close all dialogs, and end what goes on in them."""
        for dialog in list(self._dialogs.values()):
            dialog.close()

    # Opening ------------------------------------------------------------------------------------------------------------------

    def open_spec(self, spec: Any, *, beside: bool = False) -> None:
        """Open a source, and remember it."""
        if not beside:
            self._leave_demo()
        self._window.show_picture()
        self._session.open(spec, add=beside)
        if isinstance(spec, str | Path | int):
            self._wishes[str(spec)] = "source"

    def open_at_start(self, specs: Sequence[Any]) -> None:
        """Open what was named on the command line, side by side, each being what was typed."""
        for number, spec in enumerate(specs):
            self.open_spec(spec, beside=number > 0)

    def open_demo(self) -> None:
        """Show the demo clip, over and over; what is opened in its place plays as the user chose before."""
        clip = find_demo_clip()
        if clip is None:
            self._bridge.report(Level.WARNING, f"The demo clip is not installed; {REMEDY}. A test scene is shown instead")
        if self._demo is None:
            self._loop_before = self._session.state.loop
        self._demo, self._demo_seen = "testsrc:1280x720@30" if clip is None else clip, False
        self._session.set_loop(True)
        self._window.show_picture()
        self._session.open(self._demo)

    def _follow_demo(self, state: SessionState) -> None:
        """Once it was there, the demo clip may also go otherwise: it is closed, say."""
        there = self._demo is not None and any(slot.spec == self._demo for slot in state.slots)
        if self._demo_seen and not there:
            self._leave_demo()
        self._demo_seen = there

    def _leave_demo(self) -> None:
        """Something else was asked for: it plays as the user chose before."""
        if self._demo is not None:
            self._demo, self._demo_seen = None, False
            self._session.set_loop(self._loop_before)

    def open_several(self, specs: Sequence[Any]) -> None:
        """Open sources side by side; pictures, and more than can be looked at, one after another."""
        if len(specs) > SIDE_BY_SIDE or all(Path(str(spec)).suffix.lower() in IMAGE_SUFFIXES for spec in specs):
            self.open_spec(list(specs) if len(specs) > 1 else specs[0])
            return
        for number, spec in enumerate(specs):
            self.open_spec(spec, beside=number > 0)

    def take_drop(self, drop: Drop) -> None:
        """Use what was dropped on the window; what is a program, once the user has said so."""
        if drop.model is not None:
            self._use_model(str(drop.model))
        if drop.sources:
            self.open_several(drop.sources)
        for path in drop.callbacks:
            self._window.messages.show_message(
                Level.WARNING,
                f"{path.name} is a Python file: loading it runs the code in it",
                action=("Load it", partial(self._load_callbacks, path)),
            )

    def _show_dialog(self, name: str, make: Callable[[], QDialog]) -> None:
        """Show a dialog beside the window, which goes on; one that is open already comes to the front."""
        dialog = self._dialogs.get(name)
        if dialog is None:
            dialog = self._dialogs[name] = make()
            dialog.finished.connect(lambda: self._dialogs.pop(name, None))
            if not isinstance(dialog, OpenSourceDialog):  # which has something to tell after it was closed
                dialog.finished.connect(dialog.deleteLater)
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _choose_source(self, page: Kind | None = None) -> None:
        def make() -> OpenSourceDialog:
            dialog = OpenSourceDialog(self._bridge, self._window, self._store, kind=page or "camera")
            dialog.chosen.connect(lambda spec, beside: self.open_spec(spec, beside=beside))
            for over in (dialog.chosen, dialog.rejected):
                over.connect(dialog.deleteLater)
            return dialog

        dialog = self._dialogs.get("source")
        self._show_dialog("source", make)
        if page is not None and isinstance(dialog, OpenSourceDialog):  # it was open already
            dialog.show_page(page)
            (dialog.page.focusProxy() or dialog.page).setFocus()

    def _choose_file(self) -> None:
        dialog = QFileDialog(self._window, "Open videos or pictures", self._store.text("folder"), _PLAYABLE)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._open_files)
        dialog.open()

    def _open_files(self, files: list[str]) -> None:
        if files:
            self._store.set_text("folder", str(Path(files[0]).parent))
            self.open_several([Path(file) for file in files])

    def _close_source(self) -> None:
        key = self._window.grid.current_key
        if key is not None:
            self._session.close_slot(key)

    def _choose_model(self) -> None:
        self._show_dialog("model", lambda: OpenModelDialog(self._bridge, self._window, self._store))

    def _use_model(self, spec: str) -> None:
        self._session.use_model(spec, device=self._store.settings().device)
        self._wishes[spec] = "model"

    def _remember(self, state: SessionState) -> None:
        """Remember what was wished for once it is there: what cannot be opened is not offered again."""
        there = {str(slot.spec) for slot in state.slots}
        if state.model is not None:
            there.add(str(state.model.spec))
        for text in there & self._wishes.keys():
            kind = self._wishes.pop(text)
            # From another folder, a name means another file.
            self._store.add_recent(kind, str(Path(text).absolute()) if Path(text).exists() else text)

    def _show_export(self, spec: str | None = None) -> None:
        """Offer to export a model: this one, or that in use."""
        dialog, model = self._dialogs.get("export"), self._bridge.state.model
        wanted = spec if spec is not None or model is None else model.spec
        if isinstance(dialog, ExportDialog) and not dialog.is_exporting and (spec or model) and wanted != dialog.spec:
            dialog.close()  # it is about another model
        self._show_dialog(
            "export", lambda: ExportDialog(self._bridge, self._window, ... if spec is None else spec, store=self._store)
        )

    def _load_callbacks(self, path: Path) -> None:
        self._session.load_hooks(path)
        self._store.add_recent("callbacks", str(path))

    def _reload_callbacks(self) -> None:
        for file in self._session.hooks.files:
            self._session.load_hooks(file.path)

    # Saving -------------------------------------------------------------------------------------------------------------------

    def _snapshot(self) -> None:
        key = self._window.grid.current_key
        if key is not None:
            self._session.snapshot(key, original=self._actions["original"].isChecked())

    def _take(self, kind: TakeKind, on: bool) -> None:
        if kind != "rows":
            self._session.toggle_take(kind)
        elif on:
            self._choose_rows()
        else:
            self._session.stop_take(kind)
        # Until it has begun or ended, which may go wrong, the action stays as it was.
        self._show_state(self._bridge.state)

    def _choose_rows(self) -> None:
        folder = self._session.folder
        with suppress(OSError):  # the dialog begins elsewhere then
            folder.mkdir(parents=True, exist_ok=True)
        dialog = QFileDialog(self._window, "Save what is found", str(folder), ";;".join(_ROWS))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("jsonl")
        dialog.selectFile("objects.jsonl")
        dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(_ROWS[chosen]))
        dialog.fileSelected.connect(lambda file: self._session.save_rows(Path(file)))
        dialog.open()

    def _open_folder(self) -> None:
        folder = self._session.folder
        if not folder.is_dir():
            self._window.messages.show_message(Level.INFO, f"Nothing was saved yet; recordings and pictures go to {folder}")
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._bridge.report(Level.WARNING, f"No file manager could be opened; the folder is {folder}")

    # Playing ------------------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        if not self._demo_seen:  # it does not come any more
            self._leave_demo()
        self._session.stop()

    def _jump(self, seconds: float) -> None:
        key = self._window.grid.current_key
        slot = None if key is None else self._bridge.state.slot(key)
        last = None if key is None else self._session.renderer.last(key)
        if slot is None or last is None or last.frame.pts is None:
            return
        whose, heading, at = self._heading
        # Steps in quick succession add up: the picture of the one before is not there yet.
        since = time.monotonic() - at
        start = heading if whose == slot.key and since < SUCCESSION else last.frame.pts
        target = _within(slot, start + seconds)
        self._heading = slot.key, target, time.monotonic()
        self._seek(target)

    def _seek(self, seconds: float) -> None:
        key = self._window.grid.current_key
        slot = None if key is None else self._bridge.state.slot(key)
        if slot is not None and slot.seekable:
            self._session.seek(_within(slot, seconds), slot.key)

    # Looking ------------------------------------------------------------------------------------------------------------------

    def _on_view(self, what: str) -> None:
        view = self._window.grid.current_view
        if view is not None:
            getattr(view, what)()

    def _follow(self, on: bool) -> None:
        chosen = self._bridge.selected
        for slot in self._bridge.state.slots:
            view = self._window.grid.view(slot.key)
            if view is not None:
                wanted = on and chosen is not None and chosen[0] == slot.key
                view.set_following(wanted)
                if wanted and not view.following:
                    self._window.messages.show_message(Level.INFO, "The chosen object is not in the picture now")

    def _show_original(self, on: bool) -> None:
        self._window.grid.set_original(on)

    def _fill_screen(self, on: bool) -> None:
        if on is not self._window.isFullScreen():
            # Not `showNormal`, which would forget that it was maximised before.
            self._window.setWindowState(self._window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _track(self, on: bool) -> None:
        self._update(tracker=(self._store.settings().tracker or "bytetrack") if on else None)

    # Zones --------------------------------------------------------------------------------------------------------------------

    def _use_tool(self, tool: str, on: bool) -> None:
        self._window.grid.set_tool(tool if on else None)

    def _end_tool(self) -> None:
        for name in _TOOLS:
            self._actions[name].setChecked(False)

    def _reset_zones(self) -> None:
        key = self._window.grid.current_key
        if key is not None:
            self._session.reset_zones(key)

    def _clear_zones(self) -> None:
        key = self._window.grid.current_key
        before: dict[str, Points] = {} if key is None else self._session.state.zones.get(key, {})
        if key is None or not before:
            return
        self._session.set_zones(key, {})
        self._window.messages.show_message(
            Level.INFO,
            f"{len(before)} {'zone was' if len(before) == 1 else 'zones were'} deleted",
            action=("Undo", partial(self._put_back, key, before)),
        )

    def _put_back(self, key: str, before: dict[str, Points]) -> None:
        self._session.set_zones(key, {**before, **self._session.state.zones.get(key, {})})

    # Settings -----------------------------------------------------------------------------------------------------------------

    def _choose_settings(self) -> None:
        def make() -> SettingsDialog:
            dialog = SettingsDialog(self._bridge, self._window, self._store)
            dialog.saved.connect(partial(self._use_settings, self._store.settings()))
            return dialog

        self._show_dialog("settings", make)

    def _use_settings(self, before: Settings, settings: Settings) -> None:
        """Put in force what was changed; what was tuned since, and is not touched, stays."""
        self._session.folder = settings.save_dir
        if settings.loop != before.loop:
            self._set_loop(settings.loop)
        self._show_theme(settings.theme)
        changed = {name: value for name, value in settings.options().items() if value != before.options()[name]}
        if changed:
            self._update(**changed)

    def _set_loop(self, on: bool) -> None:
        self._demo = None  # what the user chooses meanwhile stays
        self._session.set_loop(on)

    def _choose_theme(self, theme: Theme) -> None:
        settings = self._store.settings()
        self._store.save(replace(settings, theme=theme))
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, theme)

    def _show_theme(self, theme: Theme) -> None:
        for action in self._actions.submenus["theme"].actions():
            action.setChecked(action.objectName() == f"theme_{theme}")

    def _update(self, **changes: Any) -> None:
        try:
            self._session.update(**changes)
        except FramehookError as error:
            self._bridge.report(Level.ERROR, one_line(error))
            self._show_state(self._bridge.state)

    def _show_welcome(self, on: bool) -> None:
        if on:
            self._window.show_welcome()
        else:
            self._window.show_picture()
        self._show_state(self._bridge.state)

    # Menus --------------------------------------------------------------------------------------------------------------------

    def _fill_menus(self) -> None:
        menus = self._actions.submenus
        letters: set[str] = set()
        for action in self._window.docks.actions():
            action.setText(_with_letter(action.text(), letters))
            menus["panels"].addAction(action)
        for layer, title in _LAYERS.items():
            action = QAction(title, self._window)
            action.setObjectName(f"overlay_{layer}")
            action.setShortcut(SUBMENU_KEYS[action.objectName()])
            action.setCheckable(True)
            action.triggered.connect(partial(self._set_layer, layer))
            menus["overlay"].addAction(action)
        themes = QActionGroup(self._window)
        for theme in get_args(Theme):
            action = QAction(f"As the &{theme}" if theme == "system" else f"&{theme.capitalize()}", self._window)
            action.setObjectName(f"theme_{theme}")
            action.setShortcut(SUBMENU_KEYS[action.objectName()])
            action.setCheckable(True)
            action.triggered.connect(partial(self._choose_theme, theme))
            themes.addAction(action)
            menus["theme"].addAction(action)
        self._show_theme(self._store.settings().theme)
        menus["recent_sources"].aboutToShow.connect(lambda: self._fill_recent("recent_sources", "source", self.open_spec))
        menus["recent_models"].aboutToShow.connect(lambda: self._fill_recent("recent_models", "model", self._use_model))
        menus["recent_callbacks"].aboutToShow.connect(
            lambda: self._fill_recent("recent_callbacks", "callbacks", lambda text: self._load_callbacks(Path(text)))
        )

    def _fill_recent(self, name: str, kind: RecentKind, use: Callable[[str], None]) -> None:
        menu: QMenu = self._actions.submenus[name]
        menu.clear()
        menu.setToolTipsVisible(True)
        recent = self._store.recent(kind)
        for number, text in enumerate(recent, 1):
            if kind == "source":
                sign, title = recent_icon(text), recent_name(text)
            else:
                sign, title = {"model": "model"}.get(kind, "callbacks"), Path(text).name
            letter = f"&{number} " if number < _DIGITS else ""
            action = menu.addAction(icon(sign), letter + title.replace("&", "&&"))
            if action is not None:
                action.setToolTip(text)
                action.triggered.connect(lambda _, text=text: use(text))
        menu.addSeparator()
        last = menu.addAction("&Forget these" if recent else "Nothing yet")
        if last is not None:
            last.setEnabled(bool(recent))
            last.triggered.connect(lambda: self._store.forget_recent(kind))

    def _set_layer(self, layer: str, on: bool) -> None:
        layers = self._session.state.options.overlay or ()  # not the bridge's: it may be a moment behind
        there = set(layers.replace(",", " ").split() if isinstance(layers, str) else layers)
        there = there | {layer} if on else there - {layer}
        self._update(overlay=tuple(each for each in LAYERS if each in there) or None)

    # What the actions show ----------------------------------------------------------------------------------------------------

    def _show_state(self, state: SessionState) -> None:
        self._follow_demo(state)
        self._remember(state)
        actions = self._actions
        key = self._window.grid.current_key
        slot = None if key is None else state.slot(key)
        seen = slot is not None and self._window.shows_picture
        playing = state.phase is Phase.PLAYING
        active = playing or state.phase is Phase.PAUSED
        play = actions["play_pause"]
        play.setText("&Pause" if playing else "&Play")
        play.setIcon(icon("pause" if playing else "replay" if state.phase is Phase.ENDED else "play"))
        can = {
            "play_pause": bool(state.slots) and state.phase is not Phase.OPENING,
            "step": bool(state.slots) and state.phase is not Phase.OPENING,
            "stop": active or state.phase is Phase.OPENING,
            "close_source": slot is not None,
            "snapshot": slot is not None,
            **{name: active or state.take(kind) is not None for name, kind in _TAKES.items()},
            "enlarge": len(state.slots) > 1,
            "follow": self._bridge.selected is not None,
            "export": state.model is not None,
            "reload_callbacks": bool(self._session.hooks.files),
            **dict.fromkeys(("back", "forward", "to_start"), slot is not None and slot.seekable),
            **dict.fromkeys(("fit", "zoom_in", "zoom_out", "original", *_TOOLS), seen),
            **dict.fromkeys(("reset_zones", "clear_zones"), slot is not None and bool(state.zones.get(slot.key))),
        }
        for name, enabled in can.items():
            actions[name].setEnabled(enabled)
        for name, kind in _TAKES.items():
            actions[name].setChecked(state.take(kind) is not None)
        actions["loop"].setChecked(state.loop)
        actions["track"].setChecked(state.options.tracker is not None)
        layers = check_layers(state.options.overlay)
        for action in self._actions.submenus["overlay"].actions():
            action.setChecked(action.objectName().removeprefix("overlay_") in layers)

    def _on_trigger(self, name: str, do: Callable[[], object]) -> None:
        self._actions[name].triggered.connect(lambda: do())

    def _on_switch(self, name: str, change: Callable[[bool], object]) -> None:
        # Only what the user does counts, not what the state shows on the action; but tools and views are switched by both.
        action = self._actions[name]
        signal = action.toggled if name in (*_TOOLS, "original", "full_screen") else action.triggered
        signal.connect(lambda on: change(on))


def _within(slot: Slot, seconds: float) -> float:
    """The nearest time that a file has."""
    return max(seconds if slot.duration is None else min(seconds, slot.duration), 0.0)


def _with_letter(title: str, taken: set[str]) -> str:
    """Mark the first letter of a title that chooses no other entry of its menu."""
    for place, letter in enumerate(title.lower()):
        if letter.isalpha() and letter not in taken:
            taken.add(letter)
            return f"{title[:place]}&{title[place:]}"
    return title
