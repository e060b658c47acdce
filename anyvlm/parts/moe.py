"""Mixture of experts: a router sends every row to a few of many feed-forward layers.

Sources: Mixtral (2401.04088), Aria (2410.05993); transformers `modeling_aria.py`. What a router did can be watched:
``with routings() as seen: model(batch)`` gives a `Routing` of every layer, which balance losses read.
Shape letters: N rows, D width, E experts, K experts of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.experts import build_experts
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.init import normal
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class MoE(Spec):
    """Every row goes through the `top` of `experts` that its router prefers, weighted by a softmax over those alone.

    `expert`: one of them; `shared`: a layer that every row goes through beside them.
    """

    expert: GLU | MLP
    experts: int
    top: int
    shared: GLU | MLP | None = None

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return MoEModule(self, width)


FFN = GLU | MLP | MoE
"""Any feed-forward layer of a block."""


@dataclass(frozen=True)
class Routing:
    """What one router did in one pass: its logits (N, E) and the experts of every row (N, K), the preferred first."""

    logits_NE: Tensor
    expert_NK: Tensor


_watching: ContextVar[list[Routing] | None] = ContextVar("routings", default=None)


@contextmanager
def routings() -> Iterator[list[Routing]]:
    """What all routers do inside, in the order in which they are called; nothing stays on the modules."""
    seen: list[Routing] = []
    token = _watching.set(seen)
    try:
        yield seen
    finally:
        _watching.reset(token)


class Router(nn.Module):
    """Rows (N, D) -> logits (N, E). No nn.Linear, so that it is neither packed for the CPU nor given low-rank updates."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.weight = normal(experts, width, std=width**-0.5)

    def forward(self, rows_ND: Tensor) -> Tensor:
        """Logits in the dtype of the rows."""
        return F.linear(rows_ND, self.weight)


class MoEModule(nn.Module):
    """Parameters: router.weight (E, D), `experts`, `shared`."""

    def __init__(self, spec: MoE, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.router = Router(width, spec.experts)
        self.experts = build_experts(spec.expert, width, spec.experts)
        self.shared = spec.shared.build(width) if spec.shared else None

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D). The cost is that of `top` experts: rows are gathered, none is computed and thrown away."""
        rows_ND = x.flatten(0, -2)
        weight_NK, expert_NK = self.choose(rows_ND)
        top = expert_NK.shape[1]
        order = expert_NK.flatten().argsort(stable=True)  # the places (row, choice) of each expert side by side
        row = order // top
        y = self.experts(rows_ND[row], expert_NK.flatten().bincount(minlength=self.spec.experts))
        y = y * weight_NK.flatten()[order, None]
        out = torch.zeros_like(rows_ND).index_add_(0, row, y).view_as(x)
        return out if self.shared is None else out + self.shared(x)

    def choose(self, rows_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and numbers of the experts of every row, both (N, K)."""
        logits_NE = self.router(rows_ND)
        chosen_NK, expert_NK = logits_NE.topk(self.spec.top, -1)
        watch(Routing(logits_NE, expert_NK))
        return chosen_NK.softmax(-1, torch.float32).to(rows_ND.dtype), expert_NK


def watch(routing: Routing) -> None:
    """Show a router's work to whoever looks."""
    seen = _watching.get()
    if seen is not None:
        seen.append(routing)
