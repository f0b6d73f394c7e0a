import numpy as np
import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QPalette
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from framehook.app.gui.panels.plot import Plot, powers_of_ten, round_steps
from framehook.app.gui.theme import apply_theme

from .panel_scenes import shown
from .view_scenes import seen

TIMES = ((0, "now"), (-60, "60 s ago"), (-40, "40 s"), (-20, "20 s"))


@pytest.fixture
def make_plot(qtbot):
    """Make plots, each in a panel, as large as it."""
    panels = []

    def make(width=240, height=140, points=0.0, high=1250.0):
        plot = Plot("Times", "Milliseconds")
        if points:
            font = plot.font()
            font.setPointSizeF(points)
            plot.setFont(font)
        plot.set_bottom(-60, 0, lambda _most: TIMES)
        plot.set_left(0, high, lambda most: round_steps(high, most))
        panel = QWidget()
        column = QVBoxLayout(panel)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(plot)
        panels.append(shown(qtbot, panel, width, height))
        return plot

    return make


def ink(plot):
    """Where something is written or drawn, the ground being one colour."""
    picture = seen(plot).astype(int)
    return np.abs(picture - picture[0, 0]).max(axis=2) > 90


def place(plot, x, y):
    at = plot.mapFromScene(plot.getPlotItem().vb.mapViewToScene(QPointF(x, y)))
    return at.x(), at.y()


def is_written(plot, values):
    """Whether there is ink to the left of the axis at these values, and it ends before the edge."""
    marks, corner = ink(plot), place(plot, -60, 0)[0]
    assert not marks[:, 0].any()
    assert not marks[0].any()
    assert not marks[:, -1].any()
    half = plot.fontMetrics().height() // 3
    rows = [place(plot, -60, value)[1] for value in values]
    return all(marks[max(row - half, 0) : row + half, : corner - 4].any() for row in rows)


@pytest.mark.parametrize("points", [0, 12, 18, 24])
def test_numbers_of_every_length_are_written_whole_at_every_font(make_plot, points):
    plot = make_plot(320, 240, points)
    left, _ = plot.written()
    assert len(left) > 1
    assert "1000" in left
    assert is_written(plot, map(float, left))
    plot.set_left(0, 40_000, lambda most: round_steps(40_000, most))
    left, _ = plot.written()
    assert max(map(len, left)) == 5
    assert is_written(plot, map(float, left))


@pytest.mark.parametrize("points", [0, 18])
def test_what_stands_at_both_ends_of_an_axis_is_written_whole(make_plot, points):
    plot = make_plot(320, 160, points)
    bottom = plot.written()[1]
    assert bottom[0] == "60 s ago"
    assert bottom[-1] == "now"
    marks, metrics = ink(plot), plot.fontMetrics()
    below = marks[place(plot, 0, 0)[1] + 4 :]
    for value, text in ((-60, "60 s ago"), (0, "now")):
        middle, half = place(plot, value, 0)[0], metrics.horizontalAdvance(text) // 2
        assert below[:, max(middle - half, 0) : middle - half // 2].any()
        assert below[:, middle + half // 2 : middle + half].any()
    assert not marks[:, 0].any()
    assert not marks[:, -1].any()


def test_texts_that_would_overlap_are_left_out_the_least_important_first(make_plot):
    assert make_plot(400).written()[1] == ["60 s ago", "40 s", "20 s", "now"]
    assert make_plot(130).written()[1] == ["60 s ago", "now"]


def test_a_larger_font_moves_the_axis(make_plot):
    plot = make_plot(320, 200)
    before = place(plot, -60, 0)[0]
    font = plot.font()
    font.setPointSizeF(24)
    plot.setFont(font)
    plot.repaint()
    assert is_written(plot, map(float, plot.written()[0]))
    assert place(plot, -60, 0)[0] > before


def test_it_follows_a_change_between_light_and_dark(qtbot, qapp, make_plot):
    plot = make_plot()
    for theme in ("dark", "light"):
        apply_theme(qapp, theme)
        qtbot.waitUntil(lambda: plot.grab().toImage().pixelColor(1, 1) == plot.palette().color(QPalette.ColorRole.Base))
        assert is_written(plot, [0.0])


@pytest.mark.parametrize(
    ("high", "most", "texts"),
    [
        (1.0, 3, ["0", "0.5", "1"]),
        (1.0, 6, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (6.8, 2, ["0", "5"]),
        (0.004, 5, ["0", "0.001", "0.002", "0.003", "0.004"]),
        (1250.0, 4, ["0", "500", "1000"]),
        (3, 4, ["0", "1", "2", "3"]),
    ],
)
def test_steps_are_round(high, most, texts):
    assert [text for _, text in round_steps(high, most)] == texts


def test_powers_of_ten_keep_the_highest():
    assert [text for _, text in powers_of_ten(-2, 3, 6)] == ["1000", "100", "10", "1", "0.1", "0.01"]
    assert [text for _, text in powers_of_ten(-2, 3, 4)] == ["1000", "10", "0.1"]
