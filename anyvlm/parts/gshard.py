"""The top-2 mixture of GShard (2006.16668) as DeepSpeed computes it; MoE-LLaVA's.

Source: microsoft/DeepSpeed 38327e0 `deepspeed/moe/sharded_moe.py` (`top2gating`, `_capacity`).
Shape letters: N rows, D width, E experts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.moe import MoE, MoEModule, Routing, watch


@dataclass(frozen=True, kw_only=True)
class GShard(MoE):
    """Two experts for every row, weighted by their shares of a softmax over all, in fp32; an expert may be full.

    `capacity`: in training an expert takes capacity * 2 * rows / experts rows of a pass, those that prefer it first, then those
    that take it second, each in the order of the batch; whom it turns away keeps the other expert, or none.
    `eval_capacity`: the same in evaluation; from experts / 2 on nobody is turned away. `draw`: when the second expert is drawn
    by its softmax among the others (Gumbel noise) and is not simply the next best. The authors' code draws always; here
    evaluation is deterministic unless "always" says so.
    """

    top: int = 2
    capacity: float = 1.0
    eval_capacity: float = 1.0
    draw: Literal["never", "training", "always"] = "training"

    def __post_init__(self) -> None:
        if self.top != 2 or self.experts < 2:
            raise SpecError(f"GShard sends every row to 2 experts, not {self.top} of {self.experts}; use MoE.")

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return GShardModule(self, width)


class GShardModule(MoEModule):
    """Parameters as those of `MoEModule`."""

    spec: GShard

    def choose(self, rows_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of two experts of every row, both (N, 2); who is turned away has the weight 0."""
        spec = self.spec
        logits_NE = F.linear(rows_ND.float(), self.router.weight.float())
        share_NE = logits_NE.softmax(-1)
        first_N = share_NE.argmax(-1)
        draws = spec.draw == "always" or (spec.draw == "training" and self.training)
        rest_NE = logits_NE - torch.empty_like(logits_NE).exponential_().log() if draws else logits_NE
        second_N = rest_NE.scatter(1, first_N[:, None], -torch.inf).argmax(-1)
        expert_N2 = torch.stack([first_N, second_N], 1)
        watch(Routing(logits_NE, expert_N2))
        weight_N2 = share_NE.gather(1, expert_N2) * self._room(expert_N2)
        weight_N2 = weight_N2 / weight_N2.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float32).eps)
        return weight_N2.to(rows_ND.dtype), expert_N2

    def _room(self, expert_N2: Tensor) -> Tensor:
        """(N, 2), 1 where the expert has a place left and 0 where it is full."""
        spec, rows = self.spec, len(expert_N2)
        factor = spec.capacity if self.training else spec.eval_capacity
        places = ceil(rows / spec.experts * (factor * 2))
        if places >= rows:  # no expert is chosen twice by a row
            return torch.ones_like(expert_N2)
        taken_PE = F.one_hot(expert_N2.T.flatten(), spec.experts).cumsum(0)  # first choices, then second
        before_P = taken_PE.gather(1, expert_N2.T.flatten()[:, None])[:, 0] - 1
        return (before_P < places).view(2, rows).T
