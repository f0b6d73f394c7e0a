import queue
import subprocess
import sys

import numpy as np
import pytest

from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks import Callbacks
from framehook.inference.callbacks.tracking import Tracking, default_thresholds, tracker_names
from framehook.inference.errors import OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.sources import Source

from .scenes import play, start, walk

SCENE = "testsrc:320x240@30:12"
SORT_OPTIONS = (
    "lost_track_buffer, frame_rate, track_activation_threshold, minimum_consecutive_frames, minimum_iou_threshold, "
    "state_estimator_class, iou, keep_unconfirmed"
)
TRACKERS = ["botsort", "bytetrack", "cbiou", "mcbyte", "ocsort", "sort"]


def ids(results):
    return [result.boxes.id.tolist() for result in results]


def by_hand(name, found, *, frames=None, **options):
    """The ids that a tracker of the package gives when it is called as its documentation shows."""
    import supervision
    import trackers  # noqa: F401 - registers them
    from trackers.core.base import BaseTracker

    tracker = BaseTracker._lookup_tracker(name).tracker_class(**options)
    seen = []
    for number, boxes in enumerate(found):
        detections = supervision.Detections(xyxy=boxes.xyxy.copy(), confidence=boxes.conf.copy(), class_id=boxes.cls.copy())
        tracked = tracker.update(detections, frame=None if frames is None else frames[number])
        tracked = tracked[tracked.tracker_id >= 0]
        seen.append({(tuple(box.tolist()), int(number)) for box, number in zip(tracked.xyxy, tracked.tracker_id, strict=True)})
    return seen


def as_sets(results):
    return [
        {(tuple(box.tolist()), int(number)) for box, number in zip(result.boxes.xyxy, result.boxes.id, strict=True)}
        for result in results
    ]


FRAMES = 40


def first_frames(run):
    with run:
        return [result for _, result in zip(range(FRAMES), run, strict=False)]


@pytest.fixture(scope="module")
def street(data_dir):
    """Frames of pedestrians with YOLOX-nano's boxes, untracked."""
    model = Model(data_dir / "models" / "yolox_nano_416.onnx")
    return first_frames(model.predict(data_dir / "clips" / "vtest.avi", stream=True, overlay=None))


def test_a_file_gets_the_very_ids_that_the_tracker_gives_by_hand(street, data_dir):
    model = Model(data_dir / "models" / "yolox_nano_416.onnx")
    tracked = first_frames(model.track(data_dir / "clips" / "vtest.avi", stream=True, overlay=None))
    found = [result.boxes for result in street]
    expected = by_hand("bytetrack", found, frame_rate=10.0, **default_thresholds("bytetrack", 0.25))
    assert as_sets(tracked) == expected
    assert len({number for frame in expected for _, number in frame}) > 10
    assert all((np.diff(result.boxes.conf) <= 0).all() for result in tracked)  # the detector's order


def test_a_file_among_others_gets_the_tracks_it_gets_alone(street, data_dir):
    found = [result.boxes for result in street]
    found = {"vtest.avi": found, "highway.mp4": found[::-1]}

    def write(predictor):
        for result in predictor.frame_results:
            result.boxes = found[result.frame.source.name][min(result.frame.index, FRAMES - 1)]

    nothing = FunctionBackend(lambda tensor: [np.zeros((len(tensor), 5, 1), np.float32)], output_shapes=[(1, 5, None)])
    model = Model(nothing, decoder="yolo")
    model.add_callback("on_predict_postprocess_end", write, order=-200)
    clips = [data_dir / "clips" / "vtest.avi", data_dir / "clips" / "highway.mp4"]
    alone = [first_frames(model.track(clip, stream=True, overlay=None, conf=0.1)) for clip in clips]
    together = {}
    with model.track(clips[0], stream=True, overlay=None, conf=0.1) as run:
        run.add_source(clips[1])
        for result in run:
            results = together.setdefault(result.frame.source.name, [])
            if len(results) < FRAMES:
                results.append(result)
            if len(together) == 2 and all(len(each) == FRAMES for each in together.values()):
                break
    for clip, expected in zip(clips, alone, strict=True):
        assert as_sets(together[clip.name]) == as_sets(expected)
    assert len({number for frame in as_sets(alone[0]) for _, number in frame}) > 5


def test_options_go_to_the_tracker_and_frames_to_one_that_looks_at_them(street):
    found = [result.boxes for result in street[:15]]
    options = {"lost_track_buffer": 60, "track_activation_threshold": 0.3, "high_conf_det_threshold": 0.3}
    expected = by_hand("botsort", found, frames=[np.array(r.orig_img) for r in street[:15]], frame_rate=25.0, **options)
    callbacks = Callbacks()

    def write(predictor):
        for result in predictor.frame_results:
            result.boxes = found[result.frame.index]

    callbacks.add("on_predict_postprocess_end", write, order=-200)
    callbacks.add(Tracking("botsort", frame_rate=25.0, **options))
    results = list(start([result.orig_img for result in street[:15]], callbacks=callbacks))
    assert as_sets(results) == expected
    assert all(expected[3:])


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_follows_a_walker(name):
    results = list(play(SCENE, Tracking(name), script=walk))
    assert tracker_names() == TRACKERS
    assert ids(results)[-1] == [0]


def test_unconfirmed_boxes_are_left_out_or_kept_with_minus_one():
    assert ids(play(SCENE, Tracking("bytetrack"), script=walk))[:3] == [[], [0], [0]]
    kept = ids(play(SCENE, Tracking("bytetrack", keep_unconfirmed=True), script=walk))
    assert kept[:3] == [[-1], [0], [0]]


def test_rows_keep_the_order_of_the_detector():
    def two(index):
        return [*walk(index, left=150, score=0.95), *walk(index, score=0.3 if index % 2 else 0.9)]

    results = list(play(SCENE, Tracking("bytetrack"), script=two))
    assert [result.boxes.conf.tolist() for result in results[2:4]] == [pytest.approx([0.95, 0.9]), pytest.approx([0.95, 0.3])]
    assert ids(results)[2:] == [[0, 1]] * 10


def test_two_interleaved_runs_share_an_object_but_no_ids():
    tracking = Tracking("bytetrack")
    first = play(SCENE, tracking, script=walk)
    second = play(SCENE, tracking, script=lambda index: walk(index) + walk(index, left=150) if index > 3 else [])
    pairs = list(zip(first, second, strict=True))
    assert [one.boxes.id.tolist() for one, _ in pairs][1:] == [[0]] * 11
    assert [two.boxes.id.tolist() for _, two in pairs] == [[]] * 5 + [[0, 1]] * 7


def test_a_seek_starts_afresh_and_no_id_is_used_twice():
    run = play("testsrc:320x240@30:60", Tracking("bytetrack"), script=walk, conf=0.001)
    before = [next(run) for _ in range(5)]
    run.seek(1.5)
    after = [result for result in run if result.frame.segment == 1]
    assert ids(before)[-1] == [0]
    assert ids(after)[0] == []
    assert {number for frame in ids(after) for number in frame} == {1}


def test_the_tracker_follows_changed_options_between_frames():
    run = play(SCENE, Tracking(), script=walk)
    assert next(run).boxes.id is None
    run.update(tracker="sort", tracker_options={"minimum_consecutive_frames": 1})
    tracked = [next(run) for _ in range(3)]
    assert ids(tracked)[-1] == [0]
    run.update(tracker=None, tracker_options=None)
    assert next(run).boxes.id is None
    run.update(tracker="bytetrack")
    assert {number for frame in ids(run) for number in frame} == {1}


def test_a_changed_conf_moves_the_default_thresholds_and_keeps_the_tracks():
    run = play(SCENE, Tracking(), script=lambda index: walk(index, score=0.6), tracker="bytetrack", conf=0.25)
    assert ids([next(run) for _ in range(3)])[-1] == [0]
    run.update(conf=0.59)
    assert ids(run)[-1] == [0]


def test_a_tracker_of_ones_own_counts_instead_of_the_options():
    results = list(play(SCENE, Tracking(), Tracking("sort", minimum_consecutive_frames=5), script=walk, tracker="bytetrack"))
    assert ids(results)[2] == []
    assert ids(results)[-1] == [0]


class Camera(Source):
    """A live source that gives a frame, captured at a time of the test's choosing, whenever the test lets it."""

    endless = True

    def __init__(self):
        self.info = SourceInfo("cam", "cam", "cam", SourceKind.CAMERA, live=True, fps=30.0)
        self.times = queue.Queue()
        self.count = 0

    def read(self):
        time = self.times.get()
        if time is None:
            return None
        self.count += 1
        pixels = np.zeros((240, 320, 3), np.uint8)
        return Frame.of(pixels, index=self.count - 1, source=self.info, pts=time, captured_at=time)

    def interrupt(self):
        self.times.put(None)

    def close(self):
        self.times.put(None)


def test_a_live_source_is_followed_by_the_clock_and_not_by_the_count():
    camera = Camera()
    seen = []
    with play(camera, Tracking("bytetrack", lost_track_buffer=30), script=lambda _: walk(0)) as run:
        # After three frames none is captured for two seconds: the track is lost after one, though no frame went without it.
        for time in (10.0, 10.03, 10.06, 10.06, 12.1, 12.13):
            camera.times.put(time)
            seen.append(next(run))
    assert ids(seen) == [[], [0], [0], [0], [], [1]]


def test_pictures_of_a_run_are_one_sequence_and_a_single_one_is_left_as_it_is(tmp_path):
    import cv2

    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((240, 320, 3), np.uint8))
    assert ids(play(tmp_path, Tracking("bytetrack"), script=lambda _: walk(0)))[1:] == [[0]] * 3
    alone = list(play(tmp_path / "0.png", Tracking("bytetrack"), script=lambda _: walk(0)))
    assert alone[0].boxes.id is None
    assert len(alone[0]) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Tracking("bytetrak"),
            f"unknown tracker 'bytetrak'. Did you mean 'bytetrack'? The trackers are {', '.join(TRACKERS)}.",
        ),
        (
            lambda: Tracking("bytetrack", lost_track_bufer=60),
            "tracker 'bytetrack' has no option 'lost_track_bufer'. Did you mean 'lost_track_buffer'?",
        ),
        (
            lambda: Tracking("bytetrack", lost_track_buffer=-1),
            "tracker 'bytetrack' does not take lost_track_buffer=-1: lost_track_buffer must be greater than or equal to 0",
        ),
        (
            lambda: Tracking(lost_track_buffer=60),
            "the tracking option 'lost_track_buffer' needs a tracker; pass its name first, such as 'bytetrack'",
        ),
        (
            lambda: start(np.zeros((32, 32, 3), np.uint8), tracker="ocsor"),
            f"unknown tracker 'ocsor'. Did you mean 'ocsort'? The trackers are {', '.join(TRACKERS)}.",
        ),
        (
            lambda: start(np.zeros((32, 32, 3), np.uint8), tracker="sort", tracker_options={"delta_t": 1}),
            f"tracker 'sort' has no option 'delta_t'. Its options are {SORT_OPTIONS}.",
        ),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(OptionError) as caught:
        make()
    assert str(caught.value) == message


def test_a_mistake_in_an_update_changes_nothing():
    run = play(SCENE, Tracking(), script=walk, tracker="bytetrack")
    with run:
        next(run)
        with pytest.raises(OptionError, match="Did you mean 'bytetrack'"):
            run.update(tracker="bytetrac")
        assert next(run).boxes.id.tolist() == [0]


def test_default_thresholds_only_ever_lower_the_trackers_own():
    assert default_thresholds("bytetrack", 0.25) == {"track_activation_threshold": 0.5, "high_conf_det_threshold": 0.5}
    assert default_thresholds("bytetrack", 0.8) == {"track_activation_threshold": 0.7, "high_conf_det_threshold": 0.6}
    assert default_thresholds("sort", 0.25) == {"track_activation_threshold": 0.25}


def test_nothing_of_tracking_and_drawing_is_imported_before_it_is_used():
    code = (
        "import sys, framehook\n"
        "from framehook.inference.options import PredictOptions\n"
        "PredictOptions()\n"
        "print([name for name in ('trackers', 'supervision', 'scipy', 'av') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tracking_in_the_background_is_refused_with_a_word():
    callbacks = Callbacks()
    with pytest.raises(OptionError, match="Tracking cannot work on snapshots of a run; add it without background=True"):
        callbacks.add(Tracking("bytetrack"), background=True)
