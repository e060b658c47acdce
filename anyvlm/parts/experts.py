"""Many feed-forward layers of one shape, their weights stacked: rows that lie expert by expert go through their own.

Shape letters: M rows, sorted by expert, D width, E experts, h hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.act import ACTS
from anyvlm.parts.ffn import GLU, MLP, gated
from anyvlm.parts.init import normal


class GLUExperts(nn.Module):
    """Parameters: gate_up (E, D, 2 h), down (E, h, D)."""

    def __init__(self, spec: GLU, width: int, experts: int) -> None:
        super().__init__()
        if spec.bias:
            raise SpecError("Experts of gated layers have no biases; use MLP or a GLU without.")
        self.spec = spec
        self.gate_up = normal(experts, width, 2 * spec.hidden, std=width**-0.5)
        self.down = normal(experts, spec.hidden, width, std=spec.hidden**-0.5)

    def forward(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """Rows sorted by expert -> rows of the same order; counts_E: how many each expert has."""
        act = ACTS[self.spec.act]
        if together(x_MD, self.gate_up):
            ends_E = counts_E.cumsum(0).int()
            mid_Mh = gated(act, F.grouped_mm(x_MD, self.gate_up, offs=ends_E))
            return F.grouped_mm(mid_Mh, self.down, offs=ends_E)
        return one_by_one(x_MD, counts_E, lambda x, e: gated(act, x @ self.gate_up[e]) @ self.down[e])


class MLPExperts(nn.Module):
    """Parameters: up (E, D, h), down (E, h, D) and, with biases, up_bias (E, h), down_bias (E, D)."""

    def __init__(self, spec: MLP, width: int, experts: int) -> None:
        super().__init__()
        self.spec = spec
        self.up = normal(experts, width, spec.hidden, std=width**-0.5)
        self.down = normal(experts, spec.hidden, width, std=spec.hidden**-0.5)
        if spec.bias:
            self.up_bias = nn.Parameter(torch.zeros(experts, spec.hidden))
            self.down_bias = nn.Parameter(torch.zeros(experts, width))

    def forward(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """Rows sorted by expert -> rows of the same order; counts_E: how many each expert has."""
        act = ACTS[self.spec.act]
        if self.spec.bias:
            return one_by_one(x_MD, counts_E, lambda x, e: torch.addmm(
                self.down_bias[e], act(torch.addmm(self.up_bias[e], x, self.up[e])), self.down[e]
            ))  # fmt: skip
        return one_by_one(x_MD, counts_E, lambda x, e: act(x @ self.up[e]) @ self.down[e])


def build_experts(spec: GLU | MLP, width: int, experts: int) -> nn.Module:
    """The module for so many layers that `spec` describes."""
    return GLUExperts(spec, width, experts) if isinstance(spec, GLU) else MLPExperts(spec, width, experts)


def together(x_MD: Tensor, weight: Tensor) -> bool:
    """Whether one kernel computes all experts: bf16 on a GPU, rows of whole 16 bytes. On a CPU products one after another
    are as fast.
    """
    aligned = not (weight.shape[1] % 8 or weight.shape[2] % 8)
    return x_MD.is_cuda and weight.dtype == x_MD.dtype == torch.bfloat16 and aligned


def one_by_one(x_MD: Tensor, counts_E: Tensor, expert: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Every expert on its own rows; those without rows cost nothing."""
    counts: Sequence[int] = counts_E.tolist()
    outs = [expert(x, e) for e, x in enumerate(x_MD.split(counts)) if len(x)]
    return torch.cat(outs) if outs else x_MD
