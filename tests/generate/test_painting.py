"""Painting, on tiny random systems: whole pictures, alike for a seed, guided, and in the middle of text."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from anyvlm import registry
from anyvlm.errors import InputError
from anyvlm.generate.answer import Answer
from anyvlm.generate.device import Place
from anyvlm.generate.model import Model
from anyvlm.generate.painting import Brush, asked, codes
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.system import System
from anyvlm.tiny import CODES, SIDE, tiny
from tests.whole import bytes_and

PAINTERS = [name for name in registry.SYSTEMS if getattr(registry.system(name), "painting", None)]
PLACES = SIDE * SIDE
SAMPLINGS = {"guidance": 1.5, "temperature": 1.3, "seed": 5}


@cache
def model(name: str) -> Model:
    """Random weights, large enough that prompts and earlier codes matter."""
    system = tiny(registry.system(name))
    assert isinstance(system, System) and system.painting
    painting, template = system.painting, system.template
    marks = [*template.specials, *painting.template.specials, painting.begin, painting.end, painting.blank or template.bos]
    tokenizer = Tokenizer(bytes_and(*dict.fromkeys([*marks, system.placeholder])))
    torch.manual_seed(1)
    vlm = system.build().eval()
    with torch.no_grad():
        for parameter in vlm.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    return Model(system, vlm, tokenizer, Place(torch.device("cpu"), torch.float32))


def same(a: Answer, b: Answer) -> bool:
    return len(a.images) == len(b.images) and all(
        np.array_equal(np.asarray(x), np.asarray(y)) for x, y in zip(a.images, b.images, strict=True)
    )


@pytest.mark.parametrize("name", PAINTERS)
@given(
    prompt=st.text(min_size=1, max_size=30).filter(str.strip), count=st.integers(1, 3),
    guidance=st.sampled_from([1.0, 0.0, 4.0]), temperature=st.sampled_from([0.0, 0.5, 3.0]), seed=st.integers(0, 2**40),
)  # fmt: skip
@settings(max_examples=4, deadline=None)
def test_pictures_are_whole(name: str, prompt: str, count: int, guidance: float, temperature: float, seed: int) -> None:
    made = model(name).paint(prompt, count=count, guidance=guidance, temperature=temperature, seed=seed)
    assert [(image.mode, image.size) for image in made.images] == [("RGB", (SIDE * 16, SIDE * 16))] * count
    assert made.usage.completion_tokens == count * PLACES and made.text == "" and made.finish == "stop"


@pytest.mark.parametrize("name", PAINTERS)
def test_a_seed_is_a_picture(name: str) -> None:
    """Whatever was painted before or is painted beside it; and no two alike."""
    paint = model(name).paint
    four = paint("a cat", count=4, rows=3, **SAMPLINGS)
    assert same(four, paint("a cat", count=4, rows=2, **SAMPLINGS))
    for n, image in enumerate(four.images):
        (alone,) = paint("a cat", **SAMPLINGS | {"seed": 5 + n}).images
        assert np.array_equal(np.asarray(alone), np.asarray(image))
    assert len({image.tobytes() for image in four.images}) == 4
    fresh = SAMPLINGS | {"seed": None}
    assert not same(paint("a cat", **fresh), paint("a cat", **fresh))


@pytest.mark.parametrize("name", PAINTERS)
def test_guidance(name: str) -> None:
    """1 is what the prompt alone gives, 0 what is drawn unasked; the prompt matters to the one and not to the other."""
    loaded = model(name)
    laid = asked(loaded.system, loaded.tokenizer, "a cat")
    settings_ = {"temperature": 0.0, "top_k": 0, "top_p": None, "seed": 1, "count": 1, "rows": 1}

    def written(guidance: float, plans: tuple[object, ...]) -> torch.Tensor:
        batch = collate(loaded.system, plans, [[] for _ in plans])
        return codes(loaded.vlm, batch, Brush(loaded.system, guidance=guidance, **settings_), [torch.Generator()])

    assert torch.equal(written(1.0, laid[:1]), written(1.0 + 1e-6, laid))
    assert torch.equal(written(1.0, laid[1:]), written(0.0, laid))
    assert not torch.equal(written(1.0, laid[:1]), written(6.0, laid))
    assert not same(loaded.paint("a cat", **SAMPLINGS), loaded.paint("the sea", **SAMPLINGS))


@pytest.mark.parametrize("name", PAINTERS)
@torch.no_grad()
def test_step_by_step_is_all_at_once(name: str) -> None:
    """The likeliest code after those before it, where all are computed together, and prompts are ragged."""
    loaded = model(name)
    plans = [asked(loaded.system, loaded.tokenizer, prompt)[0] for prompt in ("a cat", "a boat on the sea at night")]
    batch = collate(loaded.system, plans, [[], []])
    brush = Brush(loaded.system, guidance=1.0, temperature=0.0, top_k=0, top_p=1.0, seed=1, count=2, rows=2)
    written = codes(loaded.vlm, batch, brush, [torch.Generator(), torch.Generator()])
    assert torch.equal(loaded.vlm.painted(batch, written).argmax(-1), written)


def likelier(monkeypatch: pytest.MonkeyPatch, loaded: Model, ids: list[int], by: float) -> None:
    added = torch.zeros(loaded.system.lm.vocab)
    added[ids] = by
    plain = loaded.vlm.lm.logits
    monkeypatch.setattr(loaded.vlm.lm, "logits", lambda hidden: plain(hidden) + added)


TALK = [[{"role": "user", "content": word}] for word in ("a", "bc", "def")]


def test_pictures_among_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chameleon writes both: the text names every picture at its place, and max_tokens never cuts one."""
    loaded = model("chameleon-7b")
    likelier(monkeypatch, loaded, [loaded.tokenizer.id("<racm3:break>")], 12.0)
    hot = Sampling(max_tokens=60, temperature=1.5, seed=3, pictures=True)
    answers = loaded.generate(TALK, hot)
    assert sum(len(answer.images) for answer in answers) >= 2
    for talk, answer in zip(TALK, answers, strict=True):
        assert answer.text.count("<image>") == len(answer.images)
        assert all(isinstance(image, Image.Image) and image.size == (48, 48) for image in answer.images)
        stream = loaded.stream(talk, hot)
        assert "".join(stream) == answer.text and same(stream.answer, answer)
    plain = loaded.generate(TALK, Sampling(max_tokens=60, temperature=1.5, seed=3))
    assert all(answer.images == () and "<image>" not in answer.text for answer in plain)


def test_text_alone_has_no_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, words = model("chameleon-7b"), range(512 - CODES, 512)
    likelier(monkeypatch, loaded, list(words), 20.0)
    _, deltas = loaded._begin(TALK, Sampling(max_tokens=40, temperature=2.0, seed=1))
    assert not set(words) & {delta.id for delta in deltas}


def test_what_is_refused() -> None:
    paint = model("janus-pro-1b").paint
    for wrong, words in (
        ({"guidance": -1.0}, "guidance"), ({"guidance": float("nan")}, "guidance"), ({"count": 0}, "count"),
        ({"temperature": -1.0}, "temperature"), ({"seed": -1}, "seed"), ({"top_p": 0.0}, "top_p"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            paint("a cat", **wrong)
    with pytest.raises(InputError, match="empty"):
        paint(" ")
    with pytest.raises(InputError, match="holds 512"):
        paint("a cat" * 200)
    janus, chameleon = model("janus-pro-1b"), model("chameleon-7b")
    talk = [[{"role": "user", "content": "a"}]]
    with pytest.raises(InputError, match="does not write pictures into its text"):
        janus.generate(talk, Sampling(pictures=True))
    with pytest.raises(InputError, match=f"takes {PLACES + 2} tokens and max_tokens is {PLACES + 1}"):
        chameleon.generate(talk, Sampling(pictures=True, max_tokens=PLACES + 1))
    half = chameleon.system.but(streams__image__encoder__draws=False)
    with pytest.raises(InputError, match="vqgan.ckpt"):
        Model(half, half.build(), chameleon.tokenizer, chameleon.place).paint("a cat")
    mute = chameleon.system.but(painting=None)
    with pytest.raises(InputError, match="cannot paint"):
        Model(mute, mute.build(), chameleon.tokenizer, chameleon.place).paint("a cat")
