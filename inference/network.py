"""What a network says of itself before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name and shape of a network input or output.

    Attributes:
        name: As the graph calls it.
        shape: One entry an axis; None where the graph leaves it open.
        dtype: NumPy dtype of the tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """Inputs, outputs and stored notes of a network.

    Attributes:
        inputs: Its input tensors.
        outputs: Its output tensors.
        metadata: Free text pairs stored in the file, empty when there are none.
        source: What the user named: a file path or a short description, for messages.
    """

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    source: str = "network"
