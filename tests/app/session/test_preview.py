import threading
import time

import numpy as np
import pytest

from framehook.app.session.preview import Preview, PreviewPhase, ScreenSearch
from framehook.inference.errors import MissingDependencyError, SourceUnavailableError
from framehook.inference.sources import Source, TestSource
from framehook.inference.sources.testsrc import frame_number

WAIT = 60.0


class Watch:
    """Waits for what a preview tells."""

    def __init__(self):
        self._told = threading.Condition()
        self.times = 0

    def __call__(self):
        with self._told:
            self.times += 1
            self._told.notify_all()

    def until(self, holds):
        with self._told:
            assert self._told.wait_for(holds, WAIT)

    def picture(self, preview):
        found = []
        self.until(lambda: found or (found.append(picture) if (picture := preview.take()) is not None else None) or found)
        return found[0]


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def show(watch):
    shown = []

    def start(spec, **options):
        shown.append(Preview(spec, watch, **options))
        return shown[-1]

    yield start
    for preview in shown:
        preview.close()
        assert preview.join(WAIT)


class OneCamera(Source):
    """Like a camera, of which there is one: nobody else can open the file that it makes meanwhile."""

    endless = True

    def __init__(self, path, may_close=None):
        try:
            path.touch(exist_ok=False)
        except FileExistsError as error:
            raise SourceUnavailableError(f"{path.name} is taken") from error
        self._path = path
        self._may_close = may_close
        self._scene = TestSource(size=(64, 48), live=True)
        self.info = self._scene.info

    @property
    def held(self):
        return self._path.exists()

    def read(self):
        return self._scene.read()

    def interrupt(self):
        self._scene.interrupt()

    def close(self):
        self._scene.close()
        assert self._may_close is None or self._may_close.wait(WAIT)
        self._path.unlink()


def test_a_live_source_is_shown_picture_after_picture_at_the_size_asked_for(show, watch):
    preview = show("testsrc:640x480@60:live", size=(320, 320))
    numbers = []
    for _ in range(3):
        picture = watch.picture(preview)
        assert picture.shape == (240, 320, 4)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
        assert (picture[..., 3] == 255).all()
        numbers.append(frame_number(picture[..., :3]))
    assert numbers == sorted(set(numbers))
    assert preview.state.phase is PreviewPhase.SHOWING
    assert preview.state.source.size == (640, 480)


def test_the_colours_are_those_of_the_source(show, watch):
    with TestSource(size=(64, 48)) as scene:
        original = scene.read().image
    picture = watch.picture(show("testsrc:64x48@30:1:live", size=(64, 48)))
    np.testing.assert_array_equal(picture[..., :3], original)


def test_nothing_is_made_while_nobody_takes_it(show, watch):
    preview = show("testsrc:64x48@200:live")
    watch.until(lambda: watch.times == 2)  # it is open, and there is a picture
    time.sleep(0.1)  # twenty frames go by
    assert watch.times == 2
    assert preview.state.phase is PreviewPhase.SHOWING
    assert watch.picture(preview) is not None


def test_a_small_source_is_enlarged_to_the_size_of_the_window(show, watch):
    preview = show("testsrc:64x48@60:live", size=(128, 128))
    assert watch.picture(preview).shape[:2] == (96, 128)
    preview.fit((640, 96))
    for _ in range(2):  # one may have been made before
        picture = watch.picture(preview)
    assert picture.shape[:2] == (96, 128)


def test_a_file_shows_its_first_picture_and_is_let_go_of(show, watch, clip):
    preview = show(clip, size=(160, 160))
    assert frame_number(watch.picture(preview)[..., :3]) == 0
    assert preview.join(WAIT)
    assert preview.state.phase is PreviewPhase.SHOWING
    assert preview.state.source.frame_count == 20


def test_what_is_wrong_is_told_in_words(show, watch, tmp_path):
    preview = show(tmp_path / "gone.mp4")
    watch.until(lambda: preview.state.phase is PreviewPhase.FAILED)
    assert "gone.mp4 does not exist" in preview.state.reason
    assert preview.take() is None


def test_a_camera_that_is_not_there_is_told_in_words(show, watch):
    preview = show(97)
    watch.until(lambda: preview.state.phase is PreviewPhase.FAILED)
    assert "camera 97 cannot be opened" in preview.state.reason


def test_passwords_are_not_in_what_is_told(show, watch):
    preview = show("http://me:hush@127.0.0.1:9/stream")
    watch.until(lambda: preview.state.phase is PreviewPhase.FAILED)
    assert "127.0.0.1" in preview.state.reason
    assert "hush" not in preview.state.reason


def test_a_source_that_raises_something_else_is_told_as_well(show, watch):
    def broken(_spec):
        raise ZeroDivisionError("the driver divides")

    preview = show(0, make=broken)
    watch.until(lambda: preview.state.phase is PreviewPhase.FAILED)
    assert preview.state.reason == "ZeroDivisionError: the driver divides"


def test_a_source_can_be_opened_again_once_it_is_said_to_be_released(show, watch, tmp_path):
    path, may_close, released = tmp_path / "camera", threading.Event(), threading.Event()
    preview = show(path, make=lambda path: OneCamera(path, may_close))
    watch.until(lambda: preview.state.phase is PreviewPhase.SHOWING)
    with pytest.raises(SourceUnavailableError):
        OneCamera(path)
    opened = []
    preview.close(lambda: (opened.append(OneCamera(path)), released.set()))
    assert not released.is_set()  # it does not wait for the thread
    may_close.set()
    assert released.wait(WAIT)
    opened[0].close()


def test_who_closes_it_twice_or_late_is_told_as_well(show, watch, clip):
    preview = show(clip)
    assert preview.join(WAIT)
    told = []
    preview.close(lambda: told.append(1))
    preview.close(lambda: told.append(2))
    assert told == [1, 2]


def test_nobody_is_called_once_it_is_closed(show, watch):
    going_on = threading.Event()

    def slow(_spec):
        assert going_on.wait(WAIT)
        return TestSource(size=(64, 48), live=True)

    preview = show(0, make=slow)
    preview.close()
    before = watch.times
    going_on.set()
    assert preview.join(WAIT)
    assert watch.times == before
    assert preview.take() is None


def test_a_source_that_opens_late_is_closed_at_once(show, tmp_path):
    going_on, released = threading.Event(), threading.Event()
    made = []

    def slow(_spec):
        assert going_on.wait(WAIT)
        made.append(OneCamera(tmp_path / "camera"))
        return made[-1]

    preview = show(0, make=slow)
    preview.close(released.set)
    assert not released.is_set()
    going_on.set()
    assert released.wait(WAIT)
    assert not made[0].held


def test_the_screens_are_found_or_said_to_be_missing():
    found = []
    done = threading.Event()

    def take(screens, reason):
        found.append((screens, reason))
        done.set()

    search = ScreenSearch(take)
    assert done.wait(WAIT)
    search.close()
    screens, reason = found[0]
    assert bool(screens) != bool(reason)


def test_why_screens_cannot_be_listed_is_told():
    found = []
    done = threading.Event()

    def missing():
        raise MissingDependencyError("screens are read with mss; pip install 'framehook[screen]'")

    ScreenSearch(lambda *what: (found.append(what), done.set()), missing)
    assert done.wait(WAIT)
    assert found == [([], "screens are read with mss; pip install 'framehook[screen]'")]
