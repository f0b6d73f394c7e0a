"""The command line of training and validation: what can be typed after `framehook train` and `framehook val`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framehook.inference.errors import OptionError

if TYPE_CHECKING:
    from framehook.training.options import TrainArgs, ValArgs

training_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str | None,
    typer.Option("--data", metavar="FILE", help="A dataset's YAML file, or a COCO json.", show_default=False),
]
CallbackFiles = Annotated[
    list[Path] | None, typer.Option("--callbacks", metavar="FILE", help="Python file of functions named after events.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and what the library logs.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... [default: the best there is]")
]
Architecture = Annotated[
    str | None, typer.Option("--architecture", metavar="NAME", help="yolo11n ..., of a .pt file of weights alone.")
]
SaveDir = Annotated[
    Path | None, typer.Option("--save-dir", metavar="FOLDER", help="Where to save. [default: the next free one]")
]


@training_app.command()
def train(
    data: Data = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME",
            help="A .pt checkpoint to begin with, or an architecture with random weights. [default: yolo11n.yaml]",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="COUNT", help="How often to go through all pictures. [default: 100]")
    ] = None,
    imgsz: Annotated[int | None, typer.Option(metavar="SIDE", help="Side of the pictures in pixels. [default: 640]")] = None,
    batch: Annotated[int | None, typer.Option(metavar="COUNT", help="Pictures of a batch. [default: 16]")] = None,
    workers: Annotated[int | None, typer.Option(metavar="COUNT", help="Processes that load pictures. [default: 2]")] = None,
    patience: Annotated[
        int | None, typer.Option(metavar="EPOCHS", help="End when it became no better for so long; 0 for never. [default: 100]")
    ] = None,
    time: Annotated[float | None, typer.Option(metavar="HOURS", help="End after so long.")] = None,
    lr0: Annotated[float | None, typer.Option(metavar="NUMBER", help="First learning rate. [default: the optimizer's]")] = None,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help="auto, SGD or AdamW. [default: auto]")] = None,
    freeze: Annotated[int | None, typer.Option(metavar="COUNT", help="Leave so many first layers as they are.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="NUMBER", help="Another number, other randomness. [default: 0]")] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any other option of a training: --set mixup=0.1")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on with the interrupted training of this last.pt.")
    ] = None,
    save_dir: SaveDir = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Replace another training in the folder of --save-dir.")] = False,
    callbacks: CallbackFiles = None,
    as_json: Json = False,
    device: Device = None,
    architecture: Architecture = None,
    debug: Debug = False,
) -> int:
    """Train a detector on your own labelled pictures."""
    from framehook.app.training import assignments
    from framehook.app.training import train as run_training
    from framehook.inference.callbacks import Callbacks, load_callbacks

    given: dict[str, Any] = {
        "data": data,
        "epochs": epochs,
        "imgsz": imgsz,
        "batch": batch,
        "workers": workers,
        "patience": patience,
        "time": time,
        "lr0": lr0,
        "optimizer": optimizer,
        "freeze": freeze,
        "seed": seed,
        "save_dir": save_dir,
        "exist_ok": exist_ok or None,
        "device": device,
        "resume": resume,
    }
    if resume is not None and model is not None:
        raise OptionError(
            f"--model {model} does not go with --resume, which goes on with the network of {resume}; leave it out"
        )
    named = {name: value for name, value in given.items() if value is not None}
    options: TrainArgs = {**named, **assignments(more or [])}  # type: ignore[typeddict-item]
    registry = Callbacks()
    for file in callbacks or ():
        load_callbacks(file, registry)
    return run_training(model or "yolo11n.yaml", options, registry, architecture=architecture, as_json=as_json, debug=debug)


@training_app.command()
def val(
    data: Data = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="An .onnx or .pt file, or a pulled model. [default: the bundled person detector]",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="val, test or train. [default: val]")] = None,
    imgsz: Annotated[
        str | None, typer.Option(metavar="SIDE", help="Network input in pixels: 640, or height,width. [default: the model's]")
    ] = None,
    batch: Annotated[int | None, typer.Option(metavar="COUNT", help="Pictures a network call. [default: 16]")] = None,
    conf: Annotated[float | None, typer.Option(metavar="NUMBER", help="Least score that counts. [default: 0.001]")] = None,
    iou: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Overlap above which the lower score goes. [default: 0.7]")
    ] = None,
    max_det: Annotated[int | None, typer.Option(metavar="COUNT", help="Most boxes a picture. [default: 300]")] = None,
    rect: Annotated[
        bool, typer.Option("--rect", help="Narrow rectangles rather than squares, where the network takes any size: quicker.")
    ] = False,
    workers: Annotated[int | None, typer.Option(metavar="COUNT", help="Threads that read pictures ahead. [default: 2]")] = None,
    plots: Annotated[bool, typer.Option("--plots", help="Draw curves, pictures and the confusion matrix.")] = False,
    save_dir: SaveDir = None,
    callbacks: CallbackFiles = None,
    as_json: Json = False,
    device: Device = None,
    decoder: Annotated[
        str | None, typer.Option(metavar="NAME", help="How its outputs are laid out. [default: recognised]")
    ] = None,
    architecture: Architecture = None,
    debug: Debug = False,
) -> int:
    """Measure how well a model finds the objects of labelled pictures."""
    from framehook.app import arguments
    from framehook.app.validating import validate
    from framehook.inference.callbacks import load_callbacks
    from framehook.model import Model

    given: dict[str, Any] = {
        "data": data,
        "split": split,
        "imgsz": arguments.input_size(imgsz) if imgsz else None,
        "batch": batch,
        "conf": conf,
        "iou": iou,
        "max_det": max_det,
        "rect": rect or None,
        "workers": workers,
        "plots": True if plots or save_dir is not None else None,  # who names a folder wants something in it
        "save_dir": save_dir,
    }
    options: ValArgs = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    chosen = Model(model, device=device, decoder=decoder, architecture=architecture)
    for file in callbacks or ():
        load_callbacks(file, chosen.callbacks)
    return validate(chosen, options, as_json=as_json, debug=debug)
