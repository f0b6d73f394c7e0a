"""The whole window on a screen of two device pixels to one: it is drawn in all of them, and so is the picture."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPT = """
    import sys
    from pathlib import Path
    from framehook.app.qt_environment import clear_misleading_paths
    clear_misleading_paths()
    import numpy as np
    from PyQt6.QtWidgets import QApplication
    from framehook.app.gui.settings_store import Store
    from framehook.app.gui.theme import apply_theme
    from framehook.app.gui.window import MainWindow
    from tests.app.gui.view_scenes import seen, settled, until
    from tests.app.gui.window_scenes import views
    app = QApplication(["framehook"])
    apply_theme(app, "light")
    store = Store(Path(sys.argv[1]))
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
    ratio = view.devicePixelRatioF()
    screen = seen(window)
    assert screen.shape[:2] == (window.height() * ratio, window.width() * ratio), (screen.shape, window.size())
    assert view.picture.viewport.size == (view.width() * ratio, view.height() * ratio), view.picture.viewport
    # One pixel of the frame to one of the screen, wherever the edges of the view are:
    frame, (width, height) = (1600, 1200), view.device_size
    view.zoom_by(1 / min(width / frame[0], height / frame[1]))
    settled(window.bridge, view)
    middle = seen(view)[height // 2 - 20 : height // 2 + 20, width // 2 - 60 : width // 2 + 60].astype(int)
    steps = np.abs(np.diff(middle, axis=1)).min()
    print(f"ratio {ratio:g}, window {screen.shape[1]} x {screen.shape[0]}, sharp {steps > 200}")
    window.close()
    assert window.ended or window.bridge.close(10)
"""


def printed_at(factor, tmp_path):
    root = Path(__file__).resolve().parents[3]
    env = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": str(factor), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / f"{factor}.ini")],
        capture_output=True, text=True, env=env, cwd=root, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split(", ")


def test_a_screen_of_twice_the_pixels_gets_twice_the_pixels_and_no_picture_is_enlarged(tmp_path):
    (_, plain, _), (ratio, fine, sharp) = printed_at(1, tmp_path), printed_at(2, tmp_path)
    assert ratio == "ratio 2"
    size = [[int(side) for side in text.removeprefix("window ").split(" x ")] for text in (plain, fine)]
    assert size[1] == [2 * side for side in size[0]]
    assert sharp.strip() == "sharp True"
