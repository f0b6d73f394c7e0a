import dataclasses
import json

import pytest
from PyQt6.QtCore import QByteArray

from framehook.app.gui.settings_store import RECENT_AT_MOST, Settings, Store, default_folder, recent_icon, recent_name
from framehook.inference.options import PredictOptions


@pytest.fixture
def file(tmp_path):
    return tmp_path / "framehook.ini"


@pytest.fixture
def reopened(file):
    """Whatever was kept, as the next start of the app finds it."""
    stores = []

    def reopen():
        if stores:
            assert stores[-1].sync()
        stores.append(Store(file))
        return stores[-1]

    return reopen


CHOSEN = {
    "theme": "dark",
    "scale": 150,
    "start_with": "last",
    "conf": 0.55,
    "iou": 0.4,
    "tracker": None,
    "overlay": ("boxes", "blur"),
    "pace": "max",
    "loop": True,
    "device": "cpu",
}


def test_without_a_file_everything_is_the_default(reopened):
    store = reopened()
    assert store.settings() == Settings()
    assert store.settings().save_dir == default_folder()
    assert store.recent("source") == []
    assert store.flag("seen", True) is True
    assert store.text("folder", "here") == "here"
    assert store.window("main").isEmpty()


def test_settings_are_found_again(reopened, tmp_path):
    chosen = Settings(**CHOSEN, save_dir=tmp_path / "a folder, with = signs; and ü")
    reopened().save(chosen)
    assert reopened().settings() == chosen


def test_going_back_to_the_default_leaves_nothing_in_the_file(reopened, file):
    store = reopened()
    store.save(Settings(conf=0.9))
    store.save(Settings())
    reopened()
    assert "conf" not in (file.read_text() if file.exists() else "")


def test_settings_are_options_that_a_run_takes():
    settings = Settings(**CHOSEN)
    options = PredictOptions.build(settings.options())
    assert (options.conf, options.tracker, options.pace) == (0.55, None, "max")
    assert set(options.overlay) == {"boxes", "blur"}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("theme", '"purple"'),
        ("theme", "7"),
        ("scale", "110"),
        ("scale", "true"),
        ("start_with", "null"),
        ("conf", "1.5"),
        ("conf", "true"),
        ("conf", "NaN"),
        ("conf", '"high"'),
        ("iou", "-0.1"),
        ("tracker", "[1]"),
        ("overlay", '["boxes", "glitter"]'),
        ("overlay", "3"),
        ("pace", '"slow"'),
        ("loop", "1"),
        ("save_dir", '"relative/folder"'),
        ("save_dir", "{}"),
        ("device", "0"),
        ("conf", "no json"),
        ("conf", "@Invalid()"),
        ("conf", "@Rect(1 2 3 4)"),
        ("conf", "[" * 5000),
        ("conf", ""),
    ],
)
def test_a_value_that_is_damaged_or_out_of_range_reads_as_the_default(reopened, file, name, written):
    file.write_text(f"[settings]\n{name}={written}\nloop=true\n" if name != "loop" else f"[settings]\nloop={written}\n")
    settings = reopened().settings()
    assert getattr(settings, name) == getattr(Settings(), name)
    assert settings.loop is (name != "loop")  # the others count all the same


def test_a_file_that_is_no_settings_file_at_all_reads_as_none(reopened, file):
    file.write_bytes(bytes(range(256)) * 20)
    store = reopened()
    assert store.settings() == Settings()
    assert store.recent("model") == []


def test_every_setting_is_kept(reopened, tmp_path):
    """So that none is added to the class and forgotten by the store."""
    chosen = Settings(**CHOSEN, save_dir=tmp_path)
    assert all(getattr(chosen, each.name) != getattr(Settings(), each.name) for each in dataclasses.fields(Settings))
    store = reopened()
    store.save(chosen)
    assert all(getattr(store.settings(), each.name) == getattr(chosen, each.name) for each in dataclasses.fields(Settings))


def test_what_was_opened_before_is_listed_newest_first_without_doubles(reopened):
    store = reopened()
    for text in ("a.mp4", "b.mp4", "0", "a.mp4"):
        store.add_recent("source", text)
    assert reopened().recent("source") == ["a.mp4", "0", "b.mp4"]
    assert reopened().recent("model") == []


def test_no_more_are_remembered_than_fit_a_menu(reopened):
    store = reopened()
    for number in range(40):
        store.add_recent("model", f"{number}.onnx")
    assert store.recent("model") == [f"{number}.onnx" for number in range(39, 39 - RECENT_AT_MOST, -1)]


def test_one_or_all_can_be_forgotten(reopened):
    store = reopened()
    for text in ("a", "b", "c"):
        store.add_recent("callbacks", text)
    store.forget_recent("callbacks", "b")
    store.forget_recent("callbacks", "never there")
    assert store.recent("callbacks") == ["c", "a"]
    store.forget_recent("callbacks")
    assert reopened().recent("callbacks") == []


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("rtsp://me:hush@door.local:554/live", ["rtsp://door.local:554/live"]),
        ("http://cam/video?user=me&password=hush&x=1", ["http://cam/video?user=***&password=***&x=1"]),
        ("rtsp:/me:hush@door.local/live", []),
        ("me:hush@door.local", []),
        ("  rtsp://door/live  ", ["rtsp://door/live"]),
        ("testsrc:640x480@30:live", ["testsrc:640x480@30:live"]),
        ("screen:1@15", ["screen:1@15"]),
        ("   ", []),
    ],
)
def test_no_password_ever_reaches_the_file(reopened, file, typed, kept):
    store = reopened()
    store.add_recent("source", typed)
    assert store.recent("source") == kept
    reopened()
    assert "hush" not in (file.read_text() if file.exists() else "")


def test_a_file_whose_name_looks_like_an_address_is_remembered(reopened, tmp_path):
    odd = tmp_path / "at 10:30 with me@work.mp4"
    odd.touch()
    store = reopened()
    store.add_recent("source", str(odd))
    assert store.recent("source") == [str(odd)]


def test_flags_texts_and_what_windows_say_of_themselves_are_found_again(reopened):
    store = reopened()
    store.set_flag("seen", True)
    store.set_text("folder", "C:\\videos\\a, b")
    state = QByteArray(bytes(range(256)))
    store.set_window("main", state)
    again = reopened()
    assert again.flag("seen") is True
    assert again.text("folder") == "C:\\videos\\a, b"
    assert again.window("main") == state


def test_a_window_state_that_is_damaged_is_just_refused_by_the_window(reopened, file):
    file.write_text(f"[windows]\nmain={json.dumps('äöü %%% no base64')}\nother=5\n")
    store = reopened()
    assert isinstance(store.window("main"), QByteArray)
    assert store.window("other").isEmpty()


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    store = Store(tmp_path / "no" / "such" / "folder.ini")
    (tmp_path / "no").write_text("a file where a folder would have to be")
    store.set_flag("seen", True)
    assert store.sync() is False


@pytest.mark.parametrize(
    ("text", "name", "sign"),
    [
        ("0", "Camera 0", "camera"),
        ("/dev/video2", "Camera 2", "camera"),
        ("/home/me/clip.mp4", "clip.mp4", "video"),
        ("rtsp://me:hush@door:554/live?x=1", "door:554/live", "link"),
        ("screen:1@15", "Screen 1@15", "screen"),
        ("testsrc", "Test scene", "scene"),
    ],
)
def test_what_was_opened_before_has_a_short_name_and_an_icon(text, name, sign):
    assert (recent_name(text), recent_icon(text)) == (name, sign)
