"""What a backend is, and one made of a plain function."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from framehook.inference.network import NetworkInfo, TensorInfo

Tensor: TypeAlias = npt.NDArray[Any]
Mode: TypeAlias = Literal["latency", "throughput"]


class Backend(Protocol):
    """Runs a network; every method may be called from several threads at once.

    Attributes:
        network: What the network says of itself.
        device: What it runs on, for people and for `predictor.device`: `cpu`, `cuda:0`, `coreml` ...
    """

    network: NetworkInfo
    device: str

    def infer(self, tensor: Tensor) -> list[Tensor]:
        """Run the network on a tensor of pictures, which is used again after the call; or on one frame (`takes_frames`).

        What a network takes beside pictures is the backend's to fill in.

        The outputs are fresh arrays in the graph's order: never views of the input, never written to by a later call.

        Raises:
            InferenceError: the network failed.
        """
        ...

    def for_mode(self, mode: Mode) -> Backend:
        """The same network tuned for `latency` (one call at a time over all cores) or `throughput` (a call on each core)."""
        ...


class FunctionBackend:
    """A network that is a Python function: the seam for tests and for anything that is no ONNX graph.

    Example:
        >>> backend = FunctionBackend(lambda tensor: [np.zeros((1, 5, 10), np.float32)], input_shape=(1, 3, 32, 32))
    """

    def __init__(
        self,
        function: Callable[[Tensor], Sequence[Tensor]],
        *,
        input_shape: tuple[int | None, ...] = (1, 3, 320, 320),
        output_shapes: Sequence[tuple[int | None, ...]] = ((1, 5, None),),
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Wrap `function`, which takes the float32 input tensor and returns the outputs.

        Args:
            function: The network; it must be thread-safe where several frames are in flight.
            input_shape: Axes of the input, None where it takes any size.
            output_shapes: Axes of each output, for the recognition of the layout.
            metadata: What an ONNX file would carry, for instance `{"names": "{0: 'person'}"}`.
        """
        dtype = np.dtype(np.float32)
        outputs = tuple(TensorInfo(f"output{number}", tuple(shape), dtype) for number, shape in enumerate(output_shapes))
        name = getattr(function, "__name__", type(function).__name__)
        self.network = NetworkInfo((TensorInfo("images", input_shape, dtype),), outputs, metadata or {}, source=name)
        self.device = "cpu"
        self._function = function

    def infer(self, tensor: Tensor) -> list[Tensor]:
        """Call the function."""
        return list(self._function(tensor))

    def for_mode(self, mode: Mode) -> Self:
        """The same for every mode."""
        return self


def usable_cores() -> int:
    """Cores this process may run on, which in a container is often fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
