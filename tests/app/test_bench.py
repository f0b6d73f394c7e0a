"""What a benchmark measures, and how it is told; never how fast this machine is."""

import json
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import numpy as np
import pytest

from framehook.app import bench
from framehook.app.bench import FEWEST, FEWEST_ROUNDS, ROUNDS, benchmark, measure_file
from framehook.app.figures import BARE, TITLES, Figures
from framehook.app.passes import Head, Pass, bare_side_by_side, decode, one_by_one, overlapped, tensor_of
from framehook.inference.backends import FunctionBackend, usable_cores
from framehook.inference.decoders import BakedIn, describe
from framehook.inference.errors import ModelNotFoundError, OptionError, SourceNotFoundError
from framehook.inference.load import bundled_model, load_detector
from framehook.inference.options import PredictOptions
from framehook.inference.preprocess import InputFormat
from framehook.inference.sources import open_source
from framehook.model import Model

from ..inference.brightness import detector  # noqa: TID252 - a network that is hardly anything


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def quick():
    """A model whose network is hardly anything."""
    return Model(detector().backend, decoder="yolo")


@pytest.fixture(scope="module")
def of_something_live(tmp_path_factory):
    """What one benchmark of something live told: its figures, and its lines."""
    path = tmp_path_factory.mktemp("figures") / "figures.json"
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "WARM_SECONDS", 0.1)
        patch.setattr(bench, "LIVE_CALLS", 10)
        assert benchmark("testsrc:64x48@2000:live", seconds=2, json_file=str(path)) == 0
    assert err.getvalue() == ""
    return json.loads(path.read_text()), out.getvalue().splitlines()


@pytest.fixture(scope="module")
def of_a_file(tmp_path_factory, clip):
    """What one benchmark of a file told: its figures, and its lines."""
    path = tmp_path_factory.mktemp("figures") / "figures.json"
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = benchmark(
            str(clip),
            seconds=0.1,
            model=str(bundled_model()),
            device="cpu",
            decoder="yolo",
            json_file=str(path),
        )
    assert (code, err.getvalue()) == (0, "")
    assert [each.name for each in path.parent.iterdir()] == ["figures.json"]
    lines = out.getvalue().splitlines()
    assert lines.pop() == f"saved {path}"
    return json.loads(path.read_text()), lines


def test_a_file_is_measured_in_every_way_in_turn(of_a_file):
    told, _ = of_a_file
    assert list(told["ways"]) == list(TITLES)
    for way in told["ways"].values():
        assert len(way["ms"]["rounds"]) == FEWEST_ROUNDS
        assert 0 < way["ms"]["least"] <= way["ms"]["median"] <= way["ms"]["most"]
        assert way["fps"] == pytest.approx(1e3 / way["ms"]["median"])
        assert 0 <= way["frame_ms"]["p50"] <= way["frame_ms"]["p95"] <= way["frame_ms"]["p99"]
    assert set(told["ways"]["run"]["stages_ms"]) >= {"preprocess", "inference", "postprocess"}
    assert told["live"] is None
    assert told["frames"] == FEWEST  # as many as fit into the time, as nobody said how many
    bare, run = told["ways"]["bare"]["ms"]["rounds"], told["ways"]["run"]["ms"]["rounds"]
    assert told["ratios"]["run/bare"]["rounds"] == pytest.approx([b / r for b, r in zip(bare, run, strict=True)])


def test_what_was_measured_can_be_told_from_its_figures_alone(of_a_file):
    told, _ = of_a_file
    assert told["versions"]["framehook"]
    assert told["machine"]["usable_cores"] == usable_cores()
    assert told["model"] == {
        "name": "person320.onnx",
        "bytes": bundled_model().stat().st_size,
        "layout": "yolo",
        "input": [320, 320],
        "device": "cpu",
    }
    assert told["source"]["name"] == "scene.mp4"
    assert (told["source"]["size"], told["source"]["fps"]) == ([320, 240], 20)


def test_the_rounds_are_as_many_as_fit_into_the_time_and_the_frames_those_that_were_asked_for(quick):
    report = measure_file(quick, "testsrc:64x48", 600, 12, lambda text: None)
    assert report.frames == 12
    assert {len(figures.ms) for figures in report.ways.values()} == {ROUNDS}


def test_something_live_is_measured_for_a_while_in_place_of_that(of_something_live):
    told, _ = of_something_live
    live = told["live"]
    assert live["frames"] == told["frames"] > 0
    assert live["fps"] == pytest.approx(live["frames"] / live["seconds"])
    assert 0 < live["latency"]["p50"] <= live["latency"]["p95"] <= live["latency"]["p99"]
    assert set(live["stages"]) == {"preprocess", "inference", "postprocess"}
    assert list(told["ways"]) == [BARE]
    assert told["ratios"] == {}


def test_something_live_may_end_after_some_frames_and_be_told_as_json_alone(capsys, monkeypatch):
    monkeypatch.setattr(bench, "WARM_SECONDS", 0.1)
    monkeypatch.setattr(bench, "LIVE_CALLS", 10)
    assert benchmark("testsrc:64x48@50:live", frames=3, seconds=600, json_file="-") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["live"]["frames"] == 3
    assert told.err == ""


def test_frames_that_are_lost_are_counted_by_cause(of_something_live):
    """More frames come than the network takes."""
    assert of_something_live[0]["live"]["dropped"]["overwritten"] > 0


def test_figures_fit_into_80_columns(of_a_file):
    _, lines = of_a_file
    assert all(len(line) <= 80 for line in lines)
    for said in ("person320 on cpu", "scene.mp4: 320x240, 20 frames/s", *TITLES.values(), "3 rounds of 10 frames"):
        assert any(said in line for line in lines), said


def test_live_figures_fit_into_80_columns(of_something_live):
    told, lines = of_something_live
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith(f"  frames         {told['live']['frames']:,} in ") for line in lines)


def test_wrong_use_is_refused_before_anything_is_measured(tmp_path):
    for wrong in ({"seconds": 0}, {"json_file": "nowhere/figures.json"}, {"frames": FEWEST - 1}):
        with pytest.raises(OptionError):
            benchmark("testsrc:64x48", **wrong)
    with pytest.raises(OptionError, match="testsrc:64x48:5 has fewer frames than the 10"):
        benchmark("testsrc:64x48:5")
    with pytest.raises(SourceNotFoundError):
        benchmark("nowhere.mp4")
    with pytest.raises(ModelNotFoundError):
        benchmark("testsrc:64x48", model="nowhere.onnx")
    assert list(tmp_path.iterdir()) == []


TELLS = """
import sys
from framehook.app import bench

def told(show):
    def tell(text):
        print(text, file=sys.stderr, flush=True)
    return tell

measure = bench.measure_file
bench.measure_file = lambda model, spec, seconds, frames, show: measure(model, spec, seconds, frames, told(show))
sys.exit(bench.benchmark("testsrc:64x48", frames=10, seconds=600))
"""


def test_ctrl_c_keeps_the_rounds_that_are_complete(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", TELLS], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert any(line.startswith("round 2 ") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()
    assert "Traceback" not in err
    if process.returncode == 130:  # it was not done yet
        assert "rounds of 10 frames" in out or "1 round of 10 frames" in out
    else:
        assert process.returncode == 0


# The ways ------------------------------------------------------------------------------------------------------------------


def test_a_run_one_by_one_uses_no_other_threads_for_the_network_and_an_overlapped_one_does(clip):
    model = Model()
    for run, apart in ((one_by_one, False), (overlapped, True)):
        threads = set()
        listener = model.add_callback(
            "on_predict_batch_end",
            lambda predictor, threads=threads: threads.update(each.name.partition("_")[0] for each in threading.enumerate()),
        )
        passed = run(model, str(clip), 12)
        listener.remove()
        assert len(passed.each) == 12
        assert passed.ms > 0
        assert passed.latency > 0
        assert ("framehook-infer" in threads) is apart
    assert not model.callbacks.has("on_predict_batch_start")


def test_the_tensor_is_what_a_run_gives_to_the_network(clip):
    detector = Model().detector
    with open_source(str(clip)) as source:
        image = source.read().image
    tensor = tensor_of(detector, image)
    assert tensor.shape == (1, 3, 320, 320)
    expected = detector.compute([image], PredictOptions()).outputs[0]
    for ours, theirs in zip(detector.backend.infer(tensor), expected, strict=True):
        assert (ours == theirs).all()


def test_a_network_of_whole_frames_is_timed_on_the_frame_itself():
    told = describe("end2end", InputFormat(), baked=BakedIn(frames=True, boxes_in_frame=True))
    answer = np.array([[[1, 2, 5, 6, 0.9, 0]]], np.float32)
    backend = FunctionBackend(lambda frame: [answer], input_shape=(None, None, 3), output_shapes=[(1, 1, 6)], metadata=told)
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    tensor = tensor_of(load_detector(backend), image)
    assert tensor.dtype == np.uint8
    assert (tensor == image).all()


def test_a_head_is_the_beginning_of_a_source_and_closes_it(clip):
    source = open_source(str(clip))
    with Head(source, 5) as head:
        assert head.info.frame_count == 5
        assert [frame.index for frame in head] == [0, 1, 2, 3, 4]
        assert head.read() is None
    assert source.read() is None
    with Head(open_source(str(clip)), 500) as longer:
        assert longer.info.frame_count == 20
        assert sum(1 for _ in longer) == 20


def test_every_frame_and_every_call_is_counted(clip):
    assert len(decode(str(clip), 500).each) == 20
    detector = Model().detector
    with open_source(str(clip)) as source:
        tensor = tensor_of(detector, source.read().image)
    assert len(bare_side_by_side(detector.backend, tensor, 7).each) == 7


def test_figures_are_medians_over_rounds_and_percentiles_over_frames():
    passes = [Pass(ms, [ms] * 10, {"inference": ms}, ms) for ms in (1.0, 2.0, 9.0)]
    figures = Figures.of(passes)
    assert figures.ms == [1.0, 2.0, 9.0]
    assert (figures.p50, figures.p95, figures.p99) == (2.0, 9.0, 9.0)
    assert (figures.stages, figures.latency) == ({"inference": 2.0}, 2.0)
