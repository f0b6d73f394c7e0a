"""What the actions do where they are asked for in quick succession, or one instead of another."""

import pytest

from framehook.app.gui import handlers
from framehook.app.session.state import Phase
from framehook.inference.callbacks.overlay import LAYERS

from .view_scenes import until
from .window_scenes import (
    FILE,
    LIVE,
    clock,
    frames_of,
    hold,
    is_on,
    message,
    notes,
    open_source,
    press,
    saved,
    seconds,
    status,
    troubles,
)


def plays(window, spec):
    state = window.bridge.state
    return [each.spec for each in state.slots] == [spec] and state.phase is Phase.PLAYING


@pytest.mark.parametrize("loop", [False, True])
def test_what_is_opened_before_the_demo_clip_came_plays_as_it_was_chosen(window, loop):
    if loop:
        press(window, "loop")
    window.handlers.open_demo()
    window.handlers.open_spec(FILE)
    until(lambda: plays(window, FILE))
    assert is_on(window, "loop") is loop


def test_what_is_opened_after_the_demo_clip_was_stopped_before_it_came_plays_as_it_was_chosen(window):
    window.handlers.open_demo()
    window.actions_by_name["stop"].setEnabled(True)  # as it is while the clip is being opened, which is soon over
    window.actions_by_name["stop"].trigger()
    until(lambda: not is_on(window, "loop"))
    open_source(window, FILE)
    assert not is_on(window, "loop")


def test_beside_the_demo_clip_which_plays_on_it_goes_on_to_be_repeated(window):
    window.handlers.open_demo()
    until(lambda: window.bridge.session.figures().painting.shown)
    window.handlers.open_spec(LIVE, beside=True)
    until(lambda: len(window.bridge.state.slots) == 2)
    assert is_on(window, "loop")


def test_to_record_twice_at_once_is_not_to_record(window):
    open_source(window, LIVE)
    press(window, "record")
    press(window, "record")
    until(lambda: any("video was saved" in each or each.startswith("Saved") for each in notes(window)))
    until(lambda: not is_on(window, "record"))
    assert not any("already" in each for each in troubles(window))
    there = set(saved(window, ".mp4"))
    press(window, "record")
    until(lambda: is_on(window, "record"))
    painted = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown > painted + 5)
    press(window, "record")
    until(lambda: not any(take.going_on or take.finishing for take in window.bridge.state.takes))
    (video,) = set(saved(window, ".mp4")) - there
    assert frames_of(video)
    until(lambda: message(window).startswith("Note: Saved") and video.name in message(window))


def test_to_pause_twice_at_once_is_to_play_on(window):
    open_source(window, FILE)
    for _ in range(2):
        window.actions_by_name["play_pause"].trigger()  # as if both keys were waiting, before anything was told
    press(window, "loop")
    until(lambda: is_on(window, "loop"))
    shown = window.bridge.session.figures().painting.shown
    until(lambda: window.bridge.session.figures().painting.shown > shown + 5)
    assert status(window).startswith("Playing")


def test_steps_beyond_the_start_and_the_end_of_a_file_need_not_be_taken_back(window, monkeypatch):
    monkeypatch.setattr(handlers, "SUCCESSION", 60.0)  # however long the machine takes for some keys
    open_source(window, FILE)
    hold(window)
    for _ in range(4):
        press(window, "back")
    press(window, "forward")
    until(lambda: seconds(window) == 5)
    window.bridge.session.seek(195.0)
    until(lambda: seconds(window) == 195)
    monkeypatch.setattr(handlers, "SUCCESSION", 0.0)
    press(window, "forward")  # a new succession of steps
    monkeypatch.setattr(handlers, "SUCCESSION", 60.0)
    for _ in range(3):
        press(window, "forward")
    press(window, "back")
    until(lambda: clock(window).startswith("3:15"))


def letters(menu):
    menu.aboutToShow.emit()
    texts = [action.text().replace("&&", "") for action in menu.actions() if not action.isSeparator()]
    assert all(text.count("&") == 1 for text in texts), texts
    return [text[text.index("&") + 1].lower() for text in texts]


def test_each_entry_of_the_menus_that_are_filled_meanwhile_has_a_letter_or_a_digit_of_its_own(window, store):
    for number in range(3):
        store.add_recent("source", f"/clips/r&d {number}.mp4")
        store.add_recent("model", f"/models/{number}.onnx")
        store.add_recent("callbacks", f"/callbacks/{number}.py")
    for name, menu in window.actions_by_name.submenus.items():
        chosen = letters(menu)
        assert len(set(chosen)) == len(chosen), (name, chosen)
    recent = window.actions_by_name.submenus["recent_sources"]
    assert [action.text() for action in recent.actions()][:2] == ["&1 r&&d 2.mp4", "&2 r&&d 1.mp4"]


def test_the_layers_are_named_and_ordered_as_in_the_panel(window):
    menu = [action.text().replace("&", "") for action in window.actions_by_name.submenus["overlay"].actions()]
    assert menu == [box.text() for box in window.tuning.layers.values()]
    assert len(menu) == len(LAYERS)
