"""Rendered words and numbers to read."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont

from anyvlm.data.ask import pick
from anyvlm.data.grammar import JOINING, READING, READING_WORD, SPELLING
from anyvlm.data.paint import background
from anyvlm.data.sample import SIDE, Box, Pixels, Sample, Turn
from anyvlm.data.words import faces, font, invent, words

ROW = 28  # pixels that one row of the connector sees, each way
PADDING = 6  # pixels kept free around the text


def _ink(rng: Generator, canvas: Pixels) -> tuple[int, int, int]:
    """A colour that contrasts with the picture's mean brightness."""
    dark = canvas.mean() > 127
    low, high = (0, 90) if dark else (190, 256)
    ink = rng.integers(low, high, 3)
    if dark and rng.random() < 0.4:
        ink[:] = rng.integers(0, 40)
    return int(ink[0]), int(ink[1]), int(ink[2])


def letter_boxes(
    text: str, face: ImageFont.FreeTypeFont, x: float, y: int, width: int, height: int, angle: float = 0.0
) -> tuple[Box, ...]:
    """For one line of text that begins at x: a box one pixel wide in the middle of every letter.

    `angle`: degrees by which the line was turned to the left about its middle.

    For aligning rows with letters. A row of the connector may see two letters, and their order must not be lost: the
    letter in its left half is named in lower case and that in its right half in upper case, however they are drawn.
    """
    edges = [face.getlength(text[:n]) - width / 2 for n in range(len(text) + 1)]
    along = [(a + b) / 2 for a, b in zip(edges, edges[1:], strict=False)]  # from the middle of the line
    turn = radians(angle)
    middles = [min(max(int(x + width / 2 + a * cos(turn)), 0), SIDE - 1) for a in along]
    tops = [min(max(round(y - a * sin(turn)), 0), SIDE - height) for a in along]
    return tuple(
        Box(m, top, m + 1, top + height, letter.lower() if m % ROW < ROW // 2 else letter.upper())
        for letter, m, top in zip(text, middles, tops, strict=True)
        if letter.isalpha()
    )


def write(rng: Generator, canvas: Pixels, lines: list[str]) -> tuple[Pixels, Box, tuple[Box, ...]]:
    """Draw lines of text at a random size that fits, slightly turned at times.

    Returns a new picture, the box of all text, and those of its letters if it is one line.
    """
    face, size = int(rng.integers(faces())), int(rng.integers(26, 64))
    text = "\n".join(lines)
    layer = Image.new("L", (SIDE, SIDE))
    pen = ImageDraw.Draw(layer)
    while True:
        left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font(face, size), spacing=size // 5)
        width, height = int(right - left + 1), int(bottom - top + 1)
        if width <= SIDE - 2 * PADDING and height <= SIDE - 2 * PADDING or size <= 14:
            break
        size -= 2
    x = int(rng.integers(PADDING, max(PADDING + 1, SIDE - width - PADDING)))
    y = int(rng.integers(PADDING, max(PADDING + 1, SIDE - height - PADDING)))
    ink = _ink(rng, canvas)
    pen.multiline_text(
        (x - left, y - top), text, 255, font(face, size), spacing=size // 5, align=pick(rng, ("left", "center"))
    )
    angle = 0.0
    if rng.random() < 0.3 and width < SIDE - 30 and height < SIDE - 30:
        lean = float(rng.uniform(-8, 8))
        turned = layer.rotate(lean, Image.Resampling.BILINEAR, center=(x + width / 2, y + height / 2))
        inside = turned.getbbox()
        if inside and min(inside[0], inside[1], SIDE - inside[2], SIDE - inside[3]) > 1:
            layer, angle = turned, lean
    letters = letter_boxes(text, font(face, size), x - left, y, width, height, angle) if len(lines) == 1 else ()
    alpha = np.asarray(layer)[..., None].astype(np.uint16)
    mixed = (canvas * (255 - alpha) + np.array(ink, np.uint16) * alpha + 127) // 255
    x0, y0, x1, y1 = layer.getbbox() or (x, y, x + width, y + height)
    return mixed.astype(np.uint8), Box(x0, y0, x1, y1, f'"{text}"'.replace("\n", " ").lower()), letters


def _calm(rng: Generator) -> Pixels:
    """A background on which text can be seen."""
    canvas = background(rng)
    while canvas.std() > 60:
        canvas = background(rng)
    return canvas


def reading(rng: Generator, evaluation: bool = False) -> Sample:
    """One to four words, or a number; `evaluation` draws single words that training never shows."""
    vocabulary = words(evaluation)
    number = 1 if evaluation else int(rng.choice((1, 2, 3, 4), p=(0.64, 0.2, 0.11, 0.05)))
    if not evaluation and rng.random() < 0.08:
        lines = [str(rng.integers(0, 10 ** int(rng.integers(1, 5))))]
    else:
        style = pick(rng, (str.lower, str.lower, str.capitalize, str.upper))
        lines = [style(pick(rng, vocabulary)) for _ in range(number)]
        if len(lines) == 2 and len("".join(lines)) <= 12 and rng.random() < 0.6:
            lines = [" ".join(lines)]
    image, box, letters = write(rng, _calm(rng), lines)
    shown = " ".join(lines)
    spelling = ", ".join(" ".join(word) for word in shown.lower().split())
    if not evaluation and rng.random() < 0.1:
        turn = Turn(pick(rng, SPELLING), f"It is spelled {spelling}.", spelling, "spelling")
    else:
        question, answer = pick(rng, READING_WORD if shown.isalpha() else READING)
        turn = Turn(question, answer.format(spelling, shown), shown.lower(), "reading")
    return Sample(image, (box, *letters), (turn,), "reading")


def letters(rng: Generator) -> Sample:
    """No picture: words put together from their letters, the half of reading that is not seeing."""
    chosen = [pick(rng, words(False)) for _ in range(6)]
    turns = [Turn(f"Which word is spelled {' '.join(word)}?", f'The word is "{word}".', word, "spelling") for word in chosen]
    return Sample(None, (), tuple(turns), "letters")


def invented(rng: Generator) -> Sample:
    """One invented word to read: no vocabulary can help."""
    text = pick(rng, (str.lower, str.lower, str.capitalize, str.upper))(invent(rng))
    image, box, boxes = write(rng, _calm(rng), [text])
    question, answer = pick(rng, READING_WORD)
    turn = Turn(question, answer.format(" ".join(text.lower()), text), text.lower(), "reading")
    return Sample(image, (box, *boxes), (turn,), "invented")


def joined(rng: Generator) -> Sample:
    """No picture: words and invented words put together from their letters, as they are when read off a picture."""
    turns = []
    for _ in range(6):
        word = pick(rng, words(False)) if rng.random() < 0.4 else invent(rng)
        question, answer = pick(rng, JOINING)
        turns.append(Turn(question.format(" ".join(word)), answer.format(" ".join(word), word), word, "spelling"))
    return Sample(None, (), tuple(turns), "joined")


def spelled(rng: Generator) -> Sample:
    """One upright word with the boxes of its letters; it asks nothing."""
    text = pick(rng, words(False))
    text = pick(rng, (str.lower, str.lower, str.capitalize, str.upper))(text)
    canvas = _calm(rng)
    face, size = int(rng.integers(faces())), int(rng.integers(30, 72))
    while font(face, size).getlength(text) > SIDE - 2 * PADDING:
        size -= 2
    face_font = font(face, size)
    left, top, right, bottom = face_font.getbbox(text)
    x = int(rng.integers(PADDING, max(PADDING + 1, SIDE - int(right - left) - PADDING)))
    y = int(rng.integers(PADDING, max(PADDING + 1, SIDE - int(bottom - top) - PADDING)))
    image = Image.fromarray(canvas)
    ImageDraw.Draw(image).text((x - left, y - top), text, _ink(rng, canvas), face_font)
    boxes = letter_boxes(text, face_font, x - left, y, int(right - left), int(bottom - top))
    return Sample(np.asarray(image), boxes, (), "spelled")
