"""Beyond a million rows: a graph of neighbours beside the matrix (usearch, an extra), and exact scores of what it finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anyvlm.errors import InputError
from anyvlm.search.store import Store
from anyvlm.search.top import Hit
from anyvlm.weights.atomic import atomic_file

EXACT = 1_000_000
"""Rows up to which every one is scored."""
_WIDER = 4  # candidates for every hit wanted


def near(
    store: Store, matrix: NDArray[np.float16], query: NDArray[np.float32], k: int, unused: NDArray[np.int64]
) -> list[Hit]:
    """About the `k` best rows; the graph is built when it is missing or the matrix has grown since."""
    try:
        from usearch.index import Index
    except ImportError:
        raise InputError(
            f"The index holds {len(matrix)} pictures; more than {EXACT} need usearch: pip install 'anyvlm[search]'."
        ) from None

    graph, file = Index(ndim=matrix.shape[1], metric="ip", dtype="f16"), store.matrix.with_suffix(".usearch")
    if file.is_file():
        graph.load(str(file))
    if len(graph) < len(matrix):
        rest = np.arange(len(graph), len(matrix))
        graph.add(rest, np.asarray(matrix[len(graph) :]))
        with atomic_file(file) as partial:
            graph.save(str(partial))
    wanted = min(len(matrix), _WIDER * k + len(unused))
    rows = np.setdiff1d(np.asarray(graph.search(query, wanted).keys, np.int64), unused)
    scores = matrix[rows].astype(np.float32) @ query
    return [Hit(int(rows[n]), float(scores[n])) for n in np.lexsort((rows, -scores))[:k]]
