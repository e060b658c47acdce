"""The planner: sizes of pictures and a conversation -> the exact token layout. The only source of token counts.

It decodes no pixel and needs no torch: `tokens`, truncation, cache sizes, usage figures and the model all read this plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING

from anyvlm.errors import InputError
from anyvlm.inputs.image import image_size
from anyvlm.inputs.markup import Text
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.regions import Region
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import IMAGE, Tokenizer

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid
    from anyvlm.system import Stream, System


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

    A picture may have several spans, with text between them. `prefix`: so many tokens at the start, all before the answer,
    see each other. `texts`: by stream, ids of the words that its connector reads. `asked`: the words of a region without a
    place that ends the prompt, whose places the answer says.
    """

    ids: tuple[int, ...]
    kinds: tuple[int, ...]
    supervised: tuple[bool, ...]
    spans: tuple[Span, ...]
    pictures: tuple[Seen, ...] = ()
    prefix: int = 0
    texts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    asked: str = ""

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
    for stream in system.streams.values():
        if stream.limit is not None and len(pictures) > stream.limit:
            raise InputError(f"'{system.name}' reads at most {stream.limit} picture(s) at a time, not {len(pictures)}.")
    if sizes is None:
        sizes = [image_size(picture.source) for picture in pictures]
    if len(sizes) != len(pictures):
        raise InputError(f"{len(sizes)} picture sizes were given for {len(pictures)} pictures.")
    around = _around(messages, sizes)

    def written(region: Region) -> tuple[Piece, ...]:
        if system.boxes is None:
            raise InputError(f"'{system.name}' reads no regions; say in words what is meant.")
        return system.boxes.pieces(region, next(around))

    pieces = system.template.render(messages, reply, written)
    encoded = tokenizer.encode(pieces)
    ids: list[int] = []
    kinds: list[int] = []
    supervised: list[bool] = []
    spans: list[Span] = []
    seen: list[Seen] = []
    holds = _placeholder(system, tokenizer)
    for id, learn in zip(encoded.ids, encoded.supervised, strict=True):
        if id != IMAGE:
            ids.append(id)
            kinds.append(0)
            supervised.append(learn)
            continue
        name, stream = next(iter(system.streams.items()))
        cut = stream.policy_among(len(sizes)).cut(*sizes[len(seen)])
        seen.append(Seen(name, cut, len(ids)))
        for cell in _cells(system, stream, cut):
            if isinstance(cell, str):
                new, kind = _written(tokenizer, cell), 0
            else:
                spans.append(Span(name, len(seen) - 1, len(ids), prod(cell), cell, stream.shared))
                new, kind = [holds] * prod(cell), int(stream.kind)
            ids += new
            kinds += [kind] * len(new)
            supervised += [False] * len(new)
    prefix = 0
    if system.attention == "prefix":
        prefix = len(ids) if reply else _answer(supervised)
        supervised[:prefix] = [False] * prefix  # an earlier answer is part of the prompt
    texts = _texts(system, tokenizer, pieces if reply else pieces[: _answer([piece.supervised for piece in pieces])])
    laid = Plan(
        tuple(ids), tuple(kinds), tuple(supervised), tuple(spans), tuple(seen), prefix, texts, _asked(messages)
    )
    if _length(system, laid, max_tokens) > system.lm.context:
        raise InputError(_too_long(system, laid, max_tokens))
    return laid


def _around(messages: Sequence[Message], sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """For every region in order, the size of the nearest picture before it; of the first one where there is none before."""
    seen = 0
    for message in messages:
        for part in message.content:
            seen += isinstance(part, Picture)
            if isinstance(part, Region):
                if not sizes:
                    raise InputError("A region is a part of a picture, but there is no picture; give one.")
                yield sizes[max(seen, 1) - 1]


def _asked(messages: Sequence[Message]) -> str:
    match messages[-1].content:
        case (*_, Region(label=label, boxes=(), points=())):
            return label.strip()
    return ""


def _placeholder(system: System, tokenizer: Tokenizer) -> int:
    """The id that holds a place; 0 where the tokenizer lacks it or, being a relative's, has it beyond the vocabulary."""
    found = tokenizer.find(system.placeholder)
    return found if found is not None and found < system.lm.vocab else 0


def _cells(system: System, stream: Stream, cut: Cut) -> tuple[str | Grid, ...]:
    """A picture's place in the prompt: that of its rows, or one token or none where they go into a memory."""
    if stream.reach is None:
        return stream.cells(cut)
    return () if stream.reach == "all" else (system.placeholder,)


def _answer(supervised: Sequence[bool]) -> int:
    """Where the last run of what training predicts begins; the end if there is none."""
    at = len(supervised)
    last = max((n for n, learn in enumerate(supervised) if learn), default=-1)
    for n in range(last, -1, -1):
        if not supervised[n]:
            return n + 1
        at = n
    return at


def _texts(system: System, tokenizer: Tokenizer, prompt: Sequence[Piece]) -> dict[str, tuple[int, ...]]:
    """For every stream whose connector reads: the words of the prompt, as it reads them."""
    words = "".join(piece.text for piece in prompt if piece.kind not in ("special", "image"))
    out = {}
    for name, stream in system.streams.items():
        if (reads := stream.reads) is not None:
            first, last = Piece(reads.first, "special"), Piece(reads.last, "special")
            ids = tokenizer.readers[name].encode((first, *([Piece(words, "user")] if words else []), last)).ids
            out[name] = ids if len(ids) <= reads.limit else (ids[0], *ids[len(ids) - reads.limit + 1 :])
    return out


def _length(system: System, laid: Plan, max_tokens: int) -> int:
    """What must fit into the context: prompt and answer, or the longer of the two where an encoder reads the prompt."""
    if system.lm.start is None:
        return len(laid) + max_tokens
    return max(laid.prefix, len(laid) - laid.prefix + max_tokens)


def _written(tokenizer: Tokenizer, cell: str) -> list[int]:
    """Ids of what a markup writes among the rows: ordinary text, or one control token."""
    return list(tokenizer.encode([Piece(cell, "template")]).ids) if isinstance(cell, Text) else [tokenizer.id(cell)]


def _too_long(system: System, laid: Plan, max_tokens: int) -> str:
    left = system.lm.context - len(laid)
    if system.lm.start is not None:  # the answer has the decoder for itself
        left = system.lm.context - (len(laid) - laid.prefix) if laid.prefix <= system.lm.context else 0
    prompt = f"The prompt has {len(laid)} tokens" + (f", {laid.image_tokens} of them for pictures," if laid.spans else "")
    asked = f" and max_tokens asks for {max_tokens} more" if max_tokens else ""
    less = f"set max_tokens to {left} or less, or " if left > 0 else ""
    fewer = " or use fewer pictures" if laid.spans else ""
    return f"{prompt}{asked}, but '{system.name}' holds {system.lm.context}; {less}shorten the text{fewer}."
