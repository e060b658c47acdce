"""Decoders whose scores fall with the distance of query and key (ALiBi, 2108.12409) and that know no other position: MPT.

Sources: transformers `modeling_mpt.py`; mosaicml/examples v0.0.4 `examples/llm/src/models` (MosaicGPT, the first MPT).
Shape letters: P position axes, B batch, T tokens, S keys, D width, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, log2

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.ffn import MLP
from anyvlm.parts.language import Context, LanguageModel
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.stack import StackLM


@dataclass(frozen=True, kw_only=True)
class AlibiDecoder(LanguageModel):
    """Pre-norm blocks without biases in attention. `slopes`: the steepest head falls by 2^(-slopes / heads) a token, the
    flattest by 2^-slopes. `qk_norm`: of queries and of keys, over their whole width, before they are cut into heads.
    """

    ffn: MLP
    norm: LayerNorm
    slopes: int = 8
    qk_norm: LayerNorm | None = None

    def build(self, memories: Mapping[str, int] | None = None) -> AlibiLM:
        """The module. `memories`: width of the rows of each memory that its inserts read."""
        return AlibiLM(self, memories or {})

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        return allocate(self.depth, batch, self.heads, slots, self.width // self.heads, like=like)

    def falls(self) -> list[float]:
        """How much the score of each head falls with every token of distance. Of a number of heads that is no power of two
        the next larger one is taken, every second of its slopes first."""
        power = 2 ** ceil(log2(self.heads))
        every = [2.0 ** (-self.slopes * (n + 1) / power) for n in range(power)]
        return every if power == self.heads else [*every[1::2], *every[::2]][: self.heads]


class _Attention(nn.Module):
    def __init__(self, spec: AlibiDecoder, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = spec.heads, layer
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.o = nn.Linear(spec.width, spec.width, bias=False)

    def project(self, x_BTD: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each (B, T, D)."""
        qkv: Tensor = self.qkv(x_BTD)
        return qkv.chunk(3, -1)

    def forward(self, x_BTD: Tensor, at: Context) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self.project(x_BTD))
        if at.cache is not None:
            k, v = at.cache.put(self.layer, k, v)
        out: Tensor = self.o(attend(q, k, v, at.full).transpose(1, 2).flatten(2))
        return out


class _NormedAttention(_Attention):
    def __init__(self, spec: AlibiDecoder, layer: int, norm: LayerNorm) -> None:
        super().__init__(spec, layer)
        self.q_norm, self.k_norm = norm.build(spec.width), norm.build(spec.width)

    def project(self, x_BTD: Tensor) -> tuple[Tensor, ...]:
        q, k, v = super().project(x_BTD)
        return self.q_norm(q), self.k_norm(k), v


class _Block(nn.Module):
    def __init__(self, spec: AlibiDecoder, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn = _Attention(spec, layer) if spec.qk_norm is None else _NormedAttention(spec, layer, spec.qk_norm)
        self.ffn = spec.ffn.build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), at)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class AlibiLM(StackLM):
    """Every block adds the same falls to its scores."""

    spec: AlibiDecoder

    def __init__(self, spec: AlibiDecoder, memories: Mapping[str, int]) -> None:
        super().__init__(spec, (_Block(spec, layer) for layer in range(spec.depth)), spec.norm, memories)

    def relative(self, q_PBT: Tensor, k_PBS: Tensor) -> Tensor:
        """(B, H, T, S): 0 at a token's own place, less before it."""
        falls = torch.tensor(self.spec.falls(), device=k_PBS.device)
        distance_BTS = q_PBT[0][:, :, None] - k_PBS[0][:, None, :]
        return -falls[:, None, None] * distance_BTS[:, None].float()
