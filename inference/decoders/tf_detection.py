"""Outputs of the TensorFlow object detection family: four tensors, suppression inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from framehook.inference.decoders.base import Candidates
from framehook.inference.decoders.outputs import FiniteFilter, wrong_shape
from framehook.inference.geometry import Fit
from framehook.inference.network import NetworkInfo
from framehook.inference.preprocess import InputFormat

OUTPUT_NAMES: Final = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
"""What the exporters of the family call the four tensors, apart from a suffix such as `:0`."""


class TfDetectionDecoder:
    """Count N, boxes N x max x 4 (top, left, bottom, right, 0..1 of the input), scores N x max, classes N x max, from 1.

    As written by the TensorFlow Object Detection API (SSD, EfficientDet, Faster R-CNN ...). The tensors are told apart by name
    once `for_network` has seen the network, else by shape and values.
    """

    name: ClassVar[str] = "tf_detection"
    needs_nms: ClassVar[bool] = False
    input_format: ClassVar[InputFormat] = InputFormat(fit=Fit.STRETCH, scale=1, channels_last=True, size=(300, 300))

    def __init__(self, order: tuple[int, int, int, int] | None = None) -> None:
        """Decode with this order of outputs: positions of count, boxes, scores and classes; None to find them."""
        self._order = order
        self._finite = FiniteFilter(self.name)

    def for_network(self, network: NetworkInfo) -> Self:
        """Return a decoder that knows the network's outputs by name, or finds them if they have other names."""
        return type(self)(order_by_name([output.name for output in network.outputs]))

    def decode(self, outputs: Sequence[npt.NDArray[Any]], *, input_size: tuple[int, int], conf: float) -> list[Candidates]:
        """Decode one network call; see `Decoder.decode`.

        Raises:
            UnknownLayoutError: the outputs are not those of this layout.
        """
        order = self._order or _order_by_value(outputs)
        if order is None:
            raise wrong_shape(outputs, layout=self.name, axes="count N, boxes N x max x 4, scores and classes N x max")
        count, boxes, scores, classes = (outputs[position] for position in order)
        width, height = input_size
        size = np.array([width, height, width, height], np.float32)
        found = []
        for image, number in enumerate(np.asarray(count, np.float64).reshape(-1)):
            # A count that is NaN takes all rows; the broken ones among them are dropped below.
            valid = slice(0, None if np.isnan(number) else max(int(min(number, scores.shape[1])), 0))
            found.append(self._image(boxes[image, valid], scores[image, valid], classes[image, valid], size, conf))
        return found

    def _image(
        self, yxyx: npt.NDArray[Any], scores: npt.NDArray[Any], classes: npt.NDArray[Any], size: npt.NDArray[Any], conf: float
    ) -> Candidates:
        broken = ~(np.isfinite(scores) & np.isfinite(classes) & np.isfinite(yxyx).all(axis=1))
        if broken.any():
            self._finite.warn()
        # Class 0 is the family's background.
        rows = np.flatnonzero((scores > conf) & (classes >= 1) & ~broken)
        return Candidates(
            yxyx[rows][:, [1, 0, 3, 2]].astype(np.float32) * size,
            scores[rows].astype(np.float32),
            classes[rows].astype(np.int64) - 1,
        )


def order_by_name(names: Sequence[str]) -> tuple[int, int, int, int] | None:
    """Positions of count, boxes, scores and classes among outputs of these names; None unless all four are there."""
    plain = [name.partition(":")[0].rpartition("/")[2] for name in names]
    if any(name not in plain for name in OUTPUT_NAMES):
        return None
    count, boxes, scores, classes = (plain.index(name) for name in OUTPUT_NAMES)
    return count, boxes, scores, classes


def _order_by_value(outputs: Sequence[npt.NDArray[Any]]) -> tuple[int, int, int, int] | None:
    if sorted(output.ndim for output in outputs) != [1, 2, 2, 3]:
        return None
    by_axes = {output.ndim: position for position, output in enumerate(outputs)}
    scores, classes = (position for position, output in enumerate(outputs) if output.ndim == 2)
    # Classes are whole numbers from 1 and scores lie in 0..1; where all of both are 1 they may be taken for each other.
    if (outputs[scores] > 1).any() or (outputs[classes] != np.floor(outputs[classes])).any():
        scores, classes = classes, scores
    return by_axes[1], by_axes[3], scores, classes
