"""Frames to compare an export on, and to calibrate it with: a few, spread evenly over what shows the model what it will see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.errors import OptionError, SourceFormatError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Source, open_source
from framehook.inference.sources.addresses import redacted
from framehook.inference.sources.demo import find_demo_clip
from framehook.inference.sources.lists import list_of
from framehook.inference.sources.live import OPEN_TIMEOUT, READ_TIMEOUT
from framehook.inference.sources.single import OpenOptions, is_side_by_side, shown, tidy

FRAMES: Final = 32
"""How many frames are taken when nobody says it: enough for hundreds of detections, few enough to be compared in seconds."""
MOST_BYTES: Final = 512 * 2**20
"""Frames that fill more than this together are not held at once: of 4K video about twenty are."""
MOST_READ: Final = 20_000
"""What has to be read from its beginning is read up to this frame: days of video must not take hours."""
FAR: Final = 250
"""Frames apart from which on a seek costs less than decoding what lies between: the usual distance of key pictures."""

Image = npt.NDArray[np.uint8]

_OPEN: Final = OpenOptions(None, None, None, OPEN_TIMEOUT, READ_TIMEOUT, reconnect=False)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A few frames of a source.

    Attributes:
        images: H x W x 3 uint8 BGR arrays, read-only, at least one; they may differ in size.
        about: What they are, for people: `32 frames of vtest.avi`.
        spec: What opens their source again, as one types it, without credentials; None where it was in memory.
    """

    images: tuple[Image, ...]
    about: str
    spec: str | None


def take_frames(data: Any = None, count: int = FRAMES) -> Sample:
    """Take frames of a source, evenly spread and the same ones each time.

    Long videos are sought through. Of all else every frame up to `MOST_READ` is passed, as cheaply as the source can, and
    every one, every second, every fourth ... is held, so that the length need not be known and memory is bounded: by twice
    `count` frames, and by about `MOST_BYTES`, which few large frames fill.

    Args:
        data: A clip, a picture, a folder, a pattern, a list, arrays: whatever `open_source` takes that ends. None for the demo
            clip, or for the test scene where that is not installed.
        count: How many to take, from 1; a shorter source gives all it has.

    Raises:
        OptionError: `data` is live or never ends, or is no source.
        SourceError: it cannot be opened or read, or has no frame.
        FrameError: an array that is no picture.
    """
    clip = find_demo_clip() if data is None else None
    spec = tidy(data) if data is not None else clip if clip is not None else f"testsrc:640x480@30:{count}"
    _refuse_endless(spec)
    with open_source(spec, reconnect=False) as source:
        if source.info.live or source.endless:  # of an address that looked like a file
            raise _refusal(shown(spec))
        held = _by_seeking(source, count) or _in_passing(source, count)
        if not held:
            raise SourceFormatError(f"data={shown(spec)} has no frame; pass a clip or pictures")
        frames = [held[position] for position in _spread(len(held), count)]
        about = _about(source.info, frames) + (", the demo clip" if clip is not None else "")
    typed = redacted(str(spec)) if isinstance(spec, str | Path) else None
    return Sample(tuple(np.asarray(frame.image) for frame in frames), about, typed)


def _refuse_endless(spec: Any) -> None:
    """Refuse what never ends before a camera or a server is asked for anything.

    Raises:
        OptionError: it never ends, or is no source.
    """
    several = list_of(spec, _OPEN)
    if several is not None:
        if several.side_by_side and several.count > 1:
            raise OptionError(f"data={shown(spec)} is several sources side by side; pass a clip, a folder or a list of files")
    elif is_side_by_side(spec, _OPEN):
        raise _refusal(shown(spec))


def _refusal(name: str) -> OptionError:
    return OptionError(
        f"data={name} is live or never ends; pass what does: a clip, a picture, a folder of pictures, or testsrc:640x480@30:100"
    )


def _by_seeking(source: Source, count: int) -> list[Frame]:
    """The frames in the middle of so many equal stretches of a video; none where it is short, or its length is unknown."""
    info = source.info
    if not source.seekable or not info.fps or (info.frame_count or 0) < count * FAR:
        return []
    seconds = (info.frame_count or 0) / info.fps
    width, height = info.size or (0, 0)
    count = min(count, max(MOST_BYTES // max(width * height * 3, 1), 1))
    held: list[Frame] = []
    for number in range(count):
        source.seek((number + 0.5) * seconds / count)
        frame = source.read()
        if frame is None or (held and frame.pts == held[-1].pts):  # the file is shorter than it says
            break
        held.append(frame)
    return held


def _in_passing(source: Source, count: int) -> list[Frame]:
    """Every frame, every second, every fourth ... of what is read from its beginning, as its length demands."""
    held: list[Frame] = []
    stride = 1
    for position in range(MOST_READ):
        if position % stride:
            if source.skip() is None:
                break
            continue
        frame = source.read()
        if frame is None:
            break
        held.append(frame)
        size = sum(each.image.nbytes for each in held)
        if len(held) > 2 * count or (size > MOST_BYTES and len(held) > 1):
            held = held[::2]
            stride *= 2
    return held


def _spread(length: int, count: int) -> list[int]:
    """The middles of `count` equal stretches of so many frames; all of them where there are no more."""
    return list(range(length)) if length <= count else [(2 * number + 1) * length // (2 * count) for number in range(count)]


def _about(info: SourceInfo, frames: list[Frame]) -> str:
    """`32 frames of vtest.avi`, `12 pictures of shots`, `bus.jpg`."""
    stills = all(frame.source.kind in (SourceKind.IMAGE, SourceKind.ARRAY) for frame in frames)
    if stills and len(frames) == 1 and info.frame_count == 1:
        return info.name if info.kind is SourceKind.IMAGE else "1 picture"
    what = f"{len(frames)} {'picture' if stills else 'frame'}{'' if len(frames) == 1 else 's'}"
    if info.kind is SourceKind.TEST:
        return f"{what} of the test scene"
    return what if info.kind is SourceKind.ARRAY else f"{what} of {info.name}"
