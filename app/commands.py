"""The command line: what can be typed, and nothing else. What it does is in the modules beside it.

Whatever is slow to import (OpenCV, ONNX Runtime ...) is imported by the commands that need it, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framehook.app.data_commands import data_app
from framehook.app.messages import output
from framehook.app.training_commands import training_app
from framehook.inference.errors import OptionError, UnknownLayoutError

if TYPE_CHECKING:
    from framehook.export.options import ExportArgs
    from framehook.inference.options import PredictArgs

app = typer.Typer(
    name="framehook",
    help="Real-time video inference: detect, track, draw and record webcams, streams and files.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TRIES = """\
Framehook: real-time video inference with a callback at every stage.

  framehook demo                       see it work on a real clip
  framehook track 0                    follow people in front of your webcam
  framehook predict clip.mp4 --save    find people in a video, save it annotated
  framehook gui                        watch, tune and record it in a window

'framehook --help' lists all commands."""

SOURCES = (
    "A camera's number, a file, folder, pattern, URL, screen, or testsrc; a .txt or .streams file names one a line. Files are "
    "taken one after another, and those that cannot be read are passed over with a warning; where one source is live, and of "
    "a .streams file, all are taken side by side"
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from framehook._version import __version__

        output().print(f"framehook {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        output().print(_TRIES)


Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and what the library logs.")]
ModelFile = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="FILE", help="An .onnx or .pt file, or a pulled model. [default: the bundled person detector]"
    ),
]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, coreml ... [default: the best installed]")
]
DecoderName = Annotated[
    str | None, typer.Option("--decoder", metavar="NAME", help="How its outputs are laid out. [default: recognised]")
]
ArchitectureName = Annotated[
    str | None,
    typer.Option("--architecture", metavar="NAME", help="The network of a checkpoint that holds weights alone: yolo11n."),
]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def demo(
    save_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", file_okay=False, help="Where to save. [default: the next free runs/demo]"),
    ] = None,
    window: Annotated[
        bool, typer.Option("--window/--no-window", help="Open a window where there is a display and PyQt6.")
    ] = True,
    debug: Debug = False,
) -> int:
    """See it work: people tracked in a real clip."""
    from framehook.app.demo import run_demo
    from framehook.app.desktop import open_demo_window

    code = open_demo_window() if window and save_dir is None else None
    return run_demo(save_dir=save_dir, debug=debug) if code is None else code


@app.command()
def gui(
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SOURCE]", help="What to look at, side by side; as for predict.", show_default=False),
    ] = None,
    model: ModelFile = None,
    conf: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Least score of a detection, 0 to 1. [default: that of the settings]")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Only these, by name or number: person,car.")
    ] = None,
    pace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files: realtime, or max. [default: that of the settings]")
    ] = None,
    loop: Annotated[bool | None, typer.Option("--loop/--no-loop", help="Begin files again at their end.")] = None,
    callbacks: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Python file of functions named after events.")
    ] = None,
    device: Device = None,
    decoder: DecoderName = None,
    architecture: ArchitectureName = None,
    debug: Debug = False,
) -> int:
    """Open the desktop app: watch, tune, record, count and export live."""
    from framehook.app import arguments
    from framehook.app.desktop import open_window

    given = {"conf": conf, "classes": arguments.class_list(classes) if classes else None, "pace": pace}
    chosen = {"spec": model, "device": device, "decoder": decoder, "architecture": architecture}
    return open_window(
        source or (),
        model=chosen if any(chosen.values()) else None,
        options={name: value for name, value in given.items() if value is not None},
        loop=loop,
        callbacks=callbacks or (),
    )


@app.command("predict", help="Detect objects in SOURCE.")
@app.command("track", help="Detect objects in SOURCE and follow them.")
def detect(
    context: typer.Context,
    source: Annotated[list[str], typer.Argument(metavar="SOURCE", help=f"{SOURCES}.", show_default=False)],
    model: ModelFile = None,
    conf: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Least score of a detection, 0 to 1. [default: 0.25]")
    ] = None,
    iou: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Overlap above which the lower score goes. [default: 0.7]")
    ] = None,
    imgsz: Annotated[
        str | None, typer.Option(metavar="SIDE", help="Network input in pixels: 640, or height,width. [default: the model's]")
    ] = None,
    classes: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="Only these, by name or number: person,car.")
    ] = None,
    max_det: Annotated[int | None, typer.Option(metavar="COUNT", help="Most detections a frame. [default: 300]")] = None,
    agnostic_nms: Annotated[bool, typer.Option("--agnostic-nms", help="Suppress overlaps across classes.")] = False,
    batch: Annotated[int | None, typer.Option(metavar="COUNT", help="Frames a network call. [default: 1]")] = None,
    vid_stride: Annotated[int | None, typer.Option(metavar="COUNT", help="Use every n-th frame. [default: 1]")] = None,
    pace: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files: max, or realtime, which drops what is late. [default: max]")
    ] = None,
    frames: Annotated[int | None, typer.Option(metavar="COUNT", min=1, help="Stop after this many frames.")] = None,
    save: Annotated[
        bool | None, typer.Option("--save/--no-save", help="Save annotated video or pictures.", show_default=False)
    ] = None,
    save_segment: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Go on in another video file after so long.")
    ] = None,
    save_keep: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Keep the newest of these files; delete older ones of this run.")
    ] = None,
    save_on_error: Annotated[
        str | None, typer.Option(metavar="NAME", help="Disk full: raise ends the run, stop the recording. [default: raise]")
    ] = None,
    save_txt: Annotated[bool, typer.Option("--save-txt", help="Save a YOLO text file a frame.")] = False,
    save_rows: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT|FILE", help="Save boxes as rows: jsonl, csv, mot, a file (.jsonl, .csv, .txt), or - to print JSON."
        ),
    ] = None,
    save_crop: Annotated[bool, typer.Option("--save-crop", help="Save a picture of each detected object.")] = False,
    save_frames: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Save an annotated frame every so often; 0 for every frame.")
    ] = None,
    save_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", file_okay=False, help="Save, and there. [default: the next free runs/predict]"),
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=X,Y,...",
            help="Count what crosses a line (2 points) or is in an area (3 or more); pixels or fractions: door=.2,.5,.8,.5.",
        ),
    ] = None,
    overlay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="What to draw: boxes, labels, confidence, trails, heatmap, blur, pixelate, or none."
        ),
    ] = None,
    show_fps: Annotated[bool, typer.Option("--show-fps", help="Draw the frame rate on the picture.")] = False,
    tracker: Annotated[
        str | None, typer.Option(metavar="NAME", help="What follows objects. [default: bytetrack for track, none for predict]")
    ] = None,
    tracker_option: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A setting of the tracker: lost_track_buffer=60.")
    ] = None,
    callbacks: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Python file of functions named after events.")
    ] = None,
    stats: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Add the figures to this file as JSON, every second.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="PORT", help="Serve the figures to Prometheus on this computer; or HOST:PORT.")
    ] = None,
    open_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long a server has to answer. [default: 10]")
    ] = None,
    read_timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Silence after which a stream counts as lost. [default: 5]")
    ] = None,
    no_reconnect: Annotated[bool, typer.Option("--no-reconnect", help="End where a camera or stream is lost.")] = False,
    device: Device = None,
    decoder: DecoderName = None,
    architecture: ArchitectureName = None,
    debug: Debug = False,
) -> int:
    """Run `predict` or `track`, which differ in the tracker alone."""
    from framehook.app import arguments
    from framehook.app.streams import output_for_rows
    from framehook.app.watch import watch
    from framehook.inference.callbacks import Callback, Metrics, Rows, StatsLog, load_callbacks
    from framehook.inference.options import ROW_FORMATS
    from framehook.model import Model

    fills_folder = save_txt or save_crop or save_frames is not None or save_rows in ROW_FORMATS
    if save is False and save_dir is not None and not fills_folder:
        raise OptionError(f"--no-save leaves nothing to put into --save-dir {save_dir}; leave out one of the two")
    for option, file in (("--save-rows", None if save_rows in (*ROW_FORMATS, "-") else save_rows), ("--stats", stats)):
        if file is not None:
            arguments.refuse_sources(option, file, source)
    tracker = tracker or ("bytetrack" if context.info_name == "track" else None)
    if tracker_option and tracker is None:
        raise OptionError("--tracker-option needs a tracker; add --tracker bytetrack, or use 'framehook track'")
    zones = arguments.zones(zone) if zone else None
    lines = [name for name, points in (zones or {}).items() if len(points) == 2]
    if lines and tracker is None and not callbacks:
        raise OptionError(f"--zone {lines[0]} is a line, which tracks cross; add --tracker bytetrack, or use 'framehook track'")
    given: dict[str, Any] = {
        "conf": conf,
        "iou": iou,
        "imgsz": arguments.input_size(imgsz) if imgsz else None,
        "classes": arguments.class_list(classes) if classes else None,
        "max_det": max_det,
        "agnostic_nms": agnostic_nms,
        "batch": batch,
        "vid_stride": vid_stride,
        "pace": pace,
        # Who names a folder wants something saved in it.
        "save": save if save is not None else save_segment is not None or (save_dir is not None and not fills_folder),
        "save_segment": save_segment,
        "save_keep": save_keep,
        "save_on_error": save_on_error,
        "save_txt": save_txt,
        "save_rows": None if save_rows == "-" else save_rows,
        "save_crop": save_crop,
        "save_frames": save_frames,
        "save_dir": save_dir,
        "zones": zones,
        "show_fps": show_fps,
        "tracker": tracker,
        "tracker_options": arguments.settings(tracker_option) if tracker_option else None,
    }
    # What was not typed keeps the library's default.
    options: PredictArgs = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    if overlay:
        options["overlay"] = arguments.overlay_list(overlay)
    chosen = Model(model, device=device, decoder=decoder, architecture=architecture)
    for file in callbacks or ():
        load_callbacks(file, chosen.callbacks)
    opening = {"open_timeout": open_timeout, "read_timeout": read_timeout, "reconnect": False if no_reconnect else None}
    also: list[Callback] = []
    if stats is not None:
        also.append(StatsLog(stats))
    if metrics is not None:
        host, port = arguments.address(metrics)
        also.append(Metrics(port, host=host))
    with contextlib.ExitStack() as until_end:
        if save_rows == "-":
            also.append(Rows(until_end.enter_context(output_for_rows())))
        return watch(
            chosen,
            source[0] if len(source) == 1 else source,
            options,
            opening={name: value for name, value in opening.items() if value is not None},
            limit=frames,
            debug=debug,
            also=also,
        )


@app.command()
def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE | pull NAME", help="An .onnx or .pt file, or a name; pull downloads models.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With pull: download it even if it is there.")] = False,
    device: Device = None,
    decoder: DecoderName = None,
    architecture: ArchitectureName = None,
    debug: Debug = False,
) -> None:
    """Tell what a model is; list those that are bundled and those that can be pulled; pull some."""
    from framehook.app.describe import print_model, print_models, print_unrecognised
    from framehook.inference import registry
    from framehook.inference.load import BUNDLED, bundled_model, load_detector, open_backend

    if not words:
        print_models(output(), registry.REGISTRY)
        return
    if words[0] == "pull":
        from framehook.app.pulling import pull_models

        pull_models(words[1:], registry.REGISTRY, force=force)
        return
    if len(words) > 1 or force:
        raise OptionError(
            f"models {' '.join(words)}{' --force' * force} is not clear; pass one file or name, or pull and names"
        )
    path = bundled_model() if words[0] == BUNDLED else Path(words[0]).expanduser()
    if not path.exists():
        path = registry.find_model(words[0]) or path
    backend = open_backend(path, device, layout=decoder, architecture=architecture)
    try:
        detector = load_detector(backend, decoder=decoder)
    except UnknownLayoutError as error:
        if decoder is not None:
            raise
        print_unrecognised(output(), backend, path, error)
        return
    chosen = {"--decoder": decoder, "--architecture": architecture}
    typed = shlex.join([words[0], *(part for key, value in chosen.items() if value for part in (key, value))])
    print_model(output(), detector, path, typed=typed, debug=debug)


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A .pt checkpoint or an .onnx file, or a model's name.", show_default=False)
    ],
    output_path: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A file or folder. [default: beside the model, NAME_int8.onnx ...]"
        ),
    ] = None,
    format: Annotated[str | None, typer.Option(metavar="NAME", help="Only onnx. [default: onnx]")] = None,
    imgsz: Annotated[
        str | None, typer.Option(metavar="SIDE", help="Network input in pixels: 640, or height,width. [default: the model's]")
    ] = None,
    batch: Annotated[int | None, typer.Option(metavar="COUNT", help="Frames a network call. [default: 1]")] = None,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Leave batch, height and width open.")] = False,
    opset: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Version of ONNX's operators. [default: the model's, or PyTorch's]")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Compute in float16.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in int8, calibrated on --data.")] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="A clip or a folder of pictures like those it will see: to calibrate and compare on."
        ),
    ] = None,
    nms: Annotated[bool, typer.Option("--nms", help="Have the file suppress overlaps.")] = False,
    preprocess: Annotated[
        bool, typer.Option("--preprocess", help="Have the file take raw frames of any size; with --nms it needs no other code.")
    ] = False,
    simplify: Annotated[bool, typer.Option("--simplify/--no-simplify", help="Fold constants, fuse operators.")] = True,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Compare with the model before anything is left behind.")
    ] = True,
    conf: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="With --nms: least score it lets through. [default: 0.01]")
    ] = None,
    iou: Annotated[
        float | None,
        typer.Option(metavar="NUMBER", help="With --nms: overlap above which the lower score goes. [default: 0.7]"),
    ] = None,
    max_det: Annotated[
        int | None, typer.Option(metavar="COUNT", help="With --nms: most detections a frame. [default: 300]")
    ] = None,
    callbacks: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Python file of functions named after events.")
    ] = None,
    as_json: Json = False,
    device: Device = None,
    decoder: DecoderName = None,
    architecture: ArchitectureName = None,
    debug: Debug = False,
) -> int:
    """Turn MODEL into an ONNX file that is proven to find the same and runs without PyTorch."""
    from framehook.app import arguments
    from framehook.app.exporting import export as run_export
    from framehook.inference.callbacks import load_callbacks
    from framehook.model import Model

    given: dict[str, Any] = {
        "output": output_path,
        "format": format,
        "imgsz": arguments.input_size(imgsz) if imgsz else None,
        "batch": batch,
        "dynamic": dynamic,
        "opset": opset,
        "half": half,
        "int8": int8,
        "data": data,
        "nms": nms,
        "preprocess": preprocess,
        "simplify": simplify,
        "verify": verify,
        "conf": conf,
        "iou": iou,
        "max_det": max_det,
    }
    options: ExportArgs = {name: value for name, value in given.items() if value is not None}  # type: ignore[assignment]
    chosen = Model(model, device=device, decoder=decoder, architecture=architecture)
    for file in callbacks or ():
        load_callbacks(file, chosen.callbacks)
    return run_export(chosen, options, as_json=as_json, debug=debug)


@app.command()
def sources(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Look at this one for a while.", show_default=False)
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="FILE", help="Save its first frame there, a .jpg; or none. [default: NAME.jpg]")
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="NUMBER", help="How long to look.")] = 5.0,
    as_json: Json = False,
    debug: Debug = False,
) -> int:
    """List cameras and screens; or tell what comes of SOURCE, how fast and how evenly."""
    from framehook.app.probe import list_sources, probe

    if source is None:
        return list_sources(as_json=as_json)
    return probe(source, picture=picture, seconds=seconds, as_json=as_json, debug=debug)


@app.command()
def benchmark(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video, testsrc, or something live.", show_default=False)],
    model: ModelFile = None,
    frames: Annotated[
        int | None, typer.Option(metavar="COUNT", min=1, help="Frames of a pass. [default: as many as fit the time]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="How long to measure, about. [default: 20; 10 if live]")
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Save the figures as JSON; - prints them in place of the table."),
    ] = None,
    device: Device = None,
    decoder: DecoderName = None,
    architecture: ArchitectureName = None,
    debug: Debug = False,
) -> int:
    """Measure a model here: the network alone, and whole runs over SOURCE."""
    from framehook.app.bench import benchmark as measure

    return measure(
        source,
        model=model,
        frames=frames,
        seconds=seconds,
        json_file=json_file,
        device=device,
        decoder=decoder,
        architecture=architecture,
        debug=debug,
    )


@app.command()
def doctor(as_json: Json = False, debug: Debug = False) -> int:
    """Check this computer, and say what to do about each problem."""
    from framehook.app.doctor import run_doctor

    return run_doctor(as_json=as_json)


app.add_typer(training_app)
app.add_typer(data_app, name="data")
