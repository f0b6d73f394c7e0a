"""What can be saved of a recording that broke off."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av

FRAGMENTED: Final = (".mp4", ".m4v", ".mov")
"""The files that are written in fragments."""


def trim(path: Path) -> None:
    """Cut a broken fragmented MP4 after its last complete fragment, so that no player stumbles over the rest.

    Raises:
        OSError: it cannot be read or written.
    """
    if path.suffix.lower() not in FRAGMENTED:
        return
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        start, complete = 0, 0
        while start + 8 <= end:
            file.seek(start)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8 or start + length > end:
                break
            start += length
            if kind != b"moof":  # it is worth nothing without the pictures that follow it
                complete = start
        if complete:
            file.truncate(complete)


def is_playable(path: Path) -> bool:
    """Whether a video has at least one picture that can be decoded."""
    try:
        with av.open(f"file:{path}") as container:
            return next(container.decode(video=0), None) is not None
    except (OSError, ValueError, IndexError, EOFError):
        return False
