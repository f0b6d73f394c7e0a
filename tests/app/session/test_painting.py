"""What a paint meter tells of the pictures that were painted."""

import pytest

from framehook.app.session.painting import WINDOW, PaintMeter
from framehook.app.session.state import PaintFigures


def test_before_the_first_picture_nothing_is_claimed():
    assert PaintMeter().figures(5.0) == PaintFigures(shown=0, skipped=0, fps=0.0, latency=None, paint_ms=None)


def test_shown_and_skipped_results_are_counted_apart():
    meter = PaintMeter()
    for number in range(10):
        meter.show(number / 10, 2.0, 40.0)
    for _ in range(3):
        meter.skip()
    figures = meter.figures(1.0)
    assert (figures.shown, figures.skipped) == (10, 3)


def test_latency_and_painting_time_are_those_of_the_pictures():
    meter = PaintMeter()
    for number in range(1, 101):
        meter.show(number / 20, 1.0 if number <= 60 else 50.0, float(number))
    figures = meter.figures(5.0)
    assert figures.latency.p50 == pytest.approx(50.5)
    assert figures.latency.p95 == pytest.approx(95.05)
    assert figures.paint_ms == 1.0


def test_a_window_that_has_become_slow_tells_so_within_seconds():
    meter = PaintMeter()
    for number in range(600):
        meter.show(number / 30, 2.0, 20.0)
    for number in range(60):
        meter.show(20 + number / 5, 200.0, 400.0)
    figures = meter.figures(32.0)
    assert figures.latency.p50 == 400.0
    assert figures.paint_ms == 200.0


def test_a_picture_that_nobody_waited_for_has_no_latency_but_counts():
    meter = PaintMeter()
    meter.show(1.0, 2.0, None)
    figures = meter.figures(1.0)
    assert figures.shown == 1
    assert figures.latency is None
    assert figures.paint_ms == 2.0


def test_the_rate_is_that_of_the_pictures_and_sinks_when_none_come():
    meter = PaintMeter()
    for number in range(200):
        meter.show(number / 25, 2.0, 40.0)
    assert meter.figures(199 / 25).fps == pytest.approx(25)
    assert meter.figures(199 / 25 + 10).fps < 6


def test_old_pictures_are_forgotten_but_stay_counted():
    meter = PaintMeter()
    for number in range(WINDOW):
        meter.show(number / 30, 2.0, 1000.0)
    for number in range(WINDOW, 2 * WINDOW):
        meter.show(number / 30, 3.0, 10.0)
    figures = meter.figures(2 * WINDOW / 30)
    assert figures.shown == 2 * WINDOW
    assert figures.latency.p99 == 10.0
    assert figures.paint_ms == 3.0
