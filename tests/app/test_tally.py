"""What is counted for the summary, and how it is worded."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from framehook.app import tally as module
from framehook.app.summary import _figures, counted, duration, listed
from framehook.app.tally import Tally
from framehook.inference.boxes import Boxes
from framehook.inference.connection import SourceState
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.ledger import Cause, Ledger
from framehook.inference.result import Result
from framehook.inference.stats import SourceStats, Stats

NAMES = {0: "person", 1: "car"}


def result(*ids, source="a", cls=0):
    info = SourceInfo(source, source, source, SourceKind.VIDEO)
    frame = Frame.of(np.zeros((8, 8, 3), np.uint8), index=0, source=info, pts=None, captured_at=0.0)
    count = len(ids)
    boxes = Boxes(np.tile([0.0, 0, 4, 4], (count, 1)), np.ones(count), np.full(count, cls), np.array(ids), orig_shape=(8, 8))
    return Result(frame, boxes, NAMES)


def count(tally, *results):
    tally.on_predict_batch_end(SimpleNamespace(frame_results=list(results), stop=lambda: None))


def test_a_track_is_counted_once_and_only_when_confirmed():
    tally = Tally()
    count(tally, result(1, -1))
    count(tally, result(1, 2))
    assert tally.tracks == {"person": 2}
    assert tally.boxes == {"person": 4}


def test_tracks_of_two_sources_with_one_number_are_two():
    tally = Tally()
    count(tally, result(1, source="a"), result(1, source="b", cls=1))
    assert tally.tracks == {"person": 1, "car": 1}


def test_tracks_known_by_number_are_bounded_while_those_in_sight_stay_known(monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 10)
    tally = Tally()
    for number in range(1, 100):
        count(tally, result(0, number))
    assert tally.tracks == {"person": 100}
    assert len(tally._known) == 10


def test_the_run_is_stopped_at_the_limit():
    stops = []
    tally = Tally(limit=2)
    predictor = SimpleNamespace(frame_results=[result(1)], stop=lambda: stops.append(tally.frames))
    tally.on_predict_batch_end(predictor)
    assert stops == []
    tally.on_predict_batch_end(predictor)
    assert stops == [2]


@pytest.mark.parametrize(
    ("number", "name", "text"),
    [(1, "person", "1 person"), (2, "person", "2 people"), (3000, "car", "3,000 cars"), (2, "bus", "2 buses")],
)
def test_counts_in_words(number, name, text):
    assert counted(number, name) == text


def test_lists_begin_with_the_most_frequent_and_do_not_run_on():
    assert listed(Counter()) == "nothing"
    assert listed(Counter(car=1, person=2)) == "2 people, 1 car"
    assert listed(Counter(a=5, b=4, c=3, d=2), most=2) == "5 as, 4 bs, 2 other classes"


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")])
def test_durations_in_words(seconds, text):
    assert duration(seconds) == text


def test_frames_nobody_wanted_are_not_dropped_and_the_figures_add_up():
    ledger = Ledger(captured=40, delivered=10, dropped={Cause.STRIDE: 20, Cause.STOPPED: 3, Cause.OVERWRITTEN: 7})
    stats = Stats(frames=10, elapsed=1.0, fps=10.0, sources={"a": _of_source(ledger)})
    assert dict(_figures(stats, Tally()))["dropped"] == "7 of 17 frames (7 overwritten)"
    wanted = _of_source(replace(ledger, dropped={Cause.STRIDE: 30}))
    assert "dropped" not in dict(_figures(replace(stats, sources={"a": wanted}), Tally()))


def _of_source(ledger):
    return SourceStats(SourceInfo("a", "a", "a", SourceKind.VIDEO), ledger, SourceState.ENDED)
