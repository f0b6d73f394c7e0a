"""Tensors and storages as a checkpoint describes them, checked against what the file holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from framehook.inference.checkpoints.pickled import Name, shown_kind
from framehook.inference.errors import ModelFormatError

_MAX_AXES: Final = 16
_MAX_EMPTY: Final = 2**40
BFLOAT16: Final = "bfloat16"

ELEMENTS: Final[Mapping[str, tuple[str, int]]] = {
    # dtype of torch: (dtype of NumPy, without byte order; bytes)
    "float16": ("f2", 2),
    "float32": ("f4", 4),
    "float64": ("f8", 8),
    BFLOAT16: ("u2", 2),
    "uint8": ("u1", 1),
    "uint16": ("u2", 2),
    "uint32": ("u4", 4),
    "uint64": ("u8", 8),
    "int8": ("i1", 1),
    "int16": ("i2", 2),
    "int32": ("i4", 4),
    "int64": ("i8", 8),
    "bool": ("u1", 1),
    "complex64": ("c8", 8),
    "complex128": ("c16", 16),
}

STORAGES: Final[Mapping[str, str | None]] = {
    # class of torch: dtype of torch, None where the tensors on it bring their own
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "BFloat16Storage": BFLOAT16,
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": None,
}


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """Bytes in the archive that tensors lie on: the entry's key, torch's dtype (None for bare bytes), and how many bytes."""

    shown: ClassVar[str] = "storage"

    key: str
    dtype: str | None
    size: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor that has not been read: offset and strides count elements, and all of it lies within the storage."""

    shown: ClassVar[str] = "tensor"

    storage: StorageRecord
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of a copy of it."""
        return math.prod(self.shape) * ELEMENTS[self.dtype][1]

    def array(self, data: bytes, *, big_endian: bool) -> npt.NDArray[np.generic]:
        """The tensor on the bytes of its storage: read-only, in the machine's byte order; bfloat16 as float32."""
        code, size = ELEMENTS[self.dtype]
        stored = np.dtype(code).newbyteorder(">" if big_endian else "<")
        array: npt.NDArray[Any] = np.ndarray(
            self.shape, stored, data, self.offset * size, tuple(stride * size for stride in self.strides)
        )
        if self.dtype == BFLOAT16:
            array = (array.astype(np.uint32) << 16).view(np.float32)
        elif self.dtype == "bool":
            array = array != 0
        elif not stored.isnative:
            array = array.astype(stored.newbyteorder("="))
        array = np.asarray(array)  # of a tensor without axes, arithmetic makes a number
        array.flags.writeable = False
        return array


def storage_of(key: Any, sizes: Mapping[str, int]) -> StorageRecord:
    """The storage a persistent id stands for.

    Args:
        key: `("storage", class, key, device, number of elements)`, in a pickle that may be forged.
        sizes: Bytes of every storage in the archive, by key.

    Raises:
        ModelFormatError: it is formed otherwise, is not in the archive, or claims more than is there.
    """
    if type(key) is not tuple or len(key) != 5 or key[0] != "storage":
        raise ModelFormatError("its pickle refers to something outside itself that is no storage")
    of, entry, count = key[1], key[2], key[4]
    if type(of) is not Name or of.module not in ("torch", "torch.storage") or of.name not in STORAGES:
        raise ModelFormatError(f"its pickle has a storage of an unknown kind ({of if type(of) is Name else shown_kind(of)})")
    if type(entry) is not str or entry not in sizes:
        raise ModelFormatError(f"the storage {_shown(entry)} is not in it")
    dtype = STORAGES[of.name]
    size = 1 if dtype is None else ELEMENTS[dtype][1]
    if type(count) is not int or count < 0 or count * size > sizes[entry]:
        raise ModelFormatError(f"the storage {entry} has {sizes[entry]} bytes, of which {_shown(count)} elements are claimed")
    return StorageRecord(entry, dtype, count * size)


def tensor_of(storage: Any, offset: Any, shape: Any, strides: Any, dtype: str | None = None) -> TensorRecord:
    """The tensor that lies on a storage, from values of a pickle that may be forged.

    Args:
        storage: A `StorageRecord`.
        offset: Of the first element, in elements.
        shape: As torch has it.
        strides: As torch has them, in elements.
        dtype: Torch's name of it, for a storage of bare bytes.

    Raises:
        ModelFormatError: it does not lie within its storage, or has more elements than it.
    """
    if type(storage) is not StorageRecord:
        raise ModelFormatError(f"its pickle has a tensor on what is no storage ({shown_kind(storage)})")
    element = dtype or storage.dtype
    if element is None:
        raise ModelFormatError(f"a tensor on the storage {storage.key} has no element type")
    available = storage.size // ELEMENTS[element][1]
    if not (_are_counts((offset,)) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides) <= _MAX_AXES):
        raise ModelFormatError(f"a tensor on the storage {storage.key} has a shape that cannot be")
    count = math.prod(shape)
    if count:
        end = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) + 1
    else:
        end = offset
        if math.prod(each or 1 for each in shape) > _MAX_EMPTY:
            raise ModelFormatError(f"a tensor on the storage {storage.key} has a shape that cannot be")
    # Torch writes an expanded tensor (one number seen a million times) as its one number: no net's weights are that.
    if count > available or end > available:
        raise ModelFormatError(
            f"a tensor on the storage {storage.key} claims {_shown(max(count, end))} elements, of which {available} are there"
        )
    # Along an axis that is never stepped along, any number may stand for the step, even one that NumPy cannot hold.
    steps = tuple(stride if count and length > 1 else 0 for length, stride in zip(shape, strides, strict=True))
    return TensorRecord(storage, element, offset, shape, steps)


def _are_counts(values: Sequence[Any]) -> bool:
    return type(values) is tuple and all(type(each) is int and each >= 0 for each in values)


def _shown(value: Any) -> str:
    return f"{value!a:.60}" if type(value) in (str, int) else f"({shown_kind(value)})"
