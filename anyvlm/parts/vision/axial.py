"""A vision transformer for pictures of any size: rotary positions of two axes instead of a table (Pixtral).

Sources: Pixtral 12B (2410.07073); transformers `modeling_pixtral.py`; mistralai/mistral-inference `vision_encoder.py`.
Shape letters: N rows of all items, C values per patch, B items, n patches per item, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.attention import attend
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.ffn import GLU
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.rope import Rope, rotate


@dataclass(frozen=True, kw_only=True)
class AxialViT(Encoder):
    """A ViT without biases, class token or final norm, whose patches know their line and column by rotation alone.

    Of the h / 2 frequencies theta^(-2i/h) of a head, those with even i turn by the line, those with odd i by the column.
    """

    width: int
    depth: int
    heads: int
    patch: int
    ffn: GLU
    norm: RMSNorm = RMSNorm(eps=1e-5)
    theta: float = 10_000.0

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Whole patches in t pictures of h x w pixels."""
        if min(h, w) < self.patch:
            raise InputError(f"A picture of {w} x {h} pixels is smaller than one patch of {self.patch} pixels.")
        return (t, h // self.patch, w // self.patch)

    def tables(self, h: int, w: int) -> tuple[Tensor, Tensor]:
        """What `rotate` multiplies the heads of h x w patches with, each (n, head width) in fp32."""
        freq, _ = Rope(theta=self.theta).frequencies(self.width // self.heads)
        line, column = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
        angle = torch.cat([line[:, None] * freq[0::2], column[:, None] * freq[1::2]], -1)
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)

    def build(self) -> AxialViTEncoder:
        """The module."""
        return AxialViTEncoder(self)


class _Attention(nn.Module):
    def __init__(self, spec: AxialViT) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.o = nn.Linear(spec.width, spec.width, bias=False)

    def forward(self, x_BnD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BnD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, n, h)
        y = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        out: Tensor = self.o(y.transpose(1, 2).flatten(2))
        return out


class _Block(nn.Module):
    def __init__(self, spec: AxialViT) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class AxialViTEncoder(nn.Module):
    """Patches (N, C) -> Features. Neighbouring items of one grid are a batch; no item sees another, so no mask is made."""

    def __init__(self, spec: AxialViT) -> None:
        super().__init__()
        self.spec = spec
        self.stem = nn.Linear(3 * spec.patch**2, spec.width, bias=False)
        self.norm_pre = spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(_Block(spec) for _ in range(spec.depth))

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        return Features(torch.cat([self._run(x, grid) for grid, x in Features(x_NC, grids).groups()]), grids)

    def _run(self, x_BnC: Tensor, grid: Grid) -> Tensor:
        """One batch of equal grids -> rows (B * n, D). Frames of one item do not see each other."""
        _, h, w = grid
        weight = self.stem.weight
        x: Tensor = self.norm_pre(self.stem(x_BnC.reshape(-1, h * w, x_BnC.shape[-1]).to(weight.dtype)))
        cos, sin = (table.to(weight) for table in self.spec.tables(h, w))
        for block in self.blocks:
            x = block(x, cos, sin)
        return x.flatten(0, 1)
