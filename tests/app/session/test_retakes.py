"""What is changed while a picture stands shows on it at once, and on nothing else."""

import itertools
import threading
import time

import av
import cv2
import numpy as np
import pytest

from framehook.app.session.state import Level, Phase
from framehook.inference.backends import FunctionBackend
from framehook.inference.sources import open_source
from framehook.inference.sources.demo import find_demo_clip
from framehook.model import Model

COMES, SEEN = 1.1, 4.5
"""Seconds into the demo clip: somebody comes into the picture, and people are in it."""
EVERY_FRAME = {"pace": "max"}
"""So that what is tracked does not depend on which frames the machine has time for."""


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """A second of the demo clip, from where somebody comes into the picture."""
    path = tmp_path_factory.mktemp("clips") / "street.mp4"
    with open_source(find_demo_clip()) as source, av.open(str(path), "w") as container:
        source.seek(COMES)
        first = source.read()
        stream = container.add_stream("mpeg4", rate=round(source.info.fps), options={"qmin": "2", "qmax": "2"})
        (stream.width, stream.height), stream.pix_fmt = first.size, "yuv420p"
        for frame in (first, *itertools.islice(source, 24)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def paused(watch, street):
    """That clip, paused at the first frame in which everything has been followed for a moment."""
    watcher = watch(options=EVERY_FRAME)
    watcher.hold(street, when=lambda results: tracked(results[0]))
    return watcher


def result_of(watcher):
    """What is shown of the only slot, or None."""
    return watcher.pictures.get(watcher.state.slots[0].key, (None,))[0] if watcher.state.slots else None


def tracked(result):
    """Whether everything in the picture has been followed for a moment."""
    if result.boxes.id is None or not len(result):
        return False
    motion = result.data["motion"]
    return all(number in motion and motion[number].age > 0.3 for number in result.boxes.id.tolist())


def boxes_when(watcher, what):
    """The boxes shown, once they are as they should be."""
    watcher.until(lambda: (result := result_of(watcher)) is not None and what(result.boxes))
    return result_of(watcher).boxes


def test_a_threshold_shows_on_the_frame_that_stands_and_tracks_keep_their_ids(paused):
    before = result_of(paused)
    ids = set(before.boxes.id.tolist())
    paused.session.update(conf=0.9)
    assert not len(boxes_when(paused, lambda boxes: len(boxes) == 0))
    paused.session.update(conf=0.25)
    again = boxes_when(paused, lambda boxes: len(boxes) > 0)
    assert ids <= set(again.id.tolist())
    np.testing.assert_allclose(again.xyxy[np.isin(again.id, list(ids))], before.boxes.xyxy, atol=1e-3)
    shown = result_of(paused)
    assert shown.frame is before.frame
    assert shown.data["motion"] == before.data["motion"]


def test_nothing_is_counted_delivered_or_called_for_it(paused):
    figures = paused.session.figures()
    calls = {row.key: row.calls for row in paused.session.hooks.rows()}
    paused.session.update(conf=0.9)
    boxes_when(paused, lambda boxes: len(boxes) == 0)
    after = paused.session.figures()
    assert after.stats.frames == figures.stats.frames
    assert (after.painting.shown, after.painting.skipped) == (figures.painting.shown, figures.painting.skipped)
    assert {row.key: row.calls for row in paused.session.hooks.rows()} == calls


def test_layers_are_drawn_anew(paused):
    key = paused.state.slots[0].key
    original = np.asarray(result_of(paused).orig_img)
    paused.session.update(overlay=None)
    paused.until(lambda: np.array_equal(result_of(paused).canvas, original))
    boxes = result_of(paused).boxes
    paused.session.update(overlay=("blur",))
    paused.until(lambda: not np.array_equal(result_of(paused).canvas, original))
    assert result_of(paused).boxes is boxes
    changed = (result_of(paused).canvas != original).any(axis=2)
    inside = np.zeros_like(changed)
    for x1, y1, x2, y2 in boxes.xyxy.round().astype(int):
        inside[y1:y2, x1:x2] = True
    assert changed[inside].mean() > 0.5
    assert changed[~inside].mean() < 0.05
    assert paused.session.renderer.last(key) is result_of(paused)  # so a snapshot saves what is seen


def test_it_goes_on_as_if_nothing_had_been(paused):
    frame, ids = result_of(paused).frame, set(result_of(paused).boxes.id.tolist())
    paused.session.update(conf=0.3)
    paused.until(lambda: result_of(paused) is not None and result_of(paused).frame is frame)
    paused.session.step()
    paused.until(lambda: result_of(paused).frame.index > frame.index)
    assert ids & set(result_of(paused).boxes.id.tolist())


@pytest.fixture
def photo(tmp_path):
    """A picture of the demo clip with somebody in it."""
    capture = cv2.VideoCapture(str(find_demo_clip()))
    capture.set(cv2.CAP_PROP_POS_MSEC, SEEN * 1e3)
    read, image = capture.read()
    assert read
    assert cv2.imwrite(str(tmp_path / "photo.png"), image)
    return tmp_path / "photo.png"


def test_a_photo_that_was_looked_at_is_tuned_too(watch, photo):
    watcher = watch()
    watcher.session.open(photo)
    watcher.until(lambda: watcher.state.phase is Phase.ENDED and result_of(watcher) is not None)
    found = len(result_of(watcher).boxes)
    watcher.session.update(conf=0.01)
    assert len(boxes_when(watcher, lambda boxes: len(boxes) > found)) > found
    watcher.session.update(conf=0.999)
    boxes_when(watcher, lambda boxes: len(boxes) == 0)
    assert watcher.state.run == 1


def test_another_model_looks_at_what_stands(watch, photo, data_dir):
    watcher = watch()
    watcher.session.open(photo)
    watcher.until(lambda: watcher.state.phase is Phase.ENDED and result_of(watcher) is not None)
    before = result_of(watcher)
    watcher.session.use_model(data_dir / "models" / "yolox_nano_416.onnx")
    watcher.until(lambda: result_of(watcher) is not before)
    after = result_of(watcher)
    assert len(after.names) == 80
    assert after.frame is before.frame
    assert "person" in {after.name_of(cls) for cls in after.boxes.cls}


def test_what_a_callback_may_have_changed_is_left_alone(watch, street):
    model = Model()

    @model.on("on_predict_postprocess_end")
    def only_the_best(predictor):
        for result in predictor.frame_results:
            result.boxes = result.boxes[:1]

    watcher = watch(model=model, options=EVERY_FRAME)
    watcher.hold(street)
    before = result_of(watcher)
    assert not watcher.session.hooks.usual
    watcher.session.update(conf=0.01)
    time.sleep(0.5)
    watcher.look()
    assert result_of(watcher) is before
    watcher.session.step()
    watcher.until(lambda: result_of(watcher) is not before)
    after = result_of(watcher)
    assert len(after) <= 1


def test_a_model_that_fails_on_a_picture_is_told_of_and_what_stands_stays(watch, photo):
    calls = []

    def infer(tensor):
        calls.append(tensor.shape)
        if len(calls) > 1:
            raise RuntimeError("out of luck")
        return [np.zeros((1, 5, 10), np.float32)]

    model = Model(FunctionBackend(infer, input_shape=(1, 3, 32, 32)), decoder="yolo")
    watcher = watch(model=model)
    watcher.session.open(photo)
    watcher.until(lambda: watcher.state.phase is Phase.ENDED and result_of(watcher) is not None)
    before = result_of(watcher)
    watcher.session.update(conf=0.5)
    watcher.until(lambda: any("out of luck" in text for text in watcher.texts(Level.ERROR)))
    assert result_of(watcher) is before
    assert not watcher.state.busy


def test_what_no_track_has_borne_out_yet_is_shown_without_an_id_unless_the_user_wants_it_left_out(watch, street):
    watcher = watch(options=EVERY_FRAME)
    watcher.hold(street, when=lambda results: len(results[0]) > 0)
    assert (result_of(watcher).boxes.id == -1).all()
    assert watcher.state.options.tracker_options == {"keep_unconfirmed": True}
    other = watch(options={"tracker_options": {"keep_unconfirmed": False}})
    assert other.state.options.tracker_options == {"keep_unconfirmed": False}
    other.session.update(tracker=None, tracker_options=None)
    assert other.state.options.tracker_options is None


def test_a_zone_that_is_deleted_or_counts_anew_is_not_on_the_picture_as_it_was(watch):
    watcher = watch(options={"overlay": None})
    watcher.session.open("testsrc:320x240@30")
    watcher.until(lambda: result_of(watcher) is not None)
    key = watcher.state.slots[0].key
    zones = {"door": ((0.5, 0.1), (0.5, 0.9)), "yard": ((0.1, 0.2), (0.4, 0.2), (0.4, 0.8))}
    watcher.session.set_zones(key, zones)
    watcher.until(lambda: len(result_of(watcher).data.get("zones", {})) == 2)
    watcher.hold()
    original = np.asarray(result_of(watcher).orig_img)
    both = (result_of(watcher).canvas != original).any(axis=2)
    watcher.session.set_zones(key, {"yard": zones["yard"]})
    watcher.until(lambda: list(result_of(watcher).data["zones"]) == ["yard"])
    yard = (result_of(watcher).canvas != original).any(axis=2)
    assert not yard[30:210, 155:165].any()
    assert both[30:210, 160].all()
    assert yard[50:100, 40].any() or yard[48, 40:120].any()
    watcher.session.reset_zones(key)
    watcher.until(lambda: np.array_equal(result_of(watcher).canvas, original))


def test_a_frame_that_was_under_way_when_it_was_paused_is_looked_at_with_what_was_chosen_since(watch):
    hold_on, waiting, passes = threading.Event(), threading.Event(), threading.Event()

    def infer(tensor):
        if hold_on.is_set():
            waiting.set()
            assert passes.wait(60)
        found = np.zeros((1, 5, 1), np.float32)
        found[0, :, 0] = 16, 16, 10, 10, 0.6
        return [found]

    watcher = watch(model=Model(FunctionBackend(infer, input_shape=(1, 3, 32, 32)), decoder="yolo"), options={"tracker": None})
    watcher.session.open("testsrc:320x240@30:live")
    watcher.until(lambda: result_of(watcher) is not None and len(result_of(watcher)) == 1)
    hold_on.set()
    watcher.until(waiting.is_set)
    watcher.session.pause()
    watcher.until(lambda: watcher.state.phase is Phase.PAUSED)
    before = result_of(watcher).frame.index
    watcher.session.update(conf=0.9)
    time.sleep(0.3)
    passes.set()
    watcher.until(lambda: result_of(watcher).frame.index > before and not len(result_of(watcher)))
    assert watcher.state.phase is Phase.PAUSED


@pytest.mark.parametrize("change", ["deleted", "moved", "reset"])
def test_a_frame_that_was_under_way_when_it_was_paused_does_not_show_a_zone_as_it_was(watch, cat_model, change):
    watcher = watch(model=cat_model, options={"tracker": None})
    watcher.session.open("testsrc:320x240@30:live")
    watcher.until(lambda: result_of(watcher) is not None)
    key, yard = watcher.key(), ((0.1, 0.2), (0.4, 0.2), (0.4, 0.8))
    watcher.session.set_zones(key, {"yard": yard, "lawn": yard})
    watcher.until(lambda: len(result_of(watcher).data.get("zones", {})) == 2)
    caught, passes = threading.Event(), threading.Event()

    def catch(predictor):
        caught.set()
        assert passes.wait(60)

    handle = watcher.session.callbacks.add("on_predict_batch_end", catch)
    watcher.until(caught.is_set)
    watcher.session.pause()
    watcher.until(lambda: watcher.state.phase is Phase.PAUSED)
    handle.remove()
    before = result_of(watcher).frame.index
    if change == "reset":
        watcher.session.reset_zones(key)
    else:
        moved = {"yard": ((0.6, 0.2), (0.9, 0.2), (0.9, 0.8))} if change == "moved" else {}
        watcher.session.set_zones(key, {"lawn": yard, **moved})
    left = [] if change == "reset" else ["lawn"]  # the view draws the others as they are now
    watcher.until(lambda: list(result_of(watcher).data["zones"]) == left)
    passes.set()
    watcher.until(lambda: result_of(watcher).frame.index > before)
    watcher.until(lambda: list(result_of(watcher).data["zones"]) == left)
