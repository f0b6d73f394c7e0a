"""Where a run saves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

from framehook.inference.errors import RecordingError
from framehook.inference.options import PredictOptions

RUNS: Final = Path("runs")


def make_save_dir(options: PredictOptions) -> Path | None:
    """Make the folder a run saves in: `save_dir`, or the next free `runs/predict`, `runs/predict2` ...; None to save nothing.

    Raises:
        RecordingError: it cannot be made.
    """
    if not (options.save or options.save_txt):
        return None
    try:
        if options.save_dir is not None:
            chosen = Path(options.save_dir).expanduser()
            chosen.mkdir(parents=True, exist_ok=True)
            return chosen
        RUNS.mkdir(exist_ok=True)
        for number in itertools.count(1):
            free = RUNS / ("predict" if number == 1 else f"predict{number}")
            try:
                free.mkdir()  # the making itself claims the name, should another process look for one too
            except FileExistsError:
                continue
            return free
    except OSError as error:
        raise RecordingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error
    return None
