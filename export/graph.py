"""The ONNX graph of a network that is an ONNX file: read whole, of the wanted shapes and version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from framehook._version import __version__
from framehook.inference.errors import ExportError, ModelFormatError, OptionError, one_line

if TYPE_CHECKING:
    import onnx

MOST_BYTES: Final = 2**31 - 1
"""What one ONNX file can hold, by the format it is written in."""
QUANTISED: Final = frozenset(
    (
        "QuantizeLinear",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QLinearConv",
        "ConvInteger",
        "QLinearMatMul",
        "MatMulInteger",
    )
)
"""Operators of graphs that compute in int8."""


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, weights that it keeps in files of their own included.

    Raises:
        ModelFormatError: it is damaged, or one of those files is missing.
        ExportError: it is larger than one file can be.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf raises an error of its own, which is no public one
        raise ModelFormatError(f"{path} cannot be read as an ONNX graph; export it again: {one_line(error)[:200]}") from error
    _check_size(path.name, model.ByteSize() + sum(_outside(tensor) for tensor in model.graph.initializer))
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # a file that is missing, too short, or lies elsewhere than it may
        raise ModelFormatError(
            f"the weights of {path}, kept in another file, cannot be read: {one_line(error)[:200]}"
        ) from error
    return model


def _check_size(name: str, size: int) -> None:
    """Raise ExportError where a graph of so many bytes fits into no file."""
    if size > MOST_BYTES:
        raise ExportError(f"{name} has {size / 1e9:.1f} GB, and one ONNX file holds 2.1 GB at most; export a smaller model")


def with_opset(model: onnx.ModelProto, opset: int | None) -> onnx.ModelProto:
    """A graph that uses the operators of another version; the same graph where it does, or `opset` is None.

    Raises:
        ExportError: its operators cannot be converted.
    """
    import onnx.version_converter

    if opset is None or opset == opset_of(model):
        return model
    try:
        converted: onnx.ModelProto = onnx.version_converter.convert_version(model, opset)
        onnx.checker.check_model(converted)
    except Exception as error:  # the converter raises what its C++ throws
        raise ExportError(
            f"opset={opset} cannot be had; leave opset out: ONNX's converter failed on the graph, which is of opset "
            f"{opset_of(model)}: {one_line(error).rpartition(': ')[2][:200]}"
        ) from error
    return converted


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the ordinary operators that a graph uses."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)


def check_opset(opset: int | None) -> None:
    """Raise OptionError where the installed ONNX library does not know a version of operators."""
    import onnx

    newest = int(onnx.defs.onnx_opset_version())
    if opset is not None and opset > newest:
        raise OptionError(f"opset={opset} is newer than what is installed: onnx {onnx.__version__} goes up to {newest}")


def close_axes(model: onnx.ModelProto, shape: tuple[int, ...], picture: str) -> onnx.ModelProto:
    """A graph whose input `picture` has this shape, in a copy; the same graph where nothing of it is open.

    Axes that are called the same, in other inputs and in outputs, get the same length, and the others follow by inference.

    Args:
        model: The graph.
        shape: Length of each axis of the input.
        picture: Name of the input.
    """
    import onnx

    (given,) = (each for each in model.graph.input if each.name == picture)
    lengths = {
        axis.dim_param: length
        for axis, length in zip(given.type.tensor_type.shape.dim, shape, strict=True)
        if not axis.HasField("dim_value")
    }
    if not lengths:
        return model
    closed = onnx.ModelProto()
    closed.CopyFrom(model)
    del closed.graph.value_info[:]
    for tensor in (*closed.graph.input, *closed.graph.output):
        axes = tensor.type.tensor_type.shape.dim
        for axis, length in zip(axes, shape if tensor.name == picture else [None] * len(axes), strict=True):
            if length is not None:
                axis.dim_value = length
            elif axis.dim_param in lengths and axis.dim_param:
                axis.dim_value = lengths[axis.dim_param]
    try:
        return onnx.shape_inference.infer_shapes(closed, data_prop=True)
    except Exception:  # noqa: BLE001 - what it cannot infer stays open in the outputs, and nowhere else
        return closed


def serialised(model: onnx.ModelProto, name: str) -> bytes:
    """The content of a file of a graph, which is checked before.

    Raises:
        ExportError: it is larger than one file can be.
        Exception: it is no valid graph; ONNX says so in words of its own.
    """
    import onnx

    _check_size(name, model.ByteSize())
    model.producer_name, model.producer_version = "framehook", __version__
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def refuse_quantised(model: onnx.ModelProto, option: str, name: str) -> None:
    """Raise OptionError where a graph computes in int8 or float16 already, and nothing else can be made of it."""
    import onnx

    if any(node.op_type in QUANTISED for node in model.graph.node):
        raise OptionError(
            f"{option}=True needs the float model, and {name} is quantised already; leave it out, or export its source"
        )
    if any(tensor.data_type == onnx.TensorProto.FLOAT16 and len(tensor.dims) > 1 for tensor in model.graph.initializer):
        raise OptionError(
            f"{option}=True needs the float32 model, and {name} has weights in float16; leave it out, or export its source"
        )


def _outside(tensor: Any) -> int:
    """Bytes of a tensor that lie in another file."""
    return sum(int(entry.value) for entry in tensor.external_data if entry.key == "length" and entry.value.isdecimal())
