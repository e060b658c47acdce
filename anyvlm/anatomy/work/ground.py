"""What stands between the towers of a system that says where words are: a pyramid of maps, layers in which places and tokens
read each other, steps on the maps, and how well every place fits every token.

Sizes are those (h, w) of the pyramid's maps, the largest first. Shape letters: N places of all maps, T tokens, D width of
places, E width of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from anyvlm.anatomy.work.count import convolution, linear, scores
from anyvlm.parts.bifusion import BiFusion
from anyvlm.parts.connect.fpn import Pyramid
from anyvlm.parts.deformable import TAPS, DyHead

Sizes = Sequence[tuple[int, int]]


def pyramid(spec: Pyramid, widths: Sequence[int], sizes: Sizes) -> int:
    """From maps of these widths; the last of all maps are made of the ones before them."""
    D, places = spec.width, [prod(size) for size in sizes]
    given = sum(convolution(n, width, D, 1) for n, width in zip(places, widths, strict=False))
    return given + convolution(sum(places), D, D, 3)


def fusion(spec: BiFusion, N: int, T: int, D: int, E: int) -> int:
    """One matrix of scores, by which both sides read."""
    maps = linear(N, D, 2 * spec.inner) + linear(T, E, 2 * spec.inner) + linear(N, spec.inner, D) + linear(T, spec.inner, E)
    return maps + scores(N, T, spec.inner) + linear(N, spec.inner, T)


def head(spec: DyHead, sizes: Sizes, D: int) -> int:
    """One step. Where to read is a convolution; what is read between pixels is not counted, the sums over it are."""
    places, flops = [prod(size) for size in sizes], 0
    for n, here in enumerate(places):
        read = [here, *places[n + 1 : n + 2], *([here] if n else [])]  # this map, the next smaller, the next larger halved
        flops += convolution(here, D, 3 * TAPS, 3) + sum(convolution(each, D, D, 3) + linear(1, D, 1) for each in read)
        flops += linear(1, D, D // spec.squeeze) + linear(1, D // spec.squeeze, 4 * D)
    return flops


def fits(N: int, T: int, D: int, E: int) -> int:
    """Logits of every place and token."""
    return linear(T, E, D) + linear(N, D, T)
