import itertools
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import framehook
from framehook import YOLO, Model, Result, Run
from framehook import model as module
from framehook.inference.backends import FunctionBackend
from framehook.inference.decoders import FunctionDecoder
from framehook.inference.decoders.base import Candidates
from framehook.inference.errors import (
    EndlessSourceError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    UnknownLayoutError,
    UnknownOptionError,
)
from framehook.inference.sources import demo, open_source
from framehook.inference.sources.demo import demo_clip

from .short_clip import write_short_clip


@pytest.fixture(scope="module")
def bundled():
    return Model()


@pytest.fixture(scope="module")
def pictures():
    with open_source(demo_clip()) as clip:
        return [frame.image for frame in itertools.islice(clip, 0, 40, 2)]


def test_the_front_door_names_everything_it_promises():
    assert YOLO is Model
    assert all(hasattr(framehook, name) for name in framehook.__all__)


@pytest.fixture
def short_demo(request, tmp_path, monkeypatch):
    """Let the demo clip have as many frames as asked for, or 20."""
    frames = getattr(request, "param", 20)
    clip = write_short_clip(tmp_path / "bikes.mp4", frames=frames)
    monkeypatch.setattr(demo, "find_demo_clip", lambda: clip)
    return frames


@pytest.mark.parametrize(("method", "short_demo"), [("predict", 20), ("track", 120)], indirect=["short_demo"])
def test_the_sample_of_the_design_runs_as_written(method, short_demo):
    seen_ids = []

    def on_predict_batch_end(predictor):
        _, image, _, _ = predictor.batch
        image = image if isinstance(image, list) else [image]
        seen_ids.append([result.boxes.id for result in predictor.frame_results])
        predictor.results = zip(predictor.results, image)  # noqa: B905 - as written

    model = Model()
    model.add_callback("on_predict_batch_end", on_predict_batch_end)
    count = 0
    for result, frame in getattr(model, method)():
        assert isinstance(result, Result)
        assert result.orig_img is frame
        count += 1
    assert count == short_demo
    if method == "track":
        assert all(ids is not None for (ids,) in seen_ids)
        assert len({int(number) for (ids,) in seen_ids for number in ids}) >= 3
    else:
        assert all(ids is None for (ids,) in seen_ids)


def test_a_list_by_default_and_a_run_on_request(bundled, pictures):
    results = bundled.predict(pictures[:3], conf=0.1)
    assert [type(result) for result in results] == [Result] * 3
    run = bundled.predict(pictures[:3], stream=True, conf=0.1)
    assert isinstance(run, Run)
    for one, other in zip(results, run, strict=True):
        np.testing.assert_allclose(one.boxes.xyxy, other.boxes.xyxy, atol=1e-2)


def test_an_endless_source_needs_stream(bundled):
    with pytest.raises(EndlessSourceError) as caught:
        bundled.predict("testsrc:64x48@30:live")
    assert str(caught.value).endswith("never ends; pass stream=True and iterate over what predict returns")


def test_a_list_that_holds_much_memory_warns_once(bundled, pictures, monkeypatch):
    monkeypatch.setattr(module, "RETAINED_WARNING", 3 * pictures[0].nbytes)
    with pytest.warns(UserWarning, match="4 results hold over 1 GB of frames; pass stream=True") as caught:
        bundled.predict(pictures[:10])
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_options_that_do_not_exist_name_the_nearest(bundled, pictures):
    with pytest.raises(UnknownOptionError) as caught:
        bundled.predict(pictures[0], confidence=0.5)
    assert str(caught.value) == "unknown option 'confidence'. Did you mean 'conf'?"
    with pytest.raises(OptionError, match=r"classes: the model has no class 'dog'\. It has 1: person"):
        bundled.predict(pictures[0], classes=["dog"])


def test_models_that_cannot_be_had_say_what_to_do(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"no model file at .*cars\.onnx\. Pass the path of an \.onnx or \.pt file\."):
        Model(tmp_path / "cars.onnx")
    (tmp_path / "yolo11n.onnx").touch()
    with pytest.raises(ModelNotFoundError, match=r"Did you mean 'yolo11n\.onnx'\?"):
        Model(tmp_path / "yolo11.onnx")
    with pytest.raises(ModelFormatError, match="is empty; copy or export the model again"):
        Model(tmp_path / "yolo11n.onnx")
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ModelFormatError, match=r"weights\.pt .*empty"):
        Model(tmp_path / "weights.pt")
    with pytest.raises(ModelFormatError, match=r"a model cannot be made of int; pass the path of an \.onnx or \.pt file"):
        Model(3)


def test_a_name_that_can_be_pulled_says_so_before_it_guesses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FRAMEHOOK_HOME", str(tmp_path / "home"))
    (tmp_path / "yolox_nano_mine.onnx").touch()
    with pytest.raises(ModelNotFoundError, match="framehook models pull yolox_nano"):
        Model("yolox_nano")
    with pytest.raises(ModelNotFoundError, match=r"yolov8n\.pt\. Framehook downloads nothing by itself: get yolov8n\.pt from"):
        Model("yolov8n.pt")


@pytest.mark.usefixtures("short_demo")
def test_code_written_for_another_library_runs_with_a_checkpoint(data_dir, tmp_path, monkeypatch):
    """The sample of the README and of the design, word for word, with a checkpoint in the place it names."""
    shutil.copy(data_dir / "checkpoints" / "yolo11n_vtest.pt", tmp_path / "yolov8n.pt")
    monkeypatch.chdir(tmp_path)

    def on_predict_batch_end(predictor):
        _, image, _, _ = predictor.batch
        image = image if isinstance(image, list) else [image]
        predictor.results = zip(predictor.results, image, strict=True)

    model = YOLO("yolov8n.pt")
    model.add_callback("on_predict_batch_end", on_predict_batch_end)
    count = 0
    for result, frame in model.predict():
        assert result.orig_img is frame
        count += 1
    assert count == 20


def test_an_unknown_layout_lists_the_known_ones_and_a_decoder_of_ones_own_helps():
    def network(tensor):
        return [np.array([[1, 2, 3, 4, 0.5]], np.float32)]

    backend = FunctionBackend(network, input_shape=(1, 3, 32, 32), output_shapes=[(1, 5)])
    with pytest.raises(UnknownLayoutError) as caught:
        Model(backend)
    assert "output0 [1 x 5]" in str(caught.value)
    assert "decoder=" in str(caught.value)

    def decode(outputs, *, input_size, conf):
        rows = outputs[0]
        return [Candidates(rows[:, :4], rows[:, 4], np.zeros(len(rows), np.int64))]

    picture = np.zeros((32, 32, 3), np.uint8)
    for decoder in (decode, FunctionDecoder(decode, name="rows")):
        (result,) = Model(backend, decoder=decoder).predict(picture)
        assert result.boxes.xyxy.tolist() == [[1, 2, 3, 4]]


def test_callbacks_come_and_go(bundled, pictures):
    seen = []
    handle = bundled.add_callback("on_predict_end", lambda predictor: seen.append(predictor.model))

    @bundled.on("on_predict_start")
    def started(predictor):
        seen.append("started")

    bundled.predict(pictures[0])
    handle.remove()
    bundled.predict(pictures[0])
    assert seen == ["started", bundled, "started"]
    bundled.callbacks = type(bundled.callbacks)()


def test_one_model_serves_threads_with_different_options_and_predicts_inside_callbacks(pictures):
    options = [{"conf": 0.05}, {"conf": 0.2}, {"conf": 0.1, "max_det": 2}, {"conf": 0.02, "iou": 0.3}]
    serial = Model()
    expected = [serial.predict(picture, **options[number % 4])[0].boxes for number, picture in enumerate(pictures)]
    model = Model()
    inside = []

    def predict_inside(predictor):
        if predictor.source.kind == "test":
            inside.append(len(model.predict(predictor.frame.image)))

    model.add_callback("on_predict_postprocess_end", predict_inside)

    def work(thread):
        for _ in range(2):
            for number in range(thread, len(pictures), 4):
                boxes = model.predict(pictures[number], **options[number % 4])[0].boxes
                np.testing.assert_allclose(boxes.xyxy, expected[number].xyxy, atol=1e-3)
                np.testing.assert_allclose(boxes.conf, expected[number].conf, atol=1e-5)
        return True

    with model.predict("testsrc:320x240@30", stream=True) as beside, ThreadPoolExecutor(4) as pool:
        answers = pool.map(work, range(4))
        for _ in range(10):
            next(beside)
        assert all(answers)
    assert len(inside) >= 10


def test_an_export_of_a_model_runs_as_the_model_does_and_leaves_it_as_it_was(pictures, tmp_path):
    model, told = Model(), []

    @model.on("on_export_end")
    def ended(exporter):
        told.append((exporter.model, exporter.path, exporter.error))

    before = model.predict(pictures[0], conf=0.05)[0].boxes
    path = model.export(output=tmp_path / "person.onnx", data=pictures[:4])
    assert told == [(model, path, None)]
    for each in (model, Model(path)):
        boxes = each.predict(pictures[0], conf=0.05)[0].boxes
        assert len(boxes) == len(before) > 0
        np.testing.assert_allclose(boxes.xyxy, before.xyxy, atol=1e-2)
    assert repr(Model(path)) == f"Model({path}, yolo, cpu)"


def test_an_export_with_an_option_that_does_not_exist_names_the_nearest(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownOptionError, match=r"unknown option 'image_size'\. Did you mean 'imgsz'\?"):
        bundled.export(image_size=320)
    assert list(tmp_path.iterdir()) == []


def test_abandoned_runs_leave_no_thread(bundled):
    before = set(threading.enumerate())
    for _ in range(5):
        with pytest.warns(ResourceWarning, match="was dropped before its end"):
            next(bundled.predict("testsrc:64x48@30:20", stream=True))
    deadline = time.monotonic() + 60
    while not set(threading.enumerate()) <= before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_one_in_n_stride_and_a_batch_agree_with_single_frames(bundled):
    clip = demo_clip()
    with bundled.predict(clip, stream=True, vid_stride=25, conf=0.2) as run:
        strided = list(run)
    assert [result.frame.index for result in strided] == list(range(0, 250, 25))
    with bundled.predict(clip, stream=True, vid_stride=25, conf=0.2, batch=4) as run:
        batched = list(run)
    for one, other in zip(strided, batched, strict=True):
        np.testing.assert_allclose(one.boxes.xyxy, other.boxes.xyxy, atol=0.05)
