"""Attention in which every row also sees one learned key and value (torch's `add_bias_kv`), and the block around it.

Source: ImageBind (2305.05665) `imagebind/models/transformer.py`.
Shape letters: B items, T rows of each, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.parts.attention import attend
from anyvlm.parts.bert import SelfAttention
from anyvlm.parts.cache import Cache
from anyvlm.parts.init import normal
from anyvlm.parts.prenorm import PreNorm, PreNormBlock


@dataclass(frozen=True, kw_only=True)
class ExtraKey(PreNorm):
    """A block whose rows may look at nothing of the item: one learned key stands behind theirs."""

    def build(self, width: int) -> PreNormBlock:
        """The module for rows of `width`."""
        block = PreNormBlock(self, width)
        block.attn = ExtraKeyAttention(width, self.heads)
        return block


class ExtraKeyAttention(SelfAttention):
    """Parameters: qkv, o; k and v, the learned ones."""

    def __init__(self, width: int, heads: int, layer: int = 0) -> None:
        super().__init__(width, heads, layer)
        self.k, self.v = normal(width, std=width**-0.5), normal(width, std=width**-0.5)

    def forward(
        self, x: Tensor, added: Tensor | None = None, causal: bool = False, cache: Cache | None = None, rows: int | None = None
    ) -> Tensor:
        """As that of `SelfAttention`, without a cache and without `causal`: the learned key has no place."""
        assert cache is None and not causal
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        k, v = (torch.cat([theirs, self._spread(own, len(x))], 2) for theirs, own in ((k, self.k), (v, self.v)))
        seen = None if added is None else F.pad(added[..., :rows, :], (0, 1))
        out: Tensor = self.o(attend(q[:, :, :rows], k, v, seen).transpose(1, 2).flatten(2))
        return out

    def _spread(self, own_D: Tensor, items: int) -> Tensor:
        """(B, H, 1, h)."""
        out: Tensor = own_D.unflatten(0, (self.heads, 1, -1)).expand(items, -1, -1, -1)
        return out
