"""What must hold for every system that says where words are, on its tiny twin with random weights."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import anyvlm
from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.generate import model
from anyvlm.ground import Ground, GroundSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.spec import from_json, to_json
from anyvlm.tiny import tiny_ground
from anyvlm.train.ground import tokens
from anyvlm.train.loop import trainable
from anyvlm.weights.load import Loaded, load_system
from anyvlm.weights.save import save, tensors
from tests.commands import run
from tests.parity import pixels, record
from tests.whole import bytes_and
from tests.zoo.test_laws import assert_equal, close, stirred

NAMES = sorted(name for name in registry.SYSTEMS if isinstance(registry.system(name), GroundSystem))
IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 9, 2, 0, 0]])
SEEN = IDS > 0


@cache
def built(name: str) -> Ground:
    system = registry.system(name)
    assert isinstance(system, GroundSystem)
    module = stirred(tiny_ground(system).but(tokenizer=None).build().eval())
    assert isinstance(module, Ground)
    with torch.no_grad():  # a tiny map is not read outside of itself, and no share is the constant of a dead ReLU
        for key, p in module.named_parameters():
            if ".head.offset." in key or key.endswith("head.weigh.weight"):
                p.mul_(0.02)
            elif key.endswith("head.weigh.bias"):
                p.fill_(1.0)
    return module


def images() -> torch.Tensor:
    return torch.randn(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
def test_together_is_alone(name: str) -> None:
    ours = built(name)
    both = ours(pixels(images(), 32), WordsBatch(IDS, SEEN))
    for n in range(2):
        length = int(SEEN[n].sum())
        alone = ours(pixels(images()[n : n + 1], 32), WordsBatch(IDS[n : n + 1, :length], None))
        close(both[n : n + 1, :, :length], alone)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_another_order_have_their_scores_in_that_order(name: str) -> None:
    """Of the fusion and the logits; a text tower knows places of tokens."""
    ours, order = built(name), torch.tensor([0, 3, 1, 2, 4])
    levels, t_BTE = ours.levels(pixels(images(), 32)), torch.randn(2, 5, 32, generator=torch.Generator().manual_seed(2))
    seen = torch.ones(2, 5, dtype=torch.bool)
    first, second = (ours.fuse(levels, t, seen) for t in (t_BTE, t_BTE[:, order]))
    close(first.x_BND, second.x_BND)
    close(ours.align(first.x_BND, first.t_BTE)[:, :, order], ours.align(second.x_BND, second.t_BTE))


@pytest.mark.parametrize("name", NAMES)
def test_stages_move_exactly_their_parameters(name: str) -> None:
    for stage in registry.system(name).stages:
        ours = built(name).spec.build()
        ours.load_state_dict(built(name).state_dict())
        for glob in (*stage.train, *stage.rates):
            assert any(fnmatchcase(n, glob) for n, _ in ours.named_parameters())
        moving = trainable(ours, stage)
        before = {n: p.detach().clone() for n, p in ours.named_parameters()}
        logits = ours(pixels(images(), 32), WordsBatch(IDS, SEEN))
        fits = torch.zeros_like(logits).index_fill(1, torch.tensor([0, 3]), 1.0) * SEEN[:, None]
        assert stage.losses.keys() == {"tokens"}
        tokens(logits, fits, SEEN).backward()
        torch.optim.SGD(moving.values(), lr=1e3).step()
        moved = {n for n, p in ours.named_parameters() if not torch.equal(p, before[n])}
        assert moved == moving.keys()


@pytest.mark.parametrize("name", NAMES)
def test_saved_directory_is_the_same(name: str, tmp_path: Path) -> None:
    ours = built(name)
    loaded = Loaded(ours.spec, ours, Tokenizer(bytes_and("[CLS]", "[SEP]", "[PAD]")))
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert again.system.but(checkpoints=(), tokenizer=None) == ours.spec.but(checkpoints=())
    assert from_json(json.loads(json.dumps(to_json(ours.spec)))) == ours.spec
    assert_equal(tensors(again), tensors(loaded))
    record("laws", name, 0.0, "the laws of tests/test_ground.py")


def test_tokens() -> None:
    """By hand, as the authors' binary focal loss; padding does not count."""
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(3))
    fits = (torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(4)) > 0.6) & SEEN[:, None]
    total = 0.0
    read = SEEN[:, None].expand_as(fits)
    for z, fit in zip(logits[read].tolist(), fits[read].tolist(), strict=True):
        p = torch.tensor(z).sigmoid().item() if fit else 1 - torch.tensor(z).sigmoid().item()
        total += (0.25 if fit else 0.75) * (1 - p) ** 2 * -torch.tensor(p).log().item()
    torch.testing.assert_close(tokens(logits, fits, SEEN), torch.tensor(total / int(fits.any(-1).sum())))
    assert float(tokens(torch.full((1, 1, 5), 50.0), torch.ones(1, 1, 5), SEEN[:1])) < 1e-6
    assert F.relu(tokens(logits, torch.zeros_like(logits), SEEN)) > 0


def test_what_cannot_be_done_is_told(tmp_path: Path) -> None:
    ours = built(NAMES[0])
    save(Loaded(ours.spec, ours, None), tmp_path / "saved")
    with pytest.raises(InputError, match="box head comes later"):
        anyvlm.load(tmp_path / "saved")
    with pytest.raises(InputError, match="does not answer"):
        model.load(tmp_path / "saved")
    with pytest.raises(SpecError, match="no part at 'lm"):
        ours.spec.part("lm.")
    with pytest.raises(InputError, match="multiples of 32"):
        ours.spec.encoder.grid(33, 32)
    shown = run("show", NAMES[0])
    assert not shown.code and "fusion" in shown.out and "Pyramid" in shown.out

