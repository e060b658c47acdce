"""What pictures, videos and a question will cost in tokens, told from headers alone: every number is the planner's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError
from anyvlm.inputs.markup import Text
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


@dataclass(frozen=True)
class Offer:
    """What the same pictures and videos cost in systems in which they cost the same.

    `costs`: of each. `places`: what they take of the sequence, all together: all tokens, or where rows go into a memory beside
    it one place a picture or none.
    """

    systems: tuple[str, ...]
    costs: tuple[Cost, ...]
    places: int
    context: int

    @property
    def tokens(self) -> int:
        """Of all pictures and videos, those in a memory included."""
        return sum(cost.tokens for cost in self.costs)

    @property
    def least(self) -> bool:
        """Whether words stand among the rows, which only a tokenizer can count: then it is at least so many tokens."""
        return any(isinstance(cell, Text) for cost in self.costs for cell in cost.cells)

    @property
    def beside(self) -> bool:
        """Whether rows go into a memory beside the sequence."""
        return self.places < self.tokens


def offers(
    systems: Iterable[System], sizes: Sequence[Size], *, fps: float | None = None, frames: int | None = None
) -> tuple[tuple[Offer, ...], dict[str, str]]:
    """The cheapest first; and of systems that refuse these pictures and videos, why."""
    alike: dict[tuple[tuple[Cost, ...], int, int], list[str]] = {}
    refused = {}
    for system in systems:
        try:
            every = costs(system, sizes, fps=fps, frames=frames)
            _counted(system, sizes)
        except InputError as error:
            refused[system.name] = str(error)
            continue
        places = sum(_places(system, cost) for cost in every)
        alike.setdefault((every, places, system.lm.context), []).append(system.name)
    found = [Offer(tuple(names), every, places, context) for (every, places, context), names in alike.items()]
    return tuple(sorted(found, key=lambda offer: (offer.tokens, -offer.context, offer.systems))), refused


def _counted(system: System, sizes: Sequence[Size]) -> None:
    pictures = sum(isinstance(size, tuple) for size in sizes)
    most = next(iter(system.streams.values())).most
    if most is not None and pictures > most:
        raise InputError(f"'{system.name}' takes at most {most} pictures in a conversation, not {pictures}.")


def _places(system: System, cost: Cost) -> int:
    """Places of the sequence that a picture or video takes."""
    _, stream, _ = filmed(system) if cost.cut.frames else ("", next(iter(system.streams.values())), None)
    return cost.tokens if stream.reach is None else int(stream.reach != "all")


def _still(system: System, among: int, size: tuple[int, int]) -> Cost:
    stream = next(iter(system.streams.values()))
    cut = stream.policy_among(among).cut(*size)
    return Cost(cut, stream.patches(cut), stream.cells(cut))


def _moving(system: System, footage: Footage, fps: float | None, frames: int | None) -> Cost:
    _, stream, film = filmed(system)
    cut = film.cut(footage, fps, frames)
    lines = film.script.lines(cut, stream.rows(cut))
    return Cost(cut, stream.patches(cut), tuple(cell for line in lines if not isinstance(line, str) for cell in line))
