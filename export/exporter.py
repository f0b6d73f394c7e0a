"""One export: fires events, takes a model through the stages, leaves a proven file or none."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy.typing as npt

from framehook.export.frames import Sample, take_frames
from framehook.export.graph import (
    check_opset,
    close_axes,
    opset_of,
    read_graph,
    refuse_quantised,
    serialised,
    with_opset,
)
from framehook.export.metadata import metadata_of, write_metadata
from framehook.export.options import ExportArgs, ExportOptions
from framehook.export.partial import PartialFile
from framehook.export.plan import check_unchanged, origin_of, plan
from framehook.export.progress import Stage, Way
from framehook.export.simplify import simplify
from framehook.export.snapshot import ExportSnapshot
from framehook.export.target import choose_target
from framehook.inference.backends.base import Tensor
from framehook.inference.callbacks.registry import Callbacks
from framehook.inference.decoders import DecoderSpec
from framehook.inference.detector import Detector, HasDetector
from framehook.inference.errors import ExportError, FramehookError, MissingDependencyError, RunError, one_line
from framehook.inference.events import ExportEvent
from framehook.inference.load import load_detector
from framehook.inference.network import image_input
from framehook.inference.preprocess import InputFormat, Preprocessor

if TYPE_CHECKING:
    import onnx

    from framehook.export.parity import Parity
    from framehook.export.report import ExportReport
    from framehook.export.stages import Staged, Suppression

log = logging.getLogger("framehook")

_TRACING: Final = threading.Lock()  # PyTorch's exporter keeps what it does in global variables


class Exporter:
    """One export of a model; it is used once.

    Nothing is ever left half-done: the file is written under a hidden name beside its target and takes the target's name, and
    the place of what was there (of a link itself, not of what it leads to), when all is well and only then. An export that is
    killed leaves that hidden file at most, which the next one to the same target removes.

    Attributes:
        args: The options in force.
        model: What is exported: a `Model`, or a `Detector`.
        device: What the source runs on.
        target: The file that is to be.
        path: The file once it is there; None before, and where the export failed.
        report: What came of it, for people and programs; set with `path`.
        error: What ended the export, or None.
        callbacks: The registry of this export, on top of that of the model.
    """

    def __init__(
        self,
        source: Any = None,
        *,
        callbacks: Callbacks | None = None,
        device: str | int | None = None,
        decoder: DecoderSpec = None,
        architecture: str | None = None,
        **options: Unpack[ExportArgs],
    ) -> None:
        """Prepare an export; nothing is written before `run`.

        Args:
            source: A `Model`, a `Detector`, or what `load_detector` makes one of.
            callbacks: What is called; None for the callbacks of the model.
            device: What to run a source on that is loaded here; see `Model`.
            decoder: How the outputs of a source are laid out that is loaded here; see `Model`.
            architecture: Name of the network of a checkpoint that is loaded here; see `Model`.
            **options: See `ExportOptions`.

        Raises:
            UnknownOptionError, OptionError: an option is wrong, or does not fit the model.
            MissingDependencyError: the packages of the extra `export` are not installed.
            ModelError: the source cannot be loaded, or cannot be exported.
        """
        self.args = ExportOptions.build(options)
        _check_installed("onnx", "onnxslim")
        check_opset(self.args.opset)
        self.model: HasDetector | Detector
        if isinstance(source, HasDetector | Detector):
            self.model = source
        else:
            self.model = load_detector(source, device=device, decoder=decoder, architecture=architecture)
        self._detector = self.model if isinstance(self.model, Detector) else self.model.detector
        self._origin = origin_of(self._detector)
        if self._origin.module is not None:
            _check_installed("onnxscript")  # by which PyTorch writes graphs
        self._plan = plan(self._detector, self.args)
        self.device = self._detector.backend.device
        self.target = choose_target(self.args, name=self._origin.name, path=self._origin.path, beside=self._origin.folder)
        self.path: Path | None = None
        self.report: ExportReport | None = None
        self.error: BaseException | None = None
        if callbacks is None and isinstance(self.model, HasDetector):
            callbacks = self.model.callbacks
        self.callbacks = Callbacks(parent=callbacks)
        self._way = Way(self._plan.stages, traces=self._origin.module is not None)
        self._source_bytes = self._origin.size
        self._seconds: dict[str, float] = {}
        self._notes: list[str] = []
        self._left_in_float: tuple[str, ...] = ()
        self._begun = False

    # What callbacks look at -----------------------------------------------------------------------------------------------

    @property
    def stage(self) -> str:
        """What is going on, one of `Stage`; empty before the first."""
        return self._way.stage

    @property
    def fraction(self) -> float:
        """How much of the export is done, roughly, 0..1."""
        return 1.0 if self.path is not None else self._way.fraction

    def snapshot(self) -> ExportSnapshot:
        """A frozen copy for a background callback."""
        return ExportSnapshot(
            args=self.args,
            model=self.model,
            device=self.device,
            target=self.target,
            stage=self.stage,
            fraction=self.fraction,
            path=self.path,
            report=self.report,
            error=self.error,
        )

    def where(self) -> str:
        """What is going on in words, for messages."""
        return f"stage '{self.stage}'" if self.stage and self.path is None else ""

    # The export -----------------------------------------------------------------------------------------------------------

    def run(self) -> Path:
        """Export, and return the path of the file. What was there under that name is replaced.

        Raises:
            RunError: it ran before.
            OptionError: an option does not fit what the graph turned out to be, or `data` is no source.
            SourceError: `data` cannot be read.
            ExportError: it cannot be exported like this, or not be written.
            ParityError: the file does not do what its source does.
            CallbackError: a callback raised.
            ExceptionGroup: several of these.
        """
        if self._begun:
            raise RunError("an Exporter is used once; make another")
        self._begun = True
        try:
            self.callbacks.fire(ExportEvent.START, self)
            self._export()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.callbacks.end(ExportEvent.END, self, error=self.error, what="export")
        assert self.path is not None  # what went wrong was raised
        return self.path

    def _export(self) -> None:
        options, detector = self.args, self._detector
        form = dataclasses.replace(detector.form, size=self._plan.size)
        with PartialFile(self.target) as partial:
            sample = self._frames()
            model = self._network()
            if options.simplify:
                with self._stage(Stage.SIMPLIFY):
                    model, note = simplify(model)
                    self._note(note)
            if options.half:
                model = self._in_float16(model)
            if options.int8:
                assert sample is not None  # int8 asks for frames
                model = self._in_int8(model, form, sample)
            staged = self._merged(model, form) if Stage.MERGE in self._plan.stages else None
            with self._stage(Stage.WRITE):
                whole = model if staged is None else staged.model
                write_metadata(whole, self._entries(form, whole, staged))
                content = serialised(whole, self.target.name)
                partial.write(content)
            parity = self._compared(partial.path, sample, staged) if sample is not None and options.verify else None
            partial.finish()
        self.path = self.target
        self.report = self._reported(parity, sample, len(content))

    def _frames(self) -> Sample | None:
        if Stage.FRAMES not in self._plan.stages:
            return None
        with self._stage(Stage.FRAMES):
            return take_frames(self.args.data)

    def _network(self) -> onnx.ModelProto:
        """The graph of the network, of the wanted shapes and version."""
        options, (width, height) = self.args, self._plan.size
        with self._stage(Stage.NETWORK):
            if self._origin.module is not None:
                from framehook.export.trace import trace

                with _TRACING:
                    traced = trace(
                        self._origin.module,
                        input_size=(width, height),
                        batch=self._plan.batch,
                        dynamic=options.dynamic,
                        opset=options.opset,
                    )
                self._note(traced.note)
                return traced.model
            assert self._origin.path is not None  # an ONNX file is one
            check_unchanged(self._detector)
            model = read_graph(self._origin.path)
            self._source_bytes = model.ByteSize()
            for option in ("half", "int8"):
                if getattr(options, option):
                    refuse_quantised(model, option, self._origin.path.name)
            model = with_opset(model, options.opset)
            picture = image_input(self._detector.backend.network)
            if options.dynamic:
                from framehook.export.dynamic import to_dynamic

                return to_dynamic(model)
            last = self._detector.form.channels_last
            shape = (height, width, 3) if last else (3, height, width)
            return close_axes(model, (self._plan.batch, *shape), picture.name)

    def _in_float16(self, model: onnx.ModelProto) -> onnx.ModelProto:
        from framehook.export.half import to_float16

        with self._stage(Stage.HALF):
            return to_float16(model)

    def _in_int8(self, model: onnx.ModelProto, form: InputFormat, sample: Sample) -> onnx.ModelProto:
        from framehook.export.int8 import to_int8

        with self._stage(Stage.INT8):
            tensors = _tensors(sample, form, self._plan.batch, image_input(self._detector.backend.network).dtype)
            quantised = to_int8(model, tensors, progress=self._advance)
        self._left_in_float = quantised.left_in_float
        return quantised.model

    def _merged(self, model: onnx.ModelProto, form: InputFormat) -> Staged:
        from framehook.export.stages import add_stages

        with self._stage(Stage.MERGE):
            return add_stages(
                model,
                layout=self._detector.decoder.name,
                form=form,
                input_size=self._plan.size,
                preprocess=self.args.preprocess,
                nms=self._suppression,
            )

    def _compared(self, file: Path, sample: Sample, staged: Staged | None) -> Parity:
        from framehook.export.parity import compare

        suppression = self._suppression if self._detector.decoder.needs_nms else None
        with self._stage(Stage.VERIFY):
            return compare(
                self._detector,
                file,
                sample.images,
                kind="half" if self.args.half else "int8" if self.args.int8 else "float",
                network_input=None if staged is None else staged.network_input,
                network_outputs=() if staged is None else staged.network_outputs,
                nms=suppression,
                size=self._plan.size,
                progress=self._advance,
            )

    @property
    def _suppression(self) -> Suppression | None:
        from framehook.export.stages import Suppression

        options = self.args
        return Suppression(options.conf, options.iou, options.max_det) if options.nms else None

    def _reported(self, parity: Parity | None, sample: Sample | None, size: int) -> ExportReport:
        from framehook.export.file_check import own_layout
        from framehook.export.report import ExportReport

        path = self._origin.path
        return ExportReport(
            source=self._origin.name if path is None else str(path),
            path=self.target,
            options=self.args,
            stages=dict(self._seconds),
            parity=parity,
            about=None if sample is None else sample.about,
            tried_on=None if sample is None else sample.spec,
            source_bytes=self._source_bytes,
            bytes=size,
            left_in_float=self._left_in_float,
            notes=tuple(self._notes),
            register=own_layout(self._detector.decoder.name),
        )

    def _entries(self, form: InputFormat, model: onnx.ModelProto, staged: Staged | None) -> dict[str, str]:
        return metadata_of(
            self._detector,
            self.args,
            form,
            batch=self._plan.batch,
            opset=opset_of(model),
            stages={} if staged is None else staged.metadata,
        )

    # Its course -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _stage(self, stage: Stage) -> Iterator[None]:
        """Tell that a stage begins; what goes wrong in it, in libraries too, becomes an error of ours.

        Raises:
            ExportError: a library raised.
        """
        self._way.enter(stage)
        self.callbacks.fire(ExportEvent.PROGRESS, self)
        began = time.monotonic()
        try:
            yield
            self._seconds[str(stage)] = time.monotonic() - began
        except (FramehookError, MemoryError):
            raise
        except Exception as error:  # ONNX, PyTorch and those beside them raise anything
            raise ExportError(
                f"{self._origin.name} cannot be exported like this; stage '{stage}' failed: {type(error).__name__}: "
                f"{one_line(error)[:300]}"
            ) from error

    def _advance(self, part: float) -> None:
        """Tell how much (0..1) of the stage is done."""
        if self._way.advance(part):
            self.callbacks.fire(ExportEvent.PROGRESS, self)

    def _note(self, note: str | None) -> None:
        """Keep something for the report."""
        if note is not None:
            self._notes.append(note)


def _tensors(sample: Sample, form: InputFormat, batch: int, dtype: npt.DTypeLike) -> list[Tensor]:
    """What the network gets of frames: tensors of `batch` pictures, the last one filled up from the beginning."""
    preprocessor = Preprocessor(form, input_size=form.size, batch=batch, dtype=dtype)
    tensors = []
    for start in range(0, len(sample.images), batch):
        images = [sample.images[number % len(sample.images)] for number in range(start, start + batch)]
        preprocessor.fill(images)
        tensors.append(preprocessor.tensor.copy())
    return tensors


def _check_installed(*packages: str) -> None:
    for name in packages:
        if find_spec(name) is None:
            raise MissingDependencyError(
                f"exports need the package {name}, which is not installed; install it with: pip install 'framehook[export]'"
            )
