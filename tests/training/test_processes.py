"""A training over two processes, as `torchrun` starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from framehook.inference.checkpoints import read_checkpoint  # noqa: E402
from framehook.inference.events import TrainEvent, ValEvent  # noqa: E402
from framehook.inference.nets.save import save_checkpoint  # noqa: E402

SCRIPT = """
import hashlib, json, sys
from framehook.inference.events import TrainEvent, ValEvent
from framehook.training.trainer import Trainer

start, data, folder, what = sys.argv[1:]
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
digest = hashlib.sha256(b"".join(value.detach().numpy().tobytes() for value in trainer.model.parameters())).hexdigest()
told = {"rank": trainer.rank, "fired": fired, "everywhere": everywhere, "error": error, "weights": digest, "pictures": pictures}
open(f"{folder}-{trainer.rank}.json", "w").write(json.dumps(told))
"""


def together(tiny_net: Any, example: Path, tmp_path: Path, what: str) -> list[dict[str, Any]]:
    """Train on two processes, and return what each tells."""
    start = tmp_path / "start.pt"
    save_checkpoint(start, tiny_net)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(start), str(example), str(tmp_path / "run"), what]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, **where, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        printed = [each.communicate(timeout=100)[0] for each in started]
    finally:
        for each in started:
            each.kill()
            each.wait()
    files = [tmp_path / f"run-{rank}.json" for rank in range(2)]
    assert all(each.exists() for each in files), printed
    return [json.loads(each.read_text()) for each in files]


def test_callbacks_fire_on_the_first_process_alone_unless_they_ask_for_all(tiny_net, example, tmp_path):
    first, second = together(tiny_net, example, tmp_path, "train")
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
    assert read_checkpoint(tmp_path / "run" / "weights" / "last.pt").epoch == 1


def test_a_stop_on_one_process_ends_all(tiny_net, example, tmp_path):
    first, second = together(tiny_net, example, tmp_path, "stop")
    assert (first["error"], second["error"]) == (None, None)
    assert first["everywhere"].count("on_train_batch_end") == second["everywhere"].count("on_train_batch_end") == 1
    assert first["everywhere"][-1] == second["everywhere"][-1] == "teardown"


def test_an_error_on_one_process_ends_the_others_with_an_error_that_says_so(tiny_net, example, tmp_path):
    first, second = together(tiny_net, example, tmp_path, "fail")
    assert "my mistake" in first["error"]
    assert "TrainingError: process 1 of 2 cannot reach the others" in second["error"]
    assert first["fired"][-2:] == ["on_train_end", "teardown"]
    assert second["everywhere"][-2:] == ["on_train_end", "teardown"]
