"""The planner: sizes of pictures and videos and a conversation -> the exact token layout. The only source of token counts.

It decodes no pixel and needs no torch: `tokens`, truncation, cache sizes, usage figures and the model all read this plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from anyvlm.errors import InputError
from anyvlm.inputs.image import image_size
from anyvlm.inputs.markup import Text
from anyvlm.inputs.messages import Message, Picture, Video
from anyvlm.inputs.regions import Region
from anyvlm.inputs.template import Piece
from anyvlm.inputs.tokenizer import IMAGE, Tokenizer
from anyvlm.inputs.video import Footage, read_footage

if TYPE_CHECKING:
    from anyvlm.inputs.film import Film
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Grid
    from anyvlm.system import Stream, System

Size: TypeAlias = tuple[int, int] | Footage
"""(width, height) of a picture in pixels, or what is known of a video."""


@dataclass(frozen=True)
class Span:
    """Neighbouring places of one picture's rows: `length` tokens from `start`, whose rows have the shape `grid` (t, h, w).

    step: how many positions on the axis of time lie between rows of the grid. shared: they have one position between them.
    """

    stream: str
    index: int  # of the picture or video in the conversation
    start: int
    length: int
    grid: Grid
    step: float = 1.0
    shared: bool = False


@dataclass(frozen=True)
class Seen:
    """A picture or video of the conversation: the stream it goes in by, how it is cut, and its first place in the prompt."""

    stream: str
    cut: Cut
    start: int


@dataclass(frozen=True)
class Plan:
    """Token layout of one conversation. Per token: id, Kind (0 is text), whether training predicts it.

    A picture or video may have several spans, with text between them. `pictures`: both, in order. `prefix`: so many tokens
    at the start, all before the answer, see each other. `texts`: by stream, ids of the words that its connector reads.
    `asked`: the words of a region without a place that ends the prompt, whose places the answer says.
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
        return sum(span.length for span in self.spans if not self.pictures or not self.pictures[span.index].cut.frames)

    @property
    def video_tokens(self) -> int:
        """Tokens that rows of videos take."""
        return sum(span.length for span in self.spans) - self.image_tokens

    def positions(self, axes: int) -> list[list[int]]:
        """Positions of all tokens on each of `axes` axes.

        One axis counts, a span that shares a position once. Three are time, height and width (2409.12191): a token of text
        has its count on all of them, rows of a span count along its grid from there, and what follows goes on after the
        largest (so the released code of Qwen2-VL; transformers 5 leaves time out, which moves the text behind a long video).
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
                times = (np.arange(t, dtype=np.float32) * np.float32(span.step)).astype(int).tolist()  # fp32 there too
                cells = [(i, j, k) for i in times for j in range(h) for k in range(w)]
                for axis, numbers in zip(out, zip(*cells, strict=True), strict=True):
                    axis += [at + number for number in numbers]
                at += max(times[-1] + 1, h, w)
        return out


def plan(
    system: System,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    sizes: Sequence[Size] | None = None,
    reply: bool = True,
    max_tokens: int = 0,
) -> Plan:
    """Lay out a conversation.

    `sizes`: of its pictures and videos, in order; read from their headers where not given. `reply`: end where the
    assistant is to speak. `max_tokens`: how long an answer must still fit behind it.
    Raises InputError for pictures or videos that the system does not take, or if prompt and answer exceed its context.
    """
    media = [part for message in messages for part in message.media]
    looks = _looks(system, media, sizes)
    around = _around(messages, [look.seen.cut.picture for look in looks if not look.video])

    def written(region: Region) -> tuple[Piece, ...]:
        if system.boxes is None:
            raise InputError(f"'{system.name}' reads no regions; say in words what is meant.")
        return system.boxes.pieces(region, next(around))

    rendered = system.template.render(messages, reply, written)
    pieces, slots = _pieces(system, rendered, looks)
    encoded = tokenizer.encode(pieces)
    out = _Layout(system, tokenizer)
    for id, learn in zip(encoded.ids, encoded.supervised, strict=True):
        if id == IMAGE:
            out.place(slots.pop(0))
        else:
            out.write([id], learn)
    seen = tuple(replace(look.seen, start=start) for look, start in zip(looks, out.starts, strict=True))
    prefix = 0
    if system.attention == "prefix":
        prefix = len(out.ids) if reply else _answer(out.supervised)
        out.supervised[:prefix] = [False] * prefix  # an earlier answer is part of the prompt
    prompt = rendered if reply else rendered[: _answer([piece.supervised for piece in rendered])]
    laid = Plan(
        tuple(out.ids), tuple(out.kinds), tuple(out.supervised), tuple(out.spans), seen, prefix,
        _texts(system, tokenizer, prompt), _asked(messages),
    )  # fmt: skip
    if _length(system, laid, max_tokens) > system.lm.context:
        raise InputError(_too_long(system, laid, max_tokens))
    return laid


@dataclass(frozen=True)
class _Look:
    """A picture or video, not placed yet."""

    seen: Seen
    stream: Stream
    video: bool


@dataclass(frozen=True)
class _Slot:
    """What takes the place of one token of pieces of kind "image": some cells of look number `index`."""

    index: int
    look: _Look
    cells: tuple[str | Grid, ...]


def _looks(system: System, media: Sequence[Picture | Video], sizes: Sequence[Size] | None) -> list[_Look]:
    """Each cut as its stream cuts it."""
    pictures = sum(isinstance(part, Picture) for part in media)
    if media and not system.streams:
        what = "a picture" if pictures else "a video"
        raise InputError(f"'{system.name}' is a language model without vision; ask it without {what}.")
    if sizes is None:
        sizes = [image_size(part.source) if isinstance(part, Picture) else read_footage(part.source) for part in media]
    if len(sizes) != len(media):
        raise InputError(f"{len(sizes)} sizes were given for {len(media)} pictures and videos.")
    out = []
    for part, size in zip(media, sizes, strict=True):
        if isinstance(part, Picture):
            assert isinstance(size, tuple)
            name, stream = next(iter(system.streams.items()))
            if stream.most is not None and pictures > stream.most:
                raise InputError(_too_many(system, stream.most, pictures))
            out.append(_Look(Seen(name, stream.policy_among(pictures).cut(*size), 0), stream, False))
        else:
            assert isinstance(size, Footage)
            name, stream, film = filmed(system)
            out.append(_Look(Seen(name, film.cut(size, part.fps, part.frames), 0), stream, True))
    return out


def filmed(system: System) -> tuple[str, Stream, Film]:
    """The stream by which videos go in, with its name and its film. Raises InputError if there is none."""
    for name, stream in system.streams.items():
        if stream.film is not None:
            return name, stream, stream.film
    raise InputError(f"'{system.name}' takes no videos; show it some frames as pictures, or take a system that does.")


def _pieces(system: System, pieces: Sequence[Piece], looks: Sequence[_Look]) -> tuple[list[Piece], list[_Slot]]:
    """The prompt with videos told by their scripts, and what comes into each piece of kind "image"."""
    left = iter(enumerate(looks))
    out: list[Piece] = []
    slots: list[_Slot] = []
    for piece in pieces:
        if piece.kind not in ("image", "video"):
            out.append(piece)
            continue
        index, look = next(left)
        lines: tuple[str | tuple[str | Grid, ...], ...]
        if look.video and look.stream.film:
            lines = look.stream.film.script.lines(look.seen.cut, look.stream.rows(look.seen.cut))
        else:
            lines = (_cells(system, look.stream, look.seen.cut),)
        for line in lines:
            if isinstance(line, str):
                out.append(Piece(line, "template"))
            else:
                out.append(Piece(system.template.image, "image"))
                slots.append(_Slot(index, look, line))
    return out, slots


class _Layout:
    """Tokens so far."""

    def __init__(self, system: System, tokenizer: Tokenizer) -> None:
        self.system, self.tokenizer = system, tokenizer
        self.ids: list[int] = []
        self.kinds: list[int] = []
        self.supervised: list[bool] = []
        self.spans: list[Span] = []
        self.starts: list[int] = []  # of each picture and video

    def write(self, ids: Sequence[int], learn: bool = False, kind: int = 0) -> None:
        """Tokens of one kind."""
        self.ids += ids
        self.kinds += [kind] * len(ids)
        self.supervised += [learn] * len(ids)

    def place(self, slot: _Slot) -> None:
        """Cells of a picture or video."""
        look, film = slot.look, slot.look.stream.film if slot.look.video else None
        name = (film and film.placeholder) or self.system.placeholder
        step = film.step(look.seen.cut, look.stream.encoder.frames) if film else 1.0
        if len(self.starts) == slot.index:
            self.starts.append(len(self.ids))
        for cell in slot.cells:
            if isinstance(cell, str):
                self.write(_written(self.tokenizer, cell))
                continue
            rows = prod(cell)
            self.spans.append(Span(look.seen.stream, slot.index, len(self.ids), rows, cell, step, look.stream.shared))
            self.write([_placeholder(self.system, self.tokenizer, name)] * rows, kind=int(look.stream.kinds[-1 if film else 0]))


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


def _placeholder(system: System, tokenizer: Tokenizer, token: str) -> int:
    """The id that holds a place; 0 where the tokenizer lacks it or, being a relative's, has it beyond the vocabulary."""
    found = tokenizer.find(token)
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
    words = "".join(piece.text for piece in prompt if piece.kind not in ("special", "image", "video"))
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


def _too_many(system: System, most: int, pictures: int) -> str:
    limit = "one picture" if most == 1 else f"at most {most} pictures"
    return f"'{system.name}' takes {limit} in a conversation, and this one has {pictures}; ask about each by itself."


def _too_long(system: System, laid: Plan, max_tokens: int) -> str:
    left = system.lm.context - len(laid)
    if system.lm.start is not None:  # the answer has the decoder for itself
        left = system.lm.context - (len(laid) - laid.prefix) if laid.prefix <= system.lm.context else 0
    counts = ((laid.image_tokens, "pictures"), (laid.video_tokens, "videos"))
    shares = " and ".join(f"{count} of them for {what}" for count, what in counts if count)
    prompt = f"The prompt has {len(laid)} tokens" + (f", {shares}" if shares else "") + "," * bool(shares and max_tokens)
    asked = f" and max_tokens asks for {max_tokens} more" if max_tokens else ""
    less = f"set max_tokens to {left} or less, or " if left > 0 else ""
    fewer = " or look at fewer frames" if laid.video_tokens else " or use fewer pictures" if laid.spans else ""
    return f"{prompt}{asked}, but '{system.name}' holds {system.lm.context}; {less}shorten the text{fewer}."
