"""Exact scoring: what a sentence says, compared with the canonical answer, and Wilson's interval.

Nothing is fuzzy: "cat" is not right for "black cat", nor "black cat" for "cat".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from anyvlm.data.grammar import NUMBERS

COLOURS = frozenset(
    ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gray", "teal"]
)
SHAPES = frozenset(["circle", "square", "triangle", "rectangle", "star", "hexagon", "oval"])
_DIRECTION_WORDS = {
    "left": "left", "right": "right", "above": "above", "over": "above", "below": "below", "under": "below",
    "beneath": "below", "underneath": "below",
}  # fmt: skip
_ALTERNATIVES = "|".join(_DIRECTION_WORDS)
_STATED = re.compile(
    rf"\b(?:is|are|lies?) (?:located )?(?:to the |on the )?({_ALTERNATIVES})\b(?! [^.]*\b(?:is|are)\b)"
)
_ARTICLE = re.compile(r"^(?:an?|the) ")
_LEAD = re.compile(
    r"^(?:yes, |no, )?(?:this is|these are|that is|it is|it's|they are|i see|i can see|there is|there are|"
    r"(?:the|this) (?:picture|image|photo|icon) (?:shows|is|contains)|the objects? (?:is|are)|the word is)\s+(.+)$"
)
_PLACED = re.compile(r"^(.+?) (?:is|are) (?:to the|on the|in the|at the|above|below)\b")


def normal(text: str) -> str:
    """Lower case, plain apostrophes, single spaces, without the final stop; only the first sentence."""
    text = " ".join(text.replace("’", "'").lower().split())
    text = re.split(r"(?<!mrs)(?<!mr)[.!?](?: |$)", text, maxsplit=1)[0]
    return text.strip(" .!\"'")


def named(said: str) -> str:
    """The name that a sentence gives: "This is a red apple." -> "red apple"."""
    text = normal(said)
    if (found := _LEAD.match(text)) or (found := _PLACED.match(text)):
        text = found[1]
    return _ARTICLE.sub("", text)


def number(said: str) -> str | None:
    """The first number in digits or words: "There are three owls." -> "3"."""
    for word in re.findall(r"[a-z]+|\d+", said.lower()):
        if word.isdigit():
            return str(int(word))
        if word in NUMBERS:
            return str(NUMBERS.index(word))
    return None


def direction(said: str) -> str | None:
    """left, right, above or below: the one stated after "is", or else the only one mentioned."""
    text = normal(said)
    if found := _STATED.search(text):
        return _DIRECTION_WORDS[found[1]]
    mentioned = {_DIRECTION_WORDS[word] for word in re.findall(rf"\b(?:{_ALTERNATIVES})\b", text)}
    return mentioned.pop() if len(mentioned) == 1 else None


def yes_or_no(said: str) -> str | None:
    """The sentence's first word, if it is one of the two."""
    found = re.match(r"\W*(yes|no)\b", said.lower())
    return found[1] if found else None


def read(said: str) -> str:
    """What a sentence says is written: the quoted part, or what follows "says", "spelled" or "is"."""
    if quoted := re.search(r'["“](.*?)["”]', said, re.DOTALL):
        text = quoted[1]
    elif found := re.search(r"\b(?:says|reads|spelled|is):?\s+(?!spelled)(.+)$", said, re.DOTALL):
        text = found[1]
    else:
        text = said
    return " ".join(text.lower().split()).strip(" .!'\"")


def _only(said: str, vocabulary: frozenset[str]) -> str | None:
    mentioned = set(re.findall(r"[a-z]+", said.lower())) & vocabulary
    return mentioned.pop() if len(mentioned) == 1 else None


def extract(task: str, key: str, said: str) -> str | None:
    """The short answer in a sentence, of the kind that `task` and `key` ask for; None if there is none."""
    if key in ("yes", "no"):
        return yes_or_no(said)
    if task == "count":
        return number(said)
    if task in ("reading", "spelling"):
        return read(said)
    if task == "relation" and key in _DIRECTION_WORDS:
        return direction(said)
    if task == "position":
        found = re.search(r"\b(?:in|at) the ((?:top|bottom) (?:left|right)|center)\b", said.lower())
        return found[1] if found else None
    if task in ("colour", "shape", "easy_vqa"):
        return _only(said, COLOURS if key in COLOURS else SHAPES)
    if task == "listing":
        parts = re.split(r", | and (?=an? |the )", named(said))
        return "; ".join(sorted(_ARTICLE.sub("", part) for part in parts))
    return named(said)


def correct(task: str, said: str, key: str, accepted: Iterable[str] = ()) -> bool:
    """Whether a model's sentence gives the canonical answer or another accepted one."""
    if task == "listing":
        key = "; ".join(sorted(key.split("; ")))
    return extract(task, key, said) in {key, *accepted}


def wilson(right: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson, 1927); (0, 1) when nothing was asked."""
    if total == 0:
        return 0.0, 1.0
    share, square = right / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)
