"""The key/value cache: allocated once, written in place.

Shape letters: L layers, B batch, G key/value heads, S slots, h head width, P position axes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from anyvlm.seq import Seq


@dataclass
class Cache:
    """Keys and values of every layer, and the vectors the attention rule compares. `length` slots are filled.

    `memory`: keys and values that each insert made of the rows it reads, by its number.
    """

    k_LBGSh: Tensor
    v_LBGSh: Tensor
    pos_PBS: Tensor
    block_BS: Tensor
    seg_BS: Tensor
    length: int = 0
    memory: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def slots(self) -> int:
        """How many tokens fit."""
        return self.k_LBGSh.shape[3]

    def extend(self, seq: Seq) -> Seq:
        """Note the tokens of `seq` in the next slots; returns all tokens seen so far (without embeddings)."""
        start, end = self.length, self.length + seq.seg_BT.shape[1]
        if end > self.slots:
            raise ValueError(f"{end} tokens in a cache of {self.slots} slots")
        self.pos_PBS[:, :, start:end] = seq.pos_PBT
        self.block_BS[:, start:end] = seq.block_BT
        self.seg_BS[:, start:end] = seq.seg_BT
        self.length = end
        return replace(
            seq,
            kind_BT=seq.kind_BT[:, :0],
            pos_PBT=self.pos_PBS[:, :, :end],
            block_BT=self.block_BS[:, :end],
            seg_BT=self.seg_BS[:, :end],
        )

    def put(self, layer: int, k_BGTh: Tensor, v_BGTh: Tensor) -> tuple[Tensor, Tensor]:
        """Store the newest tokens of one layer (after `extend`); returns its keys and values of all filled slots."""
        start = self.length - k_BGTh.shape[2]
        self.k_LBGSh[layer, :, :, start : self.length] = k_BGTh
        self.v_LBGSh[layer, :, :, start : self.length] = v_BGTh
        return self.k_LBGSh[layer, :, :, : self.length], self.v_LBGSh[layer, :, :, : self.length]


def allocate(depth: int, batch: int, kv_heads: int, slots: int, head: int, *, like: Tensor, axes: int = 1) -> Cache:
    """An empty cache with the dtype and device of `like`."""
    k, v = (torch.zeros(depth, batch, kv_heads, slots, head, dtype=like.dtype, device=like.device) for _ in range(2))
    block, seg = (torch.full((batch, slots), -1, dtype=torch.long, device=like.device) for _ in range(2))
    return Cache(k, v, torch.zeros(axes, batch, slots, dtype=torch.long, device=like.device), block, seg)
