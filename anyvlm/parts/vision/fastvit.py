"""MCi, MobileCLIP's towers of the FastViT family (2303.14189, 2311.17049): stages of convolutions, then of attention.

Source: timm `fastvit.py`; apple/ml-mobileclip `mobileclip/models/mci.py`.
Shape letters: N rows of all items, C values per patch, B items, D width; maps are (B, D, h, w).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.features import Encoder, Features, Grid, pictures, whole
from anyvlm.parts.merge import Branches, Mixer, Placed, merge
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.resnet import BatchNorm


@dataclass(frozen=True, kw_only=True)
class FastViT(Encoder):
    """Widths and depths of the stages, of which the last `looks` attend; `ratio`: of feed-forward layers; `head`: width of a
    head. `squeezes`: from which stage on channels are weighed; `norm`: in front of attention, a batch norm if None; `small`:
    side of the stem's second branch. A row stands for `patch` x `patch` pixels, 2 to the number of stages and one more, and
    has twice the last width. As it is trained: with branches.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    ratio: int = 3
    head: int = 32
    patch: int = 32
    looks: int = 1
    squeezes: int = 2
    norm: LayerNorm | None = None
    small: int | None = 1

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return 2 * self.widths[-1]

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Pictures of whole rows."""
        return whole(h, w, t, patch=self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return FastViTEncoder(self)

    def merged(self) -> MergedFastViT:
        """The spec whose weights `merge` makes of this one's."""
        return MergedFastViT(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class MergedFastViT(FastViT):
    """The same after `merge`: every set of branches is one convolution."""

    def build(self) -> nn.Module:
        """The module."""
        return merge(FastViTEncoder(self))


class Unit(nn.Module):
    """Branches, squeezed, then GELU. Parameters: branches, squeeze."""

    def __init__(self, branches: Branches, squeeze: int | None = None) -> None:
        super().__init__()
        self.branches = branches
        self.squeeze = Squeeze(branches.out, squeeze) if squeeze else None

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        x = self.branches(x)
        return F.gelu(x if self.squeeze is None else self.squeeze(x))


class Squeeze(nn.Module):
    """Every channel is weighed by the means of all (squeeze and excitation, 1709.01507). Parameters: down, up."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        out: Tensor = x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        return out


class ConvFFN(nn.Module):
    """Parameters: conv, norm, up, down."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 7, padding=3, groups=width, bias=False)
        self.norm, self.up, self.down = BatchNorm(width), nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        out: Tensor = self.down(F.gelu(self.up(self.norm(self.conv(x)))))
        return out


class MixerBlock(nn.Module):
    """Parameters: mixer, ffn, scale."""

    def __init__(self, width: int, spec: FastViT) -> None:
        super().__init__()
        self.mixer, self.ffn = Mixer(width), ConvFFN(width, spec.ratio * width)
        self.scale = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        x = self.mixer(x)
        out: Tensor = x + self.scale[:, None, None] * self.ffn(x)
        return out


class AttentionBlock(nn.Module):
    """Parameters: norm, qkv, o, scale1, ffn, scale2."""

    def __init__(self, width: int, spec: FastViT) -> None:
        super().__init__()
        self.heads, self.norm = width // spec.head, BatchNorm(width) if spec.norm is None else spec.norm.across(width)
        self.qkv, self.o = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.ffn = ConvFFN(width, spec.ratio * width)
        self.scale1, self.scale2 = (nn.Parameter(torch.full((width,), 1e-5)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        rows = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(rows).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = self.o(attend(q, k, v).transpose(1, 2).flatten(2)).transpose(1, 2).unflatten(2, x.shape[2:])
        x = x + self.scale1[:, None, None] * seen
        out: Tensor = x + self.scale2[:, None, None] * self.ffn(x)
        return out


class Stage(nn.Module):
    """Parameters: down (but in the first), place (where it attends), blocks."""

    def __init__(self, number: int, into: int, width: int, spec: FastViT) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        if number:
            squeeze = width // 4 if number >= spec.squeezes else None
            steps = [
                Unit(Branches(into, width, 7, 2, groups=into, small=3), squeeze),
                Unit(Branches(width, width, 1, small=None)),
            ]
        self.down, looks = nn.ModuleList(steps), number >= len(spec.widths) - spec.looks
        self.place = Placed(width) if looks else None
        block = AttentionBlock if looks else MixerBlock
        self.blocks = nn.ModuleList(block(width, spec) for _ in range(spec.depths[number]))

    def forward(self, x: Tensor) -> Tensor:
        """Maps, half as large but in the first stage."""
        for step in self.down:
            x = step(x)
        x = x if self.place is None else self.place(x)
        for block in self.blocks:
            x = block(x)
        return x


class FastViTEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: stem, stages, final."""

    def __init__(self, spec: FastViT) -> None:
        super().__init__()
        self.spec, first, last = spec, spec.widths[0], spec.widths[-1]
        self.stem = nn.ModuleList([
            Unit(Branches(3, first, 3, 2, small=spec.small)),
            Unit(Branches(first, first, 3, 2, groups=first, small=spec.small)),
            Unit(Branches(first, first, 1, small=None)),
        ])  # fmt: skip
        widths = (first, *spec.widths)
        self.stages = nn.ModuleList(Stage(n, into, width, spec) for n, (into, width) in enumerate(pairwise(widths)))
        self.final = Unit(Branches(last, 2 * last, 3, groups=last), last // 8)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        outs = []
        for grid, x_BnC in Features(x_NC, grids).groups():
            x = pictures(x_BnC, grid, self.spec.patch).to(next(self.parameters()).dtype)
            for step in (*self.stem, *self.stages, self.final):
                x = step(x)
            outs.append(x.flatten(2).transpose(1, 2).flatten(0, 1))
        return Features(torch.cat(outs), grids)
