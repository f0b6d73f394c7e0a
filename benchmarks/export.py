"""What an export is worth: the model as it is against its ONNX, float16 and int8 files, from frame to boxes.

    python benchmarks/export.py --model yolo11n.pt --clip vtest.avi

Each file is exported as a user would, comparison with the source included, and timed; int8 is calibrated on the clip. Then all
of them go through the same frames, which lie in memory, one by one and over all usable cores, as a live stream is detected.

The machine's speed drifts, so each round runs all of them and ratios are taken round by round; the medians are what to quote.
float16 is for GPUs: processors compute it in float32, and convert.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from framehook import Model
from framehook.export.frames import take_frames
from framehook.inference.backends import usable_cores
from framehook.inference.detector import Detector
from framehook.inference.options import PredictOptions

WAYS: Final[dict[str, dict[str, Any]]] = {"onnx": {}, "float16": {"half": True}, "int8": {"int8": True}}
SOURCE: Final = "source"

Image = npt.NDArray[np.uint8]


def export_all(model: Model, clip: Path, folder: Path, imgsz: int | None) -> tuple[dict[str, Path], dict[str, float]]:
    """Export every way; returns the files, and the seconds each took."""
    files, seconds = {}, {}
    for name, options in WAYS.items():
        began = time.perf_counter()
        files[name] = model.export(output=folder / f"{name}.onnx", data=clip, imgsz=imgsz, **options)
        seconds[name] = time.perf_counter() - began
    return files, seconds


def milliseconds(detector: Detector, frames: tuple[Image, ...], options: PredictOptions) -> tuple[float, int]:
    """Wall time a frame, and the boxes found."""
    began = time.perf_counter()
    boxes = sum(len(detector.find([frame], options).boxes[0]) for frame in frames)
    return (time.perf_counter() - began) * 1e3 / len(frames), boxes


def main() -> None:
    """Export, run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a .pt checkpoint or an .onnx file, in float32")
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--imgsz", type=int, default=None, help="input size, where the model leaves it open")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--frames", type=int, default=40)
    arguments = parser.parse_args()

    model = Model(arguments.model)
    options = PredictOptions.build({} if arguments.imgsz is None else {"imgsz": arguments.imgsz})
    frames = take_frames(arguments.clip, arguments.frames).images
    with tempfile.TemporaryDirectory() as folder:
        files, seconds = export_all(model, arguments.clip, Path(folder), arguments.imgsz)
        sizes = {SOURCE: arguments.model.stat().st_size, **{name: path.stat().st_size for name, path in files.items()}}
        detectors = {SOURCE: model.detector, **{name: Model(path).detector for name, path in files.items()}}
    for detector in detectors.values():
        milliseconds(detector, frames[:5], options)  # warm-up: kernels are chosen, buffers allocated
    times: dict[str, list[float]] = {name: [] for name in detectors}
    boxes = {}
    for _ in range(arguments.rounds):
        for name, detector in detectors.items():
            spent, boxes[name] = milliseconds(detector, frames, options)
            times[name].append(spent)

    width, height = model.detector.input_size(options)
    print(
        f"{arguments.model.name} at {width}x{height} on {arguments.clip.name}, {len(frames)} frames, "
        f"{arguments.rounds} rounds, {usable_cores()} cores, onnxruntime {ort.__version__}"
    )
    for name, spent in times.items():
        spread = f"({min(spent):.2f} to {max(spent):.2f})"
        took = f", exported and compared in {seconds[name]:.1f} s" if name in seconds else f": {model.detector.backend.device}"
        print(
            f"  {name:8} {statistics.median(spent):7.2f} ms a frame  {spread}, {boxes[name]} boxes, "
            f"{sizes[name] / 1e6:.1f} MB{took}"
        )
    for base in (SOURCE, "onnx"):
        for name in list(times)[list(times).index(base) + 1 :]:
            ratios = [theirs / ours for theirs, ours in zip(times[base], times[name], strict=True)]
            print(f"  {base} / {name}: {statistics.median(ratios):.2f} x  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
