import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QGuiApplication, QPalette
from PyQt6.QtWidgets import QCheckBox, QFrame, QLabel, QPushButton, QScrollArea

from framehook.app.gui.panels.performance import DROPPED, LINES, PAINT, PerformancePanel
from framehook.app.gui.theme import apply_theme
from framehook.app.session.state import Figures, PaintFigures
from framehook.inference.connection import SourceState
from framehook.inference.ledger import Cause, Ledger
from framehook.inference.stats import Latency, SourceStats, Stats

from .panel_scenes import LIVE, open_and_watch, quick_model, shown, slot, tell, texts
from .view_scenes import seen

SPEED = {"wait": 3.0, "preprocess": 0.84, "inference": 14.26, "postprocess": 0.6, "callbacks": 2.2, "consumer": 0.1}


@pytest.fixture
def panel(qtbot, bridge):
    tell(bridge, slots=(slot("1", "door"), slot("2", "yard", live=True)))
    return shown(qtbot, PerformancePanel(bridge), 320, 700)


def figures(skipped=4, speed=SPEED, paint_ms=1.25, **dropped):
    ledger = Ledger(1300, 1300 - sum(dropped.values()), {Cause(cause): number for cause, number in dropped.items()}, 0)
    source = slot("1", "door").source
    of_source = SourceStats(source, ledger, SourceState.CONNECTED, "", 1, 0, 0.01, 29.84, Latency(20, 30, 40))
    stats = Stats(
        frames=1200,
        fps_recent=29.94,
        latency=Latency(20, 30, 40),
        speed=speed,
        speed_recent=speed,
        sources={source.group: of_source},
    )
    painting = PaintFigures(1100, skipped, 29.51, Latency(33.6, 47.8, 61.2), paint_ms)
    return Figures(stats, painting, {"1": painting}, {"1": source.group})


def value(panel, name):
    (label,) = [label for label in panel.findChildren(QLabel) if label.accessibleName() == name]
    return label.text()


def box(panel, name):
    (found,) = [box for box in panel.findChildren(QCheckBox) if box.accessibleName() == f"Show {name} in the plot"]
    return found


def places(panel, colour):
    """The rows and columns in which a colour is in the plot."""
    return np.nonzero((seen(panel.plot)[..., ::-1] == QColor(colour).getRgb()[:3]).all(axis=2))


def amount(panel, colour):
    """How many pixels of a colour are in the plot."""
    return len(places(panel, colour)[0])


def line_colour(panel, name):
    icon = box(panel, name).icon().pixmap(32, 32).toImage()
    return icon.pixelColor(icon.width() // 2, icon.height() // 2).name()


def test_rates_latency_and_the_time_in_the_network_are_told(bridge, panel):
    assert value(panel, "Frame rate") == "-"
    bridge.figures_changed.emit(figures())
    assert value(panel, "Frame rate") == "29.9 delivered, 29.5 painted"
    assert value(panel, "Latency") == "p50 34, p95 48, p99 61 ms"
    assert value(panel, "Network") == "14.3 ms"


def test_each_stage_and_painting_has_its_time_beside_its_colour(bridge, panel):
    bridge.figures_changed.emit(figures())
    told = ["wait 3.0", "preprocess 0.8", "inference 14.3", "postprocess 0.6", "callbacks 2.2", "consumer 0.1", "paint 1.2"]
    assert texts(panel, QCheckBox) == told
    assert len({line_colour(panel, name) for name in LINES}) == len(LINES)


def test_frames_are_accounted_for_source_by_source_in_words(bridge, panel):
    bridge.figures_changed.emit(figures(overwritten=30, pace=2, stride=0))
    door = texts(panel, QLabel)
    assert "connected, 29.8 fps" in door
    (lines,) = [text.splitlines() for text in door if "delivered\n" in text]
    assert lines == [
        "1,268 of 1,300 frames delivered",
        "32 dropped:",
        "    30 overwritten by newer frames",
        "    2 too late for real time",
        "4 delivered, but skipped by the window",
    ]
    assert set(DROPPED) == set(Cause)


def test_a_source_says_how_it_stands_before_it_has_figures_and_when_it_is_lost(bridge, panel):
    assert texts(panel, QLabel).count("connected") == 2
    tell(bridge, slots=(slot("1", "door", live=True, connection=SourceState.RECONNECTING, reason="no answer for 5 s"),))
    assert "connection lost, trying again: no answer for 5 s" in texts(panel, QLabel)
    assert "yard" not in texts(panel, QLabel)


def test_the_plot_has_a_line_for_each_stage_that_is_ticked(qtbot, bridge, panel):
    for _ in range(3):
        bridge.figures_changed.emit(figures())
        qtbot.wait(20)
    inference = line_colour(panel, "inference")
    assert amount(panel, inference) > 1
    qtbot.mouseClick(box(panel, "inference"), Qt.MouseButton.LeftButton, pos=box(panel, "inference").rect().center() / 4)
    qtbot.waitUntil(lambda: not box(panel, "inference").isChecked())
    assert not amount(panel, inference)


def test_waiting_is_left_out_of_the_plot_until_it_is_ticked(qtbot, bridge, panel):
    for _ in range(2):
        bridge.figures_changed.emit(figures(speed={**SPEED, "wait": 1250.0}))
        qtbot.wait(20)
    wait = line_colour(panel, "wait")
    assert box(panel, "wait").text() == "wait 1250.0"
    assert not amount(panel, wait)
    assert "10000" not in panel.plot.written()[0]
    box(panel, "wait").click()
    assert amount(panel, wait)


def test_each_line_keeps_clear_of_the_others_however_much_they_differ(qtbot, bridge, panel):
    speed = {"wait": 1250.0, "preprocess": 20.0, "inference": 900.0, "postprocess": 0.6, "callbacks": 4.0, "consumer": 0.05}
    for _ in range(3):
        bridge.figures_changed.emit(figures(speed=speed, paint_ms=0.2))
        qtbot.wait(100)
    lines = ("inference", "preprocess", "callbacks", "postprocess", PAINT, "consumer")
    rows = [set(places(panel, line_colour(panel, name))[0].tolist()) for name in lines]
    assert all(len(each) == 2 for each in rows)  # as wide as a line is
    assert all(max(above) + 5 < min(below) for above, below in pairwise(rows))


@pytest.mark.parametrize("points", [0, 18])
def test_the_axes_are_written_whole_at_every_font(qtbot, bridge, points):
    panel = PerformancePanel(bridge)
    if points:
        font = panel.font()
        font.setPointSizeF(points)
        panel.setFont(font)
    shown(qtbot, panel, 500, 900)
    panel.lines["wait"].setChecked(True)
    bridge.figures_changed.emit(figures(speed={**SPEED, "wait": 1250.0}))
    left, bottom = panel.plot.written()
    assert left[-1] == "10000"
    assert (bottom[0], bottom[-1]) == ("60 s ago", "now")


@pytest.mark.parametrize(("width", "height"), [(1239, 150), (954, 180), (320, 500)])
def test_with_a_large_font_everything_is_reached_by_scrolling_down(qtbot, bridge, width, height):
    tell(bridge, slots=(slot("1", "door"),))
    panel = PerformancePanel(bridge)
    font = panel.font()
    font.setPointSizeF(18)
    panel.setFont(font)
    shown(qtbot, panel, width, height)
    bridge.figures_changed.emit(figures(overwritten=30))
    qtbot.wait(50)
    for area in panel.findChildren(QScrollArea):
        assert area.horizontalScrollBar().maximum() == 0
        assert area.focusPolicy() is Qt.FocusPolicy.NoFocus or area.accessibleName()
    (card,) = [each for each in panel.findChildren(QFrame) if each.accessibleName() == "Figures of door"]
    right = card.mapTo(panel, card.rect().topRight()).x()
    assert right < width
    assert all(each.width() >= each.sizeHint().width() for each in panel.findChildren(QPushButton))


def test_the_plot_follows_a_change_between_light_and_dark(qtbot, qapp, bridge, panel):
    def ground():
        return panel.plot.grab().toImage().pixelColor(2, 2)

    light = line_colour(panel, "callbacks")
    assert ground() == panel.palette().color(QPalette.ColorRole.Base)
    assert ground().lightness() > 200
    apply_theme(qapp, "dark")
    qtbot.waitUntil(lambda: ground().lightness() < 60)
    assert QColor(line_colour(panel, "callbacks")).lightness() > QColor(light).lightness()


def test_figures_can_be_copied_as_json(qtbot, bridge, panel):
    (button,) = [button for button in panel.findChildren(QPushButton) if button.text() == "Copy as JSON"]
    assert not button.isEnabled()
    bridge.figures_changed.emit(figures(overwritten=30))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    told = json.loads(QGuiApplication.clipboard().text())
    assert told["sources"][0]["dropped"] == {"overwritten": 30}
    assert told["painting"] == {
        "shown": 1100,
        "skipped": 4,
        "fps": 29.51,
        "paint_ms": 1.25,
        "latency_ms": {"p50": 33.6, "p95": 47.8, "p99": 61.2},
    }


def test_nothing_is_drawn_while_it_is_hidden_and_no_moment_is_lost(qtbot, bridge, panel):
    panel.hide()
    bridge.figures_changed.emit(figures())
    assert value(panel, "Frame rate") == "-"
    bridge.figures_changed.emit(figures())
    panel.show()
    assert value(panel, "Frame rate") == "29.9 delivered, 29.5 painted"
    assert amount(panel, line_colour(panel, "inference")) > 0


def test_what_was_not_measured_yet_is_left_out(bridge, panel):
    bridge.figures_changed.emit(figures(speed={}, paint_ms=None))
    assert value(panel, "Network") == "-"
    assert box(panel, "inference").text() == "inference"


@pytest.mark.parametrize(("width", "beside"), [(320, False), (960, True)])
def test_the_parts_stand_beside_each_other_where_there_is_width(qtbot, bridge, panel, width, beside):
    panel.resize(width, 180 if beside else 700)
    bridge.figures_changed.emit(figures())
    qtbot.waitUntil(lambda: (panel.plot.mapTo(panel, panel.plot.rect().topLeft()).x() > 150) is beside)
    right = max(each.mapTo(panel, each.rect().topRight()).x() for each in panel.findChildren(QCheckBox))
    assert right <= width


def test_figures_that_change_move_nothing_below_the_picture_and_most_of_the_width_is_the_plots(qtbot, bridge):
    panel = shown(qtbot, PerformancePanel(bridge), 950, 200)
    places = []
    for ms in (0.1, 900.0):
        now = figures(speed=dict.fromkeys(SPEED, ms))
        slow = replace(now.painting, latency=Latency(ms, 1.2 * ms, 1.3 * ms))
        bridge.figures_changed.emit(replace(now, painting=slow))
        qtbot.wait(20)
        labels = [each for each in panel.findChildren(QLabel) if each.accessibleName() in ("Frame rate", "Latency", "Network")]
        assert all(label.height() < 2 * label.fontMetrics().height() for label in labels)
        places.append([each.geometry() for each in (*labels, *panel.lines.values(), panel.plot)])
    assert places[0] == places[1]
    assert panel.plot.width() > 220


def test_the_figures_of_a_running_session_are_shown(qtbot, make_bridge):
    bridge = make_bridge(model=quick_model())
    panel = shown(qtbot, PerformancePanel(bridge), 320, 700)
    open_and_watch(qtbot, bridge, LIVE)
    qtbot.waitUntil(lambda: value(panel, "Frame rate").partition(" ")[0] not in ("-", "0.0"))
    assert any("frames delivered" in text for text in texts(panel, QLabel))
