"""What the app remembers from one start to the next: settings, what was opened before, and how the window was."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from PyQt6.QtCore import QByteArray, QSettings, QStandardPaths

from framehook.app.demo import CONFIDENCE
from framehook.app.gui.scale import SCALES
from framehook.app.gui.theme import THEMES, Theme
from framehook.inference.callbacks.overlay import LAYERS
from framehook.inference.ranges import is_number
from framehook.inference.sources.addresses import redacted, scheme_of, short_name, slip_of_address
from framehook.inference.sources.screen import is_screen
from framehook.inference.sources.single import is_camera, is_test_scene

StartWith: TypeAlias = Literal["nothing", "last"]
"""What is open when the app starts."""
Pace: TypeAlias = Literal["realtime", "max"]
RecentKind: TypeAlias = Literal["source", "address", "model", "callbacks"]
"""What is remembered of what was opened: any source; addresses alone; models; files of callbacks."""

RECENT_AT_MOST: Final = 12
_NAME: Final = "Framehook"
_Value = TypeVar("_Value")


def recent_name(text: str) -> str:
    """What to call something that was opened before, in a menu: `Camera 0`, `clip.mp4`, `door:554/live`."""
    if is_camera(text):
        return f"Camera {text.removeprefix('/dev/video')}"
    if is_screen(text) or is_test_scene(text):
        _, _, which = text.partition(":")
        return f"{'Screen' if is_screen(text) else 'Test scene'} {which}".strip()
    return short_name(text)


def recent_icon(text: str) -> str:
    """The name of the icon for something that was opened before."""
    if is_camera(text):
        return "camera"
    if is_screen(text):
        return "screen"
    if is_test_scene(text):
        return "scene"
    return "video" if scheme_of(text) in ("", "file") else "link"


def default_folder() -> Path:
    """Where recordings, pictures and rows go unless something else is chosen: a folder among the user's videos."""
    movies = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
    return (Path(movies) if movies else Path.home()) / _NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user chose for good; what is tuned while something plays is not in here.

    Attributes:
        theme: Light, dark, or as the system is.
        scale: How large letters and symbols are, in percent, of `SCALES`; from the next start on.
        start_with: What is open when the app starts without a source.
        conf: The confidence that sessions begin with, 0..1.
        iou: The overlap above which the weaker of two boxes is suppressed, 0..1.
        tracker: The tracker that sessions begin with, or None for none.
        overlay: The layers that are drawn at first, of `overlay.LAYERS`.
        pace: How files play: at their own rate, or as fast as they can be computed.
        loop: Whether files begin again at their end.
        save_dir: Where recordings, pictures and rows go.
        device: What models run on, or None for the best that is installed.
    """

    theme: Theme = "system"
    scale: int = SCALES[0]
    start_with: StartWith = "nothing"
    conf: float = CONFIDENCE
    iou: float = 0.7
    tracker: str | None = "bytetrack"
    overlay: tuple[str, ...] = ("boxes", "labels", "confidence", "trails")
    pace: Pace = "realtime"
    loop: bool = False
    save_dir: Path = field(default_factory=default_folder)
    device: str | None = None

    def options(self) -> dict[str, Any]:
        """Those of them that are options of a run, for `Session(options=...)` or `Session.update`."""
        return {"conf": self.conf, "iou": self.iou, "tracker": self.tracker, "overlay": self.overlay, "pace": self.pace}


class Store:
    """A file of the user's (INI), read when it is made and written by and by; `sync` writes at once.

    Nothing in the file is trusted: a value that is missing, damaged or out of range reads as the default. Addresses are kept
    without user names, passwords and secret parameters, so that none ever lies on the disk; who opens such an address again
    types them again.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Open it.

        Args:
            path: The file; the usual place of the system if not given.
        """
        kind = QSettings.Format.IniFormat
        if path is None:
            self._file = QSettings(kind, QSettings.Scope.UserScope, _NAME, _NAME)
        else:
            self._file = QSettings(str(path), kind)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._file.fileName())

    def settings(self) -> Settings:
        """The user's choices; the default of each where there is none that can be used."""
        usual = Settings()
        return Settings(
            **{name: self._read(f"settings/{name}", checked, getattr(usual, name)) for name, checked in _CHECKED.items()}
        )

    def save(self, settings: Settings) -> None:
        """Keep the user's choices. What is the default is not written, so that a later version may have better ones."""
        usual = Settings()
        for name in _CHECKED:
            value = getattr(settings, name)
            if value == getattr(usual, name):
                self._file.remove(f"settings/{name}")
            else:
                self._write(f"settings/{name}", str(value) if isinstance(value, Path) else value)

    def recent(self, kind: RecentKind) -> list[str]:
        """What was opened before, the newest first, `RECENT_AT_MOST` of them at most."""
        return self._read(f"recent/{kind}", _recent, [])

    def add_recent(self, kind: RecentKind, text: str) -> None:
        """Remember something that was opened, as the newest; what is an address, without its secrets."""
        text = text.strip()
        generated = is_screen(text) or is_test_scene(text)
        # Of an address with a slip (`rtsp:/me:secret@cam`) it cannot be told what of it is secret.
        if "://" not in text and not generated and slip_of_address(text) is not None and not Path(text).exists():
            return
        if text := redacted(text):
            self._write(f"recent/{kind}", [text, *(each for each in self.recent(kind) if each != text)][:RECENT_AT_MOST])

    def forget_recent(self, kind: RecentKind, text: str | None = None) -> None:
        """Forget one that was opened before (it is gone, say), or all."""
        self._write(f"recent/{kind}", [] if text is None else [each for each in self.recent(kind) if each != text])

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no that was kept under a name."""
        return self._read(f"flags/{name}", _flag, default)

    def set_flag(self, name: str, value: bool) -> None:
        """Keep a yes or no."""
        self._write(f"flags/{name}", value)

    def text(self, name: str, default: str = "") -> str:
        """A text that was kept under a name: the folder that a file was last taken from, say."""
        return self._read(f"texts/{name}", _text, default)

    def set_text(self, name: str, value: str) -> None:
        """Keep a text. It must hold no secret."""
        self._write(f"texts/{name}", value)

    def window(self, name: str) -> QByteArray:
        """What a window said of its geometry, or of its docks (`saveGeometry`, `saveState`); empty where nothing was kept."""
        return QByteArray.fromBase64(self._read(f"windows/{name}", _text, "").encode("ascii", "replace"))

    def set_window(self, name: str, value: QByteArray) -> None:
        """Keep what a window says of itself."""
        self._write(f"windows/{name}", value.toBase64().data().decode("ascii"))

    def sync(self) -> bool:
        """Write the file now; False where that cannot be done."""
        self._file.sync()
        return self._file.status() is QSettings.Status.NoError

    def _write(self, key: str, value: Any) -> None:
        # As JSON, since an INI file of Qt's knows texts only: `true` and `0.5` would come back as such.
        self._file.setValue(key, json.dumps(value))

    def _read(self, key: str, checked: Callable[[Any], _Value], default: _Value) -> _Value:
        # Whatever a file that somebody changed by hand makes Qt or the check raise, the default is meant.
        with suppress(Exception):
            return checked(json.loads(self._file.value(key, "", type=str)))
        return default


def _recent(value: Any) -> list[str]:
    return list(dict.fromkeys(text for each in value if (text := _text(each))))[:RECENT_AT_MOST]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _word(value: Any) -> str | None:
    return None if value is None or not _text(value).strip() else _text(value)


def _share(value: Any) -> float:
    if not is_number(value, 0, 1):
        raise ValueError(value)
    return float(value)


def _one_of(*words: _Value) -> Callable[[Any], _Value]:
    def checked(value: Any) -> _Value:
        return words[words.index(value)]

    return checked


def _layers(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_one_of(*LAYERS)(each) for each in value))


def _folder(value: Any) -> Path:
    path = Path(_text(value)).expanduser()
    if not path.is_absolute():
        raise ValueError(value)
    return path


_CHECKED: Final[dict[str, Callable[[Any], Any]]] = {
    "theme": _one_of(*THEMES),
    "scale": _one_of(*SCALES),
    "start_with": _one_of(*get_args(StartWith)),
    "conf": _share,
    "iou": _share,
    "tracker": _word,
    "overlay": _layers,
    "pace": _one_of(*get_args(Pace)),
    "loop": _flag,
    "save_dir": _folder,
    "device": _word,
}
