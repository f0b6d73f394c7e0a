import sys
import textwrap

import pytest

from framehook.inference.callbacks import Callback, Callbacks
from framehook.inference.callbacks.userfile import load_callbacks
from framehook.inference.errors import CallbackError, CallbackFileError, CallbackSignatureError, UnknownEventError

from .scenes import start


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.py"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    return write


GOOD = """
    from __future__ import annotations
    from dataclasses import dataclass, field
    from framehook import Callback

    seen = []

    def on_predict_start(predictor):
        seen.append("start")

    def helper(x):
        return x

    @dataclass
    class Counter(Callback):
        frames: list[int] = field(default_factory=list)

        def on_predict_batch_end(self, predictor):
            seen.append(predictor.frame.index)

    class Base(Callback):
        def on_predict_end(self, predictor):
            seen.append(self.word)

    class Ending(Base):
        word = "end"

    class Given(Callback):
        def __init__(self, word):
            self.word = word

        def on_predict_end(self, predictor):
            seen.append(self.word)

    given = Given("given")
    again = given
    _hidden = Given("hidden")
"""


def test_functions_objects_and_classes_are_found_and_called(write):
    callbacks = Callbacks()
    found = load_callbacks(write(GOOD), callbacks)
    kinds = [each.event if isinstance(each.event, str) else type(each.event).__name__ for each in found]
    assert kinds == ["on_predict_start", "Counter", "Ending", "Given"]
    list(start("testsrc:64x48@30:3", callbacks=callbacks))
    seen = found[0].function.__globals__["seen"]
    assert seen == ["start", 0, 1, 2, "end", "given"]


def test_two_files_of_one_name_do_not_clash_and_leave_nothing_behind(write):
    before = list(sys.path), {name for name in sys.modules if "mine" in name}
    one = write("word = 'one'\ndef on_predict_end(predictor): return word", "mine.py")
    two = write("word = 'two'\ndef on_predict_end(predictor): return word", "other/mine.py")
    words = [load_callbacks(file)[0].function(None) for file in (one, two)]
    assert words == ["one", "two"]
    assert (list(sys.path), {name for name in sys.modules if "mine" in name}) == before
    assert not (one.parent / "__pycache__").exists()


def test_a_file_runs_each_time_it_is_loaded(write):
    file = write("count = []\ndef on_predict_end(predictor):\n    count.append(1)\n    return len(count)")
    first, second = load_callbacks(file)[0], load_callbacks(file)[0]
    assert [first.function(None), first.function(None), second.function(None)] == [1, 2, 1]


NEEDY = """
from framehook import Callback
class A(Callback):
    def __init__(self, n): ...
    def on_predict_end(self, p): ...
"""
NEEDY_MESSAGE = (
    "{file}: A cannot be made without arguments (TypeError: A.__init__() missing 1 required positional argument: 'n'); "
    "make one in the file: name = A(...)"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef broken(:\n    pass", "{file}, line 2: SyntaxError: invalid syntax"),
        (
            "def f():\nreturn 1",
            "{file}, line 2: IndentationError: expected an indented block after function definition on line 1",
        ),
        ("\n\nimport no_such_package", "{file}, line 3: ModuleNotFoundError: No module named 'no_such_package'"),
        ("def f():\n    return 1 / 0\n\nf()", "{file}, line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)", "{file}, line 2: SystemExit: 3"),
        (
            "x = 1",
            "{file} holds no callback; define a function named after an event, such as on_predict_batch_end(predictor)",
        ),
        (
            NEEDY,
            NEEDY_MESSAGE,
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(write, text, message):
    file = write(text)
    before = set(sys.modules)
    with pytest.raises(CallbackFileError) as caught:
        load_callbacks(file)
    assert str(caught.value) == message.format(file=file)
    assert not {name for name in set(sys.modules) - before if name.startswith("framehook_callbacks")}


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(CallbackFileError, match=r"gone\.py does not exist; pass a Python file of callbacks"):
        load_callbacks(tmp_path / "gone.py")
    with pytest.raises(CallbackFileError, match="cannot be read: Is a directory"):
        load_callbacks(tmp_path)
    (tmp_path / "binary.py").write_bytes(b"\x00\x01")
    with pytest.raises(CallbackFileError, match=r"binary\.py"):
        load_callbacks(tmp_path / "binary.py")


def test_a_name_that_is_no_event_is_told_with_the_nearest(write):
    file = write("\ndef on_predict_batch_ends(predictor):\n    pass")
    with pytest.raises(UnknownEventError) as caught:
        load_callbacks(file)
    assert str(caught.value) == (
        f"{file}, line 2: 'on_predict_batch_ends' is named after no event. Did you mean 'on_predict_batch_end'?"
    )
    method = write("from framehook import Callback\nclass A(Callback):\n    def on_predict_strat(self, p): ...")
    with pytest.raises(UnknownEventError) as caught:
        load_callbacks(method)
    assert str(caught.value) == (
        f"{method}, line 2: A.on_predict_strat is named after no event. Did you mean 'on_predict_start'?"
    )


def test_all_callbacks_of_a_file_are_registered_or_none(write):
    callbacks = Callbacks()
    file = write("def on_predict_start(predictor): ...\ndef on_predict_end(): ...")
    with pytest.raises(CallbackSignatureError):
        load_callbacks(file, callbacks)
    assert list(callbacks) == []


def test_an_object_from_the_library_counts_as_well(write):
    found = load_callbacks(write("from framehook.inference.callbacks import Overlay\ntrails = Overlay('trails')"))
    assert [type(each.event).__name__ for each in found] == ["Overlay"]
    assert isinstance(found[0].event, Callback)


def test_a_file_imports_its_neighbours_and_leaves_the_path_as_it_was(write, monkeypatch):
    write("limit = 3", "neighbour_of_mine.py")
    before = list(sys.path)
    file = write("import neighbour_of_mine\ndef on_predict_start(predictor):\n    predictor.limit = neighbour_of_mine.limit")
    (found,) = load_callbacks(file)
    monkeypatch.delitem(sys.modules, "neighbour_of_mine")
    assert found.function.__globals__["neighbour_of_mine"].limit == 3
    broken = write("import neighbour_of_nobody", "broken.py")
    with pytest.raises(CallbackFileError, match=r"broken\.py, line 1: ModuleNotFoundError"):
        load_callbacks(broken)
    assert sys.path == before


def test_an_error_in_a_callback_names_the_line_of_its_file(write):
    callbacks = Callbacks()
    load_callbacks(write("def on_predict_start(predictor):\n    check()\ndef check():\n    int('boo')"), callbacks)
    with pytest.raises(CallbackError, match=r": ValueError: invalid literal .*'boo' \(mine\.py line 4\)$"):
        list(start("testsrc:64x48@30:3", callbacks=callbacks))
