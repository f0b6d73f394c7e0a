"""Log a training in a way of your own: a callback with a state, told of training and validation, that writes JSON lines."""

import json
from pathlib import Path

from framehook import Callback, Model
from framehook.training.data import write_example


class JsonLog(Callback):
    """A line for every epoch: losses, metrics, learning rate, the largest gradient, the time of a validated picture."""

    def __init__(self, path):
        self.path = Path(path)

    def on_train_start(self, trainer):
        self.file = self.path.open("w")

    def on_train_epoch_start(self, trainer):
        self.gradient = 0.0

    def optimizer_step(self, trainer):
        norms = [each.grad.abs().max() for each in trainer.model.parameters() if each.grad is not None]
        self.gradient = max(self.gradient, float(max(norms)))

    def on_val_end(self, validator):
        self.speed = validator.speed["inference"]

    def on_fit_epoch_end(self, trainer):
        row = {"epoch": trainer.epoch, **trainer.label_loss_items(trainer.tloss), **trainer.metrics, **trainer.lr}
        print(json.dumps({**row, "gradient": self.gradient, "ms a picture": self.speed}), file=self.file, flush=True)

    def on_train_end(self, trainer):
        self.file.close()


model = Model("yolo11n.yaml")
model.add_callback(JsonLog("training.jsonl"))
data = write_example("shapes", train=16, val=4, size=(96, 72), exist_ok=True)
model.train(data=data, epochs=2, imgsz=64, batch=8, workers=0, plots=False)
print(f"training.jsonl has {len(Path('training.jsonl').read_text().splitlines())} lines")
