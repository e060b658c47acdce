"""What is added to scores for the distance from query to key, shared by all layers of a stack (T5, MPNet).

Sources: transformers `modeling_t5.py`, `modeling_mpnet.py`.
Shape letters: B batch, T queries, S keys, H heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anyvlm.parts.init import normal


class Distances(nn.Module):
    """Parameters: weight. `buckets`: so many embeddings; `far`: from there on all are alike; `both_ways`: keys may be ahead."""

    def __init__(self, buckets: int, heads: int, far: int, *, both_ways: bool, std: float) -> None:
        super().__init__()
        self.buckets, self.far, self.both_ways = buckets, far, both_ways
        self.weight = normal(buckets, heads, std=std)

    def forward(self, q_BT: Tensor, k_BS: Tensor) -> Tensor:
        """(B, H, T, S)."""
        ahead_BTS = k_BS[:, None, :] - q_BT[:, :, None]
        return self.weight[self._bucket(ahead_BTS)].permute(0, 3, 1, 2)

    def _bucket(self, ahead: Tensor) -> Tensor:
        """Half of the buckets hold one distance each, the others longer and longer stretches up to `far`."""
        count = self.buckets // (2 if self.both_ways else 1)
        first = (ahead > 0) * count if self.both_ways else torch.zeros_like(ahead)
        distance = ahead.abs() if self.both_ways else (-ahead).clamp_min(0)
        single = count // 2
        share = (distance.clamp_min(1).float() / single).log() / math.log(self.far / single)
        wide = (single + (share * (count - single)).long()).clamp_max(count - 1)
        return first + torch.where(distance < single, distance, wide)
