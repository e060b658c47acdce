"""CLIP's ResNets (2103.00020): three convolutions as stem, strides by averaging, no pooling at the end.

Source: openai/CLIP `clip/model.py` (ModifiedResNet).
Shape letters: N rows of all items, C values per patch, B items, D width; maps are (B, D, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.features import Encoder, Features, Grid, square

MOMENTUM, EPS = 0.1, 1e-5
"""Of all batch norms."""


@dataclass(frozen=True, kw_only=True)
class ResNet(Encoder):
    """Bottlenecks in four stages of `depths`. A row stands for 32 x 32 pixels and has 32 times `width` values."""

    width: int
    depths: tuple[int, int, int, int]
    size: int
    patch: int = 32

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return 32 * self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Pictures of `size`, since the pool behind has a place for each row."""
        return square(h, w, t, size=self.size, patch=self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return ResNetEncoder(self)


class BatchNorm(nn.Module):
    """Running mean and variance are parameters, so that they are saved and accounted for, but nothing learns them: in training
    they follow the batches, unless they are frozen; then batches are normed by them as they are.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.mean, self.var = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, D, h, w)."""
        follow = self.training and self.mean.requires_grad
        return F.batch_norm(x, self.mean.detach(), self.var.detach(), self.weight, self.bias, follow, MOMENTUM, EPS)


def _conv(into: int, out: int, side: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(into, out, side, stride=stride, padding=side // 2, bias=False)


class Bottleneck(nn.Module):
    """Parameters: conv1-3, norm1-3; with a stride or another width conv_skip, norm_skip."""

    def __init__(self, into: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(into, width, 1), BatchNorm(width)
        self.conv2, self.norm2 = _conv(width, width, 3), BatchNorm(width)
        self.conv3, self.norm3 = _conv(width, 4 * width, 1), BatchNorm(4 * width)
        self.stride, self.skips = stride, stride > 1 or into != 4 * width
        if self.skips:
            self.conv_skip, self.norm_skip = _conv(into, 4 * width, 1), BatchNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps, a stride smaller."""
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())).relu()
        y = self.norm3(self.conv3(F.avg_pool2d(y, self.stride)))
        if self.skips:
            x = self.norm_skip(self.conv_skip(F.avg_pool2d(x, self.stride)))
        out: Tensor = (x + y).relu()
        return out


class ResNetEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: conv1-3, norm1-3, stages."""

    def __init__(self, spec: ResNet) -> None:
        super().__init__()
        self.spec, half = spec, spec.width // 2
        self.conv1, self.norm1 = _conv(3, half, 3, stride=2), BatchNorm(half)
        self.conv2, self.norm2 = _conv(half, half, 3), BatchNorm(half)
        self.conv3, self.norm3 = _conv(half, spec.width, 3), BatchNorm(spec.width)
        widths = [spec.width, *(4 * spec.width * 2**n for n in range(4))]
        self.stages = nn.ModuleList(
            nn.Sequential(*(Bottleneck(out if n else into, out // 4, 1 if n or not stage else 2) for n in range(depth)))
            for stage, ((into, out), depth) in enumerate(zip(pairwise(widths), spec.depths, strict=True))
        )

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        outs = []
        for (_, h, w), x_BnC in Features(x_NC, grids).groups():
            side = self.spec.patch
            x = x_BnC.reshape(-1, h, w, 3, side, side).permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, h * side, w * side)
            for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
                x = norm(conv(x.to(conv.weight.dtype))).relu()
            x = F.avg_pool2d(x, 2)
            for stage in self.stages:
                x = stage(x)
            outs.append(x.flatten(2).transpose(1, 2).flatten(0, 1))
        return Features(torch.cat(outs), grids)
