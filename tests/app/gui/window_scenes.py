"""What the tests of the whole window do: keys as a user presses them, and what can be seen then."""

import av
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QKeySequence
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QDialog, QLabel, QPushButton, QStatusBar, QTableView, QToolButton, QTreeView

from framehook.app.gui.message_bar import MessageBar
from framehook.app.gui.panels.transport import TransportBar
from framehook.app.gui.view import SourceView

from .view_scenes import seen, settled, until

FILE = "testsrc:320x240@30:6000"
LIVE = "testsrc:320x240@30:live"
LEFT = Qt.MouseButton.LeftButton


def press(window, name, number=0):
    """Press the keys of an action, where the keyboard is, once it can be done."""
    until(lambda: can(window, name))
    press_keys(window, window.actions_by_name[name].shortcuts()[number])


def press_keys(window, keys):
    """Press keys, where the keyboard is."""
    if QApplication.activeWindow() is None:  # the platform without a screen activates no other when a dialog is closed
        window.activateWindow()
        until(window.isActiveWindow)
    QTest.keySequence(QApplication.focusWidget() or window, QKeySequence(keys))
    QApplication.processEvents()


def is_on(window, name):
    return window.actions_by_name[name].isChecked()


def can(window, name):
    return window.actions_by_name[name].isEnabled()


def open_source(window, *specs):
    """Open sources as the command line does, and wait until each was painted."""
    window.handlers.open_at_start(specs)
    until(lambda: len(views(window)) == len(specs))
    until(lambda: len(window.bridge.session.figures().slots) >= len(specs))
    until(lambda: all(each.shown for each in window.bridge.session.figures().slots.values()))


def hold(window):
    """Pause the file that is shown, and return its view once it stands: a frame under way at a pause comes before a jump's."""
    view, session = views(window)[0], window.bridge.session
    press(window, "play_pause")
    until(lambda: status(window).startswith("Paused"))
    before = session.renderer.last(view.key).frame.segment
    session.seek(2.0, view.key)
    until(lambda: view.picture is not None and view.picture.result.frame.segment > before)
    settled(window.bridge, view)
    return view


def views(window):
    """The views that can be seen, from left to right."""
    there = [view for view in window.findChildren(SourceView) if view.isVisible()]
    return sorted(there, key=lambda view: (view.y(), view.x()))


def status(window):
    """What the line at the bottom says."""
    return " ".join(label.text() for label in window.findChild(QStatusBar).findChildren(QLabel) if label.isVisible())


def message(window):
    """What is told above the picture; an empty text where nothing is."""
    bar = window.findChild(MessageBar)
    return bar.accessibleName() if bar.isVisible() else ""


def press_message(window, text):
    """Press the button of the message."""
    (button,) = [each for each in window.findChild(MessageBar).findChildren(QPushButton) if each.isVisible()]
    assert button.text() == text
    QTest.mouseClick(button, LEFT)


def clock(window):
    """What stands beside the slider: `0:12 / 3:20`."""
    (label,) = [each for each in window.findChild(TransportBar).findChildren(QLabel) if each.isVisible()]
    return label.text()


def seconds(window):
    """Where the file is, as the transport bar has it."""
    minutes, rest = clock(window).split(" / ")[0].split(":")
    return 60 * int(minutes) + int(rest)


def button(window, name):
    """The button of that accessible name or text that can be seen."""
    there = [*window.findChildren(QPushButton), *window.findChildren(QToolButton)]
    (found,) = [each for each in there if each.isVisible() and name in (each.accessibleName(), each.text())]
    return found


def dialogs(kind=QDialog):
    """The dialogs that can be seen."""
    return [each for each in QApplication.topLevelWidgets() if isinstance(each, kind) and each.isVisible()]


def dialog(kind=QDialog):
    """The one dialog that can be seen."""
    (found,) = dialogs(kind)
    return found


def objects(window):
    """The rows of the objects table, as texts."""
    model = window.docks.panel("Objects").widget().findChild(QTableView).model()
    return [[model.index(row, column).data() or "" for column in range(model.columnCount())] for row in range(model.rowCount())]


def is_tracked(window):
    """Whether the first of the objects has an id: a tracker is sure of what it sees from the second frame on."""
    rows = objects(window)
    return bool(rows) and rows[0][1].isdigit()


def notes(window):
    """The texts of the log panel, without their times."""
    model = window.docks.panel("Log").widget().findChild(QTreeView).model()
    return [model.index(row, 0).data().split("  ", 1)[1] for row in range(model.rowCount())]


def troubles(window):
    """The warnings and errors in the log panel."""
    model = window.docks.panel("Log").widget().findChild(QTreeView).model()
    told = [model.index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole) for row in range(model.rowCount())]
    return [text for text in told if not text.startswith("info")]


def at(view, x, y):
    """The point of a view that shows this point of the frame, in fractions of it."""
    point = view.mapping.point_of_fraction(x, y)
    return QPoint(round(point.x()), round(point.y()))


def drag(view, start, end):
    """Draw with the mouse from one point of the frame to another, in fractions of it."""
    QTest.mousePress(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, *start))
    QTest.mouseMove(view, at(view, *end))
    QTest.mouseRelease(view, LEFT, Qt.KeyboardModifier.NoModifier, at(view, *end))


def same_picture(view, pixels):
    """Whether a view shows what it showed then, but for what is written into its corner."""
    now = seen(view)
    return now.shape == pixels.shape and (now[60:] == pixels[60:]).all()


def saved(window, ending):
    """The files of an ending among what was saved; not those that are still being written, under a hidden name."""
    return sorted(file for file in window.bridge.session.folder.glob(f"*{ending}") if not file.name.startswith("."))


def frames_of(path):
    """How many frames of a video decode."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
