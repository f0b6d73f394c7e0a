"""The blocks that YOLOv8, YOLO11 and YOLO26 are made of; attribute names are the keys of their checkpoints.

Sources: cross-stage partial blocks from Wang et al., "CSPNet" (2019) and "Designing Network Design Strategies Through Gradient
Path Analysis" (2022); spatial pyramid pooling from He et al. (2014); position-sensitive attention from Wang et al., "YOLOv10:
Real-Time End-to-End Object Detection" (2024).

Tensors are N x channels x height x width; every block keeps height and width unless it says otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Conv(nn.Module):
    """Convolution without bias, batch norm, SiLU; `stride` shrinks height and width."""

    def __init__(self, c1: int, c2: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.act: nn.Module = nn.SiLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.act(self.bn(self.conv(x)))
        return activated

    def fuse(self) -> None:
        """Fold the batch norm's running figures into the convolution; inference alone is possible from then on."""
        bn = self.bn
        if not isinstance(bn, nn.BatchNorm2d) or bn.running_mean is None or bn.running_var is None:
            return
        gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        old = self.conv
        self.conv = nn.Conv2d(
            old.in_channels,
            old.out_channels,
            old.kernel_size,  # type: ignore[arg-type]
            old.stride,  # type: ignore[arg-type]
            old.padding,  # type: ignore[arg-type]
            groups=old.groups,
            bias=True,
            device=old.weight.device,
            dtype=old.weight.dtype,
        ).requires_grad_(False)
        assert self.conv.bias is not None
        self.conv.weight.copy_(old.weight * gain[:, None, None, None])
        self.conv.bias.copy_(bn.bias - bn.running_mean * gain)
        self.bn = nn.Identity()


class DWConv(Conv):
    """Depthwise convolution: as many groups as the widths share."""

    def __init__(self, c1: int, c2: int, kernel: int = 1, stride: int = 1, *, act: bool = True) -> None:
        super().__init__(c1, c2, kernel, stride, groups=math.gcd(c1, c2), act=act)


class Bottleneck(nn.Module):
    """Two 3 x 3 convolutions through a narrower middle, added to the input where the widths allow."""

    def __init__(self, c1: int, c2: int, *, shortcut: bool = True, expansion: float = 0.5) -> None:
        super().__init__()
        middle = int(c2 * expansion)
        self.cv1 = Conv(c1, middle, 3)
        self.cv2 = Conv(middle, c2, 3)
        self._adds = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self._adds else y


class C2f(nn.Module):
    """Cross-stage block that keeps the output of each of its `n` bottlenecks."""

    def __init__(self, c1: int, c2: int, n: int = 1, *, shortcut: bool = False, expansion: float = 0.5) -> None:
        super().__init__()
        self.c = int(c2 * expansion)
        self.cv1 = Conv(c1, 2 * self.c)
        self.cv2 = Conv((2 + n) * self.c, c2)
        self.m = nn.ModuleList(self._inner(shortcut) for _ in range(n))

    def _inner(self, shortcut: bool) -> nn.Module:
        return Bottleneck(self.c, self.c, shortcut=shortcut, expansion=1.0)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        for block in self.m:
            parts.append(block(parts[-1]))  # each reads the one before
        joined: Tensor = self.cv2(torch.cat(parts, 1))
        return joined


class C3k(nn.Module):
    """Cross-stage block of three 1 x 1 convolutions around `n` bottlenecks."""

    def __init__(self, c1: int, c2: int, n: int = 2) -> None:
        super().__init__()
        middle = c2 // 2
        self.cv1 = Conv(c1, middle)
        self.cv2 = Conv(c1, middle)
        self.cv3 = Conv(2 * middle, c2)
        self.m = nn.Sequential(*(Bottleneck(middle, middle, expansion=1.0) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return joined


class C3k2(C2f):
    """`C2f` with narrower bottlenecks, with `C3k` blocks, or with bottlenecks followed by attention."""

    def __init__(
        self, c1: int, c2: int, n: int = 1, *, c3k: bool = False, expansion: float = 0.5, attention: bool = False
    ) -> None:
        self._kind = "attention" if attention else "c3k" if c3k else "bottleneck"
        super().__init__(c1, c2, n, shortcut=True, expansion=expansion)

    def _inner(self, shortcut: bool) -> nn.Module:
        if self._kind == "c3k":
            return C3k(self.c, self.c)
        bottleneck = Bottleneck(self.c, self.c, shortcut=shortcut)
        return bottleneck if self._kind == "bottleneck" else nn.Sequential(bottleneck, PSABlock(self.c))


class Attention(nn.Module):
    """Self-attention over all positions, with a depthwise convolution of the values as the sense of place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._heads = max(width // 64, 1)
        self._value = width // self._heads
        self._key = self._value // 2
        self._scale = self._key**-0.5
        self.qkv = Conv(width, width + 2 * self._key * self._heads, act=False)
        self.proj = Conv(width, width, act=False)
        self.pe = Conv(width, width, 3, groups=width, act=False)

    def forward(self, x: Tensor) -> Tensor:
        n, width, height, breadth = x.shape
        qkv = self.qkv(x).view(n, self._heads, 2 * self._key + self._value, height * breadth)
        query, key, value = qkv.split([self._key, self._key, self._value], dim=2)
        weights = (query.transpose(-2, -1) @ key * self._scale).softmax(dim=-1)
        seen = (value @ weights.transpose(-2, -1)).view(n, width, height, breadth)
        projected: Tensor = self.proj(seen + self.pe(value.reshape(n, width, height, breadth)))
        return projected


class PSABlock(nn.Module):
    """Attention and a feed-forward part, each added to its input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = Attention(width)
        self.ffn = nn.Sequential(Conv(width, 2 * width), Conv(2 * width, width, act=False))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        fed: Tensor = x + self.ffn(x)
        return fed


class C2PSA(nn.Module):
    """`n` attention blocks over one half of the channels."""

    def __init__(self, c1: int, c2: int, n: int = 1) -> None:
        super().__init__()
        self.c = c2 // 2
        self.cv1 = Conv(c1, 2 * self.c)
        self.cv2 = Conv(2 * self.c, c2)
        self.m = nn.Sequential(*(PSABlock(self.c) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        kept, attended = self.cv1(x).split((self.c, self.c), dim=1)
        joined: Tensor = self.cv2(torch.cat((kept, self.m(attended)), 1))
        return joined


class SPPF(nn.Module):
    """`n` poolings one after another, all kept: a pyramid of growing neighbourhoods.

    YOLO26 adds the input and leaves out the first activation.
    """

    def __init__(self, c1: int, c2: int, kernel: int = 5, n: int = 3, *, shortcut: bool = False, act: bool = True) -> None:
        super().__init__()
        self.cv1 = Conv(c1, c1 // 2, act=act)
        self.cv2 = Conv(c1 // 2 * (n + 1), c2)
        self.m = nn.MaxPool2d(kernel, stride=1, padding=kernel // 2)
        self._n = n
        self._adds = shortcut and c1 == c2

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.cv1(x)]
        for _ in range(self._n):
            levels.append(self.m(levels[-1]))  # each reads the one before
        y: Tensor = self.cv2(torch.cat(levels, 1))
        return x + y if self._adds else y


class Concat(nn.Module):
    """Layers of equal height and width side by side."""

    def forward(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts, 1)
