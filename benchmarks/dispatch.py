"""What callbacks cost: a call, and a slow callback moved to the background.

    python benchmarks/dispatch.py [--model yolox_nano_416.onnx --clip vtest.avi]

The first figure is the engine's own work to call one callback (an empty function) for an event. The second compares the frame
rate of a run with and without a background callback that sleeps 50 ms; without --model and --clip the bundled model runs over a
generated scene.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from framehook import Model
from framehook.inference.callbacks import Callbacks


class Nowhere:
    """An engine that does nothing."""

    def snapshot(self) -> object:
        """Nothing to see."""
        return None

    def where(self) -> str:
        """Nowhere."""
        return ""


def dispatch_microseconds(count: int, fires: int = 20_000) -> float:
    """Microseconds a callback when `count` of them are registered for an event."""
    callbacks = Callbacks(parent=Callbacks())
    for _ in range(count):
        callbacks.add("on_predict_batch_end", lambda predictor: None)
    engine = Nowhere()
    callbacks.fire("on_predict_batch_end", engine)
    began = time.perf_counter()
    for _ in range(fires):
        callbacks.fire("on_predict_batch_end", engine)
    return (time.perf_counter() - began) * 1e6 / fires / count


def frame_rate(model: Model, source: Any, *, background: bool) -> float:
    """Frames per second of a run, with a sleeping background callback or without."""
    handle = None
    if background:
        handle = model.add_callback("on_predict_batch_end", lambda predictor: time.sleep(0.05), background=True)
    frames = 0
    began = time.perf_counter()
    with model.predict(source, stream=True) as run:
        for _ in run:
            frames += 1
            # Taken before the end of the run, which waits up to 2 s for queued background calls.
            elapsed = time.perf_counter() - began
    if handle is not None:
        handle.remove()
    return frames / elapsed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    for count in (1, 10):
        samples = [dispatch_microseconds(count) for _ in range(arguments.rounds)]
        print(f"dispatch with {count:2} callbacks: {statistics.median(samples):.2f} microseconds a callback")
    model = Model(arguments.model)
    source = arguments.clip or "testsrc:640x480@30:400"
    frame_rate(model, source, background=False)
    ratios = []
    for _ in range(arguments.rounds):
        alone = frame_rate(model, source, background=False)
        ratios.append(frame_rate(model, source, background=True) / alone)
    print(
        f"frame rate with a 50 ms background callback: {statistics.median(ratios):.1%} of that without "
        f"({min(ratios):.1%} to {max(ratios):.1%})"
    )


if __name__ == "__main__":
    main()
