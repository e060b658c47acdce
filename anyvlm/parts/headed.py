"""Pools that end in layers which their towers were pretrained with: BERT's pooler, the projector of MoCo v3.

Sources: transformers `modeling_bert.py`; facebookresearch/moco-v3 `moco/builder.py`.
Shape letters: B items, R rows of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.pool import Pool
from anyvlm.parts.vision.resnet import EPS, MOMENTUM, BatchNorm


@dataclass(frozen=True, kw_only=True)
class Tanh(Pool):
    """The first row through a linear layer and tanh (BERT)."""

    def build(self, width: int) -> nn.Module:
        """The module."""
        return TanhModule(width)


class TanhModule(nn.Module):
    """Parameters: map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        return torch.tanh(self.map(x_BRD[:, 0]))


@dataclass(frozen=True, kw_only=True)
class Projector(Pool):
    """The first row through three layers, `hidden` wide inside, each normed over the batch, the last without gains (MoCo)."""

    hidden: int = 4096
    last: int = 256

    def out(self, width: int) -> int:
        """Width of what it returns."""
        return self.last

    def build(self, width: int) -> nn.Module:
        """The module."""
        return ProjectorModule(self, width)


class ProjectorModule(nn.Module):
    """Parameters: layers.{0,1,2}, norms.{0,1}, norms.2.{mean,var}."""

    def __init__(self, spec: Projector, width: int) -> None:
        super().__init__()
        widths = (width, spec.hidden, spec.hidden, spec.last)
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in zip(widths[:-1], widths[1:], strict=True))
        self.norms = nn.ModuleList([BatchNorm(spec.hidden), BatchNorm(spec.hidden), PlainBatchNorm(spec.last)])

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, last)."""
        x = x_BRD[:, 0]
        for n, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(x.relu() if n else x))
        return x


class PlainBatchNorm(nn.Module):
    """Without gains. Parameters: mean, var, which nothing learns."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean, self.var = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.ones(width))

    def forward(self, x_BD: Tensor) -> Tensor:
        """Vectors."""
        follow = self.training and self.mean.requires_grad
        return F.batch_norm(x_BD, self.mean.detach(), self.var.detach(), None, None, follow, MOMENTUM, EPS)
