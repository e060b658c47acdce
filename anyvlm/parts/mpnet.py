"""MPNet (2004.09297) as a text tower: BERT's blocks, whose scores know distances, behind places that are counted from 2.

Source: transformers `modeling_mpnet.py`.
Shape letters: B texts, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import PostNorm, PostNormBlock, Words
from anyvlm.parts.distances import Distances
from anyvlm.parts.language import additive
from anyvlm.parts.text import TextEncoder

FIRST = 2
"""The place of the first token; files hold two rows in front of its."""


@dataclass(frozen=True, kw_only=True)
class MPNetText(TextEncoder):
    """`context` counts the rows of the table of places, so that texts are shorter by two; `buckets`, `far`: of distances."""

    vocab: int
    width: int
    depth: int
    context: int
    block: PostNorm
    buckets: int = 32
    far: int = 128

    def build(self) -> nn.Module:
        """The module."""
        return MPNetTextModule(self)


class MPNetTextModule(nn.Module):
    """Parameters: words, distances, blocks."""

    def __init__(self, spec: MPNetText) -> None:
        super().__init__()
        self.words = Words(vocab=spec.vocab, context=spec.context, norm=spec.block.norm).build(spec.width)
        self.distances = Distances(spec.buckets, spec.block.heads, spec.far, both_ways=True, std=0.02)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Padding stands behind."""
        at_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)[None]
        x: Tensor = self.words(ids_BT, (at_T + FIRST).expand_as(ids_BT))
        added = self.distances(at_T, at_T).to(x.dtype)
        if seen_BT is not None:
            added = additive(seen_BT[:, None], x.dtype, added)
        for block in self.blocks:
            assert isinstance(block, PostNormBlock)
            x = block.think(block.look(x, added))
        return x
