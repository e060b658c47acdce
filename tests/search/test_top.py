"""Search is exact: the order is that of single precision throughout, however close scores lie."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.data.duplicates import near_duplicates, without_duplicates
from anyvlm.search import top as module
from anyvlm.search.top import top


def some(rows: int, width: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((rows, width))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float16)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 50), st.integers(0, 10_000), st.booleans())
def test_as_a_full_sort_in_single_precision(rows: int, width: int, k: int, seed: int, close: bool) -> None:
    matrix = some(rows, width, seed)
    if close:  # all within a rounding of half precision
        matrix = (matrix[:1].astype(np.float32) + 1e-3 * matrix.astype(np.float32)).astype(np.float16)
    query = some(1, width, seed + 1)[0].astype(np.float32)
    unused = np.flatnonzero(np.random.default_rng(seed).random(rows) < 0.2)
    exact = matrix.astype(np.float32) @ (query / np.linalg.norm(query))
    exact[unused] = -np.inf
    want = np.sort(exact)[::-1][: min(k, rows - len(unused))]
    got = top(matrix, query, k, unused)
    assert np.allclose([hit.score for hit in got], want, atol=1e-6)
    assert len({hit.row for hit in got}) == len(got) and not {hit.row for hit in got} & set(unused.tolist())


@pytest.mark.parametrize("product", [module._torch, module._numkong])
def test_rough_scores_are_as_near_as_the_second_look_needs(product: object) -> None:
    matrix, query = some(500, 512, 0), some(1, 512, 1)[0]
    matrix[7] = query
    exact = matrix.astype(np.float64) @ query.astype(np.float64)
    rough = np.empty(500, np.float32)
    product(matrix, query, rough)
    assert np.abs(rough - exact).max() < module._SLACK / 4


@given(st.integers(1, 5), st.integers(0, 10_000), st.booleans())
def test_the_kth_largest_of_many(k: int, seed: int, equal: bool) -> None:
    scores = np.random.default_rng(seed).standard_normal(6000).astype(np.float32)
    scores = np.round(scores) if equal else scores
    assert module._largest(scores, k) == np.sort(scores)[-k]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, query = some(1000, 16, 0), some(1, 16, 1)[0].astype(np.float32)
    whole = top(matrix, query, 10)
    monkeypatch.setattr(module, "_BLOCK", 37)
    assert top(matrix, query, 10) == whole


def test_a_mapped_file_is_read_without_a_warning(tmp_path: object) -> None:
    matrix = some(50, 8, 0)
    matrix.tofile(f"{tmp_path}/m")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert top(np.memmap(f"{tmp_path}/m", np.float16, "c", shape=(50, 8)), matrix[7].astype(np.float32), 1)[0].row == 7


@given(st.integers(2, 60), st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.94]), st.integers(1, 17))
def test_near_duplicates_are_connected_components(rows: int, seed: int, threshold: float, block: int) -> None:
    x = some(rows, 3, seed).astype(np.float32)
    linked = x @ x.T >= threshold
    for _ in range(rows):  # transitive closure
        linked = linked | (linked.astype(int) @ linked.astype(int) > 0)
    want = {tuple(np.flatnonzero(line).tolist()) for line in linked if line.sum() > 1}
    groups = near_duplicates(x, threshold, block=block)
    assert {tuple(group) for group in groups} == want
    assert without_duplicates(x, threshold).tolist() == sorted(set(range(rows)) - {n for group in want for n in group[1:]})
