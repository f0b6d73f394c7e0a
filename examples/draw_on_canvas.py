"""Draw something of your own on every frame, and record it.

    python examples/draw_on_canvas.py [SOURCE]

`result.canvas` is a writable copy of the frame with the overlay (boxes, labels ...) on it. What callbacks draw there is what
the recording and `result.plot()` show; the captured frame itself stays as it was.
"""

import sys

import cv2

from framehook import Model

model = Model()


@model.on("on_predict_batch_end")
def draw_count(predictor):
    for result in predictor.frame_results:
        text = f"{len(result.boxes)} in view, {predictor.stats.fps_recent:.0f} frames/s"
        cv2.putText(result.canvas, text, (10, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 255, 255), 2, cv2.LINE_AA)


source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip
with model.track(source, stream=True, conf=0.3, save=True) as run:
    for _ in run:
        pass
print(f"the annotated video is in {run.predictor.save_dir}")
