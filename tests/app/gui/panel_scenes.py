"""What the tests of the panels look at: a small quick model, pictures with objects in them, and a bridge that tells of them."""

import time

import numpy as np

from framehook.app.session.motion import TrackFacts
from framehook.app.session.picture import Picture, Region, Viewport
from framehook.app.session.state import SessionState, Slot
from framehook.inference.backends import FunctionBackend
from framehook.inference.boxes import Boxes
from framehook.inference.connection import SourceState
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.result import Result
from framehook.model import Model

NAMES = {0: "person", 1: "dog", 2: "wine glass", 3: "car"}
PIXELS = np.zeros((240, 320, 3), np.uint8)
FILE = "testsrc:320x240@30:6000"
LIVE = "testsrc:320x240@30:live"


def quick_model(names=NAMES):
    """A model that finds a person in the middle of every frame."""
    found = np.array([[[0.5, 0.5, 0.2, 0.2, *[0.9 if number == 0 else 0.0 for number in names]]]], np.float32)
    found[..., :4] *= 32
    backend = FunctionBackend(
        lambda tensor: [np.repeat(found.transpose(0, 2, 1), len(tensor), 0)],
        input_shape=(None, 3, 32, 32),
        output_shapes=[(None, 4 + len(names), 1)],
        metadata={"names": repr(names)},
    )
    return Model(backend, decoder="yolo")


def slot(key="1", name="clip.mp4", *, live=False, duration=220.0, connection=SourceState.CONNECTED, reason=""):
    info = SourceInfo(f"source {key}", name, name, SourceKind.STREAM if live else SourceKind.VIDEO, live, fps=30.0)
    lasts = None if live else duration
    return Slot(key, name, name, info, seekable=not live, duration=lasts, connection=connection, reason=reason)


def picture(*objects, of=None, at=0.0, segment=0, run=1, names=NAMES, motion=True, width=10.0, height=20.0):
    """A picture with objects (id, class, confidence, x, y); an id of -1 belongs to no track."""
    where = of or slot()
    rows = np.array([(x, y, x + width, y + height) for *_, x, y in objects], np.float32).reshape(-1, 4)
    ids = [number for number, *_ in objects]
    boxes = Boxes(rows, [conf for _, _, conf, _, _ in objects], [cls for _, cls, *_ in objects], ids, orig_shape=(240, 320))
    frame = Frame.of(PIXELS, index=0, source=where.source, pts=at, captured_at=time.monotonic(), segment=segment)
    result = Result(frame, boxes, names)
    if motion:
        result.data["motion"] = {number: TrackFacts(1.5 + number, None if number == 1 else 10.0 * number, 9) for number in ids}
    return Picture(where.key, result, np.zeros((4, 4, 4), np.uint8), (0, 0), Region(0, 0, 4, 4), Viewport((4, 4)), run)


def tell(bridge, **facts):
    """Have a bridge tell of a state."""
    bridge.state = SessionState(**facts)
    bridge.state_changed.emit(bridge.state)


def shown(qtbot, panel, width=320, height=420):
    """Show a panel as it is in a narrow dock."""
    qtbot.addWidget(panel)
    panel.resize(width, height)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def open_and_watch(qtbot, bridge, spec=FILE, **wait):
    """Open a source, and look at its pictures as a view does; they are in the list that is returned."""
    pictures = []

    def take(picture):
        pictures.append(picture.result)
        bridge.give_back(picture)

    def look(state):
        for each in state.slots:
            bridge.session.renderer.look(each.key, Viewport((64, 48)))

    bridge.picture_ready.connect(take)
    bridge.state_changed.connect(look)
    bridge.session.open(spec)
    qtbot.waitUntil(lambda: bool(pictures))
    return pictures


def texts(panel, kind):
    """The texts of all parts of a kind that can be seen."""
    return [part.text() for part in panel.findChildren(kind) if part.isVisible() and part.text()]
