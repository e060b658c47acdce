"""Balancing keeps what MetaCLIP's own code keeps (facebookresearch/MetaCLIP at f47f784; metaclip.json); the others by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyvlm.data.curate import Entries, balance, curated, keep_chances, near_classes, well_matched
from anyvlm.errors import InputError

GOLD = json.loads((Path(__file__).parent / "metaclip.json").read_text())


def test_entries_are_found_and_kept_as_by_the_authors() -> None:
    entries = Entries(GOLD["entries"])
    found = [entries.found_in(text) for text in GOLD["texts"]]
    assert found == GOLD["matches"]
    assert balance(found * 4, len(GOLD["entries"]), GOLD["t"], GOLD["seed"]) == GOLD["kept"]


@given(st.lists(st.text(alphabet="ab ,.\n", max_size=5), max_size=6, unique=True), st.text(alphabet="ab ,.\n`", max_size=30))
def test_as_searching_for_every_entry(entries: list[str], text: str) -> None:
    spaced = f" {text} "
    for mark in ",.;:?!`":
        spaced = spaced.replace(mark, f" {mark} ")
    for blank in "\t\n\r":
        spaced = spaced.replace(blank, " ")
    assert Entries(entries).found_in(text) == [n for n, entry in enumerate(entries) if f" {entry} " in spaced]


def test_the_head_is_cut_and_the_tail_stays() -> None:
    matches = [[0]] * 10_000 + [[1]] * 30 + [[]] * 5
    kept = balance(matches, 2, 100)
    assert 60 <= sum(n < 10_000 for n in kept) <= 140 and [n for n in kept if n >= 10_000] == list(range(10_000, 10_030))
    assert keep_chances(matches, 2, 100).tolist() == [0.01, 1.0]
    both = balance([[0, 1]] * 3000, 2, 1500)  # each keeps half: together three quarters
    assert 0.72 < len(both) / 3000 < 0.78
    with pytest.raises(InputError, match="at least 1"):
        balance(matches, 2, 0)
    with pytest.raises(InputError, match="twice"):
        Entries(["a", "a"])


def test_the_filter_of_laion() -> None:
    one, far = np.array([1.0, 0.0], np.float32), np.array([0.2, 0.9797959], np.float32)
    images, texts = np.stack([one, one, one, one]), np.stack([one, far, one, one])
    keep = well_matched(images, texts, ["a fine cat", "a fine cat", "cat", "a fine cat"], [9000, 9000, 9000, 4999])
    assert keep.tolist() == [True, False, False, False]
    with pytest.raises(InputError, match="as many"):
        well_matched(images, texts, ["a"], [1])


def test_curation_in_training() -> None:
    """5 % of a stream relate to the classes; nearly all that is kept does, and more of them as the text tower learns."""
    rng = np.random.default_rng(0)
    classes = np.eye(4, 16, dtype=np.float32)
    related = rng.random(20_000) < 0.05

    def embed(skill: float):  # type: ignore[no-untyped-def]
        def of(batch: list[int]) -> np.ndarray:
            noise = rng.standard_normal((len(batch), 16)).astype(np.float32)
            noise[:, :4] *= 0.3
            aim = classes[np.array(batch) % 4] * related[batch][:, None]
            x = noise / np.linalg.norm(noise, axis=1, keepdims=True) + skill * aim
            return x / np.linalg.norm(x, axis=1, keepdims=True)

        return of

    shares = []
    for skill in (0.3, 0.8, 2.0):
        stream = iter(np.array_split(np.arange(20_000), 20))
        kept = curated((list(b) for b in stream), embed(skill), classes, count=500)
        shares.append(float(related[kept].mean()))
    assert shares[0] > 0.1 and shares == sorted(shares) and shares[-1] > 0.95


def test_the_best_are_taken_when_nothing_passes() -> None:
    texts = np.array([[0.1, 0.99], [0.4, 0.91], [0.3, 0.95], [0.2, 0.98]], np.float32)
    classes = np.array([[1.0, 0.0]], np.float32)
    rows, topped_up = near_classes(texts, classes, threshold=0.5, least=0.5)
    assert topped_up and rows.tolist() == [1, 2]
    rows, topped_up = near_classes(texts, classes, threshold=0.15, least=0.5)
    assert not topped_up and rows.tolist() == [1, 2, 3]
