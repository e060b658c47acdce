"""Towers with an extra token, from which a tower says how sure it is, and the maps to log variances.

Source: ProLIP (2410.18857) `src/prolip/transformer.py`.
Shape letters: B items, n patches, C values of a patch, T tokens, R rows, D width, E width of the shared space.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Grid
from anyvlm.parts.init import normal
from anyvlm.parts.text import TextTransformer, TextTransformerModule
from anyvlm.parts.vision.vit import ViT, ViTEncoder
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class UncertainViT(ViT):
    """A ViT whose rows are the class token, the token of uncertainty, then the patches; all normed, the first a second time."""

    @property
    def alone(self) -> bool:
        """No: how sure it is lies in other rows."""
        return False

    def rows(self, grid: Grid) -> Grid:
        """A list."""
        return (grid[0], 1, grid[1] * grid[2] + 2)

    def build(self) -> ViTEncoder:
        """The module."""
        return UncertainViTEncoder(self)


class UncertainViTEncoder(ViTEncoder):
    """Parameters: those of a ViT, and unc; two places stand before those of the patches."""

    def __init__(self, spec: UncertainViT) -> None:
        super().__init__(spec)
        self.unc = normal(spec.width, std=spec.width**-0.5)
        self.pos = normal((spec.size // spec.patch) ** 2 + 2, spec.width, std=spec.width**-0.5)

    def _run(self, x_BnC: Tensor, grid: Grid, places_N: Tensor | None = None, rows: int | None = None) -> Tensor:
        if places_N is not None:
            raise InputError("Patches of an encoder that says how sure it is cannot be left out.")
        x = self.stem(x_BnC.to(self.pos.dtype))
        first = torch.stack([self.cls, self.unc]).expand(len(x), -1, -1)
        x = self.norm_pre(torch.cat([first, x], 1) + self.pos)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return torch.cat([self.norm(x[:, :1]), x[:, 1:]], 1)


@dataclass(frozen=True, kw_only=True)
class UncertainText(TextTransformer):
    """A text tower that reads `context` tokens, always all, then the token of uncertainty and the class token, its last row."""

    def build(self) -> nn.Module:
        """The module."""
        return UncertainTextModule(self)


class UncertainTextModule(TextTransformerModule):
    """Parameters: those of the text tower, unc and cls; two places stand behind those of the tokens."""

    def __init__(self, spec: UncertainText) -> None:
        super().__init__(spec)
        self.unc, self.cls = normal(spec.width, std=0.01), normal(spec.width, std=0.01)
        self.pos = normal(spec.context + 2, spec.width, std=0.01)

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Rows (B, T + 2, D); padding is read like any token."""
        last = torch.stack([self.unc, self.cls]).expand(len(ids_BT), -1, -1)
        x = torch.cat([self.embed(ids_BT), last], 1) + self.pos[: ids_BT.shape[1] + 2]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out


class Spread(Spec):
    """Contract of maps to log variances."""

    def build(self, width: int, shared: int) -> nn.Module:
        """The module: forward(rows_BRD, vector_BE) -> log variances (B, E)."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RowSpread(Spread):
    """From one of the rows. `bias`: where training begins."""

    row: int = 1
    bias: float = -10.0

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return RowSpreadModule(self, width, shared)


class RowSpreadModule(nn.Module):
    """Parameters: map."""

    def __init__(self, spec: RowSpread, width: int, shared: int) -> None:
        super().__init__()
        self.row, self.map = spec.row, _map(width, shared, spec.bias)

    def forward(self, rows_BRD: Tensor, vector_BE: Tensor) -> Tensor:
        """(B, E)."""
        out: Tensor = self.map(rows_BRD[:, self.row])
        return out


@dataclass(frozen=True, kw_only=True)
class MeanSpread(Spread):
    """From the item's vector, before it is normed: so does ProLIP's released text tower, whatever its extra token says."""

    bias: float = -10.0

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return MeanSpreadModule(self, shared)


class MeanSpreadModule(nn.Module):
    """Parameters: map."""

    def __init__(self, spec: MeanSpread, shared: int) -> None:
        super().__init__()
        self.map = _map(shared, shared, spec.bias)

    def forward(self, rows_BRD: Tensor, vector_BE: Tensor) -> Tensor:
        """(B, E)."""
        out: Tensor = self.map(vector_BE)
        return out


def _map(into: int, out: int, bias: float) -> nn.Linear:
    layer = nn.Linear(into, out)
    if not layer.weight.is_meta:
        nn.init.normal_(layer.weight, std=into**-0.5)
        nn.init.constant_(layer.bias, bias)
    return layer
