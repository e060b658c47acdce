"""Pairs overlap in time within the limits; batches of neighbours are nearer than batches drawn at random."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.data.overlap import Caption, mean_points, neighbours, overlapping
from anyvlm.errors import InputError


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[Caption], int]:
    gaps = draw(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 30), st.integers(1, 30)), min_size=1, max_size=12))
    captions, now = [], 0.0
    for gap, length, tokens in gaps:
        captions.append(Caption(now + gap, now + gap + length, (7,) * tokens))
        now += gap + length
    return captions, draw(st.integers(1, 300))


@given(video=videos(), seed=st.integers(0, 999))
def test_pairs_overlap_and_keep_their_limits(video: tuple[list[Caption], int], seed: int) -> None:
    captions, seconds = video
    pair = overlapping(captions, seconds, Random(seed))
    assert 0 <= pair.text_start < pair.text_end <= len(captions)
    assert 0 <= pair.video_start < pair.video_end <= seconds
    assert pair.video_end - pair.video_start <= 32
    assert pair.video_end - pair.video_start >= min(3, seconds)
    chosen = captions[pair.text_start : pair.text_end]
    lengths = [len(caption.ids) for caption in chosen]
    # before its last addition, at either end, the text was shorter than the longest that may be drawn
    assert len(chosen) == 1 or sum(lengths) - max(lengths[0], lengths[-1]) < 64
    # the second in the middle lies in the text's time, or at the end of a video that ends before it
    low, high = int(chosen[0].start), -int(-chosen[-1].end // 1)
    assert pair.video_start <= min(high, seconds - 1) and pair.video_end >= min(low, seconds - 1)


def test_beginnings_and_ends_differ() -> None:
    captions = [Caption(4.0 * n, 4.0 * n + 4, (7,) * 6) for n in range(30)]
    pairs = [overlapping(captions, 120, Random(seed)) for seed in range(50)]
    same = [pair for pair in pairs if captions[pair.text_start].start == pair.video_start]
    assert len(same) < 10 and len({pair.text_end - pair.text_start for pair in pairs}) > 5
    assert all(overlapping(captions, 120, Random(3)) == pairs[3] for _ in range(3))


def test_a_silent_video_is_refused() -> None:
    with pytest.raises(InputError, match="0 captions"):
        overlapping([], 5, Random(0))


def spread(vectors: np.ndarray, batches: list[list[int]]) -> float:
    return float(np.mean([vectors[batch].var(0).sum() for batch in batches]))


def test_batches_of_neighbours_are_nearer_than_random_ones() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((400, 5)).astype(np.float32)
    batches = neighbours(vectors, Random(0))
    assert len(batches) == 400 // 32 and all(len(set(batch)) == 32 for batch in batches)
    drawn = [list(random.choice(400, 32, replace=False)) for _ in batches]
    assert spread(vectors, batches) < 0.6 * spread(vectors, drawn)
    few = neighbours(vectors[:40], Random(0), size=32, candidates=8)
    assert [len(batch) for batch in few] == [8]


def test_vectors_of_videos() -> None:
    video, text = np.arange(8, dtype=np.float32).reshape(4, 2), np.zeros((4, 2), np.float32)
    assert mean_points(video, text, 2).tolist() == [[0.5, 1.0], [2.5, 3.0]]
