"""Record in parts of a minute each, and keep the last hour.

    python examples/record_segments.py [SOURCE]

Each part is named after the time at which it begins, plays by itself, and is complete, ready to be copied or played from a web
server, as soon as the next one begins. If the disk is full, that is logged, and the run goes on without recording.
"""

import sys

from framehook import Model
from framehook.inference.callbacks import Recorder

model = Model()
recorder = Recorder("recordings/%Y%m%d-%H%M%S.mp4", segment_seconds=60, keep=60, on_error="stop")
model.add_callback(recorder)

source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip
with model.track(source, stream=True, conf=0.3) as run:
    for _ in run:
        pass
for path in recorder.paths:
    print(path)
