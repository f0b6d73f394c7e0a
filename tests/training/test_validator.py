import contextlib
import dataclasses
import io
import json
import logging
import shutil
import threading

import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callback, Callbacks
from framehook.inference.errors import (
    CallbackError,
    DatasetError,
    FrameError,
    InferenceError,
    ModelNotFoundError,
    OptionError,
    RecordingError,
    RunError,
    UnknownOptionError,
)
from framehook.inference.events import ValEvent
from framehook.model import Model
from framehook.training.metrics import DetectionMetrics
from framehook.training.validator import Validator

from .coloured import NAMES, coloured, detector, picture, split

EVENTS = [str(event) for event in ValEvent]
EMPTY = {"preprocess": 0.0, "inference": 0.0, "loss": 0.0, "postprocess": 0.0}


@pytest.fixture
def five(tmp_path):
    """Five pictures, of which one shows nothing."""
    shown = [
        [(0, 5, 5, 25, 25)],
        [(1, 20, 10, 50, 30)],
        [],
        [(0, 0, 0, 10, 30), (1, 30, 20, 60, 44)],
        [(1, 8, 8, 28, 24)],
    ]
    return split([picture(tmp_path, f"{number}.png", each) for number, each in enumerate(shown)])


def watched(validator):
    """The events, as they come, with what the validator holds then."""
    told = []
    for event in EVENTS:
        validator.callbacks.add(event, lambda each, event=event: told.append((event, state(each))), order=-1)
    return told


def state(validator):
    return {
        "batch_i": validator.batch_i,
        "batch": None if validator.batch is None else len(validator.batch.images),
        "preds": len(validator.preds),
        "seen": validator.seen,
        "measured": validator.metrics is not None,
        "confused": int(validator.confusion_matrix.matrix.sum()),
        "error": validator.error,
    }


def test_the_four_events_come_in_order_with_what_they_promise(five):
    validator = Validator(detector(), split=five, batch=2)
    told = watched(validator)
    metrics = validator.run()
    each = {"error": None, "measured": False}
    assert told == [
        ("on_val_start", {**each, "batch_i": -1, "batch": None, "preds": 0, "seen": 0, "confused": 0}),
        ("on_val_batch_start", {**each, "batch_i": 0, "batch": 2, "preds": 0, "seen": 0, "confused": 0}),
        ("on_val_batch_end", {**each, "batch_i": 0, "batch": 2, "preds": 2, "seen": 2, "confused": 2}),
        ("on_val_batch_start", {**each, "batch_i": 1, "batch": 2, "preds": 0, "seen": 2, "confused": 2}),
        ("on_val_batch_end", {**each, "batch_i": 1, "batch": 2, "preds": 2, "seen": 4, "confused": 4}),
        ("on_val_batch_start", {**each, "batch_i": 2, "batch": 1, "preds": 0, "seen": 4, "confused": 4}),
        ("on_val_batch_end", {**each, "batch_i": 2, "batch": 1, "preds": 1, "seen": 5, "confused": 5}),
        ("on_val_end", {**each, "batch_i": 2, "batch": 1, "preds": 1, "seen": 5, "confused": 5, "measured": True}),
    ]
    assert validator.metrics is metrics
    assert (metrics.precision, metrics.recall) == (1, 1)
    assert metrics.map == pytest.approx(1)
    assert np.array_equal(validator.confusion_matrix.matrix, np.diag([2, 3, 0]))


def test_all_that_is_promised_is_there_from_the_start(five):
    model = Model(detector().backend, decoder="yolo")
    validator = Validator(model, split=five, batch=2, conf=0.01)
    seen = {}

    @model.on("on_val_start")
    def look(each):
        seen.update(
            args=each.args.conf,
            names=each.names,
            device=each.device,
            training=each.training,
            loss=each.loss,
            speed=each.speed,
            save_dir=each.save_dir,
            batches=len(each.dataloader),
            model=each.model,
        )

    validator.run()
    assert seen == {
        "args": 0.01,
        "names": NAMES,
        "device": "cpu",
        "training": False,
        "loss": None,
        "speed": EMPTY,
        "save_dir": None,
        "batches": 3,
        "model": model,
    }
    assert validator.speed["inference"] > 0
    assert validator.speed["preprocess"] > 0
    assert validator.speed["postprocess"] > 0


def test_boxes_are_in_pixels_of_their_pictures_and_a_batch_can_be_unpacked(five):
    validator = Validator(detector(), split=five, batch=5)
    told = []
    validator.callbacks.add("on_val_batch_end", lambda each: told.append((*each.batch, each.preds)))
    validator.run()
    [(paths, images, samples, preds)] = told
    assert [path.name for path in paths] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert images[0].shape == (48, 64, 3)
    for sample, boxes in zip(samples, preds, strict=True):
        assert isinstance(boxes, Boxes)
        assert boxes.orig_shape == (48, 64)
        order = np.argsort(boxes.cls)
        np.testing.assert_allclose(boxes.xyxy[order], sample.xyxy)


def test_pictures_that_a_callback_replaces_are_what_the_network_sees(five):
    validator = Validator(detector(), split=five, batch=2)

    def blank(each):
        each.batch.images[:] = [np.zeros_like(image) for image in each.batch.images]

    validator.callbacks.add("on_val_batch_start", blank)
    assert validator.run().recall == 0


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        ([], r"holds 0 images for 5 pictures; replace them one by one"),
        (
            [np.zeros((8, 8, 3), np.uint8)] * 5,
            r"of shape \(8, 8, 3\) and type uint8 for 0\.png; replace it by one of shape \(48, 64, 3\)",
        ),
        ([None] * 5, r"of shape \(\) and type None for 0\.png"),
    ],
)
def test_pictures_are_replaced_by_pictures_of_their_size_alone(five, replacement, message):
    validator = Validator(detector(), split=five)

    def replace(each):
        each.batch.images[:] = replacement

    validator.callbacks.add("on_val_batch_start", replace)
    with pytest.raises(FrameError, match=message):
        validator.run()


def test_an_error_in_the_middle_ends_with_the_end_event_that_knows_it(five):
    calls = []

    def failing(tensor):
        calls.append(len(tensor))
        if len(calls) == 2:
            raise ValueError("no memory")
        return coloured(tensor)

    validator = Validator(detector(function=failing), split=five, batch=2, workers=2)
    told = watched(validator)
    with pytest.raises(InferenceError, match="no memory"):
        validator.run()
    assert [event for event, _ in told] == [
        "on_val_start",
        "on_val_batch_start",
        "on_val_batch_end",
        "on_val_batch_start",
        "on_val_end",
    ]
    last = told[-1][1]
    assert isinstance(last["error"], InferenceError)
    assert (last["measured"], last["seen"]) == (False, 2)
    assert not [each for each in threading.enumerate() if each.name.startswith("framehook-val")]


@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_that_raises_ends_the_validation_and_the_end_event_is_fired_once(five, event):
    validator = Validator(detector(), split=five, batch=2)
    told = watched(validator)

    def fail(each):
        raise KeyError("mine")

    validator.callbacks.add(event, fail)
    with pytest.raises(CallbackError, match=rf"failed in {event}.*KeyError: 'mine'") as caught:
        validator.run()
    assert caught.value.event == event
    assert [each for each, _ in told].count("on_val_end") == 1
    assert told[-1][0] == "on_val_end"
    if "batch" in event:
        assert "at batch 1 of 3" in str(caught.value)
    if event == "on_val_end":
        assert told[-1][1]["measured"]
    else:
        assert told[-1][1]["error"] is caught.value


@pytest.mark.parametrize("event", EVENTS)
def test_a_callback_that_may_fail_does_no_harm(five, event, caplog):
    validator = Validator(detector(), split=five, batch=2)
    calls = []

    def fail(each):
        calls.append(1)
        raise KeyError("mine")

    validator.callbacks.add(event, fail, on_error="disable")
    assert validator.run().recall == 1
    assert len(calls) == 1
    assert "it is switched off for this run" in caplog.text


def test_an_error_and_a_callback_that_fails_at_the_end_are_both_told(five):
    validator = Validator(detector(), split=five)
    validator.callbacks.add("on_val_batch_start", lambda each: 1 / 0)
    validator.callbacks.add("on_val_end", lambda each: 1 / 0)
    with pytest.raises(ExceptionGroup, match="the validation ended with 2 errors") as caught:
        validator.run()
    assert [each.event for each in caught.value.exceptions] == ["on_val_batch_start", "on_val_end"]


def test_an_interrupt_ends_it_with_the_end_event(five):
    validator = Validator(detector(), split=five)
    told = watched(validator)

    def interrupt(each):
        raise KeyboardInterrupt

    validator.callbacks.add("on_val_batch_end", interrupt)
    with pytest.raises(KeyboardInterrupt):
        validator.run()
    assert isinstance(told[-1][1]["error"], KeyboardInterrupt)


@pytest.mark.usefixtures("patient_end")
def test_callbacks_in_the_background_see_frozen_copies(five):
    seen = []

    class Watch(Callback):
        def on_val_batch_end(self, validator):
            seen.append((threading.current_thread(), validator))

        def on_val_end(self, validator):
            seen.append((threading.current_thread(), validator))

    validator = Validator(detector(), split=five, batch=5)
    validator.callbacks.add(Watch(), background=True)
    validator.run()
    (thread, batch_end), (_, end) = seen
    assert thread is not threading.current_thread()
    assert (batch_end.seen, batch_end.metrics, len(batch_end.preds)) == (5, None, 5)
    assert isinstance(end.metrics, DetectionMetrics)
    assert end.confusion_matrix is not validator.confusion_matrix
    with pytest.raises(AttributeError):
        end.seen = 3


def test_it_is_used_once(five):
    validator = Validator(detector(), split=five)
    validator.run()
    with pytest.raises(RunError, match="a Validator is used once; make another"):
        validator.run()


@pytest.mark.usefixtures("patient_end")
def test_a_training_validates_after_every_epoch_and_is_told_the_loss(five):
    callbacks = Callbacks()
    seen, placed, told = [], [], []
    callbacks.add("on_val_end", lambda each: seen.append(each.seen), background=True)
    callbacks.add("on_val_end", lambda each: told.append((each.training, each.loss.tolist())))

    def criterion(samples, placements):
        placed.append([each.frame_size for each in placements])
        return [len(samples), 1.0, 0.0]

    validator = Validator(detector(), split=five, callbacks=callbacks, training=True, criterion=criterion, batch=4)
    assert validator.callbacks is callbacks
    for _ in range(3):
        assert validator.run().recall == 1
        assert (validator.seen, validator.batch_i) == (5, 1)
    assert placed == [[(64, 48)] * 4, [(64, 48)]] * 3
    # The first batch is of four pictures, the second of one: means a picture.
    assert told == [(True, pytest.approx([(4 * 4 + 1) / 5, 1, 0]))] * 3
    assert validator.speed["loss"] > 0
    assert callbacks.close() == []  # until now the workers were left alone
    assert seen == [5, 5, 5]


def test_a_failing_callback_in_a_training_reaches_the_trainer(five):
    callbacks = Callbacks()
    callbacks.add("on_val_end", lambda each: 1 / 0)
    validator = Validator(detector(), split=five, callbacks=callbacks, training=True)
    with pytest.raises(CallbackError, match="on_val_end"):
        validator.run()
    assert validator.metrics is not None


def test_classes_are_those_of_the_dataset_whatever_their_numbers_in_the_model(five, tmp_path, caplog):
    caplog.set_level(logging.INFO, "framehook")
    turned = split(five.samples, {0: "green", 1: "red"})  # labels say 0 where red is
    validator = Validator(detector(), split=turned)
    assert validator.run().recall == 0  # what is called green is red
    assert validator.confusion_matrix.matrix[:2, :2].tolist() == [[0, 3], [2, 0]]
    assert not caplog.records
    only_red = split([picture(tmp_path, "red.png", [(0, 5, 5, 25, 25), (1, 30, 30, 50, 40)])], {0: "red"})
    only_red.samples[0].cls[:] = 0
    validator = Validator(detector(), split=only_red)
    assert validator.run().recall == 0.5
    assert "the dataset does not label 'green'" in caplog.text
    assert [boxes.cls.tolist() for boxes in validator.preds] == [[0]]


def test_a_network_of_one_size_validates_in_squares_and_says_so_where_rectangles_are_wanted(five, caplog):
    shapes = []

    def function(tensor):
        shapes.append(tensor.shape)
        return coloured(tensor)

    assert Validator(detector(side=96, function=function), split=five, rect=True).run().recall == 1
    assert {shape[2:] for shape in shapes} == {(96, 96)}
    assert "rect has no effect: the model takes 96x96 only" in caplog.text
    shapes.clear()
    assert Validator(detector(function=function), split=five, rect=True, imgsz=96).run().recall == 1
    assert {shape[2:] for shape in shapes} == {(96, 96)}  # of 64 x 48 scaled to 96 x 72, in multiples of 32
    shapes.clear()
    assert Validator(detector(function=function), split=five, rect=True, imgsz=128).run().recall == 1
    assert {shape[2:] for shape in shapes} == {(96, 128)}


def test_curves_and_batches_are_drawn_in_a_folder(five, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    validator = Validator(detector(), split=five, plots=True, batch=4)
    validator.run()
    assert str(validator.save_dir) == "runs/val"
    assert sorted(path.name for path in validator.save_dir.iterdir()) == [
        "F1_curve.png",
        "PR_curve.png",
        "P_curve.png",
        "R_curve.png",
        "confusion_matrix.png",
        "confusion_matrix_normalized.png",
        "val_batch0_labels.jpg",
        "val_batch0_pred.jpg",
        "val_batch1_labels.jpg",
        "val_batch1_pred.jpg",
    ]


def test_a_training_draws_when_it_asks_for_it(five, tmp_path):
    folder = tmp_path / "train"
    validator = Validator(detector(), split=five, training=True, save_dir=folder)
    validator.run()
    assert not folder.exists()
    validator.args = dataclasses.replace(validator.args, plots=True)
    validator.run()
    assert (folder / "val_batch0_pred.jpg").is_file()
    assert (folder / "confusion_matrix.png").is_file()


def test_a_folder_that_nothing_was_saved_in_does_not_stay(five, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    validator = Validator(detector(), split=five, plots=True)
    validator.callbacks.add("on_val_start", lambda each: 1 / 0)
    with pytest.raises(CallbackError):
        validator.run()
    assert validator.save_dir is None
    assert list((tmp_path / "runs").iterdir()) == []


def test_nothing_is_saved_unless_asked_for(five, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    Validator(detector(), split=five).run()
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_that_cannot_be_drawn_ends_a_validation_but_no_training(five, tmp_path, caplog):
    (tmp_path / "val" / "PR_curve.png").mkdir(parents=True)
    with pytest.raises(RecordingError, match="cannot be written"):
        Validator(detector(), split=five, plots=True, save_dir=tmp_path / "val").run()
    training = Validator(detector(), split=five, plots=True, save_dir=tmp_path / "val", training=True)
    assert training.run().recall == 1
    assert "the training goes on without this picture" in caplog.text
    training.callbacks.close()


def test_a_picture_that_is_gone_is_told_in_one_line(five):
    five.samples[3].path.unlink()
    validator = Validator(detector(), split=five, batch=2, workers=1)
    with pytest.raises(DatasetError, match=r"3\.png does not exist"):
        validator.run()
    assert validator.seen == 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, OptionError, "data is missing; pass the dataset's YAML file, or a COCO json"),
        ({"data": "x.yaml", "split": "all"}, OptionError, "split='all' is unknown; pass one of train, val, test"),
        ({"datas": "x.yaml"}, UnknownOptionError, r"unknown option 'datas'\. Did you mean 'data'\?"),
        ({"data": "x.yaml", "batch": 0}, OptionError, "batch=0 is out of range"),
        ({"data": "nowhere.yaml"}, DatasetError, r"nowhere\.yaml"),
    ],
)
def test_wrong_use_is_told_before_anything_is_done(options, error, message):
    with pytest.raises(error, match=message) as caught:
        Validator(detector(), **options)
    assert "\n" not in str(caught.value)


def test_a_size_that_the_model_cannot_take_is_told_before_anything_is_done(five):
    with pytest.raises(OptionError, match="imgsz=64 does not fit: the model takes 96x96 only"):
        Validator(detector(side=96), split=five, imgsz=64)
    with pytest.raises(ModelNotFoundError):
        Validator("nowhere.onnx", split=five)


def test_a_dataset_is_read_by_its_yaml_and_a_network_of_pytorch_is_validated(example, tiny_net):
    from framehook.inference.nets.load import run_network

    detector_of_net = Model(run_network(tiny_net, device="cpu")).detector
    validator = Validator(detector_of_net, data=example, batch=4, imgsz=96, workers=2)
    metrics = validator.run()
    assert validator.split.name == "val"
    assert dict(validator.names) == {0: "circle", 1: "square", 2: "triangle"}
    assert metrics.pictures == 8
    assert metrics.objects == sum(len(sample) for sample in validator.split.samples)
    assert 0 <= metrics.map <= metrics.map50 < 0.2  # its weights are random


def test_average_precision_of_a_real_model_on_real_pictures_is_that_of_pycocotools(data_dir, tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    source = data_dir / "coco_train"
    whole = json.loads((source / "instances_train_merged.json").read_text(encoding="utf-8"))
    crowded = {each["image_id"] for each in whole["annotations"] if each["iscrowd"]}
    # Pictures with crowds are the odd ones: some of those, and some of the others.
    images = sorted(whole["images"], key=lambda each: each["id"] not in crowded)[:5] + whole["images"][:15]
    images = list({each["id"]: each for each in images}.values())
    (tmp_path / "images").mkdir()
    for each in images:
        shutil.copy(source / "images" / each["file_name"], tmp_path / "images")
    numbers = {each["file_name"]: each["id"] for each in images}
    part = {**whole, "images": images, "annotations": [a for a in whole["annotations"] if a["image_id"] in numbers.values()]}
    assert any(each["iscrowd"] for each in part["annotations"])
    file = tmp_path / "part.json"
    file.write_text(json.dumps(part), encoding="utf-8")
    rows = []

    def keep(each):
        for path, boxes in zip(each.batch.paths, each.preds, strict=True):
            for (left, top, right, bottom), score, cls in zip(
                boxes.xyxy.astype(np.float64).tolist(), boxes.conf.tolist(), boxes.cls.tolist(), strict=True
            ):
                bbox = [left, top, right - left, bottom - top]
                rows.append({"image_id": numbers[path.name], "category_id": categories[cls], "bbox": bbox, "score": score})

    validator = Validator(data_dir / "models" / "yolox_nano_416.onnx", data=file, batch=4, max_det=100)
    validator.callbacks.add("on_val_batch_end", keep)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        categories = sorted(truth.getCatIds())
        metrics = validator.run()
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    sizes = metrics.by_size
    ours = [metrics.map, metrics.map50, metrics.map75, sizes["small"], sizes["medium"], sizes["large"]]
    np.testing.assert_allclose(ours, judge.stats[:6], rtol=0, atol=1e-6)
    assert 0.2 < metrics.map < 0.8
