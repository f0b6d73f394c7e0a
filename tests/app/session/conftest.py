"""Sessions without a window, and somebody who looks at them."""

import threading
import time

import pytest

from framehook.app.session.picture import Viewport
from framehook.app.session.session import Session

PATIENCE = 20.0
"""Seconds that anything may take on a machine that does much else."""


class Watcher:
    """Does what a window does: looks at every slot, takes pictures, paints them and gives them back."""

    def __init__(self, **options):
        self._woken = threading.Event()
        self.session = Session(self._woken.set, **options)
        self.notes = []
        self.pictures = {}
        self.painted = 0
        self.viewport = Viewport((320, 240))

    @property
    def state(self):
        return self.session.state

    def look(self):
        """Collect what is new."""
        renderer = self.session.renderer
        for slot in self.state.slots:
            renderer.look(slot.key, self.viewport)
        for picture in renderer.take():
            renderer.painted(picture, 1.0)
            self.pictures[picture.key] = picture.result, picture.pixels.copy()
            self.painted += 1
            renderer.give_back(picture)
        self.notes += self.session.take_notes()

    def until(self, what, seconds=PATIENCE):
        """Look until something is so, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            if time.monotonic() > deadline:
                pytest.fail(f"it did not come so far in {seconds} s: {self.state}; notes: {[note.text for note in self.notes]}")
            self._woken.wait(0.02)
            self._woken.clear()
            self.look()
        return found

    def shown(self, count=1):
        """Look until so many more pictures were painted."""
        wanted = self.painted + count
        self.until(lambda: self.painted >= wanted)

    def texts(self, level=None):
        return [note.text for note in self.notes if level is None or note.level is level]


@pytest.fixture
def watch():
    """Make sessions that are looked at, and closed at the end."""
    made = []

    def make(**options):
        made.append(Watcher(**options))
        return made[-1]

    yield make
    for watcher in made:
        assert watcher.session.close(PATIENCE)
