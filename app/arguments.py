"""From the texts of a command line to the options of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from framehook.inference.errors import OptionError
from framehook.inference.saving import is_source

DAY: Final = 86_400
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}


def input_size(text: str) -> int | tuple[int, int]:
    """Read `640` or `480,640`, a side or height and width.

    Raises:
        OptionError: it is neither.
    """
    try:
        sides = [int(side) for side in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise OptionError(f"--imgsz {text} is not a size; write a side in pixels, 640, or height and width, 480,640")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def address(text: str) -> tuple[str, int]:
    """Read `9100` or `0.0.0.0:9100`, `[::]:9100`: where to serve, on this computer alone if nothing else is said.

    Raises:
        OptionError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise OptionError(f"--metrics {text} is no port; write a number such as 9100, or an address, 0.0.0.0:9100")
    return host.strip("[]") or "127.0.0.1", int(port)


def refuse_sources(option: str, file: str | Path, sources: Iterable[str]) -> None:
    """See to it that what is to be written is none of the sources, or a list of them; to be called before it is opened.

    Raises:
        OptionError: it is.
    """
    if is_source(Path(file).expanduser(), sources):
        raise OptionError(f"{option} {file} is the source itself; name another file")


def check_seconds(seconds: float) -> None:
    """Check how long something is to be looked at.

    Raises:
        OptionError: that is no time, or longer than a day.
    """
    if not 0 < seconds <= DAY:
        raise OptionError(f"--seconds {seconds:g} is out of range; pass a number above 0, {DAY} (a day) at most")


def words(texts: Iterable[str]) -> list[str]:
    """Split texts at commas: `person,car` and two options of one word each mean the same."""
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def class_list(texts: Iterable[str]) -> list[int | str]:
    """Read class numbers and names."""
    return [int(word) if word.isdecimal() else word for word in words(texts)]


def overlay_list(texts: Iterable[str]) -> list[str] | None:
    """Read what is to be drawn; `none` for nothing."""
    chosen = words(texts)
    return None if chosen == ["none"] else chosen


def zones(texts: Iterable[str]) -> dict[str, list[tuple[float, float]]]:
    """Read `name=x,y,x,y`, a line or an area each.

    Raises:
        OptionError: one has no name or is no list of points, or two have one name.
    """
    named: dict[str, list[tuple[float, float]]] = {}
    for text in texts:
        name, _, points = text.rpartition("=")
        try:
            edges = [float(edge) for edge in points.split(",")]
        except ValueError:
            edges = []
        if not name.strip() or len(edges) < 4 or len(edges) % 2:
            raise OptionError(
                f"--zone {text} is no line and no area; write its name and two points, door=100,200,300,200, or three or more"
            )
        if name.strip() in named:
            raise OptionError(f"--zone {text}: there are two zones of this name; give each a name of its own")
        named[name.strip()] = list(zip(edges[::2], edges[1::2], strict=True))
    return named


def settings(texts: Iterable[str]) -> Mapping[str, Any]:
    """Read `key=value` pairs; values are numbers, true, false, none or text.

    Raises:
        OptionError: one has no `=`, or is a number that is none.
    """
    pairs = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark or not key.strip():
            raise OptionError(f"--tracker-option {text} sets nothing; write key=value, such as lost_track_buffer=60")
        if not _is_finite(value):
            raise OptionError(f"--tracker-option {text} is not possible; write a finite number")
        pairs[key.strip().replace("-", "_")] = _value(value.strip())
    return pairs


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return True  # no number


def _value(text: str) -> Any:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text
