"""Chat formats as data: a frozen description turns messages into pieces of prompt, each with its origin.

Because every piece knows whether it is format, user text, answer or picture, the training mask is read off the
structure and never searched for in a string, and text typed by a user cannot become a control token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from anyvlm.errors import InputError, SpecError
from anyvlm.inputs.messages import Message, Picture, Video
from anyvlm.inputs.regions import Region
from anyvlm.spec import Spec

Kind: TypeAlias = Literal["special", "template", "user", "answer", "image", "video"]


@dataclass(frozen=True)
class Piece:
    """A stretch of the prompt.

    kind: "special" one control token of the tokenizer; "template" trusted text; "user" and "answer" untrusted text;
    "image" one picture, "video" one video, whose text is only its name in printed prompts. supervised: training predicts
    these tokens.
    """

    text: str
    kind: Kind
    supervised: bool = False


@dataclass(frozen=True, kw_only=True)
class Template(Spec):
    """A chat format. Without a system turn or earlier turns the prompt is

    ``bos user_open {pictures and text} user_close answer_open prompt_end``, and the model goes on with
    ``answer_space {answer} answer_end``, which is what training supervises. ``answer_close`` follows unsupervised.
    """

    bos: str = ""  # written once; the tokenizer adds nothing by itself
    bos_place: Literal["first", "pictures"] = "first"  # before everything, or behind a turn's pictures, then also user_open
    system: str = ""  # the default system text; "" writes no system turn
    system_open: str = ""
    system_close: str = ""
    system_inside: bool = False  # the system turn stands after the first user_open (Llama-2)
    user_open: str
    user_close: str
    user_again: str = ""  # before the second and later user_open
    text_open: str = ""  # after user_open, where the turn does not begin with a picture (Idefics3)
    text_ahead: str = ""  # before the first text of every user turn, behind pictures that stand before it (OpenFlamingo)
    answer_open: str
    prompt_end: str = ""  # behind the last answer_open (T5: "</s>" ends what its encoder reads)
    answer_space: str = ""
    answer_end: str
    answer_close: str = ""
    image: str = "<image>"  # how printed prompts show a picture
    video: str = "<video>"  # and a video, which stands where a picture could, between the same image_open and image_close
    image_open: str = ""
    image_close: str = "\n"
    image_shared: bool = False  # image_close of a picture is image_open of one right behind it
    image_place: Literal["first", "last", "inline"] = "first"  # before or behind all text of the turn; as the message has it
    user_text: bool = True  # False: only the pictures of a user turn are written (stage 1 of LLaVA)
    specials: tuple[str, ...] = ()  # the strings above that must be single control tokens
    stop: tuple[str, ...]  # what ends a reply; control tokens if in `specials`, else text to look for

    def render(self, messages: Sequence[Message], reply: bool = True, regions: Regions | None = None) -> tuple[Piece, ...]:
        """The prompt in pieces; with `reply`, it ends where the assistant is to speak.

        Messages alternate user, assistant, ... after an optional system message; with `reply` the last is the user's.
        `regions`: how a region is written, which is called in their order; without it a region is its words.
        Raises InputError otherwise.
        """
        pieces = self._pieces(*_turns(messages, reply), reply, regions or _words)
        return tuple(piece for piece in pieces if piece.text)

    def text(self, messages: Sequence[Message], reply: bool = True) -> str:
        """The prompt as one string, pictures by their name."""
        return "".join(piece.text for piece in self.render(messages, reply))

    def _pieces(
        self, system: Message | None, turns: Sequence[Message], reply: bool, regions: Regions
    ) -> Iterator[Piece]:
        if self.bos_place == "first":
            yield from self._format(self.bos)
        opening = tuple(self._system(system))
        if not self.system_inside:
            yield from opening
        for n, turn in enumerate(turns):
            if turn.role == "assistant":
                yield from self._answer(turn, self.prompt_end if n == len(turns) - 1 else "")
                continue
            opens, behind = (self.user_again if n else "") + self.user_open, ""
            if self.bos_place == "pictures":
                opens, behind = "", ("" if n else self.bos) + opens
            yield from self._format(opens)
            if n == 0 and self.system_inside:
                yield from opening
            yield from self._user(turn, behind, regions)
            yield from self._format(self.user_close)
        if reply:
            yield from self._format(self.answer_open + self.prompt_end)

    def _system(self, message: Message | None) -> Iterator[Piece]:
        text = Piece(self.system, "template") if message is None else Piece(message.text, "user")
        if text.text:
            yield from self._format(self.system_open)
            yield text
            yield from self._format(self.system_close)

    def _user(self, message: Message, behind: str, regions: Regions) -> Iterator[Piece]:
        """Pictures and text; `behind` stands between them."""
        parts = message.content
        if self.image_place != "inline":
            rest = tuple(part for part in parts if not isinstance(part, (Picture, Video)))
            parts = (*message.media, *rest) if self.image_place == "first" else (*rest, *message.media)
        if parts and not isinstance(parts[0], Picture):
            yield from self._format(self.text_open)
        previous: object = None
        for n, part in enumerate(parts):
            if isinstance(part, (Picture, Video)):
                if not (self.image_shared and isinstance(previous, Picture)):
                    yield from self._format(self.image_open)
                yield Piece(self.image, "image") if isinstance(part, Picture) else Piece(self.video, "video")
                yield from self._format(self.image_close)
            else:
                yield from self._format(behind)
                behind = ""
                if not any(isinstance(before, str) for before in parts[:n]):
                    yield from self._format(self.text_ahead)
                if isinstance(part, Region):
                    yield from regions(part)
                elif self.user_text:
                    yield Piece("\n" * isinstance(previous, str) + part, "user")
            previous = part
        yield from self._format(behind)

    def _answer(self, message: Message, end: str) -> Iterator[Piece]:
        """`end`: of the prompt before it."""
        yield from self._format(self.answer_open + end)
        yield from self._format(self.answer_space, supervised=True)
        yield Piece(message.text, "answer", supervised=True)
        yield from self._format(self.answer_end, supervised=True)
        yield from self._format(self.answer_close)

    def _format(self, text: str, supervised: bool = False) -> Iterator[Piece]:
        yield from split_specials(text, self.specials, supervised)


Regions: TypeAlias = Callable[[Region], tuple[Piece, ...]]


def _words(region: Region) -> tuple[Piece, ...]:
    return (Piece(region.label, "user"),)


def split_specials(text: str, specials: Sequence[str], supervised: bool = False) -> Iterator[Piece]:
    """Trusted text as pieces of kind "template" and "special"; of two specials at one place the longer wins."""
    if not specials:
        yield Piece(text, "template", supervised)
        return
    if "" in specials:
        raise SpecError("Template: an empty string cannot be a special token.")
    choice = "|".join(re.escape(special) for special in sorted(specials, key=len, reverse=True))
    for n, part in enumerate(re.split(f"({choice})", text)):
        if part:
            yield Piece(part, "special" if n % 2 else "template", supervised)


def _turns(messages: Sequence[Message], reply: bool) -> tuple[Message | None, Sequence[Message]]:
    """(system message or None, the other turns), checked to alternate."""
    system = messages[0] if messages and messages[0].role == "system" else None
    turns = messages[1:] if system else messages
    if not turns:
        raise InputError("There is no user message.")
    for n, turn in enumerate(turns):
        if turn.role != ("user", "assistant")[n % 2]:
            raise InputError(f"Turn {n + 1} is from '{turn.role}'; user and assistant must alternate, the user first.")
    if reply and turns[-1].role != "user":
        raise InputError("The last message is the assistant's; end with a user message to get a reply.")
    return system, turns
