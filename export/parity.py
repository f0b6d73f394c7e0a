"""The gate that every export goes through: what was written does what its source does, on the same frames."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from framehook.export.box_check import BoxFigures, Proposed, Tally
from framehook.export.file_check import load_exported
from framehook.export.inner_network import InnerNetwork
from framehook.export.pixel_check import PixelComparison, PixelFigures, charts
from framehook.export.tensor_check import TensorComparison, TensorFigures
from framehook.export.tolerances import CONF, ENOUGH, Kind, tolerance_for
from framehook.inference.backends.base import Tensor
from framehook.inference.boxes import Boxes
from framehook.inference.detector import Computed, Detector
from framehook.inference.errors import InferenceError, ParityError, one_line
from framehook.inference.network import image_input
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import Preprocessor

if TYPE_CHECKING:
    from framehook.export.graph_suppress import Suppression

Image = npt.NDArray[np.uint8]

NETWORK_FRAMES: Final = 8
"""On how many of the frames, evenly spread, the networks alone are compared."""
PATIENCE: Final = 60.0
"""After so many seconds the detections of no further frame are compared: an export must not wait for hours."""
HOPE: Final = 10.0
"""As `PATIENCE`, where the source has found nothing so far: what is left is unlikely to prove anything."""
SPEED_SECONDS: Final = 2.0
"""For how long both are timed, in turn, at most: longer only where it would give fewer than `SPEED_ROUNDS` rounds."""
SPEED_ROUNDS: Final = 3
SPEED_MOST: Final = 50
"""Rounds after which the medians of a quick network stand, however few seconds they took."""

_LEAST: Final = 0.01  # score down to which detections of int8 are ranked
_SLACK: Final = 1e-5  # below a score that counts, so that nothing is lost at the edge
_ADVICE: Final[dict[Kind, str]] = {
    "float": "export it with simplify=False or another opset; verify=False writes it as it is",
    "half": "leave half out; verify=False writes it as it is",
    "int8": "pass data of your own scenes, more and more varied, or leave int8 out",
}


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast source and export are on this machine: medians, timed in turn.

    Attributes:
        network_ms: Milliseconds a frame of the source's network call, and of the export's, which may contain preprocessing and
            suppression.
        total_ms: Milliseconds from a frame to its boxes, of the source and of the export.
        rounds: How often each was timed.
    """

    network_ms: tuple[float, float]
    total_ms: tuple[float, float]
    rounds: int

    @property
    def ratio(self) -> float:
        """How many times as fast the export is, from a frame to its boxes."""
        return self.total_ms[0] / max(self.total_ms[1], 1e-9)


@dataclass(frozen=True, slots=True)
class Parity:
    """What a comparison gave; there is none of an export that failed it.

    Attributes:
        kind: What the export computes in.
        frames: How many frames were compared.
        conf: From which score on detections were compared.
        tensors: How far the network's outputs are off.
        pixels: How far the preprocessing in the file is off; None where it has none.
        boxes: How the detections agree, of the same pixels.
        own_pixels: How they agree where source and file scale the frame themselves; None where only one of them does.
        speed: How fast both are.
        notes: What could not be compared, in words.
    """

    kind: Kind
    frames: int
    conf: float
    tensors: TensorFigures
    pixels: PixelFigures | None
    boxes: BoxFigures
    own_pixels: BoxFigures | None
    speed: Speed
    notes: tuple[str, ...] = ()

    @property
    def detections(self) -> int:
        """How many detections of the source were compared."""
        return self.boxes.matched.expected

    @property
    def proven(self) -> bool:
        """Whether there were enough detections for them to prove anything; where not, the network's outputs alone agree."""
        return self.detections >= ENOUGH

    def as_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON; times are in milliseconds."""
        derived = {"detections": self.detections, "proven": self.proven, "speed_ratio": self.speed.ratio}
        return {**dataclasses.asdict(self), "notes": list(self.notes), **derived}


def compare(
    source: Detector,
    exported: Path,
    frames: Sequence[Image],
    *,
    kind: Kind = "float",
    network_input: str | None = None,
    network_outputs: Sequence[str] = (),
    nms: Suppression | None = None,
    size: tuple[int, int] | None = None,
    progress: Callable[[float], None] | None = None,
    seconds: float = SPEED_SECONDS,
) -> Parity:
    """Compare a written file with what it was made of, and refuse it where it differs.

    In this order, the first difference ends it:

    1. The file loads with no flags, and says what is true of its classes, its layout, its input and the stages in it.
    2. Preprocessing in the file, against `Preprocessor`: on frames, and on made-up pictures of other sizes.
    3. The outputs of the network itself, on the same tensors; in a file with more stages they are taken out of its middle.
       Where the file leaves its batch or its size open, with another batch and size too.
    4. Detections over `CONF`, of every frame: matched one to one with the source's, and judged with those as the truth. A file
       that takes frames is compared with what the source finds in the pixels that the file made, and in its own. With fewer
       than `ENOUGH` of them this proves nothing, which `Parity.proven` tells.

    What makes no difference on these frames beyond single precision's own is not seen: a single weight may be another one if
    boxes move by no more than hundredths of a pixel for it, or if what it looks for is neither in the frames nor in the made-up
    pictures.

    `export/tolerances.py` says what is allowed, and why. The file runs on the processor, whose arithmetic is exact enough for
    that; the source runs where it was loaded.

    Args:
        source: The model that was exported. Its network may take any size, where the file is fixed to one.
        exported: The file.
        frames: H x W x 3 uint8 BGR, at least one.
        kind: What the file computes in.
        network_input: What the tensor that the network takes is called in the file; None where nothing was merged onto it.
        network_outputs: What its raw outputs are called in the file; empty where nothing was merged onto it.
        nms: What suppression in the file is built with; None where it has none.
        size: (width, height) of its network's input that was asked for, or what a run takes first where that stays open; None
            for the source's own.
        progress: Called with how much is done, 0..1.
        seconds: As `SPEED_SECONDS`.

    Raises:
        ParityError: the file differs; the line names the figure, how much is allowed, and what to do.
        InferenceError: the source itself fails.
    """
    inner = InnerNetwork(exported, network_input or "", network_outputs) if network_outputs else None
    takes_frames = inner is not None and inner.takes_frames
    own = source.input_size(PredictOptions())
    target = load_exported(source, exported, takes_frames=takes_frames, nms=nms, size=size or own)
    tell = progress or (lambda part: None)
    pair = _Pair(source, target, inner, kind, nms)
    few = [frames[(2 * number + 1) * len(frames) // (2 * NETWORK_FRAMES)] for number in range(NETWORK_FRAMES)]
    few = few if len(frames) > NETWORK_FRAMES else list(frames)
    pixels, tensors = pair.compare_networks(few, lambda part: tell(0.35 * part))
    if kind != "int8":
        _check_tensors(kind, tensors)
    boxes, own_pixels = pair.compare_detections(frames, lambda part: tell(0.35 + 0.5 * part))
    if kind == "int8" and boxes.matched.expected < ENOUGH:
        _check_tensors(kind, tensors)
    speed = pair.time(frames, seconds)
    tell(1.0)
    return Parity(kind, pair.frames, pair.conf, tensors, pixels, boxes, own_pixels, speed, tuple(pair.notes))


class _Pair:
    """A source and its export, and the ways in which they are compared."""

    def __init__(
        self,
        source: Detector,
        target: Detector,
        inner: InnerNetwork | None,
        kind: Kind,
        nms: Suppression | None,
    ) -> None:
        self._source, self._target, self._inner = source, target, inner
        self._kind, self._tolerance, self._own_pixels = kind, tolerance_for(kind), tolerance_for(kind, own_pixels=True)
        self._iou, self._max_det = (PredictOptions().iou, PredictOptions().max_det) if nms is None else (nms.iou, nms.max_det)
        self._takes_frames, self._suppresses = inner is not None and inner.takes_frames, nms is not None
        # What a file with suppression leaves out for its score cannot be compared.
        self.conf = CONF if nms is None else max(CONF, nms.conf + self._tolerance.score + _SLACK)
        self._size = (0, 0)  # (width, height) of the network's input, once it is known
        fixed = image_input(target.backend.network).shape[0]
        self._fixed_batch = 1 if self._takes_frames else fixed
        self._batch = self._fixed_batch or 2  # where it is open, more than one is what may go wrong
        self.frames = 0  # whose detections were compared
        self.notes: list[str] = []

    # The networks ---------------------------------------------------------------------------------------------------------

    def compare_networks(
        self, frames: Sequence[Image], tell: Callable[[float], None]
    ) -> tuple[PixelFigures | None, TensorFigures]:
        """Compare the preprocessing, where there is one in the file, and the outputs of the networks.

        Raises:
            ParityError: they differ in shape, or the preprocessing is beyond its tolerance.
        """
        comparison = TensorComparison(self._tolerance, ranked=not self._source.decoder.needs_nms)
        # Made-up pictures wake classes that are not in the frames; calibration did not reckon with them.
        extra = list(charts()) if self._kind == "float" else []
        pixels = None
        if self._takes_frames:
            pixels = self._compare_frames([*frames, *(extra or charts())], comparison, tell)
        else:
            self._compare_tensors([*frames, *extra], comparison, tell)
        return pixels, comparison.figures()

    def _compare_frames(
        self, frames: Sequence[Image], comparison: TensorComparison, tell: Callable[[float], None]
    ) -> PixelFigures:
        assert self._inner is not None  # a file that takes frames has a network inside
        pixels = PixelComparison(self._source.form)
        for number, image in enumerate(frames):
            tensor, outputs = self._inner.on_frame(image)
            pixels.add(image, tensor)
            comparison.add(self._expected(tensor), outputs, self._inner.output_names)
            tell((number + 1) / len(frames))
        axes = tensor.shape[1:3] if self._source.form.channels_last else tensor.shape[2:4]
        self._size = (axes[1], axes[0])
        return pixels.figures()

    def _compare_tensors(self, frames: Sequence[Image], comparison: TensorComparison, tell: Callable[[float], None]) -> None:
        picture = image_input(self._target.backend.network)
        axes = picture.shape[1:3] if self._target.form.channels_last else picture.shape[2:4]
        self._size = self._target.input_size(PredictOptions())
        calls = [(self._size, list(frames[start : start + self._batch])) for start in range(0, len(frames), self._batch)]
        if self._fixed_batch is None:
            calls.append((self._size, [frames[0]]))
        if None in axes:
            stride = self._source.stride
            other = (self._size[0], max(-(-self._size[1] // (2 * stride)), 1) * stride)
            if self._takes(other):
                calls.append((other, list(frames[: self._batch])))
            else:
                # That it runs is all that can be seen.
                self._found(self._tensor(frames[: self._batch], other))
                self.notes.append(
                    f"the source takes {self._size[0]}x{self._size[1]} only, so other sizes were run and not compared"
                )
        for number, (size, images) in enumerate(calls):
            tensor = self._tensor(images, size)
            names = self._inner.output_names if self._inner else [each.name for each in self._target.backend.network.outputs]
            comparison.add(self._expected(tensor), self._found(tensor), names)
            tell((number + 1) / len(calls))

    def _takes(self, size: tuple[int, int]) -> bool:
        picture = image_input(self._source.backend.network)
        axes = picture.shape[1:3] if self._source.form.channels_last else picture.shape[2:4]
        return all(axis in (None, side) for axis, side in zip(axes, (size[1], size[0]), strict=True))

    def _tensor(self, images: Sequence[Image], size: tuple[int, int]) -> Tensor:
        """Pictures as a network takes them; where a batch is fixed to more, the rest stays zero."""
        dtype = image_input(self._source.backend.network).dtype
        preprocessor = Preprocessor(self._source.form, input_size=size, batch=self._fixed_batch or len(images), dtype=dtype)
        preprocessor.fill(images)
        return preprocessor.tensor

    def _expected(self, tensor: Tensor) -> list[Tensor]:
        """What the source gives for a tensor, in pieces where its batch is fixed."""
        picture = image_input(self._source.backend.network)
        count, piece = len(tensor), picture.shape[0] or len(tensor)
        missing = -count % piece
        filled = np.concatenate((tensor, np.zeros_like(tensor, shape=(missing, *tensor.shape[1:]))))
        filled = filled.astype(picture.dtype, copy=False)
        pieces = [self._source.backend.infer(filled[start : start + piece]) for start in range(0, count, piece)]
        if len(pieces) == 1 and not missing:
            return pieces[0]
        return [np.concatenate(parts)[:count] for parts in zip(*pieces, strict=True)]

    def _found(self, tensor: Tensor) -> list[Tensor]:
        """What the network in the file gives for a tensor."""
        if self._inner is not None:
            return self._inner.on_tensor(tensor)
        with _named():
            return self._target.backend.infer(tensor)

    # The detections -------------------------------------------------------------------------------------------------------

    def compare_detections(
        self, frames: Sequence[Image], tell: Callable[[float], None]
    ) -> tuple[BoxFigures, BoxFigures | None]:
        """Compare what both find in every frame: of the same pixels, and, where the file takes frames, of those each makes.

        Raises:
            ParityError: they differ.
        """
        ours, theirs = self._options(self.conf / 2 - _SLACK), self._options(_LEAST, of_file=True)
        same, own = (Tally(each, self.conf, self._max_det) for each in (self._tolerance, self._own_pixels))
        began = time.monotonic()
        for start in range(0, len(frames), self._batch):
            images = frames[start : start + self._batch]
            found = self._find(images, theirs)
            computed = self._source.compute(images, ours)
            if self._inner is not None and self._takes_frames:
                own.add(self._source.decode(computed, ours).boxes, found, self._proposed(computed, ours))
                tensor, _ = self._inner.on_frame(images[0])
                computed = dataclasses.replace(computed, outputs=[self._expected(tensor)])
            same.add(self._source.decode(computed, ours).boxes, found, self._proposed(computed, ours))
            tell(same.frames / len(frames))
            limit = PATIENCE if same.expected else HOPE
            if time.monotonic() - began > limit and NETWORK_FRAMES <= same.frames < len(frames):
                few = "" if same.expected else ", in which the source finds nothing"
                self.notes.append(
                    f"detections were compared on the first {same.frames} of {len(frames)} frames, for {limit:g} s{few}"
                )
                break
        self.frames = same.frames
        # That the network itself is right has been seen.
        advice = "leave nms out" if self._suppresses and self._kind == "float" else _ADVICE[self._kind]
        return same.figures(advice), own.figures("leave preprocess out") if self._takes_frames else None

    def _find(self, images: Sequence[Image], options: PredictOptions) -> list[Boxes]:
        with _named():
            return self._target.find(images, options).boxes

    def _options(self, conf: float, *, of_file: bool = False) -> PredictOptions:
        """Options under which source and file see the same."""
        options = PredictOptions(conf=conf, iou=self._iou, max_det=self._max_det)
        if of_file or self._source.input_size(options) == self._size:
            return options
        return options.replace({"imgsz": (self._size[1], self._size[0])})

    def _proposed(self, computed: Computed, options: PredictOptions) -> Iterator[Proposed]:
        """What the source proposes in each image, before suppression."""
        decoder = self._source.decoder
        for outputs, placements in zip(computed.outputs, computed.placements, strict=True):
            batch = decoder.decode(outputs, input_size=computed.input_size, conf=options.conf)
            for candidates, placement in zip(batch, placements, strict=False):  # a padded batch has rows without an image
                good = (candidates.conf > options.conf) & np.isfinite(candidates.xyxy).all(axis=1)
                candidates = candidates[np.flatnonzero(good)]
                yield Proposed(candidates, placement.to_frame(candidates.xyxy), self._iou if decoder.needs_nms else None)

    # The time they take ---------------------------------------------------------------------------------------------------

    def time(self, frames: Sequence[Image], seconds: float) -> Speed:
        """Time both in turn, since the speed of machines drifts."""
        own, other = self._options(CONF), self._options(CONF, of_file=True)
        network: tuple[list[float], list[float]] = ([], [])
        total: tuple[list[float], list[float]] = ([], [])
        began = time.perf_counter()
        batch = self._fixed_batch or 1
        while (done := len(total[0])) < SPEED_ROUNDS or (done < SPEED_MOST and time.perf_counter() - began < seconds):
            start = done * batch
            images = [frames[(start + number) % len(frames)] for number in range(batch)]
            for side, (detector, options) in enumerate(((self._source, own), (self._target, other))):
                found = detector.find(images, options)
                network[side].append(found.speed["inference"])
                total[side].append(sum(found.speed.values()))
        return Speed(
            (statistics.median(network[0]), statistics.median(network[1])),
            (statistics.median(total[0]), statistics.median(total[1])),
            len(total[0]),
        )


@contextmanager
def _named() -> Iterator[None]:
    """Word what a file fails with; it has another name yet.

    Raises:
        ParityError: it failed.
    """
    try:
        yield
    except InferenceError as error:
        raise ParityError(f"the exported file cannot be run: {one_line(error)}") from error


def _check_tensors(kind: Kind, tensors: TensorFigures) -> None:
    """Raise ParityError where a network's outputs are too far off."""
    if tensors.error <= tensors.allowed:
        return
    if kind == "float":
        off = f"{tensors.where} is off by {tensors.error:.3g} times what is allowed (by {tensors.difference:.2g} at most)"
    else:
        off = f"{tensors.where} is off by {tensors.error:.2f} of its spread, and {tensors.allowed:g} is allowed"
    raise ParityError(f"the exported network does not compute what its source does: {off}; {_ADVICE[kind]}")
