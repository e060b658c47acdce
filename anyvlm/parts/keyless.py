"""Blocks whose keys have no bias, unlike queries and values (EVA, VideoMAE); EVA-02's turn rows by their places.

Sources: transformers `modeling_videomae.py`; timm `eva.py`, `pos_embed_sincos.py`; baaivision/EVA `eva_vit_model.py`.
Shape letters: B items, T rows of each, D width, H heads, h head width, n rows with a place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.ffn import MLP, NormedGLU
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec

Turns = tuple[Tensor, Tensor]
"""Cosines and sines (n, h): neighbouring values are a pair, and pairs of the last n rows turn."""


@dataclass(frozen=True, kw_only=True)
class Keyless(Spec):
    """One block, norms in front. `inner`: what attention saw is normed before its last map."""

    heads: int
    ffn: MLP | NormedGLU
    norm: LayerNorm
    inner: bool = False

    def build(self, width: int) -> KeylessBlock:
        """The module for rows of `width`."""
        return KeylessBlock(self, width)


@dataclass(frozen=True, kw_only=True)
class KeylessLast(Keyless):
    """The norms stand behind attention and feed-forward, before the sum (EVA-02-CLIP-E)."""

    def build(self, width: int) -> KeylessBlock:
        """The module for rows of `width`."""
        return KeylessLastBlock(self, width)


class KeylessAttention(nn.Module):
    """Parameters: qkv, bias_q, bias_v, o; norm if inner."""

    def __init__(self, spec: Keyless, width: int) -> None:
        super().__init__()
        self.heads, self.inner = spec.heads, spec.inner
        self.qkv, self.o = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.bias_q, self.bias_v = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        if spec.inner:
            self.norm = spec.norm.build(width)

    def forward(self, x: Tensor, turns: Turns | None = None) -> Tensor:
        """Rows (B, T, D) see each other."""
        bias = torch.cat([self.bias_q, torch.zeros_like(self.bias_q), self.bias_v])
        q, k, v = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if turns is not None:
            q, k = turn(q, *turns), turn(k, *turns)
        y = attend(q, k, v).transpose(1, 2).flatten(2)
        out: Tensor = self.o(self.norm(y) if self.inner else y)
        return out


class KeylessBlock(nn.Module):
    """Parameters: norm1, attn, norm2, ffn."""

    def __init__(self, spec: Keyless, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(width), spec.norm.build(width)
        self.attn, self.ffn = KeylessAttention(spec, width), spec.ffn.build(width)

    def forward(self, x: Tensor, turns: Turns | None = None) -> Tensor:
        """Rows (B, T, D)."""
        x = x + self.attn(self.norm1(x), turns)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class KeylessLastBlock(KeylessBlock):
    """The same parameters."""

    def forward(self, x: Tensor, turns: Turns | None = None) -> Tensor:
        """Rows (B, T, D)."""
        x = x + self.norm1(self.attn(x, turns))
        out: Tensor = x + self.norm2(self.ffn(x))
        return out


def turn(x_BHTh: Tensor, cos_nh: Tensor, sin_nh: Tensor) -> Tensor:
    """The last n of T rows turned; those before have no place."""
    first, x = x_BHTh.split([x_BHTh.shape[2] - len(cos_nh), len(cos_nh)], 2)
    pairs = x.unflatten(-1, (-1, 2))
    crossed = torch.stack([-pairs[..., 1], pairs[..., 0]], -1).flatten(-2)
    return torch.cat([first, x * cos_nh.to(x.dtype) + crossed * sin_nh.to(x.dtype)], 2)


def turns_2d(h: int, w: int, head: int, side: int, theta: float = 10_000.0) -> Turns:
    """Of h x w patches, whose lines and columns are counted as if there were `side` of them: one half of a head turns by line,
    the other by column.
    """
    freq = 1.0 / theta ** (torch.arange(head // 4, dtype=torch.float32) / (head // 4))
    line, column = (torch.arange(n, dtype=torch.float32) / n * side for n in (h, w))
    angle = torch.cat([line.repeat_interleave(w)[:, None] * freq, column.repeat(h)[:, None] * freq], 1)
    angle = angle.repeat_interleave(2, 1)
    return angle.cos(), angle.sin()
