import sys

import cv2
import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.callbacks import Callbacks, Crops, Overlay
from framehook.inference.errors import CallbackError, OptionError

from .scenes import play, start, walk


def run(source, crops, *others, folder=None, script=walk, ids=None, **options):
    running = play(source, *others, crops, script=script, ids=ids, **options)
    running.predictor.save_dir = folder
    list(running)
    return files(folder) if folder is not None else None


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def gradient():
    """A picture whose colours tell where they are: the blue is x, the green is y."""
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[:, :, 0] = np.arange(320) * 0.7
    picture[:, :, 1] = np.arange(240)[:, None]
    return picture


def test_each_box_is_cut_from_the_captured_frame_and_named_after_class_source_frame_and_box(tmp_path):
    script = lambda index: [*walk(index), (100.4, 10.6, 140.2, 50.1, 0.5)]  # noqa: E731
    names = run([gradient()] * 2, Crops(), Overlay("boxes", "blur"), folder=tmp_path, script=script)
    assert names == [f"crops/thing/list_{frame}_{box}.jpg" for frame in (1, 2) for box in (1, 2)]
    cut = cv2.imread(str(tmp_path / "crops" / "thing" / "list_1_2.jpg")).astype(int)
    assert np.abs(cut - gradient()[10:51, 100:141]).max() < 8


def test_boxes_are_cut_off_at_the_edge_and_those_outside_are_left_out(tmp_path):
    rows = [
        (-20, -20, 30, 40, 0.9),
        (300, 200, 400, 300, 0.8),
        (330, 10, 350, 20, 0.7),
        (50, 50, 50, 90, 0.6),
        (-9, 5, -1, 9, 0.5),
    ]
    crops = Crops(tmp_path)
    run([gradient()], crops, script=lambda index: rows)
    assert [cv2.imread(str(path)).shape[:2] for path in sorted(tmp_path.rglob("*.jpg"))] == [(40, 30), (40, 20)]
    assert (crops.count, crops.folders) == (2, [tmp_path])


def test_only_wanted_classes_and_scores_are_saved(tmp_path):
    rows = lambda index: [(0, 0, 20, 20, 0.9), (0, 0, 20, 20, 0.3)]  # noqa: E731
    assert run([gradient()], Crops(min_conf=0.5), folder=tmp_path / "a", script=rows) == ["crops/thing/list_1_1.jpg"]
    assert len(run([gradient()], Crops(classes="thing"), folder=tmp_path / "b", script=rows)) == 2
    assert len(run([gradient()], Crops(classes=[0]), folder=tmp_path / "c", script=rows)) == 2
    with pytest.raises(CallbackError, match=r"the model has no class 'think'\. Did you mean 'thing'"):
        run([gradient()], Crops(classes=["think"]), script=rows)
    with pytest.raises(CallbackError, match="the model has no class 5"):
        run([gradient()], Crops(classes=5), script=rows)


def test_frames_that_are_taken_lie_the_wanted_time_apart(tmp_path):
    names = run("testsrc:320x240@30:100", Crops(every=1), folder=tmp_path, script=lambda index: walk(index, speed=1))
    assert names == [f"crops/thing/testsrc_{number}_1.jpg" for number in (1, 31, 61, 91)]


def scored(*rows):
    """Frames of one track 7 of these (score, class) each; a box is as wide as its score has hundredths."""

    def write(predictor):
        for result in predictor.frame_results:
            conf, cls = rows[result.frame.index]
            result.boxes = Boxes([(0, 0, 100 * conf, 20)], [conf], [cls], [7], orig_shape=result.orig_shape)

    return write


@pytest.mark.parametrize(("per_track", "width"), [("first", 60), ("best", 80)])
def test_of_a_track_the_first_or_the_best_picture_is_kept(tmp_path, per_track, width):
    registry = Callbacks()
    registry.add("on_predict_postprocess_end", scored((0.6, 0), (0.5, 0), (0.8, 0), (0.7, 0)))
    crops = Crops(tmp_path, per_track=per_track)
    registry.add(crops)
    list(start("testsrc:320x240@30:4", callbacks=registry))
    assert files(tmp_path) == ["thing/testsrc_track7.jpg"]
    assert cv2.imread(str(tmp_path / "thing" / "testsrc_track7.jpg")).shape[1] == width
    assert crops.count == 1


def test_the_best_picture_moves_when_the_class_turns_out_to_be_another(tmp_path):
    registry = Callbacks()
    registry.add("on_predict_postprocess_end", scored((0.5, 3), (0.8, 0), (0.6, 3)))
    crops = Crops(tmp_path, per_track="best")
    registry.add(crops)
    list(start("testsrc:320x240@30:3", callbacks=registry))
    assert files(tmp_path) == ["thing/testsrc_track7.jpg"]
    assert crops.count == 1


def test_one_picture_a_track_needs_tracks(tmp_path):
    with pytest.raises(CallbackError, match=r"OptionError: per_track='best' needs tracks, .* tracker='bytetrack'"):
        run("testsrc:320x240@30:2", Crops(tmp_path, per_track="best"))
    run("testsrc:320x240@30:2", Crops(tmp_path, per_track="best"), ids=lambda index: [-1])
    assert files(tmp_path) == []


def test_a_class_name_is_never_a_way_out_of_the_folder(tmp_path):
    registry = Callbacks()

    def rename(predictor):
        for result in predictor.frame_results:
            result.names = {0: "../../etc/pass:wd", 1: "..", 2: "traffic light"}
            result.boxes = Boxes([(0, 0, 9, 9)] * 3, [0.9] * 3, [0, 1, 2], orig_shape=result.orig_shape)

    registry.add("on_predict_postprocess_end", rename)
    registry.add(Crops(tmp_path / "crops"))
    list(start("testsrc:64x48@30:1", callbacks=registry))
    assert files(tmp_path) == [
        "crops/class 1/testsrc_1_2.jpg",
        "crops/etc_pass_wd/testsrc_1_1.jpg",
        "crops/traffic_light/testsrc_1_3.jpg",
    ]


def test_crops_that_are_there_already_are_not_touched(tmp_path):
    for _ in range(2):
        run("testsrc:320x240@30:1", Crops(), folder=tmp_path / "run")
        run("testsrc:320x240@30:1", Crops(tmp_path / "mine"))
    assert files(tmp_path / "run") == ["crops/thing/testsrc_1_1.jpg", "crops2/thing/testsrc_1_1.jpg"]
    assert files(tmp_path / "mine") == ["thing/testsrc_1_1.jpg", "thing/testsrc_1_1_2.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
def test_a_full_disk_leaves_no_broken_picture(tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(CallbackError, match=r"testsrc_1_1\.jpg cannot be written: File too large; free some space"):
            run("testsrc:320x240@30:2", Crops(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"min_conf": 2}, "min_conf=2 is out of range"),
        ({"every": -1}, "every=-1 is out of range"),
        ({"per_track": "last"}, "pass 'all', 'first' or 'best'"),
    ],
)
def test_values_out_of_range_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Crops(**options)


@pytest.mark.parametrize("options", [{"min_conf": "a"}, {"min_conf": True}, {"every": "x"}, {"every": float("inf")}])
def test_values_that_are_no_numbers_are_refused(options):
    with pytest.raises(OptionError, match="is out of range"):
        Crops(**options)
