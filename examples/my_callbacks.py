"""A file of callbacks for the command line: functions named after events.

    framehook track 0 --callbacks examples/my_callbacks.py

Each takes the run, `predictor`, just as `model.add_callback` has it.
"""


def on_predict_start(predictor):
    print(f"watching {predictor.source.name} on {predictor.device}")


def on_predict_batch_end(predictor):
    for result in predictor.frame_results:
        result.data["crowded"] = len(result.boxes) > 5


def on_predict_end(predictor):
    print(f"saw {predictor.stats.detections} boxes in {predictor.stats.frames} frames")
