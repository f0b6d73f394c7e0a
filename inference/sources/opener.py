"""From what a user types or passes to sources of frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

from framehook.inference.errors import OptionError
from framehook.inference.sources.base import Source
from framehook.inference.sources.lists import list_of
from framehook.inference.sources.live import OPEN_TIMEOUT, READ_TIMEOUT
from framehook.inference.sources.single import OpenOptions, open_single, tidy


def open_source(
    spec: Any,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    reconnect: bool = True,
) -> Source:
    """Make a source of frames of whatever names or holds pictures.

    | spec | what it gives |
    | --- | --- |
    | `0`, `"0"`, `"/dev/video0"` | that camera, live |
    | `"clip.mp4"`, `Path("photo.jpg")` | a video or image file |
    | `"folder"`, `"clips/**/*.mp4"` | the images and videos in it, or that match; unreadable ones are logged |
    | `"rtsp://..."`, `"http://..."` ... | a network stream, live; a file where the server says how long it is |
    | `"list.m3u8"`, `"http://.../list.m3u8"` | HLS: a stream, live; a file where the list says that it is complete |
    | `"screen"`, `"screen:2@15"` | what a monitor shows, live; `screen[:NUMBER][@FPS]`, `screen:0` for all monitors together |
    | `"testsrc:640x480@30"` | a generated scene, `testsrc[:WIDTHxHEIGHT][@FPS][:FRAMES][:live]` |
    | array | one H x W x 3 uint8 BGR picture, or N of them as N x H x W x 3 |
    | PIL image | one picture |
    | list, tuple | files, folders, patterns, arrays, PIL images and more, one after another; unreadable files are logged |
    | `"list.txt"` | a text file with one source a line, as such a list; lines that begin with `#` are left out |
    | generator, other iterable | the arrays or PIL images it yields, each copied |
    | `Source` | itself |

    A list with an entry that never ends (a camera, a stream, a screen, an endless or live test scene), and a text file whose
    name ends in `.streams`, are several sources, side by side, for `open_sources`. A file named like a number, `screen` or
    `testsrc` can be given as `./0`.

    Args:
        spec: What to open.
        width: Picture width in pixels to ask a camera for, or of a test scene; in a list, of those in it.
        height: Picture height in pixels to ask a camera for, or of a test scene.
        fps: Frames per second to ask a camera for, or of a test scene or screen.
        open_timeout: Seconds in which a server must answer.
        read_timeout: Seconds of silence after which a stream counts as lost.
        reconnect: Whether a camera or stream that is lost, or not there yet, is connected to again and again.

    Raises:
        OptionError: nothing can be made of `spec`, it is several sources, or an option does not fit it.
        SourceNotFoundError: no such file, no such screen, or nothing in the folder or of the pattern.
        SourceFormatError: a file that is neither an image nor a video, or a text file without sources.
        SourceUnavailableError: a camera, screen or server that does not answer.
        FrameError: an array that is no picture.
        MissingDependencyError: what reads such a source is not installed.
    """
    options = _checked(OpenOptions(width, height, fps, open_timeout, read_timeout, reconnect))
    spec = tidy(spec)
    several = list_of(spec, options)
    return open_single(spec, options) if several is None else several.open_one()


def open_sources(
    spec: Any,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    open_timeout: float = OPEN_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    reconnect: bool = True,
) -> list[Source]:
    """Make the sources of frames that are to be read side by side.

    What `open_source` takes is one of them; so is a list of files, which are played one after another. What this returned is
    taken as it is. Several are made of:

    | spec | what it gives |
    | --- | --- |
    | list, tuple, `"list.txt"` with an entry that never ends | a source of each entry; neighbouring pictures are one |
    | `"list.streams"` | a source of each line, also where all of them are files |

    Never ends: a camera, a stream, a screen, an endless or live test scene, and a web address that does not end like the name
    of a file. Relative paths in a text file are looked for beside it first, then in the working directory. Servers are
    connected to at the same time. Where one source cannot be opened, none is left open.

    Args:
        spec: What to open.
        width: As for `open_source`.
        height: As for `open_source`.
        fps: As for `open_source`.
        open_timeout: As for `open_source`.
        read_timeout: As for `open_source`.
        reconnect: As for `open_source`.

    Returns:
        At least one source.

    Raises:
        OptionError, SourceError, FrameError, MissingDependencyError: as for `open_source`; for a text file, with the line.
    """
    if isinstance(spec, _Opened):
        return spec
    options = _checked(OpenOptions(width, height, fps, open_timeout, read_timeout, reconnect))
    spec = tidy(spec)
    several = list_of(spec, options)
    return _Opened([open_single(spec, options)] if several is None else several.open())


class _Opened(list[Source]):
    """Sources that are side by side, whatever they are."""


def _checked(options: OpenOptions) -> OpenOptions:
    numbers: Mapping[str, Any] = {
        **options.shape,
        "open_timeout": options.open_timeout,
        "read_timeout": options.read_timeout,
    }
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise OptionError(f"{name}={value!r} is not possible; pass a number above 0")
    if not isinstance(options.reconnect, bool):
        raise OptionError(f"reconnect={options.reconnect!r} is not possible; pass True or False")
    return options
