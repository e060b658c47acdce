"""Magneto (2210.06423): a decoder with sub-LN, a second norm inside attention and feed-forward layer, and sinusoidal positions.

The language model of KOSMOS. Sources: transformers `modeling_kosmos2.py`; microsoft/unilm kosmos-2 torchscale.
Shape letters: P position axes, B batch, T tokens, D width, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.language import LM, Context, LanguageModel
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Magneto(LanguageModel):
    """All layers have biases. `hidden`: of the feed-forward layer, after whose `act` the second norm stands.

    `scale`: factor on all rows that enter, those of pictures too (sqrt(width)). `first`: number of the first position, since
    fairseq counts from behind its padding index.
    """

    hidden: int
    act: Act = "gelu"
    norm: LayerNorm = LayerNorm(eps=1e-5)
    scale: float = 1.0
    first: int = 2

    def build(self, memories: Mapping[str, int] | None = None) -> MagnetoLM:
        """The module. Raises SpecError for inserts, which no system with this decoder has."""
        if self.inserts:
            raise SpecError("Magneto: this decoder has no inserts.")
        return MagnetoLM(self)

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        return allocate(self.depth, batch, self.heads, slots, self.width // self.heads, like=like)


class _Attention(nn.Module):
    def __init__(self, spec: Magneto, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = spec.heads, layer
        self.qkv, self.o = nn.Linear(spec.width, 3 * spec.width), nn.Linear(spec.width, spec.width)
        self.norm = spec.norm.build(spec.width)

    def forward(self, x_BTD: Tensor, at: Context) -> Tensor:
        q, k, v = self.qkv(x_BTD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, T, h)
        if at.cache is not None:
            k, v = at.cache.put(self.layer, k, v)
        y = attend(q, k, v, at.full, at.full is None and q.shape[2] > 1)
        out: Tensor = self.o(self.norm(y.transpose(1, 2).flatten(2)))
        return out


class _FeedForward(nn.Module):
    def __init__(self, spec: Magneto) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.up, self.down = nn.Linear(spec.width, spec.hidden), nn.Linear(spec.hidden, spec.width)
        self.norm = spec.norm.build(spec.hidden)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.norm(self.act(self.up(x))))
        return out


class _Block(nn.Module):
    def __init__(self, spec: Magneto, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec, layer), _FeedForward(spec)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), at)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class MagnetoLM(LM):
    """Rows are scaled, positions added, and then come the blocks."""

    spec: Magneto

    def __init__(self, spec: Magneto) -> None:
        super().__init__(spec)
        self.blocks = nn.ModuleList(_Block(spec, layer) for layer in range(spec.depth))
        self.norm = spec.norm.build(spec.width)
        self.head = nn.Linear(spec.width, spec.vocab, bias=False)
        if spec.tied:
            self.head.weight = self.embed.weight

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What is added to the rows, (B, T, D): sines of all wavelengths, then cosines."""
        half = self.spec.width // 2
        steps = torch.arange(half, device=pos_PBT.device).float()
        turns = (pos_PBT[0] + self.spec.first).float()[..., None] * (steps * (-log(10000) / (half - 1))).exp()
        return (torch.cat([turns.sin(), turns.cos()], -1).to(dtype),)

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks."""
        x = x_BTD * self.spec.scale + at.tables[0]
        for block in self.blocks:
            x = block(x, at)
        out: Tensor = self.norm(x)
        return out
