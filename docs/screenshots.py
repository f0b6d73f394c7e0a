"""Take the README's pictures of the desktop app: its real window, playing the demo clip, on a virtual screen.

Run it by `make screenshots`. What the developer has set and opened before is neither used nor changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from framehook.app.gui.launch import application
from framehook.app.gui.settings_store import Settings, Store
from framehook.app.gui.theme import Theme, apply_theme
from framehook.app.gui.window import MainWindow
from framehook.app.session.state import Phase, ZonesOfSlot
from framehook.inference.sources.demo import REMEDY, find_demo_clip
from framehook.model import Model

DOCS: Final = Path(__file__).resolve().parent
SIZE: Final = (1280, 800)
LIMIT: Final = 60.0
"""Seconds that anything may take."""

SOON: Final = 0.5
"""Seconds of a clip in which some frame comes, where not all are on time."""
ZONES: Final = {
    "Past the door": ((0.33, 0.05), (0.33, 0.95)),
    "Pavement": ((0.36, 0.62), (0.98, 0.62), (0.98, 0.98), (0.36, 0.98)),
}
"""Of the demo clip, in fractions of the frame."""


@contextmanager
def virtual_screen() -> Iterator[None]:
    """A screen of our own for this process, as every developer's is different."""
    if shutil.which("Xvfb") is None:
        sys.exit("error: a virtual screen is needed and was not found; on Debian or Ubuntu: sudo apt-get install xvfb")
    ready, number = os.pipe()
    command = ["Xvfb", "-displayfd", str(number), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[number], stderr=subprocess.DEVNULL)
    os.close(number)
    try:
        with os.fdopen(ready) as told:
            display = told.readline().strip()
        if not display:
            sys.exit("error: the virtual screen did not start")
        for name in [name for name in os.environ if name.startswith("QT_")] + ["WAYLAND_DISPLAY"]:
            os.environ.pop(name, None)
        os.environ.update(DISPLAY=f":{display}", QT_QPA_PLATFORM="xcb")
        yield
    finally:
        server.terminate()
        server.wait(10)


class Stage:
    """A window whose sources are held at a chosen frame."""

    def __init__(self, folder: Path, theme: Theme, hold_at: tuple[str, float], *, seconds: float = 0.0, **options: Any) -> None:
        """Show the window.

        Args:
            folder: For its settings.
            theme: Light or dark.
            hold_at: A source, and its time to stop at, in seconds.
            seconds: How long to play at least before that; a file that is repeated comes by again.
            **options: Options of the run.
        """
        self.app = application()
        store = Store(folder / f"{theme}.ini")
        settings = Settings(theme=theme, save_dir=folder)
        store.save(settings)
        apply_theme(self.app, theme)
        self._hold_at = hold_at
        self._not_before = time.monotonic() + seconds
        model = Model()
        self._holding = model.add_callback("on_predict_batch_end", self._hold)
        self.window = MainWindow(store, model=model, options={**settings.options(), "conf": 0.4, **options})
        self.session = self.window.bridge.session
        self.window.resize(*SIZE)
        self.window.show()

    def _hold(self, predictor: Any) -> None:
        name, moment = self._hold_at
        for result in predictor.frame_results:
            there = Path(result.frame.source.name).name == name and 0 <= result.frame.pts - moment < SOON
            if there and time.monotonic() > self._not_before:
                predictor.pause()  # at once, rather than when the session gets to it
                self.session.pause()

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        """Let the window live until something is so."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"error: waited for {LIMIT:.0f} s in vain: {what}")
            self.rest(0.05)

    def rest(self, seconds: float) -> None:
        """Let the window live for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.app.processEvents()
            time.sleep(min(left, 0.01))

    def play(self, *specs: Any, zones: ZonesOfSlot | None = None) -> None:
        """Open sources and play them until they hold; zones are those of the first."""
        for number, spec in enumerate(specs):
            self.session.open(spec, add=number > 0)
            # One after another, so that they lie in this order.
            self.wait(f"{spec} opens", lambda wanted=number + 1: len(self.session.state.slots) == wanted)
        if zones:
            self.session.set_zones(self.session.state.slots[0].key, zones)
        self.wait("the sources play to where they are held", lambda: self.session.state.phase is Phase.PAUSED)
        self._holding.remove()
        self.session.pause()  # so that the window hears of it
        self.rest(1.0)

    def front(self, *titles: str) -> None:
        """Bring panels to the front."""
        for title in titles:
            self.window.docks.panel(title).raise_()

    def take(self, name: str) -> None:
        """Save the picture, and close the window."""
        self.rest(1.5)  # figures come twice a second
        path = DOCS / f"{name}.png"
        self.window.grab().save(str(path))
        with Image.open(path) as taken:
            pixels = np.asarray(taken.convert("RGB")).astype(np.uint16)
        # Six bits of each colour: nobody sees the difference, and the file is a third smaller.
        few = Image.fromarray(((pixels >> 2) * 255 // 63).astype(np.uint8))
        few.save(path, optimize=True)
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}  {few.width} x {few.height}  {path.stat().st_size // 1000} kB\n")
        self.window.close()
        self.app.processEvents()


def follow(folder: Path, clip: Path) -> None:
    """The first look: somebody who is followed, and the figures of it."""
    stage = Stage(folder, "light", (clip.name, 4.72), pace="max")
    stage.play(clip)
    key = stage.session.state.slots[0].key
    stage.window.bridge.select((key, int(stage.session.renderer.last(key).boxes.id[0])))
    stage.take("app")


def count(folder: Path, clip: Path) -> None:
    """Zones, and what they have counted."""
    stage = Stage(folder, "light", (clip.name, 7.8), pace="max")
    stage.play(clip, zones=ZONES)
    stage.front("Zones")
    stage.take("app-zones")


def compare(folder: Path, clip: Path) -> None:
    """Four sources, and where the time goes."""
    stage = Stage(folder, "dark", (clip.name, 5.12), seconds=30.0)
    stage.session.set_loop(True)
    others = [clip.with_name(name) for name in ("carphone_pristine.mp4", "bigbuckbunny.mp4")]
    stage.play(clip, *others, "testsrc:640x360@30:live")
    stage.front("Performance")
    stage.take("app-dark")


def main() -> None:
    """Take all pictures, or those that are named: `app`, `app-zones`, `app-dark`."""
    scenes = {"app": follow, "app-zones": count, "app-dark": compare}
    clip = find_demo_clip()
    if clip is None:
        sys.exit(f"error: the demo clip is not installed; {REMEDY}")
    with virtual_screen(), tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or scenes:
            scenes[name](Path(folder), clip)


if __name__ == "__main__":
    main()
