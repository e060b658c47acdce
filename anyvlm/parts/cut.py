"""How a picture or video is cut before the encoder sees it. Known from its size alone, so that tokens count without pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """The pixel arrays one picture becomes.

    picture: its (width, height); sizes: (height, width) of every array, in the order the encoder reads them;
    lattice: (rows, columns) of the tiles among them, (0, 0) for a picture that is not tiled. Tiles lie row by row; one
    array more than the lattice has is the whole picture, which stands before the tiles or, if `last`, behind them.
    frames: of a video, the numbers of those that are seen, one array each, all of one size; times: their seconds;
    duration: that of the whole video in seconds. A picture has none.
    """

    picture: tuple[int, int]
    sizes: tuple[tuple[int, int], ...]
    lattice: tuple[int, int] = (0, 0)
    last: bool = False
    frames: tuple[int, ...] = ()
    times: tuple[float, ...] = ()
    duration: float = 0.0

    @property
    def tiles(self) -> int:
        """How many arrays are tiles."""
        return self.lattice[0] * self.lattice[1]

    @property
    def items(self) -> int:
        """How many items of features its arrays become: a video is one, however many frames it has."""
        return 1 if self.frames else len(self.sizes)
