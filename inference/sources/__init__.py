"""Where frames come from: cameras, network streams, screens, files, pictures in memory, and a generated test scene.

`open_source` makes a `Source` of whatever a user types or passes, `open_sources` several that are read side by side.
"""

from framehook.inference.sources.base import Source
from framehook.inference.sources.live import LiveSource
from framehook.inference.sources.opener import open_source, open_sources
from framehook.inference.sources.screen import Screen, list_screens
from framehook.inference.sources.testsrc import TestSource, frame_number

__all__ = [
    "open_source",
    "open_sources",
    "Source",
    "LiveSource",
    "Screen",
    "list_screens",
    "TestSource",
    "frame_number",
]
