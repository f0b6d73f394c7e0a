"""What a detection network is made of, as rows that a checkpoint carries or that a family of ours is known by; no torch here.

A row is `[from, repeats, block, arguments]`: `from` is the number of the layer (or layers) it reads, -1 being the one before;
repeats and widths are those of the largest scale and shrink with the `scale` letter. The form is that of the architecture files
of YOLOv5 and later.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from framehook.inference.errors import ModelFormatError, ModelNotFoundError, did_you_mean, one_line

# What a description may ask for: several times what the largest networks of the field have. It comes from a file that anyone
# may have written, so nothing is built that is beyond these.
MAX_LAYERS: Final = 200
MAX_SOURCES: Final = 16
MAX_REPEATS: Final = 100
MAX_BLOCKS: Final = 500
"""Repeats of all layers together."""
MAX_CHANNELS: Final = 16_384
MAX_CLASSES: Final = 100_000
MAX_STRIDE: Final = 512
MAX_EXPANSION: Final = 4.0
MAX_PARAMETERS: Final = 500_000_000

_MAX_NAME: Final = 60
_MAX_SHOWN: Final = 120
_BLOCK: Final = re.compile(rf"[A-Za-z_][\w.]{{0,{_MAX_NAME - 1}}}", re.ASCII)
_MESSAGE: Final = reprlib.Repr()
_MESSAGE.maxstring = _MESSAGE.maxother = _MESSAGE.maxlong = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One layer.

    Attributes:
        sources: Numbers of the layers it reads, counted from the first; -1 is the one before.
        repeats: How often its inner block is repeated, at depth 1.
        block: Name of the block: `Conv`, `C3k2` ...
        args: What the block is made with; the first is its width at width 1.
    """

    sources: tuple[int, ...]
    repeats: int
    block: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """How a scale shrinks a family.

    Attributes:
        depth: Factor of repeats.
        width: Factor of channels.
        max_channels: Channels are cut to this before `width` applies.
    """

    depth: float = 1.0
    width: float = 1.0
    max_channels: int = 1024


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network's description, checked.

    Attributes:
        rows: Backbone and head, in order; the last one is the detection head.
        scale: How depth and width shrink.
        letter: Letter of the scale, or an empty string where there is but one.
        nc: Number of classes.
        reg_max: Bins of each box side's distribution; 1 for plain distances.
        one_to_one: Whether there is a second head whose boxes need no suppression.
        channels: Channels of the picture.
        name: What to call it: `yolo11n`.
    """

    rows: tuple[Row, ...]
    scale: Scale
    letter: str
    nc: int
    reg_max: int = 16
    one_to_one: bool = False
    channels: int = 3
    name: str = "network"

    def as_dict(self) -> dict[str, Any]:
        """Plain containers from which `parse` makes the same architecture; what our own checkpoints keep."""
        rows = [
            [row.sources[0] if len(row.sources) == 1 else list(row.sources), row.repeats, row.block, list(row.args)]
            for row in self.rows
        ]
        return {
            "nc": self.nc,
            "scale": self.letter,
            "scales": {self.letter: [self.scale.depth, self.scale.width, self.scale.max_channels]},
            "reg_max": self.reg_max,
            "end2end": self.one_to_one,
            "channels": self.channels,
            "yaml_file": f"{self.name}.yaml",
            "backbone": rows[:-1],
            "head": rows[-1:],
        }


def parse(description: Mapping[str, Any], *, source: str, nc: int | None = None) -> Architecture:
    """Check a description as checkpoints and architecture files carry it.

    Args:
        description: `backbone` and `head` rows, `nc`, and `scales` with `scale`, or `depth_multiple` and `width_multiple`.
        source: Where it comes from, for messages.
        nc: Number of classes in place of the description's own.

    Raises:
        ModelFormatError: it is no description of a network, or an absurd one.
    """
    try:
        rows = [*description["backbone"], *description["head"]]
        if not 1 < len(rows) <= MAX_LAYERS:
            raise ValueError(f"it has {len(rows)} layers; expected 2 to {MAX_LAYERS}")
        letter, scale = _scale(description)
        return Architecture(
            rows=tuple(_row(row) for row in rows),
            scale=scale,
            letter=letter,
            nc=_whole(description["nc"] if nc is None else nc, 1, MAX_CLASSES),
            reg_max=_whole(description.get("reg_max", 16), 1, 64),
            one_to_one=bool(description.get("end2end", False)),
            channels=_whole(description.get("channels", description.get("ch", 3)), 1, 64),
            name=_name(description.get("yaml_file")),
        )
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        what = f"{shown(error.args[0])} is missing" if isinstance(error, KeyError) else one_line(error)[:300]
        raise ModelFormatError(f"{source}: its description of the network cannot be read: {what}") from error


def shown(value: object) -> str:
    """A value out of a file as messages show it: in a few characters, on one line, however large it is."""
    try:
        text = _MESSAGE.repr(value)
        return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    except ValueError:  # a number of more digits than Python writes
        return "a value too large to show"


def known_architectures() -> list[str]:
    """Names of the architectures that `architecture_of` makes: `yolov8n`, `yolov8s` ..."""
    return [f"{family}{letter}" for family, (_, scales, _) in _FAMILIES.items() for letter in scales]


def architecture_of(name: str, *, nc: int = 80) -> Architecture:
    """The architecture of a name such as `yolo11n` or `yolo11n.yaml`.

    Raises:
        ModelNotFoundError: there is none of this name.
    """
    stem = re.sub(r"\.ya?ml$", "", name.lower())
    family, letter = stem[:-1], stem[-1:]
    if family not in _FAMILIES or letter not in _FAMILIES[family][1]:
        hint = did_you_mean(stem, known_architectures())
        raise ModelNotFoundError(
            f"no architecture is called '{name}'.{hint} Known are {', '.join(_FAMILIES)}, each with a scale: n, s, m, l or x"
        )
    rows, scales, more = _FAMILIES[family]
    return Architecture(
        rows=tuple(_row(row) for row in rows), scale=Scale(*scales[letter]), letter=letter, nc=nc, name=stem, **more
    )


def _row(row: Sequence[Any]) -> Row:
    source, repeats, block, args = row
    sources = tuple(source) if isinstance(source, Sequence) else (source,)
    if not isinstance(block, str) or not _BLOCK.fullmatch(block) or isinstance(args, str) or not isinstance(args, Sequence):
        raise ValueError(f"a row is {shown(row)}")
    if not 0 < len(sources) <= MAX_SOURCES:
        raise ValueError(f"a {block} reads {len(sources)} layers; expected 1 to {MAX_SOURCES}")
    return Row(
        tuple(_whole(each, -MAX_LAYERS, MAX_LAYERS) for each in sources), _whole(repeats, 1, MAX_REPEATS), block, tuple(args)
    )


def _scale(description: Mapping[str, Any]) -> tuple[str, Scale]:
    """The scale and its letter: the one that is named, or the first."""
    scales, letter = description.get("scales") or {}, description.get("scale") or ""
    if not isinstance(scales, Mapping) or not isinstance(letter, str) or len(letter) > _MAX_NAME:
        raise ValueError(f"scale {shown(letter)} of the scales {shown(scales)}")
    if not scales:
        return letter, Scale(
            _factor(description.get("depth_multiple", 1.0)),
            _factor(description.get("width_multiple", 1.0)),
            _whole(description.get("max_channels", MAX_CHANNELS), 8, MAX_CHANNELS),
        )
    letter = letter or str(next(iter(scales)))
    depth, width, most = scales[letter]
    return letter, Scale(_factor(depth), _factor(width), _whole(most, 8, MAX_CHANNELS))


def _name(file: Any) -> str:
    """What to call a network whose description came from `file`."""
    stem = re.sub(r"\.ya?ml$", "", file.replace("\\", "/").rpartition("/")[2]) if isinstance(file, str) else ""
    return stem if 0 < len(stem) <= _MAX_NAME and stem.isprintable() else "network"


def _factor(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 8:
        raise ValueError(f"a factor of {shown(value)}")
    return float(value)


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{shown(value)} where a whole number from {least} to {most} is expected")
    return value


def _neck(block: str, *, first: int, top: int, flags: Sequence[Sequence[Any]], repeats: int) -> list[list[Any]]:
    """The head's rows that every family shares: up twice, down twice, with the backbone's levels joined on.

    Args:
        block: The block after each join.
        first: Number of the first row.
        top: Number of the backbone's last layer.
        flags: More arguments of the four blocks.
        repeats: Repeats of the first three.
    """
    upsample: list[Any] = [-1, 1, "nn.Upsample", [None, 2, "nearest"]]
    middle = first + 2
    levels = [first + 5, first + 8, first + 11]
    return [
        upsample,
        [[-1, 6], 1, "Concat", [1]],
        [-1, repeats, block, [512, *flags[0]]],
        upsample,
        [[-1, 4], 1, "Concat", [1]],
        [-1, repeats, block, [256, *flags[1]]],
        [-1, 1, "Conv", [256, 3, 2]],
        [[-1, middle], 1, "Concat", [1]],
        [-1, repeats, block, [512, *flags[2]]],
        [-1, 1, "Conv", [512, 3, 2]],
        [[-1, top], 1, "Concat", [1]],
        [-1, repeats if len(flags[3]) < 3 else 1, block, [1024, *flags[3]]],
        [levels, 1, "Detect", ["nc"]],
    ]


def _stem(blocks: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The backbone's five halvings, with a block after each but the first."""
    rows: list[list[Any]] = [[-1, 1, "Conv", [64, 3, 2]]]
    for width, block in zip((128, 256, 512, 1024), blocks, strict=True):
        rows += [[-1, 1, "Conv", [width, 3, 2]], [-1, *block]]
    return rows


_C3K2_STEM: Final = _stem(
    [
        (2, "C3k2", [256, False, 0.25]),
        (2, "C3k2", [512, False, 0.25]),
        (2, "C3k2", [512, True]),
        (2, "C3k2", [1024, True]),
    ]
)
_V8: Final = [
    *_stem([(3, "C2f", [128, True]), (6, "C2f", [256, True]), (6, "C2f", [512, True]), (3, "C2f", [1024, True])]),
    [-1, 1, "SPPF", [1024, 5]],
    *_neck("C2f", first=10, top=9, flags=[[], [], [], []], repeats=3),
]
_V11: Final = [
    *_C3K2_STEM,
    [-1, 1, "SPPF", [1024, 5]],
    [-1, 2, "C2PSA", [1024]],
    *_neck("C3k2", first=11, top=10, flags=[[False], [False], [False], [True]], repeats=2),
]
_V26: Final = [
    *_C3K2_STEM,
    [-1, 1, "SPPF", [1024, 5, 3, True]],
    [-1, 2, "C2PSA", [1024]],
    *_neck("C3k2", first=11, top=10, flags=[[True], [True], [True], [True, 0.5, True]], repeats=2),
]
_SCALES_8: Final = {
    "n": (0.33, 0.25, 1024),
    "s": (0.33, 0.5, 1024),
    "m": (0.67, 0.75, 768),
    "l": (1.0, 1.0, 512),
    "x": (1.0, 1.25, 512),
}
_SCALES_11: Final = {
    "n": (0.5, 0.25, 1024),
    "s": (0.5, 0.5, 1024),
    "m": (0.5, 1.0, 512),
    "l": (1.0, 1.0, 512),
    "x": (1.0, 1.5, 512),
}
_FAMILIES: Final[dict[str, tuple[list[list[Any]], dict[str, tuple[float, float, int]], dict[str, Any]]]] = {
    "yolov8": (_V8, _SCALES_8, {}),
    "yolo11": (_V11, _SCALES_11, {}),
    "yolo26": (_V26, _SCALES_11, {"reg_max": 1, "one_to_one": True}),
}
"""Name of a family to its rows, its scales and what else sets it apart."""
