"""Foreign chat templates become ours, by what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tokenizers
from tokenizers import processors

from anyvlm.errors import SpecError
from anyvlm.inputs import templates
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.template import Template
from anyvlm.weights.config_chat import read_template
from tests.inputs.test_jinja import CHATML, LLAMA_3, LLAVA

IM = frozenset({"<|im_start|>", "<|im_end|>"})
BOS = frozenset({"<s>", "</s>"})
TURNS = [
    Message("user", ("Why is the sky blue?",)),
    Message("assistant", ("Rayleigh.",)),
    Message("user", ("And at dusk?",)),
]
PLAIN = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ 'Q: ' + m['content'] + '\n' }}{% else %}"
    "{{ 'A: ' + m['content'] + eos_token + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}"
)


def directory(folder: Path, template: str | None, bos: str = "", eos: str = "", **more: object) -> Path:
    config = {"bos_token": bos, "eos_token": {"content": eos}, "chat_template": template, **more}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={"a": 0}, merges=[]))
    inner.add_special_tokens([token for token in (bos, eos) if token])
    if bos:
        pair = (bos, inner.token_to_id(bos))
        inner.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[pair])
    inner.save(str(folder / "tokenizer.json"))
    return folder


def test_formats_of_the_zoo_are_recognised(tmp_path: Path) -> None:
    assert read_template(directory(tmp_path, CHATML, "", "<|im_end|>"), IM, None) == templates.SMOLLM2
    specials = frozenset(templates.LLAMA_3.specials)
    llama = directory(tmp_path, LLAMA_3, "<|begin_of_text|>", "<|eot_id|>")
    assert read_template(llama, specials, None) == templates.LLAMA_3
    # its processor lets the tokenizer write the first token
    assert read_template(directory(tmp_path, LLAVA, "<s>", "</s>"), BOS, "<image>") == templates.LLAVA_HF


def test_an_unknown_format_is_taken_apart(tmp_path: Path) -> None:
    found = read_template(directory(tmp_path, PLAIN, "<s>", "</s>"), BOS, None)
    assert found.text(TURNS) == "<s>Q: Why is the sky blue?\nA: Rayleigh.</s>\nQ: And at dusk?\nA:"
    pieces = found.render(TURNS)
    assert "".join(piece.text for piece in pieces if piece.supervised) == " Rayleigh.</s>"
    assert pieces[0].kind == "special" and found.stop == ("</s>",)


def test_a_system_text_of_its_own(tmp_path: Path) -> None:
    other = CHATML.replace("SmolLM, trained by Hugging Face", "Ada")
    found = read_template(directory(tmp_path, other, "", "<|im_end|>"), IM, None)
    assert found.text(TURNS) == templates.SMOLLM2.text(TURNS).replace("SmolLM, trained by Hugging Face", "Ada")
    system = [Message("system", ("Be brief.",)), *TURNS]
    assert found.text(system) == templates.SMOLLM2.text(system)
    assert "".join(piece.text for piece in found.render(TURNS) if piece.supervised) == "Rayleigh.<|im_end|>"


def test_pictures_of_an_unknown_format(tmp_path: Path) -> None:
    other = LLAVA.replace("'<image>\n'", "'[<image>] '")
    found = read_template(directory(tmp_path, other, "<s>", "</s>"), BOS, "<image>")
    assert found.text([Message("user", (Picture(""), "Hi"))]) == "<s>USER: [<image>] Hi ASSISTANT:"


def test_without_a_template_the_text_goes_on(tmp_path: Path) -> None:
    found = read_template(directory(tmp_path, None, "<s>", "</s>", add_bos_token=True), BOS, None)
    assert found == Template(
        bos="<s>", user_open="", user_close="", answer_open="", answer_end="</s>", stop=("</s>",), specials=("</s>", "<s>")
    )


@pytest.mark.parametrize("template", ["{{ messages | length }}", "{{ raise_exception('no') }}", "{% for", "fixed"])
def test_what_is_not_made_of_turns_is_refused(template: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        read_template(directory(tmp_path, template), IM, None)


def test_a_format_that_numbers_its_turns_is_refused(tmp_path: Path) -> None:
    counting = "{% for m in messages %}{{ loop.index }}: {{ m['content'] }}\n{% endfor %}"
    with pytest.raises(SpecError, match="cannot be said as turns"):
        read_template(directory(tmp_path, counting), IM, None)
