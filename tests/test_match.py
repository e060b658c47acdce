"""What must hold for every system that scores, on its tiny twin with random weights."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import torch
from PIL import Image

import anyvlm
from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.generate import model
from anyvlm.generate.device import place
from anyvlm.generate.match import MatchModel
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.match import Match, MatchSystem
from anyvlm.tiny import tiny_match
from anyvlm.train.loop import trainable
from anyvlm.train.match import pretrain, retrieval
from anyvlm.train.slow import Pairs, Slow
from anyvlm.weights.load import Loaded, load_system
from anyvlm.weights.save import save, tensors
from tests.commands import run
from tests.parity import record
from tests.whole import bytes_and, noise
from tests.zoo.test_laws import assert_equal, close, stirred

NAMES = sorted(name for name in registry.SYSTEMS if isinstance(registry.system(name), MatchSystem))
TEXTS = ["a cat on a sofa", "two dogs, and a very long rest of the sentence", "?"]


@cache
def small(name: str) -> MatchSystem:
    system = tiny_match(registry.system(name))
    return system.but(tokenizer=None, encoder__depth=2)


@cache
def built(name: str) -> MatchModel:
    words = Tokenizer(bytes_and("[CLS]", "[SEP]"), added=small(name).added)
    module = stirred(small(name).build().eval())
    assert isinstance(module, Match)
    return MatchModel(small(name), module, words, place("cpu", "fp32"))


def pictures() -> list[Image.Image]:
    return [noise(40, 30, n) for n in range(2)]


@pytest.mark.parametrize("name", NAMES)
def test_pairs_together_are_pairs_alone(name: str) -> None:
    ours, (first, second) = built(name), pictures()
    scores = ours.match([first, second], TEXTS)
    assert scores.cosine.shape == scores.probability.shape == (2, 3)
    for i, picture in enumerate((first, second)):
        for j, text in enumerate(TEXTS):
            alone = ours.match(picture, text)
            close(alone.cosine[0, 0], scores.cosine[i, j])
            close(alone.probability[0, 0], scores.probability[i, j])
    turned = ours.match([second, first], TEXTS)
    close(turned.cosine.flip(0), scores.cosine)
    close(turned.probability.flip(0), scores.probability)


@pytest.mark.parametrize("name", NAMES)
def test_saved_directory_is_the_same(name: str, tmp_path: Path) -> None:
    """A captioner's modules that are the text tower's are written once."""
    ours = built(name)
    loaded = Loaded(ours.system, ours.module, ours.tokenizer)
    assert tensors(loaded).keys() == dict(ours.module.named_parameters()).keys()
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert again.system.but(checkpoints=(), tokenizer=None) == ours.system.but(checkpoints=(), fresh=())
    assert_equal(tensors(again), tensors(loaded))
    both = MatchModel.load(again.system, place("cpu", "fp32")), ours
    a, b = (one.match(pictures(), TEXTS) for one in both)
    assert torch.equal(a.cosine, b.cosine) and torch.equal(a.probability, b.probability)
    record("laws", name, 0.0, "the laws of tests/test_match.py")


@pytest.mark.parametrize("name", NAMES)
def test_stages_move_exactly_their_parameters(name: str) -> None:
    system = small(name)
    for stage in system.stages:
        match = stirred(system.but(temperature=system.temperature or 0.1).build())
        assert isinstance(match, Match)
        for glob in (*stage.train, *stage.rates, *stage.bounds):
            assert any(fnmatchcase(n, glob) for n, _ in match.named_parameters()), f"{stage.name}: {glob} is no parameter"
        moving = trainable(match, stage)
        before = {n: p.detach().clone() for n, p in match.named_parameters()}
        side = small(name).policy.size[0] // 16
        ids_BT = torch.tensor([[1, 5, 6, 2], [1, 7, 2, 0]])
        batch = Pairs(torch.randn(2 * side**2, 768), ((1, side, side),) * 2, ids_BT, ids_BT > 0, beside=4, written=3)
        step = pretrain if system.captioner else retrieval
        losses = step(match, batch, Slow(match, 4), 0.2)
        assert losses.keys() == stage.losses.keys()
        sum(losses.values()).backward()
        torch.optim.SGD(moving.values(), lr=1.0).step()
        moved = {n for n, p in match.named_parameters() if not torch.equal(p, before[n])}
        # what is added to all keys alike changes no attention: UniAdapter's biases there have no gradient
        still = {n for n in moving if fnmatchcase(n, "text.blocks.*.cross.key.*.bias")}
        assert moved == moving.keys() - still and all(any(fnmatchcase(n, glob) for n in moved) for glob in stage.train)


def test_what_cannot_be_scored_is_told() -> None:
    ours = built(NAMES[0])
    with pytest.raises(InputError, match="no pictures"):
        ours.match([], "a cat")
    with pytest.raises(InputError, match="no text"):
        ours.match(pictures(), ["a cat", " "])
    with pytest.raises(InputError, match=r"'aaaa.*' has \d+ tokens"):
        ours.match(pictures(), "a" * 600)
    with pytest.raises(SpecError, match="no part at 'lm"):
        registry.system("blip-itm-base-coco").part("lm.")


def test_control_tokens_in_texts_stay_text() -> None:
    ours = built(NAMES[0])
    ids_BT, _ = ours.encoded(["a [SEP] b", "a"], "[CLS]")
    assert (ids_BT == ours.tokenizer.id("[SEP]")).sum(1).tolist() == [1, 1]


def test_a_system_that_scores_is_not_asked(tmp_path: Path) -> None:
    ours = built(NAMES[0])
    save(Loaded(ours.system, ours.module, ours.tokenizer), tmp_path / "saved")
    with pytest.raises(InputError, match="answers nothing but scores"):
        model.load(tmp_path / "saved")
    assert isinstance(anyvlm.load(tmp_path / "saved", device="cpu"), MatchModel)
    picture = tmp_path / "picture.png"
    noise(30, 20, 1).save(picture)
    done = run("tokens", str(picture), "--model", "blip-itm-base-coco")
    assert done.code and "answers no questions" in done.err
