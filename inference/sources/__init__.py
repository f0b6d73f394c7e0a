"""Where frames come from: cameras, network streams, files, pictures in memory, and a generated test scene.

`open_source` makes a `Source` of whatever a user types or passes.
"""

from framehook.inference.sources.base import Source
from framehook.inference.sources.opener import open_source, open_sources
from framehook.inference.sources.testsrc import TestSource, frame_number

__all__ = [
    "open_source",
    "open_sources",
    "Source",
    "TestSource",
    "frame_number",
]
