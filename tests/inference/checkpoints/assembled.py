"""Checkpoints put together byte by byte, the honest ones and the forged: no torch, and no class that is in them, is needed.

Every function of a pickle's parts returns the opcodes that leave one value on the unpickler's stack.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

NONE, TRUE, FALSE, EMPTY_TUPLE, EMPTY_LIST, EMPTY_DICT = b"N", b"\x88", b"\x89", b")", b"]", b"}"
MARK, STOP, REDUCE, BUILD, NEW_OBJECT = b"(", b".", b"R", b"b", b"\x81"


def pickled(*parts: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + b"".join(parts) + STOP


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: float) -> bytes:
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def named(module: str, name: str) -> bytes:
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def stack_named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def tuple_of(*parts: bytes) -> bytes:
    return MARK + b"".join(parts) + b"t"


def list_of(*parts: bytes) -> bytes:
    return EMPTY_LIST + MARK + b"".join(parts) + b"e"


def dict_of(entries: Mapping[str, bytes]) -> bytes:
    return EMPTY_DICT + MARK + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def call(of: bytes, *arguments: bytes) -> bytes:
    return of + tuple_of(*arguments) + REDUCE


def made(of: bytes, state: Mapping[str, bytes]) -> bytes:
    return of + EMPTY_TUPLE + NEW_OBJECT + dict_of(state) + BUILD


def storage(key: str, count: int, of: bytes = named("torch", "FloatStorage")) -> bytes:
    return tuple_of(text("storage"), of, text(key), text("cpu"), number(count)) + b"Q"


def tensor_on(stored: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    return call(
        named("torch._utils", "_rebuild_tensor_v2"),
        stored,
        number(offset),
        tuple_of(*map(number, shape)),
        tuple_of(*map(number, strides)),
        FALSE,
        call(named("collections", "OrderedDict")),
    )


def tensor(key: str, *shape: int, of: bytes = named("torch", "FloatStorage")) -> bytes:
    """A tensor that fills a storage."""
    strides = tuple(int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape)))
    return tensor_on(storage(key, int(np.prod(shape, dtype=int)), of), shape, strides)


def parameter(value: bytes) -> bytes:
    return call(named("torch._utils", "_rebuild_parameter"), value, FALSE, call(named("collections", "OrderedDict")))


def module(
    of: bytes,
    parameters: Mapping[str, bytes] | None = None,
    buffers: Mapping[str, bytes] | None = None,
    modules: Mapping[str, bytes] | None = None,
    **attributes: bytes,
) -> bytes:
    """A pickled `nn.Module`."""
    state = {
        "training": FALSE,
        "_parameters": dict_of(parameters or {}),
        "_buffers": dict_of(buffers or {}),
        "_non_persistent_buffers_set": call(named("__builtin__", "set"), list_of(text("passing"))),
        "_forward_hooks": call(named("collections", "OrderedDict")),
        "_modules": dict_of(modules or {}),
    }
    return made(of, {**state, **attributes})


def save(
    path: Path,
    pickle: bytes,
    storages: Mapping[str, npt.NDArray[np.generic] | bytes] | None = None,
    *,
    root: str = "archive",
    entries: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write an archive as `torch.save` lays it out."""
    contents = {"data.pkl": pickle, "byteorder": b"little", **(entries or {}), "version": b"3\n"}
    contents |= {f"data/{key}": bytes(data) for key, data in (storages or {}).items()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items():
            archive.writestr(f"{root}/{name}", data)
    return path


WEIGHT = np.arange(24, dtype=np.float16).reshape(2, 3, 2, 2)
BIAS = np.array([0.5, -2], dtype=np.float32)
STORAGES: Mapping[str, npt.NDArray[np.generic]] = {
    "0": WEIGHT,
    "1": BIAS,
    "2": np.array([7], np.int64),
    "3": np.array([8, 16, 32], np.float32),
}


def net(family: str = "ultralytics.nn.tasks", name: str = "DetectionModel") -> bytes:
    """A net of one layer, as its class would be pickled; its tensors lie on STORAGES."""
    half, long = named("torch", "HalfStorage"), named("torch", "LongStorage")
    layer = module(
        named("ultralytics.nn.modules.conv", "Conv"),
        modules={
            "conv": module(
                named("torch.nn.modules.conv", "Conv2d"),
                parameters={"weight": parameter(tensor("0", 2, 3, 2, 2, of=half)), "bias": NONE},
            ),
            "bn": module(
                named("torch.nn.modules.batchnorm", "BatchNorm2d"),
                parameters={"bias": parameter(tensor("1", 2))},
                buffers={"num_batches_tracked": tensor_on(storage("2", 1, long), (), ()), "passing": tensor("1", 2)},
            ),
            "act": module(named("torch.nn.modules.activation", "SiLU")),
        },
    )
    row = list_of(number(-1), number(1), text("Conv"), list_of(number(64), number(3)))
    return module(
        named(family, name),
        modules={"model": module(named("torch.nn.modules.container", "Sequential"), modules={"0": layer})},
        yaml=dict_of({"nc": number(2), "backbone": list_of(row), "head": list_of(row), "scale": text("n")}),
        names=EMPTY_DICT + MARK + number(0) + text("cat") + number(1) + text("dog") + b"u",
        stride=tensor("3", 3),
        args=made(named("ultralytics.utils", "IterableSimpleNamespace"), {"imgsz": number(416)}),
        forward=call(named("__builtin__", "getattr"), named("torch.nn.modules.conv", "Conv2d"), text("forward")),
    )


def latin(data: bytes) -> bytes:
    """Bytes as pickles of protocol 2 hold them."""
    return call(named("_codecs", "encode"), text(data.decode("latin-1")), text("latin1"))


def numpy_float(value: float) -> bytes:
    dtype = call(named("numpy", "dtype"), text("f8"), FALSE, TRUE)
    state = tuple_of(number(3), text("<"), NONE, NONE, NONE, number(-1), number(-1), number(0))
    return call(named("numpy.core.multiarray", "scalar"), dtype + state + BUILD, latin(struct.pack("<d", value)))
