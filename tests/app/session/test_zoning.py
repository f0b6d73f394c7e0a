"""Zones keep what they have counted for as long as they stay where they are, and leave with their slot."""

import threading
import time

import numpy as np
import pytest

from framehook.app.session.session import Session
from framehook.app.session.state import Phase
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import ZoneCounter
from framehook.model import Model

LIVE = "testsrc:320x240@30:live"
LEFT = ((0.0, 0.0), (0.45, 0.0), (0.45, 1.0), (0.0, 1.0))
RIGHT = ((0.55, 0.0), (1.0, 0.0), (1.0, 1.0), (0.55, 1.0))


class Scene:
    """A model that sees one object on the left for as long as it is `there`."""

    def __init__(self):
        self.there = True
        backend = FunctionBackend(
            self._compute,
            input_shape=(None, 3, 32, 32),
            output_shapes=[(None, 5, 1)],
            metadata={"names": "{0: 'person'}"},
        )
        self.model = Model(backend, decoder="yolo")

    def _compute(self, tensor):
        box = np.array([[[8.0], [16.0], [6.0], [6.0], [0.9 if self.there else 0.0]]], np.float32)
        return [np.repeat(box, len(tensor), 0)]


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def counted(watch, scene):
    """A slot whose left zone has counted one object, which has gone since; nothing was ever on the right."""
    watcher = watch(model=scene.model)
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.slots)
    key = watcher.state.slots[0].key
    watcher.session.set_zones(key, {"one": LEFT, "two": RIGHT})
    watcher.until(lambda: watcher.session.zone_counts(key)["one"]["entered"] == 1)
    scene.there = False
    watcher.until(lambda: watcher.session.zone_counts(key)["one"]["inside"] == 0)
    return watcher, key


def entered(watcher, key):
    return {name: counts["entered"] or 0 for name, counts in watcher.session.zone_counts(key).items()}


def test_a_zone_that_is_renamed_keeps_its_counts_and_goes_on_counting(counted, scene):
    watcher, key = counted
    watcher.session.set_zones(key, {"door": LEFT, "two": RIGHT})
    assert entered(watcher, key) == {"door": 1, "two": 0}
    assert watcher.session.zone_counts(key)["door"]["most"] == 1
    watcher.until(lambda: set(watcher.pictures[key][0].data["zones"]) == {"door", "two"})
    scene.there = True
    watcher.until(lambda: watcher.pictures[key][0].data["zones"]["door"]["inside"] == 1)


def test_counts_stay_where_they_were_counted_when_two_zones_change_names(counted):
    watcher, key = counted
    before = watcher.session.zone_colours(key)
    watcher.session.set_zones(key, {"one": RIGHT, "two": LEFT})
    assert entered(watcher, key) == {"one": 0, "two": 1}
    assert watcher.session.zone_colours(key) == {"one": before["two"], "two": before["one"]}


def test_a_zone_that_is_moved_begins_from_zero(counted):
    watcher, key = counted
    watcher.session.set_zones(key, {"one": ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0)), "two": RIGHT})
    assert entered(watcher, key) == {"one": 0, "two": 0}


def test_zones_that_are_set_while_their_slot_is_closed_go_with_it(watch, scene):
    watcher = watch(model=scene.model)
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.phase is Phase.PLAYING)
    key = watcher.state.slots[0].key

    class Meanwhile(dict):
        """Zones that are read only when the slot was closed."""

        def items(self):
            watcher.session.close_slot(key)
            watcher.until(lambda: watcher.state.phase is Phase.IDLE and not watcher.state.slots)
            return super().items()

    watcher.session.set_zones(key, Meanwhile(one=LEFT))
    assert not watcher.state.zones
    assert not watcher.session.zone_counts(key)
    assert not watcher.session.callbacks.objects(ZoneCounter)


def test_a_slot_is_gone_from_the_state_before_its_zones_are(scene):
    states, gone, made = [], threading.Event(), []

    def look():
        """What the session calls after each change."""
        if made:
            states.append(made[0].state)
            if states[-1].zones and not states[-1].slots:
                gone.set()

    session = Session(look, model=scene.model)
    made.append(session)
    session.open(LIVE)
    deadline = time.monotonic() + 60
    while not session.state.slots and time.monotonic() < deadline:
        time.sleep(0.01)
    (slot,) = session.state.slots
    session.set_zones(slot.key, {"one": LEFT})
    session.close_slot(slot.key)
    assert gone.wait(60)
    assert session.close(60)
    assert not session.state.zones


def test_zones_come_back_with_their_source(watch):
    watcher = watch()
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.slots)
    watcher.session.set_zones(watcher.state.slots[0].key, {"door": ((0.1, 0.1), (0.9, 0.9))})
    watcher.session.open("testsrc:160x120@30:live")
    watcher.until(lambda: watcher.state.slots[0].source.size == (160, 120))
    assert not watcher.state.zones
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.slots[0].source.size == (320, 240))
    key = watcher.state.slots[0].key
    assert watcher.state.zones == {key: {"door": ((0.1, 0.1), (0.9, 0.9))}}
    watcher.until(lambda: key in watcher.pictures and "door" in watcher.pictures[key][0].data.get("zones", {}))
    watcher.session.set_zones(key, {})
    watcher.session.close_slot(key)
    watcher.until(lambda: not watcher.state.slots)
    watcher.session.open(LIVE)
    watcher.until(lambda: watcher.state.slots)
    assert not any(watcher.state.zones.values())  # those that were deleted do not
