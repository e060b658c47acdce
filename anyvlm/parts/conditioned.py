"""A text looks at the rows of a picture, and what it sees is the picture's vector for that text.

Source: FLAIR (2412.03561) `src/flair/transformer.py`, `PureAttentionPoolingBlock`.
Shape letters: A pictures, K texts, R rows of a picture, E width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class ConditionedPool(Spec):
    """Attention whose query is a text; queries, keys and values are normed, and one key and value are zero: seeing nothing."""

    heads: int = 8
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, width: int) -> ConditionedPoolModule:
        """The module for vectors of `width`."""
        return ConditionedPoolModule(self, width)


class ConditionedPoolModule(nn.Module):
    """Parameters: norm_q, norm_k, norm_v, q, k, v, o."""

    def __init__(self, spec: ConditionedPool, width: int) -> None:
        super().__init__()
        self.heads = spec.heads
        self.norm_q, self.norm_k, self.norm_v = (spec.norm.build(width) for _ in range(3))
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))

    def forward(self, text_AKE: Tensor, rows_ARE: Tensor) -> Tensor:
        """(A, K, E): each picture as each of its texts sees it."""
        q = self._split(self.q(self.norm_q(text_AKE)))
        k, v = self._split(self.k(self.norm_k(rows_ARE))), self._split(self.v(self.norm_v(rows_ARE)))
        k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
        out: Tensor = self.o(attend(q, k, v).transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return out
