"""Swin (2103.14030): attention inside windows, which are shifted by half a window in every second block; maps of four sizes.

Source: microsoft/GLIP 9dda955 `modeling/backbone/swint.py`; transformers `modeling_swin.py` is the same where maps are larger
than a window.
Shape letters: N rows of all items, C values per patch, B items, W windows, T places of a window, D width, H heads, h head
width; maps are (B, h, w, D).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.features import Encoder, Features, Grid, pictures, whole
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm

FAR = -100.0
"""Added to the scores of places that a shift has brought beside each other."""


@dataclass(frozen=True, kw_only=True)
class Swin(Encoder):
    """`width` of the first stage, which doubles with each; `heads` of every stage; `window`: its side in places of 4 pixels and
    more; `ratio`: of feed-forward layers. A row stands for 32 x 32 pixels.
    """

    width: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int = 7
    ratio: int = 4
    norm: LayerNorm = LayerNorm(eps=1e-5)
    patch: int = 32

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the maps."""
        return tuple(self.width * 2**n for n in range(4))

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.widths[-1]

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Pictures of whole rows."""
        return whole(h, w, t, patch=self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return SwinEncoder(self)


class WindowAttention(nn.Module):
    """Parameters: qkv, o, near (one number a head for every way from place to place)."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.near = normal((2 * window - 1) ** 2, heads, std=0.02)

    def bias(self) -> Tensor:
        """(H, T, T)."""
        side = torch.arange(self.window, device=self.near.device)
        y_T, x_T = (each.flatten() for each in torch.meshgrid(side, side, indexing="ij"))
        down, across = y_T[:, None] - y_T + self.window - 1, x_T[:, None] - x_T + self.window - 1
        return self.near[down * (2 * self.window - 1) + across].permute(2, 0, 1)

    def forward(self, x_WTD: Tensor, added: Tensor) -> Tensor:
        """Windows. `added`: to the scores, (W or 1, H, T, T)."""
        q, k, v = self.qkv(x_WTD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.o(attend(q, k, v, added).transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """Parameters: norm1, attn, norm2, ffn."""

    def __init__(self, width: int, heads: int, shifted: bool, spec: Swin) -> None:
        super().__init__()
        self.window, self.shift = spec.window, spec.window // 2 if shifted else 0
        self.norm1, self.norm2 = spec.norm.build(width), spec.norm.build(width)
        self.attn, self.ffn = WindowAttention(width, heads, spec.window), MLP(hidden=spec.ratio * width).build(width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        B, h, w, D = x.shape
        side, shift = self.window, self.shift
        y = F.pad(self.norm1(x), (0, 0, 0, -w % side, 0, -h % side))
        H, W = y.shape[1:3]
        added = self.attn.bias()[None].to(y.dtype)
        if shift:
            y = y.roll((-shift, -shift), (1, 2))
            added = added + _apart(H, W, side, shift, y).repeat(B, 1, 1)[:, None]
        windows = y.reshape(B, H // side, side, W // side, side, D).transpose(2, 3).reshape(-1, side**2, D)
        seen = self.attn(windows, added).reshape(B, H // side, W // side, side, side, D).transpose(2, 3).reshape(B, H, W, D)
        seen = seen.roll((shift, shift), (1, 2)) if shift else seen
        x = x + seen[:, :h, :w]
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


def _apart(H: int, W: int, side: int, shift: int, like: Tensor) -> Tensor:
    """(W, T, T): `FAR` where a shift has brought places beside each other that are far apart."""

    def parts(length: int) -> Tensor:
        at = torch.arange(length, device=like.device)
        return (at >= length - side).long() + (at >= length - shift).long()

    number = 3 * parts(H)[:, None] + parts(W)
    of_WT = number.reshape(H // side, side, W // side, side).transpose(1, 2).reshape(-1, side**2)
    return torch.where(of_WT[:, None] == of_WT[:, :, None], 0.0, FAR).to(like.dtype)


class Stage(nn.Module):
    """Parameters: but in the first norm_down and down; blocks."""

    def __init__(self, number: int, spec: Swin) -> None:
        super().__init__()
        width = spec.widths[number]
        self.halves = number > 0
        if self.halves:
            self.norm_down, self.down = spec.norm.build(2 * width), nn.Linear(2 * width, width, bias=False)
        self.blocks = nn.ModuleList(Block(width, spec.heads[number], n % 2 == 1, spec) for n in range(spec.depths[number]))

    def forward(self, x: Tensor) -> Tensor:
        """Maps, half as large but in the first stage."""
        if self.halves:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
            corners = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
            x = self.down(self.norm_down(torch.cat(corners, -1)))
        for block in self.blocks:
            x = block(x)
        return x


class SwinEncoder(nn.Module):
    """Patches (N, C) -> Features of the last map. Parameters: stem, norm_stem, stages, norms (of the three smaller maps)."""

    def __init__(self, spec: Swin) -> None:
        super().__init__()
        self.spec = spec
        self.stem, self.norm_stem = nn.Conv2d(3, spec.width, 4, 4), spec.norm.build(spec.width)
        self.stages = nn.ModuleList(Stage(n, spec) for n in range(4))
        self.norms = nn.ModuleList(spec.norm.build(width) for width in spec.widths[1:])

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, D, h, w) of the three smaller maps, normed: one place stands for 8, 16 and 32 pixels."""
        x, outs = self.norm_stem(self.stem(x.to(self.stem.weight.dtype)).permute(0, 2, 3, 1)), []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number:
                outs.append(self.norms[number - 1](x).permute(0, 3, 1, 2))
        return tuple(outs)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        found = [self.maps(pictures(x_BnC, grid, self.spec.patch))[-1] for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(torch.cat([x.flatten(2).transpose(1, 2).flatten(0, 1) for x in found]), grids)
