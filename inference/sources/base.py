"""What a source is: an iterator of frames that knows what it is."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from framehook.inference.connection import Watcher
from framehook.inference.errors import SeekError
from framehook.inference.frame import Frame, SourceInfo

_ids = itertools.count(1)


def unique_id(name: str) -> str:
    """Return an id that no other source of this process has, recognisable by its name: `clip.mp4#3`."""
    return f"{name}#{next(_ids)}"


class Source(ABC):
    """Frames from one place, in order.

    A source is read by one thread at a time; only `interrupt` may be called from another one. It is open when made, and closing
    it twice is fine. What happens to frames that nobody takes in time is not its concern (see `framehook.inference.feed`).

    Attributes:
        info: What is known of it; frames of a list of files carry the info of their own file.
        seekable: Whether `seek` works.
        endless: Whether it never ends by itself (cameras, streams, an endless test scene).
        may_block: Whether a `read` may wait for something that never comes, even after `interrupt`: a camera, a server, a
            user's iterable. The end of a run does not wait for it.
        tells_state: Whether it tells `watch` by itself that it is connected, stalled or reconnecting. Of all others it is
            assumed that they are connected once they are open. That a source has ended is told by `read`.
        connections: How often it connected so far.
        failures: Attempts to connect that failed since it was last connected.
    """

    info: SourceInfo
    seekable: bool = False
    endless: bool = False
    may_block: bool = False
    tells_state: bool = False
    connections: int = 1
    failures: int = 0

    @abstractmethod
    def read(self) -> Frame | None:
        """Return the next frame, or None at the end.

        Raises:
            SourceError: the source failed.
            FrameError: what was captured is no picture.
        """

    def skip(self) -> SourceInfo | None:
        """Pass over the next frame as cheaply as the source can; return whose frame it was, or None at the end."""
        frame = self.read()
        return None if frame is None else frame.source

    def seek(self, seconds: float) -> None:
        """Go to the frame shown at `seconds` of media time; the frames that follow are of a new `segment`.

        Raises:
            SeekError: the source has no positions.
        """
        raise SeekError(f"{self.info.name} cannot seek; only video files and test scenes with a length can")

    def watch(self, watcher: Watcher) -> None:
        """Have `watcher(state, reason)` called with every change, and at once where it is connected already.

        It may be called from any thread, before this returns or after. Only sources that tell their state have any.
        """

    def interrupt(self) -> None:
        """Make a `read` that blocks in another thread return soon; it may be called again, and after `close`."""

    @abstractmethod
    def close(self) -> None:
        """Release the camera, file or connection."""

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        frame = self.read()
        if frame is None:
            raise StopIteration
        return frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
