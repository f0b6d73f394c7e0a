import threading
from pathlib import Path

import pytest

from framehook.app.session import turns
from framehook.app.session.desk import Desk
from framehook.app.session.state import Level
from framehook.app.session.turns import Turns

from ...inference.scripted import until  # noqa: TID252

WAIT = 60.0
A, B, C = Path("/a.py"), Path("/b.py"), Path("/c.py")


class Jobs:
    """Jobs that note when they begin, and end when they are let go."""

    def __init__(self):
        self.failed, self.notes, self.begun = [], [], []
        self.desk = Desk("desk", self.failed.append)
        self.turns = Turns(self.desk, lambda *note: self.notes.append(note))
        self._gates = []

    def take(self, path, name, *, hangs=False, **options):
        gate = threading.Event()
        self._gates.append(gate)

        def job():
            self.begun.append(name)
            if hangs:
                gate.wait(WAIT)

        self.turns.take(path, job, **options)

    def close(self):
        for gate in self._gates:
            gate.set()
        self.desk.close()
        assert self.desk.join(lambda: WAIT)
        assert self.failed == []


@pytest.fixture
def jobs(monkeypatch):
    """Jobs of which it is told after a moment that others wait for them."""
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    jobs = Jobs()
    yield jobs
    jobs.close()


def test_jobs_come_in_turn(jobs, monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", WAIT)
    for number in range(20):
        jobs.take(Path(f"/{number}.py"), number)
    until(lambda: len(jobs.begun) == 20)
    assert jobs.begun == list(range(20))
    assert jobs.notes == []


def test_a_job_about_a_file_gives_up_those_before_it_whether_they_have_begun_or_not(jobs):
    jobs.take(A, "first", hangs=True)
    until(lambda: jobs.begun)
    jobs.take(B, "not begun")
    jobs.take(B, "instead of it")
    jobs.take(C, "last")
    jobs.take(A, "anew")
    until(lambda: len(jobs.begun) == 4)
    assert jobs.begun == ["first", "instead of it", "last", "anew"]


def test_two_jobs_about_a_file_at_the_same_moment_do_not_wait_for_each_other(jobs):
    jobs.take(A, "first", hangs=True)
    jobs.take(A, "second", hangs=True)
    until(lambda: "second" in jobs.begun)


def test_what_waits_after_one_that_was_given_up_still_waits_for_those_before(jobs):
    jobs.take(A, "first", hangs=True)
    until(lambda: jobs.begun)
    jobs.take(B, "given up")
    jobs.take(C, "last")
    jobs.turns.give_up(B)
    assert jobs.begun == ["first"]
    until(lambda: jobs.notes)
    assert jobs.begun == ["first"]
    jobs.turns.give_up(A)
    until(lambda: jobs.begun == ["first", "last"])


def test_a_short_job_waits_for_none_and_later_ones_wait_for_it(jobs):
    jobs.take(A, "first", hangs=True)
    until(lambda: jobs.begun)
    jobs.take(B, "short", at_once=True, hangs=True)
    until(lambda: jobs.begun == ["first", "short"])
    jobs.take(B, "after it")
    jobs.turns.give_up(A)
    until(lambda: jobs.notes)
    assert jobs.begun == ["first", "short"]


def test_what_holds_up_others_is_told_once(jobs, monkeypatch):
    jobs.take(A, "first", hangs=True)
    until(lambda: jobs.begun)
    jobs.take(B, "second")
    until(lambda: jobs.notes)
    monkeypatch.setattr(turns, "PATIENCE", WAIT)
    jobs.take(C, "third")
    jobs.turns.give_up(A)
    until(lambda: len(jobs.begun) == 3)
    assert jobs.notes == [
        (
            Level.WARNING,
            "a.py is still being run, and b.py waits for it; remove a.py, or load it again, if it does not come to its end",
            "",
        )
    ]
