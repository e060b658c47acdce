"""What pictures and a question will cost in tokens, told from headers alone: every number is the planner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid
    from anyvlm.system import System


@dataclass(frozen=True)
class Cost:
    """One picture on its way: how it is cut, the grids of patches of its arrays, and its place in the prompt."""

    cut: Cut
    patches: tuple[Grid, ...]
    cells: tuple[str | Grid, ...]

    @property
    def rows(self) -> tuple[Grid, ...]:
        """Grids of its rows."""
        return tuple(cell for cell in self.cells if not isinstance(cell, str))

    @property
    def tokens(self) -> int:
        """Places it takes in the prompt, those of text among its rows included.

        Words among them count as one each; only a tokenizer knows better, and the plan made with it is exact.
        """
        return sum(1 if isinstance(cell, str) else prod(cell) for cell in self.cells)


def costs(system: System, sizes: Sequence[tuple[int, int]]) -> tuple[Cost, ...]:
    """What each picture of these (width, height) costs. Raises InputError if the system takes none."""
    if sizes and not system.streams:
        raise InputError(f"'{system.name}' is a language model without vision; it takes no picture.")
    return tuple(_cost(system, len(sizes), *size) for size in sizes)


def _cost(system: System, among: int, width: int, height: int) -> Cost:
    stream = next(iter(system.streams.values()))
    cut = stream.policy_among(among).cut(width, height)
    return Cost(cut, stream.patches(cut), stream.cells(cut))
