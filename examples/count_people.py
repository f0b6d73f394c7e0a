"""Count the different people in a video.

    python examples/count_people.py [SOURCE]

A callback with state is a class with methods named after events. Under `track` the ids are already there when callbacks run.
"""

import sys

from framehook import Callback, Model


class PeopleCounter(Callback):
    def on_predict_start(self, predictor):
        self.ids = set()
        self.most = 0

    def on_predict_batch_end(self, predictor):
        for result in predictor.frame_results:
            people = [int(box.id[0]) for box in result.boxes if result.name_of(box.cls[0]) == "person"]
            self.ids.update(people)
            self.most = max(self.most, len(people))

    def on_predict_end(self, predictor):
        print(f"{len(self.ids)} different people in {predictor.stats.frames} frames, at most {self.most} at once")


model = Model()
model.add_callback(PeopleCounter())
source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip
with model.track(source, stream=True, conf=0.3) as run:
    for _ in run:
        pass
