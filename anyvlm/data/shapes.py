"""Coloured shapes: their names, colours, numbers and places."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from anyvlm.data import ask
from anyvlm.data.grammar import plural_word
from anyvlm.data.icons import Icon
from anyvlm.data.paint import COLOURS, background, find_place, paste, shade
from anyvlm.data.sample import Box, Pixels, Sample, Turn

SHAPES = ("circle", "square", "triangle", "rectangle", "star", "hexagon", "oval")
FINE = 3  # drawn this many times larger, then reduced, for smooth edges


def _polygon(corners: int, radius: float, inner: float = 1.0) -> list[tuple[float, float]]:
    steps = corners * 2 if inner < 1 else corners
    angles = [2 * math.pi * i / steps - math.pi / 2 for i in range(steps)]
    radii = [radius * (inner if inner < 1 and i % 2 else 1.0) for i in range(steps)]
    return [(radius + r * math.cos(a), radius + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def draw(rng: Generator, shape: str, colour: str, size: int) -> Icon:
    """A filled shape, (h, w, 4) uint8 premultiplied, its longer side about `size` px."""
    fine = size * FINE
    mask = Image.new("L", (fine, fine))
    pen = ImageDraw.Draw(mask)
    flat = round(fine * float(rng.uniform(0.45, 0.65)))
    if shape == "circle":
        pen.ellipse((0, 0, fine - 1, fine - 1), 255)
    elif shape == "oval":
        pen.ellipse((0, 0, fine - 1, flat), 255)
    elif shape == "square":
        pen.rectangle((0, 0, fine, fine), 255)
    elif shape == "rectangle":
        pen.rectangle((0, 0, fine, flat), 255)
    else:
        corners, inner = {"triangle": (3, 1.0), "star": (5, 0.45), "hexagon": (6, 1.0)}[shape]
        pen.polygon(_polygon(corners, fine / 2, inner), 255)
    mask = mask.crop(mask.getbbox())
    if shape in ("oval", "rectangle") and rng.random() < 0.5:
        mask = mask.transpose(Image.Transpose.ROTATE_90)
    mask = mask.resize((max(1, mask.width // FINE), max(1, mask.height // FINE)), Image.Resampling.BOX)
    alpha = np.asarray(mask)[..., None].astype(np.uint16)
    return np.concatenate([shade(rng, colour) * alpha // 255, alpha], -1).astype(np.uint8)


def _apart(canvas: Pixels, colour: str) -> bool:
    """Whether a colour stands out against the picture's mean and corners."""
    points = np.stack([canvas.mean((0, 1)), canvas[0, 0], canvas[-1, -1], canvas[0, -1], canvas[-1, 0]])
    return bool(np.abs(points - np.array(COLOURS[colour])).sum(1).min() > 120)


def shapes(rng: Generator) -> Sample:
    """One to six coloured shapes: colour of a shape, shape of a colour, numbers, presence, directions."""
    canvas, boxes = background(rng), list[Box]()
    seen = [colour for colour in COLOURS if _apart(canvas, colour)]
    while len(seen) < 3:
        canvas = background(rng)
        seen = [colour for colour in COLOURS if _apart(canvas, colour)]
    few_kinds = ask.pick(rng, SHAPES) if rng.random() < 0.4 else None
    few_colours = ask.pick(rng, seen) if rng.random() < 0.25 else None
    for _ in range(int(rng.integers(1, 7))):
        shape, colour = few_kinds or ask.pick(rng, SHAPES), few_colours or ask.pick(rng, seen)
        icon = draw(rng, shape, colour, int(rng.integers(32, 76)))
        place = find_place(rng, (icon.shape[1], icon.shape[0]), boxes, tries=100)
        if place:
            x, y = place
            paste(canvas, icon, x, y)
            boxes.append(Box(x, y, x + icon.shape[1], y + icon.shape[0], f"{colour} {shape}"))
    turns = _turns(rng, boxes, seen)
    the = {box.name: f"the {box.name}" for box in boxes}
    turns += ask.relations(rng, boxes, the)
    kept = list({turn.question: turn for turn in turns}.values())
    order = rng.permutation(len(kept))[:6]
    return Sample(canvas, tuple(boxes), tuple(kept[i] for i in order), "shapes")


def _turns(rng: Generator, boxes: list[Box], seen: list[str]) -> list[Turn]:
    pairs = [(box.name.split()[0], box.name.split()[1]) for box in boxes]
    colours, kinds = [c for c, _ in pairs], [s for _, s in pairs]
    spelled = "color" if rng.random() < 0.8 else "colour"
    turns: list[Turn] = []
    for colour, kind in dict.fromkeys(pairs):
        if kinds.count(kind) == 1:
            turns.append(Turn(f"What {spelled} is the {kind}?", f"The {kind} is {colour}.", colour, "colour"))
        if colours.count(colour) == 1:
            article = "an" if kind == "oval" else "a"
            turns.append(Turn(f"What shape is {colour}?", f"The {colour} shape is {article} {kind}.", kind, "shape"))
    kind, colour = ask.pick(rng, kinds), ask.pick(rng, colours)
    turns.append(ask.count(rng, kind, plural_word(kind), kinds.count(kind)))
    turns.append(ask.count(rng, f"{colour} shape", f"{colour} shapes", colours.count(colour)))
    turns.append(ask.count(rng, "shape", "shapes", len(boxes)))
    yes = bool(rng.random() < 0.5)
    there = set(pairs)
    away = [(c, s) for c in seen for s in SHAPES if (c, s) not in there]
    c, s = ask.pick(rng, pairs if yes else away)
    noun = f"{'an' if c == 'orange' else 'a'} {c} {s}"
    answer = f"Yes, there is {noun}." if yes else f"No, there is no {c} {s}."
    turns.append(Turn(f"Is there {noun}?", answer, "yes" if yes else "no", "presence"))
    if len(boxes) == 1:
        for question in ("What is this?", "What is in the picture?"):
            turns.append(Turn(question, f"This is {noun_of(pairs[0])}.", boxes[0].name, "naming"))
    return turns


def noun_of(pair: tuple[str, str]) -> str:
    """("orange", "circle") -> "an orange circle"."""
    return f"{'an' if pair[0] == 'orange' else 'a'} {pair[0]} {pair[1]}"
