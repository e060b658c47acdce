"""The vision transformer on any array: spectrograms, depth, heat, the channels of a sensor; short clips of pictures.

Source: ImageBind (2305.05665) `imagebind/models/{imagebind_model,multimodal_preprocessors}.py`.
Shape letters: N rows of all items, C values per patch, B items, n patches of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm


@dataclass(frozen=True, kw_only=True)
class SignalViT(Encoder):
    """A ViT on arrays (channels, height, width) of `size`; its rows are the class token, then the patches, normed.

    `patch`: height of a patch, and its width unless `across` says another; `step`: from one patch to the next, a whole patch
    where None (audio's overlap). `stem_norm`: patches are normed; `pre_norm`: all rows are, with their places. `block`: its
    blocks; `norm`: behind them, and in front.
    """

    channels: int
    size: tuple[int, int]
    patch: int
    width: int
    depth: int
    block: PreNorm
    norm: LayerNorm
    across: int | None = None
    step: int | None = None
    frames: int = 1
    stem_norm: LayerNorm | None = None
    pre_norm: bool = False

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of a patch."""
        return self.patch, self.across or self.patch

    @property
    def values(self) -> int:
        """Values of a patch."""
        return self.channels * self.frames * self.sides[0] * self.sides[1]

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Patches of an array of `size`."""
        if (h, w) != self.size:
            raise InputError(f"This encoder takes arrays of {self.size[0]} x {self.size[1]} values, not {h} x {w}.")
        high, wide = self.sides
        return (t, (h - high) // (self.step or high) + 1, (w - wide) // (self.step or wide) + 1)

    def rows(self, grid: Grid) -> Grid:
        """A list: the class token stands in front."""
        return (1, 1, grid[0] * grid[1] * grid[2] + 1)

    def cut(self, array: Tensor) -> Tensor:
        """(channels, h, w), or (frames, channels, h, w) where a patch lasts several -> patches (n, C)."""
        x = array if array.ndim == 4 else array.expand(self.frames, -1, -1, -1)
        if x.shape[:2] != (self.frames, self.channels):
            raise InputError(
                f"This encoder takes {self.frames} x {self.channels} planes of values, not {x.shape[0]} x {x.shape[1]}."
            )
        h, w = self.sides
        x = x.unfold(2, h, self.step or h).unfold(3, w, self.step or w)
        return x.permute(2, 3, 1, 0, 4, 5).flatten(2).flatten(0, 1)

    def build(self) -> nn.Module:
        """The module."""
        return SignalViTEncoder(self)


class SignalViTEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: stem, stem_norm, cls, pos, norm_pre, blocks, norm."""

    def __init__(self, spec: SignalViT) -> None:
        super().__init__()
        _, h, w = spec.grid(*spec.size)
        self.spec, self.stem = spec, nn.Linear(spec.values, spec.width, bias=False)
        self.cls, self.pos = normal(spec.width, std=spec.width**-0.5), normal(h * w + 1, spec.width, std=spec.width**-0.5)
        if spec.stem_norm is not None:
            self.stem_norm = spec.stem_norm.build(spec.width)
        if spec.pre_norm:
            self.norm_pre = spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: patches of all items, row by row (`SignalViT.cut`)."""
        x = self.stem(x_NC.unflatten(0, (len(grids), -1)).to(self.pos.dtype))
        if self.spec.stem_norm is not None:
            x = self.stem_norm(x)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos
        if self.spec.pre_norm:
            x = self.norm_pre(x)
        for block in self.blocks:
            x = block(x)
        return Features(self.norm(x).flatten(0, 1), tuple(map(self.spec.rows, grids)))
