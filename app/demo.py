"""The first minute: the bundled detector over a real clip, tracked, annotated and saved."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from framehook.app.messages import diagnostics, output
from framehook.app.summary import print_summary
from framehook.app.tally import Tally
from framehook.app.watch import watch
from framehook.inference.errors import MissingDependencyError
from framehook.inference.predictor import Predictor
from framehook.inference.saving import next_free_folder
from framehook.inference.sources.demo import REMEDY, find_demo_clip
from framehook.model import Model

CONFIDENCE = 0.30
"""The threshold that the card of the bundled model recommends."""


def run_demo(*, save_dir: Path | None = None, debug: bool = False) -> int:
    """Track people in the demo clip, save an annotated video, and say what to try next; returns the exit code.

    Raises:
        MissingDependencyError: the clip is not installed.
    """
    clip = find_demo_clip()
    if clip is None:
        raise MissingDependencyError(f"the demo shows a real clip, which is not installed; {REMEDY}")
    model = Model()
    folder = save_dir or next_free_folder("demo")
    diagnostics().print(f"Tracking people in {clip.name}, a real street scene, with the bundled detector ...")
    return watch(
        model,
        clip,
        {
            "conf": CONFIDENCE,
            "tracker": "bytetrack",
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
