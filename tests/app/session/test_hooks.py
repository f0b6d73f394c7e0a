import gc
import re
import sys
import threading
import time
import types
import weakref

import pytest

from framehook.app.session.hook_origins import BUILT_IN, CODE
from framehook.app.session.hooks import RECENT, Hooks
from framehook.app.session.motion import Motion
from framehook.app.session.notes import Notes
from framehook.app.session.relay import Relay
from framehook.app.session.state import Level
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Callbacks, ZoneCounter
from framehook.model import Model

from ...inference.brightness import SIDE, brightness_of, picture  # noqa: TID252 - the same network as the tests of runs
from ...inference.scripted import until  # noqa: TID252

PICTURES = [picture(value) for value in range(1, 9)]
WAIT = 60.0


class Desk:
    """Hooks, and a model whose runs they watch, as a session has them."""

    def __init__(self, parent=None):
        self.callbacks = Callbacks(parent)
        self.notes = []
        self.look = lambda: None
        self.hooks = Hooks(self.callbacks, lambda *note: self.notes.append(note), lambda: self.look())
        backend = FunctionBackend(brightness_of, input_shape=(None, 3, SIDE, SIDE), output_shapes=[(None, 5, 1)])
        self.model = Model(backend, decoder="yolo")
        self.model.callbacks = self.callbacks

    def run(self, source=PICTURES, **options):
        run = self.model.predict(source, stream=True, conf=0.001, **options)
        self.hooks.attach(run.predictor.callbacks)
        return run

    def play(self, source=PICTURES, **options):
        with self.run(source, **options) as run:
            count = sum(1 for _ in run)
        self.hooks.detach()
        return count

    def row(self, name, event="on_predict_batch_end"):
        (row,) = [row for row in self.hooks.rows() if (row.name, row.event) == (name, event)]
        return row

    def errors(self):
        return [text for level, text, _ in self.notes if level is Level.ERROR]


def write(path, text):
    path.write_text(text)
    return path


COUNTING = """
seen = []

def on_predict_batch_end(predictor):
    seen.append(1)
    predictor.frame_results[0].data["seen"] = len(seen)

def on_predict_end(predictor):
    pass
"""
FAILING = """
def on_predict_batch_end(predictor):
    look(predictor.frame.index)

def look(index):
    if index == 2:
        raise ValueError("no luck")
"""


def test_a_file_is_loaded_into_the_runs_that_go_on_and_those_to_come(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", COUNTING)
    with desk.run() as run:
        assert "seen" not in next(run).data
        assert desk.hooks.load(path)
        assert next(run).data["seen"] == 1
    assert [result.data["seen"] for result in desk.run()] == list(range(2, 10))
    (file,) = desk.hooks.files
    assert (file.path, file.count, file.problem) == (path, 2, "")
    assert file.modified == path.stat().st_mtime_ns
    assert abs(file.at - time.time()) < 60
    assert desk.notes == [(Level.INFO, "2 callbacks loaded from mine.py", "")]


def test_rows_tell_of_every_callback_where_it_comes_from_and_how_long_it_takes(tmp_path):
    parent = Callbacks()

    def mine(predictor):
        time.sleep(0.002)

    parent.add("on_predict_batch_end", mine, order=7, background=False)
    desk = Desk(parent)
    desk.callbacks.add(Motion())
    desk.hooks.load(write(tmp_path / "door.py", COUNTING))
    before = {row.name: row.calls for row in desk.hooks.rows()}
    assert before == {"Motion": 0, "on_predict_batch_end": 0, "on_predict_end": 0, mine.__qualname__: 0}
    assert desk.row("Motion", "on_predict_postprocess_end").mean is None
    desk.play()
    row = desk.row(mine.__qualname__)
    assert (row.origin, row.order, row.background, row.on, row.fixed, row.status) == (CODE, 7, False, True, False, "on")
    assert row.calls == 8
    assert 1.9 < row.mean <= row.p95
    assert row.last > 1.9
    assert (row.errors, row.error, row.detail) == (0, "", "")
    assert desk.row("on_predict_batch_end").origin == "door.py"
    assert desk.row("on_predict_end", "on_predict_end").calls == 1
    origins = {row.name: row.origin for row in desk.hooks.rows()}
    assert {name: origins[name] for name in ("Motion", "Tracking", "Overlay")} == dict.fromkeys(
        ("Motion", "Tracking", "Overlay"), BUILT_IN
    )
    orders = [row.order for row in desk.hooks.rows()]
    assert orders == sorted(orders)


def test_figures_begin_anew_with_each_run_and_stand_when_it_is_over(tmp_path):
    desk = Desk()
    desk.hooks.load(write(tmp_path / "mine.py", COUNTING))
    for _ in range(2):
        desk.play(PICTURES[:3])
        assert desk.row("on_predict_batch_end").calls == 3
        assert desk.row("Tracking", "on_predict_postprocess_end").calls == 3


def test_times_are_those_of_the_last_calls():
    desk = Desk()
    desk.callbacks.add("on_predict_batch_end", print)
    registration = next(iter(desk.callbacks))
    for milliseconds in [1000] * 10 + list(range(1, RECENT + 1)):
        desk.hooks.observe(registration, milliseconds / 1e3, None)
    row = desk.row("print")
    assert row.calls == RECENT + 10
    assert row.last == pytest.approx(RECENT)
    assert row.mean == pytest.approx((RECENT + 1) / 2)
    assert row.p95 == pytest.approx(0.95 * RECENT)


def test_a_callback_that_raises_is_switched_off_and_named_and_the_stream_goes_on(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", FAILING)
    desk.hooks.load(path)
    assert desk.play() == 8
    row = desk.row("on_predict_batch_end")
    assert (row.on, row.calls, row.errors) == (False, 3, 1)
    assert row.error == "ValueError: no luck (mine.py line 7)"
    assert row.status == "off: raised ValueError: no luck (mine.py line 7)"
    (text,) = desk.errors()
    assert text == (
        "on_predict_batch_end failed in on_predict_batch_end: ValueError: no luck (mine.py line 7); it is switched off. "
        "Correct the file and load it again, or switch it on again"
    )
    detail = desk.notes[-1][2]
    assert detail == row.detail
    assert detail.startswith(f'Traceback (most recent call last):\n  File "{path}", line 3, in on_predict_batch_end')
    assert "look(predictor.frame.index)" in detail
    assert detail.endswith("ValueError: no luck")
    assert "registry.py" not in detail
    assert desk.play() == 8  # it is tried again by the next run
    assert len(desk.errors()) == 2


def test_whoever_is_told_that_a_callback_raised_sees_it_off(tmp_path):
    desk = Desk()
    desk.hooks.load(write(tmp_path / "mine.py", FAILING))
    seen = []
    desk.look = lambda: seen.append([row.on for row in desk.hooks.rows() if row.errors])
    desk.play()
    assert [False] in seen
    assert [True] not in seen


def test_what_raised_can_be_switched_on_again(tmp_path):
    desk = Desk()
    desk.hooks.load(write(tmp_path / "mine.py", FAILING.replace("index == 2", "index in (2, 5)")))
    with desk.run() as run:
        for index, _ in enumerate(run):
            row = desk.row("on_predict_batch_end")
            assert row.on is (index not in (2, 5, 6, 7))
            if index == 2:
                desk.hooks.switch(row.key, True)
    row = desk.row("on_predict_batch_end")
    assert (row.on, row.errors, row.calls) == (False, 2, 6)


def test_a_switch_survives_runs_and_reloads(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", COUNTING)
    desk.hooks.load(path)
    desk.play(PICTURES[:2])
    mine = desk.row("on_predict_batch_end").key
    for key in (mine, desk.row("Overlay", "on_predict_postprocess_end").key):
        desk.hooks.switch(key, False)
        desk.hooks.switch(key, False)
    desk.hooks.load(path)
    for _ in range(2):
        results = list(desk.run())
        assert all("seen" not in result.data for result in results)
        assert desk.row("on_predict_batch_end").status == "off"
        assert desk.row("Overlay", "on_predict_postprocess_end").status == "off"
    assert desk.row("on_predict_end", "on_predict_end").on
    desk.hooks.switch(mine, True)
    assert [result.data["seen"] for result in desk.run(PICTURES[:2])] == [1, 2]


def test_a_switch_is_in_force_from_the_next_event(tmp_path):
    desk = Desk()
    desk.hooks.load(write(tmp_path / "mine.py", COUNTING))
    with desk.run() as run:
        on = [next(run).data["seen"]]
        key = desk.row("on_predict_batch_end").key
        desk.hooks.switch(key, False)
        assert "seen" not in next(run).data
        desk.hooks.switch(key, True)
        on.append(next(run).data["seen"])
    assert on == [1, 2]


def test_what_the_app_needs_and_what_others_have_to_finish_cannot_be_switched_off():
    desk = Desk()
    desk.callbacks.add(Relay(print, print, lambda change: False, lambda source: None))
    desk.callbacks.add(Motion())
    desk.callbacks.add("on_predict_end", lambda predictor: None)
    desk.play(PICTURES[:1])
    fixed = {(row.name, row.event) for row in desk.hooks.rows() if row.fixed}
    assert {("Relay", "on_predict_batch_end"), ("Relay", "on_source_change"), ("Motion", "on_predict_end")} <= fixed
    free = {row.name.rpartition(".")[2] for row in desk.hooks.rows() if not row.fixed}
    assert {"Motion", "Tracking", "Overlay", "<lambda>"} <= free
    relay = desk.row("Relay")
    desk.hooks.switch(relay.key, False)
    assert desk.row("Relay").on


def test_callbacks_of_one_name_are_switched_one_by_one_and_counters_bear_the_names_of_their_zones():
    desk = Desk()
    calls = []
    for number in range(3):
        desk.callbacks.add("on_predict_batch_end", lambda predictor, number=number: calls.append(number))
    for name in ("door", "yard"):
        desk.callbacks.add(ZoneCounter({name: [(0, 0), (1, 0), (1, 1)]}))
    (second,) = [row.key for row in desk.hooks.rows() if row.name.endswith("<lambda>") and row.key.number == 1]
    desk.hooks.switch(second, False)
    desk.play(PICTURES[:1])
    assert calls == [0, 2]
    assert desk.row("ZoneCounter (door)", "on_predict_postprocess_end").calls == 1
    assert desk.row("ZoneCounter (yard)", "on_predict_postprocess_end").calls == 1


def test_a_file_is_loaded_again_only_if_it_is_good(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", COUNTING)
    desk.hooks.load(path)
    before = desk.hooks.files[0]
    for text, told in [
        ("def on_predict_batch_end(predictor):\n    x ==\n", r"mine.py, line 2: SyntaxError"),
        ("import math\n\nmath.sqrt(-1)\n", r"mine.py, line 3: ValueError"),
        ("def on_predict_batch_ended(predictor): ...", r"mine.py, line 1: 'on_predict_batch_ended' is named after no event"),
        ("\ndef on_predict_batch_end(): ...", r"mine.py, line 2: callback 'on_predict_batch_end\(\)'"),
        ("x = 1", r"mine.py holds no callback"),
    ]:
        write(path, text)
        assert not desk.hooks.load(path)
        level, note, detail = desk.notes[-1]
        assert level is Level.ERROR
        assert re.search(told, note), note
        assert note.endswith("; the callbacks loaded before stay")
        assert desk.hooks.files[0].problem in note
        assert (desk.hooks.files[0].at, desk.hooks.files[0].count) == (before.at, 2)
        assert "importlib" not in detail
        assert "userfile.py" not in detail
    assert [result.data["seen"] for result in desk.run(PICTURES[:2])] == [1, 2]
    write(path, COUNTING.replace("len(seen)", "-len(seen)"))
    assert desk.hooks.load(path)
    assert desk.hooks.files[0].problem == ""
    assert [result.data["seen"] for result in desk.run(PICTURES[:2])] == [-1, -2]


def test_the_traceback_of_a_file_that_does_not_run_begins_in_the_file(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", "def half(x):\n    return x / 0\n\nhalf(1)\n")
    assert not desk.hooks.load(path)
    assert desk.hooks.files == ()
    ((level, text, detail),) = desk.notes
    assert (level, text) == (Level.ERROR, f"{path}, line 2: ZeroDivisionError: division by zero")
    assert detail.startswith(f'Traceback (most recent call last):\n  File "{path}", line 4, in <module>')


def test_nothing_of_a_file_is_registered_when_one_of_its_callbacks_is_wrong(tmp_path):
    desk = Desk()
    assert not desk.hooks.load(write(tmp_path / "mine.py", COUNTING + "\ndef on_predict_start(a, b): ...\n"))
    assert list(desk.callbacks) == []
    assert "line 11: callback 'on_predict_start(a, b)'" in desk.errors()[0]


def test_a_file_that_is_not_there_is_told(tmp_path):
    desk = Desk()
    assert not desk.hooks.load(tmp_path / "mine.py")
    assert desk.errors() == [f"{tmp_path / 'mine.py'} does not exist; pass a Python file of callbacks"]
    desk.hooks.unload(tmp_path / "mine.py")
    assert desk.hooks.loading == ()


def test_removing_a_file_removes_its_callbacks_and_all_that_they_hold(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", FAILING + "\nclass Large: ...\nlarge = Large()\n")
    with desk.run() as run:
        for _ in range(3):
            desk.hooks.load(path)
            next(run)
        large = [weakref.ref(vars(module)["large"]) for module in list(sys.modules.values()) if "large" in vars(module)]
        assert len(large) == 1
        next(run)
        desk.hooks.unload(path)
        next(run)
        assert list(desk.callbacks) == []
        assert desk.hooks.files == ()
        gc.collect()
        assert [each() for each in large] == [None]
    assert desk.notes[-1] == (Level.INFO, "the callbacks of mine.py were removed", "")


@pytest.fixture
def gate(monkeypatch):
    """What files of these tests may wait for, until it is set."""
    gate = threading.Event()
    monkeypatch.setitem(sys.modules, "gate_of_this_test", types.SimpleNamespace(wait=lambda: gate.wait(WAIT)))
    yield gate
    gate.set()


HANGING = "import gate_of_this_test\ngate_of_this_test.wait()\n"


MADE = """
import sys
from framehook.inference.callbacks import Callback
class Mine(Callback):
    def __init__(self):
        {}
    def on_predict_end(self, predictor): ...
"""


def beside(desk, path):
    """Load a file that hangs on a thread of its own; what `load` returned is in the list once the thread has ended."""
    loaded = []
    thread = threading.Thread(target=lambda: loaded.append(desk.hooks.load(path)))
    thread.start()
    until(lambda: desk.hooks.loading == (path,) and str(path.parent) in sys.path)
    return thread, loaded


def modules_of(path):
    return [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == str(path)]


def test_while_a_file_is_run_nothing_waits_and_it_can_be_taken_away_again(tmp_path, gate):
    desk = Desk()
    path = write(tmp_path / "slow.py", HANGING + COUNTING)
    thread, loaded = beside(desk, path)
    other = write(tmp_path / "other.py", COUNTING)
    assert desk.hooks.load(other)
    assert {row.origin for row in desk.hooks.rows()} == {"other.py"}
    assert desk.play(PICTURES[:2]) == 2
    desk.hooks.unload(path)
    assert desk.hooks.loading == ()
    assert str(tmp_path) not in sys.path
    gate.set()
    thread.join(WAIT)
    assert loaded == [False]
    assert [file.path for file in desk.hooks.files] == [other]
    assert modules_of(path) == []


@pytest.mark.parametrize("end", [COUNTING, "raise ValueError('too late')\n", "import sys\nsys.exit(3)\n"])
@pytest.mark.parametrize("taken_away", [False, True])
def test_a_file_that_hangs_is_corrected_and_loaded_again(tmp_path, gate, taken_away, end):
    desk = Desk()
    path = write(tmp_path / "mine.py", HANGING + end)
    thread, loaded = beside(desk, path)
    write(path, COUNTING)
    if taken_away:
        desk.hooks.unload(path)
    assert desk.hooks.load(path)
    assert desk.hooks.loading == ()
    assert str(tmp_path) not in sys.path
    given_up = (Level.WARNING, "mine.py is still being run; that is given up, and the file is run anew", "")
    told = [*([] if taken_away else [given_up]), (Level.INFO, "2 callbacks loaded from mine.py", "")]
    assert desk.notes == told
    gate.set()
    thread.join(WAIT)
    assert loaded == [False]
    assert desk.notes == told  # what it comes to in the end concerns nobody
    assert [(file.count, file.problem) for file in desk.hooks.files] == [(2, "")]
    assert len(modules_of(path)) == 1
    assert [result.data["seen"] for result in desk.run(PICTURES[:2])] == [1, 2]
    desk.hooks.unload(path)
    assert modules_of(path) == []


def test_a_folder_that_was_on_the_path_stays_there_when_a_file_is_given_up(tmp_path, gate, monkeypatch):
    desk = Desk()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    made = MADE.format("import gate_of_this_test; gate_of_this_test.wait()")
    path = write(tmp_path / "slow.py", made)
    thread, _ = beside(desk, path)
    until(lambda: modules_of(path) and sys.path.count(str(tmp_path)) == 1)  # it has been run, and its object is being made
    desk.hooks.unload(path)
    assert sys.path.count(str(tmp_path)) == 1
    gate.set()
    thread.join(WAIT)
    assert modules_of(path) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys\n\nsys.exit(3)\n", "line 3: SystemExit: 3"),
        ("class Odd(BaseException): ...\nraise Odd('no')\n", "line 2: Odd: no"),
        (MADE.format("sys.exit(3)"), "line 6: SystemExit: 3"),
        (
            "class Mute(Exception):\n    def __str__(self):\n        raise ValueError('x')\nraise Mute\n",
            "line 3: ValueError: x",
        ),
    ],
)
def test_whatever_a_file_raises_when_it_is_run_is_told_with_its_line(tmp_path, text, told):
    desk = Desk()
    path = write(tmp_path / "mine.py", text)
    assert not desk.hooks.load(path)
    assert desk.errors() == [f"{path}, {told}"]
    assert f'File "{path}", {told.partition(":")[0]}, in ' in desk.notes[-1][2]
    assert desk.hooks.loading == ()
    assert modules_of(path) == []
    write(path, COUNTING)
    assert desk.hooks.load(path)


LEAVING = """
import sys

def on_predict_batch_end(predictor):
    if predictor.frame.index == 2:
        sys.exit(4)
"""


def test_a_callback_that_leaves_python_is_named_and_off_in_the_runs_that_follow(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", LEAVING)
    desk.hooks.load(path)
    with pytest.raises(SystemExit):
        desk.play()
    (text,) = desk.errors()
    assert text == (
        "on_predict_batch_end failed in on_predict_batch_end: SystemExit: 4 (mine.py line 6); it is switched off. "
        "Correct the file and load it again, or switch it on again"
    )
    assert desk.notes[-1][2].startswith(f'Traceback (most recent call last):\n  File "{path}", line 6')
    for _ in range(2):
        assert desk.play() == 8
        row = desk.row("on_predict_batch_end")
        assert (row.on, row.calls, row.errors) == (False, 0, 0)
        assert row.status == "off: raised SystemExit: 4 (mine.py line 6)"
    assert len(desk.errors()) == 1
    desk.hooks.switch(row.key, True)
    with pytest.raises(SystemExit):
        desk.play()
    write(path, COUNTING)
    desk.hooks.load(path)
    assert desk.play() == 8
    row = desk.row("on_predict_batch_end")
    assert (row.on, row.calls, row.error) == (True, 8, "")


def test_an_error_that_cannot_say_what_it_is_switches_its_callback_off_as_any_other(tmp_path):
    desk = Desk()
    text = "class Mute(Exception):\n    def __str__(self): raise ValueError('x')\n"
    desk.hooks.load(write(tmp_path / "mine.py", text + "def on_predict_batch_end(predictor):\n    raise Mute\n"))
    assert desk.play() == 8
    row = desk.row("on_predict_batch_end")
    assert (row.on, row.calls, row.error) == (False, 1, "Mute: (its text cannot be shown) (mine.py line 4)")
    assert len(desk.errors()) == 1


def test_what_is_added_and_removed_during_a_run_is_forgotten():
    class Large:
        def __call__(self, predictor): ...

    desk = Desk()
    alive = []
    with desk.run() as run:
        handle = None
        for _ in run:
            if handle is not None:
                handle.remove()
            large = Large()
            alive.append(weakref.ref(large))
            handle = desk.callbacks.add("on_predict_batch_end", large)
            del large
            assert sum(each() is not None for each in alive) <= 2  # the one in force, and the one before it
    assert len(alive) == 8
    assert desk.row("Tracking", "on_predict_postprocess_end").calls == 8


def test_a_failure_is_told_once_by_the_hooks_or_else_by_the_log(tmp_path):
    desk = Desk()
    notes = Notes(lambda: None)
    notes.attach()
    try:
        desk.hooks.load(write(tmp_path / "mine.py", FAILING))
        desk.play()
        assert len(desk.errors()) == 1
        assert notes.take() == []
        # Nobody watches this one.
        alone = Callbacks()
        alone.add("on_predict_batch_end", lambda predictor: 1 / 0, on_error="log")
        desk.model.callbacks = alone
        assert len(desk.model.predict(PICTURES[:1], conf=0.001)) == 1
        (note,) = notes.take()
        assert note.level is Level.ERROR
        assert "ZeroDivisionError" in note.text
    finally:
        notes.detach()


def test_a_failure_in_the_background_after_the_end_of_its_run_is_told():
    desk = Desk()
    notes = Notes(lambda: None)
    notes.attach()
    go, over = threading.Event(), threading.Event()

    def late(snapshot):
        go.wait(WAIT)
        over.set()
        raise OSError("no room")

    try:
        desk.callbacks.add("on_predict_batch_end", late, background=True)
        desk.play(PICTURES[:1])
        go.set()
        assert over.wait(WAIT)
        told = []
        until(lambda: told.extend(notes.take()) or told)
        assert [note.level for note in told] == [Level.ERROR]
        assert "OSError: no room" in told[0].text
        assert told[0].text.endswith("after the run had ended")
    finally:
        go.set()
        notes.detach()


def test_a_start_that_was_missed_is_told_of(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", "def on_predict_start(predictor): ...\n")
    with desk.run() as run:
        next(run)
        desk.hooks.load(path)
    assert desk.notes[-1][1] == "1 callback loaded from mine.py; on_predict_start is called when the next run begins"
    desk.hooks.detach()
    desk.hooks.load(path)
    assert desk.notes[-1][1] == "1 callback loaded from mine.py"


def test_a_built_in_that_fails_at_every_frame_is_noted_once_a_run():
    desk = Desk()

    def broken(predictor):
        raise OSError(f"frame {predictor.frame.index}")

    desk.callbacks.add("on_predict_batch_end", broken, on_error="log")
    for _ in range(2):
        assert desk.play() == 8
        row = desk.row(broken.__qualname__)
        assert (row.on, row.errors) == (True, 8)
        assert row.error.startswith("OSError: frame 7 (test_hooks.py line ")
    assert [text.partition(" (")[0].rpartition("<locals>.")[2] for text in desk.errors()] == [
        "broken failed in on_predict_batch_end: OSError: frame 0"
    ] * 2


def test_background_callbacks_are_watched_too():
    desk = Desk()

    def broken(snapshot):
        raise OSError("no room")

    desk.callbacks.add("on_predict_end", broken, on_error="disable", background=True)
    desk.play(PICTURES[:2])
    row = desk.row(broken.__qualname__, "on_predict_end")
    assert (row.background, row.on, row.errors) == (True, False, 1)
    assert "OSError: no room (test_hooks.py line " in row.status


def test_rows_may_be_read_and_switched_while_a_run_goes_on(tmp_path):
    desk = Desk()
    path = write(tmp_path / "mine.py", COUNTING)
    desk.hooks.load(path)
    over = threading.Event()
    failures = []

    def look():
        try:
            on = False
            while not over.is_set():
                for row in desk.hooks.rows():
                    if row.origin == "mine.py":
                        desk.hooks.switch(row.key, on)
                on = not on
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(3):
        desk.hooks.load(path)
        assert desk.play(PICTURES * 3) == 24
    over.set()
    thread.join(WAIT)
    assert failures == []
    assert desk.errors() == []
