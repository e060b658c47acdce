"""From a text to the ids that a text tower was trained on.

Shape letters: B texts, T tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from anyvlm.errors import InputError
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class TextPolicy(Spec):
    """What is done to a text before it is read, and which control tokens stand around it.

    `first`, `last`: one token each, or none. `lead`: what else stands in front of the text, control tokens ("special") and
    plain text ("template"): the opening of a chat's turn (LLM2CLIP). `context`: a longer text loses its end, the control tokens
    stay. `pad`: the token up to the longest text; with `fill` up to the context, and then it is read like any other (SigLIP);
    with `marked` it is known all the same where the text ends (MobileCLIP). `lower`: in lower case. `drop`: characters that are
    left out, and spaces then joined and trimmed (SigLIP: ASCII punctuation); `spaced`: those of them that become a space
    (ProLIP).
    `prompt`: the sentence in which the authors put the name of a class.
    """

    context: int
    pad: str
    first: str | None = None
    last: str | None = None
    lead: tuple[tuple[Literal["special", "template"], str], ...] = ()
    fill: bool = False
    marked: bool = False
    lower: bool = False
    drop: str = ""
    spaced: str = ""
    prompt: str = "a photo of a {}."

    def clean(self, text: str) -> str:
        """The text as the tokenizer gets it."""
        text = text.lower() if self.lower else text
        text = text.translate(str.maketrans(self.spaced, " " * len(self.spaced)))
        return re.sub(r"\s+", " ", text.translate(str.maketrans("", "", self.drop))).strip() if self.drop else text

    def encode(self, tokenizer: Tokenizer, text: str) -> Ids:
        """The ids of one text. Raises InputError for one that is no text or empty."""
        if not isinstance(text, str) or not text.strip():
            raise InputError("A text is empty; fill it or leave it out.")
        around = [Piece(token, "special") if token else None for token in (self.first, self.last)]
        lead = [Piece(said, kind) for kind, said in self.lead]
        pieces = [piece for piece in (around[0], *lead, Piece(self.clean(text), "user"), around[1]) if piece and piece.text]
        ids = tokenizer.encode(pieces).ids
        if (extra := len(ids) - self.context) <= 0:
            return Ids(ids, 0)
        end = len(ids) - (self.last is not None)
        return Ids((*ids[: end - extra], *ids[end:]), extra)

    def collate(self, tokenizer: Tokenizer, texts: Sequence[Ids]) -> WordsBatch:
        """All of them side by side."""
        width = self.context if self.fill else max(len(each.ids) for each in texts)
        pad = tokenizer.id(self.pad)
        ids_BT = torch.tensor([[*each.ids, *[pad] * (width - len(each.ids))] for each in texts])
        if (self.fill and not self.marked) or all(len(each.ids) == width for each in texts):
            return WordsBatch(ids_BT, None)
        lengths = torch.tensor([len(each.ids) for each in texts])
        return WordsBatch(ids_BT, torch.arange(width) < lengths[:, None])


@dataclass(frozen=True)
class Ids:
    """The ids of one text, and how many tokens of it were given up to fit the context."""

    ids: tuple[int, ...]
    lost: int


@dataclass(frozen=True)
class WordsBatch:
    """Ids of texts, and which of them are no padding; None where all are read."""

    ids_BT: Tensor
    seen_BT: Tensor | None
