"""Sessions without a window, and somebody who looks at them."""

import threading
import time

import numpy as np
import pytest

from framehook.app.session.picture import Viewport
from framehook.app.session.session import Session
from framehook.app.session.state import Phase
from framehook.inference.backends import FunctionBackend
from framehook.model import Model

PATIENCE = 60.0
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

    def key(self, place=0):
        """The key of a slot."""
        return self.state.slots[place].key

    def frames(self):
        """A list to which each frame is added that is played from now on, with its run: (predictor, frame)."""
        played = []
        self.session.callbacks.add("on_predict_batch_end", lambda predictor: played.append((predictor, predictor.frame)))
        return played

    def hold(self, spec=None, when=lambda results: True):
        """Pause at a frame, and look until that is what is shown: nothing is under way any more then.

        Args:
            spec: What to open first.
            when: Tells by its results which frame to pause at.
        """
        caught, go, at = threading.Event(), threading.Event(), []

        def catch(predictor):
            if not caught.is_set() and when(predictor.frame_results):
                at.extend((predictor.stats.frames, list(predictor.frame_results)))
                caught.set()
                assert go.wait(PATIENCE)

        handle = self.session.callbacks.add("on_predict_batch_end", catch)
        try:
            if spec is not None:
                self.session.open(spec)
            self.until(caught.is_set)
            self.session.pause()
            self.until(lambda: self.state.phase is Phase.PAUSED)
        finally:
            handle.remove()
            go.set()
        before, results = at
        self.until(lambda: self.session.figures().stats.frames == before + len(results))
        last = {slot.key: self.session.renderer.last(slot.key) for slot in self.state.slots}
        self.until(lambda: all(self.pictures.get(key, (None,))[0] is result for key, result in last.items()))

    def texts(self, level=None):
        return [note.text for note in self.notes if level is None or note.level is level]


@pytest.fixture
def cat_model():
    """A model that sees one cat in the middle, with a score of 0.9."""
    box = np.array([[[16.0], [16.0], [8.0], [8.0], [0.9]]], np.float32)
    backend = FunctionBackend(
        lambda tensor: [np.repeat(box, len(tensor), 0)],
        input_shape=(None, 3, 32, 32),
        output_shapes=[(None, 5, 1)],
        metadata={"names": "{0: 'cat'}"},
    )
    return Model(backend, decoder="yolo")


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
