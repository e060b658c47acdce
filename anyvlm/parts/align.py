"""Heads that bring two frozen towers together: SAIL's gated map, LLM2CLIP's residual adapter; the pool in front of the first.

Sources: SAIL (2412.04616) `model/linear.py`, `model/sail_model.py`; LLM2CLIP (2411.04997) `llm2clip/eva_clip/model.py`.
Shape letters: B items, R rows of each, D width, E width of the shared space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Linear, Pool


@dataclass(frozen=True, kw_only=True)
class FirstAndMean(Pool):
    """The first row (a class token) and, beside it, the mean of all others: twice as wide."""

    def out(self, width: int) -> int:
        """Width of what it returns."""
        return 2 * width

    def build(self, width: int) -> nn.Module:
        """The module; it has no parameters."""
        return FirstAndMeanModule()


class FirstAndMeanModule(nn.Module):
    """No row is padding."""

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, 2 D)."""
        return torch.cat([x_BRD[:, 0], x_BRD[:, 1:].mean(1)], 1)


@dataclass(frozen=True, kw_only=True)
class Star(Linear):
    """A norm, two maps to `factor` times the width, clamped to `limit`; ReLU6 of one times the other, mapped (SAIL)."""

    factor: int = 8
    limit: float = 1000.0
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return StarModule(self, width, shared)


class StarModule(nn.Module):
    """Parameters: norm, gate, up, down."""

    def __init__(self, spec: Star, width: int, shared: int) -> None:
        super().__init__()
        self.limit, self.norm = spec.limit, spec.norm.build(width)
        self.gate, self.up = (_Begun(width, spec.factor * width) for _ in range(2))
        self.down = _Begun(spec.factor * width, shared)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, D) -> (B, E)."""
        x = self.norm(x)
        gate, up = (map_(x).clamp(-self.limit, self.limit) for map_ in (self.gate, self.up))
        out: Tensor = self.down(F.relu6(gate) * up)
        return out


class _Begun(nn.Linear):
    """Begins as the authors' does: Xavier's weights, no bias."""

    def reset_parameters(self) -> None:
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


@dataclass(frozen=True, kw_only=True)
class Adapter(Linear):
    """`depth` residual blocks of a norm and two layers, the inner twice as wide; then a norm and a map (LLM2CLIP).

    `unit`: vectors are first made of length 1, as they are where they were computed before training.
    """

    bias: bool = True
    depth: int = 4
    norm: LayerNorm = LayerNorm(eps=1e-5)
    unit: bool = True

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return AdapterModule(self, width, shared)


class AdapterModule(nn.Module):
    """Parameters: blocks.<n>.{norm,up,down}, norm, map."""

    def __init__(self, spec: Adapter, width: int, shared: int) -> None:
        super().__init__()
        self.unit = spec.unit
        self.blocks = nn.ModuleList(AdapterBlock(spec, width) for _ in range(spec.depth))
        self.norm, self.map = spec.norm.build(width), nn.Linear(width, shared, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, D) -> (B, E)."""
        x = F.normalize(x, dim=-1) if self.unit else x
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.map(self.norm(x))
        return out


class AdapterBlock(nn.Module):
    """Parameters: norm, up, down."""

    def __init__(self, spec: Adapter, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = spec.norm.build(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of `width`."""
        out: Tensor = x + self.down(F.gelu(self.up(self.norm(x))))
        return out
