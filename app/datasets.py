"""`framehook data ...`: datasets checked, converted, parted, looked at, made."""

from __future__ import annotations

import logging
import math
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framehook.app import arguments
from framehook.app.demo import command_name
from framehook.app.messages import diagnostics, logged_to, output
from framehook.app.rows import print_json, print_rows
from framehook.inference.errors import DatasetError, FramehookError, OptionError, one_line
from framehook.training.data.convert import convert
from framehook.training.data.description import read_data
from framehook.training.data.example import write_example
from framehook.training.data.preview import preview
from framehook.training.data.report import Action, DataReport
from framehook.training.data.sample import Split
from framehook.training.data.scan import check_split, load_split, shared_pictures
from framehook.training.data.split import first_of_same, split_data

_HARMLESS: Final = (Action.KEPT, Action.BACKGROUND)
_OPTIONS: Final = ("train", "val", "size", "classes", "seed", "count", "to", "fractions", "names", "split")
_OPTION: Final = re.compile(rf"(?<![\w-])({'|'.join(_OPTIONS)})=")


def check_data(
    data: str,
    splits: Sequence[str],
    *,
    everything: bool = False,
    cache: bool = True,
    as_json: bool = False,
    debug: bool = False,
) -> int:
    """Read a dataset, and tell what is in it and what is wrong with it.

    Args:
        data: What the user typed.
        splits: Which; none for all there are.
        everything: Show every problem.
        cache: Keep what was found.
        as_json: Print JSON.
        debug: Show what the library logs in detail.

    Returns:
        The exit code: 1 where something is left out or clipped, or splits share pictures; 0 where all is used as it is.

    Raises:
        OptionError: no dataset has such a split.
        DatasetError: it cannot be read, or a split of it; the others are told first.
    """
    out, err = output(), diagnostics()
    told: list[dict[str, Any]] = []
    errors: list[FramehookError] = []
    read: list[Split] = []
    with _telling(err, debug=debug):
        spec = read_data(data)
        for name in splits:
            check_split(spec, name)
        if not debug:  # what is logged is what is printed
            logging.getLogger("framehook").setLevel(logging.ERROR)
        same = first_of_same(spec)
        # A COCO json that was named by itself has no splits that could share anything.
        doubled = not splits and len(set(same.values())) < len(same) and spec.file.suffix.lower() != ".json"
        for name in dict.fromkeys(splits or same.values()):
            try:
                with _bar(err, name) as progress:
                    read.append(load_split(spec, name, cache=cache, progress=progress))
            except DatasetError as error:
                errors.append(error)
                told.append({"split": name, "error": one_line(error)})
                continue
            told.append(read[-1].report.as_dict())
            if not as_json:
                _print_report(out, read[-1].report, everything=everything)
        shared = {(a.name, b.name): found for a, b in combinations(read, 2) if (found := shared_pictures(a, b))}
    if as_json:
        facts = {"file": str(spec.file), "kind": spec.kind, "names": list(spec.names.values()), "splits": told}
        both = [{"splits": pair, "pictures": [list(map(str, each)) for each in found]} for pair, found in shared.items()]
        print_json(out, {**facts, "shared": both})
    else:
        for (first, second), found in shared.items():
            out.print(f"{first} and {second} share {_many(len(found), 'picture')}, such as {found[0][0]}")
        _print_same(out, same)
    if errors:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("several splits cannot be read", errors)
    clean = all(problem.done in _HARMLESS for split in read for problem in split.report.problems)
    return 0 if clean and not shared and not doubled else 1


def convert_data(data: str, folder: Path, *, to: str, exist_ok: bool = False, debug: bool = False) -> int:
    """Write a dataset in another form, and say what came of it; returns the exit code."""
    out, err = output(), diagnostics()
    with _telling(err, debug=debug):
        spec = read_data(data)
        with _bar(err, "reading") as progress:
            done = convert(spec, folder, to=to, exist_ok=exist_ok, progress=progress)  # type: ignore[arg-type]
        if done.crowds:
            err.print(
                f"note: {_many(done.crowds, 'box', 'boxes')} of crowds left out: rows of text cannot say that they are such"
            )
        if done.areas:
            err.print(f"note: the areas of {_many(done.areas, 'outline')} left out: rows of boxes cannot say them")
    out.print(f"{_many(done.pictures, 'picture')} with {_many(done.objects, 'object')}: {done.file}")
    _print_same(out, first_of_same(spec))
    return 0


def part_data(
    pictures: str,
    folder: Path,
    *,
    fractions: str,
    names: Sequence[str] | None = None,
    seed: int = 0,
    exist_ok: bool = False,
    debug: bool = False,
) -> int:
    """Part labelled pictures, and say how; returns the exit code."""
    out, err = output(), diagnostics()
    called = arguments.words(names) if names else None
    with _telling(err, debug=debug), _bar(err, "reading") as progress:
        parting = split_data(
            pictures, folder, fractions=_numbers(fractions), seed=seed, names=called, exist_ok=exist_ok, progress=progress
        )
    out.print(f"{parting.file}")
    print_rows(out, ((name, _held(count, parting.objects[name], parting.names)) for name, count in parting.pictures.items()))
    return 0


def preview_data(
    data: str, file: Path, *, split: str | None = None, count: int = 16, seed: int = 0, debug: bool = False
) -> int:
    """Draw labelled pictures of a dataset, and say where; returns the exit code."""
    out, err = output(), diagnostics()
    with _telling(err, debug=debug):
        spec = read_data(data)
        name = next(iter(spec.splits)) if split is None else split
        with _bar(err, name) as progress:
            pictures = load_split(spec, name, progress=progress)
        written = preview(pictures, file, count=count, seed=seed)
    held = len(pictures.samples)
    out.print(f"{min(count, held)} of {_many(held, 'picture')} of {name}: {written}")
    return 0


def make_example(folder: Path, *, train: int, val: int, size: str, classes: Sequence[str] | None = None, seed: int = 0) -> int:
    """Draw a dataset, and say what to do with it; returns the exit code."""
    out = output()
    chosen: dict[str, Any] = {"classes": arguments.words(classes)} if classes else {}
    with _telling(diagnostics(), debug=False):
        file = write_example(folder, train=train, val=val, size=_size(size), seed=seed, **chosen)
    typed = shlex.quote(str(file))
    side = math.ceil(max(_size(size)) / 32) * 32  # what the networks take
    out.print(f"{_many(train, 'picture')} to train on and {val} to validate on: {file}")
    print_rows(
        out,
        [
            ("look at it", f"{command_name()} data preview {typed}"),
            ("train on it", f"{command_name()} train --data {typed} --imgsz {side}"),
        ],
    )
    return 0


def _print_report(out: Console, report: DataReport, *, everything: bool) -> None:
    lines = report.lines(None) if everything else report.lines()
    for line in lines:
        out.print(line)
    most = max((len(name) for name in report.names.values()), default=0)
    if len(report.names) <= 30:
        for number, count in report.per_class.items():
            out.print(f"  {report.names[number]:<{most}}  {count}")


def _print_same(out: Console, same: Mapping[str, str]) -> None:
    """Tell where several splits are one, as in a COCO json that was named by itself."""
    for first in dict.fromkeys(same.values()):
        alike = [name for name, each in same.items() if each == first]
        if len(alike) > 1:
            listed = f"{', '.join(alike[:-1])} and {alike[-1]}"
            out.print(f"{listed} are the same pictures; '{command_name()} data split' parts a dataset of text files")


def _held(pictures: int, objects: Mapping[int, int], names: Mapping[int, str]) -> str:
    """`12 pictures: 8 cat, 4 dog`; the most frequent classes, if there are many."""
    most = sorted(objects.items(), key=lambda each: (-each[1], each[0]))[:8]
    listed = ", ".join(f"{count} {names[number]}" for number, count in most)
    return f"{_many(pictures, 'picture')}: {listed}{' ...' if len(objects) > len(most) else ''}"


@contextmanager
def _telling(err: Console, *, debug: bool) -> Iterator[None]:
    """Show what is logged, and word what is wrong in terms of the command line."""
    with logged_to(err, debug=debug):
        try:
            yield
        except OptionError as error:
            error.args = (_OPTION.sub(lambda found: f"--{found[1]} ", str(error)), *error.args[1:])
            raise


@contextmanager
def _bar(err: Console, name: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far reading is, where there is a terminal."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal, refresh_per_second=8) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _many(count: int, what: str, more: str | None = None) -> str:
    return f"{count:,} {what if count == 1 else more or f'{what}s'}"


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"--fractions {text} are no shares; write two or three numbers that add up to 1, .8,.1,.1") from None


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})[x,](\d{1,5})", text)
    if found is None:
        raise OptionError(f"--size {text} is no size; write width and height in pixels, 320x240")
    return int(found[1]), int(found[2])
