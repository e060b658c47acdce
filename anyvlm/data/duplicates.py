"""Near-duplicates: groups of vectors that lie close together, exact, a block against a block at a time.

As clip-retrieval finds them: whatever is linked by a chain of pairs with a cosine of at least 0.94 is one group
(rom1504/clip-retrieval clip_retrieval/clip_back.py at b055335).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.94
_BLOCK = 4096


def near_duplicates(
    vectors: NDArray[np.float16] | NDArray[np.float32], threshold: float = THRESHOLD, *, block: int = _BLOCK
) -> list[list[int]]:
    """Groups of two and more rows of (n, width), which have length 1; each by number, groups by their first.

    Time grows with n squared (100,000 rows of 512: 5e12 multiplications); memory holds `block` x `block` scores.
    """
    parent = list(range(len(vectors)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for top in range(0, len(vectors), block):
        rows = np.asarray(vectors[top : top + block], np.float32)
        for left in range(top, len(vectors), block):
            columns = rows if left == top else np.asarray(vectors[left : left + block], np.float32)
            for a, b in np.argwhere(rows @ columns.T >= threshold).tolist():
                x, y = root(top + a), root(left + b)
                parent[max(x, y)] = min(x, y)  # so that a root is the first of its group
    groups = dict[int, list[int]]()
    for n in range(len(vectors)):
        groups.setdefault(root(n), []).append(n)
    return [group for group in groups.values() if len(group) > 1]


def without_duplicates(
    vectors: NDArray[np.float16] | NDArray[np.float32], threshold: float = THRESHOLD
) -> NDArray[np.int64]:
    """The rows to keep: the first of every group, and all that have no near-duplicate."""
    keep = np.ones(len(vectors), bool)
    for group in near_duplicates(vectors, threshold):
        keep[group[1:]] = False
    return np.flatnonzero(keep)
