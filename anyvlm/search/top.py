"""Exact search: the rows of a mapped half-precision matrix that lie nearest to a query, in one pass over memory.

The pass scores in half precision, which is as fast as memory is read, and so is wrong by a little. Every row that could still
be among the best is then scored again in single precision, so that the result is that of single precision throughout.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 19  # rows scored by one call of torch: 0.5 GB at width 512
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
    (_torch if find_spec("numkong") is None else _numkong)(matrix, half, out)
    return out


_Half = NDArray[np.float16]


def _torch(matrix: _Half, half: _Half, out: NDArray[np.float32]) -> None:
    import torch

    for start in range(0, len(matrix), _BLOCK):
        block = torch.from_numpy(matrix[start : start + _BLOCK])
        out[start : start + len(block)] = torch.mv(block, torch.from_numpy(half)).float().numpy()


def _numkong(matrix: _Half, half: _Half, out: NDArray[np.float32]) -> None:
    """Every core reads one stretch from end to end, which is faster than numkong's own threads."""
    import numkong

    cores = os.cpu_count() or 1
    each = -(-len(matrix) // cores) or 1

    def stretch(start: int) -> None:
        some = matrix[start : start + each]
        out[start : start + len(some)] = np.asarray(numkong.cdist(half[None], some, "dot", threads=1), np.float32)[0]

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(stretch, range(0, len(matrix), each)))


def _largest(scores: NDArray[np.float32], k: int) -> float:
    """The k-th largest. Of many, only those are sorted that reach the k-th largest of the maxima of runs of 256."""
    if len(scores) > 1024 * k:
        maxima = np.maximum.reduceat(scores, np.arange(0, len(scores), 256))
        scores = scores[scores >= np.partition(maxima, len(maxima) - k)[len(maxima) - k]]
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    out: NDArray[np.float32] = np.asarray(vector, np.float32)
    return out / max(float(np.linalg.norm(out)), 1e-12)
