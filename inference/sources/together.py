"""Opening several sources at once, all or none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from framehook.inference.errors import one_line
from framehook.inference.sources.base import Source
from framehook.inference.sources.playlist import Opener

_log = logging.getLogger("framehook")


@dataclass(slots=True)
class _Work:
    """What the threads share with who waits for them; they know nothing else, so that they can be let go of."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    opened: dict[int, Source] = field(default_factory=dict)
    failures: dict[int, BaseException] = field(default_factory=dict)
    cancelled: bool = False


def open_together(openers: Sequence[tuple[Opener, bool]]) -> list[Source]:
    """Open sources, and return them in order; where one fails, those that are open already are closed.

    Those marked as slow (servers, which may take seconds to answer) are opened at the same time, however many they are, by a
    thread each, after the others: all of them together take no longer than the slowest, and an interrupt from the keyboard
    need not wait for them. What they open after that is closed at once.

    Raises:
        BaseException: what the first opener that failed raised.
    """
    opened: dict[int, Source] = {}
    try:
        for place, (opener, slow) in enumerate(openers):
            if not slow:
                opened[place] = opener()
        opened |= _at_once({place: opener for place, (opener, slow) in enumerate(openers) if slow})
    except BaseException:
        _close(opened.values())
        raise
    return [opened[place] for place in range(len(openers))]


def _at_once(openers: dict[int, Opener]) -> dict[int, Source]:
    work = _Work()
    try:
        for place, opener in openers.items():
            threading.Thread(target=_open, args=(work, place, opener), name="framehook-open", daemon=True).start()
        with work.changed:
            work.changed.wait_for(lambda: work.failures or len(work.opened) == len(openers))
        if work.failures:
            raise work.failures[min(work.failures)]
    except BaseException:
        with work.changed:
            work.cancelled = True
        _close(work.opened.values())
        raise
    return work.opened


def _open(work: _Work, place: int, opener: Opener) -> None:
    try:
        source = opener()
    except BaseException as error:  # noqa: BLE001 - it is raised by who waits
        with work.changed:
            work.failures[place] = error
            work.changed.notify_all()
        return
    if not _kept(work, place, source):
        _close([source])


def _kept(work: _Work, place: int, source: Source) -> bool:
    with work.changed:
        if work.cancelled:
            return False
        work.opened[place] = source
        work.changed.notify_all()
        return True


def _close(sources: Collection[Source]) -> None:
    for source in sources:
        with suppress(Exception):
            source.interrupt()  # all of them first, so that they end at the same time
    for source in sources:
        try:
            source.close()
        except Exception as error:  # noqa: BLE001 - the others are to be closed as well
            _log.warning("%s could not be closed: %s", source.info.name, one_line(error))
