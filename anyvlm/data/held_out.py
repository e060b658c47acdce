"""Fixed evaluation sets: icons of the style that training never sees, unseen words, the test split of easy-vqa.

Every set is the same on every machine: seeds are constants, and names are in the atlas's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from anyvlm.data import quiz
from anyvlm.data.ask import DIRECTIONS, direction, pick
from anyvlm.data.grammar import countable, plural
from anyvlm.data.icons import HELD_OUT, Atlas, open_atlas
from anyvlm.data.names import Name
from anyvlm.data.paint import find_place, paste, prepare
from anyvlm.data.reading import reading
from anyvlm.data.sample import SIDE, Box, Pixels

NAMING_SIZE = 150  # px of a single icon's longer side
SEED = 20_261_121
QUIZ_QUESTIONS = 1_000


@dataclass(frozen=True)
class Item:
    """One question: image (224, 224, 3) uint8, the canonical answer and everything else that counts as right.

    group splits a set for reporting: "flag", "face" or "object" when naming; "alone" or "among others" when counting.
    """

    image: Pixels
    question: str
    key: str
    accepted: tuple[str, ...]
    task: str
    group: str = ""


def _light(rng: Generator) -> Pixels:
    return np.broadcast_to(rng.integers(232, 256, 3, dtype=np.uint8), (SIDE, SIDE, 3)).copy()


def _upright(rng: Generator, atlas: Atlas, thing: Name, size: int) -> np.ndarray:
    return prepare(rng, atlas.icon(HELD_OUT, thing), size, mirrors=False, turns=False)


def naming() -> Iterator[Item]:
    """Every name once: one icon of the held-out style in the middle of a clean light picture."""
    atlas, rng = open_atlas((HELD_OUT,)), np.random.default_rng(SEED)
    for thing in atlas.names:
        canvas = _light(rng)
        icon = _upright(rng, atlas, thing, NAMING_SIZE)
        paste(canvas, icon, (SIDE - icon.shape[1]) // 2, (SIDE - icon.shape[0]) // 2)
        yield Item(canvas, "What is this?", thing.key, (thing.key,), "naming", thing.group)


def _scatter(rng: Generator, atlas: Atlas, things: list[Name], low: int, high: int) -> tuple[Pixels, list[Box]]:
    """All of `things` without overlap on a light picture, drawing again until every one has found a place."""
    while True:
        canvas, boxes = _light(rng), list[Box]()
        for thing in things:
            icon = _upright(rng, atlas, thing, int(rng.integers(low, high + 1)))
            place = find_place(rng, (icon.shape[1], icon.shape[0]), boxes, tries=100)
            if place is None:
                break
            paste(canvas, icon, *place)
            boxes.append(Box(*place, place[0] + icon.shape[1], place[1] + icon.shape[0], thing.key))
        if len(boxes) == len(things):
            return canvas, boxes


def counting(number: int = 300) -> Iterator[Item]:
    """How many of one kind, 1 to 6 in equal shares; half of them among one to three other things."""
    atlas, rng = open_atlas((HELD_OUT,)), np.random.default_rng(SEED + 1)
    names = [thing for thing in atlas.names if countable(thing)]
    for i in range(number):
        thing, wanted, among = pick(rng, names), i % 6 + 1, i // 6 % 2 == 1
        others = [pick(rng, names) for _ in range(int(rng.integers(1, 4)))] if among else []
        things = [thing] * wanted + [other for other in others if not set(other.key.split()) & set(thing.key.split())]
        canvas, _ = _scatter(rng, atlas, things, 38, 56)
        question = f"How many {plural(thing)} are there?"
        yield Item(canvas, question, str(wanted), (str(wanted),), "count", "among others" if among else "alone")


def directions(number: int = 300) -> Iterator[Item]:
    """Where one of two things lies seen from the other, the four answers in equal shares."""
    atlas, rng = open_atlas((HELD_OUT,)), np.random.default_rng(SEED + 2)
    names = [thing for thing in atlas.names if not thing.plural]
    for i in range(number):
        wanted = tuple(DIRECTIONS)[i % 4]
        while True:
            pair = [pick(rng, names), pick(rng, names)]
            canvas, (a, b) = _scatter(rng, atlas, pair, 56, 90)
            if pair[0] != pair[1] and direction(a, b) == wanted:
                break
        question = f"Is {pair[0].the} to the left of, to the right of, above or below {pair[1].the}?"
        yield Item(canvas, question, wanted, (wanted,), "relation")


def words(number: int = 300) -> Iterator[Item]:
    """Single words that training never shows, in the typefaces and on the backgrounds of training."""
    rng = np.random.default_rng(SEED + 3)
    for _ in range(number):
        sample = reading(rng, evaluation=True)
        key = sample.turns[0].key
        assert sample.image is not None
        yield Item(sample.image, "What does the text say?", key, (key,), "reading")


def easy_vqa(number: int = QUIZ_QUESTIONS) -> Iterator[Item]:
    """A fixed random choice of the published test questions (all 9,673 if `number` is as large)."""
    every = [item for group in quiz.items("test") for item in group]
    chosen = np.random.default_rng(SEED + 4).permutation(len(every))[:number]
    for i in sorted(chosen.tolist()):
        turn = quiz.turn(every[i])
        accepted = (turn.key, "grey") if turn.key == "gray" else (turn.key,)
        kind = "yes/no" if turn.key in ("yes", "no") else "fact"
        yield Item(quiz.picture(every[i].path), turn.question, turn.key, accepted, "easy_vqa", kind)


SETS: dict[str, Callable[[], Iterator[Item]]] = {
    "naming": naming,
    "counting": counting,
    "directions": directions,
    "reading": words,
    "easy_vqa": easy_vqa,
}
