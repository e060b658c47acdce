"""The endless, seeded stream of training samples: a weighted mixture of the generators.

`mixture(rng, WEIGHTS)` draws icons from the training styles only; the held-out style is not in its atlas at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from numpy.random import Generator

from anyvlm.data.chat import chat
from anyvlm.data.icons import HELD_OUT, Atlas, open_atlas
from anyvlm.data.quiz import quiz
from anyvlm.data.reading import invented, joined, letters, reading, spelled
from anyvlm.data.sample import Box, Sample, Turn
from anyvlm.data.scatter import copies, grid, places, scatter, single
from anyvlm.data.shapes import shapes
from anyvlm.errors import InputError

__all__ = ["GENERATORS", "WEIGHTS", "Box", "Sample", "Turn", "mixture"]

GENERATORS: dict[str, Callable[[Generator, Atlas], Sample]] = {
    "single": single,
    "scatter": scatter,
    "grid": grid,
    "copies": copies,
    "places": places,
    "shapes": lambda rng, _: shapes(rng),
    "reading": lambda rng, _: reading(rng),
    "invented": lambda rng, _: invented(rng),
    "joined": lambda rng, _: joined(rng),
    "spelled": lambda rng, _: spelled(rng),
    "letters": lambda rng, _: letters(rng),
    "easy_vqa": lambda rng, _: quiz(rng),
    "chat": lambda rng, _: chat(rng),
}
WEIGHTS: dict[str, float] = {
    "single": 0.26,
    "scatter": 0.16,
    "grid": 0.14,
    "copies": 0.12,
    "shapes": 0.06,
    "reading": 0.16,
    "easy_vqa": 0.06,
    "chat": 0.04,
}


def mixture(rng: Generator, weights: Mapping[str, float] = WEIGHTS, atlas: Atlas | None = None) -> Iterator[Sample]:
    """Samples for ever, each from one generator of GENERATORS chosen by its weight (they need not sum to one)."""
    unknown = set(weights) - set(GENERATORS)
    if unknown or not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise InputError(
            f"The mixture weights {dict(weights)} must be positive and name some of {', '.join(GENERATORS)}."
        )
    atlas = atlas or open_atlas()
    if HELD_OUT in atlas.styles:
        raise InputError(f"The style {HELD_OUT} is kept for evaluation and must not be trained on.")
    kinds = list(weights)
    shares = [weights[kind] / sum(weights.values()) for kind in kinds]
    while True:
        yield GENERATORS[kinds[int(rng.choice(len(kinds), p=shares))]](rng, atlas)
