"""What waits to be sent, kept on the disk, so that neither a server that is away nor a killed process loses any of it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import one_line

log = logging.getLogger("framehook")

MOST_METRICS: Final = 1000
"""Metrics that an MLflow server takes at once."""
MOST_TEXTS: Final = 100
"""Parameters and, separately, tags that it takes at once."""
RESERVED: Final = 0.125
"""Share of the room that files leave to figures, which are small and cannot be had again."""
ENTRY: Final = ".json"
CONTENT: Final = ".file"
REFUSED: Final = "refused"


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


class DiskQueue:
    """Entries that wait, each a file of its own in a folder, and the folder bounded.

    What `put` was given is on the disk when it returns, in about 0.1 ms, and stays there until it was delivered. A file is
    kept by a link to it, which takes neither time nor room while the file itself is there; where there are no links, its path
    is. Of files for one place only the newest waits. Thread-safe.

    Attributes:
        folder: Where all of it is.
        changed: Notified when something was put.
        dropped: Entries that found no room.
        refused: Entries that the server will not have; they are in the folder `refused`.
    """

    def __init__(self, folder: Path, *, limit: int) -> None:
        """Read what waits in a folder; it is made when something is put.

        Args:
            folder: Where to keep all of it.
            limit: Bytes that it may take, files in full.
        """
        self.folder = folder
        self.changed = threading.Condition()
        self.dropped = 0
        self.refused = 0
        self._limit = limit
        self._names = _Names()
        self._entries: dict[str, Entry] = {}
        self._told: set[str] = set()
        self._read()

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._entries)

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
            if kind in (Kind.FILE, Kind.STATUS):
                self._forget(each for each in self._waiting(kind) if each.content.get("to") == content.get("to"))
            name = self._names.next()
            try:
                content = content if file is None else {**content, "path": self._keep(name, file)}
                text = json.dumps(content, allow_nan=True)
                size = len(text) + (file.stat().st_size if file is not None else 0)
            except OSError as error:
                self._tell("file", f"remote session: {file} cannot be queued: {error.strerror or error}")
                self.dropped += 1
                return False
            room = self._limit * (1 - RESERVED if kind is Kind.FILE else 1)
            if sum(each.size for each in self._entries.values()) + size > room:
                what = content.get("to", kind)
                self._tell(
                    "full", f"remote session: no room for {what} in {self.folder}, where {self._limit >> 20} MB may wait"
                )
                self.dropped += 1
                self._unlink(name + CONTENT)
                return False
            self._entries[name] = self._saved(Entry(name, kind, content, size, saved=False), text)
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
        """Put aside what the server will never have, so that it holds up nothing; it is told in one line."""
        with self.changed:
            self.refused += 1
            kept = self.folder / REFUSED
            with contextlib.suppress(OSError):
                kept.mkdir(exist_ok=True)
                os.replace(self.folder / (entry.name + ENTRY), kept / (entry.name + ENTRY))
            self._forget([entry])
            self.changed.notify_all()
        self._tell(
            why, f"remote session: the server refuses {entry.content.get('to', entry.kind)}: {why}; it is put aside in {kept}"
        )

    def save(self) -> None:
        """Write what waits in memory alone, now that the disk may have room again."""
        with self.changed:
            for each in [each for each in self._entries.values() if not each.saved]:
                self._entries[each.name] = self._saved(each, json.dumps(each.content))

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            for path in sorted(self.folder.glob(f"*{ENTRY}")):
                with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                    said = json.loads(path.read_text(encoding="utf-8"))
                    name = path.name.removesuffix(ENTRY)
                    size = path.stat().st_size
                    if said["kind"] == Kind.FILE:
                        size += (self.folder / said["content"]["path"]).stat().st_size
                    self._entries[name] = Entry(name, Kind(said["kind"]), dict(said["content"]), size)
                    self._names.last = max(self._names.last, int(name.partition("-")[0]))

    def _waiting(self, kind: Kind) -> list[Entry]:
        return [each for each in self._entries.values() if each.kind is kind]

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
        unfinished = path.with_suffix(".part")
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
