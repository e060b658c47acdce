"""The one runtime record that every fusion style shares, and the one attention rule.

Shape letters: B batch, T tokens, D width, P position axes (1, or 3 for time, height, width), S memory rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

import torch
from torch import Tensor


class Kind(IntEnum):
    """What a token stands for."""

    TEXT = 0
    IMAGE = 1
    VIDEO = 2
    AUDIO = 3
    REGION = 4


@dataclass(frozen=True)
class Memory:
    """Rows that inserts may read, and which of them each token sees."""

    x_BSD: Tensor
    seen_BTS: Tensor  # bool


@dataclass(frozen=True)
class Seq:
    """A batch of token sequences on their way through a language model (DESIGN section 4).

    x_BTD: embeddings; kind_BT: Kind per token; pos_PBT: positions for rotary or learned embeddings;
    block_BT: a token sees every block <= its own; seg_BT: sample id for packing, -1 is padding.
    """

    x_BTD: Tensor
    kind_BT: Tensor
    pos_PBT: Tensor
    block_BT: Tensor
    seg_BT: Tensor
    memory: Mapping[str, Memory] = field(default_factory=dict)

    def with_x(self, x_BTD: Tensor) -> Seq:
        """The same sequence with other embeddings."""
        return replace(self, x_BTD=x_BTD)


def causal(x_BTD: Tensor, seg_BT: Tensor | None = None) -> Seq:
    """A plain text Seq: every token its own block, positions counted over the tokens that are not padding."""
    B, T = x_BTD.shape[:2]
    seg_BT = torch.zeros(B, T, dtype=torch.long, device=x_BTD.device) if seg_BT is None else seg_BT
    pos_BT = ((seg_BT >= 0).cumsum(1) - 1).clamp_min(0)
    return Seq(x_BTD, torch.zeros_like(seg_BT), pos_BT[None], torch.arange(T, device=x_BTD.device).expand(B, T), seg_BT)


def blocks(kind_BT: Tensor, *, bidirectional: frozenset[Kind] = frozenset(), prefix_BT: Tensor | None = None) -> Tensor:
    """Attention blocks (B, T) for the policies of the catalogue, all said with one integer per token.

    Causal: every token starts a block. Bidirectional spans: runs of a kind in `bidirectional` share one block.
    Prefix-LM: the tokens marked in `prefix_BT` (bool) at the start of each row share one block.
    """
    starts = torch.ones_like(kind_BT, dtype=torch.long)
    for kind in bidirectional:
        starts[:, 1:][(kind_BT[:, 1:] == kind) & (kind_BT[:, :-1] == kind)] = 0
    if prefix_BT is not None:
        starts[:, 1:][prefix_BT[:, 1:] & prefix_BT[:, :-1]] = 0
    return starts.cumsum(1) - 1


def mask(q: Seq, k: Seq, window: int | None = None) -> Tensor:
    """(B, T, S) bool, True where a query may look at a key: same sample, key block not later than its own.

    `window` limits the look back to that many positions (Mistral's sliding window). Rows of padding see everything,
    so that no softmax is taken over nothing; nobody reads them.
    """
    same = (q.seg_BT[:, :, None] == k.seg_BT[:, None, :]) & (k.seg_BT >= 0)[:, None, :]
    seen = same & (k.block_BT[:, None, :] <= q.block_BT[:, :, None])
    if window is not None:
        seen &= q.pos_PBT[0][:, :, None] - k.pos_PBT[0][:, None, :] < window
    return seen | (q.seg_BT < 0)[:, :, None]
