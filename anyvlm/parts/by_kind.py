"""Weights by kind of token: a sub-layer with a copy for each kind, of which a row pays for its own alone.

Sources: CogVLM (2311.03079), EVEv2 (2502.06788), Mixture-of-Transformers (2411.04996).
Shape letters: B batch, T tokens, N = B T rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import groupby
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
                setattr(parent, leaf, Copies(getattr(parent, leaf), self.kinds))

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


class Copies(nn.ModuleDict):
    """The copies of one sub-layer: "text", and one by the name of each kind ("image"). `through` calls them."""

    def __init__(self, text: nn.Module, kinds: tuple[Kind, ...]) -> None:
        super().__init__({"text": text} | {_name(kind): deepcopy(text) for kind in kinds})


def through(layers: Sequence[nn.Module], x_BT: Tensor, rows: Rows | None) -> Tensor:
    """Sub-layers one after another on (B, T, ...), by kind where they have copies.

    Rows are gathered by kind, once for neighbours with copies, and none is computed and thrown away.
    """
    if rows is None:
        for layer in layers:
            x_BT = (layer["text"] if isinstance(layer, Copies) else layer)(x_BT)
        return x_BT
    for copied, run in groupby(layers, lambda layer: isinstance(layer, Copies)):
        if copied:
            x_BT = _by_kind(tuple(run), x_BT, rows)
            continue
        for layer in run:
            x_BT = layer(x_BT)
    return x_BT


def _by_kind(layers: Sequence[nn.Module], x_BT: Tensor, rows: Rows) -> Tensor:
    x_N, parts = x_BT.flatten(0, 1), []
    for name, index in rows.each:
        y = x_N[index]
        for layer in layers:
            y = layer.get_submodule(name)(y)
        parts.append((index, y))
    out_N = x_N.new_empty(len(x_N), *parts[0][1].shape[1:])
    for index, y in parts:
        out_N.index_copy_(0, index, y)
    return out_N.view(*x_BT.shape[:2], *out_N.shape[1:])
