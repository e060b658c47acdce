"""Pictures and videos named on the command line, and what is said about them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from anyvlm.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from anyvlm.inputs.messages import Medium, Message, Video


def picture(word: str, *, remote: bool) -> Image.Image:
    """The picture at a path, at an address (only if `remote`), or on stdin (for "-"). Raises InputError if there is none."""
    from anyvlm.inputs.image import read_image

    return read_image(_source(word, remote), remote=remote)


def picture_size(word: str, *, remote: bool) -> tuple[int, int]:
    """(width, height) of that picture, from its header."""
    from anyvlm.inputs.image import image_size

    return image_size(_source(word, remote), remote=remote)


def video(word: str, *, remote: bool, fps: float | None = None, frames: int | None = None) -> Video:
    """The video at a path or (only if `remote`) at an address. Raises InputError if there is none that can be read."""
    from anyvlm.inputs.messages import Video
    from anyvlm.inputs.video import read_footage, within_reach

    _allowed(word, remote)
    found = Video(within_reach(word, remote), fps, frames)
    read_footage(found.source)
    return found


def videos(words: Sequence[str] | None, *, remote: bool, fps: float | None, frames: int | None) -> list[Video]:
    """All of them. Raises InputError for `fps` or `frames` without a video."""
    if not words and (fps is not None or frames is not None):
        raise InputError("--fps and --frames say how a video is looked at, but there is none; add --video FILE.")
    return [video(word, remote=remote, fps=fps, frames=frames) for word in words or ()]


def conversation(media: Sequence[Medium], question: str, system: str | None) -> tuple[Message, ...]:
    """One question about pictures and videos, after a system text if there is one."""
    from anyvlm.inputs.messages import Message, ask

    before = () if system is None else (Message("system", (system,)),)
    return (*before, *ask(list(media), question))


def _allowed(word: str, remote: bool) -> bool:
    """Whether it is a web address; InputError if those are not allowed."""
    web = word.lower().startswith(("http://", "https://"))
    if web and not remote:
        raise InputError(f"'{word}' is a web address; add --remote to let anyvlm fetch it, or give a file.")
    return web


def _source(word: str, remote: bool) -> str | bytes:
    if word == "-":
        return _stdin()
    if not _allowed(word, remote) and "." not in word and ":" not in word and not os.path.exists(word):
        raise InputError(f"There is no picture '{word}'; if it belongs to the question, put the whole question in quotes.")
    return word


def swallowed() -> bytes | None:
    """What was read from stdin, which nobody can read again; None if nothing was."""
    return _stdin() if _stdin.cache_info().currsize else None


@cache
def _stdin() -> bytes:
    from anyvlm.inputs.image import LIMITS

    return sys.stdin.buffer.read(LIMITS.encoded + 1)
