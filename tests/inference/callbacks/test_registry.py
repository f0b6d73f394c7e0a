import functools
import threading

import pytest

from framehook.inference.callbacks import Callback, Callbacks, registry
from framehook.inference.errors import (
    CallbackError,
    CallbackSignatureError,
    OptionError,
    UnknownEventError,
)
from framehook.inference.events import EVENTS, PredictEvent

from ..scripted import PATIENCE  # noqa: TID252 - what the tests of runs wait with


class StandIn:
    """An engine that is nowhere in particular."""

    def snapshot(self):
        return "snapshot"

    def where(self):
        return "frame 4 of clip.mp4"


ENGINE = StandIn()


def test_there_are_the_twenty_five_events_of_the_design():
    assert len(EVENTS) == 27  # and two beyond them, on_source_change and on_export_progress
    assert {engine: list(EVENTS.values()).count(engine) for engine in set(EVENTS.values())} == {
        "predict": 6,
        "export": 3,
        "train": 14,
        "val": 4,
    }


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_can_be_registered_by_name_and_by_method(event):
    calls = []
    callbacks = Callbacks()
    callbacks.add(event, calls.append)
    callbacks.add(type("Each", (Callback,), {event: lambda self, engine: calls.append("object")})())
    callbacks.fire(event, ENGINE)
    assert calls == [ENGINE, "object"]


def test_a_misspelt_event_names_the_nearest():
    with pytest.raises(UnknownEventError) as caught:
        Callbacks().add("on_predict_batch_ended", print)
    assert str(caught.value) == "unknown event 'on_predict_batch_ended'. Did you mean 'on_predict_batch_end'?"
    with pytest.raises(UnknownEventError, match=r"unknown event 'xyzzy'\. The events of a predictor are on_predict_start, "):
        Callbacks().add("xyzzy", print)


def test_a_misspelt_method_fails_when_the_class_is_made():
    with pytest.raises(UnknownEventError, match=r"Typo\.on_predict_begin is named after no event\. Did you mean 'on_predict_"):
        type("Typo", (Callback,), {"on_predict_begin": lambda self, predictor: None})


def test_a_callable_that_cannot_take_the_engine_is_refused():
    def two(predictor, other): ...

    with pytest.raises(CallbackSignatureError) as caught:
        Callbacks().add("on_predict_end", two)
    assert "two(predictor, other)' of on_predict_end cannot be called with one positional argument, the engine" in str(
        caught.value
    )
    with pytest.raises(CallbackSignatureError):
        Callbacks().add("on_predict_end", lambda *, predictor: None)
    with pytest.raises(CallbackSignatureError, match="the callback of on_predict_end is 3; pass a callable"):
        Callbacks().add("on_predict_end", 3)
    with pytest.raises(CallbackSignatureError, match="is None"):
        Callbacks().add("on_predict_end")


def test_anything_that_takes_one_argument_is_taken():
    calls = []

    class Object:
        def method(self, engine):
            calls.append("method")

        def __call__(self, engine, optional=1):
            calls.append("call")

    callbacks = Callbacks()
    callbacks.add("on_predict_end", Object().method)
    callbacks.add("on_predict_end", Object())
    callbacks.add("on_predict_end", functools.partial(lambda extra, engine: calls.append(extra), "partial"))
    callbacks.add("on_predict_end", lambda *anything: calls.append("star"))
    callbacks.fire("on_predict_end", ENGINE)
    assert calls == ["method", "call", "partial", "star"]


def test_callbacks_run_by_order_and_then_as_added():
    calls = []
    parent = Callbacks()
    child = Callbacks(parent)
    parent.add("on_predict_end", lambda engine: calls.append("second"))
    child.add("on_predict_end", lambda engine: calls.append("last"), order=100)
    child.add("on_predict_end", lambda engine: calls.append("third"))
    parent.add("on_predict_end", lambda engine: calls.append("first"), order=-100)
    child.fire("on_predict_end", ENGINE)
    assert calls == ["first", "second", "third", "last"]


def test_an_object_registers_only_what_it_overrides_and_one_handle_removes_it():
    class Two(Callback):
        order = -5

        def on_predict_start(self, predictor): ...
        def on_predict_end(self, predictor): ...

    callbacks = Callbacks()
    handle = callbacks.add(Two())
    assert [(each.event, each.order) for each in callbacks] == [("on_predict_start", -5), ("on_predict_end", -5)]
    assert not callbacks.has(PredictEvent.BATCH_START)
    handle.remove()
    handle.remove()
    assert list(callbacks) == []


def test_registering_and_removing_take_effect_with_the_next_event():
    calls = []
    parent = Callbacks()
    child = Callbacks(parent)
    child.fire("on_predict_end", ENGINE)
    handle = parent.add("on_predict_end", calls.append)
    child.fire("on_predict_end", ENGINE)
    handle.remove()
    child.fire("on_predict_end", ENGINE)
    assert calls == [ENGINE]


def test_the_decorator_leaves_the_function_what_it_was():
    callbacks = Callbacks()

    @callbacks.on("on_predict_end", order=3)
    def show(engine):
        return 7

    assert show(None) == 7
    assert [each.order for each in callbacks] == [3]


def failing(engine):
    raise ValueError("no\nluck")


def test_raise_names_event_callback_and_frame_and_chains_the_original():
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", failing)
    with pytest.raises(CallbackError) as caught:
        callbacks.fire("on_predict_batch_end", ENGINE)
    assert str(caught.value) == (
        "callback 'failing' failed in on_predict_batch_end at frame 4 of clip.mp4: "
        f"ValueError: no luck (test_registry.py line {failing.__code__.co_firstlineno + 1})"
    )
    assert isinstance(caught.value.__cause__, ValueError)
    assert (caught.value.event, caught.value.callback) == ("on_predict_batch_end", "failing")


def test_the_line_is_that_of_the_callback_however_it_is_wrapped():
    class Calls:
        def __call__(self, engine):
            failing(engine)

        def method(self, engine):
            failing(engine)

    @functools.wraps(failing)
    def wrapped(engine):
        failing(engine)

    for function in (Calls(), Calls().method, wrapped, functools.partial(lambda _, engine: failing(engine), 1)):
        callbacks = Callbacks()
        callbacks.add("on_predict_end", function)
        with pytest.raises(CallbackError, match=r"no luck \(test_registry\.py line \d+\)$"):
            callbacks.fire("on_predict_end", ENGINE)
    callbacks = Callbacks()
    callbacks.add("on_predict_end", int)  # has no lines
    with pytest.raises(CallbackError, match=r"'StandIn'$"):
        callbacks.fire("on_predict_end", ENGINE)


def test_log_goes_on_and_disable_goes_on_without_it(caplog):
    calls = []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", failing, on_error="log")
    callbacks.add("on_predict_batch_end", lambda engine: (calls.append(1), failing(engine)), on_error="disable")
    callbacks.add("on_predict_batch_end", lambda engine: calls.append(2))
    for _ in range(3):
        callbacks.fire("on_predict_batch_end", ENGINE)
    assert calls == [1, 2, 2, 2]
    messages = [record.message for record in caplog.records]
    assert sum("'failing' failed" in message for message in messages) == 3
    assert sum("it is switched off for this run" in message for message in messages) == 1


def test_what_is_switched_off_in_one_run_stays_on_in_another(caplog):
    parent = Callbacks()
    parent.add("on_predict_end", failing, on_error="disable")
    first, second = Callbacks(parent), Callbacks(parent)
    first.fire("on_predict_end", ENGINE)
    first.fire("on_predict_end", ENGINE)
    assert len(caplog.records) == 1
    second.fire("on_predict_end", ENGINE)
    assert len(caplog.records) == 2


def test_every_end_callback_runs_and_the_errors_come_back():
    calls = []
    callbacks = Callbacks()
    callbacks.add("on_predict_end", failing)
    callbacks.add("on_predict_end", calls.append)
    callbacks.add("on_predict_end", failing)
    errors = callbacks.fire_all("on_predict_end", ENGINE)
    assert calls == [ENGINE]
    assert [type(error.__cause__) for error in errors] == [ValueError, ValueError]


def test_an_unknown_error_policy_is_refused():
    with pytest.raises(OptionError, match="on_error='ignore' is unknown; pass 'raise', 'log' or 'disable'"):
        Callbacks().add("on_predict_end", print, on_error="ignore")


def test_interrupts_pass_through_unchanged():
    def interrupt(engine):
        raise KeyboardInterrupt

    callbacks = Callbacks()
    callbacks.add("on_predict_end", interrupt, on_error="log")
    with pytest.raises(KeyboardInterrupt):
        callbacks.fire("on_predict_end", ENGINE)


def test_what_is_no_event_says_what_to_pass():
    class Mine(Callback):
        def on_predict_end(self): ...

    callbacks = Callbacks()
    for given, shown in ((Mine, "the class Mine"), (None, "None"), (print, "<built-in function print>")):
        with pytest.raises(CallbackSignatureError) as caught:
            callbacks.add(given)
        assert str(caught.value) == f"{shown} is no event; pass an event's name and a callable, or a Callback object"
    with pytest.raises(CallbackSignatureError, match=r"Mine\.on_predict_end\(\)' of on_predict_end cannot be called with one"):
        callbacks.add(Mine())
    assert list(callbacks) == []


def test_objects_are_found_by_their_class():
    class Mine(Callback):
        def on_predict_start(self, predictor): ...
        def on_predict_end(self, predictor): ...

    parent = Callbacks()
    child = Callbacks(parent)
    mine = Mine()
    handle = parent.add(mine)
    child.add("on_predict_end", print)
    assert child.objects(Mine) == (mine,)
    handle.remove()
    assert child.objects(Mine) == ()


def registered(callbacks, name):
    return next(each for each in callbacks if each.name == name)


def test_a_callback_that_is_switched_off_is_not_called_until_it_is_switched_on():
    calls = []

    def first(engine):
        calls.append("first")

    def second(engine):
        calls.append("second")

    callbacks = Callbacks()
    for each in (first, second):
        callbacks.add("on_predict_batch_end", each)
    one = next(iter(callbacks))
    for on in (True, False, False, True):
        callbacks.switch(one, on)
        assert callbacks.is_on(one) is on
        callbacks.fire("on_predict_batch_end", ENGINE)
        calls.append("|")
    assert calls == ["first", "second", "|", "second", "|", "second", "|", "first", "second", "|"]


def test_only_the_chosen_event_of_an_object_is_switched_off():
    calls = []

    class Two(Callback):
        def on_predict_start(self, predictor):
            calls.append("start")

        def on_predict_end(self, predictor):
            calls.append("end")

    callbacks = Callbacks()
    callbacks.add(Two())
    callbacks.switch(next(each for each in callbacks if each.event == "on_predict_start"), False)
    assert not callbacks.has("on_predict_start")
    callbacks.fire("on_predict_start", ENGINE)
    callbacks.fire_all("on_predict_end", ENGINE)
    assert calls == ["end"]


def test_what_a_parent_switches_off_is_off_in_every_run_below_while_they_go_on():
    calls = []
    parent = Callbacks()
    parent.add("on_predict_end", lambda engine: calls.append("called"))
    runs = Callbacks(parent), Callbacks(parent)
    one = next(iter(parent))
    for run in runs:
        run.fire("on_predict_end", ENGINE)
    parent.switch(one, False)
    runs[0].switch(one, True)  # a run has no say in what its parent has switched off
    for run in runs:
        assert not run.is_on(one)
        run.fire("on_predict_end", ENGINE)
    assert len(calls) == 2
    parent.switch(one, True)
    runs[1].switch(one, False)
    for run in runs:
        run.fire("on_predict_end", ENGINE)
    assert len(calls) == 3
    assert parent.is_on(one)


def test_what_was_switched_off_for_it_raised_can_be_switched_on_again(caplog):
    parent = Callbacks()
    parent.add("on_predict_batch_end", failing, on_error="disable")
    run = Callbacks(parent)
    one = next(iter(parent))
    for times in (1, 2):
        run.fire("on_predict_batch_end", ENGINE)
        run.fire("on_predict_batch_end", ENGINE)
        assert (run.is_on(one), parent.is_on(one)) == (False, True)
        assert len(caplog.records) == times
        run.switch(one, True)
        assert run.is_on(one)


def test_switching_what_is_not_registered_does_nothing():
    callbacks, others = Callbacks(), Callbacks()
    handle = callbacks.add("on_predict_end", print)
    one = next(iter(callbacks))
    others.switch(one, False)
    assert others.is_on(one)
    callbacks.switch(one, False)
    handle.remove()
    callbacks.switch(one, False)
    assert callbacks.is_on(one)


def test_the_observer_is_told_of_every_call_how_long_it_took_and_what_it_raised(caplog):
    told = []
    waiting = threading.Event()

    def slow(engine):
        waiting.wait(0.02)

    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", slow)
    callbacks.add("on_predict_batch_end", failing, on_error="log")
    callbacks.observer = lambda *call: told.append(call)
    callbacks.fire("on_predict_batch_end", ENGINE)
    (slow_one, seconds, nothing), (failing_one, no_seconds, error) = told
    assert [each.name.rpartition(".")[2] for each in (slow_one, failing_one)] == ["slow", "failing"]
    assert seconds >= 0.019
    assert 0 <= no_seconds < seconds
    assert nothing is None
    assert str(error) == "no\nluck"
    assert "failing' failed" in caplog.text


def test_what_is_raised_is_the_same_with_an_observer_as_without():
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", failing)
    texts = []
    for observer in (None, lambda *call: None):
        callbacks.observer = observer
        with pytest.raises(CallbackError) as caught:
            callbacks.fire("on_predict_batch_end", ENGINE)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]
    assert "(test_registry.py line" in texts[0]


def test_an_observer_is_in_force_from_the_next_event_on_and_a_run_has_its_parents_or_its_own():
    told = []
    parent = Callbacks()
    run = Callbacks(parent)
    run.add("on_predict_end", lambda engine: None)
    run.fire("on_predict_end", ENGINE)
    parent.observer = lambda *call: told.append("parent")
    run.fire("on_predict_end", ENGINE)
    run.observer = lambda *call: told.append("run")
    run.fire_all("on_predict_end", ENGINE)
    run.observer = None
    run.fire("on_predict_end", ENGINE)
    parent.observer = None
    run.fire("on_predict_end", ENGINE)
    assert told == ["parent", "run", "parent"]


def test_the_observer_is_told_of_background_calls_from_their_worker(monkeypatch):
    monkeypatch.setattr(registry, "DRAIN_SECONDS", PATIENCE)
    told = []
    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", failing, background=True, on_error="log")
    callbacks.observer = lambda registration, seconds, error: told.append((str(error), threading.current_thread()))
    callbacks.fire("on_predict_batch_end", ENGINE)
    assert callbacks.close() == []
    ((text, thread),) = told
    assert text == "no\nluck"
    assert thread is not threading.current_thread()


def test_background_calls_that_wait_are_not_made_once_the_callback_is_switched_off():
    calls = []
    entered, go_on = threading.Event(), threading.Event()

    def wait(snapshot):
        calls.append(snapshot)
        entered.set()
        go_on.wait(PATIENCE)

    callbacks = Callbacks()
    callbacks.add("on_predict_batch_end", wait, background=True)
    for _ in range(3):
        callbacks.fire("on_predict_batch_end", ENGINE)
    assert entered.wait(PATIENCE)
    callbacks.switch(next(iter(callbacks)), False)
    go_on.set()
    callbacks.close()
    assert len(calls) == 1


def test_switching_from_another_thread_while_events_fire_leaves_it_as_it_was_switched_last():
    calls = []
    parent = Callbacks()
    parent.add("on_predict_batch_end", calls.append)
    run = Callbacks(parent)
    one = next(iter(parent))
    over = threading.Event()

    def fire():
        while not over.is_set():
            run.fire("on_predict_batch_end", ENGINE)

    def look():
        while not over.is_set():
            run.objects(Callback)
            run.has("on_predict_batch_end")

    threads = [threading.Thread(target=each) for each in (fire, look)]
    for thread in threads:
        thread.start()
    for _ in range(300):
        parent.switch(one, False)
        parent.switch(one, True)
    parent.switch(one, False)
    over.set()
    for thread in threads:
        thread.join()
    before = len(calls)
    run.fire("on_predict_batch_end", ENGINE)
    assert len(calls) == before
