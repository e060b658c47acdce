"""What pictures and a question will cost in tokens, told from headers alone: every number is the planner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from anyvlm.parts.features import Grid
    from anyvlm.system import System


@dataclass(frozen=True)
class Cost:
    """One picture on its way: its (width, height) in pixels, those the encoder reads, its patches and its token rows."""

    size: tuple[int, int]
    resized: tuple[int, int]
    patches: Grid
    rows: Grid

    @property
    def tokens(self) -> int:
        """Places it takes in the prompt."""
        return prod(self.rows)


def costs(system: System, sizes: Sequence[tuple[int, int]]) -> tuple[Cost, ...]:
    """What each picture of these (width, height) costs. Raises InputError if the system takes none."""
    if sizes and not system.streams:
        raise InputError(f"'{system.name}' is a language model without vision; it takes no picture.")
    return tuple(_cost(system, *size) for size in sizes)


def _cost(system: System, width: int, height: int) -> Cost:
    stream = next(iter(system.streams.values()))
    h, w = stream.policy.plan(width, height)
    return Cost((width, height), (w, h), stream.patches(width, height), stream.grid(width, height))
