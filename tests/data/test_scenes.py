"""Every answer of the generators, recomputed from the boxes; determinism; nothing of the held-out style."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from anyvlm.data.ask import direction, tenths
from anyvlm.data.grammar import plural, plural_word
from anyvlm.data.icons import HELD_OUT, SIZE, Atlas
from anyvlm.data.names import name
from anyvlm.data.paint import overlaps
from anyvlm.data.sample import SIDE, Sample
from anyvlm.data.scatter import copies, grid, places, scatter, single
from anyvlm.data.scenes import mixture
from anyvlm.data.score import correct, number
from anyvlm.data.shapes import shapes
from anyvlm.errors import InputError

TEXTS = (
    "red apple", "green apple", "black cat", "cat", "owl", "grapes", "bacon", "flag of France", "Santa Claus",
    "face with tears of joy", "left arrow", "rocket", "umbrella", "person running", "glasses", "x-ray",
)  # fmt: skip


def painted(styles: tuple[str, ...] = ("round", "square")) -> Atlas:
    """A small atlas of random opaque icons, each style with every name."""
    rng = np.random.default_rng(0)
    sheets = {}
    for style in styles:
        sheet = rng.integers(0, 256, (len(TEXTS), SIZE, SIZE, 4), dtype=np.uint8)
        sheet[..., 3] = 0
        sheet[:, 20:90, 10:100, 3] = 255
        sheets[style] = sheet
    rows = {style: {text: i for i, text in enumerate(TEXTS)} for style in styles}
    return Atlas(tuple(name(text) for text in TEXTS), sheets, rows)


ATLAS = painted()
MAKERS: dict[str, Callable[[np.random.Generator, Atlas], Sample]] = {
    "single": single,
    "scatter": scatter,
    "copies": copies,
    "grid": grid,
    "places": places,
    "shapes": lambda rng, _: shapes(rng),
}


def made(kind: str, count: int, seed: int = 3) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [MAKERS[kind](rng, ATLAS) for _ in range(count)]


@pytest.mark.parametrize("kind", MAKERS)
def test_same_seed_same_sample(kind: str) -> None:
    for a, b in zip(made(kind, 5), made(kind, 5), strict=True):
        assert a.turns == b.turns and a.boxes == b.boxes
        assert a.image is not None and b.image is not None and np.array_equal(a.image, b.image)
    assert made(kind, 5, 4)[0].turns != made(kind, 5)[0].turns or made(kind, 5, 4)[1].turns != made(kind, 5)[1].turns


@pytest.mark.parametrize("kind", MAKERS)
def test_boxes_inside_and_apart(kind: str) -> None:
    for sample in made(kind, 60):
        assert sample.image is not None and sample.image.shape == (SIDE, SIDE, 3) and sample.image.dtype == np.uint8
        assert sample.turns
        for i, box in enumerate(sample.boxes):
            assert 0 <= box.x0 < box.x1 <= SIDE and 0 <= box.y0 < box.y1 <= SIDE
            assert kind == "grid" or not any(overlaps(box[:4], other[:4]) for other in sample.boxes[:i])


@pytest.mark.parametrize("kind", ["scatter", "copies", "shapes"])
def test_counts_are_those_of_the_boxes(kind: str) -> None:
    seen = Counter[str]()
    for sample in made(kind, 120):
        kinds = Counter(box.name for box in sample.boxes)
        words = Counter(word for box in sample.boxes for word in box.name.split())
        for turn in sample.turns:
            if turn.task != "count":
                continue
            seen[turn.key] += 1
            assert number(turn.answer) == turn.key
            asked = next(
                (
                    key
                    for key in sorted(kinds, key=len, reverse=True)
                    if f" {plural(name(key))} " in f"{turn.question[:-1]} ".lower()
                ),
                None,
            )
            if "objects" in turn.question or re.search(r"(many|the|of) shapes\b", turn.question):
                assert int(turn.key) == len(sample.boxes)
            elif asked and kind != "shapes":
                assert int(turn.key) == kinds[asked]
            elif kind == "shapes":
                word = next(w for w in words if re.search(rf"\b({w}|{plural_word(w)})\b", turn.question))
                assert int(turn.key) == words[word]
            else:
                raise AssertionError(turn)
    assert set(seen) >= {"2", "3", "4"}


PLACE = re.compile(r"([Tt]he .+?|Santa Claus) is (to the left of|to the right of|above|below) (the .+|Santa Claus)\.$")

GROUNDED = re.compile(
    r"([Tt]he .+?|Santa Claus) is at (\d, \d) and (the .+?|Santa Claus) at (\d, \d), "
    r"so it is (to the left|to the right|above|below)\.$"
)


@pytest.mark.parametrize("kind", ["scatter", "grid", "shapes", "places"])
def test_directions_are_those_of_the_boxes(kind: str) -> None:
    checked = Counter[str]()
    for sample in made(kind, 150):
        at = {box.name: box for box in sample.boxes}
        for turn in sample.turns:
            if turn.task != "relation":
                continue
            said = turn.answer.removeprefix("Yes, ").removeprefix("No, ")
            if grounded := GROUNDED.match(said):
                a, b = (at[grounded[i].lower().removeprefix("the ")] for i in (1, 3))
                assert (tenths(a), tenths(b)) == (grounded[2], grounded[4])
                assert grounded[5].split()[-1] == turn.key == direction(a, b)
                checked[turn.key] += 1
                continue
            found = PLACE.match(said)
            assert found, turn
            a, b = (at[found[i].lower().removeprefix("the ")] for i in (1, 3))
            (ax, ay), (bx, by) = a.centre, b.centre
            where = {"to the left of": "left", "to the right of": "right"}.get(found[2], found[2])
            assert {"left": ax < bx, "right": ax > bx, "above": ay < by, "below": ay > by}[where]
            if turn.key in ("yes", "no"):
                assert (turn.key == "yes") == (f"{found[2]} {found[3]}?" in turn.question)
            else:
                assert turn.key in (where, a.name)
            checked[where.split()[-1]] += 1
    assert min(checked[w] for w in ("left", "right", "above", "below")) > 3


@pytest.mark.parametrize("kind", MAKERS)
def test_yes_and_no_are_balanced_and_true(kind: str) -> None:
    answers = Counter[str]()
    for sample in made(kind, 300):
        for turn in sample.turns:
            if turn.task == "presence":
                answers[turn.key] += 1
                asked = turn.question.lower().removesuffix("?").removesuffix(" in the picture").removesuffix(" here")
                start = r"(?:\b(?:an?|the) |(?:see|show|there|these|this) )"
                shown = any(re.search(f"{start}{re.escape(box.name)}$", asked) for box in sample.boxes)
                assert shown == (turn.key == "yes") or "Santa" in turn.question, turn
    if answers:
        assert 0.4 < answers["yes"] / answers.total() < 0.6


def test_every_answer_scores_as_right() -> None:
    for kind in MAKERS:
        for sample in made(kind, 80):
            for turn in sample.turns:
                if turn.task == "listing" and any(len(s) > 1 for s in Counter(b.name for b in sample.boxes)):
                    continue
                assert correct(turn.task, turn.answer, turn.key), turn


def test_the_held_out_style_cannot_be_trained_on() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=HELD_OUT):
        next(mixture(rng, {"single": 1.0}, painted(("round", HELD_OUT))))
    with pytest.raises(InputError, match="positive"):
        next(mixture(rng, {"no such": 1.0}, ATLAS))


def test_mixture_follows_its_weights_and_seed() -> None:
    def kinds(seed: int) -> list[str]:
        stream = mixture(np.random.default_rng(seed), {"single": 3.0, "chat": 1.0}, ATLAS)
        return [next(stream).kind for _ in range(200)]

    assert kinds(1) == kinds(1) != kinds(2)
    assert 0.6 < kinds(1).count("single") / 200 < 0.9
