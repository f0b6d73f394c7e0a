import io
import re

import pytest
from rich.console import Console

from framehook.training.callbacks import progress_bar
from framehook.training.callbacks.progress_bar import ProgressBar, duration
from framehook.training.options import TrainOptions

from .driven import Driven

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def always(monkeypatch):
    """Every batch is shown, however quick."""
    monkeypatch.setattr(progress_bar, "EVERY", 0.0)


def on_terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=24, color_system=None, legacy_windows=False)


def on_file():
    return Console(file=io.StringIO(), width=40)


def test_without_a_terminal_there_is_one_line_an_epoch(tmp_path):
    console = on_file()
    Driven(tmp_path, [ProgressBar(console)], epochs=12, val_period=2).run()
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 12
    assert re.fullmatch(r"epoch  1/12  box 1\.714  cls 1\.143  dfl 0\.5714  [\d.]+ s  [\d.]+ s left", lines[0])
    assert re.fullmatch(r"epoch  2/12  box 1\.091 .* mAP50 0\.360  mAP50-95 0\.180  [\d.]+ s  [\d.]+ s left", lines[1])
    assert re.fullmatch(r"epoch 12/12 .* mAP50-95 0\.466  [\d.]+ s", lines[-1])
    assert "\x1b" not in console.file.getvalue()


@pytest.mark.usefixtures("always")
def test_on_a_terminal_bars_show_epochs_batches_losses_and_validation(tmp_path):
    console = on_terminal()
    Driven(tmp_path, [ProgressBar(console)], epochs=2, batches=3).run()
    shown = console.file.getvalue()
    assert re.search(r"training .* 0/2 .* left", shown)
    assert re.search(r"training .* 1/2 .* left", shown)
    assert re.search(r"epoch 2/2 .* 3/3 +box 1\.125  cls 0\.75  dfl 0\.375", shown)
    assert re.search(r"validation .* 2/2", shown)
    assert shown.count("mAP50-95 0.180") == 1
    assert shown.count(HIDE) == shown.count(SHOW) == 1


@pytest.mark.usefixtures("always")
def test_an_error_leaves_the_terminal_as_it_was(tmp_path):
    console = on_terminal()
    with pytest.raises(RuntimeError, match="out of luck"):
        Driven(tmp_path, [ProgressBar(console)], fails_at=(1, 2)).run()
    shown = console.file.getvalue()
    assert shown.count(HIDE) == shown.count(SHOW) == 1
    assert shown.rindex(SHOW) > shown.rindex("epoch 2/3")


def test_one_bar_serves_one_training_after_another(tmp_path):
    console = on_file()
    bar = ProgressBar(console)
    Driven(tmp_path, [bar], epochs=1).run()
    Driven(tmp_path, [bar], epochs=3, start_epoch=2).run()
    assert [line[:9] for line in console.file.getvalue().splitlines()] == ["epoch 1/1", "epoch 3/3"]


def test_the_time_left_is_no_more_than_the_training_may_take(tmp_path):
    console = on_file()
    args = TrainOptions(data="data.yaml", epochs=1000, time=1e-9)
    trainer, bar = Driven(tmp_path, [], epochs=1000, args=args), ProgressBar(console)
    bar.on_train_start(trainer)
    bar.on_train_epoch_start(trainer)
    bar.on_fit_epoch_end(trainer)
    assert "left" not in console.file.getvalue()


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (8.24, "8.2 s"), (185, "3:05"), (8049, "2:14:09")])
def test_times_are_told_as_one_reads_them(seconds, text):
    assert duration(seconds) == text
