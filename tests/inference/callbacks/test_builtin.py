import os
import re

import av
import cv2
import numpy as np
import pytest

from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.callbacks.builtin import builtin_callbacks
from framehook.inference.callbacks.per_source import IDLE_FRAMES, PerSource
from framehook.inference.errors import CallbackError, OptionError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.options import PredictOptions


def network(tensor):
    """One box in the middle, of score .9."""
    output = np.zeros((len(tensor), 5, 1), np.float32)
    output[:, :, 0] = (16, 16, 8, 8, 0.9)
    return [output]


@pytest.fixture
def model():
    return Model(FunctionBackend(network, input_shape=(None, 3, 32, 32), output_shapes=[(None, 5, 1)]), decoder="yolo")


def count(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_tracked_run_is_saved_with_all_that_the_options_ask_for(model, tmp_path):
    results = model.track("testsrc:320x240@30:20", save=True, save_txt=True, save_dir=tmp_path, overlay="boxes,labels,trails")
    assert [result.boxes.id.tolist() for result in results][1:] == [[0]] * 19
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels", "testsrc.mp4"]
    assert count(tmp_path / "testsrc.mp4") == 20
    assert (tmp_path / "labels" / "testsrc_20.txt").read_text().split()[-1] == "0"


def test_a_list_of_mixed_kinds_gives_pictures_and_videos(model, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.full((48, 64, 3), 90, np.uint8))
    with av.open(str(folder / "b.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    model.predict(folder, save=True, save_txt=True, save_dir=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "b.mp4", "labels"]
    assert count(tmp_path / "out" / "b.mp4") == 5
    names = sorted(path.name for path in (tmp_path / "out" / "labels").iterdir())
    assert names == ["a.txt", *(f"b_{number}.txt" for number in range(1, 6))]


def test_tracking_and_overlay_are_switched_on_between_frames(model):
    with model.predict("testsrc:320x240@30:20", stream=True, overlay=None) as run:
        first = next(run)
        assert first.boxes.id is None
        assert np.array_equal(first.canvas, first.orig_img)
        run.update(tracker="bytetrack", overlay="boxes")
        later = [next(run) for _ in range(3)][-1]
        assert later.boxes.id.tolist() == [0]
        assert not np.array_equal(later.canvas, later.orig_img)


def test_nothing_is_written_unless_asked(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.track("testsrc:64x48@30:3")
    assert list(tmp_path.iterdir()) == []
    kinds = [type(each).__name__ for each in builtin_callbacks(PredictOptions())]
    assert kinds == ["Tracking", "Overlay"]


def test_each_option_saves_and_counts_what_it_says(model, tmp_path):
    zones = {"all": [(0, 0), (1, 0), (1, 1), (0, 1)], "line": [(0, 0.1), (1, 0.1)]}
    options = {"save_rows": "csv", "save_crop": True, "save_frames": 0.5, "zones": zones, "show_fps": True}
    results = model.track("testsrc:320x240@30:20", save_dir=tmp_path, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crops", "frames", "rows.csv"]
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 20  # a track shows up with its second frame
    assert len(list((tmp_path / "crops").rglob("*.jpg"))) == 19
    assert [path.name for path in sorted((tmp_path / "frames").iterdir())] == ["testsrc_1.jpg", "testsrc_16.jpg"]
    assert results[-1].data["zones"]["all"]["entered"] == 1
    assert results[-1].data["zones"]["line"]["in"] == 0
    assert results[-1].data["fps"] > 0


def test_rows_in_a_file_of_their_own_need_no_folder(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.predict("testsrc:64x48@30:3", save_rows="out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_what_is_saved_and_counted_is_chosen_at_the_start(model, tmp_path):
    with model.predict("testsrc:64x48@30:3", stream=True) as run:
        for name, value in {"save_rows": "csv", "save_crop": True, "save_frames": 1, "zones": {}, "show_fps": True}.items():
            with pytest.raises(OptionError, match=f"{name} is chosen when a run starts"):
                run.update(**{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"save_rows": "jsonk"}, r"'jsonk' is no name for rows\. Did you mean 'jsonl'"),
        ({"save_rows": True}, "save_rows=True is no name"),
        ({"save_frames": True}, "save_frames=True is out of range"),
        ({"save_frames": float("nan")}, "save_frames=nan is out of range"),
        ({"zones": {"door": [(1, 2)]}}, "zone 'door' cannot be made of"),
    ],
)
def test_options_that_cannot_be_are_told_before_anything_is_opened(model, options, said):
    with pytest.raises(OptionError, match=said):
        model.predict("missing.mp4", **options)


def test_a_wrong_tracker_or_layer_is_told_before_anything_is_opened(model):
    with pytest.raises(OptionError, match="Did you mean 'ocsort'"):
        model.track("missing.mp4", tracker="ocsrt")
    with pytest.raises(OptionError, match="Did you mean 'boxes'"):
        model.predict("missing.mp4", overlay="box")


def test_the_state_of_files_that_are_over_is_let_go_and_that_of_live_sources_kept():
    def frame(name, *, live=False):
        info = SourceInfo(name, name, name, SourceKind.VIDEO, live=live)
        return Frame.of(np.zeros((4, 4, 3), np.uint8), index=0, source=info, pts=0.0, captured_at=0.0)

    gone = []
    states = PerSource(lambda frame: frame.source.id, let_go=gone.append)
    states.of(frame("camera", live=True))
    for number in range(4):
        for _ in range(IDLE_FRAMES + 1):
            states.of(frame(f"clip {number}"))
    assert gone == ["clip 0", "clip 1"]
    assert sorted(states.values()) == ["camera", "clip 2", "clip 3"]


def test_the_folder_of_a_run_that_saved_nothing_is_removed_and_one_that_was_named_stays(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = []
    model.add_callback(
        "on_predict_start", lambda predictor: folders.append((str(predictor.save_dir), predictor.save_dir.is_dir()))
    )
    fail = model.add_callback("on_predict_postprocess_end", lambda predictor: 1 / 0)
    for save_dir in (None, "named"):
        with pytest.raises(CallbackError, match="ZeroDivisionError"):
            model.predict("testsrc:64x48@30:3", save=True, save_txt=True, save_dir=save_dir)
    model.predict("testsrc:64x48@30:3", save=True, stream=True).close()  # never started
    assert folders == [(os.path.join("runs", "predict"), True), ("named", True)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named", "runs"]
    assert list((tmp_path / "runs").iterdir()) == []
    fail.remove()
    model.predict("testsrc:64x48@30:3", save=True)
    assert [path.name for path in (tmp_path / "runs" / "predict").iterdir()] == ["testsrc.mp4"]


def test_a_recording_is_cut_into_parts_by_option(model, tmp_path):
    list(model.predict("testsrc:64x48@10:35", save=True, save_dir=tmp_path, save_segment=1, save_keep=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["testsrc_4.mp4"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"save": True, "save_segment": 0.5}, "save_segment=0.5 is out of range; pass seconds, 1 or more"),
        ({"save_segment": 5}, "save_segment=5 is about a recording; pass save=True, too"),
        ({"save": True, "save_keep": 5}, "save_keep=5 is about the parts of a recording; pass save_segment, too"),
        ({"save": True, "save_segment": 5, "save_keep": 0}, "save_keep=0 is out of range"),
        ({"save": True, "save_on_error": "cry"}, "save_on_error='cry' is unknown; pass 'raise' or 'stop'"),
    ],
)
def test_what_does_not_fit_a_recording_is_refused(options, said):
    with pytest.raises(OptionError, match=re.escape(said)):
        PredictOptions(**options)
