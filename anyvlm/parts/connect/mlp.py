"""Linear layers with activations between: the connector of LLaVA and its relatives.

Source: haotian-liu/LLaVA `multimodal_projector/builder.py` (linear, mlp2x_gelu); 01-ai/Yi (mlp2x_gelu_Norm).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.features import Connector, Features
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Projector(Connector):
    """`depth` linear layers into the language model's width; depth 1 is a plain linear map. `norm` follows every one."""

    depth: int = 2
    act: Act = "gelu"
    bias: bool = True
    norm: LayerNorm | None = None

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return ProjectorModule(self, into, out)


class ProjectorModule(nn.Module):
    """Rows (N, into) -> (N, out)."""

    def __init__(self, spec: Projector, into: int, out: int) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.layers = nn.ModuleList(nn.Linear(out if n else into, out, bias=spec.bias) for n in range(spec.depth))
        self.norms = nn.ModuleList(spec.norm.build(out) if spec.norm else nn.Identity() for _ in range(spec.depth))

    def forward(self, features: Features) -> Features:
        """Every row alone."""
        x = features.x_ND
        for n, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(self.act(x) if n else x))
        return Features(x, features.grids)
