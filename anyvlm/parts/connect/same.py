"""No connector: rows go as the encoder made them, into a memory whose readers know their width."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from anyvlm.parts.features import Connector


@dataclass(frozen=True, kw_only=True)
class Same(Connector):
    """Rows as they come."""

    def width(self, into: int, out: int) -> int:
        """The encoder's."""
        return into

    def build(self, into: int, out: int) -> nn.Module:
        """The identity."""
        return nn.Identity()
