"""A BERT whose tokens know their places by turning, with gated feed-forward layers (GTE v1.5, 2407.19669).

Sources: Alibaba-NLP/new-impl `modeling.py`; transformers `modeling_gte.py`.
Shape letters: B texts, T tokens, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.init import normal
from anyvlm.parts.language import additive
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Rope, rotate
from anyvlm.parts.text import TextEncoder


@dataclass(frozen=True, kw_only=True)
class TurningText(TextEncoder):
    """Embeddings of words and of segments, normed; blocks with the norm behind the sum. All read tokens see each other.

    `kinds`: so many kinds of segments have an embedding; all tokens are of the first.
    """

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    hidden: int
    rope: Rope
    norm: LayerNorm = LayerNorm(eps=1e-12)
    kinds: int = 2

    def build(self) -> nn.Module:
        """The module."""
        return TurningTextModule(self)


class TurningTextModule(nn.Module):
    """Parameters: embed, kind, norm, blocks."""

    def __init__(self, spec: TurningText) -> None:
        super().__init__()
        self.spec = spec
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        self.kind = normal(spec.kinds, spec.width, std=0.02)
        self.norm = spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(TurningBlock(spec) for _ in range(spec.depth))

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Places are counted from the first token."""
        x: Tensor = self.norm(self.embed(ids_BT) + self.kind[0])
        pos_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device)[None]
        tables = self.spec.rope.tables(pos_BT[None], self.spec.width // self.spec.heads)
        cos, sin = (table.to(x.dtype) for table in tables)
        added = None if seen_BT is None else additive(seen_BT[:, None], x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin, added)
        return x


class TurningBlock(nn.Module):
    """Parameters: qkv, o, norm1, up_gate, down, norm2."""

    def __init__(self, spec: TurningText) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv, self.o = nn.Linear(spec.width, 3 * spec.width), nn.Linear(spec.width, spec.width)
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.up_gate = nn.Linear(spec.width, 2 * spec.hidden, bias=False)
        self.down = nn.Linear(spec.hidden, spec.width)

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor, added: Tensor | None) -> Tensor:
        """`added`: to the scores, (B, 1, 1, T)."""
        q, k, v = self.qkv(x_BTD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, added)
        x = self.norm1(x_BTD + self.o(y.transpose(1, 2).flatten(2)))
        up, gate = self.up_gate(x).chunk(2, -1)
        out: Tensor = self.norm2(x + self.down(up * F.gelu(gate)))
        return out
