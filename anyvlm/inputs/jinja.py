"""Chat templates that come with a checkpoint, rendered to pieces as our own templates are.

Message texts are wrapped in marks before the template sees them, and found again in what it wrote, so that user text
stays user text; writing the same conversation without marks must give the same string.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from anyvlm.errors import InputError, SpecError
from anyvlm.inputs.messages import Message, Video
from anyvlm.inputs.sandbox import compiled
from anyvlm.inputs.template import Piece, split_specials
from anyvlm.inputs.tokenizer import read_json

Chat: TypeAlias = Sequence[Mapping[str, object]]


def render_chat_template(
    template: str,
    messages: Sequence[Message],
    *,
    specials: Collection[str],
    image: str = "<image>",
    reply: bool = True,
    bos: str = "",
    eos: str = "",
) -> tuple[Piece, ...]:
    """The conversation as the Jinja `template` of a checkpoint writes it.

    specials: the tokenizer's control tokens. image: what the template writes for one picture. An answer and the control
    token right behind it, if any, are supervised. Raises SpecError if the template fails, passes a bound, or changes
    texts so that they cannot be found again; InputError if it refuses the conversation.
    """
    values = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": reply, "tools": None, "documents": None}

    def write(chat: Chat) -> str:
        return compiled(template)({"messages": chat, **values})

    lists = _takes_lists(write)
    plain = write(_chat(messages, lists))
    marks = _Marks.unused_in(plain)
    marked = write(_chat(messages, lists, marks))
    if marks.strip(marked) != plain:
        raise SpecError("The chat template rewrites message texts; typed control tokens could not be told from its own.")
    pieces = tuple(_pieces(marked, marks, [special for special in specials if special != image], image))
    pictures = sum(len(message.pictures) for message in messages)
    if (written := sum(piece.kind == "image" for piece in pieces)) != pictures:
        raise SpecError(f"The chat template wrote '{image}' {written} times for {pictures} pictures.")
    return pieces


def find_chat_template(directory: Path) -> str | None:
    """The chat template of a checkpoint, from chat_template.jinja, or from one of three JSON files in this order."""
    if (directory / "chat_template.jinja").is_file():
        return (directory / "chat_template.jinja").read_text(encoding="utf-8")
    for name in ("chat_template.json", "processor_config.json", "tokenizer_config.json"):
        found = read_json(directory / name).get("chat_template")
        if isinstance(found, list):  # several by name
            found = next((each["template"] for each in found if each["name"] == "default"), None)
        if isinstance(found, str):
            return found
    return None


@dataclass(frozen=True)
class _Marks:
    """Three characters: before a text of the user, before an answer, behind either."""

    user: str
    answer: str
    close: str

    @staticmethod
    def unused_in(text: str) -> _Marks:
        """Characters of Unicode's second private plane that the text does not hold."""
        free = (chr(code) for code in range(0xF0000, 0xFFFFD) if chr(code) not in text)
        return _Marks(next(free), next(free), next(free))

    def around(self, text: str, role: str) -> str:
        """Spaces stay outside, where the template's `trim` finds them."""
        core = text.strip()
        if not core:
            return text
        before, _, behind = text.partition(core)
        return f"{before}{self.answer if role == 'assistant' else self.user}{core}{self.close}{behind}"

    def strip(self, text: str) -> str:
        return re.sub(f"[{self.user}{self.answer}{self.close}]", "", text)

    def split(self, text: str) -> list[str]:
        """Format, mark, text, format, mark, text, ..., format."""
        return re.split(f"([{self.user}{self.answer}])([^{self.close}]*){self.close}", text)


def _chat(messages: Sequence[Message], lists: bool, marks: _Marks | None = None) -> Chat:
    """Messages as the template reads them: contents as lists of parts or as text, marked or not."""

    def text(message: Message, part: str) -> str:
        return marks.around(part, message.role) if marks else part

    def content(message: Message) -> object:
        if lists:
            if any(isinstance(part, Video) for part in message.content):
                raise InputError("Videos are not understood in chat templates that come with a checkpoint.")
            parts = message.content
            return [{"type": "text", "text": text(message, p)} if isinstance(p, str) else {"type": "image"} for p in parts]
        if message.pictures:
            raise InputError("This model's chat template takes text only; ask it without a picture.")
        return text(message, message.text)

    return [{"role": message.role, "content": content(message)} for message in messages]


def _takes_lists(write: Callable[[Chat], str]) -> bool:
    """Whether the template reads content as a list of parts: it then writes the text alone, once."""
    try:
        written = write([{"role": "user", "content": [{"type": "text", "text": "probe"}]}])
    except (SpecError, InputError):
        return False
    return written.count("probe") == 1 and "'text'" not in written


def _pieces(marked: str, marks: _Marks, specials: Sequence[str], image: str) -> Iterator[Piece]:
    """Format and texts in turn; the control token behind an answer is supervised with it, over spaces in between."""
    first, *rest = marks.split(marked)
    yield from _format(first, specials, image)
    for mark, text, behind in zip(rest[0::3], rest[1::3], rest[2::3], strict=True):
        answer = mark == marks.answer
        yield Piece(text, "answer" if answer else "user", supervised=answer)
        pieces = list(_format(behind, specials, image))
        end = next((n for n, piece in enumerate(pieces) if piece.text.strip()), 0)
        if answer and pieces and pieces[end].kind == "special":
            pieces[: end + 1] = [Piece(piece.text, piece.kind, supervised=True) for piece in pieces[: end + 1]]
        yield from pieces


def _format(text: str, specials: Sequence[str], image: str) -> Iterator[Piece]:
    for n, part in enumerate(text.split(image)):
        if n:
            yield Piece(image, "image")
        yield from (piece for piece in split_specials(part, specials) if piece.text)
