"""The chat template of a directory (Jinja) as a `Template`: found by rendering probes, never by reading its source.

Formats of the zoo are recognised by what they print. Any other is taken apart: the text in front of, between and behind two
questions and an answer is what its `Template` says, and the result must print every probe as the original does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os.path import commonprefix
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from anyvlm.errors import SpecError
from anyvlm.inputs import templates
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
    names = {key: _content(config.get(key)) for key in ("bos_token", "eos_token", "pad_token", "unk_token")}
    source = _source(directory, config)
    if source is None:
        return _plain(names["bos_token"] if config.get("add_bos_token") else "", names["eos_token"], specials)
    return recognise(_renderer(source, names), specials, image, names["eos_token"])


def _plain(bos: str, eos: str, specials: frozenset[str]) -> Template:
    """No turns: the text is continued."""
    found = Template(bos=bos, user_open="", user_close="", answer_open="", answer_end=eos, stop=(eos,) if eos else ())
    return replace(found, specials=_specials(found, specials))


def gguf_template(path: Path, metadata: Mapping[str, Value]) -> Template:
    """The chat format written in a GGUF file."""
    read = read_tokenizer(path, metadata)
    added = read.tokenizer.get_added_tokens_decoder()
    specials = frozenset(token.content for token in added.values())
    names = {
        f"{name}_token": "" if id is None else read.tokenizer.id_to_token(id)
        for name, id in {"bos": read.bos, "eos": read.eos, "pad": read.pad, "unk": read.unk}.items()
    }
    if read.chat_template is None:
        return _plain(names["bos_token"] if read.add_bos else "", names["eos_token"], specials)
    return recognise(_renderer(read.chat_template, names), specials, None, names["eos_token"])


def recognise(render: Render, specials: frozenset[str], image: str | None, eos: str) -> Template:
    """The `Template` that prints what `render` prints."""
    picture = (Picture(source=""),) if image else ()
    user, reply = Message(role="user", content=(_Q,)), Message(role="assistant", content=(_A,))
    probes = [[user], [user, reply, user], [Message(role="user", content=(*picture, _Q)), reply, user]]
    wanted = [render(probe) for probe in probes]
    for known in (value for value in vars(templates).values() if isinstance(value, Template)):
        shown = replace(known, image=image or known.image)
        if set(known.specials) <= specials and [shown.text(probe) for probe in probes] == wanted:
            return shown
    taken = _taken_apart(render, wanted, specials, image, eos)
    if [taken.text(probe) for probe in probes] != wanted:
        raise SpecError("The chat template of this directory cannot be said as turns with fixed text between them.")
    return taken


def _taken_apart(
    render: Render, wanted: Sequence[str | None], specials: frozenset[str], image: str | None, eos: str
) -> Template:
    parts = (wanted[1] or "").replace(_A, _Q).split(_Q)
    if len(parts) != 4:
        raise SpecError("The chat template of this directory does not print two questions and an answer in their order.")
    first, ask, between, last = parts
    user_open = _common_end(first, between)
    middle = between.removesuffix(user_open)
    end = min((middle.find(stop) + len(stop) for stop in specials if stop in middle), default=len(middle))
    before, system = first.removesuffix(user_open), ""
    opening = closing = ""
    bos = max((token for token in specials if before.startswith(token)), key=len, default="")
    with_system = render([Message(role="system", content=(_S,)), Message(role="user", content=(_Q,))])
    if with_system and with_system.count(_S) == 1:
        opening, rest = with_system.split(_S)
        closing = rest.split(_Q)[0].removesuffix(user_open)
        bos = commonprefix([before, opening]) if before in ("", bos) else bos
        opening = opening.removeprefix(bos)
        system = before.removeprefix(bos).removeprefix(opening).removesuffix(closing)
    else:
        bos = before
    image_open, image_close = _around(wanted[2], first, image)
    found = Template(
        bos=bos,
        system=system,
        system_open=opening,
        system_close=closing,
        user_open=user_open,
        user_close="",
        answer_open=last,
        answer_space=ask.removeprefix(last),
        answer_end=middle[:end],
        answer_close=middle[end:],
        image=image or "<image>",
        image_open=image_open,
        image_close=image_close,
        stop=(next((stop for stop in sorted(specials) if middle[:end].endswith(stop)), eos),),
    )
    return replace(found, specials=_specials(found, specials))


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


# Jinja ----------------------------------------------------------------------------------------------------------------


def _source(directory: Path, config: Mapping[str, object]) -> str | None:
    if (file := directory / "chat_template.jinja").is_file():
        return file.read_text(encoding="utf-8")
    for data in (read_json(directory / "chat_template.json"), read_json(directory / "processor_config.json"), config):
        match data.get("chat_template"):
            case str(source):
                return source
            case [*several]:  # [{"name": "default", "template": ...}, ...]
                for entry in several:
                    if isinstance(entry, Mapping) and entry.get("name") == "default":
                        return str(entry["template"])
    return None


def _content(token: object) -> str:
    """A token that is written as a string or as an object with its content."""
    value = token.get("content") if isinstance(token, Mapping) else token
    return value if isinstance(value, str) else ""


def _renderer(source: str, names: Mapping[str, str]) -> Render:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)

    def refuse(reason: str) -> str:
        raise TemplateError(reason)

    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda form: "", **names}
    template = environment.from_string(source)

    def render(messages: Sequence[Message]) -> str | None:
        for listed in (any(message.pictures for message in messages), True):
            turns = [{"role": message.role, "content": _turn(message, listed)} for message in messages]
            try:
                text = template.render(messages=turns, add_generation_prompt=True)
            except (TemplateError, TypeError):
                continue
            if all(part in text for message in messages for part in message.content if isinstance(part, str)):
                return text
        return None

    return render


def _turn(message: Message, listed: bool) -> object:
    if not listed:
        return message.text
    return [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image"} for part in message.content
    ]
