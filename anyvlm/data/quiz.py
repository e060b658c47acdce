"""The published questions of `easy-vqa` (Victor Zhou, PyPI), with its answers put in short sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from PIL import Image

from anyvlm.data.ask import pick
from anyvlm.data.sample import SIDE, Pixels, Sample, Turn

_SHAPES = ("circle", "rectangle", "triangle")
_NEGATED = re.compile(r"\b(not|no)\b")
_ASKED = re.compile(r"(?:an?|no) ((?:\w+ shape)|\w+)\b")


class Item(NamedTuple):
    """One published question: its text, the original answer, the path of its 64x64 picture."""

    question: str
    answer: str
    path: str


@cache
def items(split: str) -> tuple[tuple[Item, ...], ...]:
    """The questions of a split ("train" or "test"), grouped by picture, in the published order."""
    import easy_vqa

    questions, answers, images = easy_vqa.get_train_questions() if split == "train" else easy_vqa.get_test_questions()
    paths = easy_vqa.get_train_image_paths() if split == "train" else easy_vqa.get_test_image_paths()
    grouped: dict[int, list[Item]] = {}
    for question, answer, image in zip(questions, answers, images, strict=True):
        grouped.setdefault(image, []).append(Item(question, answer, paths[image]))
    return tuple(tuple(group) for group in grouped.values())


def picture(path: str) -> Pixels:
    """(224, 224, 3) uint8, enlarged from 64x64."""
    small = Image.open(path).convert("RGB")
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()


def sentence(question: str, answer: str) -> str:
    """The short answer as a sentence: ("is no circle present?", "yes") -> "Yes, there is no circle."."""
    if answer in _SHAPES:
        return f"The shape is a {answer}."
    if answer not in ("yes", "no"):
        return f"The color is {answer}."
    asked = _ASKED.search(question)
    if asked is None:
        return f"{answer.capitalize()}."
    absent = (answer == "yes") == bool(_NEGATED.search(question))
    return f"{answer.capitalize()}, there is {'no' if absent else 'a'} {asked[1]}."


def turn(item: Item) -> Turn:
    question = item.question[:1].upper() + item.question[1:]
    return Turn(question, sentence(item.question, item.answer), item.answer, "easy_vqa")


def quiz(rng: Generator, most: int = 6) -> Sample:
    """A training picture of easy-vqa with up to `most` of its questions, in random order, the rarer kinds first."""
    group: Sequence[Item] = pick(rng, items("train"))
    order = [group[int(i)] for i in rng.permutation(len(group))]
    facts = [item for item in order if item.answer not in ("yes", "no")]
    chosen = (facts[:2] + [item for item in order if item.answer in ("yes", "no")])[:most]
    turns = tuple(turn(chosen[int(i)]) for i in rng.permutation(len(chosen)))
    return Sample(picture(group[0].path), (), turns, "easy_vqa")
