"""Stop as soon as something is seen, and keep the picture.

    python examples/stop_on_condition.py [SOURCE]

`predictor.stop()` ends the run after the frame under way, as if the source had ended there: `on_predict_end` fires and
everything is saved.
"""

import sys

from framehook import Model

model = Model()


@model.on("on_predict_batch_end")
def stop_at_first_person(predictor):
    for result in predictor.frame_results:
        if len(result.boxes):
            path = result.save("first_person.jpg")
            print(f"frame {result.frame.index}: {result.verbose()}; see {path}")
            predictor.stop()


source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip
with model.predict(source, stream=True, conf=0.4) as run:
    for _ in run:
        pass
