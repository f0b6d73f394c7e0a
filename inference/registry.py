"""Models that can be pulled by name, and where they lie once they are there. Nothing is downloaded but by `Registry.pull`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from framehook.inference.errors import DownloadError, ModelNotFoundError, did_you_mean

if TYPE_CHECKING:
    from framehook.inference.download import Progress


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that its makers have published.

    Attributes:
        name: What it is called here.
        url: Where they keep it.
        licence: Its SPDX identifier.
        about: What it is, in a few words.
        size: Its bytes, or None if nobody has counted them.
        sha256: Its checksum in lower-case hexadecimals, or None: then that of the first download is recorded, and holds.
    """

    name: str
    url: str
    licence: str
    about: str
    size: int | None = None
    sha256: str | None = None


def _yolox(size: str, side: int, length: int, sha256: str) -> Entry:
    # Exported without the grids applied (N x cells x 85), BGR, 0..255, as the layout "yolox" has it.
    return Entry(
        name=f"yolox_{size}",
        url=f"https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_{size}.onnx",
        licence="Apache-2.0",
        about=f"YOLOX-{size}, {side}x{side}, the 80 classes of COCO",
        size=length,
        sha256=sha256,
    )


# Sizes and checksums are those that several independent projects have pinned for these very addresses.
ENTRIES: Final = (
    _yolox("nano", 416, 3_659_407, "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"),
    _yolox("tiny", 416, 20_219_662, "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7"),
    _yolox("s", 640, 35_858_002, "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063"),
    _yolox("m", 640, 101_259_744, "21ff6cfdeb53b013bac2249599e55f00bff3cfdfdab37ed7a4620818c1d15b3f"),
    _yolox("l", 640, 216_746_733, "7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411"),
)
"""Detectors whose licence lets anybody use them for anything."""

_ULTRALYTICS: Final = re.compile(r"(yolo(?:v8|v9|v10|11|12|26)[a-z])(-\w+)?(\.pt|\.onnx)?", re.IGNORECASE)
_OUR_NETS: Final = re.compile(r"yolo(?:v8|11|26)[nsmlx]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Record:
    """What is known of a file that was pulled; size and time of change tell cheaply whether it is still the same."""

    url: str
    sha256: str
    size: int
    changed: int


class Registry:
    """A table of models, and the folder where those lie that were pulled.

    Attributes:
        entries: The table, by name.
    """

    def __init__(self, entries: Iterable[Entry] = ENTRIES, folder: Path | None = None) -> None:
        """Take a table, and a folder in place of the user's cache."""
        self.entries: Mapping[str, Entry] = {entry.name: entry for entry in entries}
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where pulled models lie."""
        return self._folder or models_folder()

    def path_of(self, name: str) -> Path:
        """Where a model lies, or would lie once it is pulled."""
        return self.folder / f"{name}.onnx"

    def find(self, name: str) -> Path | None:
        """The file of a model, if it was pulled and is still what it was then; without any network.

        A file whose size or time of change are not those recorded is read once and compared by its checksum; so a file that was
        copied there by hand is taken, too, if its checksum is pinned.
        """
        entry = self.entries.get(name)
        if entry is None:
            return None
        path, record = self.path_of(name), self._record(name)
        try:
            there = path.stat()
            wanted = entry.sha256 or (record.sha256 if record else None)
            if wanted is None:
                return None
            if record and (record.sha256, record.size, record.changed) == (wanted, there.st_size, there.st_mtime_ns):
                return path
            from framehook.inference.download import sha256_of

            if sha256_of(path) != wanted:
                return None
        except OSError:
            return None
        with suppress(OSError):  # a cache that cannot be written is read again next time
            self._write_record(entry, wanted)
        return path

    def how_to_get(self, name: str) -> str | None:
        """What to do about a model that is not on the disk; a sentence without a full stop, or None if nothing helps."""
        bare = PurePath(name).name
        stem = bare.removesuffix(".onnx")
        if stem in self.entries:
            if self.path_of(stem).exists() and self.find(stem) is None:
                return f"Its file {self.path_of(stem)} is damaged; pull it again: framehook models pull {stem}"
            if self.find(stem) is not None:
                return f"It was pulled; pass its name alone: {stem}"
            return f"Pull it first: framehook models pull {stem}"
        if found := _ULTRALYTICS.fullmatch(bare):
            return _about_ultralytics(*found.groups())
        near = did_you_mean(stem, self.entries)
        return f"{near.strip()} framehook models lists those that can be pulled" if near and "." not in stem else None

    def pull(self, name: str, *, force: bool = False, progress: Progress | None = None) -> Path:
        """Download a model, unless it is there; see `fetch` for how.

        Args:
            name: One of `entries`.
            force: Download it again, whatever is there; it is replaced once the new one has arrived and is right.
            progress: Called as bytes arrive.

        Returns:
            Its file.

        Raises:
            ModelNotFoundError: there is no such name.
            DownloadError: it cannot be had, or is not the one that was pinned or pulled before.
        """
        from framehook.inference.download import OtherFileError, fetch

        entry = self.entry(name)
        if not force and (there := self.find(name)) is not None:
            return there
        record = self._record(name)
        known = entry.sha256 or (record.sha256 if record is not None and record.url == entry.url else None)
        try:
            sha256 = fetch(entry.url, self.path_of(name), size=entry.size, sha256=known, progress=progress)
        except DownloadError as error:
            aside = ""
            if isinstance(error, OtherFileError) and entry.sha256 is None:  # it is not what it was before
                aside = f"; to take it nevertheless, delete {self._path_of_record(name)}"
            elif error.__cause__ is not None and entry.sha256:
                aside = f"; a copy that was downloaded elsewhere can be put at {self.path_of(name)}"
            raise DownloadError(f"{name} cannot be pulled: {error}{aside}") from error
        try:
            self._write_record(entry, sha256)
        except OSError as error:
            raise DownloadError(
                f"{name} is at {self.path_of(name)}, but its checksum cannot be noted in {self._path_of_record(name)}: "
                f"{error.strerror or error}"
            ) from error
        return self.path_of(name)

    def entry(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            ModelNotFoundError: there is none.
        """
        if name not in self.entries:
            near = did_you_mean(name, self.entries)
            raise ModelNotFoundError(f"there is no model '{name}' to pull.{near} Known are {', '.join(self.entries)}")
        return self.entries[name]

    def _path_of_record(self, name: str) -> Path:
        return self.path_of(name).with_suffix(".json")

    def _record(self, name: str) -> _Record | None:
        try:
            return _Record(**json.loads(self._path_of_record(name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write_record(self, entry: Entry, sha256: str) -> None:
        there = self.path_of(entry.name).stat()
        record = _Record(url=entry.url, sha256=sha256, size=there.st_size, changed=there.st_mtime_ns)
        path = self._path_of_record(entry.name)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


REGISTRY: Final = Registry()
"""The models that Framehook knows of."""


def find_model(name: str) -> Path | None:
    """The file of a model that was pulled by this name; see `Registry.find`."""
    return REGISTRY.find(name)


def how_to_get(name: str) -> str | None:
    """What to do about a model that is not on the disk; see `Registry.how_to_get`."""
    return REGISTRY.how_to_get(name)


def models_folder(platform: str = sys.platform, environment: Mapping[str, str] = os.environ, home: Path | None = None) -> Path:
    """The folder for models that were pulled: $FRAMEHOOK_HOME/models, else one in the user's cache.

    Args:
        platform: As `sys.platform` has it.
        environment: Variables of the environment.
        home: The user's folder; None to look it up.
    """
    if named := environment.get("FRAMEHOOK_HOME"):
        return Path(named).expanduser() / "models"
    home = home or Path.home()
    if platform == "win32":
        cache = Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif platform == "darwin":
        cache = home / "Library" / "Caches"
    else:
        named = environment.get("XDG_CACHE_HOME", "")
        cache = Path(named) if os.path.isabs(named) else home / ".cache"
    return cache / "framehook" / "models"


def _about_ultralytics(name: str, task: str | None, suffix: str | None) -> str:
    ways = [f"get {name}{task or ''}.pt from its makers' releases (github.com/ultralytics/assets, AGPL-3.0) and pass its path"]
    if suffix == ".onnx":
        ways.append(f"export it from a checkpoint at hand: framehook export {name}{task or ''}.pt")
    elif task is None and _OUR_NETS.fullmatch(name):
        ways.append(f"pass {name}.yaml for the same net untrained")
    ways.append("name no model for the bundled detector")
    return f"Framehook downloads nothing by itself: {', '.join(ways[:-1])}, or {ways[-1]}"
