"""CapPa's decoder (2306.07915): norms in front, learned places, and in every layer attention to the rows of a picture.

Source: google-research/big_vision 0127fb6 `models/proj/cappa/cappa.py`.
Shape letters: B batch, T tokens, S rows of a memory, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import CrossAttention, SelfAttention
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.language import LM, Context, LanguageModel
from anyvlm.parts.memory import remembered
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Captioner(LanguageModel):
    """A decoder that reads the memory `memory` in every layer, of whose attention no map has a bias. `norm`: in blocks; `last`:
    behind them. A token that sees no row of the memory skips what reads it.
    """

    ffn: MLP
    norm: LayerNorm
    last: LayerNorm
    memory: str = "image"

    def build(self, memories: Mapping[str, int] | None = None) -> CaptionerLM:
        """The module."""
        return CaptionerLM(self, (memories or {})[self.memory])

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        return allocate(self.depth, batch, self.heads, slots, self.width // self.heads, like=like)


class _Block(nn.Module):
    """Parameters: norm1, attn, norm_cross, cross, norm2, ffn."""

    def __init__(self, spec: Captioner, into: int, layer: int) -> None:
        super().__init__()
        self.layer, self.memory = layer, spec.memory
        self.norm1, self.norm_cross, self.norm2 = (spec.norm.build(spec.width) for _ in range(3))
        self.attn = SelfAttention(spec.width, spec.heads, layer, bias=False)
        self.cross, self.ffn = CrossAttention(spec.width, spec.heads, into, bias=False), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, at: Context, causal: bool) -> Tensor:
        x = x + self.attn(self.norm1(x), at.full, causal, at.cache)
        if (seen := at.recalls.get(self.memory)) is not None:
            k, v = remembered(at.cache, self.layer, None if seen.x_BSD is None else self.cross.keys(seen.x_BSD))
            x = torch.where(seen.some_BT1, x + self.cross(self.norm_cross(x), k, v, seen.added), x)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class CaptionerLM(LM):
    """Parameters: embed, pos, blocks, norm, head. A new one finds all words equally likely."""

    spec: Captioner

    def __init__(self, spec: Captioner, into: int) -> None:
        super().__init__(spec)
        self.pos = normal(spec.context, spec.width, std=spec.width**-0.5)
        self.blocks = nn.ModuleList(_Block(spec, into, layer) for layer in range(spec.depth))
        self.norm, self.head = spec.last.build(spec.width), nn.Linear(spec.width, spec.vocab)
        if not self.head.weight.is_meta:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The rows to add to the embeddings."""
        return (self.pos[pos_PBT[0]].to(dtype),)

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks."""
        causal = at.full is None and x_BTD.shape[1] > 1
        x = x_BTD + at.tables[0]
        for block in self.blocks:
            x = block(x, at, causal)
        out: Tensor = self.norm(x)
        return out
