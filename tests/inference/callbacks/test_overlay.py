import threading

import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callback, Callbacks
from framehook.inference.callbacks.drawing import draw, label_of
from framehook.inference.callbacks.overlay import LAYERS, Overlay, check_layers
from framehook.inference.callbacks.past import HEAT_CELLS, Past
from framehook.inference.callbacks.tracking import Tracking
from framehook.inference.errors import OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.result import Result

from .scenes import boxes, play, start, walk

SCENE = "testsrc:320x240@30:12"
RED = ["#ff0000"]
KNOWN = f"The layers are {', '.join(LAYERS)}."


def near(canvas, color, tolerance=40):
    """Where a picture has about this BGR colour."""
    return np.abs(canvas.astype(int) - color).max(-1) < tolerance


def red(canvas):
    return near(canvas, (0, 0, 255))


def tracked(*added, layers=(), ids=lambda _: [7], frames=12, source=None, **options):
    overlay = Overlay(*layers, colors=RED, **options)
    return play(source or f"testsrc:320x240@30:{frames}", overlay, *added, script=walk, ids=ids)


def test_boxes_are_drawn_on_the_canvas_and_the_frame_stays_as_it_was():
    result = list(play(SCENE, Overlay("boxes", colors=RED), script=walk))[3]
    x = 20 + 4 * 3
    mask = red(result.canvas)
    assert mask[60:140, x].all()
    assert mask[60, x : x + 30].all()
    assert not mask[80:120, x + 5 : x + 25].any()
    assert not red(np.asarray(result.orig_img)).any()


def test_nothing_is_drawn_before_somebody_looks(monkeypatch):
    from framehook.inference.callbacks import overlay

    drawn = []
    monkeypatch.setattr(overlay, "draw", lambda canvas, result, *_: drawn.append(result.frame.index))
    results = list(play(SCENE, Overlay("boxes", "trails", "heatmap"), script=walk))
    assert drawn == []
    _ = results[4].canvas, results[4].canvas
    assert drawn == [4]


def test_the_label_tells_id_name_and_score():
    result = Result(_frame(), boxes([(10, 10, 40, 40, 0.874), (1, 1, 9, 9, 1.0)], (240, 320), [12, -1]), {0: "person"})
    assert label_of(result, 0, {"labels", "confidence"}) == "#12 person .87"
    assert label_of(result, 0, {"labels"}) == "#12 person"
    assert label_of(result, 0, {"confidence"}) == ".87"
    assert label_of(result, 1, {"labels", "confidence"}) == "person 1.00"


@pytest.mark.parametrize(
    ("name", "shown"), [("fußgänger", "fu?ganger"), ("café", "cafe"), ("人", "class 0"), ("person", "person")]
)
def test_names_are_written_in_letters_that_can_be_drawn(name, shown):
    result = Result(_frame(), boxes([(10, 10, 40, 40, 0.5)], (240, 320)), {0: name})
    assert label_of(result, 0, {"labels"}) == shown


@pytest.mark.parametrize("box", [(100, 100, 140, 200), (280, 0, 320, 60), (0, 0, 320, 240), (-5, 230, 20, 240)])
def test_labels_stay_inside_the_frame(box):
    result = Result(_frame(), boxes([(*box, 0.5)], (240, 320)), {0: "person"})
    canvas = np.zeros((240, 320, 3), np.uint8)
    draw(canvas, result, {"labels"}, _look(), Past.none(result.frame))
    ys, xs = np.nonzero(red(canvas))
    width = xs.max() - xs.min() + 1
    height = ys.max() - ys.min() + 1
    reference = np.zeros((240, 320, 3), np.uint8)
    middle = Result(_frame(), boxes([(100, 100, 140, 200, 0.5)], (240, 320)), {0: "person"})
    draw(reference, middle, {"labels"}, _look(), Past.none(middle.frame))
    ys, xs = np.nonzero(red(reference))
    assert (width, height) == (xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)


def test_what_is_hidden_is_hidden_beneath_boxes_and_labels():
    for layer in ("blur", "pixelate"):
        overlay = Overlay("labels", "boxes", layer, colors=RED)  # in any order
        result = list(play(SCENE, overlay, script=lambda _: [(20, 60, 120, 200, 0.9)]))[1]
        inside = result.canvas[80:180, 40:100].astype(int)
        before = np.asarray(result.orig_img)[80:180, 40:100].astype(int)
        assert np.abs(inside - before).max() > 20
        assert red(result.canvas)[70:190, 20].all()
        outside = near(result.canvas[:, 160:], np.asarray(result.orig_img)[:, 160:], 1)
        assert outside.all()


@pytest.mark.parametrize("layer", ["blur", "pixelate"])
def test_what_is_hidden_is_all_that_was_found_whatever_tracking_or_a_callback_takes_away(layer):
    def forget(predictor):
        for result in predictor.frame_results:
            result.boxes = result.boxes[:0]

    registry = Callbacks()
    registry.add("on_predict_postprocess_end", forget)
    for callbacks in (None, registry):
        run = play(SCENE, Tracking(), Overlay(), script=walk, callbacks=callbacks, overlay=layer, tracker="bytetrack", batch=2)
        results = list(run)
        assert len(results[0].boxes) == 0  # it is confirmed with its second frame at the earliest
        for result in results:
            (left, top, right, bottom, _), original = walk(result.frame.index)[0], np.asarray(result.orig_img)
            changed = (result.canvas != original).any(-1)
            assert changed[top:bottom, left:right].mean() > 0.2
            changed[top:bottom, left:right] = False
            assert not changed.any()


def test_what_is_taken_out_before_tracking_is_not_hidden():
    def forget(predictor):
        for result in predictor.frame_results:
            result.boxes = result.boxes[:0]

    registry = Callbacks()
    registry.add("on_predict_postprocess_end", forget, order=-150)
    run = play(SCENE, Tracking(), Overlay(), script=walk, callbacks=registry, overlay="blur", tracker="bytetrack")
    assert all(np.array_equal(result.canvas, result.orig_img) for result in run)


def test_a_trail_shows_where_a_track_has_been():
    results = list(tracked(layers=["trails"], trail_length=6, line_width=2))
    mask = red(results[10].canvas)
    now, oldest = 35 + 4 * 10, 35 + 4 * 5
    assert mask[100, oldest + 1 : now].all()
    assert not mask[:, : oldest - 2].any()
    assert not red(list(tracked(layers=["trails"], trail_length=1))[10].canvas).any()


def test_a_canvas_looked_at_late_or_elsewhere_shows_the_trail_of_its_own_frame():
    at_once = [result.canvas.copy() for result in tracked(layers=["trails", "heatmap"])]
    results = list(tracked(layers=["trails", "heatmap"]))
    late = {}
    threads = [
        threading.Thread(target=lambda number=number: late.update({number: results[number].canvas})) for number in (11, 2, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, canvas in late.items():
        assert np.array_equal(canvas, at_once[number])
    skipped = list(tracked(layers=["trails", "heatmap"]))[11]  # the only one that is ever looked at
    assert np.array_equal(skipped.canvas, at_once[11])


def test_batches_show_the_same_trails_as_single_frames():
    one = [result.canvas for result in tracked(layers=["trails", "heatmap"])]
    registry = Callbacks()
    early = []
    registry.add("on_predict_postprocess_end", lambda p: early.extend(r.copy().canvas for r in p.frame_results))
    overlay = Overlay("trails", "heatmap", colors=RED)
    four = [r.canvas for r in play(SCENE, overlay, script=walk, ids=lambda _: [7], callbacks=registry, batch=4)]
    for alone, late, soon in zip(one, four, early, strict=True):
        assert np.array_equal(alone, late)
        assert np.array_equal(alone, soon)


def test_boxes_that_a_callback_takes_away_leave_no_trail():
    class Filter(Callback):
        def on_predict_postprocess_end(self, predictor):
            for result in predictor.frame_results:
                if result.frame.index < 6:
                    result.boxes = Boxes.empty(result.orig_shape).with_ids([])

    mask = red(list(tracked(Filter(), layers=["trails"], line_width=2))[9].canvas)
    first = 35 + 4 * 6
    assert mask[:, first + 2].any()
    assert not mask[:, : first - 2].any()


def test_a_seek_begins_trails_and_heat_anew():
    run = tracked(layers=["trails"], frames=60)
    for _ in range(8):
        next(run)
    run.seek(1.5)
    after = next(result for result in run if result.frame.segment == 1)
    assert not red(after.canvas).any()
    run.close()


def test_two_interleaved_runs_share_an_overlay_but_no_trails():
    overlay = Overlay("trails", "heatmap", colors=RED)
    alone = [result.canvas for result in play(SCENE, overlay, script=walk, ids=lambda _: [7])]
    first = play(SCENE, overlay, script=walk, ids=lambda _: [7])
    second = play(SCENE, overlay, script=lambda index: walk(index, left=150), ids=lambda _: [7])
    for expected, (one, _) in zip(alone, zip(first, second, strict=True), strict=True):
        assert np.array_equal(one.canvas, expected)


def test_what_is_kept_is_bounded():
    past = Past.none(_frame((1920, 1080)))
    found = boxes([(100, 100, 300, 400, 0.9)] * 20, (1080, 1920), range(20))
    for _ in range(500):
        past = past.extended(found, {"trails", "heatmap"}, 30)
    assert len(past.steps) == 29
    assert max(past.heat.shape) == HEAT_CELLS
    assert past.extended(found, {"boxes"}, 30).heat is None


def test_heat_is_where_boxes_stood():
    result = list(play(SCENE, Overlay("heatmap"), script=lambda _: [(200, 100, 240, 180, 0.9)]))[-1]
    changed = np.abs(result.canvas.astype(int) - np.asarray(result.orig_img)).max(-1)
    assert changed[180, 220] > 40
    assert changed[60, 60] == 0


def test_an_overlay_without_layers_follows_the_options_between_frames():
    run = play(SCENE, Overlay(colors=RED), script=walk, overlay=None)
    assert not red(next(run).canvas).any()
    run.update(overlay="boxes")
    assert red(next(run).canvas).any()
    run.update(overlay=("labels",))
    mask = red(next(run).canvas)
    assert mask.any()
    assert not mask[130:141].any()
    run.close()


def test_an_overlay_of_ones_own_is_drawn_instead_of_the_options():
    ours = Overlay("boxes", colors=["#00ff00"])
    result = list(play(SCENE, Overlay(colors=RED), ours, script=walk, overlay=("boxes", "labels")))[1]
    assert near(result.canvas, (0, 255, 0)).any()
    assert not red(result.canvas).any()


def test_colours_follow_the_track_and_grey_is_no_track():
    found = boxes([(10, 100, 50, 200, 0.9), (100, 100, 140, 200, 0.8), (200, 100, 240, 200, 0.7)], (240, 320), [1, 4, -1])
    result = Result(_frame(), found, {})
    canvas = np.zeros((240, 320, 3), np.uint8)
    draw(canvas, result, {"boxes"}, _look(("#ff0000", "#00ff00", "#0000ff")), Past.none(result.frame))
    assert canvas[150, 10].tolist() == canvas[150, 100].tolist() == [0, 255, 0]
    assert canvas[150, 200].tolist() == [0x98, 0x8F, 0x8A]


def test_lines_and_letters_grow_with_the_frame():
    widths = []
    for size in ((320, 240), (1920, 1080), (3840, 2160)):
        frame = _frame(size)
        left, top = size[0] // 4, size[1] // 4
        result = Result(frame, boxes([(left, top, 2 * left, 2 * top, 0.9)], frame.image.shape[:2]), {})
        canvas = np.zeros((size[1], size[0], 3), np.uint8)
        draw(canvas, result, {"boxes"}, _look(), Past.none(frame))
        widths.append(int(red(canvas)[top + top // 2, :].sum()) // 2)
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Overlay("trail"),
            f"unknown overlay layer 'trail'. Did you mean 'trails'? The layers are {', '.join(LAYERS)}.",
        ),
        (
            lambda: start(np.zeros((32, 32, 3), np.uint8), overlay="boxes,lables"),
            f"unknown overlay layer 'lables'. Did you mean 'labels'? {KNOWN}",
        ),
        (lambda: Overlay("trails", trail_length=0), "trail_length=0 is out of range; pass a whole number from 1"),
        (lambda: Overlay("boxes", colors=["red"]), "colour 'red' is none; write colours as '#ff8800'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_layers_are_read_from_texts_and_sequences():
    assert check_layers("boxes, labels") == check_layers(["labels", "boxes"]) == {"boxes", "labels"}
    assert check_layers(None) == check_layers(()) == frozenset()


def _look(colors=("#ff0000",)):
    from framehook.inference.callbacks.drawing import Look

    return Look(tuple(colors))


def _frame(size=(320, 240)):
    info = SourceInfo("a", "a", "a", SourceKind.VIDEO)
    return Frame.of(np.zeros((size[1], size[0], 3), np.uint8), index=0, source=info, pts=0.0, captured_at=0.0)
