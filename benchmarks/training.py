"""Whether learning is real, and what the trainer costs.

    python benchmarks/training.py overfit --data shared/data          # 16 pictures of COCO by heart
    python benchmarks/training.py pedestrians --data shared/data      # from random weights, against a reference trainer
    python benchmarks/training.py speed                               # against a minimal loop of PyTorch

`--data` is a folder with `coco_train/` (COCO json and pictures) and `clips/` (vtest.avi with its ground truth). Curves, tables
and checkpoints are left in `--out`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from accuracy import read_mot

from framehook import Model
from framehook.inference.nets.architecture import architecture_of
from framehook.inference.nets.net import DetectionNet
from framehook.training.augment import Augmentation
from framehook.training.data import load_split, read_data
from framehook.training.data.example import write_example
from framehook.training.dataset import TrainingSet
from framehook.training.loader import TrainLoader
from framehook.training.losses import DetectionLoss
from framehook.training.optimizers import Chosen, make_optimizer
from framehook.training.trainer import Trainer

STILL = {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "translate": 0.0, "scale": 0.0, "fliplr": 0.0, "mosaic": 0.0}
"""Options under which pictures are not changed."""


def overfit(data: Path, out: Path, workers: int) -> None:
    """YOLO11n at 320 on 16 pictures without augmentation: mAP50 of at least .90 on them, within 3,000 steps and 30 minutes."""
    whole = json.loads((data / "coco_train" / "instances_train_merged.json").read_text())
    labelled = {each["image_id"] for each in whole["annotations"] if not each["iscrowd"]}
    images = sorted((each for each in whole["images"] if each["id"] in labelled), key=lambda each: each["id"])[:16]
    numbers = {each["id"] for each in images}
    folder = data / "coco_train" / "images"
    few = {
        "images": [{**each, "file_name": str((folder / each["file_name"]).absolute())} for each in images],
        "annotations": [each for each in whole["annotations"] if each["image_id"] in numbers],
        "categories": whole["categories"],
    }
    out.mkdir(parents=True, exist_ok=True)
    file = out / "sixteen.json"
    file.write_text(json.dumps(few))
    model = Model("yolo11n.yaml")
    steps = 0
    began = time.monotonic()

    @model.on("on_params_update")
    def count(trainer: Trainer) -> None:
        nonlocal steps
        steps += 1

    @model.on("on_fit_epoch_end")
    def tell(trainer: Trainer) -> None:
        if trainer.validator is None or (trainer.epoch + 1) % trainer.args.val_period:
            return
        found = trainer.metrics["metrics/mAP50(B)"]
        print(f"  step {steps:5}  {time.monotonic() - began:6.0f} s  mAP50 {found:.3f}", flush=True)
        trainer.stop = found >= 0.95

    model.train(
        data=file, epochs=1500, imgsz=320, batch=8, nbs=8, val_period=25, workers=workers, patience=0, save_dir=out / "overfit",
        lrf=0.1, **STILL,
    )  # fmt: skip
    found = model.val(data=file, imgsz=320, split="val")
    minutes = (time.monotonic() - began) / 60
    print(f"overfit: mAP50 {found.map50:.3f}, mAP50-95 {found.map:.3f} after {steps} steps, {minutes:.1f} min")


def pedestrians(data: Path, out: Path, workers: int, epochs: int) -> None:
    """YOLO11n at 416 from random weights on 199 frames; the reference trainer came to AP50 .81 after 25 epochs."""
    file = write_pedestrians(data / "clips", out / "pedestrians")
    model = Model("yolo11n.yaml")
    began = time.monotonic()

    @model.on("on_fit_epoch_end")
    def tell(trainer: Trainer) -> None:
        ap50, ap = trainer.metrics["metrics/mAP50(B)"], trainer.metrics["metrics/mAP50-95(B)"]
        print(f"  epoch {trainer.epoch + 1:3}  {time.monotonic() - began:6.0f} s  AP50 {ap50:.3f}  AP {ap:.3f}", flush=True)

    report = model.train(
        data=file, epochs=epochs, imgsz=416, batch=8, nbs=8, workers=workers, save_dir=out / f"pedestrians{epochs}",
        optimizer="AdamW", lr0=0.002,
    )  # fmt: skip
    found = model.val(data=file, imgsz=416)
    print("\n".join(report.lines()[:3]))
    print(
        f"pedestrians: person AP50 {found.map50:.3f}, AP {found.map:.3f} after {epochs} epochs, {report.seconds / 60:.1f} min"
    )


def write_pedestrians(clips: Path, folder: Path) -> Path:
    """Every second frame of 0-397 to train on, every fifth of 450-794 to measure by; people as they are labelled."""
    truth = read_mot(clips / "vtest_gt.txt")
    wanted = dict.fromkeys(range(0, 398, 2), "train") | dict.fromkeys(range(450, 795, 5), "val")
    for split in ("train", "val"):
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    video = cv2.VideoCapture(str(clips / "vtest.avi"))
    number = 0
    while True:
        there, image = video.read()
        if not there:
            break
        if (split := wanted.get(number)) is not None:
            height, width = image.shape[:2]
            cv2.imwrite(str(folder / "images" / split / f"{number:04}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            lines = []
            for x1, y1, x2, y2 in np.clip(truth.get(number, np.empty((0, 4))), 0, [width, height, width, height]):
                middle = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
                lines.append("0 " + " ".join(f"{each:.6f}" for each in middle))
            (folder / "labels" / split / f"{number:04}.txt").write_text("\n".join(lines) + "\n")
        number += 1
    file = folder / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames: [person]\n")
    return file


def speed(out: Path, workers: int, repeats: int = 5) -> None:
    """Batches a second of the trainer over those of a minimal loop with the same net, loss, batch and loader."""
    file = write_example(out / "example", train=64, val=8, size=(640, 480), exist_ok=True)
    ratios = []
    for number in range(repeats):
        first, second = (_minimal, _trainer) if number % 2 else (_trainer, _minimal)
        figures = {each.__name__: each(file, out, workers) for each in (first, second)}
        ratios.append(figures["_minimal"][0] / figures["_trainer"][0])
        print(
            f"  a batch {figures['_minimal'][0]:.3f} s, of the trainer {figures['_trainer'][0]:.3f} s, ratio {ratios[-1]:.3f}; "
            f"waited for pictures {figures['_minimal'][1]:.1%} and {figures['_trainer'][1]:.1%} of the time",
            flush=True,
        )
    print(f"speed: {statistics.median(ratios):.3f} of the minimal loop (median of {repeats})")


def _minimal(file: Path, out: Path, workers: int) -> tuple[float, float]:
    split = load_split(read_data(file), "train")
    torch.manual_seed(0)
    net = DetectionNet(architecture_of("yolo11n", nc=len(split.names)), names=split.names).train()
    loss = DetectionLoss(net, box=7.5, cls=0.5, dfl=1.5)
    optimizer = make_optimizer(net, Chosen("AdamW", 0.001), momentum=0.9, weight_decay=0.0005)
    pictures = TrainingSet(split.samples, imgsz=320, augment=Augmentation(mosaic=1.0, scale=0.5, fliplr=0.5), seed=0)
    loader = TrainLoader(pictures, batch=8, seed=0, workers=workers)
    times, waited = [], 0.0
    try:
        for epoch in range(2):
            loader.set_epoch(epoch, mosaic=True)
            began = time.perf_counter()
            for batch in loader:
                total, _ = loss(net(batch.images.float() / 255), batch.targets)
                optimizer.zero_grad(set_to_none=True)
                total.backward()
                optimizer.step()
            times.append(time.perf_counter() - began)
            waited = loader.waited / times[-1]
        return times[-1] / len(loader), waited
    finally:
        loader.close()


def _trainer(file: Path, out: Path, workers: int) -> tuple[float, float]:
    times: list[float] = []
    trainer = Trainer(
        "yolo11n.yaml", data=file, epochs=2, imgsz=320, batch=8, nbs=8, workers=workers, val=False, save=False, plots=False,
        optimizer="AdamW", warmup_epochs=0, close_mosaic=0, hsv_h=0, hsv_s=0, hsv_v=0, translate=0, save_dir=out / "speed",
    )  # fmt: skip
    trainer.callbacks.add("on_train_epoch_start", lambda trainer: times.append(time.perf_counter()))
    trainer.callbacks.add("on_train_epoch_end", lambda trainer: times.append(time.perf_counter()))
    trainer.run()
    spent = times[3] - times[2]
    return spent / len(trainer.train_loader), trainer.train_loader.waited / spent


def main() -> None:
    """Answer the question that was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("question", choices=("overfit", "pedestrians", "speed"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=25)
    asked = parser.parse_args()
    if asked.question == "overfit":
        overfit(asked.data, asked.out, asked.workers)
    elif asked.question == "pedestrians":
        pedestrians(asked.data, asked.out, asked.workers, asked.epochs)
    else:
        speed(asked.out, asked.workers)


if __name__ == "__main__":
    main()
