"""Pictures with captions, for systems of towers: every icon of every style once or more often, and scenes of several things.

A view is a function of its number and the styles alone, so that features can be computed once, in parts, and in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator

from anyvlm.data.icons import Atlas
from anyvlm.data.names import VARIANT, Name, written
from anyvlm.data.paint import MARGIN, background, paste, prepare
from anyvlm.data.sample import SIDE, Pixels
from anyvlm.data.scenes import GENERATORS

SEED = 20_261_127
SCENES = ("scatter", "grid", "copies", "shapes")
"""Generators whose last or listing turn says all that is there."""


@dataclass(frozen=True)
class View:
    """image: (224, 224, 3) uint8; captions: each true alone; name: number of the one thing in it, -1 for a scene; style."""

    image: Pixels
    captions: tuple[str, ...]
    name: int
    style: str


def icons(atlas: Atlas) -> list[tuple[int, str]]:
    """Every (number of a name, style) there is, in the atlas's order."""
    return [(n, style) for n, thing in enumerate(atlas.names) for style in atlas.styles_of(thing)]


def icon(atlas: Atlas, name: int, style: str, again: int = 0) -> View:
    """One icon of 80 to 200 px anywhere, half the time on a light ground; `again`: another such view."""
    thing = atlas.names[name]
    rng = np.random.default_rng([SEED, again, name, *style.encode()])
    canvas = _light(rng) if rng.random() < 0.5 else background(rng)
    drawn = prepare(rng, atlas.icon(style, thing), int(rng.integers(80, 201)), thing.mirrors)
    h, w = drawn.shape[:2]
    paste(canvas, drawn, int(rng.integers(MARGIN, SIDE - w - MARGIN + 1)), int(rng.integers(MARGIN, SIDE - h - MARGIN + 1)))
    return View(canvas, captions(thing), name, style)


def scene(atlas: Atlas, number: int) -> View:
    """Several things, and a sentence that lists them."""
    rng = np.random.default_rng([SEED, 1 << 20, number])
    while True:
        sample = GENERATORS[SCENES[int(rng.choice(len(SCENES), p=(0.4, 0.2, 0.25, 0.15)))]](rng, atlas)
        listed = [turn.answer for turn in sample.turns if turn.task == "listing"]
        if listed and sample.image is not None:
            return View(sample.image, (listed[0],), -1, "scene")


def captions(thing: Name) -> tuple[str, ...]:
    """How a name can be said: alone, with its article, and by what else it is called."""
    return (thing.text, thing.noun, *also(thing.text))


def also(text: str) -> tuple[str, ...]:
    """Other names of an emoji in English, of the package `emoji`, that are no other emoji's name."""
    return _aliases().get(text, ())


@cache
def _aliases() -> dict[str, tuple[str, ...]]:
    import emoji

    said: dict[str, tuple[str, ...]] = {}
    for character, data in emoji.EMOJI_DATA.items():
        code = "-".join(f"{ord(c):x}" for c in character if f"{ord(c):x}" != VARIANT)
        if text := written(code, data["en"]):
            said.setdefault(text, tuple(alias.strip(":").replace("_", " ").lower() for alias in data.get("alias", ())))
    own = {text.lower() for text in said}
    return {text: tuple(a for a in dict.fromkeys(all_) if a not in own and len(a) > 2) for text, all_ in said.items()}


def _light(rng: Generator) -> Pixels:
    return np.broadcast_to(rng.integers(225, 256, 3, dtype=np.uint8), (SIDE, SIDE, 3)).copy()
