"""Decoders whose scores depend on the distance of query and key through a learned map (Transformer-XL, 1901.02860): Chinchilla.

score(q, k) = (q + u) . k + (q + v) . W r(distance), with r the sines and cosines of a distance. Gopher (2112.11446) and
Chinchilla (2203.15556) name this scheme, RMSNorm and GELU, and publish neither code nor weights; what they leave open (no
biases, u and v for every layer) is taken so that their counts of parameters come out.
Shape letters: P position axes, B batch, T tokens, S keys, M distances, D width, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.language import Context, LanguageModel
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.stack import StackLM


@dataclass(frozen=True, kw_only=True)
class RelativeDecoder(LanguageModel):
    """Pre-norm blocks without biases."""

    ffn: MLP
    norm: RMSNorm = RMSNorm()

    def build(self, memories: Mapping[str, int] | None = None) -> RelativeLM:
        """The module. `memories`: width of the rows of each memory that its inserts read."""
        return RelativeLM(self, memories or {})

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer, and what it makes of distances."""
        plain = allocate(self.depth, batch, self.heads, slots, self.width // self.heads, like=like)
        far = like.new_zeros(self.depth, self.heads, slots, self.width // self.heads)
        return FarCache(plain.k_LBGSh, plain.v_LBGSh, plain.pos_PBS, plain.block_BS, plain.seg_BS, far_LHMh=far)


@dataclass
class FarCache(Cache):
    """`known`: of how many distances each layer has made something. A token more brings one distance more."""

    far_LHMh: Tensor = field(kw_only=True)
    known: dict[int, int] = field(default_factory=dict)

    def far(self, layer: int, count: int, make: Callable[[int, int], Tensor]) -> Tensor:
        """(H, M, h) of so many distances of one layer; `make` adds those from one number up to another."""
        known = self.known.get(layer, 0)
        if known < count:
            self.far_LHMh[layer, :, known:count] = make(known, count)
            self.known[layer] = count
        return self.far_LHMh[layer, :, :count]


class _Attention(nn.Module):
    def __init__(self, spec: RelativeDecoder, layer: int) -> None:
        super().__init__()
        self.heads, self.layer = spec.heads, layer
        self.qkv = nn.Linear(spec.width, 3 * spec.width, bias=False)
        self.far = nn.Linear(spec.width, spec.width, bias=False)
        self.o = nn.Linear(spec.width, spec.width, bias=False)
        head = spec.width // spec.heads
        self.u, self.v = normal(spec.heads, 1, head, std=0.02), normal(spec.heads, 1, head, std=0.02)

    def forward(self, x_BTD: Tensor, at: Context) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self.qkv(x_BTD).chunk(3, -1))
        pos_BT = pos_BS = at.tables[0][..., 0]
        if at.cache is not None:
            k, v = at.cache.put(self.layer, k, v)
            pos_BS = at.cache.pos_PBS[0, :, : at.cache.length]
        added = self.distant(q + self.v, pos_BT, pos_BS, at.cache)
        added = added if at.full is None else added + at.full
        out: Tensor = self.o(attend(q + self.u, k, v, added).transpose(1, 2).flatten(2))
        return out

    def distant(self, q_BHTh: Tensor, pos_BT: Tensor, pos_BS: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, H, T, S): what a query makes of the distance of each key; later keys, hidden anyway, count as its place."""
        away_BTS = (pos_BT[:, :, None] - pos_BS[:, None, :]).clamp_min(0)
        count = int(away_BTS.max()) + 1

        def make(start: int, stop: int) -> Tensor:
            waves_MD = _waves(torch.arange(start, stop, device=q_BHTh.device), self.far.in_features)
            out: Tensor = self.far(waves_MD.to(q_BHTh.dtype)).unflatten(-1, (self.heads, -1)).transpose(0, 1)
            return out

        far_HMh = cache.far(self.layer, count, make) if isinstance(cache, FarCache) else make(0, count)
        every_BHTM: Tensor = q_BHTh @ far_HMh.transpose(1, 2) * q_BHTh.shape[-1] ** -0.5
        return every_BHTM.gather(-1, away_BTS[:, None].expand(-1, self.heads, -1, -1))


def _waves(distances_M: Tensor, width: int) -> Tensor:
    """(M, D) in fp32: sines, then cosines."""
    turns = distances_M[:, None] * 10_000.0 ** (-torch.arange(0, width, 2, device=distances_M.device) / width)
    return torch.cat([turns.sin(), turns.cos()], -1)


class _Block(nn.Module):
    def __init__(self, spec: RelativeDecoder, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec, layer), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(self.norm1(x), at)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class RelativeLM(StackLM):
    """Every block has a map of distances of its own."""

    spec: RelativeDecoder

    def __init__(self, spec: RelativeDecoder, memories: Mapping[str, int]) -> None:
        super().__init__(spec, (_Block(spec, layer) for layer in range(spec.depth)), spec.norm, memories)

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The positions themselves, (B, T, 1): layers compare them with those of the keys."""
        return (pos_PBT[0][..., None],)

    def relative(self, q_PBT: Tensor, k_PBS: Tensor) -> Tensor:
        """Nothing, (1, 1, 1, 1), but it is added: so the mask is always there for layers to add to."""
        return torch.zeros(1, 1, 1, 1, device=q_PBT.device)
