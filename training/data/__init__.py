"""Datasets: described, read, checked, made. This is their table of contents.

description  a YAML file or a COCO json, as the field writes them
scan         every picture and label of a split, read and checked
labels       the rows of a label file
coco         the lists of a COCO json
report       what was found: for people, and for programs
cache        what was found, kept for the next time
sample       one labelled picture, and a split of them
example      a small dataset that is drawn
convert      from YOLO's text files to COCO's json, and back
split        labelled pictures parted to train, validate and test with
preview      pictures with their labels, in one
yaml_file    the YAML file of a dataset that is made here
new_folder   files that are there all together, or not at all
"""

from importlib import import_module
from typing import TYPE_CHECKING

from framehook.training.data.report import Action, DataReport, Problem, ProblemKind
from framehook.training.data.sample import Sample, Split

if TYPE_CHECKING:
    from framehook.training.data.description import DataSpec, read_data
    from framehook.training.data.example import write_example
    from framehook.training.data.scan import load_split, shared_pictures

__all__ = [
    "DataSpec",
    "Split",
    "Sample",
    "DataReport",
    "Problem",
    "ProblemKind",
    "Action",
    "read_data",
    "load_split",
    "shared_pictures",
    "write_example",
]

# Imported on first use: what a dataset is described with is wanted without OpenCV, too.
_HOMES = {
    "DataSpec": "framehook.training.data.description",
    "read_data": "framehook.training.data.description",
    "load_split": "framehook.training.data.scan",
    "shared_pictures": "framehook.training.data.scan",
    "write_example": "framehook.training.data.example",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
