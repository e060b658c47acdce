"""The planner: sizes of pictures and a conversation -> the exact token layout. The only source of token counts.

It decodes no pixel and needs no torch: `tokens`, truncation, cache sizes, usage figures and the model all read this plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError
from anyvlm.inputs.image import image_size
from anyvlm.inputs.markup import Text
from anyvlm.inputs.messages import Message
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import IMAGE, Tokenizer

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid
    from anyvlm.system import System


@dataclass(frozen=True)
class Span:
    """Neighbouring places of one picture's rows: `length` tokens from `start`, whose rows have the shape `grid` (t, h, w).

    `shared`: they have one position between them.
    """

    stream: str
    index: int  # of the picture in the conversation
    start: int
    length: int
    grid: Grid
    shared: bool = False


@dataclass(frozen=True)
class Seen:
    """A picture of the conversation: the stream it goes in by, how it is cut, and its first place in the prompt."""

    stream: str
    cut: Cut
    start: int


@dataclass(frozen=True)
class Plan:
    """Token layout of one conversation. Per token: id, Kind (0 is text), whether training predicts it.

    A picture may have several spans, with text between them. `prefix`: so many tokens at the start see each other.
    """

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    supervised: tuple[bool, ...]
    spans: tuple[Span, ...]
    pictures: tuple[Seen, ...] = ()
    prefix: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def image_tokens(self) -> int:
        """Tokens that rows of pictures take."""
        return sum(span.length for span in self.spans)

    def positions(self, axes: int) -> list[list[int]]:
        """Positions of all tokens on each of `axes` axes.

        One axis counts, a span that shares a position once. Three are time, height and width (2409.12191): a token of text
        has its count on all of them, rows of a span count along its grid from there, and what follows goes on after the
        largest.
        """
        if axes == 1:
            steps = [1] * len(self)
            for one in self.spans:
                if one.shared:
                    steps[one.start + 1 : one.start + one.length] = [0] * (one.length - 1)
            return [[position - 1 for position in accumulate(steps)]]
        out: list[list[int]] = [[], [], []]
        at = done = 0
        for span in (*self.spans, None):
            text = range(at, at + (len(self) if span is None else span.start) - done)
            for axis in out:
                axis += text
            if span is not None:
                at, done = text.stop, span.start + span.length
                t, h, w = span.grid
                cells = [(i, j, k) for i in range(t) for j in range(h) for k in range(w)]
                for axis, numbers in zip(out, zip(*cells, strict=True), strict=True):
                    axis += [at + number for number in numbers]
                at += max(t, h, w)
        return out


def plan(
    system: System,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    reply: bool = True,
    max_tokens: int = 0,
) -> Plan:
    """Lay out a conversation.

    `sizes`: (width, height) of its pictures in pixels, in order; read from their headers where not given. `reply`: end
    where the assistant is to speak. `max_tokens`: how long an answer must still fit behind it.
    Raises InputError if the system has no eyes, or if prompt and answer exceed its context.
    """
    pictures = [picture for message in messages for picture in message.pictures]
    if pictures and not system.streams:
        raise InputError(f"'{system.name}' is a language model without vision; ask it without a picture.")
    if sizes is None:
        sizes = [image_size(picture.source) for picture in pictures]
    if len(sizes) != len(pictures):
        raise InputError(f"{len(sizes)} picture sizes were given for {len(pictures)} pictures.")
    encoded = tokenizer.encode(system.template.render(messages, reply))
    ids: list[int] = []
    kinds: list[int] = []
    supervised: list[bool] = []
    spans: list[Span] = []
    seen: list[Seen] = []
    for id, learn in zip(encoded.ids, encoded.supervised, strict=True):
        if id != IMAGE:
            ids.append(id)
            kinds.append(0)
            supervised.append(learn)
            continue
        name, stream = next(iter(system.streams.items()))
        cut = stream.policy_among(len(sizes)).cut(*sizes[len(seen)])
        seen.append(Seen(name, cut, len(ids)))
        for cell in (system.placeholder,) if stream.reach else stream.cells(cut):
            if isinstance(cell, str):
                new, kind = _written(tokenizer, cell), 0
            else:
                spans.append(Span(name, len(seen) - 1, len(ids), prod(cell), cell, stream.shared))
                new, kind = [tokenizer.find(system.placeholder) or 0] * prod(cell), int(stream.kind)
            ids += new
            kinds += [kind] * len(new)
            supervised += [False] * len(new)
    prefix = (supervised.index(True) if True in supervised else len(ids)) if system.attention == "prefix" else 0
    laid = Plan(tuple(ids), tuple(kinds), tuple(supervised), tuple(spans), tuple(seen), prefix)
    if len(laid) + max_tokens > system.lm.context:
        raise InputError(_too_long(system, laid, max_tokens))
    return laid


def _written(tokenizer: Tokenizer, cell: str) -> list[int]:
    """Ids of what a markup writes among the rows: ordinary text, or one control token."""
    return list(tokenizer.encode([Piece(cell, "template")]).ids) if isinstance(cell, Text) else [tokenizer.id(cell)]


def _too_long(system: System, laid: Plan, max_tokens: int) -> str:
    left = system.lm.context - len(laid)
    prompt = f"The prompt has {len(laid)} tokens" + (f", {laid.image_tokens} of them for pictures," if laid.spans else "")
    asked = f" and max_tokens asks for {max_tokens} more" if max_tokens else ""
    less = f"set max_tokens to {left} or less, or " if left > 0 else ""
    fewer = " or use fewer pictures" if laid.spans else ""
    return f"{prompt}{asked}, but '{system.name}' holds {system.lm.context}; {less}shorten the text{fewer}."
