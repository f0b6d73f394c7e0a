"""The beginning of the demo clip, for what needs a real video and not all of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2

from framehook.inference.sources import open_source
from framehook.inference.sources.demo import demo_clip


def write_short_clip(path: Path, *, frames: int) -> Path:
    """Write the first frames of the demo clip, 640 x 272, to a file of their own, and return its path."""
    with open_source(demo_clip()) as clip:
        pictures = [frame.image for frame in itertools.islice(clip, frames)]
    height, width = pictures[0].shape[:2]
    written = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for picture in pictures:
        written.write(picture)
    written.release()
    return path
