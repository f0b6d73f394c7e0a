"""Train on a small made-up dataset, and stop by a callback of your own: here, when the losses have fallen by a quarter."""

from framehook import Model
from framehook.training.data import write_example

model = Model("yolo11n.yaml")  # an architecture with random weights; a checkpoint, "yolo11n.pt", learns much quicker
first = []


@model.on("on_train_epoch_end")
def stop_when_low(trainer):
    total = float(trainer.tloss.sum())
    first.append(total)
    if total < 0.75 * first[0]:
        trainer.stop = True  # ends after this epoch, validated and saved


data = write_example("shapes", train=16, val=4, size=(96, 72), exist_ok=True)
report = model.train(data=data, epochs=20, imgsz=64, batch=8, nbs=8, lr0=0.005, mosaic=0.0, workers=0, plots=False)
print(f"{report.epochs} epochs, ended by '{report.why}'; the losses went from {first[0]:.1f} to {first[-1]:.1f}")
print(f"weights are in {report.best}")
