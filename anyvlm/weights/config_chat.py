"""The chat template of a directory (Jinja) as a `Template`: found by rendering probes, never by reading its source.

Formats of the zoo are recognised by what they print. Any other is taken apart: the text in front of, between and behind two
questions and an answer is what its `Template` says, and the result must print every probe as the original does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix
from pathlib import Path

import tokenizers

from anyvlm.errors import InputError, SpecError
from anyvlm.inputs import templates
from anyvlm.inputs.jinja import find_chat_template, render_chat_template
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.template import Template
from anyvlm.inputs.tokenizer import read_json
from anyvlm.weights.gguf import Value
from anyvlm.weights.gguf_tokenizer import read_tokenizer

_Q, _A, _S = "\ue010question\ue010", "\ue011answer\ue011", "\ue012system\ue012"
Render = Callable[[Sequence[Message]], str | None]
"""Messages -> the prompt, asking for a reply; None where the template refuses them."""


def read_template(directory: Path, specials: frozenset[str], image: str | None) -> Template:
    """The chat format of a directory; `specials`: its tokenizer's control tokens; `image`: what stands for a picture.

    A directory without a chat template continues the text as it is. Raises SpecError for a template that is not made of
    turns with fixed text between them.
    """
    config = read_json(directory / "tokenizer_config.json")
    bos, eos = (_content(config.get(key)) for key in ("bos_token", "eos_token"))
    source = find_chat_template(directory)
    if source is None:
        return _plain(bos if config.get("add_bos_token") else "", eos, specials)
    render = _renderer(source, specials, image, bos, eos)
    return recognise(_begun(render, directory, bos) if image else render, specials, image, bos, eos)


def _plain(bos: str, eos: str, specials: frozenset[str]) -> Template:
    """No turns: the text is continued."""
    found = Template(bos=bos, user_open="", user_close="", answer_open="", answer_end=eos, stop=(eos,) if eos else ())
    return replace(found, specials=_specials(found, specials))


def gguf_template(path: Path, metadata: Mapping[str, Value]) -> Template:
    """The chat format written in a GGUF file."""
    read = read_tokenizer(path, metadata)
    added = read.tokenizer.get_added_tokens_decoder()
    specials = frozenset(token.content for token in added.values())
    bos, eos = ("" if id is None else read.tokenizer.id_to_token(id) or "" for id in (read.bos, read.eos))
    if read.chat_template is None:
        return _plain(bos if read.add_bos else "", eos, specials)
    return recognise(_renderer(read.chat_template, specials, None, bos, eos), specials, None, bos, eos)


def recognise(render: Render, specials: frozenset[str], image: str | None, bos: str, eos: str) -> Template:
    """The `Template` that prints what `render` prints."""
    picture = (Picture(source=""),) if image else ()
    user, reply = Message(role="user", content=(_Q,)), Message(role="assistant", content=(_A,))
    probes = (
        [user],
        [user, reply, user],
        [Message(role="user", content=(*picture, _Q)), reply, user],
        [Message(role="system", content=(_S,)), user],
    )
    wanted = [render(probe) for probe in probes]
    if wanted[0] is None or wanted[1] is None:
        raise SpecError("The chat template of this directory cannot print a question, an answer and a question.")

    def prints_the_same(template: Template) -> bool:
        # a template that has no place for a system turn may be given one
        return all(text in (template.text(probe), None) for probe, text in zip(probes, wanted, strict=True))

    for known in (value for value in vars(templates).values() if isinstance(value, Template)):
        shown = replace(known, image=image or known.image)
        if set(known.specials) <= specials and prints_the_same(shown):
            return shown
    taken = _taken_apart(wanted[1], wanted[2], wanted[3], specials, image, bos, eos)
    if prints_the_same(taken):
        return taken
    raise SpecError("The chat template of this directory cannot be said as turns with fixed text between them.")


def _taken_apart(
    turns: str, pictured: str | None, systemic: str | None, specials: frozenset[str], image: str | None, bos: str, eos: str
) -> Template:
    """`turns`: question, answer, question; `pictured`: the same with a picture; `systemic`: system text and question."""
    parts = turns.replace(_A, _Q).split(_Q)
    if len(parts) != 4:
        raise SpecError("The chat template of this directory does not print two questions and an answer in their order.")
    first, ask, between, last = parts
    if ends := [between.find(token) + len(token) for token in specials if token in between]:
        end = min(ends)
        user_open = _common_end(first, between[end:])
    else:
        user_open = _common_end(first, between)
        end = len(between) - len(user_open)
    bos = bos if first.startswith(bos) else ""
    before = first.removeprefix(bos).removesuffix(user_open)
    system = opening = closing = ""
    if systemic and systemic.count(_S) == 1:
        opening, rest = systemic.removeprefix(bos).split(_S)
        closing = rest.split(_Q)[0].removesuffix(user_open)
    if before.startswith(opening) and before.endswith(closing):
        system = before.removeprefix(opening).removesuffix(closing)
    else:
        bos += before
    image_open, image_close = _around(pictured, first, image)
    found = Template(
        bos=bos,
        system=system,
        system_open=opening,
        system_close=closing,
        user_open=user_open,
        user_close="",
        answer_open=last,
        answer_space=ask.removeprefix(last),
        answer_end=between[:end],
        answer_close=between[end:].removesuffix(user_open),
        image=image or "<image>",
        image_open=image_open,
        image_close=image_close,
        stop=tuple(_found(between[:end], specials)) or ((eos,) if eos else ()),
    )
    return replace(found, specials=_specials(found, specials))


def _found(text: str, specials: frozenset[str]) -> list[str]:
    return sorted(token for token in specials if token in text)


def _around(with_picture: str | None, first: str, image: str | None) -> tuple[str, str]:
    """What stands in front of and behind a picture that comes before the question."""
    shown = (with_picture or "").split(_Q)[0].removeprefix(first)
    if image is None or shown.count(image) != 1:
        return "", ""
    before, after = shown.split(image)
    return before, after


def _common_end(a: str, b: str) -> str:
    return commonprefix([a[::-1], b[::-1]])[::-1]


def _specials(template: Template, specials: frozenset[str]) -> tuple[str, ...]:
    text = "".join(value for value in vars(template).values() if isinstance(value, str)) + "".join(template.stop)
    return tuple(sorted(token for token in specials if token in text and token != template.image))


def _content(token: object) -> str:
    """A token that is written as a string or as an object with its content."""
    value = token.get("content") if isinstance(token, Mapping) else token
    return value if isinstance(value, str) else ""


def _renderer(source: str, specials: frozenset[str], image: str | None, bos: str, eos: str) -> Render:
    def render(messages: Sequence[Message]) -> str | None:
        try:
            pieces = render_chat_template(
                source, messages, specials=specials, image=image or "<image>", bos=bos, eos=eos
            )
        except (InputError, SpecError):  # it has no place for a system turn, or for pictures
            return None
        return "".join(piece.text for piece in pieces)

    return render


def _begun(render: Render, directory: Path, bos: str) -> Render:
    """With the first token that a processor lets its tokenizer add where the template does not write it."""
    inner = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    adds = bool(bos) and inner.encode("a").ids[:1] == [inner.token_to_id(bos)]

    def begun(messages: Sequence[Message]) -> str | None:
        text = render(messages)
        return text if text is None or not adds or text.startswith(bos) else bos + text

    return begun
