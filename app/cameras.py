"""The cameras that Linux knows of, told without opening any."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from framehook.app.machine import text_of

_CAPTURES: Final = ":capture:"
"""What udev notes of a device that gives pictures; a webcam has a second one, for data about them, which does not."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera.

    Attributes:
        number: What to type to use it.
        path: Its device file.
        name: What its driver calls it, or an empty text.
        there: Whether the device file exists; in a container it may not.
        allowed: Whether this program may use it.
        group: Who may use it, or an empty text where that cannot be told.
    """

    number: int
    path: str
    name: str = ""
    there: bool = True
    allowed: bool = True
    group: str = ""


def list_cameras(root: Path = Path("/")) -> list[Camera]:
    """The cameras by number; devices that are known to give no pictures are left out.

    Args:
        root: Where `dev`, `sys` and `run` are.
    """
    names = {path.name for folder in (root / "dev", root / "sys/class/video4linux") for path in folder.glob("video*")}
    numbers = sorted(int(match[1]) for name in names if (match := re.fullmatch(r"video(\d+)", name)))
    return [_camera(number, root) for number in numbers if _may_capture(number, root)]


def _camera(number: int, root: Path) -> Camera:
    device = root / f"dev/video{number}"
    there = device.exists()
    return Camera(
        number=number,
        path=f"/dev/video{number}",
        name=" ".join(text_of(root / f"sys/class/video4linux/video{number}/name").split()),
        there=there,
        allowed=there and os.access(device, os.R_OK | os.W_OK),
        group=_group(device) if there else "",
    )


def _may_capture(number: int, root: Path) -> bool:
    device = text_of(root / f"sys/class/video4linux/video{number}/dev").strip()
    noted = re.search(r"^E:ID_V4L_CAPABILITIES=(.*)$", text_of(root / f"run/udev/data/c{device}"), re.MULTILINE)
    return noted is None or _CAPTURES in noted[1]


def _group(path: Path) -> str:
    try:
        return path.group()
    except (OSError, KeyError, NotImplementedError):
        return ""
