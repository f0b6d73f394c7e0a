"""The front door: one object that holds a model and starts runs of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, overload

from framehook.inference.backends import Backend
from framehook.inference.callbacks import Callback, CallbackFunction, Callbacks, Handle, OnError, builtin_callbacks
from framehook.inference.callbacks.registry import FunctionT
from framehook.inference.decoders import DecoderSpec
from framehook.inference.detector import Detector
from framehook.inference.errors import EndlessSourceError, MissingDependencyError
from framehook.inference.load import load_detector
from framehook.inference.options import PredictArgs, PredictOptions
from framehook.inference.predictor import Predictor, check_options
from framehook.inference.run import Run
from framehook.inference.saving import make_save_dir
from framehook.inference.sources import Source, open_sources
from framehook.inference.sources.demo import demo_clip

if TYPE_CHECKING:
    from torch import nn

    from framehook.export.options import ExportArgs
    from framehook.training.metrics import DetectionMetrics
    from framehook.training.options import TrainArgs, ValArgs
    from framehook.training.report import TrainReport

RETAINED_WARNING: Final = 1 << 30
"""Bytes of frames held by a list of results from which on `stream=True` is suggested."""


class Model:
    """A detector and its callbacks.

    One model may run many times at once, from several threads and from inside callbacks: whatever belongs to a run is kept by
    the run.

    Example:
        >>> model = Model()  # the bundled person detector
        >>> for result in model.predict("testsrc:320x240@30:3", stream=True):
        ...     boxes = result.boxes.xyxy
    """

    def __init__(
        self,
        spec: str | Path | Backend | nn.Module | None = None,
        *,
        device: str | int | None = None,
        decoder: DecoderSpec = None,
        architecture: str | None = None,
    ) -> None:
        """Load a model.

        Args:
            spec: Path of an `.onnx` file or a `.pt` checkpoint, the name of a model that was pulled (`yolox_nano`) or of an
                architecture with random weights (`yolo11n.yaml`), a `torch.nn.Module`, a `Backend`, or None for the bundled
                person detector.
            device: `cpu`, `cuda`, `cuda:1`, `coreml`, `mps` ...; None picks the best that is installed.
            decoder: Name of an output layout, a decoder or a function; None to recognise the layout. Of a checkpoint with two
                heads (YOLO26), `yolo` chooses the one whose boxes are suppressed, `end2end` the other.
            architecture: Name of the network (`yolo11n`) of a checkpoint that holds weights alone.

        Raises:
            ModelNotFoundError: no such file.
            ModelFormatError: the file is damaged or no model; `UnsafeModelError` where it wants something imported or called.
            MissingDependencyError: a checkpoint, and PyTorch is not installed.
            UnknownLayoutError: no decoder reads its outputs; the message lists the known layouts.
            OptionError: the device cannot be used.
        """
        self._detector = load_detector(spec, device=device, decoder=decoder, architecture=architecture)
        self._loaded_from = spec, architecture
        self.callbacks = Callbacks()

    def __repr__(self) -> str:
        return f"Model({self._detector.backend.network.source}, {self._detector.decoder.name}, {self.device})"

    @property
    def names(self) -> Mapping[int, str]:
        """Class number to class name."""
        return self._detector.names

    @property
    def device(self) -> str:
        """What the network runs on: `cpu`, `cuda:0` ..."""
        return self._detector.backend.device

    @property
    def detector(self) -> Detector:
        """The backend, decoder and input format behind this model."""
        return self._detector

    @property
    def spec(self) -> str | Path | Backend | nn.Module | None:
        """What it was loaded from; after a training the file of its weights."""
        return self._loaded_from[0]

    @property
    def architecture(self) -> str | None:
        """The name that was given for the network of a checkpoint that holds weights alone."""
        return self._loaded_from[1]

    # Callbacks ------------------------------------------------------------------------------------------------------------

    def add_callback(
        self,
        event: str | Callback,
        callback: CallbackFunction | None = None,
        *,
        order: int | None = None,
        on_error: OnError = "raise",
        background: bool = False,
        every_rank: bool | None = None,
    ) -> Handle:
        """Have `callback` called at `event` in every run of this model; see `Callbacks.add`.

        Example:
            >>> handle = Model().add_callback("on_predict_end", lambda predictor: None)
            >>> handle.remove()
        """
        return self.callbacks.add(event, callback, order=order, on_error=on_error, background=background, every_rank=every_rank)

    def on(
        self,
        event: str,
        *,
        order: int | None = None,
        on_error: OnError = "raise",
        background: bool = False,
        every_rank: bool | None = None,
    ) -> Callable[[FunctionT], FunctionT]:
        """Decorator form of `add_callback`."""
        return self.callbacks.on(event, order=order, on_error=on_error, background=background, every_rank=every_rank)

    # Runs -----------------------------------------------------------------------------------------------------------------

    @overload
    def predict(self, source: Any = None, *, stream: Literal[True], **options: Unpack[PredictArgs]) -> Run: ...
    @overload
    def predict(self, source: Any = None, *, stream: Literal[False] = False, **options: Unpack[PredictArgs]) -> list[Any]: ...
    def predict(self, source: Any = None, *, stream: bool = False, **options: Unpack[PredictArgs]) -> Run | list[Any]:
        """Detect objects.

        Args:
            source: Anything `open_sources` takes: a camera's number, a file, directory, glob, URL, array, PIL image, iterable
                of these, `testsrc`; a list of several, side by side where one is live; None for the demo clip.
            stream: Return a `Run` that yields results as they come. Without it a list of all of them is returned, and with them
                every frame of the source is held in memory.
            **options: See `PredictOptions`: conf=0.25, iou=0.7, imgsz=None, classes=None, max_det=300, agnostic_nms=False,
                batch=1, vid_stride=1, pace="max", overlay=("boxes", "labels", "confidence"), show_fps=False, zones=None,
                save=False, save_segment=None, save_keep=None, save_on_error="raise", save_txt=False, save_rows=None,
                save_crop=False, save_frames=None, save_dir=None, tracker=None, tracker_options=None.

        Returns:
            A list of `Result`, or what a callback put into `predictor.results`; with `stream=True` a `Run` over the same.

        Raises:
            EndlessSourceError: a list was asked of a camera or a stream.
            UnknownOptionError, OptionError: an option is wrong.
            SourceError: the source cannot be opened or read.
            CallbackError: a callback raised.
        """
        return self._run(source, stream, options)

    @overload
    def track(self, source: Any = None, *, stream: Literal[True], **options: Unpack[PredictArgs]) -> Run: ...
    @overload
    def track(self, source: Any = None, *, stream: Literal[False] = False, **options: Unpack[PredictArgs]) -> list[Any]: ...
    def track(self, source: Any = None, *, stream: bool = False, **options: Unpack[PredictArgs]) -> Run | list[Any]:
        """Detect objects and follow them: as `predict` with `tracker="bytetrack"`, so that `result.boxes.id` is set."""
        return self._run(source, stream, {"tracker": "bytetrack", **options})

    # Exports --------------------------------------------------------------------------------------------------------------

    def export(self, **options: Unpack[ExportArgs]) -> Path:
        """Make an ONNX file of the model that is proven to find what it finds, and runs anywhere without PyTorch.

        Model, callbacks and runs are not affected; several exports may go on at once. The file appears under its name when all
        is well, in place of what was there. Callbacks of `on_export_start`, `on_export_progress` and `on_export_end` receive
        the `Exporter`, whose `report` says what was compared, and how fast both are.

        Args:
            **options: See `ExportOptions`: format="onnx", imgsz=None, batch=1, dynamic=False, opset=None, half=False,
                int8=False, data=None, nms=False, preprocess=False, simplify=True, verify=True, output=None, conf=0.01, iou=0.7,
                max_det=300.

        Returns:
            The file: `output`, or one beside the model, named after it and what is special: `yolo11n_preprocess_nms.onnx`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong, or does not fit the model.
            MissingDependencyError: the extra `export` is not installed.
            ExportError: it cannot be exported like this, or the file not be written.
            ParityError: what was exported does not find what the model finds; no file was left.
            CallbackError: a callback raised.

        Example:
            >>> path = Model().export(output="person.onnx", preprocess=True, nms=True)  # doctest: +SKIP
        """
        from framehook.export.exporter import Exporter  # what it needs is installed with the extra `export`

        return Exporter(self, **options).run()

    # Training and validation ----------------------------------------------------------------------------------------------

    def train(self, **options: Unpack[TrainArgs]) -> TrainReport:
        """Train the network on a dataset; afterwards the model is the best that came of it, or the last without checkpoints.

        The network begins with the model's weights, or with random ones where the model is an architecture
        (`Model("yolo11n.yaml")`); the classes become those of the data. Callbacks of the trainer's and validator's events
        receive the `Trainer` and the `Validator`. Under `torchrun` all processes train together.

        Args:
            **options: See `TrainOptions`: data, epochs=100, batch=16, imgsz=640, device=None, workers=2, save_dir=None,
                resume=False, patience=100, time=None, optimizer="auto", lr0=None, freeze=None, seed=0 ...

        Returns:
            What came of it: `metrics`, `best` and `last` (files of weights), `save_dir`, `why` it ended.

        Raises:
            UnknownOptionError, OptionError: an option is wrong.
            DatasetError: the data cannot be read or used.
            ModelFormatError: the model is nothing that can be trained, such as an ONNX file.
            MissingDependencyError: the extra `train` is not installed.
            TrainingError: the training cannot go on.
            CallbackError: a callback raised.

        Example:
            >>> report = Model("yolo11n.yaml").train(data="data.yaml", epochs=50, imgsz=320)  # doctest: +SKIP
        """
        try:
            from framehook.training.trainer import Trainer  # what it needs is installed with the extra `train`
        except ImportError as error:
            raise missing_for_training(error) from error
        if "WORLD_SIZE" not in os.environ:  # where every process has a device of its own
            options = {"device": self.device, **options}
        trainer = Trainer(self, **options)
        report = trainer.run()
        if report.epochs:
            weights = report.best or report.last or trainer.ema.net  # what is not saved is lost with the program
            self._detector = load_detector(weights, device=self.device)
            self._loaded_from = weights, None
        return report

    def val(self, **options: Unpack[ValArgs]) -> DetectionMetrics:
        """Measure how well the model finds the objects of a dataset, with any backend.

        Args:
            **options: See `ValOptions`: data, split="val", imgsz=None, batch=16, conf=0.001, iou=0.7, max_det=300, rect=False,
                workers=2, plots=False, save_dir=None.

        Returns:
            `map` (mAP50-95), `map50`, `precision`, `recall`, `per_class`, `by_size` ...

        Raises:
            UnknownOptionError, OptionError: an option is wrong, or does not fit the model.
            DatasetError: the data cannot be read or used.
            MissingDependencyError: the extra `val` is not installed.
            InferenceError: the network failed.
            CallbackError: a callback raised.
        """
        from framehook.training.validator import Validator  # what it needs is installed with the extra `val`

        return Validator(self, **options).run()

    def _run(self, source: Any, stream: bool, options: PredictArgs) -> Run | list[Any]:
        checked = PredictOptions.build(options)
        check_options(checked, self._detector)
        opened = open_sources(demo_clip() if source is None else source)
        endless = [each for each in opened if each.endless]
        if endless and not stream:
            _close(opened)
            name = endless[0].info.name
            raise EndlessSourceError(f"{name} never ends; pass stream=True and iterate over what predict returns")
        run = self._start(opened, checked)
        if stream:
            return run
        with run:
            return _collect(run)

    def _start(self, opened: Sequence[Source], checked: PredictOptions) -> Run:
        try:
            callbacks = Callbacks(parent=self.callbacks)
            for builtin in builtin_callbacks(checked):
                callbacks.add(builtin)
            predictor = Predictor(
                self._detector, opened, checked, callbacks=callbacks, model=self, save_dir=make_save_dir(checked)
            )
        except BaseException:
            _close(opened)
            raise
        return Run(predictor, endless=any(each.endless for each in opened))


def missing_for_training(error: ImportError) -> ImportError:
    """What to raise where the trainer cannot be imported: which extra is missing, or the error itself."""
    if error.name not in ("torch", "yaml", "faster_coco_eval"):
        return error
    return MissingDependencyError(f"training needs {error.name}; install it with: pip install 'framehook[train]'")


def _close(sources: Iterable[Source]) -> None:
    for source in sources:
        source.close()


def _collect(run: Run) -> list[Any]:
    """All results of a run, with a warning when the frames they hold fill a gigabyte."""
    results, held, warned = [], 0, False
    for result in run:
        results.append(result)
        frame = run.predictor.frame
        held += frame.image.nbytes if frame is not None else 0  # that of the first frame of its batch, which is near enough
        if held > RETAINED_WARNING and not warned:
            warned = True
            warnings.warn(
                f"{len(results)} results hold over 1 GB of frames; pass stream=True to take them one by one", stacklevel=4
            )
    return results
