"""What can be chosen for a training, and for a validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, TypedDict

from framehook.inference.errors import OptionError, UnknownOptionError, did_you_mean
from framehook.inference.ranges import is_number, is_whole

if TYPE_CHECKING:
    from framehook.training.data.sample import Split

OptimizerName: TypeAlias = Literal["auto", "SGD", "AdamW"]
OPTIMIZERS: Final = ("auto", "SGD", "AdamW")
MOST: Final = 1_000_000


class TrainArgs(TypedDict, total=False):
    """Keyword arguments of `model.train`; see `TrainOptions`."""

    data: Any
    epochs: int
    time: float | None
    patience: int
    batch: int
    imgsz: int
    save: bool
    save_period: int
    cache: bool
    device: str | int | None
    workers: int
    save_dir: str | Path | None
    exist_ok: bool
    optimizer: OptimizerName
    seed: int
    cos_lr: bool
    close_mosaic: int
    resume: bool | str | Path
    amp: bool
    fraction: float
    freeze: int | Sequence[int] | None
    lr0: float | None
    lrf: float
    momentum: float
    weight_decay: float
    warmup_epochs: float
    warmup_momentum: float
    warmup_bias_lr: float
    clip: float
    nbs: int
    box: float
    cls: float
    dfl: float
    hsv_h: float
    hsv_s: float
    hsv_v: float
    degrees: float
    translate: float
    scale: float
    shear: float
    perspective: float
    flipud: float
    fliplr: float
    mosaic: float
    mixup: float
    val: bool
    val_period: int
    rect: bool
    plots: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Everything that can be chosen for a training; frozen. The names are those the field uses.

    Attributes:
        data: The dataset: a YAML file or a COCO json; see `framehook.training.data.read_data`.
        epochs: How often all pictures are gone through.
        time: Hours after which training ends, with the epoch under way; None for no limit.
        patience: Epochs without a better fitness after which training ends; 0 for never.
        batch: Pictures of a batch, on each process.
        imgsz: Side in pixels of the square pictures are trained at, a multiple of the network's largest stride.
        save: Write checkpoints.
        save_period: Keep a checkpoint of every so many epochs as `epoch10.pt`; 0 for none beside `last.pt` and `best.pt`.
        cache: Keep the decoded pictures in memory.
        device: `cpu`, `cuda`, `cuda:1`, a GPU's number, `mps`; None for the best there is.
        workers: Processes that load pictures; 0 to load them in this one.
        save_dir: Folder of all files; None for the next free `runs/train`, `runs/train2` ...
        exist_ok: `save_dir` may hold another training, whose checkpoints go; without it that is an error.
        optimizer: `SGD`, `AdamW`, or `auto`: AdamW for short trainings (under 10,000 steps), else SGD.
        seed: Of everything random.
        cos_lr: Let the learning rate fall along a cosine rather than a line.
        close_mosaic: Epochs at the end that go without mosaics and mixup; half of all at most.
        resume: Go on with an interrupted training: True for that of the model's checkpoint, or the path of a `last.pt`.
        amp: Mixed precision, on GPUs.
        fraction: Share of the training pictures that is used, above 0 to 1.
        freeze: Number of first layers that stay as they are, or the numbers of such layers.
        lr0: Learning rate at first; None for what fits the optimizer.
        lrf: Learning rate at last, as a share of `lr0`.
        momentum: Of SGD; the first beta of AdamW.
        weight_decay: For a nominal batch; of the weights of convolutions alone.
        warmup_epochs: Epochs over which learning rate and momentum come to their values, 100 batches at least.
        warmup_momentum: Momentum at the first step.
        warmup_bias_lr: Learning rate of biases at the first step of SGD.
        clip: Largest norm of all gradients together; 0 not to clip.
        nbs: Nominal batch: gradients of smaller batches are accumulated up to it, where an epoch then still has ten steps.
        box, cls, dfl: Weights of the losses of boxes, classes and distributions.
        hsv_h, hsv_s, hsv_v: Largest change of hue, saturation and value, as shares.
        degrees: Largest rotation.
        translate: Largest shift, as a share of the picture.
        scale: Largest change of size, as a share.
        shear: Largest shear, in degrees.
        perspective: Largest perspective factor, 0 to 0.001.
        flipud, fliplr: Probability of a flip upside down, and from left to right.
        mosaic: Probability that four pictures make one.
        mixup: Probability that two mosaics are blended.
        val: Validate after epochs; without it there is no `best.pt`.
        val_period: Validate after every so many epochs, and after the last.
        rect: Validate in rectangles as narrow as the pictures allow, which is quicker; squares otherwise, as runs and exported
            files take them.
        plots: Draw curves, labelled and predicted batches, and the confusion matrix.
    """

    data: Any = None
    epochs: int = 100
    time: float | None = None
    patience: int = 100
    batch: int = 16
    imgsz: int = 640
    save: bool = True
    save_period: int = 0
    cache: bool = False
    device: str | int | None = None
    workers: int = 2
    save_dir: str | Path | None = None
    exist_ok: bool = False
    optimizer: OptimizerName = "auto"
    seed: int = 0
    cos_lr: bool = False
    close_mosaic: int = 10
    resume: bool | str | Path = False
    amp: bool = True
    fraction: float = 1.0
    freeze: int | Sequence[int] | None = None
    lr0: float | None = None
    lrf: float = 0.01
    momentum: float = 0.937
    weight_decay: float = 0.0005
    warmup_epochs: float = 3.0
    warmup_momentum: float = 0.8
    warmup_bias_lr: float = 0.1
    clip: float = 10.0
    nbs: int = 64
    box: float = 7.5
    cls: float = 0.5
    dfl: float = 1.5
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    degrees: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0
    perspective: float = 0.0
    flipud: float = 0.0
    fliplr: float = 0.5
    mosaic: float = 1.0
    mixup: float = 0.0
    val: bool = True
    val_period: int = 1
    rect: bool = False
    plots: bool = True

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            OptionError: a value an option cannot take.
        """
        _check_whole(self, epochs=1, patience=0, batch=1, imgsz=32, save_period=0, workers=0, seed=0, close_mosaic=0, nbs=1)
        _check_whole(self, val_period=1)
        _check_flags(self, "save", "cache", "exist_ok", "cos_lr", "amp", "val", "rect", "plots")
        for name in ("hsv_h", "hsv_s", "hsv_v", "translate", "flipud", "fliplr", "mosaic", "mixup", "lrf", "warmup_momentum"):
            _check_number(self, name, 0, 1)
        for name in ("weight_decay", "warmup_epochs", "warmup_bias_lr", "clip", "box", "cls", "dfl"):
            _check_number(self, name, 0, MOST)
        _check_number(self, "momentum", 0, 0.9999)
        _check_number(self, "scale", 0, 0.99)
        _check_number(self, "degrees", 0, 180)
        _check_number(self, "shear", 0, 89)
        _check_number(self, "perspective", 0, 0.001)
        _check_number(self, "fraction", 1e-9, 1)
        if self.lr0 is not None:
            _check_number(self, "lr0", 1e-12, 100)
        if self.time is not None:
            _check_number(self, "time", 1e-9, MOST)
        if self.optimizer not in OPTIMIZERS:
            raise OptionError(f"optimizer={self.optimizer!r} is unknown; pass one of {', '.join(OPTIMIZERS)}")
        _check_path(self, "save_dir")
        if not isinstance(self.resume, bool):
            _check_path(self, "resume")
        frozen: Any = self.freeze
        if frozen is None or is_whole(frozen, 0, MOST):
            _keep(self, "freeze", frozen if frozen is None else int(frozen))
        elif isinstance(frozen, Sequence) and not isinstance(frozen, str) and all(is_whole(each, 0, MOST) for each in frozen):
            _keep(self, "freeze", tuple(int(each) for each in frozen))
        else:
            raise OptionError(f"freeze={frozen!r} is neither a number of layers nor a list of their numbers")

    def replace(self, changes: Mapping[str, Any]) -> Self:
        """The same with some values changed.

        Raises:
            UnknownOptionError, OptionError: as `build`.
        """
        return self.build({**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Every option by its name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def build(cls, options: Mapping[str, Any]) -> Self:
        """Make options from keyword arguments.

        Raises:
            UnknownOptionError: a name that is no option; the message names the nearest one.
            OptionError: a value an option cannot take.
        """
        _check_names(options, cls)
        return cls(**options)


class ValArgs(TypedDict, total=False):
    """Keyword arguments of `model.val`; see `ValOptions`. For `split` a `Split` that was read before may be passed."""

    data: Any
    split: str | Split
    imgsz: int | tuple[int, int] | None
    batch: int
    conf: float
    iou: float
    max_det: int
    rect: bool
    workers: int
    plots: bool
    save_dir: str | Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValOptions:
    """Everything that can be chosen for a validation; frozen.

    Attributes:
        data: The dataset: a YAML file or a COCO json; see `framehook.training.data.read_data`.
        split: Which part of it: `val`, `test` or `train`.
        imgsz: Network input in pixels, a side or (height, width); None for the model's own.
        batch: Pictures a network call takes.
        conf: Boxes that score less are not counted, 0..1: low, as the whole curve of precision over recall is measured.
        iou: Overlap from which on the lower score is suppressed, 0..1.
        max_det: Boxes a picture at most.
        rect: Give the network rectangles as narrow as the pictures allow, where it takes any size; squares otherwise, as runs
            and exported files take them.
        workers: Threads that read pictures ahead; 0 to read them in between.
        plots: Draw curves, labelled and predicted batches, and the confusion matrix.
        save_dir: Folder of all files; None for the next free `runs/val` if there is something to save.
    """

    data: Any = None
    split: str = "val"
    imgsz: int | tuple[int, int] | None = None
    batch: int = 16
    conf: float = 0.001
    iou: float = 0.7
    max_det: int = 300
    rect: bool = False
    workers: int = 2
    plots: bool = False
    save_dir: str | Path | None = None

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            OptionError: a value an option cannot take.
        """
        _check_whole(self, batch=1, max_det=1, workers=0)
        _check_flags(self, "rect", "plots")
        _check_path(self, "save_dir")
        for name in ("conf", "iou"):
            _check_number(self, name, 0, 1)
        if self.split not in SPLITS:
            raise OptionError(f"split={self.split!r} is unknown; pass one of {', '.join(SPLITS)}")
        sides: tuple[Any, ...] = tuple(self.imgsz) if isinstance(self.imgsz, tuple | list) else (self.imgsz,)
        if self.imgsz is not None and (len(sides) not in (1, 2) or not all(is_whole(side, 1) for side in sides)):
            raise OptionError(f"imgsz={self.imgsz!r} is not a size; pass a side in pixels or (height, width)")

    def as_dict(self) -> dict[str, Any]:
        """Every option by its name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def build(cls, options: Mapping[str, Any]) -> Self:
        """Make options from keyword arguments.

        Raises:
            UnknownOptionError: a name that is no option; the message names the nearest one.
            OptionError: a value an option cannot take.
        """
        _check_names(options, cls)
        return cls(**options)


SPLITS: Final = ("train", "val", "test")


def _check_names(options: Mapping[str, Any], kind: type[TrainOptions | ValOptions]) -> None:
    known = [field.name for field in dataclasses.fields(kind)]
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) or f" The options are {', '.join(known)}."
            raise UnknownOptionError(f"unknown option '{name}'.{hint}")


def _check_whole(options: object, **least: int) -> None:
    for name, smallest in least.items():
        value = getattr(options, name)
        if not is_whole(value, smallest, MOST):
            raise OptionError(f"{name}={value!r} is out of range; pass a whole number from {smallest} to {MOST}")
        _keep(options, name, int(value))  # that of another library cannot be written into files


def _check_number(options: object, name: str, least: float, most: float) -> None:
    value = getattr(options, name)
    if not is_number(value, least, most):
        raise OptionError(f"{name}={value!r} is out of range; pass a number from {least:g} to {most:g}")
    _keep(options, name, float(value))


def _check_flags(options: object, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if not isinstance(value, bool):
            raise OptionError(f"{name}={value!r} is neither; pass True or False")


def _check_path(options: object, name: str) -> None:
    value = getattr(options, name)
    if value is not None and not (isinstance(value, str | Path) and str(value) and "\0" not in str(value)):
        raise OptionError(f"{name}={value!r} is no path")


def _keep(options: object, name: str, value: Any) -> None:
    object.__setattr__(options, name, value)
