"""One validation: fires events, finds the objects of labelled pictures, says how well."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, Unpack

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.decoders import DecoderSpec
from framehook.inference.detector import Detector, HasDetector
from framehook.inference.errors import OptionError, RecordingError, RunError
from framehook.inference.events import ValEvent
from framehook.inference.geometry import Letterbox
from framehook.inference.load import load_detector
from framehook.inference.options import PredictOptions
from framehook.inference.saving import next_free_folder
from framehook.training.batches import Batches, ValBatch, rectangle
from framehook.training.classes import match_classes
from framehook.training.confusion import ConfusionMatrix
from framehook.training.data.sample import Sample, Split
from framehook.training.evaluation import check_installed, evaluate
from framehook.training.metrics import DetectionMetrics
from framehook.training.options import ValArgs, ValOptions
from framehook.training.plots.val_batches import draw_batch
from framehook.training.val_snapshot import ValSnapshot

log = logging.getLogger("framehook")

Criterion: TypeAlias = Callable[[Sequence[Sample], Sequence[Letterbox]], npt.ArrayLike]
"""Gives the items of the loss of the batch that was computed last, as means a picture: of its labels, and of where each picture
lay in the network's input."""

STAGES: Final = ("preprocess", "inference", "loss", "postprocess")
DRAWN: Final = 3
"""Batches, the first, of which labels and boxes are drawn."""


class Validator:
    """Measures how well a detector of any backend finds the objects of a dataset. Used once, but for that of a training.

    Events: `on_val_start`; for each batch `on_val_batch_start`, when its pictures are read, and `on_val_batch_end`, when its
    boxes are found; `on_val_end`, whatever happened since `on_val_start` was fired.

    Attributes:
        args: The options in force. Between the runs of a training `plots` may be changed, by other options in their place.
        model: What is validated: a `Model`, or a `Detector`.
        names: Class number to class name, of the dataset; boxes in `preds` have these numbers.
        split: The pictures and their labels.
        dataloader: What gives the batches: its `len()` is their number, `dataloader.samples` are the labelled pictures.
        device: What the network runs on: `cpu`, `cuda:0` ...
        training: Whether it belongs to a training, which validates after its epochs.
        batch_i: Number of the batch, from 0; -1 before the first.
        batch: Its `paths`, `images` (BGR, which a callback of `on_val_batch_start` may replace in the list by others of their
            size) and `samples` (labels); None before the first.
        preds: The boxes of each picture of the batch, in its pixels; empty between `on_val_batch_start` and `on_val_batch_end`.
        seen: Pictures that are done.
        metrics: What came of it, from `on_val_end` on; None before, and where the validation failed.
        confusion_matrix: Which classes were taken for which, so far.
        loss: In a training, the items of the loss so far, as means a picture; None otherwise.
        speed: Milliseconds a picture in `preprocess`, `inference`, `loss` and `postprocess`, so far.
        save_dir: Folder of all files; None where nothing is saved.
        error: What ended it, or None.
        callbacks: The registry of this validation, on top of that of the model; in a training, that of the training.
    """

    def __init__(
        self,
        source: Any = None,
        *,
        callbacks: Callbacks | None = None,
        device: str | int | None = None,
        decoder: DecoderSpec = None,
        architecture: str | None = None,
        training: bool = False,
        criterion: Criterion | None = None,
        **options: Unpack[ValArgs],
    ) -> None:
        """Prepare a validation: the dataset is read, its pictures are not shown to the network before `run`.

        Args:
            source: A `Model`, a `Detector`, or what `load_detector` makes one of.
            callbacks: What is called; None for the callbacks of the model.
            device: What to run a source on that is loaded here; see `Model`.
            decoder: How the outputs of a source are laid out that is loaded here; see `Model`.
            architecture: Name of the network of a checkpoint that is loaded here; see `Model`.
            training: It belongs to a training: it may run any number of times, calls `callbacks` as they are, and leaves their
                background workers alone.
            criterion: In a training, what gives the loss of a batch.
            **options: See `ValOptions`; for `split` a `Split` may be passed, of labelled pictures that were read before: then
                `data` is not looked at.

        Raises:
            UnknownOptionError, OptionError: an option is wrong, or does not fit the model.
            MissingDependencyError: the packages of the extra `val` are not installed.
            ModelError: the source cannot be loaded.
            DatasetError: the dataset cannot be read, or has no class that the model knows.
        """
        given: Any = options.get("split")
        self.args = ValOptions.build({**options, "split": given.name} if isinstance(given, Split) else options)
        check_installed()
        self.model: HasDetector | Detector
        if isinstance(source, HasDetector | Detector):
            self.model = source
        else:
            self.model = load_detector(source, device=device, decoder=decoder, architecture=architecture)
        self._detector = self.model if isinstance(self.model, Detector) else self.model.detector
        self.split = given if isinstance(given, Split) else _read(self.args)
        self.names: Mapping[int, str] = dict(self.split.names)
        self._numbers = match_classes(self._detector.names, self.names)
        self._options = self._checked_options()
        self.device = self._detector.backend.device
        self.dataloader = Batches(
            self.split.samples, batch=self.args.batch, workers=self.args.workers, rect=self._in_rectangles()
        )
        self.training = training
        if callbacks is None and isinstance(self.model, HasDetector):
            callbacks = self.model.callbacks
        self.callbacks = callbacks if training and callbacks is not None else Callbacks(parent=callbacks)
        self._criterion = criterion
        self.save_dir = None if self.args.save_dir is None else Path(self.args.save_dir).expanduser()
        self._begun = False
        self._reset()

    def _reset(self) -> None:
        self.batch_i = -1
        self.batch: ValBatch | None = None
        self.preds: list[Boxes] = []
        self.seen = 0
        self.metrics: DetectionMetrics | None = None
        self.confusion_matrix = ConfusionMatrix(self.names)
        self.error: BaseException | None = None
        self._spent = dict.fromkeys(STAGES, 0.0)
        self._losses: npt.NDArray[np.float64] | None = None

    # What callbacks look at -----------------------------------------------------------------------------------------------

    @property
    def loss(self) -> npt.NDArray[np.float64] | None:
        """In a training, the items of the loss so far, as means a picture; None otherwise."""
        return None if self._losses is None else self._losses / max(self.seen, 1)

    @property
    def speed(self) -> dict[str, float]:
        """Milliseconds a picture in `preprocess`, `inference`, `loss` and `postprocess`, so far."""
        return {stage: spent / max(self.seen, 1) for stage, spent in self._spent.items()}

    def snapshot(self) -> ValSnapshot:
        """A frozen copy for a background callback."""
        return ValSnapshot(
            args=self.args,
            model=self.model,
            names=self.names,
            device=self.device,
            training=self.training,
            batch_i=self.batch_i,
            batch=None if self.batch is None else self.batch.copy(),
            preds=list(self.preds),
            seen=self.seen,
            metrics=self.metrics,
            confusion_matrix=self.confusion_matrix.copy(),
            loss=self.loss,
            speed=self.speed,
            save_dir=self.save_dir,
            error=self.error,
        )

    def where(self) -> str:
        """Which batch it is at, for messages."""
        under_way = self.batch is not None and self.metrics is None
        return f"batch {self.batch_i + 1} of {len(self.dataloader)}" if under_way else ""

    # The validation -------------------------------------------------------------------------------------------------------

    def run(self) -> DetectionMetrics:
        """Validate, and return the figures.

        Raises:
            RunError: it ran before, and belongs to no training.
            DatasetError: a picture is gone or damaged since the dataset was read.
            FrameError: a callback put something else in place of a picture.
            InferenceError: the network failed.
            RecordingError: what `plots` draws cannot be written.
            CallbackError: a callback raised.
            ExceptionGroup: several of these.
        """
        if self._begun and not self.training:
            raise RunError("a Validator is used once; make another")
        self._begun = True
        self._reset()
        try:
            self._make_folder()
            self.callbacks.fire(ValEvent.START, self)
            self._validate()
        except BaseException as error:
            self.error = error
            self._remove_unused_folder()
            raise
        finally:
            self._end()
        assert self.metrics is not None  # what went wrong was raised
        return self.metrics

    def _validate(self) -> None:
        found: list[Boxes] = []
        with contextlib.closing(iter(self.dataloader)) as batches:
            for self.batch_i, batch in enumerate(batches):
                self.batch, self.preds = batch, []
                self.callbacks.fire(ValEvent.BATCH_START, self)
                batch.check()
                self.preds = self._find(batch)
                for sample, boxes in zip(batch.samples, self.preds, strict=True):
                    self.confusion_matrix.add(sample, boxes)
                found += self.preds
                self.seen += len(batch.samples)
                self._draw_batch(batch)
                self.callbacks.fire(ValEvent.BATCH_END, self)
        self.metrics = evaluate(self.dataloader.samples, found, self.names, max_det=self.args.max_det)
        self._draw_curves(self.metrics)

    def _find(self, batch: ValBatch) -> list[Boxes]:
        """The boxes of each picture of a batch, with the dataset's class numbers."""
        options = self._options
        if self.dataloader.rect:
            size = self._detector.input_size(options)
            width, height = rectangle(batch.samples, size, self._detector.stride)
            options = options.replace({"imgsz": (height, width)})
        computed = self._detector.compute(batch.images, options)
        self._spent["preprocess"] += computed.preprocess_ms
        self._spent["inference"] += computed.inference_ms
        if self._criterion is not None:
            began = time.perf_counter()
            placements = [each for piece in computed.placements for each in piece]
            items = np.asarray(self._criterion(batch.samples, placements), np.float64) * len(batch.samples)
            self._losses = items if self._losses is None else self._losses + items
            self._spent["loss"] += (time.perf_counter() - began) * 1e3
        decoded = self._detector.decode(computed, options)
        self._spent["postprocess"] += decoded.speed["postprocess"] * len(batch.samples)
        return [self._renumbered(boxes) for boxes in decoded.boxes]

    def _renumbered(self, boxes: Boxes) -> Boxes:
        """Boxes with the dataset's class numbers, without those of classes it does not have."""
        counted = boxes[np.isin(boxes.cls, list(self._numbers))]
        numbers = [self._numbers[cls] for cls in counted.cls.tolist()]
        return Boxes(counted.xyxy, counted.conf, numbers, orig_shape=boxes.orig_shape)

    def _checked_options(self) -> PredictOptions:
        args = self.args
        options = PredictOptions(
            conf=args.conf,
            iou=args.iou,
            imgsz=args.imgsz,
            max_det=args.max_det,
            # So that what is not counted takes no room among the best.
            classes=None if len(self._numbers) == len(self._detector.names) else sorted(self._numbers),
        )
        self._detector.check(options)
        return options

    def _in_rectangles(self) -> bool:
        """Whether batches are of rectangles, as was asked for; the network must take them."""
        if not self.args.rect:
            return False
        width, height = self._detector.input_size(self._options)
        try:
            other = self._detector.input_size(self._options.replace({"imgsz": (height, width + self._detector.stride)}))
        except OptionError:
            other = width, height
        if other == (width, height):
            log.warning("rect has no effect: the model takes %dx%d only", height, width)
            return False
        return True

    def _make_folder(self) -> None:
        """Make the folder to save in, where something is to be saved."""
        if not self.args.plots:
            return
        if self.save_dir is None:
            self.save_dir = next_free_folder("val")
        try:
            self.save_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error

    def _remove_unused_folder(self) -> None:
        """Remove the folder that was made and numbered here, if nothing was saved in it; one that a user named stays."""
        if self.save_dir is not None and self.args.save_dir is None:
            with contextlib.suppress(OSError):
                self.save_dir.rmdir()  # refuses where anything is in it
                self.save_dir = None

    def _draw_batch(self, batch: ValBatch) -> None:
        if self.args.plots and self.save_dir is not None and self.batch_i < DRAWN:
            with self._drawing():
                draw_batch(self.save_dir, self.batch_i, batch, self.preds, self.names)

    def _draw_curves(self, metrics: DetectionMetrics) -> None:
        if self.args.plots and self.save_dir is not None:
            from framehook.training.plots.curves import draw_confusion, draw_curves  # Matplotlib is slow to import

            with self._drawing():
                draw_curves(self.save_dir, metrics)
                draw_confusion(self.save_dir, self.confusion_matrix)

    @contextlib.contextmanager
    def _drawing(self) -> Iterator[None]:
        """A training is worth more than its pictures."""
        try:
            yield
        except RecordingError as error:
            if not self.training:
                raise
            log.warning("%s; the training goes on without this picture", error)

    def _end(self) -> None:
        """Fire the last event.

        Raises:
            CallbackError: one callback failed, and nothing else was wrong.
            ExceptionGroup: several things were wrong.
        """
        if not self.training:
            self.callbacks.end(ValEvent.END, self, error=self.error, what="validation")
            return
        failures = self.callbacks.fire_all(ValEvent.END, self)
        if not failures:
            return
        if self.error is not None and not isinstance(self.error, Exception):
            for failure in failures:
                log.error("%s", failure)
            return
        errors = failures if self.error is None else [self.error, *failures]
        raise errors[0] if len(errors) == 1 else ExceptionGroup(f"the validation ended with {len(errors)} errors", errors)


def _read(options: ValOptions) -> Split:
    """The labelled pictures that options name.

    Raises:
        OptionError: they name none.
        DatasetError: they cannot be read.
    """
    if options.data is None:
        raise OptionError("data is missing; pass the dataset's YAML file, or a COCO json")
    from framehook.training.data import load_split, read_data

    return load_split(read_data(options.data), options.split)
