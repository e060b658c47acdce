"""What a model gives back: a finished answer, or a stream of text that becomes one."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from anyvlm.generate.engine import Delta
from anyvlm.generate.reply import Finish
from anyvlm.inputs.boxes import Box, Boxes
from anyvlm.inputs.plan import Plan


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

    `boxes`: those that the text writes, in pixels of the first picture.
    """

    text: str
    finish: Finish
    usage: Usage
    timings: Timings
    boxes: tuple[Box, ...] = ()

    def __str__(self) -> str:
        return self.text


class Growing:
    """One row's answer while it grows. White space before its first word is dropped."""

    def __init__(self, plan: Plan, begin: float, boxes: Boxes | None = None) -> None:
        self._plan, self._begin, self._boxes = plan, begin, boxes
        self._ready = time.perf_counter()
        self._first = self._last = 0.0
        self._tokens, self._text = 0, ""
        self._finish: Finish | None = None

    def push(self, delta: Delta) -> str:
        """Take news of this row; returns the text to show."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._tokens += 1
        self._finish = delta.finish
        text = delta.text if self._text else delta.text.lstrip()
        self._text += text
        return text

    def answer(self) -> Answer:
        """The finished answer. Raises RuntimeError before it has ended."""
        if self._finish is None:
            raise RuntimeError("the answer has not ended yet: read the stream to its end first")
        seconds = self._last - self._first
        pictures = self._plan.pictures
        boxes = self._boxes.read(self._text, pictures[0].cut.picture) if self._boxes and pictures else ()
        return Answer(
            self._text,
            self._finish,
            Usage(len(self._plan), self._plan.image_tokens, self._tokens, self._plan.video_tokens),
            Timings(
                ready=self._ready - self._begin,
                first_token=self._first - self._begin,
                total=self._last - self._begin,
                tokens_per_second=(self._tokens - 1) / seconds if seconds > 0 else 0.0,
            ),
            boxes,
        )


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
