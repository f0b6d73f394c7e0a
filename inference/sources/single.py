"""From what a user types or passes to one source, where it is no list."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framehook.inference.errors import MissingDependencyError, OptionError, did_you_mean
from framehook.inference.sources.addresses import SCHEMES, names_file, path_of, redacted, scheme_of, slip_of_address
from framehook.inference.sources.arrays import ArraySource, IterableSource, is_picture
from framehook.inference.sources.base import Source
from framehook.inference.sources.camera import open_camera
from framehook.inference.sources.files import IMAGE_SUFFIXES, files_in, files_matching, is_pattern, open_file
from framehook.inference.sources.playlist import PlaylistSource
from framehook.inference.sources.screen import ScreenSource, is_screen
from framehook.inference.sources.testsrc import TestSource

WHAT = (
    "pass a camera number, a file, a folder, a pattern such as 'clips/*.mp4', a URL, 'screen', 'testsrc', an array, "
    "a PIL image, or a list or iterable of these"
)


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open sources; see `open_source`."""

    width: int | None
    height: int | None
    fps: float | None
    open_timeout: float
    read_timeout: float
    reconnect: bool

    @property
    def shape(self) -> dict[str, float]:
        """Those of width, height and fps that are asked for."""
        every = {"width": self.width, "height": self.height, "fps": self.fps}
        return {name: value for name, value in every.items() if value is not None}


def open_single(spec: Any, options: OpenOptions) -> Source:
    """Open what is no list; see `open_source` for what that can be, and what is raised."""
    if is_camera(spec):
        device = spec if isinstance(spec, int) else str(spec)
        return open_camera(
            device,
            width=options.width,
            height=options.height,
            fps=options.fps,
            open_timeout=options.open_timeout,
            read_timeout=options.read_timeout,
            reconnect=options.reconnect,
        )
    if is_test_scene(spec):
        return _open_scene(spec, options)
    unfit = [name for name in options.shape if not takes(name, spec)]
    if unfit:
        raise OptionError(unfit_option(unfit[0], shown(spec)))
    if is_screen(spec):
        return ScreenSource.from_spec(spec, fps=options.fps)
    if isinstance(spec, Source):
        return spec
    if isinstance(spec, str) and scheme_of(spec) not in ("", "file"):
        return open_address(spec, options)
    if isinstance(spec, (str, Path)):
        return open_path(local_path(spec), options)
    if is_picture(spec):
        return ArraySource(spec if isinstance(spec, np.ndarray) else [spec])
    if isinstance(spec, Iterable) and not isinstance(spec, (bytes, bytearray, Mapping)):
        return IterableSource(spec)
    raise OptionError(f"a {type(spec).__name__} is no source of frames; {WHAT}")


def tidy(spec: Any) -> Any:
    """Strip texts, and make every kind of path a `Path`."""
    if isinstance(spec, os.PathLike):
        return Path(os.fspath(spec))
    return spec.strip() if isinstance(spec, str) else spec


def takes(option: str, spec: object) -> bool:
    """Whether `width`, `height` or `fps` can be asked of a source."""
    return is_camera(spec) or is_test_scene(spec) or (option == "fps" and is_screen(spec))


def unfit_option(option: str, name: str) -> str:
    """The message about a size or rate that was asked of what has one already."""
    whom = "cameras, screens and test scenes" if option == "fps" else "cameras and test scenes"
    return f"{option} is for {whom}; {name} is shown as it is"


def is_camera(spec: object) -> bool:
    """Tell whether a spec names a camera.

    Raises:
        OptionError: it is a number below 0.
    """
    if isinstance(spec, str):
        return (spec.isascii() and spec.isdecimal()) or re.match(r"/dev/(video\d|v4l/)", spec) is not None
    if isinstance(spec, Path):
        return is_camera(str(spec)) and spec.is_absolute()
    if isinstance(spec, int) and not isinstance(spec, bool):
        if spec < 0:
            raise OptionError(f"there is no camera {spec}; cameras count from 0")
        return True
    return False


def is_test_scene(spec: object) -> bool:
    """Tell whether a spec names a test scene."""
    return isinstance(spec, str) and re.match(r"testsrc($|[:@])", spec, re.IGNORECASE) is not None


def is_network(spec: object) -> bool:
    """Tell whether a spec is an address, which takes a while to open."""
    return isinstance(spec, str) and scheme_of(spec) not in ("", "file")


def is_side_by_side(spec: Any, options: OpenOptions) -> bool:
    """Tell whether nothing would ever come after a source: it is live, or never ends.

    An address is judged by how it ends, without asking the server.
    """
    if isinstance(spec, Source):
        return spec.info.live or spec.endless
    if is_test_scene(spec):
        scene = _open_scene(spec, options)
        return scene.info.live or scene.endless
    if is_network(spec):
        return not names_file(spec)
    if is_camera(spec) or is_screen(spec):
        return True
    return isinstance(spec, (str, Path)) and _is_live_playlist(local_path(spec))


def open_address(url: str, options: OpenOptions) -> Source:
    """Open a network address."""
    scheme = scheme_of(url)
    if scheme not in SCHEMES:
        raise OptionError(
            f"{redacted(url)} cannot be opened, {scheme}:// is unknown; use one of {', '.join(sorted(SCHEMES))}."
            + did_you_mean(scheme, SCHEMES)
        )
    if scheme == "srt" and not _can_srt():
        raise MissingDependencyError(
            f"{redacted(url)} cannot be opened: the FFmpeg inside the installed PyAV has no SRT; have it passed on by "
            "srt-live-transmit srt://... udp://127.0.0.1:5000 (on Debian: apt-get install srt-tools), and open the latter"
        )
    return _open_stream(url, options)


def local_path(spec: str | Path) -> Path:
    """Return the path that a text, `Path` or `file://` address names.

    Raises:
        OptionError: it is empty, or an address with a slip that would show its password.
    """
    text = str(spec)
    if not text:
        raise OptionError(f"an empty text is no source of frames; {WHAT}")
    if isinstance(spec, str) and scheme_of(spec) == "file":
        from urllib.request import url2pathname  # brings the whole of http and email along, 15 ms

        return Path(url2pathname(path_of(spec)))
    slip = slip_of_address(text)
    if slip is not None and not os.path.lexists(text):
        raise OptionError(f"{slip} is no file, and as an address it is incomplete; write rtsp://user:password@host/path")
    return Path(spec).expanduser()


def open_path(path: Path, options: OpenOptions) -> Source:
    """Open a file, a folder, or what matches a pattern."""
    if path.is_dir():
        name = path.name or path.resolve().name or str(path)
        return _playlist(name, str(path), files_in(path))
    if is_pattern(str(path)):
        return _playlist(path.name, str(path), files_matching(str(path)))
    if _is_live_playlist(path):
        return _open_stream(str(path), options)
    return open_file(path)


def shown(spec: object) -> str:
    """A spec in words, without secrets."""
    if isinstance(spec, str):
        return redacted(spec)
    return f"camera {spec}" if isinstance(spec, int) else str(spec) if isinstance(spec, Path) else f"a {type(spec).__name__}"


def _open_scene(spec: str, options: OpenOptions) -> TestSource:
    width, height = options.width, options.height
    if (width is None) != (height is None):
        raise OptionError("a test scene takes width and height together; pass both or neither")
    size = (width, height) if width is not None and height is not None else None
    return TestSource.from_spec(spec, size=size, fps=options.fps)


def _playlist(name: str, path: str, files: list[Path]) -> Source:
    stills = all(file.suffix.lower() in IMAGE_SUFFIXES for file in files)
    openers = ((partial(open_file, file), False) for file in files)
    return PlaylistSource(name, path, openers, pictures=len(files) if stills else None)


def _open_stream(address: str, options: OpenOptions) -> Source:
    # Imported here because PyAV takes 45 ms to load and pictures do not need it.
    from framehook.inference.sources.stream import open_url

    return open_url(address, open_timeout=options.open_timeout, read_timeout=options.read_timeout, reconnect=options.reconnect)


def _is_live_playlist(path: Path) -> bool:
    """Whether a path is a list of the pieces of a stream (HLS) that is being written still: it has no length yet."""
    if path.suffix.lower() != ".m3u8" or not path.is_file():
        return False
    import av

    try:
        with av.open(str(path)) as container:
            return container.duration is None
    except av.error.FFmpegError:
        return False  # `open_file` says what is wrong


def _can_srt() -> bool:
    """Whether FFmpeg was built with SRT, which it tells only when asked to open something; this names no host."""
    import av

    try:
        av.open("srt://", timeout=1.0).close()
    except av.error.ProtocolNotFoundError:
        return False
    except av.error.FFmpegError:
        return True
    return True
