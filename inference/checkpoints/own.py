"""The form of Framehook's own checkpoints, which any torch can read without running what is in them.

A checkpoint is what `torch.save` makes of

    {"framehook": own_header(Header(...)), "model": {key: tensor, ...}, ...}

where the header is text (JSON) and further entries (an optimizer's state) are tensors, numbers, texts and containers alone.
`read_checkpoint` reads it, and so does `torch.load(path, weights_only=True)`.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from framehook.inference.errors import ModelFormatError

HEADER_KEY: Final = "framehook"
"""Key of the header in the checkpoint."""
SCHEMA: Final = 1
"""Version of the header's form. It grows when an older reader would misread a header, not when one gains an entry."""

TASK: Final = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)
"""What the name of a task may be."""

_MAX_TEXT: Final = 4 * 2**20
_MAX_CLASSES: Final = 100_000
_MAX_CLASS_NAME: Final = 500
_MAX_LEVELS: Final = 16
_MAX_DEPTH: Final = 16
_MAX_BITS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a checkpoint of ours says beside its tensors. Made with a value that cannot be, it raises ModelFormatError.

    Attributes:
        architecture: What the net is made from: `backbone` and `head`, rows of from, repeats, module, arguments; `nc`, the
            number of classes; and whatever else the net needs (`scale`, `scales` ...).
        names: Class number to name, for every number below `nc`.
        stride: Pixels of the input per cell, for each level of the head.
        task: What the net is for.
        args: What it was trained with.
        figures: What was measured, by name.
        mid_training: Training had not ended.
        epoch: Number of the last epoch, from 0.
        best_fitness: The best score an epoch reached.
        date, version, license: When, with which version of Framehook and under which licence it was made.
    """

    architecture: Mapping[str, Any]
    names: Mapping[int, str]
    stride: tuple[int, ...]
    task: str = "detect"
    args: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    mid_training: bool = False
    epoch: int | None = None
    best_fitness: float | None = None
    date: str | None = None
    version: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        _check_architecture(self.architecture)
        _check_names(self.names, self.architecture["nc"])
        _check(
            "stride",
            self.stride,
            type(self.stride) is tuple
            and 0 < len(self.stride) <= _MAX_LEVELS
            and all(type(each) is int and 0 < each < 2**16 for each in self.stride),
            "up to 16 whole numbers of pixels",
        )
        _check("task", self.task, type(self.task) is str and TASK.fullmatch(self.task), "a word such as 'detect'")
        _check("args", self.args, _is_table(self.args), "a table of plain values")
        _check(
            "figures",
            self.figures,
            _is_table(self.figures) and all(_is_number(each) for each in self.figures.values()),
            "a table of numbers",
        )
        _check("mid_training", self.mid_training, type(self.mid_training) is bool, "true or false")
        _check("epoch", self.epoch, self.epoch is None or (type(self.epoch) is int and self.epoch >= 0), "a number from 0")
        _check("best_fitness", self.best_fitness, self.best_fitness is None or _is_number(self.best_fitness), "a number")
        for key in ("date", "version", "license"):
            value = getattr(self, key)
            _check(key, value, value is None or (type(value) is str and len(value) <= _MAX_CLASS_NAME), "a short text")


def own_header(header: Header) -> str:
    """The header as the text a checkpoint holds under `framehook`."""
    entries = {each.name: getattr(header, each.name) for each in fields(header)}
    return json.dumps({"schema": SCHEMA, **entries}, allow_nan=False, default=dict)  # a table need not be a dict


def parse_header(text: Any) -> Header:
    """The header of a checkpoint; entries it does not know are left out.

    Raises:
        ModelFormatError: it is no such text, of a later schema, or has an entry that cannot be.
    """
    if type(text) is not str or len(text) > _MAX_TEXT:
        raise ModelFormatError("its header is not a text, or too long for one")
    try:
        entries = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ModelFormatError("its header is not JSON") from None
    if type(entries) is not dict or type(entries.get("schema")) is not int:
        raise ModelFormatError("its header does not say which schema it follows")
    if entries["schema"] != SCHEMA:
        raise ModelFormatError(
            f"its header follows schema {reprlib.repr(entries['schema'])}, and this version of Framehook knows {SCHEMA}: "
            "update Framehook"
        )
    known = {key: value for key, value in entries.items() if key in Header.__dataclass_fields__}
    if missing := sorted({"architecture", "names", "stride"} - known.keys()):
        raise ModelFormatError(f"its header lacks {', '.join(missing)}")
    if type(known["names"]) is dict:
        known["names"] = {int(key) if _is_decimal(key) else key: name for key, name in known["names"].items()}
    if type(known["stride"]) is list:
        known["stride"] = tuple(known["stride"])
    return Header(**known)


def _check_architecture(value: Any) -> None:
    _check("architecture", value, _is_table(value), "a table of plain values")
    for key in ("backbone", "head"):  # what their rows may be is told by `nets.architecture`, which knows what they mean
        _check(f"architecture {key}", value.get(key), type(value.get(key)) in (list, tuple), "a list of rows")
    count = value.get("nc")
    _check("architecture nc", count, type(count) is int and 0 < count <= _MAX_CLASSES, "the number of classes")


def _check_names(value: Any, count: int) -> None:
    _check(
        "names",
        value,
        isinstance(value, Mapping)
        and value.keys() == set(range(count))
        and all(type(name) is str and len(name) <= _MAX_CLASS_NAME for name in value.values()),
        f"a text for each class number from 0 to {count - 1}",
    )


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(type(key) is str and _is_plain(item, 1) for key, item in value.items())


def _is_plain(value: Any, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, Mapping):
        return all(type(key) is str and _is_plain(item, depth + 1) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(_is_plain(item, depth + 1) for item in value)
    return value is None or type(value) in (bool, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() <= _MAX_BITS
    return isinstance(value, float) and math.isfinite(value)  # NumPy's are floats, too


def _is_decimal(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) <= 6


def _no_constant(text: str) -> float:
    raise ValueError(text)


def _check(key: str, value: Any, right: object, expected: str) -> None:
    if not right:
        raise ModelFormatError(f"its header has a wrong entry {key}: {reprlib.repr(value)}; expected {expected}")
