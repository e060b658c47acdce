"""The planner's layout of a prompt, told as runs: text, control tokens, rows of pictures, and what repeats folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Literal, TypeAlias

from anyvlm.anatomy.tokens import Cost
from anyvlm.inputs.markup import Text

if TYPE_CHECKING:
    from anyvlm.inputs.messages import Message
    from anyvlm.inputs.plan import Plan
    from anyvlm.inputs.tokenizer import Tokenizer
    from anyvlm.parts.features import Grid
    from anyvlm.system import System

What: TypeAlias = Literal["text", "control", "rows", "memory"]
LONGEST = 4
"""So many runs at most are looked at as one pattern that repeats."""


@dataclass(frozen=True)
class Run:
    """`tokens` of the prompt: None where only a tokenizer knows. `text`: what they say; `grid`: (t, h, w) of rows; `index`: of
    the picture or video whose rows they are. `memory` stands for rows beside the sequence, of which `tokens` says nothing.
    """

    what: What
    tokens: int | None
    text: str = ""
    grid: Grid | None = None
    index: int | None = None


@dataclass(frozen=True)
class Fold:
    """The same runs `times` times over."""

    runs: tuple[Run, ...]
    times: int = 1

    @property
    def tokens(self) -> int | None:
        """All of them."""
        return total(self.runs) if self.times == 1 else _times(total(self.runs), self.times)


def total(runs: Sequence[Run] | Sequence[Fold]) -> int | None:
    """Tokens of all runs; None where only a tokenizer knows."""
    counts = [run.tokens for run in runs]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _times(count: int | None, times: int) -> int | None:
    return None if count is None else count * times


def planned(plan: Plan, tokenizer: Tokenizer) -> tuple[Run, ...]:
    """Of a plan: exactly what the model reads."""
    spans = {span.start: span for span in plan.spans}
    out, at = list[Run](), 0
    while at < len(plan):
        if span := spans.get(at):
            out.append(Run("rows", span.length, "", span.grid, span.index))
            at += span.length
            continue
        stop = min((start for start in spans if start > at), default=len(plan))
        out += _words(plan.ids[at:stop], tokenizer)
        at = stop
    return tuple(out)


def _words(ids: Sequence[int], tokenizer: Tokenizer) -> Iterator[Run]:
    controls = [tokenizer.decode([id], skip_special=False) in tokenizer.specials for id in ids]
    for control, run in groupby(zip(controls, ids, strict=True), lambda pair: pair[0]):
        found = [id for _, id in run]
        if control:
            yield from (Run("control", 1, tokenizer.decode([id], skip_special=False)) for id in found)
        else:
            yield Run("text", len(found), tokenizer.decode(found, skip_special=False))


def outlined(system: System, messages: Sequence[Message], costs: Sequence[Cost]) -> tuple[Run, ...]:
    """The same without a tokenizer: of text nobody knows how many tokens it is. `costs`: of pictures and videos, in order."""
    left, out = iter(enumerate(costs)), list[Run]()
    for piece in system.template.render(messages):
        if piece.kind in ("image", "video"):
            index, cost = next(left)
            out += _look(system, index, cost)
        elif piece.kind == "special":
            out.append(Run("control", 1, piece.text))
        elif out and out[-1].what == "text":
            out[-1] = Run("text", None, out[-1].text + piece.text)
        else:
            out.append(Run("text", None, piece.text))
    return tuple(out)


def _look(system: System, index: int, cost: Cost) -> Iterator[Run]:
    stream = next(each for each in system.streams.values() if each.film or not cost.cut.frames)
    if stream.reach:
        yield from () if stream.reach == "all" else [Run("control", 1, system.placeholder)]
        yield from (Run("memory", 0, "", grid, index) for grid in cost.rows)
        return
    lines: Sequence[str | tuple[str | Grid, ...]] = (cost.cells,)
    if cost.cut.frames and stream.film:
        lines = stream.film.script.lines(cost.cut, stream.rows(cost.cut))
    for line in lines:
        for cell in (Text(line),) if isinstance(line, str) else line:
            if isinstance(cell, str):
                yield Run("text", None, cell) if isinstance(cell, Text) else Run("control", 1, cell)
            else:
                yield Run("rows", prod(cell), "", cell, index)


def folded(runs: Sequence[Run]) -> tuple[Fold, ...]:
    """Neighbours that repeat as one: rows and a line break 24 times over."""
    out, at = list[Fold](), 0
    while at < len(runs):
        best = Fold((runs[at],))
        for length in range(1, LONGEST + 1):
            pattern = tuple(runs[at : at + length])
            times = 1
            while tuple(runs[at + times * length : at + (times + 1) * length]) == pattern:
                times += 1
            if times > 1 and times * length > len(best.runs) * best.times:
                best = Fold(pattern, times)
        out.append(best)
        at += len(best.runs) * best.times
    return tuple(out)
