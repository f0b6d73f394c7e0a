"""Watch a callback of your own at work in the desktop app, which times it and can switch it off.

    python examples/watch_in_a_window.py [SOURCE]

Needs PyQt6 and pyqtgraph: pip install '.[demo,gui]'. `show` returns when the window is closed.
"""

import sys

import cv2

from framehook import Model
from framehook.app.gui import show
from framehook.inference.sources.demo import demo_clip

model = Model()
seen = set()


@model.on("on_predict_batch_end")
def count_people(predictor):
    for result in predictor.frame_results:
        if result.boxes.id is not None:
            seen.update(result.boxes.id.tolist())
        height = result.canvas.shape[0]
        cv2.putText(result.canvas, f"{len(seen)} so far", (12, height - 14), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 255), 2)


@model.on("on_predict_end")
def say(predictor):
    print(f"{len(seen)} different people in {predictor.stats.frames} frames")


show(model, sys.argv[1] if len(sys.argv) > 1 else demo_clip())
