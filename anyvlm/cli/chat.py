"""`anyvlm chat`: a conversation about pictures and videos in the terminal, or line by line from a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from anyvlm.cli._options import (
    DEFAULT_MODEL,
    MAX_TOKENS,
    Device,
    Dtype,
    MaxTokens,
    Model,
    Remote,
    Seed,
    SystemText,
    Temperature,
    TopK,
    TopP,
)

if TYPE_CHECKING:
    from anyvlm.generate.answer import Stream
    from anyvlm.inputs.messages import Message


def chat(
    images: Annotated[list[str] | None, typer.Argument(metavar="[IMAGE]...", help="Pictures to begin with.")] = None,
    model: Model = DEFAULT_MODEL,
    remote: Remote = False,
    max_tokens: MaxTokens = MAX_TOKENS,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    top_k: TopK = 0,
    seed: Seed = None,
    system: SystemText = None,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Talk about pictures, turn by turn.

    Lines that start with a slash are commands; /help lists them. Turns can also come from a pipe, one a line.

    Example: anyvlm chat cat.png
    """
    from anyvlm.cli._errors import complain
    from anyvlm.cli._pictures import picture, video
    from anyvlm.cli._session import Leave, Session
    from anyvlm.errors import AnyVLMError

    look, watch = partial(picture, remote=remote), partial(video, remote=remote)
    pictures = [look(image) for image in images or ()]

    from anyvlm.generate.model import load  # torch comes with it: a missing picture is told sooner
    from anyvlm.generate.sampling import Sampling

    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, top_k=top_k, seed=seed)
    loaded = load(model, device=device, dtype=dtype)

    def reply(messages: Sequence[Message]) -> Stream:
        return loaded.stream(messages, sampling)

    session = Session(reply, look, system, waiting=[*pictures], watch=watch)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    if interactive:
        print(f"{loaded.system.name}; /help lists what can be typed, /exit leaves.")
    failed = False
    for line in _lines(interactive):
        try:
            for piece in session.say(line):
                print(piece, end="", flush=True)
        except Leave:
            break
        except KeyboardInterrupt:
            if not interactive:
                raise
            print()
        except AnyVLMError as error:
            complain(error)
            failed = True
    if failed and not interactive:
        raise typer.Exit(1)


def _lines(interactive: bool) -> Iterator[str]:
    """What is typed, with a prompt and line editing for people and without for pipes."""
    if interactive:
        with suppress(ImportError):
            import readline  # noqa: F401  gives input() its editing and history
    while True:
        try:
            yield input("> " if interactive else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            if not interactive:
                raise
            print("  (/exit leaves)")
