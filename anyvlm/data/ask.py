"""Turns about a picture, made from its boxes alone, so that every answer is true by construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from numpy.random import Generator

from anyvlm.data.grammar import (
    COUNTING,
    NAMING_ALL,
    NAMING_ONE,
    PRESENCE,
    PRESENCE_PLURAL,
    capital,
    counted,
    listed,
    plural,
)
from anyvlm.data.names import Name
from anyvlm.data.sample import SIDE, Box, Turn

T = TypeVar("T")

DIRECTIONS = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
CLEAR = 1.5  # how much larger one axis' distance must be than the other's for a direction to be plain


def pick(rng: Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def direction(a: Box, b: Box) -> str | None:
    """Where a lies seen from b ("left" = a is left of b), or None if it is neither one thing nor the other."""
    dx, dy = a.centre[0] - b.centre[0], a.centre[1] - b.centre[1]
    if abs(dx) >= CLEAR * abs(dy) and (a.x1 <= b.x0 or b.x1 <= a.x0):
        return "left" if dx < 0 else "right"
    if abs(dy) >= CLEAR * abs(dx) and (a.y1 <= b.y0 or b.y1 <= a.y0):
        return "above" if dy < 0 else "below"
    return None


def tenths(box: Box) -> str:
    """Where the middle of a thing lies: "3, 5" is three tenths from the left and five from the top.

    Relations are answered with both places first: a small model finds each in one step and then compares them in words.
    """
    x, y = (int(10 * c / SIDE) for c in box.centre)
    return f"{x}, {y}"


def region(box: Box) -> str | None:
    """The corner (or "center") that a box lies in, or None near the lines between them."""
    x, y = (c / SIDE for c in box.centre)
    if abs(x - 0.5) < 0.1 and abs(y - 0.5) < 0.1:
        return "center"
    if abs(x - 0.5) < 0.1 or abs(y - 0.5) < 0.1:
        return None
    return f"{'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def name_one(rng: Generator, thing: Name) -> Turn:
    question, answer = pick(rng, NAMING_ONE)
    if thing.plural and question == "What is this?":
        answer = "These are {}."
    return Turn(question, answer.format(thing.noun), thing.key, "naming")


def name_all(rng: Generator, boxes: Sequence[Box], names: Mapping[str, Name]) -> Turn:
    """Every kind once, from left to right (ties from the top), copies counted: "three owls and a tree"."""
    kinds: dict[str, int] = {}
    for box in sorted(boxes, key=lambda box: (box.x0, box.y0)):
        kinds[box.name] = kinds.get(box.name, 0) + 1
    nouns = [names[key].noun if n == 1 else counted(n, names[key].text, plural(names[key])) for key, n in kinds.items()]
    question, answer = pick(rng, NAMING_ALL)
    return Turn(question, answer.format(listed(nouns)), "; ".join(kinds), "listing")


def count(rng: Generator, one: str, many: str, number: int) -> Turn:
    """How many of something there are, 1 to 12."""
    verb = "is" if number == 1 else "are"
    question = pick(rng, COUNTING).format(many)
    return Turn(question, f"There {verb} {counted(number, one, many)}.", str(number), "count")


def is_this(rng: Generator, thing: Name, other: Name) -> Turn:
    """A yes/no naming question, half of them about `other`, which is not in the picture."""
    yes = bool(rng.random() < 0.5)
    asked = thing if yes else other
    lead, it = ("Are these", "these are") if asked.plural else ("Is this", "it is")
    truth = f"{'these are' if thing.plural else 'it is'} {thing.noun}"
    answer = f"Yes, {it} {asked.noun}." if yes else f"No, {truth}."
    return Turn(f"{lead} {asked.noun}?", answer, "yes" if yes else "no", "presence")


def is_there(rng: Generator, present: Sequence[Name], absent: Name) -> Turn:
    """Presence, yes or no with even odds."""
    yes = bool(rng.random() < 0.5)
    asked = pick(rng, present) if yes else absent
    question = pick(rng, PRESENCE_PLURAL if asked.plural else PRESENCE).format(asked.noun)
    verb = "are" if asked.plural else "is"
    if yes:
        return Turn(question, f"Yes, there {verb} {asked.noun}.", "yes", "presence")
    noun = asked.noun if asked.article == "the" else asked.text
    return Turn(question, f"No, there {verb} {'not ' if asked.article == 'the' else 'no '}{noun}.", "no", "presence")


def relations(rng: Generator, boxes: Sequence[Box], the: Mapping[str, str]) -> list[Turn]:
    """Questions of direction between things that occur once. `the`: names to how they stand ("the red apple")."""
    once = [box for box in boxes if sum(b.name == box.name for b in boxes) == 1]
    pairs = [(a, b, where) for a in once for b in once if a is not b and (where := direction(a, b))]
    if not pairs:
        return []
    a, b, where = pairs[int(rng.integers(len(pairs)))]
    subject, other = the[a.name], the[b.name]
    seen = f"{capital(subject)} is at {tenths(a)} and {other} at {tenths(b)}"
    fact = f"{seen}, so it is {DIRECTIONS[where].removesuffix(' of')}."
    turns: list[Turn] = []
    form = int(rng.integers(5))
    if form == 0:
        turns.append(Turn(f"Where is {subject} relative to {other}?", fact, where, "relation"))
    elif form == 1:
        question = f"Is {subject} to the left of, to the right of, above or below {other}?"
        turns.append(Turn(question, fact, where, "relation"))
    elif form == 2:
        first, second = ("left", "right") if where in ("left", "right") else ("above", "below")
        question = f"Is {subject} {DIRECTIONS[first]} or {DIRECTIONS[second]} {other}?"
        turns.append(Turn(question, fact, where, "relation"))
    elif form == 3:
        yes = bool(rng.random() < 0.5)
        asked = where if yes else pick(rng, [d for d in DIRECTIONS if d != where])
        said = f"Is {subject} {DIRECTIONS[asked]} {other}?"
        it = f"{subject} is {DIRECTIONS[where]} {other}."
        turns.append(Turn(said, f"{'Yes' if yes else 'No'}, {it}", "yes" if yes else "no", "relation"))
    else:
        turns += _what_is_there(b, once, the)
    return turns


def _what_is_there(anchor: Box, once: Sequence[Box], the: Mapping[str, str]) -> list[Turn]:
    """ "What is to the left of the cat?" where exactly one thing is at all on that side, and plainly so."""
    x, y = anchor.centre
    for where, side in (
        ("left", [b for b in once if b is not anchor and b.centre[0] < x]),
        ("above", [b for b in once if b is not anchor and b.centre[1] < y]),
        ("right", [b for b in once if b is not anchor and b.centre[0] > x]),
        ("below", [b for b in once if b is not anchor and b.centre[1] > y]),
    ):
        if len(side) == 1 and direction(side[0], anchor) == where:
            place = f"{DIRECTIONS[where]} {the[anchor.name]}"
            found = the[side[0].name]
            return [Turn(f"What is {place}?", f"{capital(found)} is {place}.", side[0].name, "relation")]
    return []


def positions(rng: Generator, boxes: Sequence[Box], names: Mapping[str, Name]) -> list[Turn]:
    """Where a thing is, and what is at a place, for places that hold one thing."""
    placed = [(box, where) for box in boxes if (where := region(box))]
    turns: list[Turn] = []
    for box, where in placed:
        thing = names[box.name]
        if sum(w == where for _, w in placed) != 1 or any(region(b) is None for b in boxes):
            continue
        phrase = (
            "in the center"
            if where == "center"
            else f"in the {where} corner"
            if rng.random() < 0.5
            else f"at the {where}"
        )
        verb = "are" if thing.plural else "is"
        if sum(b.name == box.name for b in boxes) == 1 and rng.random() < 0.35:
            fact = f"{capital(thing.the)} {verb} {phrase}."
            turns.append(Turn(f"Where {verb} {thing.the}?", fact, where, "position"))
        else:
            fact = f"{capital(thing.noun)} {verb} {phrase}."
            turns.append(Turn(f"What is {phrase}?", fact, thing.key, "naming"))
    return [turns[i] for i in rng.permutation(len(turns))]
