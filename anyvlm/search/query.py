"""Ask an index: what lies near a text, near a picture, away from what is not wanted; and which files look the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anyvlm.data.duplicates import THRESHOLD, near_duplicates
from anyvlm.errors import InputError
from anyvlm.search.approximate import EXACT, near
from anyvlm.search.embedder import Embedder, Vectors
from anyvlm.search.store import Store
from anyvlm.search.top import Hit, top

PAIRS = 100_000
"""The most rows of which every pair is compared."""


@dataclass(frozen=True)
class Found:
    """A picture: files with this content, relative to the indexed folder, the first by name first; cosine with the query."""

    paths: tuple[str, ...]
    score: float


def query(
    embedder: Embedder, texts: Sequence[str], images: Sequence[Image.Image], without: Sequence[str] = (),
    sounds: Sequence[str] = (),
) -> Vectors:  # fmt: skip
    """One vector (width,) of length 1: the mean of all that is wanted, less the mean of what is not. Raises InputError.

    Pictures (upright RGB), texts and sounds (files) weigh the same each, as ImageBind (2305.05665, section 4.3) adds them.
    """
    wanted = []
    if texts:
        wanted.append(embedder.texts(texts))
    if images:
        wanted.append(embedder.pictures([embedder.policy.arrays(image)[0] for image in images]))
    if sounds:
        wanted.append(embedder.sounds(sounds))
    if not wanted:
        raise InputError("There is nothing to search for; give a text or a picture.")
    mean = np.concatenate(wanted).mean(0)
    if without:
        mean = mean - embedder.texts(without).mean(0)
    length = float(np.linalg.norm(mean))
    if length < 1e-4:
        raise InputError("What is wanted and what is not cancel out; ask for something else.")
    out: Vectors = (mean / length).astype(np.float32)
    return out


def search(store: Store, embedder: Embedder, vector: Vectors, k: int) -> list[Found]:
    """The `k` nearest pictures, best first. Raises InputError for another model than the index's."""
    store.must_be_of(embedder.name, embedder.weights, embedder.width)
    store.must_fit(len(vector))
    if k < 1:
        raise InputError(f"--top must be at least 1, not {k}.")
    matrix, unused = store.snapshot()
    hits: list[Hit] = top(matrix, vector, k, unused) if len(matrix) <= EXACT else near(store, matrix, vector, k, unused)
    return [Found(tuple(store.paths(hit.row)), hit.score) for hit in hits]


def duplicates(store: Store, threshold: float = THRESHOLD) -> list[list[str]]:
    """Groups of files with the same content or nearly the same look. Raises InputError for more than 100,000 pictures."""
    if not 0 < threshold <= 1:
        raise InputError(f"The threshold of near-duplicates is a cosine between 0 and 1, not {threshold:g}.")
    matrix, unused = store.snapshot()
    used = np.setdiff1d(np.arange(len(matrix)), unused)
    if len(used) > PAIRS:
        raise InputError(f"Pairs of {len(used)} pictures are too many to compare; {PAIRS} pictures are the most.")
    groups = near_duplicates(matrix[used], threshold)
    grouped = {row for group in groups for row in group}
    alone = ([n] for n in range(len(used)) if n not in grouped)
    named = [[path for n in group for path in store.paths(int(used[n]))] for group in [*groups, *alone]]
    return sorted(names for names in named if len(names) > 1)
