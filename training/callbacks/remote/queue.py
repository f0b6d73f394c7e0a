"""What waits to be sent, kept on the disk, so that neither a server that is away nor a killed process loses any of it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import one_line
from framehook.inference.ranges import is_whole

log = logging.getLogger("framehook")

MOST_METRICS: Final = 1000
"""Metrics that an MLflow server takes at once."""
MOST_TEXTS: Final = 100
"""Parameters and, separately, tags that it takes at once."""
RESERVED: Final = 0.125
"""Share of the room that files leave to figures, which are small and cannot be had again."""
ENTRY: Final = ".json"
CONTENT: Final = ".file"
UNFINISHED: Final = ".part"
REFUSED: Final = "refused"
ORPHANED: Final = 60.0
"""Seconds after which a file without an entry is of a process that was killed in between, and not of one that works."""
_NAME: Final = re.compile(r"[0-9]{20}-[0-9]+")


class Kind(StrEnum):
    """What an entry is."""

    FIGURES = "figures"
    """Parameters, tags and metrics of a run."""
    FILE = "file"
    STATUS = "status"
    """That a run goes on, or how it ended."""
    EVENT = "event"
    """A usage event, which is a run of its own."""


_URGENCY: Final = {Kind.FIGURES: 0, Kind.EVENT: 0, Kind.FILE: 1, Kind.STATUS: 2}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Something to be sent.

    Attributes:
        name: Its name in the folder; names sort by time.
        kind: What it is.
        content: What it says, as JSON holds it.
        size: Bytes that it takes on the disk.
        saved: Whether it is on the disk; on a full one it is in memory alone.
    """

    name: str
    kind: Kind
    content: Mapping[str, Any]
    size: int
    saved: bool = True


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _are_metrics(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and isinstance(each.get("key"), str)
        and isinstance(each.get("value"), float)
        and is_whole(each.get("timestamp"))
        and is_whole(each.get("step"))
        for each in value
    )


_Parts = Mapping[str, Callable[[object], bool]]
_NEEDED: Final[Mapping[Kind, _Parts]] = {
    Kind.FIGURES: {},
    Kind.FILE: {"to": _is_text, "path": _is_text},
    Kind.STATUS: {"status": _is_text},
    Kind.EVENT: {"event": _is_text, "time": is_whole, "params": _are_texts, "tags": _are_texts},
}
_POSSIBLE: Final[Mapping[Kind, _Parts]] = {
    Kind.FIGURES: {"metrics": _are_metrics, "params": _are_texts, "tags": _are_texts},
    Kind.FILE: {"tags": _are_texts},
    Kind.STATUS: {"end": is_whole},
    Kind.EVENT: {},
}


def _is_sound(kind: Kind, content: object) -> bool:
    """Whether content has what an entry of its kind is sent with."""
    return (
        isinstance(content, dict)
        and all(check(content.get(part)) for part, check in _NEEDED[kind].items())
        and all(check(content[part]) for part, check in _POSSIBLE[kind].items() if part in content)
    )


def _precedence(entry: Entry) -> tuple[int, bool, str]:
    return _URGENCY[entry.kind], not entry.content.get("first", False), entry.name


@dataclass(slots=True)
class _Names:
    """Names of entries that sort by time, also where the clock is set back."""

    last: int = 0
    process: int = field(default_factory=os.getpid)

    def next(self) -> str:
        self.last = max(self.last + 1, time.time_ns())
        return f"{self.last:020d}-{self.process}"


def _time_of(name: str) -> int:
    return int(name.partition("-")[0])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class DiskQueue:
    """Entries that wait, each a file of its own in a folder, and the folder bounded.

    What `put` was given is on the disk when it returns, in about 0.1 ms, and stays there until it was delivered. A file is
    kept by a link to it, which takes neither time nor room while the file itself is there; where there are no links, its path
    is. Of files for one place only the newest waits. What was put aside, as the server refuses it or it is damaged, is in the
    folder `refused` and counts towards the limit; the oldest of it makes room for what is new. Thread-safe.

    Attributes:
        folder: Where all of it is.
        changed: Notified when something was put.
        dropped: Entries that found no room.
        refused: Entries that could not be sent and never will.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        """Read what waits in a folder; it is made when something is put.

        Args:
            folder: Where to keep all of it.
            limit: Bytes that it may take, files in full. A file may wait for a moment beside the one it replaces.
        """
        self.folder = folder
        self.changed = threading.Condition()
        self.dropped = 0
        self.refused = 0
        self._limit = limit
        self._names = _Names()
        self._entries: dict[str, Entry] = {}
        self._aside: dict[str, int] = {}
        self._told: set[str] = set()
        self._read()

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._entries)

    @staticmethod
    def holds_something(folder: Path) -> bool:
        """Whether anything waits in a folder, which is only looked at."""
        return any(_NAME.fullmatch(each.stem) for each in folder.glob(f"*{ENTRY}"))

    @property
    def size(self) -> int:
        """Bytes that wait."""
        with self.changed:
            return sum(each.size for each in self._entries.values())

    def put(self, kind: Kind, content: Mapping[str, Any], *, file: Path | None = None) -> bool:
        """Queue something; False, and one line in the log, where it finds no room.

        A disk that is full or cannot be written does no harm: the entry then waits in memory.

        Args:
            kind: What it is.
            content: What it says; of files `to` is the place on the server.
            file: The file itself, for `Kind.FILE`.
        """
        with self.changed:
            replaced = self._waiting(kind, content.get("to")) if kind in (Kind.FILE, Kind.STATUS) else []
            name = self._names.next()
            try:
                content = content if file is None else {**content, "path": self._keep(name, file)}
                text = json.dumps(content, allow_nan=True)
                size = len(text) + (file.stat().st_size if file is not None else 0)
            except OSError as error:
                self._tell("file", f"remote session: {file} cannot be queued: {error.strerror or error}")
                self.dropped += 1
                self._unlink(name + CONTENT)
                return False
            room = self._limit * (1 - RESERVED if kind is Kind.FILE else 1) - size
            room -= sum(each.size for each in self._entries.values() if each not in replaced)
            if room < 0:
                what = content.get("to", kind)
                self._tell(
                    "full", f"remote session: no room for {what} in {self.folder}, where {self._limit >> 20} MB may wait"
                )
                self.dropped += 1
                self._unlink(name + CONTENT)
                return False
            self._entries[name] = self._saved(Entry(name, kind, content, size, saved=False), text)
            self._forget(replaced)
            self._bound_aside(room)
            self.changed.notify_all()
        return True

    def batch(self) -> Sequence[Entry]:
        """What is to be sent next, in one request: figures, as many as go together, then a file, at last the status.

        A file whose content says `"first": true` goes before others: the best model before a newest checkpoint.
        """
        with self.changed:
            waiting = sorted(self._entries.values(), key=_precedence)
        if not waiting or waiting[0].kind is not Kind.FIGURES:
            return waiting[:1]
        chosen: list[Entry] = []
        room = {"metrics": MOST_METRICS, "params": MOST_TEXTS, "tags": MOST_TEXTS}
        for each in waiting:
            for part in room:
                room[part] -= len(each.content.get(part, ()))
            if each.kind is not Kind.FIGURES or (chosen and min(room.values()) < 0):
                break
            chosen.append(each)
        return chosen

    def file_of(self, entry: Entry) -> Path:
        """Where the file of an entry is."""
        return self.folder / str(entry.content["path"])  # an absolute path stays what it is

    def remove(self, entries: Iterable[Entry]) -> None:
        """Let go of what was delivered."""
        with self.changed:
            self._forget(entries)
            self.changed.notify_all()

    def refuse(self, entry: Entry, why: str) -> None:
        """Put aside what can never be sent, so that it holds up nothing; it is told in one line.

        One that no longer waits, as a newer file took its place meanwhile, is none of it.
        """
        with self.changed:
            if entry.name not in self._entries:
                return
            self.refused += 1
            self._put_aside(entry.name)
            self._forget([entry])
            self.changed.notify_all()
        what = entry.content.get("to", entry.kind)
        self._tell(why, f"remote session: {what} is put aside in {self.folder / REFUSED}: {why}")

    def save(self) -> None:
        """Write what waits in memory alone, now that the disk may have room again."""
        with self.changed:
            for each in [each for each in self._entries.values() if not each.saved]:
                self._entries[each.name] = self._saved(each, json.dumps(each.content))

    def _read(self) -> None:
        found: list[Path] = []
        for folder in (self.folder / REFUSED, self.folder):
            with contextlib.suppress(OSError):
                found += (each for each in sorted(folder.iterdir()) if _NAME.fullmatch(each.stem))
        entries = set()
        for path in found:
            if path.parent != self.folder:
                self._aside[path.stem] = self._aside.get(path.stem, 0) + _size(path)
            elif path.suffix == ENTRY:
                entries.add(path.stem)
                self._read_entry(path)
        for path in found:
            is_orphan = path.parent == self.folder and path.suffix in (CONTENT, UNFINISHED) and path.stem not in entries
            if is_orphan and time.time_ns() - _time_of(path.stem) > ORPHANED * 1e9:
                self._unlink(path.name)

    def _read_entry(self, path: Path) -> None:
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            kind, content = Kind(said["kind"]), said["content"]
            if not _is_sound(kind, content):
                raise ValueError(content)
            size = path.stat().st_size
            if kind is Kind.FILE:
                size += (self.folder / content["path"]).stat().st_size
        except (ValueError, KeyError, TypeError, RecursionError, OSError):
            if self._put_aside(path.stem):  # unless another process has just sent it
                self._tell("damaged", f"remote session: {path} is damaged; it is put aside in {self.folder / REFUSED}")
            return
        self._entries[path.stem] = Entry(path.stem, kind, content, size)
        self._names.last = max(self._names.last, _time_of(path.stem))

    def _put_aside(self, name: str) -> bool:
        kept = self.folder / REFUSED
        try:
            kept.mkdir(exist_ok=True)
            os.replace(self.folder / (name + ENTRY), kept / (name + ENTRY))
        except OSError:
            return False
        with contextlib.suppress(OSError):
            os.replace(self.folder / (name + CONTENT), kept / (name + CONTENT))
        self._aside[name] = _size(kept / (name + ENTRY)) + _size(kept / (name + CONTENT))
        return True

    def _bound_aside(self, room: float) -> None:
        """Remove the oldest of what was put aside, until it takes no more than `room`."""
        for name in sorted(self._aside):
            if sum(self._aside.values()) <= room:
                return
            del self._aside[name]
            for suffix in (ENTRY, CONTENT):
                self._unlink(f"{REFUSED}/{name}{suffix}")
            self._tell("aside", f"remote session: {self.folder / REFUSED} takes too much room; the oldest of it is removed")

    def _waiting(self, kind: Kind, to: object) -> list[Entry]:
        return [each for each in self._entries.values() if each.kind is kind and each.content.get("to") == to]

    def _keep(self, name: str, file: Path) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, self.folder / (name + CONTENT))
        except OSError:
            return str(file.resolve(strict=True))
        return name + CONTENT

    def _saved(self, entry: Entry, text: str) -> Entry:
        """The entry, on the disk if it can be written."""
        path = self.folder / (entry.name + ENTRY)
        unfinished = path.with_suffix(UNFINISHED)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(f'{{"kind": "{entry.kind}", "content": {text}}}', encoding="utf-8")
            os.replace(unfinished, path)
        except OSError as error:
            self._tell(
                "disk", f"remote session: {self.folder} cannot be written ({error.strerror or error}); it waits in memory"
            )
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return entry
        return Entry(entry.name, entry.kind, entry.content, entry.size)

    def _forget(self, entries: Iterable[Entry]) -> None:
        for each in list(entries):
            self._entries.pop(each.name, None)
            self._unlink(each.name + ENTRY)
            self._unlink(each.name + CONTENT)

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):  # Windows removes no file that is being sent
            (self.folder / name).unlink(missing_ok=True)

    def _tell(self, about: str, message: str) -> None:
        """Log a warning, once about each thing."""
        if about not in self._told:
            self._told.add(about)
            log.warning("%s", one_line(message))
