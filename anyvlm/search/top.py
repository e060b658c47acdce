"""Exact search: the rows of a mapped half-precision matrix that lie nearest to a query, in one pass over memory.

The pass scores in half precision, which is as fast as memory is read, and so is wrong by a little. Every row that could still
be among the best is then scored again in single precision, so that the result is that of single precision throughout.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 19  # rows scored by one call: 0.5 GB at width 512
_SLACK = 2e-3
"""More than twice the largest error of a rough score: rounding the query moves it by at most 2^-11, rounding the score, whose
sum is kept in single precision, by 2^-12."""


class Hit(NamedTuple):
    """A row and its cosine with the query."""

    row: int
    score: float


def top(
    matrix: NDArray[np.float16], query: NDArray[np.float32], k: int, unused: NDArray[np.int64] | None = None
) -> list[Hit]:
    """The `k` best rows of (rows, width) for (width,), best first, equal scores by row. `unused`: rows that do not count."""
    query = _unit(query)
    rough = scores(matrix, query)
    if unused is not None and len(unused):
        rough[unused] = -np.inf
    count = min(k, len(rough) - (0 if unused is None else len(unused)))
    if count <= 0:
        return []
    rows = np.flatnonzero(rough >= _largest(rough, count) - _SLACK)
    exact = matrix[rows].astype(np.float32) @ query
    best = np.lexsort((rows, -exact))[:count]
    return [Hit(int(rows[n]), float(exact[n])) for n in best]


def scores(matrix: NDArray[np.float16], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every row, within 1e-3.

    By numkong where it is installed (the extra `search`), about as fast as memory is read; else by torch, at half of that.
    """
    half, out = query.astype(np.float16), np.empty(len(matrix), np.float32)
    product = _numkong() or _torch
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK]
        out[start : start + len(block)] = product(block, half)
    return out


_Half = NDArray[np.float16]


def _torch(block: _Half, half: _Half) -> NDArray[np.float32]:
    import torch

    out: NDArray[np.float32] = torch.mv(torch.from_numpy(block), torch.from_numpy(half)).float().numpy()
    return out


def _numkong() -> Callable[[_Half, _Half], NDArray[np.float32]] | None:
    try:
        import numkong
    except ImportError:
        return None

    def product(block: _Half, half: _Half) -> NDArray[np.float32]:
        out: NDArray[np.float32] = np.asarray(numkong.cdist(half[None], block, "dot", threads=os.cpu_count() or 1), np.float32)
        row: NDArray[np.float32] = out[0]
        return row

    return product


def _largest(scores: NDArray[np.float32], k: int) -> float:
    """The k-th largest. Of many, only those are sorted that reach the k-th largest of the maxima of runs of 256."""
    if len(scores) > 1024 * k:
        maxima = np.maximum.reduceat(scores, np.arange(0, len(scores), 256))
        scores = scores[scores >= np.partition(maxima, len(maxima) - k)[len(maxima) - k]]
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    out: NDArray[np.float32] = np.asarray(vector, np.float32)
    return out / max(float(np.linalg.norm(out)), 1e-12)
