"""ConvNeXt (2201.03545): four stages of wide depthwise convolutions, each followed by a feed-forward layer on every place.

Source: timm 1.0.31 `convnext.py`; transformers `modeling_convnext.py`. The norm behind the mean of the rows is its pool's.
Shape letters: N rows of all items, C values per patch, B items, D width; maps are (B, D, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.features import Encoder, Features, Grid, pictures, whole
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class ConvNeXt(Encoder):
    """Widths and depths of the stages; `norm`: all of them. A row stands for 32 x 32 pixels."""

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    norm: LayerNorm
    patch: int = 32

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.widths[-1]

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Pictures of whole rows."""
        return whole(h, w, t, patch=self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return ConvNeXtEncoder(self)


class Block(nn.Module):
    """Parameters: conv, norm, up, down, scale."""

    def __init__(self, width: int, norm: LayerNorm) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), norm.build(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        rows = self.down(F.gelu(self.up(self.norm(self.conv(x).permute(0, 2, 3, 1)))))
        out: Tensor = x + (self.scale * rows).permute(0, 3, 1, 2)
        return out


class Stage(nn.Module):
    """Parameters: but in the first norm and down; blocks."""

    def __init__(self, number: int, into: int, width: int, depth: int, norm: LayerNorm) -> None:
        super().__init__()
        self.halves = number > 0
        if self.halves:
            self.norm, self.down = norm.across(into), nn.Conv2d(into, width, 2, 2)
        self.blocks = nn.ModuleList(Block(width, norm) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Maps, half as large but in the first stage."""
        if self.halves:
            x = self.down(self.norm(x))
        for block in self.blocks:
            x = block(x)
        return x


class ConvNeXtEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: stem, norm_stem, stages."""

    def __init__(self, spec: ConvNeXt) -> None:
        super().__init__()
        self.spec, first = spec, spec.widths[0]
        self.stem, self.norm_stem = nn.Conv2d(3, first, 4, 4), spec.norm.across(first)
        steps = enumerate(zip(pairwise((first, *spec.widths)), spec.depths, strict=True))
        self.stages = nn.ModuleList(Stage(n, into, width, depth, spec.norm) for n, ((into, width), depth) in steps)

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of every stage, for pictures (B, 3, H, W): one place stands for 4, 8, 16 and 32 pixels."""
        x, outs = self.norm_stem(self.stem(x.to(self.stem.weight.dtype))), []
        for stage in self.stages:
            x = stage(x)
            outs.append(x)
        return tuple(outs)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        found = [self.maps(pictures(x_BnC, grid, self.spec.patch))[-1] for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(torch.cat([x.flatten(2).transpose(1, 2).flatten(0, 1) for x in found]), grids)
