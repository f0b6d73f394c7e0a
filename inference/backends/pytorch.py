"""PyTorch: the backend of checkpoints and of users' own modules; the only backend that imports torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

import numpy as np
import torch
from torch import nn

from framehook.inference.backends.base import Mode, Tensor
from framehook.inference.errors import InferenceError, ModelFormatError, OptionError, one_line
from framehook.inference.network import NetworkInfo, TensorInfo

DType: TypeAlias = Literal["float32", "float16", "bfloat16"]
_DTYPES: Final = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_PROBE_SIDE: Final = 640
"""Height and width of the picture that an unknown module is shown once, where it leaves them open."""


class TorchBackend:
    """A PyTorch module: a network of a checkpoint, or one of a user's own.

    Attributes:
        network: What is known of it.
        device: What it runs on: `cpu`, `cuda:0`, `mps`.
        module: The module in evaluation mode, on that device.
        dtype: Type it computes in; inputs and outputs are float32 whatever it is.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        device: str | int | None = None,
        dtype: DType = "float32",
        channels_last: bool = True,
        compile: bool | str = False,
        input_shape: tuple[int | None, ...] = (None, 3, None, None),
        outputs: Sequence[TensorInfo] | None = None,
        metadata: Mapping[str, str] | None = None,
        source: str | Path | None = None,
    ) -> None:
        """Put a module into evaluation mode and on its device: the module itself, not a copy.

        Args:
            module: Takes a float tensor of `input_shape` and returns a tensor, or a list, tuple or dict of tensors. Its mode,
                type, device and memory format change; pass `copy.deepcopy(module)` to go on training the one you have.
            device: `cpu`, `cuda`, `cuda:1`, `1` (a GPU's number), `mps`; None picks the best there is.
            dtype: What to compute in. The narrow types are faster on GPUs, and change scores by some thousandths.
            channels_last: Keep pictures and weights with their channels innermost, which most convolutions like better.
            compile: Let `torch.compile` work on it, which takes up to a minute with the first picture of each size; or name one
                of its backends.
            input_shape: Axes of its input, None where it takes any size.
            outputs: Its outputs; None to find out by showing it one black picture.
            metadata: What an ONNX file would carry, such as `names` and `framehook.layout`.
            source: What to call it in messages.

        Raises:
            OptionError: the device or type is not possible here.
            ModelFormatError: it fails on the black picture, or returns no tensors.
        """
        self._device = choose_device(device)
        if dtype not in _DTYPES:
            raise OptionError(f"dtype={dtype!r} is unknown; pass one of {', '.join(_DTYPES)}")
        self.dtype: DType = dtype
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        self.device = str(self._device)
        self.module = module.eval().to(self._device, _DTYPES[dtype])
        self.module.to(memory_format=self._format)  # type: ignore[call-overload]  # the stubs do not know of it
        backend = "inductor" if compile is True else compile
        self._call: Any = torch.compile(self.module, backend=backend) if backend else self.module
        name = type(module).__name__ if source is None else str(source)
        picture = TensorInfo("images", input_shape, np.dtype(np.float32))
        self.network = NetworkInfo((picture,), tuple(outputs or ()), dict(metadata or {}), name)
        if outputs is None:
            self.network = NetworkInfo((picture,), self._probe(input_shape), dict(metadata or {}), name)

    def infer(self, tensor: Tensor) -> list[Tensor]:
        """Run the module on a tensor of pictures; the outputs are fresh float32 arrays.

        Raises:
            InferenceError: the module failed.
        """
        try:
            with torch.inference_mode(), self._exactly():
                picture = torch.from_numpy(tensor).to(self._device, _DTYPES[self.dtype], memory_format=self._format)
                return [_array(each, tensor) for each in _tensors(self._call(picture))]
        except Exception as error:  # the module may be a user's own, and raise whatever it likes
            raise InferenceError(
                f"{self.network.source} failed on an input of shape {'x'.join(map(str, tensor.shape))}: {one_line(error)[:300]}"
            ) from error

    def _exactly(self) -> AbstractContextManager[None]:
        """Float32 that is float32: newer GPUs multiply with ten bits otherwise, and an ONNX file would seem to differ."""
        if self._device.type == "cuda" and self.dtype == "float32":
            return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return nullcontext()

    def for_mode(self, mode: Mode) -> Self:
        """The same for every mode: PyTorch's threads are shared by the whole process."""
        return self

    def _probe(self, shape: tuple[int | None, ...]) -> tuple[TensorInfo, ...]:
        sides = (1, 3, _PROBE_SIDE, _PROBE_SIDE)
        black = np.zeros([axis or side for axis, side in zip(shape, sides, strict=True)], np.float32)
        try:
            found = self.infer(black)
        except InferenceError as error:
            raise ModelFormatError(f"{error}; pass input_shape= if it takes another") from error
        if not found:
            raise ModelFormatError(f"{self.network.source} returns no tensor; expected one, or a list, tuple or dict of them")
        is_open = [axis is None for axis in shape]
        return tuple(
            TensorInfo(f"output{number}", _opened(output.shape, is_open), output.dtype) for number, output in enumerate(found)
        )


def available_torch_devices() -> list[str]:
    """Devices that this PyTorch can use, best first."""
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def choose_device(device: str | int | None) -> torch.device:
    """The device that a user means; the best there is for None and `auto`.

    Raises:
        OptionError: there is none of this name, or it is not available.
    """
    available = available_torch_devices()
    if device is None or device == "auto":
        return torch.device(available[0])
    text = f"cuda:{device}" if isinstance(device, int) or str(device).isdigit() else str(device).lower()
    text = {"cuda": "cuda:0", "mps:0": "mps", "cpu:0": "cpu"}.get(text, text)
    if not re.fullmatch(r"cpu|mps|cuda:\d+", text):
        raise OptionError(f"device={device!r} is unknown to PyTorch; pass cpu, cuda, mps, or a number as in cuda:1")
    if text not in available:
        raise OptionError(f"device={device!r} is not available; this PyTorch can use {', '.join(available)}")
    return torch.device(text)


def _opened(shape: tuple[int, ...], is_open: list[bool]) -> tuple[int | None, ...]:
    """The shape of an output, with the axes open that depend on axes of the picture that are."""
    batch = None if is_open[0] else shape[0]
    rest: list[int | None] = list(shape[1:])
    if any(is_open[2:]) and len(rest) > 1:
        rest[-1 if rest[-1] > rest[0] else 0] = None  # type: ignore[operator]  # the longer axis counts proposals
    return (batch, *rest)


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for each in output.values():
            yield from _tensors(each)
    elif isinstance(output, list | tuple):
        for each in output:
            yield from _tensors(each)


def _array(output: torch.Tensor, given: Tensor) -> Tensor:
    wide = output.float() if output.is_floating_point() else output
    array: Tensor = wide.cpu().contiguous().numpy()
    # A module may hand its input back, which is written to again with the next frame.
    return array.copy() if np.may_share_memory(array, given) else array
