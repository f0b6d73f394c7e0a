"""One pass over the first frames of a file, in each of the ways that a benchmark compares, and what was measured of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.backends import Backend, Mode, Tensor, usable_cores
from framehook.inference.detector import Detector
from framehook.inference.frame import Frame, SourceInfo
from framehook.inference.options import PredictOptions
from framehook.inference.result import Result
from framehook.inference.sources import Source, open_source
from framehook.model import Model

STAGES: Final = ("preprocess", "inference", "postprocess")


@dataclass(frozen=True, slots=True)
class Pass:
    """What was measured in one pass.

    Attributes:
        ms: Wall time in milliseconds a frame.
        each: Milliseconds that each frame took, from its pixels to its boxes; more than `ms` where frames overlap.
        stages: Mean milliseconds of a frame in each stage, where there are any.
        latency: Median milliseconds from the capture of a frame, the wait behind others included, to its boxes; or None.
    """

    ms: float
    each: Sequence[float]
    stages: Mapping[str, float] = field(default_factory=dict)
    latency: float | None = None


class Head(Source):
    """The first frames of another source, as a file of that length; the other is closed with it."""

    def __init__(self, source: Source, frames: int) -> None:
        """Take over a source, open and not live."""
        known = source.info.frame_count
        self.info: SourceInfo = replace(source.info, frame_count=frames if known is None else min(frames, known))
        self.may_block = source.may_block
        self._source = source
        self._left = frames

    def read(self) -> Frame | None:
        """The next frame; None at the end, or once there were enough."""
        if self._left == 0:
            return None
        self._left -= 1
        return self._source.read()

    def interrupt(self) -> None:
        """Make a `read` return soon."""
        self._source.interrupt()

    def close(self) -> None:
        """Close the other source."""
        self._source.close()


class Tensors:
    """A backend that keeps what the network was given last: the tensor that Framehook makes of a picture."""

    def __init__(self, backend: Backend) -> None:
        """Stand in front of a backend."""
        self.network = backend.network
        self.device = backend.device
        self.tensor: Tensor = np.empty(0)
        self._backend = backend

    def infer(self, tensor: Tensor) -> list[Tensor]:
        """Run the network."""
        self.tensor = tensor.copy()
        return self._backend.infer(tensor)

    def for_mode(self, mode: Mode) -> Tensors:
        """The same for every mode."""
        return self


def tensor_of(detector: Detector, image: npt.NDArray[np.uint8]) -> Tensor:
    """What the network is given for an H x W x 3 uint8 BGR picture."""
    tensors = Tensors(detector.backend)
    Detector(tensors, detector.decoder, names=detector.names, form=detector.form).compute([image], PredictOptions())
    return tensors.tensor


def decode(spec: str, frames: int) -> Pass:
    """Read frames, and nothing else."""
    each = []
    with Head(open_source(spec), frames) as source:
        began = last = time.perf_counter()
        for _ in source:
            now = time.perf_counter()
            each.append((now - last) * 1e3)
            last = now
    return Pass(statistics.fmean(each) if each else (last - began) * 1e3, each)


def bare(backend: Backend, tensor: Tensor, calls: int) -> Pass:
    """The network alone, one call after another, on one tensor."""
    network = backend.for_mode("latency")
    began = time.perf_counter()
    each = [_timed(network, tensor) for _ in range(calls)]
    return Pass((time.perf_counter() - began) * 1e3 / calls, each)


def bare_side_by_side(backend: Backend, tensor: Tensor, calls: int) -> Pass:
    """The network alone, a call on each core at any time, on one tensor."""
    network = backend.for_mode("throughput")
    with ThreadPoolExecutor(usable_cores(), "framehook-bare") as pool:
        began = time.perf_counter()
        each = list(pool.map(lambda _: _timed(network, tensor), range(calls)))
        ms = (time.perf_counter() - began) * 1e3 / calls
    return Pass(ms, each)


def one_by_one(model: Model, spec: str, frames: int) -> Pass:
    """A run that computes one frame at a time over all cores, as runs over live sources do."""
    # Whoever listens to this event may change the picture, so that no frame can be computed ahead.
    listener = model.add_callback("on_predict_batch_start", _nothing)
    try:
        return _run(model, spec, frames)
    finally:
        listener.remove()


def overlapped(model: Model, spec: str, frames: int) -> Pass:
    """A run as it is over files: a frame on each core at any time."""
    return _run(model, spec, frames)


def _nothing(predictor: Any) -> None:
    """Listen, and do nothing."""


def _run(model: Model, spec: str, frames: int) -> Pass:
    each, latencies = [], []
    with model.predict(Head(open_source(spec), frames), stream=True) as run:
        began = time.perf_counter()
        for result in run:
            each.append(computing_ms(result))
            latencies.append(result.latency_ms or 0.0)
        ms = (time.perf_counter() - began) * 1e3 / max(len(each), 1)
    return Pass(ms, each, run.stats.speed, statistics.median(latencies) if latencies else None)


def computing_ms(result: Result) -> float:
    """Milliseconds from a frame's pixels to its boxes."""
    return sum(result.speed[stage] for stage in STAGES)


def _timed(backend: Backend, tensor: Tensor) -> float:
    began = time.perf_counter()
    backend.infer(tensor)
    return (time.perf_counter() - began) * 1e3
