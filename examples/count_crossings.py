"""Count who crosses a line, and who is inside an area.

    python examples/count_crossings.py [SOURCE]

Two points are a line, three or more an area; in pixels, or as here in fractions of the frame. Lines count tracks, so that it
takes `track`. The same on the command line: framehook track SOURCE --zone middle=.5,0,.5,1 --zone front=0,.6,1,.6,1,1,0,1
"""

import sys

from framehook import Model
from framehook.inference.callbacks import ZoneCounter

counter = ZoneCounter({"middle": [(0.5, 0), (0.5, 1)], "front": [(0, 0.6), (1, 0.6), (1, 1), (0, 1)]})
model = Model()
model.add_callback(counter)

source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip
before = 0
with model.track(source, stream=True, conf=0.3) as run:
    for result in run:
        middle = result.data["zones"]["middle"]  # as it stands at this frame
        if middle["in"] + middle["out"] > before:
            before = middle["in"] + middle["out"]
            print(f"frame {result.frame.index}: {middle['in']} to the right and {middle['out']} to the left so far")

front = counter.counts["front"]
print(f"in front were {front['entered']} people, at most {front['most']} at once")
