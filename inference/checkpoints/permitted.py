"""What a checkpoint may name, and what becomes of it. Nothing here is imported or called because a file names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Final

import numpy as np

from framehook.inference.checkpoints.pickled import Inert, Name, checked_keys, shown_kind, shown_word
from framehook.inference.checkpoints.tensors import ELEMENTS, STORAGES, TensorRecord, storage_of, tensor_of
from framehook.inference.errors import ModelFormatError, UnsafeModelError

_Spend = Callable[[int], None]

_NETS: Final = re.compile(r"(ultralytics|models|utils|torch\.nn\.modules)(\.[a-z][a-z0-9_]*)*", re.ASCII)
_CLASS: Final = re.compile(r"(v\d+)?[A-Z][A-Za-z0-9_]*", re.ASCII)
"""Classes alone, `v10Detect` among them: what begins with a small letter is a function, or a module it imported."""

_PYTHON_2: Final[Mapping[str, str]] = {"__builtin__": "builtins"}
"""Pickles of protocol 2 name what is built in as Python 2 did."""

_PATHS: Final = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath")
_NUMPY_CORES: Final = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMPY_TYPES: Final = (
    "Bool",
    *(f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    "Float16",
    "Float32",
    "Float64",
)
_NUMPY_CODE: Final = re.compile(r"[<>|=]?([biuf][1248])", re.ASCII)
_TENSOR_MAKERS: Final = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3")
_PARAMETER_MAKERS: Final = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_SCALARS: Final = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


class CheckpointRules:
    """The rules of `pickled.Rules` for checkpoints of detectors.

    Args:
        sizes: Bytes of every storage in the archive, by key.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes

    def named(self, module: str, name: str) -> Name:
        """The stand-in of a class or function that checkpoints may name.

        Raises:
            UnsafeModelError: for every other.
        """
        module = _PYTHON_2.get(module, module)
        if (module, name) in _RULES or (module, name) in _MENTIONED or _is_class_of_net(module, name):
            return Name(module, name)
        raise UnsafeModelError(f"it wants {shown_word(module)}.{shown_word(name)}")

    def made(self, of: Name, arguments: tuple[Any, ...], spend: _Spend) -> Any:
        """The value that a call would give, or an `Inert` in its place."""
        rule = _RULES.get((of.module, of.name))
        if rule is not None:
            return rule(of, arguments, spend)
        if (of.module, of.name) in _MENTIONED:
            raise UnsafeModelError(f"it wants to call {of}")
        return Inert(of, arguments)

    def stored(self, key: Any) -> Any:
        """The storage a persistent id stands for."""
        return storage_of(key, self._sizes)


def _is_class_of_net(module: str, name: str) -> bool:
    return bool(len(module) <= 200 and len(name) <= 100 and _NETS.fullmatch(module) and _CLASS.fullmatch(name))


# What calls give. Each takes what it knows and refuses the rest.


def _inert(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> Inert:
    return Inert(of, arguments)


def _attribute(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> Inert:
    """`getattr` as data: older checkpoints hold methods of modules so."""
    if len(arguments) != 2 or type(arguments[1]) is not str:
        raise UnsafeModelError(f"it wants to call {of} of something unknown")
    if arguments[1].startswith("_"):
        raise UnsafeModelError(f"it wants {of} of {shown_word(arguments[1])}")
    return Inert(of, arguments)


def _items(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> list[Any]:
    if not arguments:
        return []
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple, set, frozenset):
        raise _unexpected(of, arguments)
    spend(len(arguments[0]))
    return list(arguments[0])


def _tuple(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> tuple[Any, ...]:
    return tuple(_items(of, arguments, spend))


def _set(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> set[Any]:
    return set(checked_keys(_items(of, arguments, spend)))


def _frozenset(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> frozenset[Any]:
    return frozenset(checked_keys(_items(of, arguments, spend)))


def _dict(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> dict[Any, Any]:
    pairs = _items(of, arguments, spend)
    if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
        raise _unexpected(of, arguments)
    return dict(zip(checked_keys([pair[0] for pair in pairs]), [pair[1] for pair in pairs], strict=True))


def _default_dict(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> dict[Any, Any]:
    if len(arguments) > 1 or not all(each is None or type(each) is Name for each in arguments):
        raise _unexpected(of, arguments)
    return {}


def _bytes(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> bytes:
    """Bytes, as pickles of protocol 2 spell them: `_codecs.encode(text, "latin1")`, `bytearray(text, "latin-1")`, `bytes()`."""
    if not arguments:
        return b""
    if type(arguments[0]) is bytes and len(arguments) == 1:
        return arguments[0]
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] not in ("latin1", "latin-1"):
        raise _unexpected(of, arguments)
    spend(len(arguments[0]))
    try:
        return arguments[0].encode("latin-1")
    except UnicodeEncodeError:
        raise _unexpected(of, arguments) from None


def _complex(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> complex:
    if len(arguments) != 2 or not all(type(each) is float for each in arguments):
        raise _unexpected(of, arguments)
    return complex(arguments[0], arguments[1])


def _path(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> str:
    if not all(type(each) is str for each in arguments):
        raise _unexpected(of, arguments)
    spend(sum(map(len, arguments)))
    kind = PureWindowsPath if "Windows" in of.name else PurePosixPath
    return str(kind(*arguments))


def _numpy_dtype(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> Inert:
    if not arguments or type(arguments[0]) is not str or not _NUMPY_CODE.fullmatch(arguments[0]):
        raise ModelFormatError("its pickle has a NumPy array of something other than numbers")
    return Inert(of, arguments)


def _numpy_scalar(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> int | float | bool:
    if len(arguments) != 2 or type(arguments[0]) is not Inert or type(arguments[1]) is not bytes:
        raise _unexpected(of, arguments)
    kind, data = arguments
    found = _NUMPY_CODE.fullmatch(kind.arguments[0]) if (kind.of.module, kind.of.name) == ("numpy", "dtype") else None
    if found is None or found[1] not in _SCALARS:
        raise _unexpected(of, arguments)
    order = kind.raw_state[1] if type(kind.raw_state) is tuple and len(kind.raw_state) > 1 else "<"
    dtype = np.dtype(found[1]).newbyteorder(">" if order == ">" else "<")
    if len(data) != dtype.itemsize:
        raise _unexpected(of, arguments)
    value: int | float | bool = np.frombuffer(data, np.uint8).view(dtype)[0].item()
    return value


def _torch_tensor(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> TensorRecord:
    """`_rebuild_tensor(storage, offset, shape, strides)`; `_v2` adds gradient and hooks, `_v3` the dtype."""
    if len(arguments) < 4:
        raise _unexpected(of, arguments)
    dtype = None
    if of.name == "_rebuild_tensor_v3":
        named = arguments[6] if len(arguments) > 6 else None
        if type(named) is not Name or named.module != "torch" or named.name not in ELEMENTS:
            told = named if type(named) is Name else shown_kind(named)
            raise ModelFormatError(f"a tensor has elements of a kind that cannot be read ({told})")
        dtype = named.name
    storage, offset, shape, strides, *_ = arguments
    return tensor_of(storage, offset, shape, strides, dtype)


def _torch_parameter(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> TensorRecord:
    tensor = arguments[0] if arguments else None
    if not isinstance(tensor, TensorRecord):
        raise _unexpected(of, arguments)
    return tensor


def _torch_from_type(of: Name, arguments: tuple[Any, ...], spend: _Spend) -> TensorRecord:
    """`_rebuild_from_type_v2(function, type, arguments, state)`: a tensor that has attributes of its own."""
    function, inner = (arguments[0], arguments[2]) if len(arguments) == 4 else (None, None)
    if type(function) is not Name or type(inner) is not tuple:
        raise _unexpected(of, arguments)
    if function.name in _TENSOR_MAKERS and function.module == "torch._utils":
        return _torch_tensor(function, inner, spend)
    if function.name in _PARAMETER_MAKERS and function.module == "torch._utils":
        return _torch_parameter(function, inner, spend)
    raise UnsafeModelError(f"it wants to call {function}")


def _unexpected(of: Name, arguments: tuple[Any, ...]) -> ModelFormatError:
    told = ", ".join(shown_kind(each) for each in arguments[:4])
    return ModelFormatError(f"its pickle is damaged: {of} of ({told}), which no checkpoint holds")


_Rule = Callable[[Name, tuple[Any, ...], _Spend], Any]

_RULES: Final[Mapping[tuple[str, str], _Rule]] = {
    ("builtins", "list"): _items,
    ("builtins", "tuple"): _tuple,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("builtins", "dict"): _dict,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytes,
    ("builtins", "complex"): _complex,
    ("builtins", "slice"): _inert,
    ("builtins", "range"): _inert,
    ("builtins", "getattr"): _attribute,
    ("_codecs", "encode"): _bytes,
    ("collections", "OrderedDict"): _dict,
    ("collections", "defaultdict"): _default_dict,
    ("types", "SimpleNamespace"): _inert,
    ("argparse", "Namespace"): _inert,
    **{("datetime", name): _inert for name in ("datetime", "date", "time", "timedelta", "timezone")},
    **{(module, name): _path for module in ("pathlib", "pathlib._local") for name in _PATHS},
    **{(module, "scalar"): _numpy_scalar for module in _NUMPY_CORES},
    **{(module, "_reconstruct"): _inert for module in _NUMPY_CORES},
    ("numpy", "dtype"): _numpy_dtype,
    ("torch", "Size"): _tuple,
    ("torch", "device"): _inert,
    **{("torch._utils", name): _torch_tensor for name in _TENSOR_MAKERS},
    **{("torch._utils", name): _torch_parameter for name in _PARAMETER_MAKERS},
    ("torch._tensor", "_rebuild_from_type_v2"): _torch_from_type,
}
"""What may be called, and what that gives."""

_MENTIONED: Final = frozenset(
    {
        *(("builtins", name) for name in ("int", "float", "str", "bool")),
        *(("torch", name) for name in (*ELEMENTS, *STORAGES, "Tensor")),
        ("torch.storage", "UntypedStorage"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.nn.parameter", "Buffer"),
        ("numpy", "ndarray"),
        ("numpy", "bool_"),
        *(("numpy", name.lower()) for name in _NUMPY_TYPES),
        *(("numpy.dtypes", f"{name}DType") for name in _NUMPY_TYPES),
    }
)
"""What may be mentioned, as a value or the type of one, but not called."""
