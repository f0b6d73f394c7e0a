"""Whether validation measures what it should: against pycocotools, and a network against its export.

    python benchmarks/validate.py
    python benchmarks/validate.py --model yolox_nano_416.onnx --data instances.json --checkpoint yolo11n_vtest.pt

First the detections of a model over a COCO json are judged by Framehook and by pycocotools, with 100 boxes a picture and with
300; the largest difference of any figure is what to quote. Then a checkpoint is exported, and both are validated on every fifth
frame of 450 to 794 of a labelled clip.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from accuracy import read_mot
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from framehook import Model
from framehook.inference.boxes import Boxes
from framehook.inference.errors import FramehookError
from framehook.training.data import load_split, read_data
from framehook.training.metrics import DetectionMetrics
from framehook.training.validator import Validator

FRAMES: Final = range(450, 795, 5)
SIZES: Final = ("small", "medium", "large")


def main() -> None:
    """Measure what the command line names."""
    data = Path(os.environ.get("FRAMEHOOK_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=data / "models" / "yolox_nano_416.onnx", help="an .onnx or .pt file")
    parser.add_argument("--data", type=Path, default=data / "coco_train" / "instances_train_merged.json", help="a COCO json")
    parser.add_argument("--checkpoint", type=Path, default=data / "checkpoints" / "yolo11n_vtest.pt")
    parser.add_argument("--clip", type=Path, default=data / "clips" / "vtest.avi")
    parser.add_argument("--truth", type=Path, default=data / "clips" / "vtest_gt.txt", help="boxes in MOT format")
    args = parser.parse_args()
    for most in (100, 300):
        compare_judges(args.model, args.data, most)
    with tempfile.TemporaryDirectory() as folder:
        compare_export(args.checkpoint, as_dataset(args.clip, args.truth, Path(folder)), Path(folder))


def compare_judges(model: Path, annotations: Path, most: int) -> None:
    """Judge the same detections twice."""
    split = load_split(read_data(annotations), "val")
    found: dict[str, Boxes] = {}
    validator = Validator(model, split=split, max_det=most)
    validator.callbacks.add(
        "on_val_batch_end", lambda each: found.update(zip(names_of(each.batch.paths), each.preds, strict=True))
    )
    began = time.perf_counter()
    metrics = validator.run()
    took = time.perf_counter() - began
    ours = figures_of(metrics)
    theirs = pycocotools_figures(annotations, found, most)
    worst = max(ours, key=lambda name: abs(ours[name] - theirs[name]))
    print(
        f"{Path(model).name} on {annotations.name}, {metrics.pictures} pictures, {metrics.objects} objects, "
        f"{sum(map(len, found.values()))} boxes, {most} a picture at most, {took:.1f} s"
    )
    for name in ("mAP50-95", "mAP50", "mAP75", *SIZES):
        print(f"  {name:8} Framehook {ours[name]:.7f}  pycocotools {theirs[name]:.7f}")
    print(f"  largest difference of {len(ours)} figures: {abs(ours[worst] - theirs[worst]):.1e} ({worst})")
    print(f"  ms a picture: {', '.join(f'{stage} {spent:.2f}' for stage, spent in validator.speed.items())}")


def names_of(paths: list[Path]) -> list[str]:
    """The names by which a COCO json knows pictures."""
    return [path.name for path in paths]


def figures_of(metrics: DetectionMetrics) -> dict[str, float]:
    """Every average precision there is, by name."""
    sizes = {size: value for size, value in metrics.by_size.items() if value is not None}
    classes = {each.name: each.map for each in metrics.per_class}
    return {"mAP50-95": metrics.map, "mAP50": metrics.map50, "mAP75": metrics.map75, **sizes, **classes}


def pycocotools_figures(annotations: Path, found: dict[str, Boxes], most: int) -> dict[str, float]:
    """The same figures by pycocotools, of the annotations as they are in the file."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        numbers = {Path(each["file_name"]).name: each["id"] for each in truth.dataset["images"]}
        categories = sorted(truth.getCatIds())
        judge = COCOeval(truth, truth.loadRes(list(rows_of(found, numbers, categories))), "bbox")
        judge.params.maxDets = [1, 10, most]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][..., -1]
    figures = {"mAP50-95": precision[..., 0], "mAP50": precision[0, ..., 0], "mAP75": precision[5, ..., 0]}
    figures |= {size: precision[..., place] for place, size in enumerate(SIZES, start=1)}
    figures |= {each["name"]: precision[:, :, place, 0] for place, each in enumerate(truth.loadCats(categories))}
    return {name: float(values[values > -1].mean()) for name, values in figures.items() if (values > -1).any()}


def rows_of(found: dict[str, Boxes], numbers: dict[str, int], categories: list[int]) -> Any:
    """Detections as COCO's result files hold them."""
    for name, boxes in found.items():
        xyxy = boxes.xyxy.astype(np.float64)
        for (left, top, right, bottom), score, cls in zip(xyxy.tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True):
            bbox = [left, top, right - left, bottom - top]
            yield {"image_id": numbers[name], "category_id": categories[cls], "bbox": bbox, "score": score}


def as_dataset(clip: Path, truth: Path, folder: Path) -> Path:
    """Write every fifth frame, and its persons, as a dataset with YOLO labels; returns its YAML."""
    persons = read_mot(truth)
    for name in ("images", "labels"):
        (folder / name).mkdir()
    reader = cv2.VideoCapture(str(clip))
    for index in range(FRAMES.stop):
        there, image = reader.read()
        if not there:
            break
        if index not in FRAMES:
            continue
        height, width = image.shape[:2]
        boxes = np.clip(persons[index], 0, [width, height, width, height]) / [width, height, width, height]
        rows = np.column_stack((np.zeros(len(boxes)), (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]))
        cv2.imwrite(str(folder / "images" / f"{index:06}.png"), image)
        np.savetxt(folder / "labels" / f"{index:06}.txt", rows, fmt=["%d", *["%.9f"] * 4])
    reader.release()
    file = folder / "data.yaml"
    file.write_text(json.dumps({"train": "images", "val": "images", "names": ["person"]}), encoding="utf-8")  # YAML, too
    return file


def compare_export(checkpoint: Path, data: Path, folder: Path) -> None:
    """Validate a network, and what it is exported to."""
    exported = Model(checkpoint).export(output=folder / "exported.onnx", data=str(folder / "images"))
    figures = {}
    for name, model in (("PyTorch", checkpoint), ("ONNX", exported)):
        validator = Validator(model, data=data)
        figures[name] = validator.run()
        spent = ", ".join(f"{stage} {each:.2f}" for stage, each in validator.speed.items())
        print(
            f"{checkpoint.name} as {name}: mAP50 {figures[name].map50:.5f}, mAP50-95 {figures[name].map:.5f}, "
            f"{figures[name].pictures} pictures, {figures[name].objects} objects; ms a picture: {spent}"
        )
    differences = abs(figures["PyTorch"].map50 - figures["ONNX"].map50), abs(figures["PyTorch"].map - figures["ONNX"].map)
    print(f"  difference: mAP50 {differences[0]:.5f}, mAP50-95 {differences[1]:.5f}")


if __name__ == "__main__":
    try:
        main()
    except FramehookError as error:
        raise SystemExit(f"error: {error}") from None
