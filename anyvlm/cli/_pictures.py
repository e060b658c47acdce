"""Pictures named on the command line, and what is said about them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from anyvlm.inputs.image import ImageSource
    from anyvlm.inputs.messages import Message


def picture(word: str, *, remote: bool) -> Image.Image:
    """The picture at a path, at an address (only if `remote`), or on stdin (for "-"). Raises InputError if there is none."""
    from anyvlm.inputs.image import read_image

    return read_image(_source(word, remote), remote=remote)


def picture_size(word: str, *, remote: bool) -> tuple[int, int]:
    """(width, height) of that picture, from its header."""
    from anyvlm.inputs.image import image_size

    return image_size(_source(word, remote), remote=remote)


def conversation(pictures: Sequence[ImageSource], question: str, system: str | None) -> tuple[Message, ...]:
    """One question about pictures, after a system text if there is one."""
    from anyvlm.inputs.messages import Message, ask

    before = () if system is None else (Message("system", (system,)),)
    return (*before, *ask(list(pictures), question))


def _source(word: str, remote: bool) -> str | bytes:
    if word == "-":
        return _stdin()
    if word.lower().startswith(("http://", "https://")):
        if not remote:
            raise InputError(f"'{word}' is a web address; add --remote to let anyvlm fetch it, or give a file.")
    elif "." not in word and ":" not in word and not os.path.exists(word):
        raise InputError(f"There is no picture '{word}'; if it belongs to the question, put the whole question in quotes.")
    return word


@cache
def _stdin() -> bytes:
    from anyvlm.inputs.image import LIMITS

    return sys.stdin.buffer.read(LIMITS.encoded + 1)
