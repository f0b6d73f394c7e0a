"""Decoding and suppression inside of a graph against the decoders and `suppress`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from framehook.export.stages import Suppression, add_stages
from framehook.inference.decoders import Candidates, get_decoder, suppress
from framehook.inference.decoders.nanodet import PLUS_STRIDES, STRIDES, NanoDetDecoder, cell_count
from framehook.inference.decoders.yolox import grid_of
from framehook.inference.errors import OptionError
from framehook.inference.preprocess import InputFormat

from .staging import answers, run

SIDE = (96, 64)
LAYOUTS = ("yolo", "yolov5", "yolox", "nanodet")
BROKEN = (np.nan, np.inf, -np.inf)


def proposed(
    layout: str,
    *,
    batch: int = 1,
    classes: int = 3,
    anchors: int = 300,
    seed: int = 0,
    coarse: bool = False,
    logits: bool = False,
) -> np.ndarray:
    """Raw outputs of many boxes over each other; `coarse` ones have equal scores, and equal overlaps, everywhere."""
    random = np.random.default_rng(seed)

    def scores(count: int, rows: int) -> np.ndarray:
        values = random.random((batch, rows, count)) ** 2
        return np.round(values * 20) / 20 if coarse else values

    if layout in ("yolo", "yolov5"):
        boxes = random.random((batch, anchors, 4)) * (*SIDE, *np.multiply(SIDE, 0.5))
        boxes = np.round(boxes / 8) * 8 if coarse else boxes
        if layout == "yolo":
            return np.concatenate((boxes, scores(classes, anchors)), axis=2).transpose(0, 2, 1).astype(np.float32)
        return np.concatenate((boxes, scores(1 + classes, anchors)), axis=2).astype(np.float32)
    if layout == "yolox":
        cells = len(grid_of(SIDE))
        boxes = random.normal(0, 1, (batch, cells, 4))
        return np.concatenate((boxes, scores(1 + classes, cells)), axis=2).astype(np.float32)
    cells = cell_count(SIDE, PLUS_STRIDES if anchors > 1 else STRIDES)
    numbers = random.normal(-1, 2, (batch, cells, classes)) if logits else scores(classes, cells)
    return np.concatenate((numbers, random.normal(0, 2, (batch, cells, 32))), axis=2).astype(np.float32)


def finished(layout: str, raw: np.ndarray, settings: Suppression, *, images: int | None = None, **network: Any) -> np.ndarray:
    """What a graph with suppression gives; `images` in a batch that is open."""
    classes = raw.shape[2] - 32 if layout == "nanodet" else None
    model = answers(raw, SIDE, names=classes, open_batch=images is not None, **network)
    staged = add_stages(model, layout=layout, form=InputFormat(), input_size=SIDE, preprocess=False, nms=settings)
    onnx.checker.check_model(staged.model, full_check=True)
    count = images or len(raw)
    (rows,) = run(staged.model, {"images": np.zeros((count, 3, SIDE[1], SIDE[0]), np.float32)})
    assert rows.dtype == np.float32
    assert rows.shape == (count, settings.max_det, 6)
    return np.asarray(rows)


def expected(layout: str, raw: np.ndarray, settings: Suppression) -> list[Candidates]:
    decoder = NanoDetDecoder(raw.shape[2] - 32) if layout == "nanodet" else get_decoder(layout)
    found = decoder.decode([raw], input_size=SIDE, conf=settings.conf)
    return [suppress(each, conf=settings.conf, iou=settings.iou, max_det=settings.max_det) for each in found]


def assert_same(rows: np.ndarray, wanted: Sequence[Candidates]) -> None:
    for image, found in zip(rows, wanted, strict=True):
        count = len(found)
        assert (image[:, 4] > 0).sum() == count
        np.testing.assert_array_equal(image[:count, 5], found.cls)
        np.testing.assert_allclose(image[:count, 4], found.conf, rtol=0, atol=1e-6)
        np.testing.assert_allclose(image[:count, :4], found.xyxy, rtol=1e-6, atol=1e-4)
        assert not image[count:].any()


@pytest.mark.parametrize("settings", [Suppression(), Suppression(0.25, 0.5, 20), Suppression(0, 0, 7), Suppression(0.4, 1, 50)])
@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_graph_finds_what_decoder_and_suppression_find(layout: str, coarse: bool, settings: Suppression) -> None:
    for seed, classes in enumerate((1, 3, 80)):
        raw = proposed(layout, batch=2, classes=classes, seed=seed, coarse=coarse)
        wanted = expected(layout, raw, settings)
        assert sum(map(len, wanted)) > 4
        assert_same(finished(layout, raw, settings), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_may_stay_open(layout: str) -> None:
    raw = proposed(layout)
    for images in (1, 3):
        assert_same(finished(layout, raw, Suppression(), images=images), expected(layout, raw, Suppression()) * images)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pictures_of_a_batch_do_not_change_each_other(layout: str) -> None:
    raw = proposed(layout, batch=3)
    together = finished(layout, raw, Suppression(0.3))
    for number in range(3):
        np.testing.assert_array_equal(finished(layout, raw[[number]], Suppression(0.3))[0], together[number])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_nothing_is_found_all_rows_are_zero(layout: str) -> None:
    raw = proposed(layout, batch=2)
    assert not finished(layout, np.zeros_like(raw), Suppression()).any()
    assert not finished(layout, raw, Suppression(conf=1)).any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_numbers_cost_their_candidates_alone(layout: str, broken: float) -> None:
    raw = proposed(layout, batch=2)
    raw[np.random.default_rng(1).random(raw.shape) < 0.02] = broken
    wanted = expected(layout, raw, Suppression(0.05))
    assert sum(map(len, wanted)) > 10
    assert_same(finished(layout, raw, Suppression(0.05)), wanted)
    assert not finished(layout, np.full_like(raw, broken), Suppression()).any()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("opset", [11, 12, 13, 17, 18, 21, 22])
def test_every_version_of_onnx_finds_the_same(layout: str, opset: int) -> None:
    raw = proposed(layout)
    assert_same(finished(layout, raw, Suppression(), opset=opset), expected(layout, raw, Suppression()))


def test_outputs_of_half_precision_are_suppressed_in_single() -> None:
    raw = proposed("yolo").astype(np.float16)
    assert_same(finished("yolo", raw, Suppression(), dtype=np.float16), expected("yolo", raw, Suppression()))


def test_boxes_of_negative_size_suppress_nothing() -> None:
    raw = proposed("yolo")
    raw[:, 2:4] -= 12
    assert (raw[:, 2:4] < 0).any()
    assert_same(finished("yolo", raw, Suppression(0.05)), expected("yolo", raw, Suppression(0.05)))


@pytest.mark.parametrize(("anchors", "logits"), [(1, False), (1, True), (300, True)])
def test_both_versions_of_nanodet_are_known_with_scores_and_with_logits(anchors: int, logits: bool) -> None:
    raw = proposed("nanodet", batch=2, anchors=anchors, logits=logits)
    assert_same(finished("nanodet", raw, Suppression()), expected("nanodet", raw, Suppression()))


@pytest.mark.parametrize("layout", ["yolox", "nanodet"])
def test_cells_that_the_file_does_not_count_are_counted(layout: str) -> None:
    raw = proposed(layout)
    model = answers(raw, SIDE, names=raw.shape[2] - 32 if layout == "nanodet" else None, open_batch=True)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "cells"
    form = InputFormat()
    staged = add_stages(model, layout=layout, form=form, input_size=SIDE, preprocess=False, nms=Suppression())
    (rows,) = run(staged.model, {"images": np.zeros((2, 3, SIDE[1], SIDE[0]), np.float32)})
    assert_same(rows, expected(layout, raw, Suppression()) * 2)


def test_scores_and_logits_may_meet_in_a_batch() -> None:
    raw = np.concatenate([proposed("nanodet"), proposed("nanodet", logits=True)])
    assert_same(finished("nanodet", raw, Suppression()), expected("nanodet", raw, Suppression()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"conf": 1.1}, "conf=1.1 is out of range; pass a number from 0 to 1"),
        ({"iou": float("nan")}, "iou=nan is out of range; pass a number from 0 to 1"),
        ({"max_det": 0}, "max_det=0 is out of range; pass a whole number from 1"),
    ],
)
def test_thresholds_out_of_range_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Suppression(**values)
    assert str(caught.value) == message
