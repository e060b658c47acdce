"""Feed-forward layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class MLP(Spec):
    """up, activation, down: the feed-forward layer of ViTs."""

    hidden: int
    act: Act = "gelu"
    bias: bool = True

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return MLPModule(self, width)


class MLPModule(nn.Module):
    """`mid` stands between the two layers; it does nothing where `up` is packed together with the activation."""

    def __init__(self, spec: MLP, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.mid: Callable[[Tensor], Tensor] = ACTS[spec.act]
        self.up: nn.Module = nn.Linear(width, spec.hidden, bias=spec.bias)
        self.down: nn.Module = nn.Linear(spec.hidden, width, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of `width` to rows of `width`."""
        out: Tensor = self.down(self.mid(self.up(x)))
        return out


@dataclass(frozen=True, kw_only=True)
class GLU(Spec):
    """down(act(gate(x)) * up(x)): the feed-forward layer of the Llama family. Gate and up are one matrix."""

    hidden: int
    act: Act = "silu"
    bias: bool = False

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return GLUModule(self, width)


class GLUModule(nn.Module):
    """`mid` stands between the two layers; it does nothing where `gate_up` is packed together with the product."""

    def __init__(self, spec: GLU, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.mid: Callable[[Tensor], Tensor] = partial(gated, ACTS[spec.act])
        self.gate_up: nn.Module = nn.Linear(width, 2 * spec.hidden, bias=spec.bias)
        self.down = nn.Linear(spec.hidden, width, bias=spec.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of `width` to rows of `width`."""
        out: Tensor = self.down(self.mid(self.gate_up(x)))
        return out


@dataclass(frozen=True, kw_only=True)
class NormedGLU(Spec):
    """down(norm(act(gate(x)) * up(x))): the sub-normed layer of EVA-02."""

    hidden: int
    norm: LayerNorm
    act: Act = "silu"

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return NormedGLUModule(self, width)


class NormedGLUModule(nn.Module):
    """Parameters: gate_up, norm, down."""

    def __init__(self, spec: NormedGLU, width: int) -> None:
        super().__init__()
        self.act = ACTS[spec.act]
        self.gate_up, self.norm = nn.Linear(width, 2 * spec.hidden), spec.norm.build(spec.hidden)
        self.down = nn.Linear(spec.hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of `width` to rows of `width`."""
        out: Tensor = self.down(self.norm(gated(self.act, self.gate_up(x))))
        return out


def gated(act: Callable[[Tensor], Tensor], gate_up: Tensor) -> Tensor:
    """(..., 2 h) -> (..., h): act(gate) * up."""
    gate, up = gate_up.chunk(2, -1)
    return act(gate) * up
