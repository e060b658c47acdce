"""What a model gives back: a finished answer, or a stream of text that becomes one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from anyvlm.generate.engine import Delta
from anyvlm.generate.reply import Finish
from anyvlm.inputs.boxes import Boxes
from anyvlm.inputs.plan import Plan
from anyvlm.inputs.regions import Box, Mask, Point
from anyvlm.parts.code.mask import MaskDecoder


@dataclass(frozen=True)
class Usage:
    """Tokens of the prompt, how many of them are pictures and videos, and tokens generated (the end token included)."""

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    video_tokens: int = 0


@dataclass(frozen=True)
class Timings:
    """Seconds since the call until pictures and prompt were ready, the first token, the last; and tokens/s after the first.

    In a batch the first two are those of the whole batch, and so is the rate's clock.
    """

    ready: float
    first_token: float
    total: float
    tokens_per_second: float


@dataclass(frozen=True)
class Answer:
    """A finished answer. `finish`: "stop" (it ended by itself or at a stop string) or "length" (max_tokens).

    `boxes`, `points`, `masks`: those that the system wrote, in pixels of the first picture; `text` is without what the system
    writes for them where its authors' processor takes that away. `images`: those it made; the text has "<image>" (or what the
    system's template calls a picture) in their places.
    """

    text: str
    finish: Finish
    usage: Usage
    timings: Timings
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    masks: tuple[Mask, ...] = ()
    images: tuple[Image.Image, ...] = ()

    def __str__(self) -> str:
        return self.text


Draw = Callable[[Sequence[int]], tuple[Image.Image, ...]]
"""The codes of whole pictures, one after another, to these pictures."""


class Growing:
    """One row's answer while it grows. White space before its first word is dropped. `masks`: their decoder, if any; `draw`:
    codes to pictures.
    """

    def __init__(
        self, plan: Plan, begin: float, boxes: Boxes | None = None, masks: MaskDecoder | None = None, draw: Draw | None = None
    ) -> None:
        self._plan, self._begin, self._boxes, self._masks = plan, begin, boxes if plan.pictures else None, masks
        self._draw, self._codes = draw, list[int]()
        self._ready = time.perf_counter()
        self._first = self._last = 0.0
        self._tokens, self._text, self._shown = 0, "", ""
        self._finish: Finish | None = None

    def push(self, delta: Delta) -> str:
        """Take news of this row; returns the text to show."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._tokens += 1
        self._finish = delta.finish
        if delta.code is not None:
            self._codes.append(delta.code)
        self._text += delta.text if self._text else delta.text.lstrip()
        shown = self._text if self._boxes is None else self._boxes.shown(self._text, delta.finish is not None)
        new, self._shown = shown[len(self._shown) :], shown
        return new

    def answer(self) -> Answer:
        """The finished answer. Raises RuntimeError before it has ended."""
        if self._finish is None:
            raise RuntimeError("the answer has not ended yet: read the stream to its end first")
        seconds = self._last - self._first
        boxes, points, masks = self._places()
        return Answer(
            self._shown,
            self._finish,
            Usage(len(self._plan), self._plan.image_tokens, self._tokens, self._plan.video_tokens),
            Timings(
                ready=self._ready - self._begin,
                first_token=self._first - self._begin,
                total=self._last - self._begin,
                tokens_per_second=(self._tokens - 1) / seconds if seconds > 0 else 0.0,
            ),
            boxes,
            points,
            masks,
            self._draw(self._codes) if self._draw and self._codes else (),
        )

    def _places(self) -> tuple[tuple[Box, ...], tuple[Point, ...], tuple[Mask, ...]]:
        if self._boxes is None:
            return (), (), ()
        size, text = self._plan.pictures[0].cut.picture, self._text
        masks = self._boxes.masks(text, size)
        if (decoder := self._masks) is not None:
            masks = tuple(replace(mask, grid=decoder.paint(mask.ids, mask.xyxy, size)) for mask in masks)
        asked = self._plan.asked  # what has no words of its own is what was asked for
        boxes = tuple(replace(box, label=box.label or asked) for box in self._boxes.read(text, size))
        return boxes, tuple(replace(p, label=p.label or asked) for p in self._boxes.points(text, size)), masks


class Stream(Iterator[str]):
    """Pieces of text as they come. `answer` is there when they have ended; `close()` stops early and frees the cache."""

    def __init__(self, deltas: Generator[Delta, None, None], growing: Growing) -> None:
        self._deltas, self._growing = deltas, growing

    def __next__(self) -> str:
        for delta in self._deltas:
            if text := self._growing.push(delta):
                return text
        raise StopIteration

    def close(self) -> None:
        """Stop generating."""
        self._deltas.close()

    @property
    def answer(self) -> Answer:
        """The finished answer. Raises RuntimeError before the text has ended."""
        return self._growing.answer()
