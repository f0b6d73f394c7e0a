"""What is left behind: memory after many frames, threads and files after abandoned runs, answers of a shared model.

    python benchmarks/endurance.py

- memory: growth over 10,000 frames of a tracked and annotated run, after a warm-up of 1,000;
- many: growth over 100,000 frames of four sources, tracked, as fast as can be (`--many 864000`: two hours of cameras);
- abandoned: 500 runs over a video file, each dropped after one frame; threads and open files before and after;
- sharing: 1,000 single images in four threads with different options, a `predict` inside a callback and another beside an open
  run, all on one `Model`; every answer must equal the serial one.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.frame import SourceKind
from framehook.inference.sources import TestSource, open_source


def resident_megabytes() -> float:
    """Memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    """File handles this process holds now."""
    return len(os.listdir("/proc/self/fd"))


def memory(frames: int, warm_up: int = 1000) -> None:
    """Growth over a long run that looks at the annotated picture of every frame."""
    at_warm_up = 0.0
    with Model().track(f"testsrc:640x480@30:{frames + warm_up}", stream=True, conf=0.3) as run:
        for number, result in enumerate(run, 1):
            _ = result.canvas
            if number == warm_up:
                gc.collect()
                at_warm_up = resident_megabytes()
    gc.collect()
    print(f"memory: {resident_megabytes() - at_warm_up:+.1f} MB over {frames} frames (from {at_warm_up:.0f} MB)")


def many(frames: int, warm_up: int = 20_000) -> None:
    """Growth over a long run of four sources with tracks, and a network that costs nothing."""

    def network(tensor: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        boxes = np.zeros((len(tensor), 5, 2), np.float32)
        boxes[:, :, 0], boxes[:, :, 1] = (10, 10, 8, 12, 0.9), (22, 20, 8, 12, 0.8)
        return [boxes]

    model = Model(FunctionBackend(network, input_shape=(None, 3, 32, 32), output_shapes=[(None, 5, 2)]), decoder="yolo")
    sources = [TestSource(size=(64, 48), fps=30, frames=frames // 4) for _ in range(4)]
    at_warm_up = highest = 0.0
    began = time.monotonic()
    with model.track(sources[0], stream=True) as run:
        for source in sources[1:]:
            run.add_source(source)
        for number, _ in enumerate(run, 1):
            if number == warm_up:
                gc.collect()
                at_warm_up = resident_megabytes()
            elif number % 20_000 == 0:
                highest = max(highest, resident_megabytes())
        ledgers = [each.ledger for each in run.stats.sources.values()]
    assert [each.delivered for each in ledgers] == [frames // 4] * 4
    print(
        f"many: {highest - at_warm_up:+.1f} MB at most over {frames} frames of four sources (from {at_warm_up:.0f} MB), "
        f"{frames / (time.monotonic() - began):.0f} frames/s"
    )


def abandoned(runs: int) -> None:
    """Drop runs half-way and count what stays."""
    warnings.simplefilter("ignore", ResourceWarning)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        model = Model()
        next(model.predict(clip, stream=True))
        gc.collect()
        threads, files = threading.active_count(), open_files()
        for _ in range(runs):
            next(model.predict(clip, stream=True))
        gc.collect()
        print(f"abandoned: {runs} runs left {threading.active_count() - threads} threads and {open_files() - files} files open")


def write_clip(path: Path) -> None:
    """Two seconds of the test scene."""
    with av.open(str(path), "w") as container, open_source("testsrc:320x240@30:60") as frames:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 320, 240
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.array(frame.image), format="bgr24")))
        container.mux(stream.encode())


def sharing(images: int) -> None:
    """Compare what four threads are told with what one is told."""
    with open_source(f"testsrc:320x240@30:{images}") as scene:
        pictures = [frame.image for frame in scene]
    options = [{"conf": 0.05}, {"conf": 0.2}, {"conf": 0.1, "max_det": 2}, {"conf": 0.02, "iou": 0.3}]
    plain = Model()
    expected = [plain.predict(picture, **options[number % 4])[0].boxes for number, picture in enumerate(pictures)]
    model = Model()

    def predict_inside(predictor: Any) -> None:
        if predictor.source.kind == SourceKind.TEST:  # the run beside; a picture's own run must not call itself for ever
            model.predict(predictor.frame.image, conf=0.05)

    model.add_callback("on_predict_postprocess_end", predict_inside)

    def work(thread: int) -> int:
        wrong = 0
        for number in range(thread, images, 4):
            boxes = model.predict(pictures[number], **options[number % 4])[0].boxes
            same = np.allclose(boxes.xyxy, expected[number].xyxy, atol=1e-3) and np.allclose(boxes.conf, expected[number].conf)
            wrong += not same
        return wrong

    with model.predict("testsrc:320x240@30", stream=True) as beside, ThreadPoolExecutor(4) as pool:
        next(beside)
        answers = pool.map(work, range(4))
        for _ in range(50):
            next(beside)
        wrong = sum(answers)
    print(f"sharing: {images} images in 4 threads, beside an open run with a predict in its callback: {wrong} differ")


def main() -> None:
    """Run all four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000, help="864000 are two hours of four cameras")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--images", type=int, default=1000)
    arguments = parser.parse_args()
    memory(arguments.frames)
    many(arguments.many)
    abandoned(arguments.runs)
    sharing(arguments.images)


if __name__ == "__main__":
    main()
