"""Curation of pairs by their texts and scores: MetaCLIP's balancing, LAION's filter, CiT's choice while training.

MetaCLIP (2309.16671; facebookresearch/MetaCLIP at f47f784, metaclip/metaclip1): match the entries of a list in every text, then
keep a text with a chance that falls for entries that occur more than t times, so that the head is cut and the tail stays.
LAION (2210.08402; catalogue row laion-prepro). CiT (2301.02241; facebookresearch/CiT at 5caecad, engine.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from anyvlm.errors import InputError

Floats = NDArray[np.float32]
T = TypeVar("T")
_PUNCTUATION = str.maketrans({mark: f" {mark} " for mark in ",.;:?!`"} | {blank: " " for blank in "\t\n\r"})


# MetaCLIP -------------------------------------------------------------------------------------------------------------


class Entries:
    """The list of entries, ready to be found in texts as whole words in a row, by letter and case."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._number = {entry: n for n, entry in enumerate(entries)}
        if len(self._number) < len(entries):
            raise InputError("An entry is listed twice; every entry must stand once.")
        self._lengths = sorted({entry.count(" ") + 1 for entry in entries})

    def found_in(self, text: str) -> list[int]:
        """The numbers of the entries that occur in a text, ascending.

        As the authors find them, f" {entry} " in the text with spaces around it and around , . ; : ? ! and `; but by looking
        up every run of words, in time that does not grow with the list.
        """
        words, found = text.translate(_PUNCTUATION).split(" "), set[int]()
        for length in self._lengths:
            for start in range(len(words) - length + 1):
                number = self._number.get(" ".join(words[start : start + length]))
                if number is not None:
                    found.add(number)
        return sorted(found)


def keep_chances(matches: Iterable[Sequence[int]], entries: int, t: int) -> NDArray[np.float64]:
    """Of every entry, the chance with which one match of it keeps a text: t / max(count, t)."""
    count = np.zeros(entries, np.int64)
    for found in matches:
        count[list(found)] += 1
    chances: NDArray[np.float64] = t / np.maximum(count, t)
    return chances


def balance(matches: Sequence[Sequence[int]], entries: int, t: int, seed: int = 0) -> list[int]:
    """The numbers of the texts that are kept: those of which any match draws below its chance. Texts without a match go.

    t: 20,000 for 400 M pairs, 170,000 for 2.5 B (the paper). The same seed keeps the same texts, in every version of numpy.
    """
    if t < 1:
        raise InputError(f"The cap of an entry must be at least 1, not {t}.")
    chances = keep_chances(matches, entries, t)
    flat = np.array([entry for found in matches for entry in found], np.int64)
    text = np.repeat(np.arange(len(matches)), [len(found) for found in matches])
    drawn = np.random.RandomState(seed).random_sample(len(flat)) < chances[flat]
    return [int(n) for n in np.unique(text[drawn])]


# LAION ----------------------------------------------------------------------------------------------------------------

LAION_400M, LAION_EN, LAION_MULTI = 0.3, 0.28, 0.26
"""Least cosine of ViT-B/32 in LAION-400M and the two parts of LAION-5B."""


def well_matched(
    images: Floats, texts: Floats, captions: Sequence[str], sizes: Sequence[int], *, least: float = LAION_400M,
    characters: int = 5, size: int = 5_000,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which pairs to keep: a cosine of at least `least` between vectors (n, width) of length 1, a caption of at least so many
    characters, a file of at least `size` bytes."""
    if not len(images) == len(texts) == len(captions) == len(sizes):
        raise InputError("Pictures, texts, captions and sizes must be as many.")
    cosine = np.einsum("nd,nd->n", images, texts)
    long = np.array([len(caption) >= characters for caption in captions], bool)
    return np.asarray((cosine >= least) & long & (np.asarray(sizes) >= size), np.bool_)


# CiT ------------------------------------------------------------------------------------------------------------------


class Chosen(NamedTuple):
    """What CiT keeps of a batch: which, and whether too few passed, so that the best were taken."""

    rows: NDArray[np.int64]
    topped_up: bool


def near_classes(texts: Floats, classes: Floats, *, threshold: float = 0.55, least: float = 0.003) -> Chosen:
    """The rows of texts (n, width) whose best cosine with a class (c, width) exceeds `threshold`.

    If less than the share `least` does, the int(least * n) best are taken instead. Both by the text tower without its map.
    """
    best = (texts @ classes.T).max(1)
    rows = np.flatnonzero(best > threshold)
    if len(rows) / len(best) >= least:
        return Chosen(rows, False)
    return Chosen(np.sort(np.argsort(-best, kind="stable")[: int(least * len(best))]), True)


def curated(
    batches: Iterator[Sequence[T]], embed: Callable[[Sequence[T]], Floats], classes: Floats, *, count: int,
    threshold: float = 0.55, least: float = 0.003,
) -> list[T]:  # fmt: skip
    """Draw batches of raw samples until `count` are chosen by the text tower as it is now; train on them, and call again.

    CiT takes 100 batches of 1,024. A stream that ends gives what was found by then.
    """
    found = list[T]()
    while len(found) < count and (batch := next(batches, None)) is not None:
        found += [batch[row] for row in near_classes(embed(batch), classes, threshold=threshold, least=least).rows]
    return found
