"""What a decoder is: from the raw outputs of a network to candidate boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from framehook.inference.boxes import FloatArray, IntArray
from framehook.inference.network import NetworkInfo
from framehook.inference.preprocess import InputFormat


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes of one image as a network proposes them, before suppression.

    Attributes:
        xyxy: N x 4 float32 in pixels of the network input.
        conf: N float32 scores, 0..1.
        cls: N int64 class numbers.
    """

    xyxy: FloatArray
    conf: FloatArray
    cls: IntArray

    @classmethod
    def empty(cls) -> Self:
        """No candidates at all."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: slice | npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Self:
        """Select rows by slice, mask or numbers."""
        return type(self)(self.xyxy[rows], self.conf[rows], self.cls[rows])


@runtime_checkable
class Decoder(Protocol):
    """Turns raw network outputs into boxes; one class per output layout, pure NumPy.

    One decoder serves several threads at once: nothing that one call leaves behind changes what another returns. The attributes
    may be plain, class-level or properties.
    """

    @property
    def name(self) -> str:
        """What users call it in `decoder=` and what `framehook models` prints."""
        ...

    @property
    def needs_nms(self) -> bool:
        """Whether overlapping candidates still have to be suppressed."""
        ...

    @property
    def input_format(self) -> InputFormat:
        """How the networks of this layout expect their input, where the file does not say otherwise."""
        ...

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode the outputs of one network call.

        Args:
            outputs: The raw output arrays, in the graph's order, first axis the batch.
            input_size: (width, height) of the network input in pixels.
            conf: Candidates that score at most this may be left out, for speed.

        Returns:
            One `Candidates` an image of the batch.
        """
        ...


@runtime_checkable
class NetworkAware(Protocol):
    """A decoder that reads more from the network's description than `decode` is told, such as the order of named outputs."""

    def for_network(self, network: NetworkInfo) -> Decoder:
        """Return a decoder for this network; called once, before the first `decode`."""
        ...
