"""While something takes long, a bar moves in the line at the bottom, and words say what is under way; then both are gone."""

import threading

import pytest
from PyQt6.QtWidgets import QProgressBar, QStatusBar

from framehook.app.session import opening
from framehook.app.session import session as session_module
from framehook.model import Model

from .panel_scenes import quick_model
from .view_scenes import seen, until
from .window_scenes import FILE, LIVE, open_source, status, views

PATIENCE = 120.0


class Gate:
    """What is called behind it waits until it is opened."""

    def __init__(self):
        self._open = threading.Event()
        self.waiting = threading.Event()

    def pass_through(self):
        self.waiting.set()
        assert self._open.wait(PATIENCE)

    def open(self):
        self._open.set()


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def slow_source(monkeypatch, gate):
    """A source that is opened once the gate is, as from a server that takes its time."""
    really = opening.open_sources

    def open_sources(spec):
        if spec == LIVE:
            gate.pass_through()
        return really(spec)

    monkeypatch.setattr(opening, "open_sources", open_sources)
    return LIVE


@pytest.fixture
def slow_model(monkeypatch, gate):
    """Models that are loaded once the gate is open, as large ones on a slow disk."""

    def load(spec, **options):
        gate.pass_through()
        return Model(quick_model().detector.backend, decoder="yolo") if spec == "large.onnx" else Model(spec, **options)

    monkeypatch.setattr(session_module, "Model", load)
    return "large.onnx"


def bar_of(window):
    return window.findChild(QStatusBar).findChild(QProgressBar)


def bar_is_seen(window):
    """Whether the bar stands in the line, as something that moves without an end to it."""
    bar = bar_of(window)
    if not bar.isVisible():
        return False
    assert bar.minimum() == bar.maximum() == 0
    assert bar.width() > 40
    assert bar.height() >= 6
    assert window.rect().contains(bar.geometry().translated(window.findChild(QStatusBar).pos()))
    assert bar.accessibleName()
    assert len({tuple(pixel) for pixel in seen(bar).reshape(-1, 3)}) > 1
    return True


def test_nothing_moves_while_nothing_is_under_way(window):
    until(lambda: window.bridge.state.model is not None)
    assert not bar_is_seen(window)
    open_source(window, FILE)
    assert not bar_is_seen(window)


def test_a_source_that_is_slow_to_open_is_seen_to_be_opened(window, slow_source, gate):
    until(lambda: window.bridge.state.model is not None)
    window.handlers.open_spec(slow_source)
    until(lambda: gate.waiting.is_set() and bar_is_seen(window))
    assert "Opening" in status(window)
    assert "testsrc:320x240@30:live…" in status(window)
    gate.open()
    until(lambda: status(window).startswith("Playing") and not bar_is_seen(window))
    assert "…" not in status(window)
    assert len(views(window)) == 1


def test_a_source_that_is_slow_to_open_beside_another_is_seen_to_be_opened(window, slow_source, gate):
    open_source(window, FILE)
    window.handlers.open_spec(slow_source, beside=True)
    until(lambda: gate.waiting.is_set() and bar_is_seen(window))
    assert status(window).startswith("Opening testsrc:320x240@30:live…")
    gate.open()
    until(lambda: len(views(window)) == 2)
    until(lambda: not bar_is_seen(window) and status(window).startswith("Playing"))


def test_a_model_that_is_slow_to_load_is_seen_to_be_loaded(window, slow_model, gate):
    open_source(window, FILE)
    window.bridge.session.use_model(slow_model)
    until(lambda: gate.waiting.is_set() and bar_is_seen(window))
    assert status(window).startswith("Loading large.onnx…")
    gate.open()
    until(lambda: status(window).startswith("Playing") and "large.onnx on cpu" in status(window))
    until(lambda: not bar_is_seen(window))
    assert "…" not in status(window)


def test_the_bar_stays_until_the_last_of_several_things_is_done(window, slow_source, gate, tmp_path):
    open_source(window, FILE)
    window.handlers.open_spec(slow_source)
    until(lambda: gate.waiting.is_set() and bar_is_seen(window))
    window.handlers.open_spec(tmp_path / "gone.mp4")  # is told at once
    until(lambda: len(window.bridge.state.busy) == 1 and window.bridge.session.state.busy == window.bridge.state.busy)
    gate.open()
    until(lambda: not bar_is_seen(window))
