import json
import logging
import struct

import pytest

from framehook.inference.errors import OptionError
from framehook.training.callbacks.wandb import WandB

from .driven import Driven, falling

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_X_SERVICE_WAIT", "WANDB_INIT_TIMEOUT"):  # for its process, on a machine with much else to do
        monkeypatch.setenv(name, "300")
    yield
    wandb.teardown()


def pieces(data):
    """The records of a LevelDB log, as which W&B writes a run: in blocks, at the borders of which they are cut in pieces."""
    block, header, at, record = 32768, struct.Struct("<IHB"), 7, b""
    while len(data) - at >= header.size:
        if block - at % block < header.size:  # too little for a header is left empty
            at += block - at % block
            continue
        _, length, kind = header.unpack_from(data, at)
        record += data[at + header.size : at + header.size + length]
        at += header.size + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


def records(tracker):
    """What is in the file of an offline run, by kind."""
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # it is written by a process of W&B, which may be late, but not when it has ended
    data = (tracker.folder / f"run-{tracker.run_id}.wandb").read_bytes()
    assert data[:4] == b":W&B"
    found = {}
    for piece in pieces(data):
        record = Record()
        record.ParseFromString(piece)
        kind = record.WhichOneof("record_type")
        found.setdefault(kind, []).append(getattr(record, kind))
    return found


def rows(tracker):
    """The figures of each step."""
    found = records(tracker).get("history", [])
    return [{"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in each.item} for each in found]


def test_options_figures_and_files_are_in_the_offline_run(tmp_path):
    folder = tmp_path / "train3"
    folder.mkdir()
    (folder / "args.yaml").write_text("epochs: 4\n")
    tracker = WandB("shapes")
    Driven(folder, [tracker], epochs=4, val_period=2).run()
    assert tracker.folder.parent == folder / "wandb"
    assert tracker.folder.name.startswith("offline-run-")
    found = records(tracker)
    [run] = found["run"]
    assert (run.project, run.display_name, run.run_id) == ("shapes", "train3", tracker.run_id)
    assert {item.key: item.value_json for item in run.config.update}["epochs"] == "4"
    [ended] = found["exit"]
    assert ended.exit_code == 0
    told = rows(tracker)
    assert [row["epoch"] for row in told] == [1, 2, 3, 4]
    assert [row["train/box_loss"] for row in told] == pytest.approx([3 / (1.75 + epoch) for epoch in range(4)])
    assert ["metrics/mAP50(B)" in row for row in told] == [False, True, False, True]
    assert told[-1]["metrics/mAP50(B)"] == pytest.approx(falling(3)["metrics/mAP50(B)"])
    kept = tracker.folder / "files"
    assert (kept / "weights" / "best.pt").read_bytes() == b"weights of epoch 3"
    assert (kept / "args.yaml").read_text() == "epochs: 4\n"


def test_a_training_that_failed_is_marked_and_goes_on_in_its_run_when_resumed(tmp_path):
    first = WandB()
    with pytest.raises(RuntimeError, match="out of luck"):
        Driven(tmp_path, [first], epochs=5, fails_at=(3, 1)).run()
    assert records(first)["exit"][0].exit_code == 1
    second = WandB(files=False)
    Driven(tmp_path, [second], epochs=5, start_epoch=3).run()
    assert second.run_id == first.run_id
    assert second.folder != first.folder
    assert [row["epoch"] for tracker in (first, second) for row in rows(tracker)] == [1, 2, 3, 4, 5]


def test_the_mode_of_the_environment_is_heeded(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    Driven(tmp_path, [WandB()]).run()
    assert not (tmp_path / "wandb").exists()


def test_what_fails_is_told_once_and_ends_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "framehook"):
        trainer = Driven(tmp_path, [WandB("no/such:project")]).run()
    assert trainer.epoch == 2
    [told] = [record.message for record in caplog.records if record.name == "framehook"]
    assert told.startswith("Weights & Biases cannot be logged to: ")
    assert told.endswith("; the training goes on without it")


@pytest.mark.parametrize("wrong", [{"project": ""}, {"mode": "sometimes"}])
def test_values_that_are_not_possible_are_told(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        WandB(**wrong)
