import json
import threading

import cv2
import numpy as np
import pytest

from framehook.inference.boxes import Boxes
from framehook.inference.errors import ReadOnlyFrameError, RecordingError
from framehook.inference.frame import Frame, SourceInfo, SourceKind
from framehook.inference.result import Result

SOURCE = SourceInfo(id="a", name="a.mp4", path="/clips/a.mp4", kind=SourceKind.VIDEO)
NAMES = {0: "person", 1: "dog"}


def make(ids=None):
    frame = Frame.of(np.full((40, 80, 3), 9, np.uint8), index=5, source=SOURCE, pts=0.2, captured_at=1.0)
    boxes = Boxes([[0, 0, 40, 20], [8, 10, 80, 40], [1, 1, 2, 2]], [0.9, 0.5, 0.25], [0, 1, 0], ids, orig_shape=(40, 80))
    return Result(frame, boxes, NAMES, {"inference": 3.0})


def test_the_views_the_field_knows():
    result = make()
    assert result.orig_img is result.frame.image
    assert result.orig_shape == (40, 80)
    assert result.path == "/clips/a.mp4"
    assert len(result) == len(result.boxes) == 3
    assert result.verbose() == "2 persons, 1 dog"
    assert repr(result) == "Result(a.mp4 frame 5: 2 persons, 1 dog)"
    assert result.names[int(result.boxes[1].cls[0])] == "dog"


def test_drawing_on_the_canvas_leaves_the_frame_alone():
    result = make()
    result.canvas[:] = 200
    assert (result.orig_img == 9).all()
    assert (result.plot() == 200).all()
    result.plot()[:] = 0
    assert (result.canvas == 200).all()
    with pytest.raises(ReadOnlyFrameError, match="canvas"):
        result.orig_img[0] = 0


def test_painters_draw_in_order_when_the_canvas_is_first_looked_at_and_at_once_afterwards():
    result = make()
    drawn = []
    result.add_painter(lambda each, canvas: drawn.append(("first", len(each.boxes), canvas.shape)))
    result.add_painter(lambda each, canvas: drawn.append(("second", len(each.boxes), canvas.shape)))
    assert drawn == []
    result.boxes = result.boxes[:1]
    _ = result.canvas, result.canvas
    assert drawn == [("first", 1, (40, 80, 3)), ("second", 1, (40, 80, 3))]
    result.add_painter(lambda each, canvas: drawn.append("late"))
    assert drawn[-1] == "late"


def test_the_canvas_is_made_once_though_several_threads_look():
    result = make()
    paints = []
    result.add_painter(lambda each, canvas: paints.append(1))
    threads = [threading.Thread(target=lambda: result.canvas) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paints == [1]


def test_a_copy_shares_the_frame_and_nothing_that_can_be_written():
    result = make()
    result.data["note"] = 1
    result.canvas[:] = 3
    copy = result.copy()
    copy.canvas[:] = 4
    copy.data["note"] = 2
    copy.boxes = copy.boxes[:0]
    assert (result.canvas == 3).all()
    assert result.data == {"note": 1}
    assert len(result) == 3
    assert copy.frame is result.frame


def test_summary_and_json():
    result = make(ids=[4, 5, -1])
    assert result.summary()[0] == {
        "name": "person",
        "class": 0,
        "confidence": 0.9,
        "box": {"x1": 0.0, "y1": 0.0, "x2": 40.0, "y2": 20.0},
        "track_id": 4,
    }
    assert json.loads(result.to_json(normalize=True))[1]["box"] == {"x1": 0.1, "y1": 0.25, "x2": 1.0, "y2": 1.0}
    assert "track_id" not in make().summary()[0]


def test_supervision_detections_come_out_and_write_back():
    result = make(ids=[4, 5, 6])
    detections = result.detections
    assert detections.tracker_id.tolist() == [4, 5, 6]
    assert detections.data["class_name"].tolist() == ["person", "dog", "person"]
    result.detections = detections[detections.class_id == 0]
    assert result.boxes.id.tolist() == [4, 6]
    assert result.boxes.conf.tolist() == [pytest.approx(0.9), 0.25]
    detections.xyxy[:] = 0
    assert result.boxes.xyxy[0].tolist() == [0, 0, 40, 20]


def test_saving_writes_the_annotated_picture(tmp_path):
    result = make()
    result.canvas[:] = 200
    target = result.save(tmp_path / "überblick.png")
    assert (cv2.imdecode(np.frombuffer(target.read_bytes(), np.uint8), cv2.IMREAD_COLOR) == 200).all()


def test_saving_where_it_cannot_be_says_why(tmp_path):
    with pytest.raises(RecordingError, match=r"one\.xyz cannot be written: '\.xyz' is no picture format; use \.jpg or \.png"):
        make().save(tmp_path / "one.xyz")
    with pytest.raises(RecordingError, match=r"one\.png cannot be written: No such file or directory"):
        make().save(tmp_path / "missing" / "one.png")
