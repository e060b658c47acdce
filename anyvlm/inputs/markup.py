"""Text among the rows of a picture: the control tokens that some systems write between rows, around tiles, at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyvlm.spec import Spec

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid


class Markup(Spec):
    """Contract: where the rows of one picture and control tokens of the tokenizer stand in the prompt."""

    def cells(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Grid, ...]:
        """Control tokens and grids of rows in order; together the grids hold the rows of `grids`, in their order."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Lines(Markup):
    """A token after every line of rows but the last, and one at the end (Pixtral: [IMG_BREAK], [IMG_END])."""

    line: str
    end: str

    def cells(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Grid, ...]:
        """Line by line."""
        out: list[str | Grid] = []
        for t, h, w in grids:
            for _ in range(t * h):
                out += [(1, 1, w), self.line]
            out[-1] = self.end
        return tuple(out)
