import gc
import logging
import threading

from framehook.app.session.notes import KEPT, Notes
from framehook.app.session.state import Level

WAIT = 60.0
LOG = logging.getLogger("framehook")


def test_notes_are_one_line_each_and_taken_once_in_their_order():
    woken = []
    notes = Notes(lambda: woken.append(1))
    notes.add(Level.INFO, "a source\n  began")
    notes.add(Level.ERROR, "it failed", "line one\nline two")
    assert [(note.level, note.text, note.detail) for note in notes.take()] == [
        (Level.INFO, "a source began", ""),
        (Level.ERROR, "it failed", "line one\nline two"),
    ]
    assert notes.take() == []
    assert len(woken) == 2


def test_of_notes_that_nobody_takes_the_oldest_go():
    notes = Notes(lambda: None)
    for _ in range(2):
        for number in range(KEPT + 3):
            notes.add(Level.INFO, str(number))
        assert [note.text for note in notes.take()] == [str(number) for number in range(3, KEPT + 3)]


def test_what_the_library_logs_becomes_a_note_while_it_is_attached():
    notes = Notes(lambda: None)
    notes.attach()
    try:
        LOG.debug("too much")
        LOG.info("of %s", "interest")
        LOG.warning("take care")
        try:
            raise ValueError("no luck")
        except ValueError:
            LOG.exception("it failed")
    finally:
        notes.detach()
    LOG.error("later")
    *first, last = notes.take()
    assert [(note.level, note.text) for note in first] == [(Level.INFO, "of interest"), (Level.WARNING, "take care")]
    assert (last.level, last.text) == (Level.ERROR, "it failed")
    assert last.detail.endswith("ValueError: no luck")


def test_a_destructor_that_logs_may_run_while_a_note_is_added_or_taken():
    notes = Notes(lambda: None)
    dropped = []

    class Dropped:
        def __init__(self):
            self.itself = self

        def __del__(self):
            dropped.append(1)
            LOG.warning("something was dropped")

    taken = []

    def work():
        thresholds = gc.get_threshold()
        for number in range(60):  # so that the collector runs at each of the places where something is made
            gc.collect()
            gc.disable()
            Dropped()
            gc.set_threshold(gc.get_count()[0] + number % 30)
            gc.enable()
            if number < 30:
                notes.add(Level.INFO, "text")
            taken.extend(notes.take())
            gc.disable()
        gc.set_threshold(*thresholds)
        gc.enable()

    notes.attach()
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(WAIT)
        assert not thread.is_alive()
        gc.collect()
        taken += notes.take()
    finally:
        notes.detach()
    assert len(dropped) == 60
    assert [note.text for note in taken].count("something was dropped") == 60
    assert [note.text for note in taken].count("text") == 30
