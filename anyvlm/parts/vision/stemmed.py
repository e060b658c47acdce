"""A ViT whose patches come from three convolutions (MobileCLIP-B): the class token has no place.

Source: timm `vision_transformer_hybrid.py` (vit_base_mci_224); apple/ml-mobileclip `mobileclip/models/vit.py`.
Shape letters: N rows of all items, C values per patch, B items, D width; maps are (B, D, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.features import Encoder, Features, Grid, square
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.vision.resnet import BatchNorm


@dataclass(frozen=True, kw_only=True)
class StemmedViT(Encoder):
    """Pictures of `size`; patches of 16 pixels: 4, then 2, then 2. The class token is returned as the first row."""

    width: int
    depth: int
    heads: int
    size: int
    ffn: MLP
    norm: LayerNorm
    patch: int = 16

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Patches of t pictures, which are of `size`."""
        return square(h, w, t, size=self.size, patch=self.patch)

    def rows(self, grid: Grid) -> Grid:
        """A list, no longer a grid."""
        t, h, w = grid
        return (t, 1, h * w + 1)

    def build(self) -> nn.Module:
        """The module."""
        return StemmedEncoder(self)


class StemmedEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: conv1-3, norm1-2, cls, pos, blocks, norm."""

    def __init__(self, spec: StemmedViT) -> None:
        super().__init__()
        self.spec, inner = spec, spec.width // 4
        self.conv1, self.norm1 = nn.Conv2d(3, inner, 4, 4, bias=False), BatchNorm(inner)
        self.conv2, self.norm2 = nn.Conv2d(inner, inner, 2, 2, bias=False), BatchNorm(inner)
        self.conv3 = nn.Conv2d(inner, spec.width, 2, 2)
        self.cls = normal(spec.width, std=0.02)
        self.pos = normal((spec.size // spec.patch) ** 2, spec.width, std=0.02)
        block = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm)
        self.blocks = nn.ModuleList(block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        outs = [self._run(x_BnC, grid).flatten(0, 1) for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(outs[0] if len(outs) == 1 else torch.cat(outs), tuple(map(self.spec.rows, grids)))

    def _run(self, x_BnC: Tensor, grid: Grid) -> Tensor:
        side = self.spec.patch
        x = x_BnC.reshape(-1, 3, side, side).to(self.pos.dtype)  # no convolution reaches beyond its patch
        x = F.gelu(self.norm2(self.conv2(F.gelu(self.norm1(self.conv1(x))))))
        rows = self.conv3(x).reshape(-1, grid[1] * grid[2], self.spec.width) + self.pos
        rows = torch.cat([self.cls.expand(len(rows), 1, -1), rows], 1)
        for block in self.blocks:
            rows = block(rows)
        out: Tensor = self.norm(rows)
        return out
