import json
import os
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PyQt6.QtCore import QObject, Qt, QUrl, pyqtSlot
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QScrollBar,
)

from framehook.app.gui.panels.training import TrainingPanel
from framehook.app.gui.theme import apply_theme
from framehook.app.session.state import Level, ModelFacts
from framehook.app.session.trainings import MAP, MAP50, TrainingJob
from framehook.training.options import TrainOptions
from tests.app.session.training_child import COMMAND

from .panel_scenes import shown, tell, texts
from .view_scenes import seen
from .window_scenes import button

BEGIN = {"stage": "training", "epoch": 1, "epochs": 4, "batch": 0, "batches": 2, "device": "cpu", "losses": {}}
FILES = [{"write": "last.pt"}, {"write": "best.pt"}, {"best": "best.pt", "last": "last.pt"}]
BLUE = (255, 0, 0)


def epoch(number, map50=0.0, map50_95=0.0):
    losses = {"train/box_loss": 3.0 / number, "train/cls_loss": 2.0 / number, "val/box_loss": 4.0 / number}
    return {"ended": {"epoch": number, "figures": {**losses, MAP50: map50, MAP: map50_95}}}


@pytest.fixture
def make_panel(qtbot, bridge, store, tmp_path):
    """Make panels whose trainings only speak as one does; each ends with its test."""
    made = []

    def make(width=954, height=190, **how):
        bridge.session.folder = tmp_path / "saved"
        panel = TrainingPanel(bridge, store, **{"train": partial(TrainingJob, command=COMMAND), **how})
        made.append(panel)
        with qtbot.waitActive(shown(qtbot, panel, width, height)):
            panel.activateWindow()
        return panel

    yield make
    for panel in made:
        assert panel.close_down(60)


@pytest.fixture
def panel(make_panel):
    """The panel as it is below the picture, at first."""
    return make_panel()


@pytest.fixture
def play(panel, tmp_path):
    """Start a training that says these things."""

    def begin(*said):
        script(panel, tmp_path, *said)
        button(panel, "Start training").click()

    return begin


def script(panel, tmp_path, *said):
    """Have the next training say these things."""
    (tmp_path / "said.json").write_text(json.dumps(said))
    type_into(field(panel, "Dataset"), tmp_path / "said.json")


def field(panel, name):
    (found,) = [each for kind in (QLineEdit, QComboBox, QAbstractSpinBox) for each in panel.findChildren(kind)
                if each.accessibleName() == name]  # fmt: skip
    return found


def type_into(line, text):
    line.selectAll()
    line.insert(str(text))


def says(panel, text):
    """Whether something like this can be read."""
    return any(text in each for each in texts(panel, QLabel))


def wait_for(qtbot, panel, text):
    qtbot.waitUntil(lambda: says(panel, text))


def amount(panel, colour):
    """How many pixels of the panel have about this colour, blue first."""
    return int((np.abs(seen(panel).astype(int) - colour).max(axis=2) < 30).sum())


def there(panel, text):
    return [each for each in panel.findChildren(QPushButton) if each.isVisible() and each.text() == text]


# What is chosen --------------------------------------------------------------------------------------------------------------


def test_architectures_and_checkpoints_are_offered_and_the_open_model_first(bridge, panel, tmp_path, store):
    start = field(panel, "Start from")
    offered = [start.itemText(place) for place in range(start.count())]
    assert start.currentText() == "yolo11n, untrained"
    assert "yolo26n, untrained" in offered
    for name in ("mine.pt", "other.onnx"):
        (tmp_path / name).write_bytes(b"a model")
        tell(bridge, model=ModelFacts(name, tmp_path / name, "cpu", {}, "", ""))
        assert start.itemText(0) == ("mine.pt (the open model)" if name == "mine.pt" else "yolov8n, untrained")
    assert start.currentText() == "yolo11n, untrained"


def test_a_checkpoint_that_was_browsed_for_is_started_from(qtbot, panel, play, tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"weights")
    button(panel, "Browse for a checkpoint").click()
    chooser = panel.findChild(QFileDialog)
    chooser.fileSelected.emit(str(tmp_path / "mine.pt"))
    chooser.reject()
    assert field(panel, "Start from").currentText().startswith("mine.pt")
    play(BEGIN, {"wait": "stop"})
    wait_for(qtbot, panel, "mine.pt on said.json (cpu)")


def test_a_dataset_is_browsed_for_from_where_the_last_one_was(panel, tmp_path, store):
    for _ in range(2):
        button(panel, "Browse for a dataset").click()
        (chooser,) = [each for each in panel.findChildren(QFileDialog) if each.isVisible()]
        folder = chooser.directory().absolutePath()
        chooser.fileSelected.emit(str(tmp_path / "data.yaml"))
        chooser.reject()
    assert field(panel, "Dataset").text() == str(tmp_path / "data.yaml")
    assert Path(folder) == tmp_path


def test_the_example_set_is_drawn_and_chosen(qtbot, panel, tmp_path):
    button(panel, "Make the example set").click()
    assert there(panel, "Drawing…")
    qtbot.waitUntil(lambda: field(panel, "Dataset").text() != "")
    path = Path(field(panel, "Dataset").text())
    assert path.is_file()
    assert path.is_relative_to(tmp_path / "saved")
    assert there(panel, "Make the example set")[0].isEnabled()
    assert button(panel, "Start training").hasFocus()
    with qtbot.waitSignal(panel.form.wanted) as wanted:
        panel.form.submit()
    source, options = wanted.args
    assert source == "yolo11n.yaml"
    assert options["nbs"] == options["batch"] == 8  # else each epoch would be a single step


def test_an_example_set_that_cannot_be_drawn_is_said(qtbot, panel, tmp_path):
    (tmp_path / "saved").write_text("a file, no folder")
    button(panel, "Make the example set").click()
    wait_for(qtbot, panel, "saved")
    assert field(panel, "Dataset").text() == ""


def test_what_is_wrong_is_said_and_goes_with_a_change(panel, tmp_path):
    button(panel, "Start training").click()
    assert says(panel, "Choose a dataset first")
    assert field(panel, "Dataset").hasFocus()
    type_into(field(panel, "Dataset"), tmp_path / "data.yaml")
    assert not says(panel, "Choose a dataset first")
    field(panel, "Image size").setValue(100)
    button(panel, "Start training").click()
    assert says(panel, "100 is no multiple of 32; 96 is")
    assert not panel.is_training


def test_a_missing_package_is_said_at_once_with_what_to_install(make_panel, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # which is how Python notes that there is no such module
    panel = make_panel()
    assert says(panel, "trainings need torch, which is not installed; install with: pip install 'framehook[train]'")
    assert not button(panel, "Start training").isEnabled()


def test_what_was_chosen_last_is_offered_again(qtbot, panel, play, make_panel, tmp_path):
    start = field(panel, "Start from")
    start.setCurrentIndex(start.findText("yolo26s, untrained"))
    play(BEGIN, {"wait": "stop"})
    wait_for(qtbot, panel, "yolo26s on said.json")
    other = make_panel()
    assert field(other, "Start from").currentText() == "yolo26s, untrained"
    assert field(other, "Dataset").text() == str(tmp_path / "said.json")


# How it goes -----------------------------------------------------------------------------------------------------------------


def test_a_training_is_shown_from_its_beginning_to_its_end(qtbot, bridge, panel, play, tmp_path):
    cv2.imwrite(str(tmp_path / "blue.png"), np.full((100, 200, 3), BLUE, np.uint8))
    before = seen(panel)
    play(
        BEGIN,
        epoch(1, 0.5, 0.25),
        *FILES,
        {"copy": str(tmp_path / "blue.png"), "write": "found.png"},
        {"picture": "found.png"},
        {"epoch": 2, "batch": 1, "losses": {"train/box_loss": 1.7, "train/cls_loss": 1.2}, "left": 83.0},
        {"wait": "stop"},
        epoch(2, 0.75, 0.5),
        {"done": {"why": "stop"}},
    )
    wait_for(qtbot, panel, "Epoch 2 of 4, batch 1 of 2, 1:23 left")
    assert says(panel, "yolo11n on said.json (cpu)")
    assert says(panel, "box 1.700, cls 1.200")
    assert says(panel, "best mAP50-95 0.250, mAP50 0.500 in epoch 1")
    assert panel.progress.value() == pytest.approx(0.375 * panel.progress.maximum(), abs=1)
    assert amount(panel, BLUE) > 5000  # the picture
    assert not np.array_equal(seen(panel.curves), before[: panel.curves.height(), : panel.curves.width()])
    assert "mAP50 0.500, mAP50-95 0.250" in [each.accessibleDescription() for each in panel.findChildren(QLabel)]
    assert not there(panel, "Start training")
    with qtbot.waitSignal(bridge.noted, check_params_cb=lambda note: note.text.startswith("Saved")) as noted:
        button(panel, "Stop").click()
    assert noted.args[0].text.endswith("best.pt: best mAP50-95 0.500, mAP50 0.750 in epoch 2")
    wait_for(qtbot, panel, "Trained 2 epochs; it was stopped")
    assert not there(panel, "Stop")
    assert not panel.is_training
    button(panel, "New training…").click()
    assert there(panel, "Start training")


def test_curves_are_lines_of_their_colours_in_light_and_dark(qtbot, qapp, panel, play):
    play(BEGIN, *(epoch(number, 0.1 * number, 0.05 * number) for number in (1, 2, 3)), {"wait": "stop"})
    wait_for(qtbot, panel, "in epoch 3")
    for theme, losses, ground in (("light", (0xBD, 0x60, 0x17), 255), ("dark", (0xF5, 0xAE, 0x74), 0x17)):
        apply_theme(qapp, theme)
        qtbot.waitUntil(lambda: abs(int(np.median(seen(panel.curves))) - ground) < 12)  # noqa: B023 - waited for here
        assert amount(panel.curves, losses) > 100
    assert amount(panel.curves, (0x3D, 0xB3, 0xF2)) > 60


def test_the_weights_are_watched_and_exported_as_soon_as_they_are_there(qtbot, panel, play, tmp_path):
    play(BEGIN, {"wait": "stop"}, *FILES, {"wait": "for ever"})
    wait_for(qtbot, panel, "Epoch 1 of 4")
    for name in ("Watch it live", "Export…"):
        assert not button(panel, name).isEnabled()
    button(panel, "Stop").click()
    qtbot.waitUntil(lambda: button(panel, "Watch it live").isEnabled())
    best = str(tmp_path / "saved" / "trained" / "train" / "best.pt")
    for name, signal in (("Watch it live", panel.watch_requested), ("Export…", panel.export_requested)):
        with qtbot.waitSignal(signal) as wanted:
            button(panel, name).click()
        assert wanted.args == [best]


def test_a_training_that_does_not_end_when_it_is_told_to_is_ended_at_once(qtbot, panel, play):
    play(BEGIN, *FILES, {"wait": "for ever"})
    wait_for(qtbot, panel, "Epoch 1 of 4")
    button(panel, "Stop").click()
    wait_for(qtbot, panel, "Stopping…")
    button(panel, "Stop now").click()
    wait_for(qtbot, panel, "Stopped before the first epoch ended")
    assert button(panel, "Watch it live").isEnabled()


def test_a_training_that_was_stopped_goes_on_where_it_was(qtbot, make_panel, tmp_path):
    wanted = []

    def train(source, options, *rest, **how):
        wanted.append((source, options, how["before"]))
        return TrainingJob(source, {"data": str(tmp_path / "said.json"), **options}, *rest, command=COMMAND, **how)

    panel = make_panel(train=train)
    script(panel, tmp_path, BEGIN, epoch(1), *FILES, {"wait": "stop"}, {"done": {"why": "stop"}})
    button(panel, "Start training").click()
    wait_for(qtbot, panel, "best mAP50-95")
    button(panel, "Stop").click()
    wait_for(qtbot, panel, "Trained 1 epoch; it was stopped")
    (tmp_path / "said.json").write_text(json.dumps([{**BEGIN, "epoch": 2}, epoch(2), {"done": {"why": "epochs"}}]))
    button(panel, "Go on").click()
    wait_for(qtbot, panel, "Trained 2 epochs")
    last = str(tmp_path / "saved" / "trained" / "train" / "last.pt")
    ((source, options, before),) = wanted[1:]
    assert (source, options) == (last, {"resume": last})
    assert [each.epoch for each in before.history] == [1]


def test_a_failure_is_told_in_one_line_and_can_be_mended(qtbot, bridge, panel, play):
    with qtbot.waitSignal(bridge.noted, check_params_cb=lambda note: note.level is Level.ERROR) as noted:
        play({"print": "a library says"}, {"error": "data.yaml names no classes; add names:"})
    wait_for(qtbot, panel, "data.yaml names no classes; add names:")
    assert noted.args[0].text == "The training of yolo11n on said.json failed: data.yaml names no classes; add names:"
    assert "a library says" in noted.args[0].detail
    assert says(panel, "Failed")
    assert not there(panel, "Go on")
    button(panel, "New training…").click()
    assert button(panel, "Start training").isEnabled()


def test_the_folder_is_opened(qtbot, panel, play, tmp_path):
    class Opened(QObject):
        def __init__(self):
            super().__init__()
            self.urls = []

        @pyqtSlot(QUrl)
        def open(self, url):
            self.urls.append(url.toLocalFile())

    opened = Opened()
    play(BEGIN, {"wait": "stop"})
    wait_for(qtbot, panel, "Epoch 1 of 4")
    QDesktopServices.setUrlHandler("file", opened.open)
    try:
        button(panel, "Folder").click()
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert opened.urls == [str(tmp_path / "saved" / "trained" / "train")]


def test_seldom_used_options_are_folded_away_and_go_with_the_training(qtbot, panel, tmp_path):
    more = button(panel, "▸ Advanced")
    assert not field(panel, "Learning rate").isVisible()
    more.click()
    assert more.text() == "▾ Advanced"
    wanted = []
    panel.form.wanted.connect(lambda source, options: wanted.append(options))
    script(panel, tmp_path, BEGIN, {"wait": "stop"}, {"done": {"why": "stop"}})
    button(panel, "Start training").click()
    usual = TrainOptions()
    names = ("lr0", "optimizer", "patience", "workers", "seed", "mosaic")
    assert {name: wanted[0][name] for name in names} == {name: getattr(usual, name) for name in names}
    button(panel, "Stop").click()
    wait_for(qtbot, panel, "Stopped before")
    button(panel, "New training…").click()
    type_into(field(panel, "Learning rate"), "0.02")
    field(panel, "Optimizer").setCurrentText("SGD")
    for name, value in (("Patience", 7), ("Workers", 0), ("Seed", 3)):
        field(panel, name).setValue(value)
    panel.form.mosaic.click()
    button(panel, "Start training").click()
    told = {"lr0": 0.02, "optimizer": "SGD", "patience": 7, "workers": 0, "seed": 3, "mosaic": 0.0}
    assert {name: wanted[1][name] for name in names} == told


@pytest.mark.parametrize(("typed", "said"), [("quick", "'quick' is no number"), ("-1", "lr0=-1.0 is out of range")])
def test_a_learning_rate_that_is_none_is_said(panel, play, typed, said):
    button(panel, "▸ Advanced").click()
    type_into(field(panel, "Learning rate"), typed)
    play(BEGIN)
    assert says(panel, said)
    assert there(panel, "Start training")


# How it looks, and is reached ------------------------------------------------------------------------------------------------


def test_a_training_is_started_and_stopped_by_keys_alone(qtbot, panel, tmp_path):
    panel.setFocus()
    line = QApplication.focusWidget()
    assert line is field(panel, "Dataset")
    (tmp_path / "said.json").write_text(json.dumps([BEGIN, {"wait": "stop"}, {"done": {"why": "stop"}}]))
    qtbot.keyClicks(line, str(tmp_path / "said.json"))
    qtbot.keyClick(line, Qt.Key.Key_Return)
    wait_for(qtbot, panel, "Epoch 1 of 4")
    assert button(panel, "Stop").hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    wait_for(qtbot, panel, "Stopped before the first epoch ended")
    assert button(panel, "New training…").hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    assert button(panel, "Start training").hasFocus()


def test_every_control_has_a_name_a_tooltip_and_is_reached_by_the_tab_key(panel):
    controls = [each for kind in (QLineEdit, QComboBox, QAbstractSpinBox, QPushButton) for each in panel.findChildren(kind)]
    for control in controls:
        if isinstance(control.parent(), QAbstractSpinBox | QComboBox):  # whose own fields these are
            continue
        name = control.accessibleName() or control.text()
        assert name, control
        assert control.toolTip() or not control.isVisible(), name
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, name


@pytest.mark.parametrize(("width", "height"), [(954, 186), (320, 600)])
def test_nothing_is_cut_off_below_the_picture_or_beside_it(qtbot, make_panel, tmp_path, width, height):
    panel = make_panel(width, height)

    def cut_off():
        parts = [each for kind in (QPushButton, QLabel) for each in panel.findChildren(kind) if each.isVisible()]
        scrolls = [each for each in panel.findChildren(QScrollBar) if each.isVisible()]
        return scrolls + [each.text() for each in parts if not panel.rect().contains(each.geometry().translated(
                    each.parentWidget().mapTo(panel, each.parentWidget().rect().topLeft())))
                or (isinstance(each, QPushButton) and each.width() < each.sizeHint().width())]  # fmt: skip

    assert cut_off() == []
    script(panel, tmp_path, BEGIN, epoch(1, 0.5, 0.25), *FILES, {"wait": "stop"}, {"done": {}})
    button(panel, "Start training").click()
    wait_for(qtbot, panel, "best mAP50-95")
    assert cut_off() == []
    assert (panel.sample.x() > panel.curves.x() > 0) is (width > 760)
    button(panel, "Stop").click()
    qtbot.waitUntil(lambda: bool(there(panel, "Go on")))
    assert cut_off() == []


@pytest.mark.parametrize(("points", "height"), [(0, 130), (0, 186), (18, 142)])
def test_the_button_that_starts_is_always_there_and_fields_scroll_above_it(qtbot, make_panel, points, height):
    panel = make_panel(1239, height)
    font = panel.font()
    font.setPointSizeF(points or font.pointSizeF())
    panel.setFont(font)
    panel.form.more.click()
    qtbot.waitUntil(lambda: panel.form.lr0.isVisible())
    go = button(panel, "Start training")
    QApplication.processEvents()
    assert go.mapTo(panel, go.rect().bottomLeft()).y() < height
    for name in ("Seed", "Dataset"):
        reached = field(panel, name)
        reached.setFocus(Qt.FocusReason.TabFocusReason)
        panel.form._fields.ensureWidgetVisible(reached)
        assert not reached.visibleRegion().isEmpty()
    for area in panel.findChildren(QScrollArea):
        assert area.focusPolicy() is Qt.FocusPolicy.NoFocus


def test_plots_have_titles_and_sensible_axes_before_and_while_something_is_trained(qtbot, panel, play):
    titles = ["<b>Losses</b> ", "<b>Accuracy</b> mAP"]
    for wanted in (["epoch"], ["epoch", "1", "2", "3", "4"]):
        left, bottom = panel.curves.accuracy.plot.written()
        assert (left[0], left[-1]) == ("0", "1")
        assert bottom == wanted
        assert panel.curves.losses.plot.written()[1] == wanted
        assert [text for text in texts(panel, QLabel) if text in titles] == titles
        if wanted == ["epoch"]:
            play(BEGIN, epoch(1, 0.5, 0.25), {"wait": "stop"})
            wait_for(qtbot, panel, "in epoch 1")


# In the window ---------------------------------------------------------------------------------------------------------------


def test_the_first_screen_leads_to_it(qtbot, window):
    window.docks.panel("Training").hide()
    button(window, "Train a model on pictures of your own…").click()
    qtbot.waitUntil(lambda: window.training.isVisible())
    assert field(window, "Dataset").hasFocus()


@pytest.mark.skipif(sys.platform == "win32", reason="there a process cannot be asked for like this")
def test_a_training_ends_with_the_window(qtbot, window, tmp_path):
    pytest.importorskip("torch")
    window.training.begin("yolo11n.yaml", {"data": str(tmp_path / "data.yaml")})
    qtbot.waitUntil(lambda: window.training.pid is not None)
    pid = window.training.pid
    window.close()
    assert window.ended
    assert window.training.close_down(60)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
