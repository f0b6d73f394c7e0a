"""ONNX Runtime: the backend of every deployed model."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from framehook.inference.backends.base import Mode, Tensor, usable_cores
from framehook.inference.backends.companions import Companions, picture_of
from framehook.inference.errors import InferenceError, ModelFormatError, ModelNotFoundError, OptionError, one_line
from framehook.inference.network import NetworkInfo, TensorInfo

log = logging.getLogger("framehook")

PROVIDERS: Final = {
    "cuda": "CUDAExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Device words to ONNX Runtime's execution providers, in the order in which they are chosen when none is asked for."""
NOT_BY_ITSELF: Final = {"tensorrt"}
"""Only used when asked for: its first run compiles the network for minutes."""
BOUND: Final = {"cuda", "migraphx", "tensorrt"}
"""Devices with a memory of their own, whose tensors are bound rather than passed."""

_DTYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True, slots=True)
class Device:
    """A device word with its number: `cuda:1` is ("cuda", 1)."""

    kind: str
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}" if self.kind in BOUND else self.kind


def available_devices() -> list[str]:
    """Device words whose execution provider is part of the installed ONNX Runtime, best first."""
    installed = set(ort.get_available_providers())
    return [word for word, provider in PROVIDERS.items() if provider in installed]


def choose_device(device: str | int | None) -> Device:
    """Make a device of what a user types: None or `auto`, `cpu`, `cuda`, `cuda:1`, `1` (a GPU's number), `coreml` ...

    Raises:
        OptionError: it is unknown, or the installed ONNX Runtime cannot use it.
    """
    available = available_devices()
    if device is None or device == "auto":
        return Device(next(word for word in available if word not in NOT_BY_ITSELF))
    text = f"cuda:{device}" if isinstance(device, int) or device.isdigit() else device.lower()
    match = re.fullmatch(r"([a-z]+)(?::(\d+))?", text)
    if match is None or match[1] not in PROVIDERS:
        raise OptionError(f"device={device!r} is unknown; pass one of {', '.join(PROVIDERS)}, with a number as in cuda:1")
    if match[1] not in available:
        hint = "; install onnxruntime-gpu in place of onnxruntime" if match[1] in ("cuda", "tensorrt") else ""
        raise OptionError(f"device={device!r} is not available; this ONNX Runtime offers {', '.join(available)}{hint}")
    return Device(match[1], int(match[2] or 0))


class OnnxBackend:
    """An ONNX graph in ONNX Runtime.

    Measured on two cores with YOLOX-nano: two calls in flight on one-thread sessions finish sooner than one call at a time
    over both cores, so `throughput` gives a session of one thread and `latency` one over all cores. Threads of the latter spin
    while a call is running (1.4 x faster here) and sleep as soon as it is done, when the rest of the program needs the cores.

    Attributes:
        network: What the file says of itself.
        device: What it runs on.
        path: The file.
    """

    def __init__(self, path: str | Path, *, device: str | int | None = None, threads: int | None = None) -> None:
        """Load a file.

        Args:
            path: The `.onnx` file.
            device: See `choose_device`; None picks the best that is installed and works.
            threads: Threads of one call; None for all usable cores.

        Raises:
            ModelNotFoundError: no such file.
            ModelFormatError: the file is damaged or no ONNX graph.
            OptionError: the device cannot be used.
        """
        self.path = Path(path).absolute()  # the throughput session is opened later, perhaps from another working directory
        self._asked = choose_device(device)
        self._threads = threads or usable_cores()
        self._session = _open(Path(path), self._asked, self._threads)
        self._written = self.path.stat().st_mtime_ns
        used = next((word for word, provider in PROVIDERS.items() if provider == self._session.get_providers()[0]), "cpu")
        if used != self._asked.kind:
            # ONNX Runtime falls back to the CPU by itself when, say, the CUDA libraries are missing.
            if device not in (None, "auto"):
                raise OptionError(
                    f"device={device!r} could not be started, see ONNX Runtime's message above; pass device='cpu'"
                )
            log.warning("%s could not be started; running on %s", self._asked, used)
            self._asked = Device(used)
        self.device = str(self._asked)
        self.network = _describe(self._session, Path(path))
        picture = picture_of(self.network)
        self._input = picture.name
        self._companions = Companions(self.network, picture)
        self._outputs = [output.name for output in self.network.outputs]
        self._throughput: OnnxBackend | None = None
        self._lock = threading.Lock()

    def infer(self, tensor: Tensor) -> list[Tensor]:
        """Run the graph on a tensor of pictures, or on one frame (`takes_frames`); the outputs are fresh arrays.

        Other inputs are filled as `Companions` does.

        Raises:
            InferenceError: ONNX Runtime refused the input or failed.
        """
        try:
            inputs = {self._input: tensor, **self._companions.fill(tensor)}
            if self._asked.kind in BOUND:
                return self._infer_bound(inputs)
            outputs: list[Tensor] = self._session.run(self._outputs, inputs)
        except Exception as error:  # ONNX Runtime raises a dozen types of its own
            raise InferenceError(
                f"{self.path.name} failed on an input of shape {'x'.join(map(str, tensor.shape))}: {one_line(error)[:300]}"
            ) from error
        return outputs

    def check_unchanged(self) -> None:
        """Raise ModelFormatError where the file is not what was loaded any more."""
        if not self.path.is_file() or self.path.stat().st_mtime_ns != self._written:
            raise ModelFormatError(f"{self.path} was changed or removed since it was loaded; make a new Model of it")

    def check_inputs(self) -> None:
        """Raise ModelFormatError where the graph takes inputs that nothing can be put into."""
        if unknown := self._companions.unknown:
            told = ", ".join(f"{each.name} ({each.dtype}, {len(each.shape)} axes)" for each in unknown)
            raise ModelFormatError(
                f"{self.path} takes more than a picture: {told}; only orig_target_sizes (N x 2) and pixel_mask (N x H x W) can "
                "be filled in, so export the model without the rest"
            )

    def _infer_bound(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """Run with device memory bound to the outputs, so that they are copied once, when all of them are ready."""
        binding = self._session.io_binding()
        for name, tensor in inputs.items():
            binding.bind_cpu_input(name, tensor)
        for name in self._outputs:
            binding.bind_output(name, _memory_of(self._asked), self._asked.number)
        self._session.run_with_iobinding(binding)
        outputs: list[Tensor] = binding.copy_outputs_to_cpu()
        return outputs

    def for_mode(self, mode: Mode) -> OnnxBackend:
        """This graph in the session tuned for `mode`; made on first use and shared from then on."""
        if mode == "latency" or self._asked.kind != "cpu" or self._threads == 1:
            return self
        with self._lock:
            if self._throughput is None:
                self.check_unchanged()
                self._throughput = OnnxBackend(self.path, device="cpu", threads=1)
            return self._throughput


def _memory_of(device: Device) -> str:
    return "cpu" if device.kind == "cpu" else "cuda"


def _open(path: Path, device: Device, threads: int) -> ort.InferenceSession:
    if not path.is_file():
        raise ModelNotFoundError(f"no model file at {path}; pass the path of an .onnx file, or nothing for the bundled model")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone: warnings about graph optimisation tell a user nothing
    # Threads that spin while they wait keep the cores from the decoder, the callbacks and the window. Beside those a call took
    # 1.3 to 2 times as long on two cores, and hardly less where there was nothing else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [PROVIDERS[device.kind]]
    if device.kind in BOUND:
        providers = [(PROVIDERS[device.kind], {"device_id": str(device.number)})]
    if device.kind == "tensorrt":
        providers.append((PROVIDERS["cuda"], {"device_id": str(device.number)}))  # for the layers it does not know
    if device.kind != "cpu":
        providers.append(PROVIDERS["cpu"])
    try:
        return ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises a dozen types of its own
        size = path.stat().st_size
        if size == 0:
            raise ModelFormatError(f"{path} is empty; copy or export the model again") from error
        raise ModelFormatError(
            f"{path} ({size} bytes) cannot be loaded as an ONNX model; copy or export it again: {one_line(error)[:300]}"
        ) from error


def _describe(session: ort.InferenceSession, path: Path) -> NetworkInfo:
    return NetworkInfo(
        inputs=_tensors(session.get_inputs()),
        outputs=_tensors(session.get_outputs()),
        metadata=dict(session.get_modelmeta().custom_metadata_map),
        source=str(path),
    )


def _tensors(nodes: Sequence[Any]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(
            node.name,
            tuple(axis if isinstance(axis, int) else None for axis in node.shape or ()),
            np.dtype(_DTYPES.get(node.type, np.float32)),
        )
        for node in nodes
    )
