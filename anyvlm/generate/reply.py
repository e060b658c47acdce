"""The text side of one row: ids become text, stop strings end it, and nothing is shown that might be part of one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from anyvlm.inputs.incremental import Decoding

Finish = Literal["stop", "length"]
"""Why a text ended: its end token or a stop string, or max_tokens."""


class StopText:
    """Text up to the first stop string. Holds back the longest end of the text that could be the start of one."""

    def __init__(self, stops: Collection[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """What can be shown now, after `text` arrived."""
        if self.found:
            return ""
        text = self._held + text
        places = [at for at in map(text.find, self._stops) if at >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        held = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` with which `stop` begins, `stop` as a whole excluded."""
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class Reply:
    """One row's answer as it grows. `finish` is None until it has ended."""

    def __init__(self, decoding: Decoding, ends: Collection[int], stops: Collection[str], max_tokens: int) -> None:
        self._decoding, self._ends, self._stop, self._left = decoding, ends, StopText(stops), max_tokens
        self._drawing = False
        self.tokens = 0  # generated, the end token included
        self.finish: Finish | None = None

    def push(self, id: int) -> str:
        """Take the next id; returns the text that can be shown."""
        self.tokens += 1
        self._left -= 1
        self._drawing = False
        if id in self._ends:
            return self._end("stop")
        text = self._stop.push(self._decoding.push(id))
        if self._stop.found:
            self.finish = "stop"
        elif self._left == 0:
            text += self._end("length")
        return text

    def draw(self, name: str) -> str:
        """Take the next code of a picture, which is no text; the first of them shows `name`."""
        self.tokens += 1
        self._left -= 1
        first, self._drawing = not self._drawing, True
        return self._stop.push(name) if first else ""

    def _end(self, why: Finish) -> str:
        text = self._stop.push(self._decoding.finish())
        self.finish = "stop" if self._stop.found else why
        return text + self._stop.finish()
