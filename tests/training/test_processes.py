"""A training over two processes, as `torchrun` starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from framehook.inference.checkpoints import read_checkpoint  # noqa: E402
from framehook.inference.events import TrainEvent, ValEvent  # noqa: E402

WHAT = ("train", "stop", "fail")
SCRIPT = """
import hashlib, json, os, sys
from framehook.inference.events import TrainEvent, ValEvent
from framehook.training.trainer import Trainer

def train(what, start, data, folder):
    options = dict(epochs=2, imgsz=64, batch=4, nbs=8, workers=0, plots=False, warmup_epochs=0)
    trainer = Trainer(start, data=data, save_dir=folder, **options)
    fired, everywhere, pictures = [], [], []
    for event in (*TrainEvent, *ValEvent):
        trainer.callbacks.add(event, lambda engine, event=event: fired.append(str(event)))
        trainer.callbacks.add(event, lambda engine, event=event: everywhere.append(str(event)), every_rank=True)
    trainer.callbacks.add("on_train_batch_start", lambda trainer: pictures.extend(trainer.batch.paths), every_rank=True)

    def meddle(trainer):
        if what == "stop":
            trainer.stop = True
        if what == "fail":
            raise ValueError("my mistake")

    trainer.callbacks.add("on_train_batch_end", meddle)
    error = None
    try:
        trainer.run()
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    weights = b"".join(value.detach().numpy().tobytes() for value in trainer.model.parameters())
    told = {"rank": trainer.rank, "fired": fired, "everywhere": everywhere, "error": error, "pictures": pictures}
    told["weights"] = hashlib.sha256(weights).hexdigest()
    open(f"{folder}-{trainer.rank}.json", "w").write(json.dumps(told))

start, data, folder, *asked = sys.argv[1:]
for each in asked:
    what, os.environ["MASTER_PORT"] = each.split("@")
    train(what, start, data, f"{folder}/{what}")
"""


@pytest.fixture(scope="module")
def folder(tiny_checkpoint: Path, example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have trained together: as they should, until one was told to stop, and until one failed."""
    folder = tmp_path_factory.mktemp("together")
    # As `torchrun` does, the address at which the processes meet is kept by whoever starts them: another for each training.
    stores = {what: torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) for what in WHAT}
    where = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE": "True", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    asked = [f"{what}@{store.port}" for what, store in stores.items()]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tiny_checkpoint), str(example), str(folder), *asked],
            env={**os.environ, **where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [each.communicate(timeout=900)[0] for each in started]
    finally:
        for each in started:
            each.kill()
            each.wait()
    assert [each.returncode for each in started] == [0, 0], printed
    return folder


def told(folder: Path, what: str) -> list[dict[str, Any]]:
    """What each process tells of a training."""
    return [json.loads((folder / f"{what}-{rank}.json").read_text()) for rank in range(2)]


def test_callbacks_fire_on_the_first_process_alone_unless_they_ask_for_all(folder):
    first, second = told(folder, "train")
    assert (first["error"], second["error"]) == (None, None)
    assert first["fired"] == first["everywhere"]
    assert set(first["fired"]) == {*TrainEvent, *ValEvent}
    assert second["fired"] == []
    # The first validates and saves for all.
    alone = {*map(str, ValEvent), "on_model_save"}
    assert second["everywhere"] == [each for each in first["fired"] if each not in alone]
    assert first["weights"] == second["weights"]
    assert not set(first["pictures"][:12]) & set(second["pictures"][:12])
    assert len({*first["pictures"], *second["pictures"]}) == 24
    assert read_checkpoint(folder / "train" / "weights" / "last.pt").epoch == 1


def test_a_stop_on_one_process_ends_all(folder):
    first, second = told(folder, "stop")
    assert (first["error"], second["error"]) == (None, None)
    assert first["everywhere"].count("on_train_batch_end") == second["everywhere"].count("on_train_batch_end") == 1
    assert first["everywhere"][-1] == second["everywhere"][-1] == "teardown"


def test_an_error_on_one_process_ends_the_others_with_an_error_that_says_so(folder):
    first, second = told(folder, "fail")
    assert "my mistake" in first["error"]
    assert "TrainingError: process 1 of 2 cannot reach the others" in second["error"]
    assert first["fired"][-2:] == ["on_train_end", "teardown"]
    assert second["everywhere"][-2:] == ["on_train_end", "teardown"]
