"""OPT (2205.01068): a decoder with learned positions, biases everywhere and the norm in front.

Source: transformers `modeling_opt.py`. Sizes with `do_layer_norm_before` false or other word widths (350M) are not among these.
Shape letters: B batch, T tokens, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.bert import SelfAttention
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.language import LM, Context, LanguageModel
from anyvlm.parts.norm import LayerNorm

OFFSET = 2
"""The first rows of the position table, which are never used: fairseq kept them for padding."""


@dataclass(frozen=True, kw_only=True)
class OPT(LanguageModel):
    """OPT of any size but 350M. Its table of positions has `context` rows, after OFFSET unused ones."""

    ffn: MLP
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, memories: Mapping[str, int] | None = None) -> OPTLM:
        """The module; it has no inserts."""
        if self.inserts:
            raise SpecError("OPT: it takes no inserts.")
        return OPTLM(self)

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        return allocate(self.depth, batch, self.heads, slots, self.width // self.heads, like=like)


class _Block(nn.Module):
    def __init__(self, spec: OPT, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = SelfAttention(spec.width, spec.heads, layer), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), at.full, at.full is None and x.shape[1] > 1, at.cache)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class OPTLM(LM):
    """Parameters: embed, pos, blocks, norm, head."""

    spec: OPT

    def __init__(self, spec: OPT) -> None:
        super().__init__(spec)
        self.pos = normal(spec.context + OFFSET, spec.width, std=0.02)
        self.blocks = nn.ModuleList(_Block(spec, layer) for layer in range(spec.depth))
        self.norm = spec.norm.build(spec.width)
        self.head = nn.Linear(spec.width, spec.vocab, bias=False)
        if spec.tied:
            self.head.weight = self.embed.weight

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The rows to add, (B, T, D)."""
        return (self.pos[pos_PBT[0] + OFFSET].to(dtype),)

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks."""
        x = x_BTD + at.tables[0]
        for block in self.blocks:
            x = block(x, at)
        out: Tensor = self.norm(x)
        return out
