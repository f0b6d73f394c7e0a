"""A window opens whatever was imported before and whatever the environment says; where none can be opened, a line says why."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from framehook.app.qt_environment import check_window, clear_misleading_paths, has_display, own_plugins, shows_windows
from framehook.inference.errors import MissingDependencyError

pytestmark = pytest.mark.skipif(find_spec("PyQt6") is None, reason="PyQt6 is not installed; pip install 'framehook[gui]'")

ORDERS = (
    "import cv2, PyQt6.QtWidgets, framehook.app.gui",
    "import PyQt6.QtWidgets, framehook.app.gui, cv2",
    "import framehook.app.gui, cv2",
)
SHOW = """
import sys
from pathlib import Path
{imports}
from framehook.app.gui.launch import application, run_app
from framehook.app.gui.settings_store import Store
from PyQt6.QtCore import QTimer
app = application()
def look():
    print(app.platformName(), sum(each.isVisible() for each in app.topLevelWidgets() if each.windowTitle() == "Framehook"))
    app.closeAllWindows()
QTimer.singleShot(0, look)
sys.exit(run_app(store=Store(Path(sys.argv[1]))))
"""


@pytest.fixture
def show_in_all_orders(tmp_path):
    """Open a window in processes that import things in different orders; returns what each printed, and how it ended."""

    def show(platform="offscreen", orders=ORDERS, **environ):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", SHOW.format(imports=order), tmp_path / f"{number}.ini"],
                env={**os.environ, "QT_QPA_PLATFORM": platform, "XDG_RUNTIME_DIR": str(tmp_path), **environ},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, order in enumerate(orders)
        ]
        ended = [(*process.communicate(timeout=180), process.returncode) for process in processes]
        return [(out, err.replace("This plugin does not support propagateSizeHints()\n", ""), code) for out, err, code in ended]

    return show


def of_opencv():
    package = find_spec("cv2")
    return Path(package.submodule_search_locations[0]) / "qt" / "plugins"


def of_qt5(folder):
    """A folder such as a Qt 5 of the system would have: of the right names, and with the wrong things in them."""
    (folder / "platforms").mkdir()
    for name in ("libqxcb.so", "libqoffscreen.so"):
        (folder / "platforms" / name).write_bytes(b"\x7fELF of another version")
    return folder


# The order matters where the environment says nothing, as OpenCV sets it then when it is imported.
@pytest.mark.parametrize(
    ("where", "orders"), [("unset", ORDERS), ("of OpenCV", ORDERS[1:2]), ("nowhere", ORDERS[2:]), ("of Qt 5", ORDERS[2:])]
)
def test_a_window_opens_in_any_order_of_imports_wherever_plugins_are_said_to_be(show_in_all_orders, tmp_path, where, orders):
    folders = {"of OpenCV": of_opencv, "nowhere": lambda: tmp_path / "nowhere", "of Qt 5": lambda: of_qt5(tmp_path)}
    said = {} if where == "unset" else dict.fromkeys(("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_PLUGIN_PATH"), str(folders[where]()))
    assert show_in_all_orders(orders=orders, **said) == [("offscreen 1\n", "", 0)] * len(orders)


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
        name = told.readline().strip()
    try:
        yield f":{name}"
    finally:
        server.kill()
        server.wait(60)


def test_a_window_opens_on_a_display_in_any_order_of_imports(show_in_all_orders, screen):
    environ = {"DISPLAY": screen, "WAYLAND_DISPLAY": "", "QT_QPA_PLATFORM_PLUGIN_PATH": str(of_opencv())}
    try:
        check_window({"DISPLAY": screen}, "linux")
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert show_in_all_orders("xcb", **environ) == [("xcb 1\n", "", 0)] * len(ORDERS)


@pytest.mark.parametrize(
    ("environ", "display", "seen"),
    [
        ({}, False, False),
        ({"DISPLAY": ":0"}, True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ({"QT_QPA_PLATFORM": "offscreen"}, True, False),
        ({"QT_QPA_PLATFORM": "offscreen:size=800x600", "DISPLAY": ":0"}, True, False),
        ({"QT_QPA_PLATFORM": "wayland;xcb", "DISPLAY": ":0"}, True, True),
    ],
)
def test_a_display_is_known_by_the_environment(environ, display, seen):
    assert has_display(environ, "linux") is display
    assert shows_windows(environ, "linux") is seen


def test_other_systems_always_have_a_display():
    assert has_display({}, "darwin")
    assert shows_windows({}, "win32")


def test_only_misleading_paths_are_forgotten():
    environ = {
        "QT_QPA_PLATFORM_PLUGIN_PATH": "/cv2",
        "QT_PLUGIN_PATH": "/qt5",
        "QT_QPA_FONTDIR": "/cv2",
        "QT_SCALE_FACTOR": "2",
    }
    clear_misleading_paths(environ)
    assert environ == {"QT_SCALE_FACTOR": "2"} if own_plugins() else len(environ) == 4


@pytest.mark.skipif(sys.platform != "linux" or own_plugins() is None, reason="Qt finds its displays in another way here")
@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, "there is no display to open a window on (DISPLAY and WAYLAND_DISPLAY are not set); detect without one: "),
        ({"DISPLAY": ":4093"}, "DISPLAY is :4093"),
        ({"DISPLAY": "", "QT_QPA_PLATFORM": "xcb"}, "no display answers (DISPLAY is not set); detect without one: "),
        ({"WAYLAND_DISPLAY": "gone"}, "WAYLAND_DISPLAY is gone"),
        ({"QT_QPA_PLATFORM": "cocoa"}, "QT_QPA_PLATFORM is 'cocoa', which PyQt6 does not have; unset it, or set it to one of "),
    ],
)
def test_where_no_window_can_be_opened_a_line_says_why(environ, told):
    with pytest.raises(MissingDependencyError) as failed:
        check_window(environ, "linux")
    assert told in str(failed.value)
    assert "\n" not in str(failed.value)


def test_a_platform_that_needs_no_display_is_good_enough():
    check_window({"QT_QPA_PLATFORM": "offscreen"}, "linux")
    check_window({"QT_QPA_PLATFORM": "nonsense;offscreen"}, "linux")
