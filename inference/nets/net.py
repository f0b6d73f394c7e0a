"""A detection network, built row by row from its description."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self

import torch
from torch import Tensor, nn

from framehook.inference.errors import ModelFormatError, one_line
from framehook.inference.nets.architecture import (
    MAX_BLOCKS,
    MAX_CHANNELS,
    MAX_EXPANSION,
    MAX_PARAMETERS,
    MAX_STRIDE,
    Architecture,
    Row,
    shown,
)
from framehook.inference.nets.blocks import C2PSA, SPPF, C2f, C3k2, Concat, Conv, DWConv
from framehook.inference.nets.head import Detect, HeadName, Raw


class Heads(NamedTuple):
    """Raw outputs of both heads, for losses.

    Attributes:
        one2many: Of the head whose boxes overlap.
        one2one: Of the head whose boxes do not, or None where the network has none. Its features are cut off from the rest of
            the network, so that it learns without disturbing it.
    """

    one2many: Raw
    one2one: Raw | None


class DetectionNet(nn.Module):
    """YOLOv8, YOLO11 or YOLO26, by its description; state-dict keys are those of their checkpoints.

    Input: N x channels x height x width, 0..1, three channels being RGB, sides multiples of the largest stride. In training
    mode a call returns `Heads`; in evaluation mode one tensor: of the one-to-many head N x (4 + classes) x anchors (centre x,
    centre y, width, height in input pixels, scores 0..1), of the one-to-one head N x 300 x 6 (x1, y1, x2, y2 in input pixels,
    score, class).

    Attributes:
        architecture: What it was built from.
        names: Class number to class name, for every number below `architecture.nc`.
        head: Which head evaluation reads.
    """

    def __init__(self, architecture: Architecture, *, names: Mapping[int, str] | None = None, source: str = "network") -> None:
        """Build a network with random weights; under `torch.device("meta")` one without memory for them.

        Args:
            architecture: What to build.
            names: Class number to class name; classes it leaves out are called `class0`, `class1` ...
            source: Where the architecture comes from, for messages.

        Raises:
            ModelFormatError: a row that cannot be built, or more than any network has; the message names `source`.
        """
        super().__init__()
        self.architecture = architecture
        given = names or {}
        self.names = {number: given.get(number, f"class{number}") for number in range(architecture.nc)}
        self.head: HeadName = "one2one" if architecture.one_to_one else "one2many"
        with torch.device("meta"):  # without memory at first: what is refused must not have cost any
            layers, self._sources = _build(architecture, source)
        if torch.empty(0).device.type != "meta":
            layers, _ = _build(architecture, source)
        self.model = nn.Sequential(*layers)

    @property
    def detect(self) -> Detect:
        """The detection head."""
        last = self.model[-1]
        assert isinstance(last, Detect)
        return last

    @property
    def stride(self) -> int:
        """Input sides are multiples of this many pixels."""
        return max(self.detect.strides)

    def features(self, x: Tensor) -> list[Tensor]:
        """The feature maps that the head reads, of growing stride."""
        outputs: list[Tensor] = []
        for layer, sources in zip(list(self.model)[:-1], self._sources, strict=False):
            inputs = [outputs[number] if number >= 0 else x for number in sources]
            outputs.append(layer(inputs if isinstance(layer, Concat) else inputs[0]))
        return [outputs[number] for number in self._sources[-1]]

    def forward(self, x: Tensor) -> Heads | Tensor:
        features = self.features(x)
        detect = self.detect
        if self.training:
            cut = [each.detach() for each in features]
            return Heads(detect.raw(features, "one2many"), detect.raw(cut, "one2one") if detect.one_to_one else None)
        raw = detect.raw(features, self.head)
        return detect.pick(raw) if self.head == "one2one" else detect.decode(raw)

    def with_head(self, head: HeadName) -> Self:
        """A copy, weights and all, that reads another head.

        Raises:
            ModelFormatError: the network has no such head, or no longer has it since it was fused.
        """
        if head == "one2one" and not self.architecture.one_to_one:
            raise ModelFormatError(f"{self.architecture.name} has no one-to-one head; its boxes are suppressed: decoder='yolo'")
        if not self.detect.has(head):
            raise ModelFormatError(f"{self.architecture.name} was fused, and the head '{head}' left out; choose it before")
        twin = copy.deepcopy(self)
        twin.head = head
        return twin

    @torch.no_grad()
    def fused(self, head: HeadName | None = None) -> Self:
        """A copy for inference: evaluation mode, batch norms folded into convolutions, the unread head left out.

        Args:
            head: The head to read; None for the one that this network reads.

        Raises:
            ModelFormatError: as `with_head`.
        """
        twin = self.with_head(head or self.head).eval().requires_grad_(False)
        for module in twin.modules():
            if isinstance(module, Conv):
                module.fuse()
        unread: HeadName = "one2many" if twin.head == "one2one" else "one2one"
        if twin.detect.has(unread):
            twin.detect.drop(unread)
        return twin


def _build(architecture: Architecture, source: str) -> tuple[list[nn.Module], list[tuple[int, ...]]]:
    """The layers, and the numbers of the layers that each reads, -1 being the picture."""
    layers: list[nn.Module] = []
    wired: list[tuple[int, ...]] = []
    widths: list[int] = []
    strides: list[float] = []
    blocks = parameters = 0
    for number, row in enumerate(architecture.rows):
        sources = tuple(number + each if each < 0 else each for each in row.sources)
        if not all(-1 <= each < number for each in sources) or (number and -1 in sources):
            raise ModelFormatError(f"{source}: layer {number} reads layers {list(row.sources)}, which are not there yet")
        c1 = [widths[each] if each >= 0 else architecture.channels for each in sources]
        step = [strides[each] if each >= 0 else 1.0 for each in sources]
        try:
            repeats = _repeats(row, architecture)
            blocks += repeats
            if blocks > MAX_BLOCKS:
                raise ValueError(f"the network would have more than {MAX_BLOCKS} blocks")
            layer, c2, factor = _layer(row, architecture, c1, step, repeats)
            parameters += sum(each.numel() for each in layer.parameters())
            if c2 > MAX_CHANNELS or parameters > MAX_PARAMETERS:
                raise ValueError(
                    f"more than {MAX_CHANNELS:,} channels, or {MAX_PARAMETERS:,} weights in all; no network has that"
                )
            if isinstance(layer, Detect) and number < len(architecture.rows) - 1:
                raise ValueError("only the last layer is a head")
        except _UnknownBlockError:
            raise ModelFormatError(
                f"{source}: layer {number} is a {row.block}, which is not known here; supported are the detection networks "
                f"YOLOv8, YOLO11 and YOLO26, made of {', '.join(sorted(_BLOCKS))}. Export it to ONNX where it was made"
            ) from None
        except (TypeError, ValueError, IndexError, ArithmeticError, RuntimeError) as error:
            raise ModelFormatError(
                f"{source}: layer {number}, {row.block} {shown(list(row.args))}, cannot be built: {one_line(error)[:200]}"
            ) from error
        layers.append(layer)
        wired.append(sources)
        widths.append(c2)
        strides.append(step[0] * factor)
    if not isinstance(layers[-1], Detect):
        raise ModelFormatError(f"{source}: the last layer is a {architecture.rows[-1].block}; expected Detect")
    return layers, wired


_Made = tuple[nn.Module, int, float]


class _UnknownBlockError(Exception):
    """A row asks for a block that is not made here."""


def _repeats(row: Row, architecture: Architecture) -> int:
    """How often a row's inner block is repeated at this scale."""
    return max(round(row.repeats * architecture.scale.depth), 1) if row.repeats > 1 else row.repeats


def _layer(row: Row, architecture: Architecture, c1: list[int], strides: list[float], repeats: int) -> _Made:
    """A row's layer, its width, and by how much it multiplies the stride."""
    if row.block == "Detect":
        return _detect(architecture, c1, strides), 0, 1.0
    if row.block not in _BLOCKS:
        raise _UnknownBlockError(row.block)
    return _BLOCKS[row.block](row, architecture, c1, repeats)


def _detect(architecture: Architecture, c1: list[int], strides: list[float]) -> Detect:
    if not all(1 <= each <= MAX_STRIDE and each == int(each) for each in strides):
        raise ValueError(f"it reads maps of {shown(strides)} pixels a cell; expected whole numbers up to {MAX_STRIDE}")
    return Detect(
        architecture.nc,
        c1,
        [int(each) for each in strides],
        reg_max=architecture.reg_max,
        one_to_one=architecture.one_to_one,
        # The light class branch came with these blocks, and no row tells of it.
        depthwise=any(row.block in ("C3k2", "C2PSA") for row in architecture.rows),
    )


def _width(row: Row, architecture: Architecture) -> int:
    """Channels of a row at this scale, a multiple of eight."""
    asked = row.args[0]
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise ValueError(f"a width of {shown(asked)}")
    return math.ceil(min(asked, architecture.scale.max_channels) * architecture.scale.width / 8) * 8


def _filled(row: Row, *defaults: Any) -> tuple[Any, ...]:
    """The arguments of a row after its width, those it leaves out being `defaults`."""
    given = row.args[1 : len(defaults) + 1]
    return (*given, *defaults[len(given) :])


def _conv(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    kernel, stride = _filled(row, 1, 1)
    c2 = _width(row, architecture)
    kind = DWConv if row.block == "DWConv" else Conv
    return kind(c1[0], c2, _small(kernel), _small(stride)), c2, float(stride)


def _c2f(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    c2 = _width(row, architecture)
    return C2f(c1[0], c2, repeats, shortcut=bool(_filled(row, False)[0])), c2, 1.0


def _c3k2(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    c2 = _width(row, architecture)
    c3k, expansion, attention = _filled(row, False, 0.5, False)
    if isinstance(expansion, bool) or not isinstance(expansion, int | float) or not 0 < expansion <= MAX_EXPANSION:
        raise ValueError(f"an expansion of {shown(expansion)}")
    if c2 * expansion < 2:
        raise ValueError(f"an expansion of {shown(expansion)} leaves no channels of {c2}")
    # The larger scales use the deeper block everywhere, whatever the row says.
    deep = bool(c3k) or architecture.letter in ("m", "l", "x")
    return C3k2(c1[0], c2, repeats, c3k=deep, expansion=float(expansion), attention=bool(attention)), c2, 1.0


def _sppf(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    c2 = _width(row, architecture)
    kernel, n, shortcut = _filled(row, 5, 3, False)
    if not _small(kernel) % 2 or c1[0] < 2:
        raise ValueError(f"a kernel of {kernel} over {c1[0]} channels; expected an odd one, over two or more")
    # Rows of YOLO26 give all of it, and mean a first convolution without activation.
    return SPPF(c1[0], c2, kernel, _small(n), shortcut=bool(shortcut), act=len(row.args) < 3), c2, 1.0


def _c2psa(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    c2 = _width(row, architecture)
    if c1[0] != c2:
        raise ValueError(f"it reads {c1[0]} channels and gives {c2}")
    return C2PSA(c2, c2, repeats), c2, 1.0


def _upsample(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    if tuple(row.args) not in ((None, 2, "nearest"), ("None", 2, "nearest")):
        raise ValueError("only twice the size, nearest neighbour, is known")
    return nn.Upsample(scale_factor=2.0, mode="nearest"), c1[0], 0.5


def _concat(row: Row, architecture: Architecture, c1: list[int], repeats: int) -> _Made:
    return Concat(), sum(c1), 1.0


def _small(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 31:
        raise ValueError(f"{shown(value)} where a small whole number is expected")
    return value


_BLOCKS: Final[dict[str, Callable[[Row, Architecture, list[int], int], _Made]]] = {
    "Conv": _conv,
    "DWConv": _conv,
    "C2f": _c2f,
    "C3k2": _c3k2,
    "C2PSA": _c2psa,
    "SPPF": _sppf,
    "nn.Upsample": _upsample,
    "Concat": _concat,
}
