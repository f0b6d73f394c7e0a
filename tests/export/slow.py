"""A network that takes as long as is wanted, so that what happens while it is compared happens while it is compared."""

from pathlib import Path

import onnx
from onnx import helper, parser

_GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
slow (float[1,3,64,64] images) => (float[1,5,84] output0) {{
    mean = ReduceMean<keepdims = 0>(images)
    sides = Constant<value_ints = [256, 256]>()
    square = Expand(mean, sides)
    times = Constant<value_int = {times}>()
    on = Constant<value = bool {{1}}>()
    last = Loop(times, on, square) <body = turn (int64 number, bool go_on, float[256,256] before)
        => (bool still, float[256,256] after) {{
        still = Identity(go_on)
        product = MatMul(before, before)
        after = Tanh(product)
    }}>
    one = ReduceMean<keepdims = 0>(last)
    shape = Constant<value_ints = [1, 5, 84]>()
    zero = Constant<value_float = 0.0>()
    nothing = Mul(one, zero)
    output0 = Expand(nothing, shape)
}}
"""


def save_slow(path: Path, times: int = 2000) -> Path:
    """Write a network of the layout yolo that finds nothing, and multiplies matrices `times` times (about a second) for it."""
    model = parser.parse_model(_GRAPH.format(times=times))
    helper.set_model_props(model, {"framehook.layout": "yolo", "names": "{0: 'thing'}"})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
