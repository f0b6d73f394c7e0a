"""What the line at the bottom says of what plays."""

import pytest

from framehook.app.gui.status import phase_in_words
from framehook.app.session.state import Phase, SessionState, Slot
from framehook.inference.connection import SourceState

HERE, COMING, SILENT, LOST, OVER = (
    SourceState.CONNECTED,
    SourceState.CONNECTING,
    SourceState.STALLED,
    SourceState.RECONNECTING,
    SourceState.ENDED,
)


@pytest.mark.parametrize(
    ("phase", "slots", "words"),
    [
        (Phase.IDLE, [], "Nothing is open"),
        (Phase.OPENING, [], "Opening"),
        (Phase.PLAYING, [(HERE, "")], "Playing"),
        (Phase.PLAYING, [(COMING, "")], "Connecting"),
        (Phase.PLAYING, [(LOST, "refused")], "No connection"),
        (Phase.PLAYING, [(SILENT, "sent nothing for 5 s")], "No connection"),
        (Phase.PLAYING, [(LOST, "refused"), (COMING, "")], "No connection"),
        (Phase.PLAYING, [(LOST, "refused"), (HERE, "")], "Playing"),
        (Phase.PLAYING, [(OVER, ""), (HERE, "")], "Playing"),
        (Phase.PLAYING, [(OVER, "")], "Playing"),
        (Phase.PAUSED, [(LOST, "refused")], "Paused"),
        (Phase.ENDED, [(OVER, "")], "Ended"),
        (Phase.ENDED, [(OVER, ""), (OVER, "cannot be decoded")], "Ended"),
        (Phase.ENDED, [(OVER, "stopped")], "Stopped"),
        (Phase.ENDED, [(OVER, ""), (OVER, "stopped")], "Stopped"),
        (Phase.ENDED, [(HERE, "")], "Stopped"),
        (Phase.FAILED, [(OVER, "no such file")], "Stopped by an error"),
    ],
)
def test_it_says_what_goes_on(phase, slots, words):
    told = [Slot(str(place), None, "door", connection=state, reason=reason) for place, (state, reason) in enumerate(slots)]
    assert phase_in_words(SessionState(phase=phase, slots=tuple(told))) == words
