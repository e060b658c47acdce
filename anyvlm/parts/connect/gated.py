"""A linear layer, norm and activation, then a gated feed-forward layer: the connector of CogVLM and GLM-4V.

Source: THUDM/CogVLM f7283b2 utils/models/cogvlm_model.py (`GLU`).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.features import Connector, Features
from anyvlm.parts.ffn import GLU
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class GatedProjector(Connector):
    """ffn(act(norm(linear(x)))), the first layer into the language model's width, without bias."""

    ffn: GLU
    norm: LayerNorm = LayerNorm(eps=1e-5)
    act: Act = "gelu"

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return GatedProjectorModule(self, into, out)


class GatedProjectorModule(nn.Module):
    """Rows (N, into) -> (N, out)."""

    def __init__(self, spec: GatedProjector, into: int, out: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(into, out, bias=False), spec.norm.build(out)
        self.act, self.ffn = ACTS[spec.act], spec.ffn.build(out)

    def forward(self, features: Features) -> Features:
        """Every row alone."""
        x: Tensor = self.ffn(self.act(self.norm(self.linear(features.x_ND))))
        return Features(x, features.grids)
