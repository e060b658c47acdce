"""Feed-forward layers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class MLP(Spec):
    """up, activation, down: the feed-forward layer of ViTs."""

    hidden: int
    act: Act = "gelu"
    bias: bool = True

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return _MLP(self, width)


class _MLP(nn.Module):
    def __init__(self, spec: MLP, width: int) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.up = nn.Linear(width, spec.hidden, bias=spec.bias)
        self.down = nn.Linear(spec.hidden, width, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(self.act(self.up(x)))
        return out


@dataclass(frozen=True, kw_only=True)
class GLU(Spec):
    """down(act(gate(x)) * up(x)): the feed-forward layer of the Llama family. Gate and up are one matrix."""

    hidden: int
    act: Act = "silu"
    bias: bool = False

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return _GLU(self, width)


class _GLU(nn.Module):
    def __init__(self, spec: GLU, width: int) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.gate_up = nn.Linear(width, 2 * spec.hidden, bias=spec.bias)
        self.down = nn.Linear(spec.hidden, width, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        out: Tensor = self.down(self.act(gate) * up)
        return out
