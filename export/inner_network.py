"""The network inside an exported file, with the stages around it taken off: so that its numbers can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from framehook.inference.backends.base import Tensor
from framehook.inference.errors import ExportError, ModelFormatError, ParityError, one_line


class InnerNetwork:
    """A file, opened in memory with the tensors around its network as further outputs.

    Nothing else is changed: the weights are those of the file, which stays as it is.

    Attributes:
        output_names: What the raw outputs of the network are called in the file.
        takes_frames: Whether the file does its own preprocessing.
    """

    def __init__(self, path: Path, network_input: str, network_outputs: Sequence[str]) -> None:
        """Open a file.

        Args:
            path: The file.
            network_input: The tensor that its network takes; an input of the file where it takes that itself.
            network_outputs: The raw outputs of the network, in their order.

        Raises:
            ModelFormatError: the file cannot be read.
            ExportError: it has no such tensors.
        """
        import onnx

        try:
            model = onnx.load(path)
        except Exception as error:  # protobuf raises an error of its own, which is no public one
            raise ModelFormatError(f"{path} cannot be read as an ONNX graph: {one_line(error)[:200]}") from error
        inputs = [each.name for each in model.graph.input]
        made = {name for node in model.graph.node for name in node.output}
        wanted = [network_input, *network_outputs]
        missing = [name for name in wanted if name not in made and name not in inputs]
        if missing:
            raise ExportError(f"the exported file has no tensor {', '.join(missing)}, so its network cannot be compared")
        self.output_names = tuple(network_outputs)
        self.takes_frames = network_input not in inputs
        there = {each.name for each in model.graph.output}
        for name in wanted:
            if name not in there and name in made:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
        self._network_input = network_input
        self._picture = inputs[0] if self.takes_frames else network_input
        options = ort.SessionOptions()
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def on_tensor(self, tensor: Tensor) -> list[Tensor]:
        """The raw outputs for a tensor of pictures; for a file that does no preprocessing."""
        return self._run(self.output_names, tensor)

    def on_frame(self, image: npt.NDArray[np.uint8]) -> tuple[Tensor, list[Tensor]]:
        """What the file makes of a frame, H x W x 3 uint8 BGR: the tensor that its network takes, and the raw outputs."""
        tensor, *outputs = self._run((self._network_input, *self.output_names), np.ascontiguousarray(image))
        return tensor, outputs

    def _run(self, names: Sequence[str], value: Tensor) -> list[Tensor]:
        try:
            outputs: list[Tensor] = self._session.run(list(names), {self._picture: value})
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            shape = "x".join(map(str, value.shape))
            raise ParityError(f"the exported file fails on an input of shape {shape}: {one_line(error)[:300]}") from error
        return outputs
