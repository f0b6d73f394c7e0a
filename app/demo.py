"""The first minute: the bundled detector over a real clip, tracked, annotated and saved."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from pathlib import Path

from framehook.app.messages import diagnostics, output
from framehook.app.summary import print_summary
from framehook.app.tally import Tally
from framehook.app.watch import watch
from framehook.inference.errors import RecordingError
from framehook.inference.predictor import Predictor
from framehook.inference.sources.demo import demo_clip
from framehook.model import Model

CONFIDENCE = 0.30
"""The threshold that the card of the bundled model recommends."""
SURE = 0.50
"""The score from which a box starts a track here, so that a car's mirror that looks like a person for a moment is not counted;
weaker boxes carry on the tracks there are."""


def run_demo(*, save_dir: Path | None = None, debug: bool = False) -> int:
    """Track people in the demo clip, save an annotated video, and say what to try next; returns the exit code.

    Raises:
        MissingDependencyError: the clip is not installed.
    """
    clip = demo_clip()
    folder = save_dir or _free_folder(Path("runs"), "demo")
    diagnostics().print(f"Tracking people in {clip.name}, a real street scene, with the bundled detector ...")
    return watch(
        Model(),
        clip,
        {
            "conf": CONFIDENCE,
            "tracker": "bytetrack",
            "tracker_options": {"track_activation_threshold": SURE},
            "overlay": ("boxes", "labels", "trails"),
            "save": True,
            "save_dir": folder,
        },
        debug=debug,
        finish=_finish,
    )


def _finish(predictor: Predictor, tally: Tally, saved: list[Path]) -> None:
    out = output()
    print_summary(out, predictor, tally, saved, pictures=0)
    command = command_name()
    tries = {
        "your webcam": f"{command} track 0 --save",
        "your own picture": f"{command} predict photo.jpg --save",
        "everything else": f"{command} --help",
    }
    out.print()
    out.print("Try next:")
    width = max(map(len, tries))
    for meaning, typed in tries.items():
        out.print(f"  {meaning:<{width}}  {typed}")


def command_name() -> str:
    """How the user can call this program again from here: by its name where that is found, else by its path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m framehook"
    found = shutil.which(called.name)
    if found is not None and called.exists() and os.path.samefile(found, called):
        return called.name
    return str(called)


def _free_folder(parent: Path, name: str) -> Path:
    """Make the next free folder: `demo`, `demo2` ...

    Raises:
        RecordingError: it cannot be made.
    """
    try:
        parent.mkdir(exist_ok=True)
        for number in itertools.count(1):
            folder = parent / (name if number == 1 else f"{name}{number}")
            try:
                folder.mkdir()  # the making itself claims the name
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise RecordingError(f"the folder to save in cannot be made: {error.strerror}: {error.filename}") from error
    raise AssertionError("unreachable")
