"""The command line of datasets: what can be typed after `framehook data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framehook.app.messages import output

data_app = typer.Typer(
    help="Check, convert, part, look at or make a dataset.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_TRIES = """\
Datasets, to train on and to validate on.

  framehook data example shapes                 make a small one, to try things with
  framehook data check shapes/data.yaml         find what is wrong with one
  framehook data preview shapes/data.yaml       see its pictures with their labels
  framehook data split pictures -o parted       part labelled pictures to train and to validate on
  framehook data convert coco.json -o as-text   from COCO's json to YOLO's text files, or back

'framehook data COMMAND --help' tells more."""

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A dataset's YAML file, the folder it is in, or a COCO json.", show_default=False)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and what the library logs.")]
ExistOk = Annotated[bool, typer.Option("--exist-ok", help="Replace files of the same names in a folder that holds some.")]
Folder = Annotated[
    Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder, or an empty one.", show_default=False)
]
Seed = Annotated[int, typer.Option(metavar="NUMBER", help="Another number, another outcome.")]


@data_app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        output().print(_TRIES)


@data_app.command()
def check(
    data: Data,
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one: train, val or test. [default: all there are]")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every problem, not the first ten of a kind alone.")] = False,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Keep what was found for the next time.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: Debug = False,
) -> int:
    """Find what is wrong with DATA.

    All of its pictures and labels are read. The exit code is 1 if something had to be left out or clipped, or if splits share
    pictures.
    """
    from framehook.app.datasets import check_data

    return check_data(data, split or (), everything=everything, cache=cache, as_json=as_json, debug=debug)


@data_app.command()
def convert(
    data: Data,
    folder: Folder,
    to: Annotated[str, typer.Option(metavar="FORM", help="yolo for text files, coco for json.", show_default=False)],
    exist_ok: ExistOk = False,
    debug: Debug = False,
) -> int:
    """Write DATA in another form.

    It goes into a folder of its own. The pictures are linked where that is possible, and copied elsewhere.
    """
    from framehook.app.datasets import convert_data

    return convert_data(data, folder, to=to, exist_ok=exist_ok, debug=debug)


@data_app.command()
def split(
    pictures: Annotated[
        str,
        typer.Argument(
            metavar="PICTURES", help="A folder of pictures with YOLO's labels, or a dataset's YAML file.", show_default=False
        ),
    ],
    folder: Folder,
    fractions: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Shares of train, val and, if it is given, test: .8,.1,.1")
    ] = "0.8,0.2",
    names: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="What the classes are called: cat,dog. [default: from classes.txt]"),
    ] = None,
    seed: Seed = 0,
    exist_ok: ExistOk = False,
    debug: Debug = False,
) -> int:
    """Part labelled PICTURES at random.

    Each class is parted alike, as far as possible. Lists and a data.yaml are written; nothing is moved or copied.
    """
    from framehook.app.datasets import part_data

    return part_data(pictures, folder, fractions=fractions, names=names, seed=seed, exist_ok=exist_ok, debug=debug)


@data_app.command()
def preview(
    data: Data,
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A .jpg; the next free number is added where it exists.")
    ] = Path("preview.jpg"),
    split: Annotated[str | None, typer.Option(metavar="NAME", help="train, val or test. [default: the first there is]")] = None,
    count: Annotated[int, typer.Option(metavar="COUNT", help="How many, at random.")] = 16,
    seed: Seed = 0,
    debug: Debug = False,
) -> int:
    """Draw pictures of DATA and their labels."""
    from framehook.app.datasets import preview_data

    return preview_data(data, file, split=split, count=count, seed=seed, debug=debug)


@data_app.command()
def example(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder, or an empty one.", show_default=False)],
    train: Annotated[int, typer.Option(metavar="COUNT", help="Pictures to train on.")] = 64,
    val: Annotated[int, typer.Option(metavar="COUNT", help="Pictures to validate on.")] = 16,
    size: Annotated[str, typer.Option(metavar="SIZE", help="Width and height of the pictures in pixels.")] = "320x240",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Out of circle, square, triangle, diamond, cross, star. [default: circle,square,triangle]",
        ),
    ] = None,
    seed: Seed = 0,
    debug: Debug = False,
) -> int:
    """Draw a small dataset of coloured shapes."""
    from framehook.app.datasets import make_example

    return make_example(folder, train=train, val=val, size=size, classes=classes, seed=seed)
