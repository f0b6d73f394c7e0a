"""From a path to what it holds: images, videos, directories of them, patterns."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from framehook.inference.errors import SourceError, SourceFormatError, SourceNotFoundError, did_you_mean_file
from framehook.inference.sources.base import Source
from framehook.inference.sources.image import ImageSource, decode_image

# fmt: off
IMAGE_SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".dib", ".hdr", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pam", ".pbm", ".pgm", ".png",
        ".pnm", ".ppm", ".pxm", ".ras", ".sr", ".tif", ".tiff", ".webp",
    )
)
VIDEO_SUFFIXES = frozenset(
    (
        ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265",
        ".hevc", ".ivf", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg",
        ".mts", ".mxf", ".ogm", ".ogv", ".rm", ".ts", ".vob", ".webm", ".wmv", ".y4m",
    )
)
# fmt: on


def open_file(path: Path) -> Source:
    """Open one file by its extension, or by trying where that says nothing.

    Raises:
        SourceNotFoundError: it does not exist.
        SourceFormatError: it holds neither an image nor a video.
    """
    if not path.exists():
        raise SourceNotFoundError(f"{path} does not exist.{_nearest(path)}")
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return ImageSource(path)
    if suffix not in VIDEO_SUFFIXES:
        pixels = decode_image(path)
        if pixels is not None:
            return ImageSource(path, pixels=pixels)
    # Imported here because PyAV takes 45 ms to load and pictures do not need it.
    from framehook.inference.sources.video import VideoSource

    try:
        return VideoSource(path)
    except SourceFormatError as error:
        if suffix in VIDEO_SUFFIXES:
            raise
        raise SourceFormatError(f"{path} is neither an image nor a video; pass a file of either kind") from error


def is_pattern(text: str) -> bool:
    """Tell whether a text is a pattern of file names; a file that exists under that very name comes first."""
    return glob.has_magic(text) and not os.path.lexists(text)


def files_matching(pattern: str) -> list[Path]:
    """Return the images and videos that match a pattern, in natural order; `**` goes through folders.

    Raises:
        SourceNotFoundError: there are none.
    """
    found = _media(glob.iglob(pattern, recursive=True))
    if not found:
        raise SourceNotFoundError(f"no image or video matches {pattern}; check the folder and the extension")
    return found


def files_in(folder: Path) -> list[Path]:
    """Return the images and videos of a folder, those of its subfolders not included, in natural order.

    Only names are looked at, so that a folder of many thousand pictures costs next to nothing.

    Raises:
        SourceNotFoundError: there are none.
        SourceError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise SourceError(f"{folder} cannot be read ({error.strerror or error})") from error
    found = _media(str(folder / name) for name in names if not name.startswith("."))
    if not found:
        raise SourceNotFoundError(
            f"{folder} holds no images or videos; for those in folders below it pass {folder / '**' / '*'}"
        )
    return found


def natural_order(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key under which `frame9` comes before `frame10`."""
    parts = re.split(r"(\d+)", str(path).lower(), flags=re.ASCII)
    return [(False, int(part), part) if part.isdigit() else (True, 0, part) for part in parts if part]


def _media(names: Iterable[str]) -> list[Path]:
    known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    paths = (Path(name) for name in names)
    return sorted((path for path in paths if path.suffix.lower() in known), key=natural_order)


def _nearest(path: Path) -> str:
    folder = path.parent
    try:
        names = os.listdir(folder)
    except OSError:
        return f" Nor does the folder {folder}." if not folder.exists() else ""
    return did_you_mean_file(path.name, names) or " Check the path, or name a folder, a pattern, a URL or a camera's number."
