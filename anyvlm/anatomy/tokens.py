"""What pictures, videos and a question will cost in tokens, told from headers alone: every number is the planner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError
from anyvlm.inputs.plan import Size, filmed

if TYPE_CHECKING:
    from anyvlm.inputs.video import Footage
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid
    from anyvlm.system import System


@dataclass(frozen=True)
class Cost:
    """A picture or video on its way: how it is cut, the grids of patches of its arrays, and its place in the prompt."""

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


def costs(
    system: System, sizes: Sequence[Size], *, fps: float | None = None, frames: int | None = None
) -> tuple[Cost, ...]:
    """What each picture or video of these sizes costs. `fps` and `frames`: how videos are looked at.

    Raises InputError if the system takes none.
    """
    if sizes and not system.streams:
        raise InputError(f"'{system.name}' is a language model without vision; it takes no picture.")
    among = sum(isinstance(size, tuple) for size in sizes)
    return tuple(
        _still(system, among, size) if isinstance(size, tuple) else _moving(system, size, fps, frames) for size in sizes
    )


def _still(system: System, among: int, size: tuple[int, int]) -> Cost:
    stream = next(iter(system.streams.values()))
    cut = stream.policy_among(among).cut(*size)
    return Cost(cut, stream.patches(cut), stream.cells(cut))


def _moving(system: System, footage: Footage, fps: float | None, frames: int | None) -> Cost:
    _, stream, film = filmed(system)
    cut = film.cut(footage, fps, frames)
    lines = film.script.lines(cut, stream.rows(cut))
    return Cost(cut, stream.patches(cut), tuple(cell for line in lines if not isinstance(line, str) for cell in line))
