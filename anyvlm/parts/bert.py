"""Layers of BERT (1810.04805): the norm stands behind the sum. Embeddings, self-attention, attention to other rows, one block.

Sources: transformers `modeling_bert.py`, `modeling_blip_text.py`, `modeling_blip_2.py`.
Shape letters: B batch, T tokens, S keys, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Words(Spec):
    """Embeddings of words and places, summed and normed. `kinds`: so many kinds of segments have an embedding too (BERT: 2);
    all tokens are of the first.
    """

    vocab: int
    context: int
    norm: LayerNorm = LayerNorm(eps=1e-12)
    kinds: int = 0

    def build(self, width: int) -> WordsModule:
        """The module for rows of `width`."""
        return WordsModule(self, width)


class WordsModule(nn.Module):
    """Parameters: word, pos, kind, norm."""

    def __init__(self, spec: Words, width: int) -> None:
        super().__init__()
        self.word = nn.Embedding(spec.vocab, width, _weight=normal(spec.vocab, width, std=0.02))
        self.pos = normal(spec.context, width, std=0.02)
        if spec.kinds:
            self.kind = normal(spec.kinds, width, std=0.02)
        self.spec, self.norm = spec, spec.norm.build(width)

    def forward(self, ids_BT: Tensor, pos_BT: Tensor, first_BTD: Tensor | None = None) -> Tensor:
        """`first_BTD`: rows that stand before the words, without a place, and are normed with them."""
        x = self.word(ids_BT) + self.pos[pos_BT]
        x = x + self.kind[0] if self.spec.kinds else x
        out: Tensor = self.norm(x if first_BTD is None else torch.cat([first_BTD.to(x.dtype), x], 1))
        return out


@dataclass(frozen=True, kw_only=True)
class PostNorm(Spec):
    """One block: attention, attention to other rows if it has any, feed-forward; each added, then normed."""

    heads: int
    ffn: MLP
    norm: LayerNorm = LayerNorm(eps=1e-12)

    def build(self, width: int, into: int | None = None, layer: int = 0) -> PostNormBlock:
        """The module for rows of `width`. `into`: width of the other rows, None without them; `layer`: its place in a cache."""
        return PostNormBlock(self, width, into, layer)


class PostNormBlock(nn.Module):
    """Parameters: attn, norm1, cross, norm_cross, ffn, norm2."""

    def __init__(self, spec: PostNorm, width: int, into: int | None = None, layer: int = 0) -> None:
        super().__init__()
        self.attn, self.norm1 = SelfAttention(width, spec.heads, layer), spec.norm.build(width)
        self.reads = into is not None
        if into is not None:
            self.cross: CrossAttention = CrossAttention(width, spec.heads, into)
            self.norm_cross = spec.norm.build(width)
        self.ffn, self.norm2 = spec.ffn.build(width), spec.norm.build(width)

    def look(self, x: Tensor, added: Tensor | None = None, causal: bool = False, cache: Cache | None = None) -> Tensor:
        """The rows after attention to each other."""
        out: Tensor = self.norm1(x + self.attn(x, added, causal, cache))
        return out

    def read(self, x: Tensor, k_BHSh: Tensor, v_BHSh: Tensor, added: Tensor | None = None) -> Tensor:
        """The rows after attention to others, whose keys and values `cross.keys` makes."""
        out: Tensor = self.norm_cross(x + self.cross(x, k_BHSh, v_BHSh, added))
        return out

    def think(self, x: Tensor) -> Tensor:
        """The rows after the feed-forward layer."""
        out: Tensor = self.norm2(x + self.ffn(x))
        return out

    def close(self, x: Tensor, before: Tensor, reads: bool) -> Tensor:
        """The end of the block. `before`: the rows after `look`; `reads`: there was something else to read since."""
        return self.think(x)


class SelfAttention(nn.Module):
    """Rows (B, T, D) see each other, or with a cache all rows before them."""

    def __init__(self, width: int, heads: int, layer: int = 0, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.layer = heads, layer
        self.qkv, self.o = nn.Linear(width, 3 * width, bias=bias), nn.Linear(width, width, bias=bias)

    def forward(
        self, x: Tensor, added: Tensor | None = None, causal: bool = False, cache: Cache | None = None, rows: int | None = None
    ) -> Tensor:
        """`added`: to the scores, (B, 1 or H, T, S); `causal`: a row sees those up to its own place.

        `rows`: so many of the first look, at all; None: every one.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.put(self.layer, k, v)
        added = added if added is None else added[..., :rows, :]
        out: Tensor = self.o(attend(q[:, :, :rows], k, v, added, causal).transpose(1, 2).flatten(2))
        return out


class CrossAttention(nn.Module):
    """Rows (B, T, D) see other rows of width `into`."""

    def __init__(self, width: int, heads: int, into: int, bias: bool = True) -> None:
        super().__init__()
        self.heads, self.q = heads, nn.Linear(width, width, bias=bias)
        self.kv, self.o = nn.Linear(into, 2 * width, bias=bias), nn.Linear(width, width, bias=bias)

    def keys(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, h) of the other rows."""
        k, v = self.kv(x_BSD).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return k, v

    def forward(self, x: Tensor, k_BHSh: Tensor, v_BHSh: Tensor, added: Tensor | None = None) -> Tensor:
        """`added`: to the scores, (B, 1 or H, T, S)."""
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        out: Tensor = self.o(attend(q, k_BHSh, v_BHSh, added).transpose(1, 2).flatten(2))
        return out
