"""Places in a picture, in its own pixels: what a user points at, and what an answer holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from anyvlm.errors import WeightsError

XY: TypeAlias = tuple[float, float]
XYXY: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the original picture."""


@dataclass(frozen=True)
class Region:
    """A part of a message: words and the places they mean, boxes and points of the nearest picture before them.

    Words without a place are to be found, by systems that are asked so (KOSMOS-2).
    """

    label: str = ""
    boxes: tuple[XYXY, ...] = ()
    points: tuple[XY, ...] = ()


@dataclass(frozen=True)
class Box:
    """score: None where the system gives none; span: where the label stands in the answer's text, if it does."""

    label: str
    xyxy: XYXY
    score: float | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Point:
    """A place without an extent."""

    label: str
    xy: XY


@dataclass(frozen=True, eq=False)
class Mask:
    """`ids`: the code in which the system writes the mask; `grid`: (height, width) of the picture, if it was decoded."""

    label: str
    xyxy: XYXY
    ids: tuple[int, ...]
    grid: npt.NDArray[np.bool_] | None = None

    @property
    def pixels(self) -> npt.NDArray[np.bool_]:
        """(height, width), True inside. Raises WeightsError where the decoder of masks is not loaded."""
        if self.grid is None:
            raise WeightsError(
                f"The mask of '{self.label}' is still a code, since the weights that decode it are a file of their own; "
                "load the model with masks='vae-oid.npz' (published at gs://big_vision/paligemma)."
            )
        return self.grid

    def runs(self) -> tuple[int, ...]:
        """Lengths of runs outside, inside, outside ..., column by column: the uncompressed "counts" of COCO's RLE."""
        line = self.pixels.T.ravel()
        changes = np.flatnonzero(line[1:] != line[:-1]) + 1
        edges = [*([0] if line.size and line[0] else []), *changes.tolist(), line.size]
        return tuple(b - a for a, b in zip([0, *edges], edges, strict=False))
