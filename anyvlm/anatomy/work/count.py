"""FLOPs of single layers: two for every multiply-add, as torch's FlopCounterMode counts them.

Norms, activations, sums and biases are left out. Attention counts in full, with what a mask hides, since that is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from anyvlm.errors import SpecError
from anyvlm.spec import Spec

Work: TypeAlias = Counter[str]
"""FLOPs by kind: "stem", "attention", "ffn" ..."""


def linear(rows: int, into: int, out: int) -> int:
    """A matrix (out, into) on so many rows."""
    return 2 * rows * into * out


def convolution(places: int, into: int, out: int, side: int, groups: int = 1) -> int:
    """A convolution with so many places in its result."""
    return 2 * places * out * (into // groups) * side**2


def scores(queries: int, keys: int, width: int) -> int:
    """What queries make of keys, and of values: `width` is that of all heads together."""
    return 4 * queries * keys * width


def looking(rows: int, keys: int, width: int, inner: int | None = None, shared: int | None = None) -> int:
    """Self-attention with its maps: `rows` new rows see `keys` rows, themselves among them.

    `inner`: width of all heads of the queries (`width` where None), `shared`: of those of the keys (`inner` where None).
    """
    inner = width if inner is None else inner
    shared = inner if shared is None else shared
    return linear(rows, width, inner + 2 * shared) + scores(rows, keys, inner) + linear(rows, inner, width)


def reading(
    rows: int, keys: int, width: int, into: int, inner: int | None = None, shared: int | None = None, fresh: bool = True
) -> int:
    """Attention to `keys` other rows of width `into`, whose keys and values are computed where they are `fresh`."""
    inner = width if inner is None else inner
    shared = inner if shared is None else shared
    maps = linear(rows, width, inner) + linear(rows, inner, width)
    return maps + scores(rows, keys, inner) + (linear(keys, into, 2 * shared) if fresh else 0)


def summed(works: Iterable[Work]) -> Work:
    """All together."""
    out = Work()
    for work in works:
        out.update(work)
    return out


def repeated(work: Work, times: int) -> Work:
    """So many times the same."""
    return Work({name: flops * times for name, flops in work.items()})


def unknown(spec: Spec, what: str, file: str) -> SpecError:
    """The error for a part whose class nobody has counted."""
    return SpecError(
        f"What the {what} {type(spec).__name__} computes is not counted; register it in anyvlm/anatomy/work/{file}.py."
    )
