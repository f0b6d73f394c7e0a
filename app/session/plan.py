"""What is to play next, while it is being opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from framehook.app.session.opening import close_all
from framehook.app.session.slots import Opened
from framehook.inference.sources import Source


@dataclass(slots=True, eq=False)
class Plan:
    """What is to play in place of what plays.

    Attributes:
        wishes: What is to be opened, in the order in which it was wished for.
        at: Seconds at which files begin, by slot.
        paused: Whether it begins paused.
        release_first: Whether what plays holds what is wished for (a camera, say), so that its end comes first.
        begun: Whether it is being opened.
        open: What is open by now.
        failed: Why the others are not.
    """

    wishes: list[Opened]
    at: dict[str, float] = field(default_factory=dict)
    paused: bool = False
    release_first: bool = False
    begun: bool = False
    open: dict[int, list[Source]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything was opened, or has failed."""
        return all(wish.number in self.open or wish.number in self.failed for wish in self.wishes)

    def take(self, wish: Opened, sources: list[Source]) -> None:
        """Add something that is open already."""
        self.wishes = in_order([*self.wishes, wish])
        self.open[wish.number] = sources

    def discard(self) -> None:
        """Close what is open of it."""
        close_all(source for sources in self.open.values() for source in sources)
        self.open = {}


def in_order(wishes: Iterable[Opened]) -> list[Opened]:
    """Wishes in the order in which they were made, whichever was answered first."""
    return sorted(wishes, key=lambda wish: wish.number)
