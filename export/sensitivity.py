"""Which layers int8 hurts, found by measuring."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx

from framehook.export.body import Body
from framehook.export.calibration import Range, open_graph
from framehook.export.qdq import quantise
from framehook.inference.backends.base import Tensor

ENOUGH: Final = 0.1
"""Noise that is no matter: the variance of the error of a network's last layers, over the variance of what they give. With .1
and less, three networks kept their AP50 within .01; with .7, depending on the ranges, YOLOX-nano lost .002 to .18."""
_HARMLESS: Final = 0.004
"""A layer that alone adds less noise than this stays in int8."""
_MOST: Final = 0.25
"""At most this share of the layers is left in float; a network that needs more is none for int8."""
_GROUPS: Final = 28
_SECONDS: Final = 40.0
_PICTURES: Final = 6


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which nodes are quantised.

    Attributes:
        nodes: Their names.
        spared: Names of the layers that are not, for what they would cost, in order.
        noise: Variance of the error of the last layers, over the variance of what they give; the mean over layers, of which the
            median over pictures.
    """

    nodes: tuple[str, ...]
    spared: tuple[str, ...]
    noise: float


def choose_layers(
    body: Body,
    ranges: Mapping[str, Range],
    nodes: Sequence[str],
    pictures: Sequence[Tensor],
    *,
    progress: Callable[[float], None] = lambda _: None,
    seconds: float = _SECONDS,
) -> Chosen:
    """Leave the layers in float that int8 hurts most, as few as will do.

    The noise of layers adds up, nearly, and few of them give most of it, in YOLOX-nano the first three of 113. So each group of
    neighbours is quantised alone, the noisiest groups are taken apart, and their noisiest layers are spared one after the other
    until the network as a whole is good enough. Where that does not even halve its noise, they had better be fast.

    Args:
        body: The network.
        ranges: Of its tensors.
        nodes: Names of the nodes that can be quantised, in order.
        pictures: Inputs of the network to measure on.
        progress: Called with the share that is done, 0..1.
        seconds: About how long this may take.
    """
    meter = _Noise(body, ranges, pictures)
    units = _units(nodes, body.layers)
    began = time.monotonic()
    noise = at_first = meter.of(nodes)
    one = time.monotonic() - began
    spared: set[int] = set()
    if noise > ENOUGH and len(units) > 1:
        groups = min(_GROUPS, max(int(seconds / 2 / one), 4), len(units))
        queue: list[tuple[float, tuple[int, ...]]] = []
        waiting = [tuple(int(each) for each in part) for part in np.array_split(np.arange(len(units)), groups)]
        done, expected = 0, groups * 2
        while noise > ENOUGH and len(spared) < _MOST * len(units) and time.monotonic() - began < seconds:
            if waiting:
                group = waiting.pop()
                alone = meter.of([name for unit in group for name in units[unit]])
                heapq.heappush(queue, (-alone, group))
            elif not queue or -queue[0][0] < _HARMLESS:
                break
            elif len(group := heapq.heappop(queue)[1]) > 1:
                waiting = [(unit,) for unit in group]
            else:
                spared.update(group)
                noise = meter.of([name for unit, names in enumerate(units) if unit not in spared for name in names])
            done += 1
            progress(min(done / expected, 1.0))
        if noise > at_first / 2:
            spared, noise = set(), at_first
    left = {name for unit in spared for name in units[unit]}
    return Chosen(tuple(name for name in nodes if name not in left), tuple(name for name in body.layers if name in left), noise)


def _units(nodes: Sequence[str], layers: Collection[str]) -> list[list[str]]:
    """Each layer with what follows it up to the next one; what comes before the first goes with it."""
    units: list[list[str]] = [[]]
    begun = False
    for name in nodes:
        if name in layers and begun:
            units.append([])
        begun = begun or name in layers
        units[-1].append(name)
    return units


class _Noise:
    """Measures what quantisation does to the last layers."""

    def __init__(self, body: Body, ranges: Mapping[str, Range], pictures: Sequence[Tensor]) -> None:
        every = max(math.ceil(len(pictures) / _PICTURES), 1)
        self._pictures = pictures[every // 2 :: every]
        self._ranges = ranges
        self._doors = [name for name in body.doors if name in ranges]
        # Its outputs are the last layers, so that what comes after them is not run.
        self._model = onnx.ModelProto()
        self._model.CopyFrom(body.model)
        del self._model.graph.output[:]
        known = {each.name: each for each in (*body.model.graph.value_info, *body.model.graph.output)}
        self._model.graph.output.extend(known[name] for name in self._doors)
        network = open_graph(self._model)
        self._expected = [network.infer(picture) for picture in self._pictures]
        self._variances = np.mean([[float(each.var()) for each in outputs] for outputs in self._expected], axis=0)

    def of(self, nodes: Collection[str]) -> float:
        """The noise with these nodes quantised and all others in float."""
        network = open_graph(quantise(self._model, self._ranges, nodes))
        errors = np.array(
            [
                [float(np.square(got - wanted).mean()) for got, wanted in zip(network.infer(picture), outputs, strict=True)]
                for picture, outputs in zip(self._pictures, self._expected, strict=True)
            ]
        )
        varying = self._variances > 0
        if not varying.any():
            return 0.0
        # The median over pictures: an odd one, such as an empty scene, gave ten times the noise of all others.
        noise = float(np.median(np.mean(errors[:, varying] / self._variances[varying], axis=1)))
        return noise if math.isfinite(noise) else math.inf
