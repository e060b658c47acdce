"""One training example: a picture with what is truly in it, and turns of conversation about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
SIDE = 224  # pixels


class Box(NamedTuple):
    """What one thing covers, in pixels: x0 <= x < x1 and y0 <= y < y1, and its name.

    That is `Name.key`, "red circle", or text in quotes.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    name: str

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


class Turn(NamedTuple):
    """A question, its answer as a short sentence, and the canonical short answer that scoring compares.

    task is one of naming, listing, count, relation, presence, position, colour, shape, reading, spelling, easy_vqa, chat.
    """

    question: str
    answer: str
    key: str
    task: str


@dataclass(frozen=True)
class Sample:
    """image: (224, 224, 3) uint8 RGB, or None for plain chat; boxes: every named thing; kind: the generator's name."""

    image: Pixels | None
    boxes: tuple[Box, ...]
    turns: tuple[Turn, ...]
    kind: str
