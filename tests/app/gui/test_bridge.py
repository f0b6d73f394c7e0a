"""What a bridge tells belongs together: a note never tells of what does not show yet."""

import time

from framehook.app.session.state import Level

from .conftest import WAIT
from .panel_scenes import quick_model
from .view_scenes import until

LIVE = "testsrc:320x240@30:live"


def test_what_a_note_tells_of_shows_in_the_state_by_then(make_bridge, tmp_path):
    bridge = make_bridge(model=quick_model())
    session = bridge.session
    rows = tmp_path / "rows.txt"
    session.open(LIVE)
    session.save_rows(rows)
    until(lambda: bridge.state.take("rows") is not None and rows.is_file() and rows.stat().st_size > 0)
    ended, saved = [], []

    def end(state):
        """In the middle of telling the widgets, which is when other threads may do anything."""
        if not ended:
            ended.append(True)
            session.stop_take("rows")
            deadline = time.monotonic() + WAIT / 1000
            while any(take.going_on or take.finishing for take in session.state.takes) and time.monotonic() < deadline:
                time.sleep(0.01)

    def hear(note):
        if note.level is Level.INFO and note.text.startswith("Saved rows"):
            saved.append(bridge.state.take("rows"))

    bridge.state_changed.connect(end)
    bridge.noted.connect(hear)
    session.set_loop(True)  # something that is told
    until(lambda: saved)
    assert saved == [None]
