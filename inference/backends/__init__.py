"""What runs networks: ONNX Runtime, or a plain function."""

from framehook.inference.backends.base import Backend, FunctionBackend, Mode, Tensor, usable_cores
from framehook.inference.backends.onnx import OnnxBackend, available_devices, choose_device

__all__ = [
    "Backend",
    "FunctionBackend",
    "OnnxBackend",
    "Mode",
    "Tensor",
    "available_devices",
    "choose_device",
    "usable_cores",
]
