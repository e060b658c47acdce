"""Icon pictures: one large icon, a few scattered ones, several copies to count, a grid."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator

from anyvlm.data import ask
from anyvlm.data.grammar import BACKGROUND, countable, plural
from anyvlm.data.icons import Atlas
from anyvlm.data.names import Name, covers
from anyvlm.data.paint import COLOURS, MARGIN, background, coloured_background, find_place, paste, prepare
from anyvlm.data.sample import SIDE, Box, Pixels, Sample, Turn


@cache
def _relatives(names: tuple[Name, ...]) -> dict[str, tuple[Name, ...]]:
    """Each name to those that share a word with it: what it is most easily mistaken for."""
    by_word: dict[str, list[Name]] = {}
    for thing in names:
        for word in set(thing.key.split()) - {"of", "with", "and", "the", "in"}:
            by_word.setdefault(word, []).append(thing)
    return {
        thing.key: tuple(
            o for word in sorted(set(thing.key.split()) & set(by_word)) for o in by_word[word] if o != thing
        )
        for thing in names
    }


def other_name(rng: Generator, atlas: Atlas, present: list[Name]) -> Name:
    """A name that is not in the picture: half the time one that shares a word with something that is."""
    near = _relatives(atlas.names)[ask.pick(rng, present).key]
    while True:
        other = ask.pick(rng, near) if near and rng.random() < 0.5 else ask.pick(rng, atlas.names)
        if not any(covers(other, thing) for thing in present):
            return other
        near = ()


def _drawn(rng: Generator, atlas: Atlas, thing: Name, size: int, style: str | None = None) -> np.ndarray:
    style = style or ask.pick(rng, atlas.styles_of(thing))
    return prepare(rng, atlas.icon(style, thing), size, thing.mirrors)


def _add(canvas: Pixels, icon: np.ndarray, x: int, y: int, thing: Name) -> Box:
    paste(canvas, icon, x, y)
    return Box(x, y, x + icon.shape[1], y + icon.shape[0], thing.key)


def single(rng: Generator, atlas: Atlas) -> Sample:
    """One icon of 60-200 px: what it is, twice in different words, yes/no, and the colour of a plain background."""
    thing = ask.pick(rng, atlas.names)
    colour = ask.pick(rng, tuple(COLOURS)) if rng.random() < 0.25 else None
    canvas = coloured_background(rng, colour) if colour else background(rng)
    icon = _drawn(rng, atlas, thing, int(rng.integers(60, 201)))
    h, w = icon.shape[:2]
    x, y = int(rng.integers(MARGIN, SIDE - w - MARGIN + 1)), int(rng.integers(MARGIN, SIDE - h - MARGIN + 1))
    box = _add(canvas, icon, x, y, thing)
    turns = [ask.name_one(rng, thing), ask.is_this(rng, thing, other_name(rng, atlas, [thing]))]
    if colour:
        turns.append(Turn(ask.pick(rng, BACKGROUND), f"The background is {colour}.", colour, "colour"))
    if rng.random() < 0.2:  # the first turn tells, so naming mostly comes first
        turns[:2] = turns[1::-1]
    return Sample(canvas, (box,), tuple(turns), "single")


def _distinct(rng: Generator, atlas: Atlas, number: int) -> list[Name]:
    chosen = rng.choice(len(atlas.names), number, replace=False)
    return [atlas.names[int(i)] for i in chosen]


def scatter(rng: Generator, atlas: Atlas) -> Sample:
    """Two to six different icons anywhere: all their names, how many, presence, directions, places."""
    wanted = int(rng.integers(2, 7))
    canvas, boxes = background(rng), list[Box]()
    names: dict[str, Name] = {}
    top = (150, 120, 95, 80, 72)[wanted - 2]
    for thing in _distinct(rng, atlas, wanted):
        icon = _drawn(rng, atlas, thing, int(rng.integers(min(48, top - 20), top + 1)))
        place = find_place(rng, (icon.shape[1], icon.shape[0]), boxes)
        if place:
            boxes.append(_add(canvas, icon, *place, thing))
            names[thing.key] = thing
    present = list(names.values())
    the = {key: thing.the for key, thing in names.items() if not thing.plural}
    turns = ask.relations(rng, [b for b in boxes if b.name in the], the)
    turns += ask.relations(rng, [b for b in boxes if b.name in the], the)
    turns += ask.positions(rng, boxes, names)[:2]
    turns.append(ask.is_there(rng, present, other_name(rng, atlas, present)))
    if rng.random() < 0.3:
        turns.append(ask.count(rng, "object", "objects", len(boxes)))
    turns.append(ask.name_all(rng, boxes, names))
    return Sample(canvas, tuple(boxes), _unique(rng, turns), "scatter")


def places(rng: Generator, atlas: Atlas) -> Sample:
    """Two to four different icons far apart: directions between them from all sides, and the places of each."""
    canvas, boxes, names = background(rng), list[Box](), dict[str, Name]()
    for thing in _distinct(rng, atlas, int(rng.integers(2, 5))):
        icon = _drawn(rng, atlas, thing, int(rng.integers(48, 85)))
        place = None if thing.plural else find_place(rng, (icon.shape[1], icon.shape[0]), boxes)
        if place:
            boxes.append(_add(canvas, icon, *place, thing))
            names[thing.key] = thing
    the = {key: thing.the for key, thing in names.items()}
    turns = [turn for _ in range(4) for turn in ask.relations(rng, boxes, the)] + ask.positions(rng, boxes, names)
    return Sample(canvas, tuple(boxes), _unique(rng, turns), "places") if turns else places(rng, atlas)


def copies(rng: Generator, atlas: Atlas) -> Sample:
    """One to six copies of one icon, sometimes among others: how many of each, and how many in all."""
    while not countable(thing := ask.pick(rng, atlas.names)):
        pass
    wanted = int(rng.integers(1, 7))
    others = _distinct(rng, atlas, int(rng.integers(1, 4))) if rng.random() < 0.6 else []
    others = [other for other in others if other != thing and other not in _relatives(atlas.names)[thing.key]]
    canvas, boxes = background(rng), list[Box]()
    style = ask.pick(rng, atlas.styles_of(thing))
    side = int(rng.integers(34, (110, 96, 84, 74, 66, 62)[wanted - 1]))
    for one in [thing] * wanted + others:
        size = int(side * rng.uniform(0.85, 1.15))
        icon = _drawn(rng, atlas, one, size, style if one is thing else None)
        place = find_place(rng, (icon.shape[1], icon.shape[0]), boxes, tries=200)
        if place:
            boxes.append(_add(canvas, icon, *place, one))
    names = {one.key: one for one in [thing, *others]}
    number = sum(box.name == thing.key for box in boxes)
    turns = [ask.count(rng, thing.text, plural(thing), number)]
    present = [one for key, one in names.items() if any(box.name == key for box in boxes)]
    for one in present[1:]:
        if countable(one):
            turns.append(ask.count(rng, one.text, plural(one), 1))
    if len(present) == 1 or rng.random() < 0.5:
        turns.append(ask.count(rng, "object", "objects", len(boxes)))
    turns.append(ask.is_there(rng, present, other_name(rng, atlas, present)))
    turns.append(ask.name_all(rng, boxes, names))
    return Sample(canvas, tuple(boxes), _unique(rng, turns), "copies")


def grid(rng: Generator, atlas: Atlas) -> Sample:
    """Four different icons, one in each quarter: what is in each corner, directions, all names."""
    canvas, boxes, names = background(rng), list[Box](), dict[str, Name]()
    for i, thing in enumerate(_distinct(rng, atlas, 4)):
        icon = _drawn(rng, atlas, thing, int(rng.integers(56, 88)))
        h, w = icon.shape[:2]
        half = SIDE // 2
        x = half * (i % 2) + int(rng.integers(MARGIN, max(MARGIN + 1, half - w - MARGIN)))
        y = half * (i // 2) + int(rng.integers(MARGIN, max(MARGIN + 1, half - h - MARGIN)))
        boxes.append(_add(canvas, icon, x, y, thing))
        names[thing.key] = thing
    turns = ask.positions(rng, boxes, names)
    the = {key: thing.the for key, thing in names.items() if not thing.plural}
    turns += ask.relations(rng, [b for b in boxes if b.name in the], the)
    turns.append(ask.name_all(rng, boxes, names))
    return Sample(canvas, tuple(boxes), _unique(rng, turns), "grid")


def _unique(rng: Generator, turns: list[Turn]) -> tuple[Turn, ...]:
    """The turns in random order, no question twice."""
    kept = list({turn.question: turn for turn in turns}.values())
    return tuple(kept[i] for i in rng.permutation(len(kept)))
