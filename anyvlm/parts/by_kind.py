"""Weights by kind of token: a sub-layer with a copy for each kind, of which a row pays for its own alone.

Sources: CogVLM (2311.03079), EVEv2 (2502.06788), Mixture-of-Transformers (2411.04996).
Shape letters: B batch, T tokens, N = B T rows.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.seq import Kind
from anyvlm.spec import Spec

SubLayer = Literal["norms", "qkv", "qk_norms", "o", "ffn"]

_PLACES: dict[str, tuple[str, ...]] = {
    "norms": ("norm1", "norm2"), "qkv": ("attn.qkv",), "qk_norms": ("attn.q_norm", "attn.k_norm"), "o": ("attn.o",),
    "ffn": ("ffn",),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ByKind(Spec):
    """Which sub-layers of every block have copies, and for which kinds beside text.

    A kind that is not named is read by the weights of text. Attention itself stays one: all tokens see each other.
    """

    of: tuple[SubLayer, ...]
    kinds: tuple[Kind, ...] = (Kind.IMAGE,)

    def copy(self, block: nn.Module) -> None:
        """Put copies in the place of a block's sub-layers; they begin as the weights of text do. Raises SpecError."""
        for name in self.of:
            for place in _PLACES[name]:
                path, _, leaf = place.rpartition(".")
                parent = block.get_submodule(path)
                if not hasattr(parent, leaf):
                    raise SpecError(f"ByKind: this block has no '{place}', which '{name}' names; leave it out.")
                setattr(parent, leaf, ByKindModule(attrgetter(leaf)(parent), self.kinds))

    def rows(self, kind_BT: Tensor) -> Rows | None:
        """The rows of each copy; None where text is all there is."""
        kind_N = kind_BT.flatten()
        others = [(_name(kind), (kind_N == kind).nonzero()[:, 0]) for kind in self.kinds]
        others = [(name, rows) for name, rows in others if len(rows)]
        if not others:
            return None
        text_N = kind_N.new_ones(len(kind_N)).bool()
        for _, rows in others:
            text_N[rows] = False
        return Rows((("text", text_N.nonzero()[:, 0]), *others))


def _name(kind: Kind) -> str:
    return kind.name.lower()


@dataclass(frozen=True)
class Rows:
    """Of all B T rows of a pass, those of each copy, by its name. Every row is in one of them."""

    each: tuple[tuple[str, Tensor], ...]


class ByKindModule(nn.Module):
    """The copies of one sub-layer: `text`, and one by the name of each kind ("image")."""

    def __init__(self, text: nn.Module, kinds: tuple[Kind, ...]) -> None:
        super().__init__()
        self.text = text
        for kind in kinds:
            self.add_module(_name(kind), deepcopy(text))

    def forward(self, x_BT: Tensor, rows: Rows | None) -> Tensor:
        """(B, T, ...) -> (B, T, ...): rows are gathered by kind, and none is computed and thrown away."""
        if rows is None:
            out: Tensor = self.text(x_BT)
            return out
        x_N = x_BT.flatten(0, 1)
        parts = [(index, self.get_submodule(name)(x_N[index])) for name, index in rows.each]
        out_N = x_N.new_empty(len(x_N), *parts[0][1].shape[1:])
        for index, y in parts:
            out_N.index_copy_(0, index, y)
        return out_N.view(*x_BT.shape[:2], *out_N.shape[1:])


def through(layer: nn.Module, x_BT: Tensor, rows: Rows | None) -> Tensor:
    """A sub-layer on (B, T, ...), by kind if it has copies."""
    out: Tensor = layer(x_BT, rows) if isinstance(layer, ByKindModule) else layer(x_BT)
    return out
