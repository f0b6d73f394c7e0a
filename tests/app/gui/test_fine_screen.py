"""Screens of more than one device pixel to one of the window: it is drawn in all of them, and so is the picture."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

VIEW = """
    import sys
    from pathlib import Path
    from framehook.app.qt_environment import clear_misleading_paths
    clear_misleading_paths()
    import numpy as np
    from PyQt6.QtWidgets import QApplication, QWidget
    from framehook.app.gui.bridge import Bridge
    from framehook.app.gui.view import SourceView
    from tests.app.gui.view_scenes import noise, result, seen, set_stage, settled, shown, slot, until
    app = QApplication(["framehook"])
    bridge = Bridge()
    set_stage(bridge, slot())
    outer = QWidget()
    outer.resize(500, 400)
    view = SourceView(bridge, "1", outer)
    view.setGeometry(37, 23, 333, 251)  # corners between two device pixels
    outer.show()
    until(lambda: outer.windowHandle().isExposed())
    pixels = noise(*view.device_size)
    shown(bridge, view, result(pixels))
    assert view.picture.pixels.shape[:2] == pixels.shape[:2], view.picture.pixels.shape
    screen, ratio = seen(outer), view.devicePixelRatioF()
    assert ratio == float(sys.argv[1]), ratio
    assert screen.shape[0] == 400 * ratio, (screen.shape, ratio)
    top, left = int(23 * ratio + 0.5), int(37 * ratio + 0.5)
    part = screen[top:top + pixels.shape[0], left:left + pixels.shape[1]]
    same = (part == pixels).all(2)
    assert same[60:-1, :-1].all(), same[60:-1, :-1].mean()
    outer.close()
    assert bridge.close(60)
"""

WINDOW = """
    from framehook.app.gui.settings_store import Store
    from framehook.app.gui.theme import apply_theme
    from framehook.app.gui.window import MainWindow
    from tests.app.gui.window_scenes import views
    apply_theme(app, "light")
    store = Store(Path(sys.argv[2]))
    window = MainWindow(store, options=dict(store.settings().options(), overlay=None, tracker=None))
    window.resize(720, 620)
    window.show()
    until(lambda: window.windowHandle().isExposed())
    stripes = np.zeros((1200, 1600, 3), np.uint8)
    stripes[:, ::2] = 255  # as sharp as it gets: from white to black and back with every pixel
    window.bridge.session.open(stripes)
    until(lambda: views(window) and views(window)[0].picture is not None)
    view = views(window)[0]
    settled(window.bridge, view)
    screen = seen(window)
    assert (window.width(), window.height()) == (720, 620), window.size()
    assert screen.shape[:2] == (620 * ratio, 720 * ratio), screen.shape
    assert view.picture.viewport.size == (view.width() * ratio, view.height() * ratio), view.picture.viewport
    # One pixel of the frame to one of the screen, wherever the edges of the view are:
    frame, (width, height) = (1600, 1200), view.device_size
    view.zoom_by(1 / min(width / frame[0], height / frame[1]))
    settled(window.bridge, view)
    middle = seen(view)[height // 2 - 20 : height // 2 + 20, width // 2 - 60 : width // 2 + 60].astype(int)
    steps = np.abs(np.diff(middle, axis=1))
    assert steps.min() > 200, steps.min()
    window.close()
    assert window.ended or window.bridge.close(60)
"""


def run(ratio, tmp_path, *scripts):
    """Run scripts, one after another, in a process for which the screen is that fine."""
    root = Path(__file__).resolve().parents[3]
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": ratio, "PYTHONPATH": str(root)}
    program = "".join(map(textwrap.dedent, scripts))
    done = subprocess.run(
        [sys.executable, "-c", program, ratio, str(tmp_path / "store.ini")],
        capture_output=True, text=True, env=env, cwd=root, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("ratio", ["1.25", "1.5"])
def test_a_frame_is_painted_pixel_by_pixel_on_finer_screens_too(ratio, tmp_path):
    run(ratio, tmp_path, VIEW)


def test_a_screen_of_twice_the_pixels_gets_twice_the_pixels_and_no_picture_is_enlarged(tmp_path):
    run("2", tmp_path, VIEW, WINDOW)
