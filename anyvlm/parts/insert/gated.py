"""Gated cross-attention (Flamingo, 2204.14198): attention over a memory, then a feed-forward layer, both behind tanh gates.

At gate 0, where training begins, the language model computes as before. Sources: transformers `modeling_idefics.py`,
`modeling_mllama.py`; mlfoundations/open_flamingo `helpers.py`.
Shape letters: B batch, T tokens, S memory rows, D width, H heads, G key/value heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache
from anyvlm.parts.memory import Insert, Recall, remembered
from anyvlm.parts.moe import FFN
from anyvlm.parts.norm import Norm


@dataclass(frozen=True, kw_only=True)
class GatedCross(Insert):
    """x + tanh(gate1) attention(norm1(x), memory), then x + tanh(gate2) ffn(norm2(x)). No positions, no biases.

    `head`: width of one head; `head_norm`: of queries and keys, head by head. What a token gets that sees no row of the
    memory: with `ffn_always` the feed-forward half alone (Flamingo, IDEFICS), else nothing, the layer is skipped.
    """

    heads: int
    kv_heads: int
    head: int
    ffn: FFN
    norm: Norm
    head_norm: Norm | None = None
    ffn_always: bool = True

    def build(self, width: int, into: int) -> nn.Module:
        """One module, between rows of `width` and a memory of width `into`."""
        return GatedCrossModule(self, width, into)


class GatedCrossModule(nn.Module):
    """Parameters: norm1, attn.q, attn.kv, attn.o, gate1, norm2, ffn, gate2."""

    def __init__(self, spec: GatedCross, width: int, into: int) -> None:
        super().__init__()
        self.spec = spec
        self.norm1, self.norm2 = spec.norm.build(width), spec.norm.build(width)
        self.attn, self.ffn = _Attention(spec, width, into), spec.ffn.build(width)
        self.gate1, self.gate2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x_BTD: Tensor, at: Recall | None, cache: Cache | None, n: int) -> Tensor:
        """`n`: its number among the inserts, under which the cache remembers keys and values."""
        x = x_BTD
        if at is not None:
            x = x + self.gate1.tanh() * self.attn(self.norm1(x), at, cache, n) * at.some_BT1
        elif not self.spec.ffn_always:
            return x
        y = self.gate2.tanh() * self.ffn(self.norm2(x))
        out: Tensor = x + (y if self.spec.ffn_always or at is None else y * at.some_BT1)
        return out


class _Attention(nn.Module):
    def __init__(self, spec: GatedCross, width: int, into: int) -> None:
        super().__init__()
        self.spec = spec
        self.q = nn.Linear(width, spec.heads * spec.head, bias=False)
        self.kv = nn.Linear(into, 2 * spec.kv_heads * spec.head, bias=False)
        self.o = nn.Linear(spec.heads * spec.head, width, bias=False)
        if spec.head_norm is not None:
            self.q_norm, self.k_norm = spec.head_norm.build(spec.head), spec.head_norm.build(spec.head)

    def forward(self, x_BTD: Tensor, at: Recall, cache: Cache | None, n: int) -> Tensor:
        q = self.q(x_BTD).unflatten(-1, (self.spec.heads, -1))
        q = (q if self.spec.head_norm is None else self.q_norm(q)).transpose(1, 2)
        k, v = remembered(cache, n, None if at.x_BSD is None else self.keys(at.x_BSD))
        out: Tensor = self.o(attend(q, k, v, at.added).transpose(1, 2).flatten(2))
        return out

    def keys(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, G, S, h) of a memory: computed once per request."""
        k, v = self.kv(x_BSD).unflatten(-1, (2 * self.spec.kv_heads, -1)).chunk(2, 2)
        k = k if self.spec.head_norm is None else self.k_norm(k)
        return k.transpose(1, 2), v.transpose(1, 2)
