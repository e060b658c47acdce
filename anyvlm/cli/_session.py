"""A conversation that outlives its mistakes: turns, media waiting for the next question, commands with a slash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anyvlm.errors import InputError
from anyvlm.inputs.messages import Medium, Message, Picture, Video

if TYPE_CHECKING:
    from anyvlm.generate.answer import Stream

HELP = """\
/image PATH   show a picture with the next question
/video PATH   show a video with it
/reset        forget the conversation and its pictures
/help         this list
/exit         leave (so does Ctrl-D)
Ctrl-C stops an answer; everything else is a question."""


class Leave(Exception):
    """The user has had enough."""


@dataclass
class Session:
    """`reply`: messages -> the stream of the answer's text. `look`, `watch`: a path -> the picture or video.

    A turn counts only once it has an answer: after an error, or Ctrl-C before the first word, the conversation is as it
    was, with its pictures waiting again.
    """

    reply: Callable[[Sequence[Message]], Stream]
    look: Callable[[str], Medium]
    system: str | None = None
    turns: list[Message] = field(default_factory=list)
    waiting: list[Medium] = field(default_factory=list)
    watch: Callable[[str], Medium] = Video

    def say(self, line: str) -> Iterator[str]:
        """What is to be printed for one line of the user, as it comes. Raises AnyVLMError, and Leave for /exit."""
        line = line.strip()
        if line.startswith("/"):
            yield self._command(line)
        elif line:
            yield from self._turn(line)

    def _command(self, line: str) -> str:
        command, _, rest = line.partition(" ")
        match command, rest.strip():
            case ("/image" | "/video") as kind, path if path:
                open_ = self.look if kind == "/image" else self.watch
                self.waiting.append(open_(path.strip("\"'")))
                return f"({len(self.waiting)} waiting for your question)\n" if len(self.waiting) > 1 else ""
            case "/reset", "":
                self.turns.clear()
                self.waiting.clear()
                return ""
            case "/help", "":
                return HELP + "\n"
            case (("/exit" | "/quit"), ""):
                raise Leave
        raise InputError(f"'{line}' is not a command; /help lists them.")

    def _turn(self, question: str) -> Iterator[str]:
        media = (each if isinstance(each, (Picture, Video)) else Picture(each) for each in self.waiting)
        asked = Message("user", (*media, question))
        before = [] if self.system is None else [Message("system", (self.system,))]
        said = ""
        try:
            with closing(self.reply([*before, *self.turns, asked])) as pieces:
                for piece in pieces:
                    said += piece
                    yield piece
        finally:
            if said:  # what was cut off by Ctrl-C stays, as the user has read it
                self.turns += [asked, Message("assistant", (said,))]
                self.waiting.clear()
        yield "\n"
