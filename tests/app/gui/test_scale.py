"""Letters and symbols larger than the system makes them, in a process of its own: Qt takes a size once."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from framehook.app.gui.settings_store import Settings, Store

SCRIPT = """
    import os, sys
    from pathlib import Path
    from PyQt6.QtCore import QTimer
    from PyQt6.QtWidgets import QApplication, QComboBox, QDialog
    from framehook.app.gui.launch import run_app
    from framehook.app.gui.settings_store import Store
    from framehook.app.gui.window import MainWindow

    def look(window):
        window.actions_by_name["settings"].trigger()
        QTimer.singleShot(0, lambda: tell(window))

    def tell(window):
        (dialog,) = [each for each in QApplication.topLevelWidgets() if isinstance(each, QDialog) and each.isVisible()]
        (box,) = [each for each in dialog.findChildren(QComboBox) if each.accessibleName() == "Size"]
        sizes = ", ".join(box.itemText(row) for row in range(box.count()))
        print(window.devicePixelRatioF(), box.currentText(), sizes, sep="; ")
        print("QT_SCALE_FACTOR is", os.environ.get("QT_SCALE_FACTOR"))
        dialog.reject()
        window.close()

    show_event = MainWindow.showEvent

    def shown(window, event):
        show_event(window, event)
        QTimer.singleShot(0, lambda: look(window))

    MainWindow.showEvent = shown
    sys.exit(run_app(store=Store(Path(sys.argv[1]))))
"""


def shown_on(size, store, tmp_path, **environ):
    """What a window says on a screen of (width, height): pixels to one, the size that is chosen, those to choose from."""
    width, height = size
    screen = {"name": "one", "x": 0, "y": 0, "width": width, "height": height, "logicalDpi": 96, "logicalBaseDpi": 96, "dpr": 1}
    (tmp_path / "screens.json").write_text(json.dumps({"screens": [screen]}))
    root = Path(__file__).resolve().parents[3]
    platform = f"offscreen:configfile={tmp_path / 'screens.json'}"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(store.path)],
        capture_output=True, text=True, cwd=root, check=False, timeout=120,
        env={**os.environ, "QT_QPA_PLATFORM": platform, "PYTHONPATH": str(root), **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts, variable = done.stdout.splitlines()
    return [*facts.split("; "), variable]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "settings.ini")


def test_a_size_that_was_chosen_is_in_force_from_the_next_start_on_and_in_no_other_program(store, tmp_path):
    store.save(Settings(scale=200))
    assert store.sync()
    ratio, chosen, offered, variable = shown_on((3840, 2160), store, tmp_path)
    assert (ratio, chosen) == ("2.0", "200 %")
    assert offered == "100 %, 125 %, 150 %, 175 %, 200 %, 250 %, 300 %"
    assert variable == "QT_SCALE_FACTOR is None"


def test_sizes_that_leave_the_window_no_room_are_not_offered(store, tmp_path):
    assert shown_on((1280, 720), store, tmp_path)[:3] == ["1.0", "100 %", "100 %"]
    assert shown_on((1920, 1080), store, tmp_path)[2] == "100 %, 125 %, 150 %"


def test_the_users_own_variable_is_stronger(store, tmp_path):
    store.save(Settings(scale=150))
    assert store.sync()
    ratio, chosen, _, variable = shown_on((3840, 2160), store, tmp_path, QT_SCALE_FACTOR="2")
    assert (ratio, chosen) == ("2.0", "150 %")
    assert variable == "QT_SCALE_FACTOR is 2"
