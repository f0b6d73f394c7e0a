"""A PyTorch network as an ONNX graph: the only part of an export that needs torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import onnx
import torch

from framehook.inference.errors import ExportError, one_line

OPSET: Final = 18
"""What is written unless another is asked for: the oldest that PyTorch's exporter writes directly, so the most widely read."""
AXES: Final = ("batch", "height", "width")
"""Names of the open axes of a dynamic graph's input."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A network as a graph.

    Attributes:
        model: The graph: input `images`, N x 3 x height x width float32, outputs `output0`, `output1` ...
        note: What is worth telling, such as that the older exporter was needed; None for nothing.
    """

    model: onnx.ModelProto
    note: str | None = None


def trace(
    net: torch.nn.Module,
    *,
    input_size: tuple[int, int],
    batch: int = 1,
    dynamic: bool = False,
    opset: int | None = None,
    channels: int = 3,
    input_name: str = "images",
) -> Traced:
    """Export a network.

    Args:
        net: In evaluation mode, in float32, giving the outputs that are to be the graph's.
        input_size: (width, height) of the input in pixels.
        batch: Pictures a call.
        dynamic: Leave batch, height and width open.
        opset: Version of ONNX's operators; None for `OPSET`.
        channels: Channels of the picture.
        input_name: Name of the input.

    Raises:
        ExportError: PyTorch cannot export it.
    """
    width, height = input_size
    device = next((each.device for each in net.parameters()), torch.device("cpu"))
    # An example with a batch of one, or of equal sides, would tempt the exporter to take chance for law.
    picture = torch.zeros(max(batch, 2) if dynamic else batch, channels, height, width, device=device)
    with _quiet():
        try:
            model, note = _by_dynamo(net, picture, dynamic, opset or OPSET, input_name), None
        except Exception as error:  # whatever PyTorch's exporter raises, the older one may do
            if dynamic:
                raise ExportError(f"PyTorch cannot export this network with open axes: {_reason(error)}") from error
            try:
                model = _by_script(net, picture, opset or OPSET, input_name)
            except Exception as second:
                raise ExportError(f"PyTorch cannot export this network: {_reason(error)}") from second
            note = f"PyTorch's newer exporter failed ({_reason(error)}), so the older one was used"
    _name_axes(model, dynamic)
    return Traced(model, note)


def _by_dynamo(net: torch.nn.Module, picture: torch.Tensor, dynamic: bool, opset: int, name: str) -> onnx.ModelProto:
    # Whatever the parameter of a user's own module is called: shapes are told by position.
    shapes: Any = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),) if dynamic else None
    program = torch.onnx.export(
        net, (picture,), dynamo=True, input_names=[name], opset_version=opset, dynamic_shapes=shapes, verbose=False
    )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


def _by_script(net: torch.nn.Module, picture: torch.Tensor, opset: int, name: str) -> onnx.ModelProto:
    import io

    file = io.BytesIO()
    torch.onnx.export(net, (picture,), file, dynamo=False, input_names=[name], opset_version=opset)  # type: ignore[arg-type]
    return onnx.load_model_from_string(file.getvalue())


def _name_axes(model: onnx.ModelProto, dynamic: bool) -> None:
    """Names for people: outputs by number, and open axes in place of the exporter's formulas."""
    graph = model.graph
    renamed = {output.name: f"output{number}" for number, output in enumerate(graph.output)}
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = renamed.get(name, name)
    for output in graph.output:
        output.name = renamed[output.name]
    if dynamic:
        for axis, name in zip((0, 2, 3), AXES, strict=True):
            graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
        for output in graph.output:
            for axis, dim in enumerate(output.type.tensor_type.shape.dim):
                if dim.dim_param:
                    dim.dim_param = "batch" if axis == 0 else "proposals"
        del graph.value_info[:]  # told in the exporter's formulas


def _reason(error: BaseException) -> str:
    """The innermost cause in a line: PyTorch wraps it into pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {one_line(error)[:200]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep PyTorch's exporter from warning of its own affairs, such as that torchvision is not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
