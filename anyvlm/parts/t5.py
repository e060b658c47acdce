"""T5 (1910.10683): an encoder reads the prompt, a decoder that sees its rows writes the answer. Distances instead of positions.

Of a Seq the encoder reads the first block of every sample, which is the whole of a prefix-LM's prompt; what follows is the
answer's beginning. `begin` turns that into the decoder's Seq: a token to start with, then the answer.
Source: transformers `modeling_t5.py`.
Shape letters: B batch, T tokens, S keys or rows of the encoder, K tokens of the decoder, D width, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.distances import Distances
from anyvlm.parts.encdec import PROMPT, asked
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.language import LM, Context, LanguageModel, additive
from anyvlm.parts.memory import Recall, remembered
from anyvlm.parts.norm import RMSNorm
from anyvlm.seq import Seq, mask


@dataclass(frozen=True, kw_only=True)
class T5(LanguageModel):
    """An encoder-decoder; `depth` is the decoder's.

    `head`: width of one head; `buckets`, `far`: distances have so many embeddings, and from `far` on all are alike; `start`:
    the id the decoder begins with; `logit_scale`: factor on the final states (T5 1.0: width ** -0.5).
    """

    encoder_depth: int
    head: int
    ffn: GLU | MLP
    norm: RMSNorm = RMSNorm(eps=1e-6)
    buckets: int = 32
    far: int = 128
    start: int = 0
    logit_scale: float = 1.0

    def build(self, memories: Mapping[str, int] | None = None) -> T5LM:
        """The module; it has no inserts."""
        if self.inserts:
            raise SpecError("T5: it takes no inserts.")
        return T5LM(self)

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer of the decoder."""
        return allocate(self.depth, batch, self.heads, slots, self.head, like=like)


class _Attention(nn.Module):
    """Scores are not divided by anything: the initial weights of T5 are that much smaller."""

    def __init__(self, spec: T5, layer: int) -> None:
        super().__init__()
        self.heads, self.layer, inner = spec.heads, layer, spec.heads * spec.head
        self.qkv, self.o = nn.Linear(spec.width, 3 * inner, bias=False), nn.Linear(inner, spec.width, bias=False)

    def forward(self, x: Tensor, added: Tensor | None, cache: Cache | None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.put(self.layer, k, v)
        out: Tensor = self.o(attend(q, k, v, added, scale=1.0).transpose(1, 2).flatten(2))
        return out


class _Cross(nn.Module):
    def __init__(self, spec: T5, layer: int) -> None:
        super().__init__()
        self.heads, self.layer, inner = spec.heads, layer, spec.heads * spec.head
        self.q, self.kv = nn.Linear(spec.width, inner, bias=False), nn.Linear(spec.width, 2 * inner, bias=False)
        self.o = nn.Linear(inner, spec.width, bias=False)

    def forward(self, x: Tensor, at: Recall, cache: Cache | None) -> Tensor:
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = remembered(cache, self.layer, None if at.x_BSD is None else self.keys(at.x_BSD))
        out: Tensor = self.o(attend(q, k, v, at.added, scale=1.0).transpose(1, 2).flatten(2))
        return out

    def keys(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, h) of the encoder's rows: computed once per request."""
        k, v = self.kv(x_BSD).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return k, v


class _EncoderBlock(nn.Module):
    def __init__(self, spec: T5, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec, layer), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, added: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), added, None)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class _DecoderBlock(nn.Module):
    def __init__(self, spec: T5, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm_cross, self.norm2 = (spec.norm.build(spec.width) for _ in range(3))
        self.attn, self.cross, self.ffn = _Attention(spec, layer), _Cross(spec, layer), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), at.full, at.cache)
        x = x + self.cross(self.norm_cross(x), at.recalls[PROMPT], at.cache)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


def _distances(spec: T5, both_ways: bool) -> Distances:
    return Distances(spec.buckets, spec.heads, spec.far, both_ways=both_ways, std=spec.width**-0.5)


class _Encoder(nn.Module):
    def __init__(self, spec: T5) -> None:
        super().__init__()
        self.distances = _distances(spec, both_ways=True)
        self.blocks = nn.ModuleList(_EncoderBlock(spec, layer) for layer in range(spec.encoder_depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, seq: Seq) -> Tensor:
        """(B, S, D): the tokens of a sample all see each other."""
        distances = self.distances(seq.pos_PBT[0], seq.pos_PBT[0])
        added = additive(mask(seq, seq), seq.x_BTD.dtype, distances)
        x = seq.x_BTD
        for block in self.blocks:
            x = block(x, added)
        out: Tensor = self.norm(x)
        return out


class T5LM(LM):
    """Parameters: embed, encoder (distances, blocks, norm), distances, blocks, norm, head."""

    spec: T5

    def __init__(self, spec: T5) -> None:
        super().__init__(spec)
        self.encoder = _Encoder(spec)
        self.distances = _distances(spec, both_ways=False)
        self.blocks = nn.ModuleList(_DecoderBlock(spec, layer) for layer in range(spec.depth))
        self.norm = spec.norm.build(spec.width)
        self.head = nn.Linear(spec.width, spec.vocab, bias=False)
        if spec.tied:
            self.head.weight = self.embed.weight

    def begin(self, seq: Seq) -> Seq:
        """What the decoder begins with: `start`, and the rows that the encoder makes of the prompt."""
        return asked(seq, self.embed(torch.full_like(seq.seg_BT[:, :1], self.spec.start)), self.encoder)

    def relative(self, q_PBT: Tensor, k_PBS: Tensor) -> Tensor | None:
        """By distance, in the decoder."""
        out: Tensor = self.distances(q_PBT[0], k_PBS[0])
        return out

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks of the decoder."""
        x = x_BTD
        for block in self.blocks:
            x = block(x, at)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return super().logits(hidden if self.spec.logit_scale == 1.0 else hidden * self.spec.logit_scale)
