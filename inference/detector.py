"""From pictures to boxes: a backend, its decoder, and the buffers between them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from framehook.inference.backends.base import Backend, Mode, Tensor
from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.decoders.base import Candidates, Decoder
from framehook.inference.decoders.metadata import baked_into, declared_stride
from framehook.inference.decoders.nms import select, suppress
from framehook.inference.decoders.outputs import FiniteFilter
from framehook.inference.errors import FramehookError, InferenceError, OptionError, UnknownLayoutError, did_you_mean, one_line
from framehook.inference.geometry import Fit, Letterbox
from framehook.inference.network import image_input
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat, Preprocessor

log = logging.getLogger("framehook")

MAX_SHAPES = 4
"""Shapes of input for which buffers are kept; lists of pictures of many lengths would pile them up otherwise."""
STRIDE = 32
"""Input sides that a user chooses are rounded up to a multiple of this where a network does not say of what."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What the network said of a batch, before options such as `conf` are applied.

    Attributes:
        outputs: Raw outputs of each network call.
        placements: Where each image lay in its input.
        input_size: (width, height) of the input.
        preprocess_ms: Time of the whole batch.
        inference_ms: Time of the whole batch.
    """

    outputs: list[list[Tensor]]
    placements: list[list[Letterbox]]
    input_size: tuple[int, int]
    preprocess_ms: float
    inference_ms: float


@dataclass(frozen=True, slots=True)
class Found:
    """The boxes of a batch, with what they were made of.

    Attributes:
        boxes: Boxes of each image in frame pixels.
        speed: Milliseconds an image in preprocess, inference and postprocess.
        computed: What they were decoded from, so that changed options can be applied without another network call.
        options: The options they were made with.
    """

    boxes: list[Boxes]
    speed: dict[str, float]
    computed: Computed
    options: PredictOptions


class Detector:
    """Finds boxes in BGR images; holds no state of a run, so any number of threads may share one.

    Attributes:
        backend: What runs the network.
        decoder: What reads its outputs.
        names: Class number to class name.
        form: How the network expects its input.
        stride: What the sides of its input are a multiple of.
        baked: What its graph does itself of what is otherwise done here.
    """

    def __init__(self, backend: Backend, decoder: Decoder, *, names: Mapping[int, str], form: InputFormat) -> None:
        """Put a detector together; `framehook.inference.load.load_detector` does it from a file."""
        self.backend = backend
        self.decoder = decoder
        self.names = names
        self.form = form
        picture = image_input(backend.network)
        shape, self._dtype = picture.shape, picture.dtype
        self.baked = baked_into(backend.network)
        self._fixed_batch = shape[0]
        if self.baked.frames:
            self._graph_size: tuple[int, int] | None = form.size
        else:
            height, width = (shape[1], shape[2]) if form.channels_last else (shape[2], shape[3])
            self._graph_size = None if width is None or height is None else (width, height)
        self.stride = declared_stride(backend.network) or STRIDE
        self._finite = FiniteFilter(decoder.name)  # decoders of users' own need not think of it
        self._twins: dict[Mode, Detector] = {}
        # A preprocessor is used by one thread at a time and returned; deque's append and pop are atomic.
        self._idle: dict[tuple[tuple[int, int], int], deque[Preprocessor]] = {}

    def for_mode(self, mode: Mode) -> Detector:
        """This detector on the backend's session for `mode`."""
        backend = self.backend.for_mode(mode)
        if backend is self.backend:
            return self
        twin = Detector(backend, self.decoder, names=self.names, form=self.form)
        return self._twins.setdefault(mode, twin)

    def input_size(self, options: PredictOptions) -> tuple[int, int]:
        """(width, height) of the network input under these options.

        Raises:
            OptionError: `imgsz` asks for another size than the graph is fixed to.
        """
        if options.imgsz is None:
            return self._graph_size or self.form.size
        sides = options.imgsz if isinstance(options.imgsz, int) else tuple(options.imgsz)
        height, width = (sides, sides) if isinstance(sides, int) else (sides[0], sides[-1])
        if self._graph_size is None:
            return -(-width // self.stride) * self.stride, -(-height // self.stride) * self.stride
        if (width, height) != self._graph_size:
            fixed = f"{self._graph_size[1]}x{self._graph_size[0]}"
            raise OptionError(f"imgsz={options.imgsz!r} does not fit: the model takes {fixed} only; leave imgsz out")
        return self._graph_size

    def class_filter(self, options: PredictOptions) -> frozenset[int] | None:
        """The class numbers that `options.classes` names, or None for all.

        Raises:
            OptionError: the model has no such class.
        """
        wanted = options.classes
        if wanted is None:
            return None
        by_name = {name: number for number, name in self.names.items()}
        numbers = set()
        for each in wanted if isinstance(wanted, Iterable) and not isinstance(wanted, str) else [wanted]:
            if isinstance(each, str) and each in by_name:
                numbers.add(by_name[each])
            elif isinstance(each, int | np.integer) and int(each) in self.names:
                numbers.add(int(each))
            else:
                more = " ..." if len(by_name) > 10 else ""
                hint = did_you_mean(str(each), by_name) or f" It has {len(by_name)}: {', '.join(list(by_name)[:10])}{more}"
                raise OptionError(f"classes: the model has no class {each!r}.{hint}")
        return frozenset(numbers)

    def check(self, options: PredictOptions) -> None:
        """Raise OptionError where options do not fit this model, and warn of those that come too late for its graph."""
        self.input_size(options)
        self.class_filter(options)
        if self.baked.nms is not None and (late := _too_late(options, self.baked.nms)):
            log.warning(
                "%s suppresses overlaps itself, as it was built: %s cannot be had; export it again for that",
                self.backend.network.source,
                " and ".join(late),
            )

    def find(self, images: Sequence[npt.NDArray[np.uint8]], options: PredictOptions) -> Found:
        """Find the boxes of H x W x 3 uint8 BGR images."""
        return self.decode(self.compute(images, options), options)

    def compute(self, images: Sequence[npt.NDArray[np.uint8]], options: PredictOptions) -> Computed:
        """Run the network on images, in pieces where its batch size is fixed, and one by one where it takes whole frames.

        Raises:
            InferenceError: the network failed.
        """
        size = self.input_size(options)
        if self.baked.frames:
            return self._compute_frames(images, size)
        piece = self._fixed_batch or len(images)
        outputs, placements = [], []
        preprocess = inference = 0.0
        for start in range(0, len(images), piece):
            preprocessor = self._borrow(size, piece)
            began = time.perf_counter()
            placements.append(preprocessor.fill(images[start : start + piece]))
            filled = time.perf_counter()
            outputs.append(self._infer(preprocessor.tensor))
            inference += time.perf_counter() - filled
            preprocess += filled - began
            self._give_back(size, piece, preprocessor)
        return Computed(outputs, placements, size, preprocess * 1e3, inference * 1e3)

    def decode(self, computed: Computed, options: PredictOptions) -> Found:
        """Turn raw outputs into boxes under the given options.

        Raises:
            InferenceError: the decoder does not fit what the network gave.
        """
        began = time.perf_counter()
        classes = self.class_filter(options)
        boxes = []
        for outputs, placements in zip(computed.outputs, computed.placements, strict=True):
            try:
                batch = self.decoder.decode(outputs, input_size=computed.input_size, conf=options.conf)
            except UnknownLayoutError:
                raise
            except (ValueError, IndexError, TypeError) as error:
                shapes = ", ".join("x".join(map(str, np.shape(output))) for output in outputs)
                raise InferenceError(
                    f"decoder '{self.decoder.name}' cannot read outputs of shape {shapes}: {error}; name another with decoder="
                ) from error
            for candidates, placement in zip(batch, placements, strict=False):  # a padded batch has rows without an image
                kept = self._keep(self._finite(candidates), options, classes)
                boxes.append(_in_frame(kept, placement))
        count = max(len(boxes), 1)
        speed = {
            "preprocess": computed.preprocess_ms / count,
            "inference": computed.inference_ms / count,
            "postprocess": (time.perf_counter() - began) * 1e3 / count,
        }
        return Found(boxes, speed, computed, options)

    def _compute_frames(self, images: Sequence[npt.NDArray[np.uint8]], size: tuple[int, int]) -> Computed:
        """Run a network that does its own preprocessing; the time of that is counted as the network's."""
        began = time.perf_counter()
        outputs = [self._infer(np.ascontiguousarray(image)) for image in images]
        inference = time.perf_counter() - began
        return Computed(outputs, [[self._placement(image, size)] for image in images], size, 0.0, inference * 1e3)

    def _placement(self, image: npt.NDArray[np.uint8], size: tuple[int, int]) -> Letterbox:
        """Where a frame lies in what the boxes of a graph that takes whole frames are measured in."""
        frame_size = image.shape[1], image.shape[0]
        if self.baked.boxes_in_frame:
            return Letterbox.fit(frame_size, frame_size, Fit.STRETCH)
        return Letterbox.fit(frame_size, size, self.form.fit)

    def _infer(self, tensor: Tensor) -> list[Tensor]:
        try:
            return self.backend.infer(tensor)
        except FramehookError:
            raise
        except Exception as error:  # a backend of a user's own may raise anything
            source, shape = self.backend.network.source, "x".join(map(str, tensor.shape))
            raise InferenceError(
                f"{source} failed on an input of shape {shape}: {type(error).__name__}: {one_line(error)}"
            ) from error

    def _keep(self, candidates: Candidates, options: PredictOptions, classes: frozenset[int] | None) -> Candidates:
        if not self.decoder.needs_nms:
            return select(candidates, conf=options.conf, classes=classes, max_det=options.max_det)
        return suppress(
            candidates,
            conf=options.conf,
            iou=options.iou,
            classes=classes,
            max_det=options.max_det,
            agnostic=options.agnostic_nms,
        )

    def _borrow(self, size: tuple[int, int], batch: int) -> Preprocessor:
        try:
            return self._idle[size, batch].pop()
        except (KeyError, IndexError):
            return Preprocessor(self.form, input_size=size, batch=batch, dtype=self._dtype)

    def _give_back(self, size: tuple[int, int], batch: int, preprocessor: Preprocessor) -> None:
        for stale in list(self._idle)[:-MAX_SHAPES]:
            self._idle.pop(stale, None)
        self._idle.setdefault((size, batch), deque()).append(preprocessor)


@runtime_checkable
class HasDetector(Protocol):
    """A model as the facade has it: a detector, and the callbacks of its runs."""

    callbacks: Callbacks

    @property
    def detector(self) -> Detector:
        """What is run, exported or validated."""
        ...


def _too_late(options: PredictOptions, baked: Mapping[str, float]) -> list[str]:
    """The options that ask for more than a graph gives that suppresses with `baked` thresholds."""
    late = []
    if options.conf < baked["conf"]:
        late.append(f"conf={options.conf:g} (below {baked['conf']:g})")
    if options.iou not in (PredictOptions().iou, baked["iou"]):
        late.append(f"iou={options.iou:g} (it is {baked['iou']:g})")
    if options.max_det > max(baked["max_det"], PredictOptions().max_det):
        late.append(f"max_det={options.max_det} (over {baked['max_det']:g})")
    if options.agnostic_nms:
        late.append("agnostic_nms")
    return late


def _in_frame(found: Candidates, placement: Letterbox) -> Boxes:
    """Boxes in frame pixels; one that lies wholly in the padding has nothing left in the frame and is dropped."""
    width, height = placement.frame_size
    xyxy = placement.to_frame(found.xyxy)
    has_area = xyxy[:, 2:] > xyxy[:, :2]
    if not has_area.all():
        inside = np.logical_and(has_area[:, 0], has_area[:, 1])
        xyxy, found = xyxy[inside], found[inside]
    return Boxes(xyxy, found.conf, found.cls, orig_shape=(height, width))
