"""Mixture of experts: a router sends every row to a few of many feed-forward layers.

Sources: Mixtral (2401.04088), Aria (2410.05993); transformers `modeling_aria.py`.
Shape letters: N rows, D width, E experts, K experts of a row, h hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.ffn import GLU, gated
from anyvlm.parts.init import normal
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class MoE(Spec):
    """Every row goes through the `top` of `experts` that its router prefers, weighted by a softmax over those alone.

    `hidden`: of one expert, a gated layer as `GLU`; `shared`: a gated layer of that hidden width that every row goes through
    beside them (0: none).
    """

    hidden: int
    experts: int
    top: int
    shared: int = 0
    act: Act = "silu"

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return MoEModule(self, width)


class MoEModule(nn.Module):
    """Parameters: router (E, D), gate_up (E, D, 2 h), down (E, h, D), shared."""

    def __init__(self, spec: MoE, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.router = nn.Linear(width, spec.experts, bias=False)
        self.gate_up = normal(spec.experts, width, 2 * spec.hidden, std=width**-0.5)
        self.down = normal(spec.experts, spec.hidden, width, std=spec.hidden**-0.5)
        if spec.shared:
            self.shared = GLU(hidden=spec.shared, act=spec.act).build(width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D). The cost is that of `top` experts: rows are gathered, none is computed and thrown away."""
        rows_ND = x.flatten(0, -2)
        weight_NK, expert_NK = self.choose(rows_ND)
        act, out = ACTS[self.spec.act], torch.zeros_like(rows_ND)
        order = expert_NK.flatten().argsort(stable=True)  # the places (row, choice) of each expert side by side
        counts = expert_NK.flatten().bincount(minlength=self.spec.experts).tolist()
        for expert, places in enumerate(order.split(counts)):
            if len(places):
                row = places // self.spec.top
                y = gated(act, rows_ND[row] @ self.gate_up[expert]) @ self.down[expert]
                out.index_add_(0, row, y * weight_NK.flatten()[places, None])
        out = out.view_as(x)
        return out + self.shared(x) if self.spec.shared else out

    def choose(self, rows_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of the experts of every row, both (N, K)."""
        logits_NK, expert_NK = self.router(rows_ND).topk(self.spec.top, -1)
        return logits_NK.softmax(-1), expert_NK
