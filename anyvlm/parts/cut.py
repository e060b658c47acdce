"""How a picture is cut before the encoder sees it. Known from its size alone, so that tokens can be counted without pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """The pixel arrays one picture becomes.

    picture: its (width, height); sizes: (height, width) of every array, in the order the encoder reads them;
    lattice: (rows, columns) of the tiles among them, (0, 0) for a picture that is not tiled. Tiles lie row by row; one
    array more than the lattice has is the whole picture, which stands before the tiles or, if `last`, behind them.
    """

    picture: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    lattice: tuple[int, int] = (0, 0)
    last: bool = False

    @property
    def tiles(self) -> int:
        """How many arrays are tiles."""
        return self.lattice[0] * self.lattice[1]
