import csv
import logging
import shutil
import subprocess

import pytest

from framehook.inference.errors import OptionError
from framehook.training.callbacks.csv_logger import CSVLogger, read_history

from .driven import Driven, falling

TRAIN = ["train/box_loss", "train/cls_loss", "train/dfl_loss"]
METRICS = ["metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)"]
VAL = ["val/box_loss", "val/cls_loss", "val/dfl_loss"]
LR = ["lr/pg0", "lr/pg1"]


def columns(path):
    with path.open(newline="") as file:
        return next(csv.reader(file))


def epochs(path):
    return [row["epoch"] for row in read_history(path)]


def test_a_row_an_epoch_in_the_columns_of_the_field(tmp_path):
    logger = CSVLogger()
    trainer = Driven(tmp_path, [logger]).run()
    assert logger.path == trainer.csv == tmp_path / "results.csv"
    assert columns(trainer.csv) == ["epoch", "time", *TRAIN, *METRICS, *VAL, *LR]
    rows = read_history(trainer.csv)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    for epoch, row in enumerate(rows):
        for name, value in falling(epoch).items():
            assert row[name] == pytest.approx(value, rel=1e-5)
        assert row["lr/pg1"] == pytest.approx(0.02 / (epoch + 1), rel=1e-5)
        assert row["train/box_loss"] == pytest.approx(3 / (1.75 + epoch), rel=1e-5)
    assert 0 <= rows[0]["time"] <= rows[1]["time"] <= rows[2]["time"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["results.csv"]


def test_epochs_without_validation_have_no_metrics_rather_than_old_ones(tmp_path):
    trainer = Driven(tmp_path, [CSVLogger()], epochs=5, val_period=2).run()
    assert columns(trainer.csv) == ["epoch", "time", *TRAIN, *METRICS, *VAL, *LR]
    assert ["metrics/mAP50(B)" in row for row in read_history(trainer.csv)] == [False, True, False, True, True]


def test_a_file_can_be_named_and_another_training_begins_it_anew(tmp_path):
    path = tmp_path / "deep" / "figures.csv"
    logger = CSVLogger(path)
    Driven(tmp_path / "one", [logger], epochs=4).run()
    Driven(tmp_path / "two", [logger], epochs=2).run()
    assert epochs(path) == [1, 2]
    assert not (tmp_path / "one" / "results.csv").exists()


def test_a_resumed_training_goes_on_below_the_rows_before_it(tmp_path):
    with pytest.raises(RuntimeError, match="out of luck"):
        Driven(tmp_path, [CSVLogger()], epochs=6, fails_at=(4, 2)).run()
    path = tmp_path / "results.csv"
    before = path.read_text().splitlines()
    assert epochs(path) == [1, 2, 3, 4]
    path.write_text(path.read_text() + "5,1.2,0.")  # the power failed
    Driven(tmp_path, [CSVLogger()], epochs=6, start_epoch=3).run()
    after = path.read_text().splitlines()
    assert epochs(path) == [1, 2, 3, 4, 5, 6]
    assert after[:4] == before[:4]
    times = [row["time"] for row in read_history(path)]
    assert times == sorted(times)


def test_other_columns_after_a_resume_leave_those_that_were_there(tmp_path):
    Driven(tmp_path, [CSVLogger()], epochs=2).run()
    trainer = Driven(tmp_path, [CSVLogger()], epochs=3, start_epoch=2)
    trainer.loss_names = ("box_loss", "cls_loss", "l1_loss")
    trainer.run()
    assert columns(trainer.csv) == ["epoch", "time", *TRAIN, "train/l1_loss", *METRICS, *VAL, *LR]
    first, *_, last = read_history(trainer.csv)
    assert "train/dfl_loss" in first
    assert "train/l1_loss" not in first
    assert "train/dfl_loss" not in last
    assert "train/l1_loss" in last


def test_a_table_that_cannot_be_read_is_begun_anew(tmp_path):
    (tmp_path / "results.csv").write_bytes(b"\x89PNG\xff")
    Driven(tmp_path, [CSVLogger()], epochs=3, start_epoch=2).run()
    assert epochs(tmp_path / "results.csv") == [3]


def test_an_epoch_that_is_gone_through_again_replaces_its_row(tmp_path):
    trainer, logger = Driven(tmp_path, []), CSVLogger()
    logger.on_train_start(trainer)
    for epoch in (0, 1, 2, 1):  # what a trainer does that goes back to its last checkpoint
        trainer.epoch = epoch
        logger.on_fit_epoch_end(trainer)
    assert epochs(trainer.csv) == [1, 2]


def test_a_file_that_was_changed_meanwhile_is_put_right(tmp_path):
    trainer, logger = Driven(tmp_path, []), CSVLogger()
    logger.on_train_start(trainer)
    logger.on_fit_epoch_end(trainer)
    trainer.csv.write_text("something else")
    trainer.epoch = 1
    logger.on_fit_epoch_end(trainer)
    trainer.csv.unlink()
    trainer.epoch = 2
    logger.on_fit_epoch_end(trainer)
    assert epochs(trainer.csv) == [1, 2, 3]


def test_a_full_disk_is_told_once_and_the_rows_follow_when_there_is_room(tmp_path, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        path, full = disk / "results.csv", disk / "full"
        trainer, logger = Driven(tmp_path / "run", []), CSVLogger(path)
        trainer.lr = {f"lr/pg{group}": 0.123456 for group in range(20)}
        logger.on_train_start(trainer)
        with caplog.at_level(logging.WARNING, "framehook"):
            for epoch in range(100):
                trainer.epoch = epoch
                if epoch == 3:
                    full.write_bytes(bytes(60 * 1024))  # a page is left, and the table outgrows it
                logger.on_fit_epoch_end(trainer)
        [told] = [record.message for record in caplog.records]
        assert told == (
            f"{path} cannot be written: No space left on device; free some space or save elsewhere; "
            "the training goes on, its rows follow if they can"
        )
        assert len(epochs(path)) < 100
        full.unlink()
        trainer.epoch = 100
        logger.on_fit_epoch_end(trainer)
        assert epochs(path) == list(range(1, 102))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory; pass the results.csv of a training"),
        (b"\xff\xfe\x00", "is not a table of figures; pass the results.csv"),
        (b"", "is not a table of figures"),
        (b"a,b\n1,2\n", "has no column 'epoch'"),
        (b"epoch,time\n1,x\n2,3\n", "line 2 is not a row of figures"),
        (b"epoch,time\n1,2\n3\n", "line 3 is not a row of figures"),
    ],
)
def test_what_is_no_table_of_figures_is_told(tmp_path, content, told):
    path = tmp_path / "results.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=told):
        read_history(path)


def test_a_table_of_another_tool_can_be_read(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("                  epoch,         train/box_loss\n                      0,                1.5\n")
    assert read_history(path) == [{"epoch": 0.0, "train/box_loss": 1.5}]


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OptionError, match="is a folder; pass the name of a file for the figures"):
        CSVLogger(tmp_path)
