"""Read a network whose outputs no built-in decoder knows.

    python examples/own_decoder.py

A decoder is a function from the raw outputs to candidate boxes in pixels of the network input; Framehook does the rest:
letterbox in, suppression and frame pixels out. The network here is a Python function that finds the brightest spot, which also
shows that a model need not be an ONNX file.
"""

import numpy as np

from framehook import Model
from framehook.inference.backends import FunctionBackend
from framehook.inference.decoders import Candidates, FunctionDecoder


def brightest_spot(tensor):
    """A 'network': N x 3 x H x W in, one row (row, column, brightness) an image out."""
    brightness = tensor.mean(axis=1)
    rows, columns = np.unravel_index(brightness.reshape(len(tensor), -1).argmax(axis=1), brightness.shape[1:])
    return [np.stack([rows, columns, brightness.max(axis=(1, 2))], axis=1).astype(np.float32)]


def decode_spots(outputs, *, input_size, conf):
    """Candidates of each image: a square of 16 pixels around the spot."""
    return [
        Candidates(
            xyxy=np.array([[column - 8, row - 8, column + 8, row + 8]], np.float32),
            conf=np.array([score], np.float32),
            cls=np.zeros(1, np.int64),
        )
        for row, column, score in outputs[0]
    ]


backend = FunctionBackend(
    brightest_spot, input_shape=(None, 3, 160, 160), output_shapes=[(None, 3)], metadata={"names": "{0: 'spot'}"}
)
model = Model(backend, decoder=FunctionDecoder(decode_spots, name="spots"))

picture = np.zeros((480, 640, 3), np.uint8)
picture[298:303, 498:503] = 255
(result,) = model.predict(picture)
left, top, right, bottom = result.boxes.xyxy[0]
print(f"{result.verbose()} at x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f}")
