"""Throughput against a plain sequential loop and against the bare ONNX Runtime session, in interleaved rounds.

    python benchmarks/throughput.py --model yolox_nano_416.onnx --clip vtest.avi

Four ways through the same clip with the same model:

- plain: what people write first: `cv2.VideoCapture.read`, letterbox with resize, pad, transpose, astype; one session over all
  cores; decode; class-aware NMS with `cv2.dnn.NMSBoxesBatched`;
- bare: `session.run` of that same session on one fixed tensor, nothing else, as often as the clip has frames;
- framehook: `Model(model).predict(clip, stream=True)`;
- recorded: `Model(model).track(clip, stream=True, save=True)`: tracked, drawn and encoded as H.264 as well, which none of the
  others does.

The machine's speed drifts, so each round runs all of them and ratios are taken round by round; the medians are what to quote.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

from framehook import Model, Run
from framehook.inference.backends import usable_cores
from framehook.inference.decoders import get_decoder
from framehook.inference.detector import Detector


def plain_session(model: Path) -> ort.InferenceSession:
    """A session as people make it, over all usable cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def plain_loop(session: ort.InferenceSession, detector: Detector, clip: Path, frames: int) -> int:
    """The sequential loop; returns the number of boxes so that nothing can be left out."""
    form = detector.form
    node = session.get_inputs()[0]
    side = node.shape[2] if isinstance(node.shape[2], int) else form.size[1]
    decoder = get_decoder(detector.decoder.name)
    capture = cv2.VideoCapture(str(clip))
    boxes = 0
    for _ in range(frames):
        ok, image = capture.read()
        if not ok:
            break
        scale = min(side / image.shape[0], side / image.shape[1])
        height, width = round(image.shape[0] * scale), round(image.shape[1] * scale)
        canvas = np.full((side, side, 3), form.pad, np.uint8)
        canvas[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if form.rgb:
            canvas = canvas[..., ::-1]
        tensor = np.ascontiguousarray(canvas.transpose(2, 0, 1)).astype(np.float32)[None]
        if form.scale != 1:
            tensor *= form.scale
        outputs = session.run(None, {node.name: tensor})
        found = decoder.decode(outputs, input_size=(side, side), conf=0.25)[0]
        if len(found.conf):
            corners = found.xyxy / scale
            sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
            boxes += len(cv2.dnn.NMSBoxesBatched(sizes.tolist(), found.conf.tolist(), found.cls.tolist(), 0.25, 0.7))
    capture.release()
    return boxes


def bare_loop(session: ort.InferenceSession, frames: int) -> int:
    """The network alone, on one tensor."""
    node = session.get_inputs()[0]
    shape = [axis if isinstance(axis, int) else 1 for axis in node.shape]
    tensor = np.random.default_rng(0).random(shape, np.float32)
    for _ in range(frames):
        session.run(None, {node.name: tensor})
    return 0


def framehook_run(run: Run, frames: int) -> int:
    """A run of Framehook, results taken one by one."""
    boxes = 0
    with run:
        for number, result in enumerate(run, 1):
            boxes += len(result.boxes)
            if number == frames:
                break
    return boxes


def recorded_run(model: Model, clip: Path, frames: int) -> int:
    """The same, tracked, drawn and recorded."""
    with tempfile.TemporaryDirectory() as folder:
        return framehook_run(model.track(clip, stream=True, save=True, save_dir=folder), frames)


def milliseconds(work: Callable[[], int], frames: int) -> tuple[float, int]:
    """Wall time a frame, and the boxes found."""
    began = time.perf_counter()
    boxes = work()
    return (time.perf_counter() - began) * 1e3 / frames, boxes


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=400)
    arguments = parser.parse_args()

    model = Model(arguments.model)
    session = plain_session(arguments.model)
    ways: dict[str, Callable[[], int]] = {
        "plain": lambda: plain_loop(session, model.detector, arguments.clip, arguments.frames),
        "bare": lambda: bare_loop(session, arguments.frames),
        "framehook": lambda: framehook_run(model.predict(arguments.clip, stream=True), arguments.frames),
        "recorded": lambda: recorded_run(model, arguments.clip, arguments.frames),
    }
    for work in ways.values():
        work()  # warm-up: sessions, file cache, buffers
    times: dict[str, list[float]] = {name: [] for name in ways}
    boxes = {}
    for _ in range(arguments.rounds):
        for name, work in ways.items():
            spent, boxes[name] = milliseconds(work, arguments.frames)
            times[name].append(spent)
    print(
        f"{arguments.model.name} on {arguments.clip.name}, {arguments.frames} frames, {arguments.rounds} rounds, "
        f"{usable_cores()} cores, onnxruntime {ort.__version__}"
    )
    for name, spent in times.items():
        spread = f"({min(spent):.2f} to {max(spent):.2f})"
        print(f"  {name:10} {statistics.median(spent):7.2f} ms a frame  {spread}, {boxes[name]} boxes")
    for name in ("plain", "bare"):
        ratios = [theirs / ours for theirs, ours in zip(times[name], times["framehook"], strict=True)]
        print(f"  {name} / framehook: {statistics.median(ratios):.2f} x  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
