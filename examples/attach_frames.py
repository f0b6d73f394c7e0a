"""Attach the original frame to every result.

    python examples/attach_frames.py [SOURCE]

`predictor.results` is what the run yields. A callback may replace it by any iterable; here each result is paired with the
picture it was found in.
"""

import sys

from framehook import Model


def attach_frames(predictor):
    _, images, _, _ = predictor.batch
    predictor.results = zip(predictor.results, images, strict=True)


model = Model()
model.add_callback("on_predict_batch_end", attach_frames)
source = sys.argv[1] if len(sys.argv) > 1 else None  # None is the demo clip

for result, image in model.predict(source, stream=True):
    if result.frame.index % 50 == 0:
        print(f"frame {result.frame.index}: {result.verbose()} in a picture of {image.shape[1]} x {image.shape[0]}")
