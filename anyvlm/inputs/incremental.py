"""Text from ids that arrive one by one."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

import tokenizers


class Decoding(Protocol):
    """Ids to text, one by one."""

    def push(self, id: int) -> str:
        """The text that is certain with this id."""

    def finish(self) -> str:
        """The text that was still held back."""


class Incremental:
    """Everything pushed, then finished, joins to what decoding all ids at once gives; no half character ever comes out.

    A token's text can depend on its neighbours (a leading space, a character of several bytes), so each is decoded
    together with the tokens that came out last. `hidden` ids have no text. A run of `raw` bytes is held back until it
    ends: one bad byte makes the decoder give up all of it.
    """

    def __init__(self, inner: tokenizers.Tokenizer, hidden: Set[int], raw: Set[int]) -> None:
        self._inner, self._hidden, self._raw = inner, hidden, raw
        self._ids: list[int] = []  # those that came out last, then those still held
        self._out = 0  # how many of them are out

    def push(self, id: int) -> str:
        """The text that is certain now, often one token's, sometimes none."""
        if id < 0 or id in self._hidden:
            return ""
        self._ids.append(id)
        if id in self._raw:
            return ""
        text = self._decode(self._ids)
        return "" if text.endswith("\ufffd") else self._release(text)

    def finish(self) -> str:
        """What was held back, when no more ids come; broken characters as U+FFFD."""
        return self._release(self._decode(self._ids))

    def _release(self, text: str) -> str:
        new = text[len(self._decode(self._ids[: self._out])) :]
        if new:
            self._ids = self._ids[self._out :]
            self._out = len(self._ids)
        return new

    def _decode(self, ids: list[int]) -> str:
        return self._inner.decode(ids, skip_special_tokens=False)
