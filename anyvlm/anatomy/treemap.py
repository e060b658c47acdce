"""Rectangles whose areas are in proportion, as near to squares as they can be (Bruls, Huizing, van Wijk 2000)."""

from __future__ import annotations

from collections.abc import Sequence

Tile = tuple[float, float, float, float]
"""Left, top, width, height."""


def squarified(sizes: Sequence[float], width: float, height: float) -> list[Tile]:
    """A rectangle for each size, largest first; together they fill width x height."""
    if any(a < b for a, b in zip(sizes, sizes[1:], strict=False)):
        raise ValueError(f"sizes are not in falling order: {sizes}")
    scale = width * height / sum(sizes) if sizes else 0.0
    areas = [size * scale for size in sizes]
    out: list[Tile] = []
    left = top = 0.0
    while areas:
        side = min(width, height)
        count = 1
        while count < len(areas) and _worst(areas[: count + 1], side) <= _worst(areas[:count], side):
            count += 1
        line, areas = areas[:count], areas[count:]
        thick = sum(line) / side if side else 0.0
        at = 0.0
        for area in line:
            long = area / thick if thick else 0.0
            out.append((left, top + at, thick, long) if width >= height else (left + at, top, long, thick))
            at += long
        if width >= height:
            left, width = left + thick, width - thick
        else:
            top, height = top + thick, height - thick
    return out


def _worst(areas: Sequence[float], side: float) -> float:
    """The worst aspect ratio of a line of areas along a side."""
    total = sum(areas)
    if not total or not side:
        return float("inf")
    return max(max(side * side * area / total**2, total**2 / (side * side * area)) if area else float("inf") for area in areas)
