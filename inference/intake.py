"""The frames of all sources of a run: taken in turn, never waiting for the slowest."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from framehook.inference.connection import SourceChange, SourceState, Standing
from framehook.inference.errors import OptionError, RunError, SeekError, did_you_mean, one_line
from framehook.inference.feed import ABANDON_SECONDS, FILE_SECONDS, Feed, Taken
from framehook.inference.frame import SourceInfo
from framehook.inference.gate import Gate

FORMER: Final = 100
"""Sources that were removed, and of which it is known how they stood in the end."""

log = logging.getLogger("framehook")


class Intake:
    """All feeds of a run behind one gate, round-robin over what is ready.

    `next`, `ready` and `close` belong to the thread that advances the run, everything else may be called from any thread.

    A source that fails ends; the others go on, and it is logged. A run all of whose sources have failed has failed: `failures`
    tells of what.

    Attributes:
        gate: Pauses, steps and stops the run.
    """

    def __init__(self, gate: Gate, feeds: Sequence[Feed]) -> None:
        """Take over the feeds, which are behind this gate; nothing is read before `next`."""
        self.gate = gate
        self._feeds = list(feeds)
        self._turns = deque(self._feeds)
        self._closed = False
        self._farewells: deque[SourceChange] = deque(maxlen=FORMER)  # of sources that were removed
        self._former: deque[Standing] = deque(maxlen=FORMER)
        self._due: set[Feed] = set()  # whose turn it is alone while the run steps from one to the other

    # What there is --------------------------------------------------------------------------------------------------------

    @property
    def feeds(self) -> Sequence[Feed]:
        """The feed of each source, in the order in which they were added."""
        return tuple(self._feeds)

    @property
    def standings(self) -> list[Standing]:
        """How each source stands, those that were removed first."""
        with self.gate.changed:
            return [*self._former, *(feed.standing() for feed in self._feeds)]

    @property
    def overlaps(self) -> bool:
        """Whether frames may be computed side by side: all sources that go on are files, read as fast as can be."""
        with self.gate.changed:
            going_on = [feed for feed in self._feeds if not feed.over]
        return bool(going_on) and all(feed.overlaps for feed in going_on)

    @property
    def failures(self) -> list[Exception]:
        """What the sources failed with, if all of them did."""
        with self.gate.changed:
            failed = [feed.failure for feed in self._feeds if feed.failure is not None]
            return list(failed) if len(failed) == len(self._feeds) else []

    def ready(self) -> bool:
        """Whether `next` would return at once."""
        with self.gate.changed:
            return self.gate.stopped or self._has_news() or self._next_ready() is not None or self._all_over()

    def find(self, which: str | SourceInfo) -> Feed:
        """The feed of a source, named by its `SourceInfo`, its id or, where only one has it, its name.

        Raises:
            OptionError: there is none, or several have that name.
        """
        if isinstance(which, SourceInfo):
            which = which.id
        with self.gate.changed:
            infos = {feed: feed.source.info for feed in self._feeds}
        found = [feed for feed, info in infos.items() if info.id == which] or [
            feed for feed, info in infos.items() if which in (info.name, info.path)
        ]
        if len(found) == 1:
            return found[0]
        ids = ", ".join(info.id for info in infos.values()) or "none"
        if found:
            raise OptionError(f"several sources of this run are called '{which}'; name one by its id: {ids}")
        raise OptionError(f"no source of this run is called '{which}'.{did_you_mean(which, ids)} Its sources are {ids}")

    # Taking ---------------------------------------------------------------------------------------------------------------

    def next(self, count: int) -> list[Taken] | SourceChange | None:
        """Wait for frames, or for something to tell.

        Args:
            count: So many frames at most: all of them from files, as far as they go; what is ready where a source is live.

        Returns:
            Frames of one or several sources, at least one; or a change of a source, in its place between the frames; or None
            once the run is stopped or all sources are over.
        """
        taken: list[Taken] = []
        while len(taken) < count:
            found = self._wait(patient=not taken or self.overlaps, telling=not taken)
            if isinstance(found, SourceChange):
                self._log(found)
                return found
            if found is None:
                break
            item = found.take()
            if item is not None:
                taken.append(item)
                for stale in [each for each in taken if each.outdated]:
                    taken.remove(stale)
                    stale.drop()
        return taken or None

    def conclude(self) -> bool:
        """Whether nothing is left to take, and nothing can be added any more; asked when `next` gave nothing."""
        with self.gate.changed:
            self._closed = self.gate.stopped or (self._all_over() and not self._has_news())
            return self._closed

    def _wait(self, *, patient: bool, telling: bool) -> Feed | SourceChange | None:
        """The feed whose turn it is; a change, if `telling`; None where the frames end, for now or for good."""
        gate = self.gate
        with gate.changed:
            try:
                while not gate.stopped:
                    if gate.admit():
                        if self._has_news():
                            return self._news() if telling else None
                        feed = self._next_ready()
                        if feed is not None:
                            self._due.discard(feed)
                            self._turns.remove(feed)
                            self._turns.append(feed)
                            return feed
                        if not patient or self._all_over():
                            return None
                        if not gate.waiting:
                            gate.waiting = True
                            gate.changed.notify_all()
                    gate.changed.wait()
            finally:
                gate.waiting = False
        return None

    def _next_ready(self) -> Feed | None:
        """The first in turn that has a frame; all are asked, as the first question starts a feed. Holds the condition."""
        ready = [feed for feed in self._turns if feed.ready() and (not self._due or feed in self._due)]
        return ready[0] if ready else None

    def _all_over(self) -> bool:
        return all(feed.over for feed in self._feeds)

    def _has_news(self) -> bool:
        return bool(self._farewells) or any(feed.has_notice for feed in self._feeds)

    def _news(self) -> SourceChange:
        if self._farewells:
            return self._farewells.popleft()
        return next(feed for feed in self._feeds if feed.has_notice).notice()

    def _log(self, change: SourceChange) -> None:
        name = change.source.name
        if change.state is SourceState.ENDED:
            # The run goes on, or has had another source that did well; where all have failed it ends with their errors.
            if not self.failures:
                self._log_failures()
        elif change.state in (SourceState.STALLED, SourceState.RECONNECTING):
            log.warning("%s: %s%s", name, change.state, f" ({change.reason})" if change.reason else "")
        elif change.connections > 1:
            log.info("%s: connected again", name)

    def _log_failures(self) -> None:
        """Log what sources failed with, each once."""
        with self.gate.changed:
            failed = [feed for feed in self._feeds if feed.failure is not None and not feed.reported]
            for feed in failed:
                feed.reported = True
        for feed in failed:
            name, text = feed.source.info.name, one_line(feed.failure)
            log.warning("%s", text if name in text else f"{name}: {text}")

    # Controls -------------------------------------------------------------------------------------------------------------

    def add(self, feed: Feed) -> None:
        """Take frames from one more source.

        Raises:
            RunError: the run is over; the feed stays the caller's.
        """
        self._log_failures()  # the run goes on: nobody raises them
        with self.gate.changed:
            if self._closed or self.gate.stopped:
                raise RunError(f"{feed.source.info.name} cannot be added to a run that is over; start another run")
            self._feeds.append(feed)
            self._turns.append(feed)
            self.gate.changed.notify_all()

    def remove(self, which: str | SourceInfo) -> None:
        """Take nothing more from a source, and release it; those of its frames that are under way are not delivered.

        Raises:
            OptionError: there is no such source.
        """
        feed = self.find(which)
        self._log_failures()
        with self.gate.changed:
            if feed not in self._feeds:
                return  # somebody else was faster
            if not feed.over:
                feed.note(SourceState.ENDED, "removed")
            self._former.append(feed.standing())
            self._feeds.remove(feed)
            self._turns.remove(feed)
            while feed.has_notice:
                self._farewells.append(feed.notice())
            self.gate.changed.notify_all()
        feed.shut()
        feed.join(time.monotonic() + _patience(feed))

    def stop(self) -> None:
        """End the run: waits return now, and `next` gives no more frames."""
        if self.gate.stop():
            for feed in self.feeds:
                feed.source.interrupt()

    def pause(self) -> None:
        """Hold the run before its next batch."""
        with self.gate.changed:
            for feed in self._feeds:
                feed.pause()
            self._due.clear()
            self.gate.pause()

    def resume(self) -> None:
        """Go on."""
        with self.gate.changed:
            self._due.clear()
            self.gate.resume()

    def step(self, count: int, which: Sequence[str | SourceInfo] | None = None) -> None:
        """Pause, and let `count` batches through; or one frame of each of these sources.

        Raises:
            OptionError: there is no such source.
        """
        due = {self.find(each) for each in which or ()}
        with self.gate.changed:
            if not self.gate.paused:
                self.pause()
            self._due |= {feed for feed in due if not feed.over}
            self.gate.step(count if which is None else len(due))

    def seek(self, seconds: float, which: str | SourceInfo | None = None) -> None:
        """Go to a media time, in one source or in all that have positions.

        Raises:
            SeekError: none has, or `seconds` is no time.
            OptionError: there is no such source.
        """
        feeds = [self.find(which)] if which is not None else list(self.feeds)
        movable = [feed for feed in feeds if feed.source.seekable]
        if not movable and len(feeds) != 1:
            raise SeekError("none of the sources can seek; only video files and test scenes with a length can")
        for feed in movable or feeds:
            feed.seek(seconds)

    def close(self) -> None:
        """Stop reading, count what was read ahead as stopped, and release the sources."""
        self.stop()
        with self.gate.changed:
            self._closed = True
            feeds = self.feeds
        with ExitStack() as each_of_them:  # should Ctrl-C interrupt one
            began = time.monotonic()
            for feed in feeds:
                each_of_them.callback(feed.join, began + _patience(feed))
            for feed in feeds:
                each_of_them.callback(feed.shut)


def _patience(feed: Feed) -> float:
    """How long closing waits for a read, seconds."""
    return ABANDON_SECONDS if feed.source.may_block else FILE_SECONDS
