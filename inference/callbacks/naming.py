"""The names of recordings: filled in with the time, and numbered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from framehook.inference.saving import claim_file

_FIELD: Final = re.compile(r"%[YmdHMSjy]")


def has_fields(path: Path) -> bool:
    """Whether a name has fields for the time: %Y %m %d %H %M %S %j %y, as `strftime` knows them."""
    return _FIELD.search(str(path)) is not None


def filled_in(path: Path, moment: datetime) -> Path:
    """The name with its fields filled in; any other `%` stays as it is."""
    return Path(_FIELD.sub(lambda field: moment.strftime(field[0]), str(path)))


def claim_next(names: Iterator[Path], *, overwrite: bool) -> Path:
    """Take the next name, or the first after it that no file has where nothing may be overwritten.

    Args:
        names: Numbered names without end, of which those that are passed over are used up.
        overwrite: Whether the next may be the name of an existing file.

    Raises:
        RecordingError: it cannot be made.
    """
    path = next(names)
    while not overwrite and path.exists():
        path = next(names)
    return claim_file(path, overwrite=overwrite)
