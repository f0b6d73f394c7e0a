"""From what a user types or passes to a source of frames."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from framehook.inference.errors import OptionError, did_you_mean
from framehook.inference.sources.addresses import SCHEMES, names_file, redacted, scheme_of
from framehook.inference.sources.arrays import ArraySource, IterableSource, is_picture
from framehook.inference.sources.base import Source
from framehook.inference.sources.camera import CameraSource
from framehook.inference.sources.files import IMAGE_SUFFIXES, files_in, files_matching, is_pattern, open_file
from framehook.inference.sources.playlist import Opener, PlaylistSource, check_fits_list, live_in_list
from framehook.inference.sources.testsrc import TestSource

_WHAT = (
    "pass a camera number, a file, a folder, a pattern such as 'clips/*.mp4', a URL, 'testsrc', an array, a PIL image, "
    "or a list or iterable of pictures"
)


def open_source(
    spec: Any,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    open_timeout: float = 10.0,
    read_timeout: float = 10.0,
) -> Source:
    """Make a source of frames of whatever names or holds pictures.

    | spec | what it gives |
    | --- | --- |
    | `0`, `"0"`, `"/dev/video0"` | that camera, live |
    | `"clip.mp4"`, `Path("photo.jpg")` | a video or image file |
    | `"folder"`, `"clips/**/*.mp4"` | the images and videos in it, or that match; unreadable ones are logged |
    | `"rtsp://..."`, `"http://..."` ... | a network stream, live; a file where the server says how long it is |
    | `"testsrc:640x480@30"` | a generated scene, `testsrc[:WIDTHxHEIGHT][@FPS][:FRAMES][:live]` |
    | array | one H x W x 3 uint8 BGR picture, or N of them as N x H x W x 3 |
    | PIL image | one picture |
    | list, tuple | files, folders, patterns, arrays and PIL images, one after another; unreadable files are logged |
    | generator, other iterable | the arrays or PIL images it yields, each copied |
    | `Source` | itself |

    A file named like a number or `testsrc` can be given as `./0`.

    Args:
        spec: What to open.
        width: Picture width in pixels to ask a camera for, or of a test scene.
        height: Picture height in pixels to ask a camera for, or of a test scene.
        fps: Frames per second to ask a camera for, or of a test scene.
        open_timeout: Seconds in which a server must answer.
        read_timeout: Seconds of silence after which a stream counts as lost.

    Raises:
        OptionError: nothing can be made of `spec`, or an option does not fit it.
        SourceNotFoundError: no such file, or nothing in the folder or of the pattern.
        SourceFormatError: a file that is neither an image nor a video.
        SourceUnavailableError: a camera or server that does not answer.
        FrameError: an array that is no picture.
    """
    shaped = {"width": width, "height": height, "fps": fps}
    asked = {name: value for name, value in shaped.items() if value is not None}
    _check_positive({**asked, "open_timeout": open_timeout, "read_timeout": read_timeout})
    if isinstance(spec, os.PathLike):
        spec = Path(os.fspath(spec))
    if isinstance(spec, str):
        spec = spec.strip()
    if _is_camera(spec):
        return CameraSource(spec if isinstance(spec, int) else str(spec), width=width, height=height, fps=fps)
    if _is_test_scene(spec):
        if (width is None) != (height is None):
            raise OptionError("a test scene takes width and height together; pass both or neither")
        size = (width, height) if width is not None and height is not None else None
        return TestSource.from_spec(spec, size=size, fps=fps)
    if asked:
        raise OptionError(f"{next(iter(asked))} is for cameras and test scenes; {_shown(spec)} is shown as it is")
    if isinstance(spec, Source):
        return spec
    if isinstance(spec, str) and scheme_of(spec):
        return _open_url(spec, open_timeout, read_timeout)
    if isinstance(spec, (str, Path)):
        return _open_path(spec)
    if is_picture(spec):
        return ArraySource(spec if isinstance(spec, np.ndarray) else [spec])
    if isinstance(spec, (list, tuple)):
        return _open_list(spec, open_timeout, read_timeout)
    if isinstance(spec, Iterable) and not isinstance(spec, (bytes, bytearray, Mapping)):
        return IterableSource(spec)
    raise OptionError(f"a {type(spec).__name__} is no source of frames; {_WHAT}")


def _check_positive(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise OptionError(f"{name}={value!r} is not possible; pass a number above 0")


def _is_camera(spec: object) -> bool:
    if isinstance(spec, str):
        return (spec.isascii() and spec.isdecimal()) or re.match(r"/dev/(video\d|v4l/)", spec) is not None
    if isinstance(spec, Path):
        return _is_camera(str(spec)) and spec.is_absolute()
    if isinstance(spec, int) and not isinstance(spec, bool):
        if spec < 0:
            raise OptionError(f"there is no camera {spec}; cameras count from 0")
        return True
    return False


def _is_test_scene(spec: object) -> bool:
    return isinstance(spec, str) and re.match(r"testsrc($|[:@])", spec, re.IGNORECASE) is not None


def _open_url(url: str, open_timeout: float, read_timeout: float) -> Source:
    scheme = scheme_of(url)
    if scheme == "file":
        return _open_path(_local(url))
    if scheme not in SCHEMES:
        raise OptionError(
            f"{redacted(url)} cannot be opened, {scheme}:// is unknown; use one of {', '.join(sorted(SCHEMES))}."
            + did_you_mean(scheme, SCHEMES)
        )
    # Imported here because PyAV takes 45 ms to load and nothing else needs it.
    from framehook.inference.sources.stream import open_url

    return open_url(url, open_timeout=open_timeout, read_timeout=read_timeout)


def _local(spec: str | Path) -> Path:
    if not str(spec):
        raise OptionError(f"an empty text is no source of frames; {_WHAT}")
    if isinstance(spec, str) and scheme_of(spec) == "file":
        from urllib.request import url2pathname  # brings the whole of http and email along, 15 ms

        return Path(url2pathname(urlsplit(spec).path))
    return Path(spec).expanduser()


def _open_path(spec: str | Path) -> Source:
    path = _local(spec)
    if path.is_dir():
        name = path.name or path.resolve().name or str(path)
        return _playlist(name, str(path), files_in(path))
    if is_pattern(str(path)):
        return _playlist(path.name, str(path), files_matching(str(path)))
    return open_file(path)


def _playlist(name: str, shown: str, files: list[Path]) -> Source:
    stills = all(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
    openers = (partial(open_file, file) for file in files)
    return PlaylistSource(name, shown, openers, pictures=len(files) if stills else None)


def _open_list(items: list[Any] | tuple[Any, ...], open_timeout: float, read_timeout: float) -> Source:
    if not items:
        raise OptionError(f"an empty list is no source of frames; {_WHAT}")
    if len(items) == 1 and not is_picture(items[0]):
        return open_source(items[0], open_timeout=open_timeout, read_timeout=read_timeout)
    openers: list[Opener] = []
    for pictures, group in itertools.groupby(items, key=is_picture):
        if pictures:
            openers.append(partial(ArraySource, list(group), name="list"))
        else:
            openers.extend(_openers_of(group, open_timeout, read_timeout))
    return openers[0]() if len(openers) == 1 else PlaylistSource("list", "the list", openers)


def _openers_of(items: Iterable[Any], open_timeout: float, read_timeout: float) -> Iterator[Opener]:
    """Look at the entries of a list as far as is needed to report a wrong one at once."""
    for item in items:
        if isinstance(item, Source):
            check_fits_list(item)
            yield partial(_itself, item)
        elif _is_camera(item):
            raise OptionError(live_in_list(_shown(item)))
        elif _is_test_scene(item):
            scene = TestSource.from_spec(item)
            check_fits_list(scene)
            yield partial(_itself, scene)
        elif isinstance(item, str) and scheme_of(item) not in ("", "file"):
            if not names_file(item):
                raise OptionError(live_in_list(redacted(item)))
            yield partial(_open_url, item, open_timeout, read_timeout)
        elif isinstance(item, (str, os.PathLike)):
            path = _local(os.fspath(item))
            yield partial(open_file, path) if path.is_file() else partial(_itself, _open_path(path))
        else:
            raise OptionError(
                f"a {type(item).__name__} in a list is no source of frames; lists hold paths, arrays and PIL images"
            )


def _itself(source: Source) -> Source:
    return source


def _shown(spec: object) -> str:
    if isinstance(spec, str):
        return redacted(spec)
    return f"camera {spec}" if isinstance(spec, int) else str(spec) if isinstance(spec, Path) else f"a {type(spec).__name__}"


def open_sources(spec: Any, **options: Any) -> list[Source]:
    """Temporary: replaced by the merge."""
    if isinstance(spec, (list, tuple)) and any(
        _is_camera(each) or _is_test_scene(each) or isinstance(each, Source) for each in spec
    ):
        return [open_source(each, **options) for each in spec]
    return [open_source(spec, **options)]
