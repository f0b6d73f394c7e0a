"""Several files, one after another, as one source."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from framehook.inference.errors import OptionError, SourceError, SourceFormatError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources.base import Source, unique_id

_log = logging.getLogger("framehook")

Opener = Callable[[], Source]
_Taken = TypeVar("_Taken")

RECENT: Final = 64
"""Files of which it is remembered that they were played: more than can be read ahead, and few in a list of many thousand."""


class PlaylistSource(Source):
    """Plays sources in turn, each opened when its turn comes and closed before the next.

    Frames carry the `SourceInfo` of their own file and count from 0 in each. A file that cannot be read is logged and passed
    over, since one of many must not cost the others; if none can be read it is an error all the same.
    """

    def __init__(self, name: str, path: str, openers: Iterable[tuple[Opener, bool]], *, pictures: int | None = None) -> None:
        """Make a playlist.

        Args:
            name: Short name of the whole for people.
            path: Folder or pattern it was made of.
            openers: Functions that open its files, each with whether it waits for a server, which may take seconds.
            pictures: How many frames there are, if all files are stills.
        """
        kind = SourceKind.VIDEO if pictures is None else SourceKind.IMAGE
        self.info = SourceInfo(unique_id(name), name, path, kind, frame_count=pictures)
        self._openers = iter(openers)
        self._current: Source | None = None
        self._stopped = threading.Event()
        self._delivered = False
        self._unreadable: SourceError | None = None
        self._recent: deque[str] = deque(maxlen=RECENT)

    def has_played(self, source_id: str) -> bool:
        """Whether a file of that id is being played, or was a while ago; asked by who has several lists at once."""
        return source_id in tuple(self._recent)

    def read(self) -> Frame | None:
        return self._advance(lambda source: source.read())

    def skip(self) -> SourceInfo | None:
        return self._advance(lambda source: source.skip())

    def interrupt(self) -> None:
        self._stopped.set()
        current = self._current
        if current is not None:
            current.interrupt()

    def close(self) -> None:
        self._stopped.set()
        self._drop_current()

    def _advance(self, step: Callable[[Source], _Taken | None]) -> _Taken | None:
        while not self._stopped.is_set():
            try:
                if self._current is None:
                    opener = next(self._openers, None)
                    if opener is None:
                        break
                    opening, self.may_block = opener
                    self._current = self._checked(opening())
                    self.may_block = self._current.may_block
                    self._recent.append(self._current.info.id)
                    if self._stopped.is_set():  # meanwhile, with nothing there to be interrupted
                        self._drop_current()
                        break
                taken = step(self._current)
            except SourceError as error:
                self._drop_current()
                self._unreadable = error
                _log.warning("passed over: %s", error)
                continue
            if taken is not None:
                self._delivered = True
                return taken
            self._drop_current()
        if self._unreadable is not None and not self._delivered and not self._stopped.is_set():
            last, self._unreadable = self._unreadable, None
            raise SourceFormatError(f"nothing in {self.info.path} can be read; the last: {last}")
        return None

    def _checked(self, source: Source) -> Source:
        try:
            check_fits_list(source)
        except OptionError:
            source.close()
            raise
        return source

    def _drop_current(self) -> None:
        current, self._current = self._current, None
        if current is not None:
            current.close()


def check_fits_list(source: Source) -> None:
    """Refuse a source after which nothing else would ever come.

    Raises:
        OptionError: it is live, or never ends.
    """
    name = source.info.name
    if source.info.live or source.endless:
        why = "is live" if source.info.live else "never ends"
        raise OptionError(
            f"{name} {why}, so that what comes after it in a list would never be shown; "
            "write the list into a file that ends in .streams, whose sources run side by side"
        )
