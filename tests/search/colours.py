"""A stand-in for a model: a picture's vector is its mean colour and a bias, a text's that of the colour it names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anyvlm.inputs.policy import HALF, ImagePolicy, Policy

COLOURS = {"red": (255, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 255), "yellow": (255, 230, 0)}
Vectors = NDArray[np.float32]


@dataclass
class Colours:
    """`embedded` counts pictures."""

    name: str = "colours"
    source: str = "colours"
    weights: str = "0" * 64
    width: int = 4
    policy: Policy = field(default_factory=lambda: ImagePolicy(size=(16, 16), fit="stretch", mean=HALF, std=HALF))
    embedded: int = 0

    def pictures(self, arrays: Sequence[Vectors]) -> Vectors:
        self.embedded += len(arrays)
        return unit(np.stack([np.append(array.mean((1, 2)), 0.1) for array in arrays]))

    def texts(self, lines: Sequence[str]) -> Vectors:
        return unit(np.array([[*(c / 127.5 - 1 for c in COLOURS[line]), 0.1] for line in lines]))


def unit(x: NDArray[np.floating]) -> Vectors:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (24, 20)) -> Path:
    """A picture of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path
