"""Text among the rows of a picture: what some systems write between rows, around tiles, at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyvlm.errors import SpecError
from anyvlm.spec import Spec

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid


class Text(str):
    """Ordinary text among the rows, encoded by itself; a plain string there is one control token."""


class Markup(Spec):
    """Contract: where the rows of one picture, control tokens of the tokenizer and text stand in the prompt."""

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every control token it may write."""
        raise NotImplementedError

    def cells(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Grid, ...]:
        """Control tokens, `Text` and grids of rows in order; together the grids hold the rows of `grids`, in their order."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Lines(Markup):
    """A token after every line of rows but the last, and one at the end (Pixtral: [IMG_BREAK], [IMG_END])."""

    line: str
    end: str

    @property
    def tokens(self) -> tuple[str, ...]:
        """Both."""
        return self.line, self.end

    def cells(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Grid, ...]:
        """Line by line."""
        out: list[str | Grid] = []
        for t, h, w in grids:
            for _ in range(t * h):
                out += [(1, 1, w), self.line]
            out[-1] = self.end
        return tuple(out)


@dataclass(frozen=True, kw_only=True)
class Places(Markup):
    """Every tile named by its row and column, lines of tiles broken, the whole picture behind them (Idefics3, SmolVLM).

    around: before every array and behind the last; tile: a tile's name, rows and columns counted from 1; whole: the
    whole's. `spelled`: names are ordinary text and not tokens. `side`: so many rows and columns have names.
    """

    around: str = "<fake_token_around_image>"
    tile: str = "<row_{}_col_{}>"
    whole: str = "<global-img>"
    side: int = 6
    spelled: bool = False

    @property
    def tokens(self) -> tuple[str, ...]:
        """`around`, and the names unless they are text."""
        count = range(1, self.side + 1)
        names = (self.whole, *(self.tile.format(row, column) for row in count for column in count))
        return (self.around,) if self.spelled else (self.around, *names)

    def cells(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[str | Grid, ...]:
        """Tiles, then the whole. Raises SpecError for more of them than have names."""
        name = Text if self.spelled else str
        rows, columns = cut.lattice
        if max(rows, columns) > self.side:
            raise SpecError(f"Places: {rows} x {columns} tiles, but only {self.side} x {self.side} have names.")
        *tiles, whole = grids
        out: list[str | Grid] = []
        for n, grid in enumerate(tiles):
            row, column = divmod(n, columns)
            out += [self.around, name(self.tile.format(row + 1, column + 1)), grid]
            if column == columns - 1:
                out.append(Text("\n" if row < rows - 1 else "\n\n"))
        return (*out, self.around, name(self.whole), whole, self.around)
