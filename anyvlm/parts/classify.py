"""The lesson of classes: a pool, a norm, a linear layer; cross-entropy (AIM's probe, VideoMAE's classifiers).

Shape letters: N rows of all items, B items, R rows of each, D width, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder, Features
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Classify(Lesson):
    """`classes` of what the encoder's rows show. `bias`: of the last layer."""

    classes: int
    pool: Pool
    norm: LayerNorm | None = None
    bias: bool = True

    def build(self, encoder: Encoder) -> ClassifyModule:
        """The module."""
        return ClassifyModule(self, encoder)


class ClassifyModule(LessonModule):
    """Parameters: pool, norm, head."""

    def __init__(self, spec: Classify, encoder: Encoder) -> None:
        super().__init__()
        width = spec.pool.out(encoder.out)
        self.pool = spec.pool.build(encoder.out)
        self.norm = spec.norm.build(width) if spec.norm else None
        self.head = nn.Linear(width, spec.classes, bias=spec.bias)

    def forward(self, rows: Features) -> Tensor:
        """Logits (B, K) of items."""
        x_BD = torch.cat([self.pool(x_BRD) for _, x_BRD in rows.groups()])
        out: Tensor = self.head(x_BD if self.norm is None else self.norm(x_BD))
        return out

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"classes": cross-entropy. Raises SpecError without labels."""
        if views.labels_B is None:
            raise SpecError("A lesson of classes needs `labels_B`, the class of every item.")
        return {"classes": F.cross_entropy(self(encoder(views.x_NC, views.grids)), views.labels_B)}
