"""A desktop that becomes dark or light: the window follows where it is to look as the system does."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from framehook.app.qt_environment import check_window
from framehook.inference.errors import MissingDependencyError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a desktop that can be told what to show is made for Linux here"
)

SCRIPT = """
    import sys
    from pathlib import Path
    from framehook.app.qt_environment import clear_misleading_paths
    clear_misleading_paths()
    import numpy as np
    from PyQt6.QtCore import Qt
    from PyQt6.QtWidgets import QApplication
    from framehook.app.gui.settings_store import Store
    from framehook.app.gui.theme import apply_theme
    from framehook.app.gui.window import MainWindow
    from tests.app.gui.view_scenes import seen, until
    app = QApplication(["framehook"])
    apply_theme(app, "system")
    window = MainWindow(Store(Path(sys.argv[1])))
    window.show()
    until(lambda: window.windowHandle().isExposed())

    def look():
        for _ in range(5):
            app.processEvents()
        image = seen(window).astype(float).mean(axis=2)
        bar = window.statusBar()
        places = image[bar.y() + 2 : bar.y() + 8, 300:600], image[2:16, -100:]
        shades = {"dark" if np.median(place) < 110 else "light" for place in places}
        return shades.pop() if len(shades) == 1 else "mixed"

    # As the theme of the platform does when the desktop changes: the scheme is another, and the palette with it.
    said = []
    for scheme in (Qt.ColorScheme.Dark, Qt.ColorScheme.Light, Qt.ColorScheme.Dark):
        app.styleHints().setColorScheme(scheme)
        said.append(look())
    if app.styleHints().colorScheme() is not Qt.ColorScheme.Dark:
        said = ["no desktop"]
    for theme in ("dark", "light", "dark"):
        apply_theme(app, theme)
        said.append(look())
    print(" ".join(said))
    window.close()
    assert window.ended or window.bridge.close(60)
"""


@pytest.fixture
def screen():
    """The name of a virtual screen."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual screen here; on Debian: apt-get install xvfb")
    ready, number = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(number), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=[number],
        stderr=subprocess.DEVNULL,
    )
    os.close(number)
    with os.fdopen(ready) as told:
        name = f":{told.readline().strip()}"
    try:
        check_window({"DISPLAY": name}, "linux")
        yield name
    except MissingDependencyError as error:
        pytest.skip(str(error))
    finally:
        server.kill()
        server.wait(10)


def test_the_window_becomes_dark_and_light_with_the_desktop_and_as_it_is_chosen(screen, tmp_path):
    root = Path(__file__).resolve().parents[3]
    desktop = {"XDG_CURRENT_DESKTOP": "KDE", "KDE_SESSION_VERSION": "6", "XDG_CONFIG_HOME": str(tmp_path)}
    env = {**os.environ, **desktop, "DISPLAY": screen, "QT_QPA_PLATFORM": "xcb", "WAYLAND_DISPLAY": "", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "scheme.ini")],
        capture_output=True, text=True, env=env, cwd=root, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    followed, chosen = done.stdout.split()[:-3], done.stdout.split()[-3:]
    assert chosen == ["dark", "light", "dark"]
    if followed == ["no", "desktop"]:
        pytest.skip("this Qt has no desktop whose scheme can be changed")
    assert followed == ["dark", "light", "dark"]
