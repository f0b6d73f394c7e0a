import logging
import shutil
import subprocess

import numpy as np
import pytest

from framehook.inference.errors import OptionError
from framehook.inference.saving import write_picture
from framehook.training.callbacks.tensorboard import TensorBoard

from .driven import Driven, falling

accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder):
    events = accumulators.EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars(events, tag):
    return {each.step: each.value for each in events.Scalars(tag)}


def test_figures_options_and_pictures_are_in_the_files_of_events(tmp_path):
    picture = np.full((40, 60, 3), 90, np.uint8)
    write_picture(tmp_path / "val_batch0_pred.jpg", picture)
    board = TensorBoard()
    Driven(tmp_path, [board], epochs=4, val_period=2).run()
    assert board.folder == tmp_path / "tensorboard"
    events = read(board.folder)
    expected = {epoch + 1: falling(epoch)["metrics/mAP50(B)"] for epoch in (1, 3)}
    assert scalars(events, "metrics/mAP50(B)") == pytest.approx(expected)
    assert list(scalars(events, "fitness")) == [2, 4]  # not once more where it is that of another epoch
    assert list(scalars(events, "train/box_loss")) == list(scalars(events, "lr/pg0")) == [1, 2, 3, 4]
    assert {"fitness", "epoch_time", "val/cls_loss"} <= set(events.Tags()["scalars"])
    [options] = events.Tensors("options")
    assert b"| epochs | `4` |" in options.tensor_proto.string_val[0]
    [image] = events.Images("pictures/val_batch0_pred")
    assert (image.width, image.height, image.step) == (60, 40, 4)


def test_a_resumed_training_replaces_the_epochs_it_goes_through_again(tmp_path):
    with pytest.raises(RuntimeError, match="out of luck"):
        Driven(tmp_path, [TensorBoard()], epochs=6, fails_at=(4, 2)).run()
    rising = {"metrics_of": lambda epoch: {**falling(epoch), "metrics/recall(B)": 0.5 + epoch / 100}}
    Driven(tmp_path, [TensorBoard()], epochs=6, start_epoch=2, **rising).run()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
    found = scalars(read(tmp_path / "tensorboard"), "metrics/recall(B)")
    assert list(found) == [1, 2, 3, 4, 5, 6]
    assert [found[step] for step in (3, 4, 5, 6)] == pytest.approx([0.52, 0.53, 0.54, 0.55])


def test_figures_are_there_while_the_training_goes_on_and_what_is_no_number_is_left_out(tmp_path):
    board, trainer = TensorBoard(tmp_path / "events"), Driven(tmp_path, [])
    board.on_train_start(trainer)
    trainer.tloss, trainer.lr = [1.0, float("nan"), 3.0], {"lr/pg0": 0.5}
    board.on_fit_epoch_end(trainer)
    events = read(tmp_path / "events")
    assert scalars(events, "lr/pg0") == {1: 0.5}
    assert "train/cls_loss" not in events.Tags()["scalars"]
    board.teardown(trainer)


def test_a_folder_that_cannot_be_made_is_told_once_and_ends_nothing(tmp_path, caplog):
    (tmp_path / "tensorboard").touch()
    with caplog.at_level(logging.WARNING, "framehook"):
        trainer = Driven(tmp_path, [TensorBoard()]).run()
    assert trainer.epoch == 2
    [told] = [record.message for record in caplog.records]
    assert told == "TensorBoard cannot be logged to: File exists; the training goes on without it"
    with pytest.raises(OptionError, match="is a file; pass the name of a folder"):
        TensorBoard(tmp_path / "tensorboard")


def test_a_disk_that_fills_up_is_told_once_and_ends_nothing(tmp_path, caplog):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        full, board = disk / "full", TensorBoard(disk / "events")
        trainer = Driven(tmp_path / "run", [])
        trainer.lr = {f"lr/pg{group}": 0.1 for group in range(20)}
        full.write_bytes(bytes(56 * 1024))
        board.on_train_start(trainer)
        with caplog.at_level(logging.WARNING, "framehook"):
            for epoch in range(80):
                trainer.epoch = epoch
                board.on_fit_epoch_end(trainer)
        full.unlink()
        trainer.epoch = 80
        board.on_fit_epoch_end(trainer)
        board.teardown(trainer)
        [told] = [record.message for record in caplog.records]
        assert told == (
            "TensorBoard cannot be logged to: No space left on device; free some space or save elsewhere; "
            "the training goes on without it"
        )
        steps = list(scalars(read(disk / "events"), "lr/pg3"))
        assert steps[-1] == 81
        assert steps[:-1] == list(range(1, len(steps)))
        assert 1 < len(steps) < 81
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_one_object_serves_one_training_after_another(tmp_path):
    board = TensorBoard()
    for name in ("one", "two"):
        Driven(tmp_path / name, [board], epochs=2).run()
        assert list(scalars(read(tmp_path / name / "tensorboard"), "fitness")) == [1, 2]
