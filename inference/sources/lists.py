"""Several sources: lists, and text files with one source a line."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import FramehookError, OptionError, SourceError, SourceFormatError
from framehook.inference.sources.addresses import scheme_of
from framehook.inference.sources.arrays import ArraySource, is_picture
from framehook.inference.sources.base import Source
from framehook.inference.sources.files import is_pattern, open_file
from framehook.inference.sources.playlist import Opener, PlaylistSource
from framehook.inference.sources.screen import is_screen
from framehook.inference.sources.single import (
    WHAT,
    OpenOptions,
    is_camera,
    is_network,
    is_side_by_side,
    is_test_scene,
    local_path,
    open_path,
    open_single,
    shown,
    takes,
    tidy,
    unfit_option,
)
from framehook.inference.sources.together import open_together

TOGETHER: Final = ".streams"
"""Text files whose sources run side by side, whatever they are."""
IN_TURN: Final = ".txt"
"""Text files that are as good as a list."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list, or neighbouring pictures of one.

    Attributes:
        spec: What it is, or a list of pictures.
        where: The file and line it comes from, or an empty text.
    """

    spec: Any
    where: str = ""

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Put the file and line in front of what is raised."""
        try:
            yield
        except FramehookError as error:
            if not self.where:
                raise
            failure = type(error)(f"{self.where}: {error}")
        else:
            return
        raise failure


class SourceList:
    """Sources to be opened together, in turn or side by side.

    Attributes:
        entries: What there is to open; there is at least one.
        side_by_side: Why its sources run side by side, in words; empty where they are played one after another.
    """

    def __init__(self, name: str, path: str, entries: Iterable[Entry], options: OpenOptions, *, side_by_side: str = "") -> None:
        """Look at the entries as far as can be done without opening them.

        Args:
            name: Short name of the whole for people.
            path: The file it was read from, or `the list`.
            entries: Its entries.
            options: How to open them; a size or rate goes to those that can be asked for one.
            side_by_side: Why they run side by side whatever they are, in words.

        Raises:
            OptionError: an entry is no source, or no entry takes an option.
        """
        self.entries: list[Entry] = []
        self.side_by_side = side_by_side
        self._name = name
        self._path = path
        self._options = options
        found = list(entries)
        for entry in found:
            with entry.named_in_errors():
                _check(entry.spec)
        for option in options.shape:
            if not any(takes(option, entry.spec) for entry in found):
                raise OptionError(unfit_option(option, path))
        _check_once(found)
        for pictures, neighbours in itertools.groupby(found, key=lambda entry: is_picture(entry.spec)):
            group = list(neighbours)
            self.entries.extend([Entry([each.spec for each in group])] if pictures else group)
        if len(self.entries) > 1 and not side_by_side:
            lasting = next((entry for entry in found if self._lasts(entry)), None)
            if lasting is not None:
                self.side_by_side = f"it holds {_name_of(lasting.spec)}, after which nothing else would have its turn"

    @property
    def count(self) -> int:
        """How many sources it gives."""
        return len(self.entries) if self.side_by_side else 1

    def open_one(self) -> Source:
        """Open it as the one source that it is.

        Raises:
            OptionError: it is several.
        """
        if self.count > 1:
            raise OptionError(
                f"{self._path} is {self.count} sources side by side ({self.side_by_side}); "
                "pass it to predict(), or open it with open_sources()"
            )
        return self.open()[0]

    def open(self) -> list[Source]:
        """Open its sources, or a playlist of them.

        Raises:
            SourceError: one of those that run side by side cannot be opened; none is left open.
        """
        if self.count > 1 or len(self.entries) == 1:
            # A first look at all files, so that a slip of the pen is told before any server is asked.
            return open_together([(partial(self._open, entry), is_network(entry.spec)) for entry in self.entries])
        openers: list[tuple[Opener, bool]] = []
        for entry in self.entries:
            with entry.named_in_errors():
                openers.append((self._in_turn(entry), is_network(entry.spec)))
        return [PlaylistSource(self._name, self._path, openers)]

    def _open(self, entry: Entry) -> Source:
        with entry.named_in_errors():
            if isinstance(entry.spec, list):
                return ArraySource(entry.spec, name=self._name)
            return open_single(entry.spec, self._fitting(entry.spec))

    def _in_turn(self, entry: Entry) -> Opener:
        """Look at an entry that is played in turn as far as is needed to report a wrong one at once."""
        spec = entry.spec
        if isinstance(spec, list) or is_network(spec):
            return partial(self._open, entry)
        if isinstance(spec, (str, Path)) and not is_test_scene(spec):
            path = local_path(spec)
            return partial(open_file, path) if path.is_file() else partial(_itself, open_path(path, self._options))
        return partial(_itself, self._open(entry))

    def _fitting(self, spec: object) -> OpenOptions:
        unfit: dict[str, Any] = {option: None for option in self._options.shape if not takes(option, spec)}
        return replace(self._options, **unfit)

    def _lasts(self, entry: Entry) -> bool:
        with entry.named_in_errors():
            return is_side_by_side(entry.spec, self._fitting(entry.spec))


def list_of(spec: Any, options: OpenOptions) -> SourceList | None:
    """Return the list that a spec is or names; None where it is a single source.

    Raises:
        OptionError: it is empty, or holds what is no source.
        SourceError: its file cannot be read.
    """
    if isinstance(spec, (list, tuple)):
        if not spec:
            raise OptionError(f"an empty list is no source of frames; {WHAT}")
        return SourceList("list", "the list", (Entry(tidy(item)) for item in spec), options)
    if not names_list_file(spec):
        return None
    path = local_path(spec)
    together = "each line of such a file is one" if path.suffix.lower() == TOGETHER else ""
    return SourceList(path.name, str(path), read_list_file(path), options, side_by_side=together)


def names_list_file(spec: object) -> bool:
    """Tell whether a spec names a text file of sources that is there."""
    if not isinstance(spec, (str, Path)) or is_network(spec):
        return False
    if not str(spec).lower().endswith((TOGETHER, IN_TURN)):
        return False
    return local_path(spec).is_file()


def read_list_file(path: Path) -> list[Entry]:
    """Read the sources of a text file, UTF-8, one a line; empty lines and those that begin with `#` are left out.

    Relative paths are looked for beside the file first, then in the working directory.

    Raises:
        SourceError: it cannot be read.
        SourceFormatError: it is no text, or names no source.
        OptionError: a line is no source.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise SourceFormatError(f"{path} is no text in UTF-8; write one source on each line") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
    entries = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            entry = Entry(text, where=f"{path}, line {number}")
            with entry.named_in_errors():
                entries.append(replace(entry, spec=_located(text, path.parent)))
    if not entries:
        raise SourceFormatError(f"{path} names no source; write one on each line, such as rtsp://camera/stream or clip.mp4")
    return entries


def _located(text: str, folder: Path) -> str | Path:
    """Return the path that a line stands for, or the line itself where it is none."""
    if is_camera(text) or is_test_scene(text) or is_screen(text) or scheme_of(text):
        return text
    path = Path(text).expanduser()
    if path.is_absolute():
        return local_path(text)
    beside = folder / path
    if os.path.lexists(beside):
        return beside
    if is_pattern(text):
        pattern = Path(glob.escape(str(folder))) / path
        return path if not _matches(pattern) and _matches(path) else pattern
    return path if os.path.lexists(path) else folder / local_path(text)


def _matches(pattern: Path) -> bool:
    return next(glob.iglob(str(pattern), recursive=True), None) is not None


def _check(spec: Any) -> None:
    if isinstance(spec, (list, tuple)) or names_list_file(spec):
        inner = str(spec) if isinstance(spec, (str, Path)) else f"a {type(spec).__name__}"
        raise OptionError(f"{inner} in a list is a list itself; lists do not nest, write its entries into the outer one")
    if not (isinstance(spec, (Source, str, Path)) or is_picture(spec) or is_camera(spec)):
        raise OptionError(
            f"a {type(spec).__name__} in a list is no source of frames; "
            "lists hold camera numbers, paths, addresses, arrays, PIL images and sources"
        )


def _check_once(entries: Sequence[Entry]) -> None:
    seen = [entry.spec for entry in entries if isinstance(entry.spec, Source)]
    for place, source in enumerate(seen):
        if any(source is other for other in seen[:place]):
            raise OptionError(f"{source.info.name} is in the list twice; a source gives each of its frames once, open it twice")


def _name_of(spec: Any) -> str:
    return spec.info.name if isinstance(spec, Source) else shown(spec)


def _itself(source: Source) -> Source:
    return source
