"""Print how good the network is after each epoch of a training."""

from framehook import Model
from framehook.training.data import write_example

model = Model("yolo11n.yaml")  # random weights, which find nothing yet after two epochs; a checkpoint does


@model.on("on_fit_epoch_end")
def tell(trainer):
    best = " (the best so far)" if trainer.is_best else ""
    print(f"epoch {trainer.epoch + 1} of {trainer.epochs}: fitness {trainer.fitness:.4f}{best}, {trainer.epoch_time:.0f} s")


data = write_example("shapes", train=16, val=4, size=(96, 72), exist_ok=True)
model.train(data=data, epochs=2, imgsz=64, batch=8, workers=0, plots=False)
