import threading
import time

from framehook.app.session.desk import Desk

WAIT = 60.0


def test_jobs_are_done_in_turn_and_one_that_fails_ends_no_other():
    failed, done = [], []
    desk = Desk("desk", failed.append)
    desk.hand_in(lambda: done.append(1))
    desk.hand_in(lambda: 1 / 0)
    desk.hand_in(lambda: desk.aside("aside", lambda: done.append(2)))
    desk.close()
    assert not desk.hand_in(lambda: done.append(3))
    assert desk.join(lambda: WAIT)
    assert done == [1, 2]
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_whoever_waits_for_the_end_waits_for_what_goes_aside_at_that_moment(monkeypatch):
    really = threading.Thread.start
    begins = threading.Event()

    def slowly(thread):  # as on a machine that does much else
        if thread.name == "aside":
            begins.set()
            time.sleep(0.2)
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", slowly)
    failed, done = [], []
    desk = Desk("desk", failed.append)
    elsewhere = threading.Thread(target=desk.aside, args=("aside", lambda: done.append(1)))
    elsewhere.start()
    assert begins.wait(WAIT)
    desk.close()
    assert desk.join(lambda: WAIT)
    assert done == [1]
    elsewhere.join(WAIT)
