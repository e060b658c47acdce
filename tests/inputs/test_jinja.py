"""Foreign chat templates: the same string as transformers, texts found again, hostile ones stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from anyvlm.errors import InputError, SpecError
from anyvlm.inputs import templates
from anyvlm.inputs.jinja import find_chat_template, render_chat_template
from anyvlm.inputs.messages import Message, Picture, ask
from anyvlm.inputs.template import Piece, Template

CHATML = (  # SmolLM2
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a "
    "helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] "
    "+ '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + "
    "message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}"
    "{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAVA = (  # llava-hf/llava-1.5-7b-hf
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in "
    "message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}"
    "{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}"
    "{{ 'ASSISTANT:' }}{% endif %}"
)
STRICT = (  # Mistral's checks, a namespace, a macro, tojson
    "{%- macro turn(text) -%} [INST] {{ text }} [/INST]{%- endmacro -%}{{ bos_token }}{% set ns = namespace(n=0) %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% set ns.n = ns.n + 1 %}"
    "{% if m.role == 'user' %}{{ turn(m.content) }}{% else %} {{ m.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}{{ {'n': ns.n} | tojson }}"
)
CASES = {
    "chatml": (CHATML, ("<|im_start|>", "<|im_end|>"), False),
    "llama-3": (LLAMA_3, templates.LLAMA_3.specials, False),
    "llava": (LLAVA, ("<s>", "</s>", "<image>"), True),
    "strict": (STRICT, ("<s>", "</s>"), False),
}
words = st.sampled_from(
    ["Hi", " ", "\n", "<|im_end|>", "<image>", "</s>", "{{ 7 }}", "'", "ü🙂", "\U000f0000", "\U000f0001a\U000f0002"]
)
texts = st.lists(words, min_size=1, max_size=5).map("".join)


@pytest.mark.parametrize("name", CASES)
@given(turns=st.lists(texts, min_size=1, max_size=4), reply=st.booleans())
def test_the_string_is_that_of_transformers(name: str, turns: list[str], reply: bool) -> None:
    template, specials, lists = CASES[name]
    talk = [Message(("user", "assistant")[n % 2], (text,)) for n, text in enumerate(turns)]
    pieces = render_chat_template(template, talk, specials=specials, reply=reply, bos="<s>", eos="</s>")
    chat = [
        {"role": m.role, "content": [{"type": "text", "text": m.text}] if lists else m.text} for m in talk
    ]  # fmt: skip
    (expected,), _ = render_jinja_template(
        [chat], chat_template=template, add_generation_prompt=reply, bos_token="<s>", eos_token="</s>"
    )
    assert "".join(piece.text for piece in pieces) == expected
    found = [(piece.text, piece.kind) for piece in pieces if piece.kind in ("user", "answer")]
    assert found == [(m.text.strip(), "answer" if m.role == "assistant" else "user") for m in talk if m.text.strip()]
    assert not any(piece.kind == "image" for piece in pieces)


@pytest.mark.parametrize(
    ("name", "ours"), [("chatml", templates.SMOLLM2), ("llama-3", templates.LLAMA_3), ("llava", templates.LLAVA_HF)]
)
def test_named_templates_say_the_same(name: str, ours: Template) -> None:
    template, specials, lists = CASES[name]
    content = (Picture("x"), "What is it?") if lists else ("What is it?",)
    talk = (Message("user", content), Message("assistant", ("A cat.",)), Message("user", ("Sure?",)))
    bos = "" if lists else ours.bos  # LLaVA's template leaves bos to the tokenizer
    pieces = render_chat_template(template, talk, specials=specials, bos=bos)
    written = "".join(piece.text for piece in pieces)
    expected = ours.text(talk).removeprefix("<s>")
    assert written == expected
    if not lists:  # joined to runs of one kind and mask, and without the bos, they are the same pieces
        assert [p for p in pieces if p.kind != "template"] == [p for p in ours.render(talk) if p.kind != "template"]


def test_answers_are_supervised_with_the_token_that_ends_them() -> None:
    talk = [*ask((), "Hi"), Message("assistant", ("Hello. ",)), *ask((), "Bye")]
    pieces = render_chat_template(CHATML, talk, specials=("<|im_start|>", "<|im_end|>"))
    assert [piece.text for piece in pieces if piece.supervised] == ["Hello.", " ", "<|im_end|>"]
    pieces = render_chat_template(LLAVA, talk, specials=("</s>",))
    assert [piece.text for piece in pieces if piece.supervised] == ["Hello."]


def test_pictures_are_counted() -> None:
    talk = ask(["a.png", "b.png"], "A literal <image>?")
    pieces = render_chat_template(LLAVA, talk, specials=())
    assert [piece.kind for piece in pieces].count("image") == 2
    assert Piece("A literal <image>?", "user") in pieces
    with pytest.raises(SpecError, match="0 times for 2 pictures"):
        render_chat_template(LLAVA, talk, specials=(), image="<picture>")
    with pytest.raises(InputError, match="text only"):
        render_chat_template(CHATML, talk, specials=())


def test_a_template_may_refuse() -> None:
    with pytest.raises(InputError, match="refuses the conversation: roles must alternate"):
        render_chat_template(STRICT, [Message("assistant", ("x",))], specials=())


def test_a_template_that_rewrites_texts_is_refused() -> None:
    rewriting = "{% for m in messages %}{{ m.content[:4] }}{% endfor %}"
    with pytest.raises(SpecError, match="rewrites message texts"):
        render_chat_template(rewriting, ask((), "Hello world"), specials=())


HOSTILE = [
    "{% for a in range(20000) %}{% for b in range(20000) %}{% endfor %}{% endfor %}",
    "{% set l = range(1000)|list %}{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(10**9) %}{% endfor %}",
    "{% for a in range(999999999) %}{% endfor %}",
    "{% for a in range('999999999'|int) %}{% endfor %}",
    "{% for a in range(99999) %}aaaaaaaaaaaaaaaaaaaa{% endfor %}",
    "{{ 'a' * 400000000 }}",
    "{{ 400000 * 'aaaaaa' }}",
    "{{ ['a'] * 4000000 }}",
    "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x|length }}",
    "{% set n = namespace(x='a') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x|length }}",
    "{{ 'a'|center(999999999) }}",
    "{{ 'a'.ljust(999999999) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '%999999999d'|format(1) }}",
    "{{ '{:>999999999}'.format(1) }}",
    "{{ 9**9**9 }}",
    "{{ lipsum(n=1000) }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.append(1) }}",
    "{{ raise_exception.__globals__.x }}",
    "{{ namespace(_x=1) }}",
    "{{ dict.mro() }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% include '/etc/passwd' %}",
    "{{ 1 / 0 }}",
    "{{ undefined_thing.x }}",
    "{% for",
]


@pytest.mark.parametrize("template", HOSTILE)
def test_hostile_templates_are_stopped(template: str) -> None:
    started = time.perf_counter()
    with pytest.raises(SpecError) as caught:
        render_chat_template(template, ask((), "Hi"), specials=())
    assert time.perf_counter() - started < 1.5
    assert str(caught.value).startswith("The chat template")


def test_where_templates_are_found(tmp_path: Path) -> None:
    assert find_chat_template(tmp_path) is None
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "a"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": named}))
    assert find_chat_template(tmp_path) == "a"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "b"}))
    assert find_chat_template(tmp_path) == "b"
    (tmp_path / "chat_template.jinja").write_text("c\n")
    assert find_chat_template(tmp_path) == "c\n"
