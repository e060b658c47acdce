"""What must hold for every system of towers, on its tiny twin with random weights; systems that differ in size share one."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import anyvlm
from anyvlm import registry
from anyvlm.contrasts import (
    ConditionedModule,
    HardNegatives,
    MeanSigmoidModule,
    OneWayModule,
    ProbabilisticModule,
    ViewsModule,
    uncertainty,
)
from anyvlm.dual import Dual, DualSystem, Look, Sigmoid, SignalTower, Tower
from anyvlm.errors import InputError, SpecError
from anyvlm.generate import model
from anyvlm.generate.device import place
from anyvlm.generate.dual import DualModel
from anyvlm.inputs.text import TextPolicy, WordsBatch
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.features import still
from anyvlm.spec import to_json
from anyvlm.system import Pixels
from anyvlm.tiny import tiny_dual
from anyvlm.train.loop import trainable
from anyvlm.weights.load import Loaded, load_system
from anyvlm.weights.save import save, tensors
from tests.commands import run
from tests.parity import record
from tests.whole import bytes_and, noise
from tests.zoo.test_laws import assert_equal, close, stirred

# VideoCLIP, which sees no pictures but rows made of them, has its laws in test_videoclip_golden.py
EVERY = sorted(
    name for name in registry.SYSTEMS if isinstance(each := registry.system(name), DualSystem) and "image" in each.towers
)
TEXTS = ["a cat on a sofa", "two dogs", "x" * 300]


@cache
def small(name: str) -> DualSystem:
    system = tiny_dual(registry.system(name)).but(tokenizer=None, fresh=())
    eye = system.towers["image"].encoder
    return system.but(towers__image__encoder__depth=2) if hasattr(eye, "depth") else system


TWINS = dict[str, list[str]]()
for each in EVERY:
    plain = small(each).but(name="", checkpoints=(), stages=(), meta=registry.system("clip-vit-b-32").meta)
    TWINS.setdefault(json.dumps(to_json(plain)), []).append(each)
NAMES = [names[0] for names in TWINS.values()]
ALIKE = {names[0]: names for names in TWINS.values()}
FIRST = {type(registry.system(name).contrasts[0]): name for name in reversed(NAMES)}


@cache
def built(name: str) -> DualModel:
    """Random values, the numbers of contrasts as training begins with them."""
    policy = small(name).towers["text"].policy
    assert isinstance(policy, TextPolicy)
    lead = [token for kind, token in policy.lead if kind == "special"]
    inner = bytes_and(*{token for token in (policy.first, policy.last, policy.pad, *lead) if token})
    fresh = small(name).build()
    module = stirred(small(name).build().eval())
    assert isinstance(module, Dual)
    module.contrasts.load_state_dict(fresh.contrasts.state_dict())
    with torch.no_grad():
        for n, p in module.named_parameters():
            if n.endswith(".var"):
                p.abs_()
    return DualModel(small(name), module, Tokenizer(inner), place("cpu", "fp32"))


def pictures() -> list[object]:
    return [noise(40, 30, 1), noise(64, 64, 2), noise(20, 80, 3)]


def read(ours: DualModel) -> dict[str, Pixels | WordsBatch]:
    """The pictures and texts as a training batch."""
    tower, beside = ours.system.towers["image"], ours.system.towers["text"]
    assert isinstance(tower, Tower) and isinstance(beside.policy, TextPolicy)
    arrays = [torch.from_numpy(tower.policy.arrays(picture)[0]) for picture in pictures()]
    x_NC = torch.cat([still(x, tower.encoder) for x in arrays])
    words = [beside.policy.encode(ours.tokenizer, text) for text in TEXTS]
    grids = tuple(tower.encoder.grid(*x.shape[1:]) for x in arrays)
    senses = {name: signals(tower) for name, tower in ours.system.towers.items() if isinstance(tower, SignalTower)}
    sides = {side for each in ours.system.contrasts for side in each.sides} - ours.system.towers.keys()
    views = {side: Pixels(x_NC.flip(1) + 0.1 * n, grids) for n, side in enumerate(sorted(sides))}
    return {"image": Pixels(x_NC, grids), "text": beside.policy.collate(ours.tokenizer, words)} | senses | views


def signals(tower: SignalTower) -> Pixels:
    """Three random arrays of a sense."""
    encoder, random = tower.encoder, torch.Generator().manual_seed(4)
    arrays = [torch.randn(encoder.channels, *encoder.size, generator=random) for _ in range(3)]
    return Pixels(torch.cat(list(map(encoder.cut, arrays))), (encoder.grid(*encoder.size),) * 3)


@pytest.mark.parametrize("name", NAMES)
def test_together_is_alone(name: str) -> None:
    ours = built(name)
    fit = ours.scores(pictures(), TEXTS)
    assert fit.cosine.shape == fit.probability.shape == (3, 3) and set(fit.cut) == {2}
    both = ours.embed(pictures(), TEXTS, batch=2)
    assert both.images is not None and both.texts is not None
    for i, picture in enumerate(pictures()):
        close(ours.embed(picture).images[0], both.images[i])
    for j, text in enumerate(TEXTS):
        close(ours.embed(texts=text).texts[0], both.texts[j])
    close(fit.cosine, both.images @ both.texts.T)
    assert torch.allclose(both.images.norm(dim=-1), torch.ones(3), atol=1e-5)
    each = isinstance(ours.system.contrasts[0], Sigmoid)
    assert each or torch.allclose(fit.probability.sum(1), torch.ones(3), atol=1e-5)
    if each:  # one text alone has the probability it has among others
        close(ours.scores(pictures(), TEXTS[:1]).probability, fit.probability[:, :1])


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_vectors_are_the_same_without_the_rows_that_nobody_asked_for(name: str) -> None:
    ours = built(name)
    sides = read(ours)
    for sense, tower in ours.module.towers.items():
        close(tower(sides[sense]), ours.module.look(sense, sides[sense]).vector_BE)


def reference(contrast: torch.nn.Module, first: Look, second: Look) -> Tensor:
    if isinstance(contrast, ViewsModule):
        views = torch.cat([F.normalize(contrast.head(look.pooled_BD), dim=-1) for look in (first, second)])
        alone = contrast.spec.scale * (views @ views.T) - 1e9 * torch.eye(len(views))
        return F.cross_entropy(alone, torch.arange(len(views)).roll(len(views) // 2))
    a, b = first.point_BE, second.point_BE
    z, same = contrast.scale.exp() * (a @ b.T), torch.eye(len(a))

    def pairs(z: Tensor) -> Tensor:
        return -F.logsigmoid((z + contrast.bias) * (2 * same - 1)).sum() / len(a)

    if isinstance(contrast, ConditionedModule):
        return (pairs(z) + pairs(contrast.scale.exp() * contrast.fine(first, second))) / 2
    if isinstance(contrast, ProbabilisticModule):
        sure = uncertainty(first)[:, None] + uncertainty(second)
        return pairs(z - contrast.scale.exp() * sure / 2) + contrast.between(first, second) - contrast.pairwise(first, second)
    if isinstance(contrast.spec, Sigmoid):
        return pairs(z) / (len(a) if isinstance(contrast, MeanSigmoidModule) else 1)
    if isinstance(contrast, OneWayModule):
        return F.cross_entropy(z, same)
    if isinstance(contrast.spec, HardNegatives):
        w = (contrast.spec.beta * z).exp() * (1 - same)
        sums = ((same + (len(a) - 1) * w / w.sum(side, keepdim=True)) * z.exp() for side in (1, 0))
        return sum((x.sum(side).log() - z.diagonal()).mean() for x, side in zip(sums, (1, 0), strict=True)) / 2
    return (F.cross_entropy(z, same) + F.cross_entropy(z.T, same)) / 2


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_the_two_line_reference(name: str) -> None:
    ours = built(name)
    module, batch = ours.module, read(ours)
    losses = module.losses(batch)
    assert len(losses) == len(module.contrasts)
    loss = sum(losses.values())
    ours_grads = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
    looks = module.looks(batch)
    wanted = sum(reference(each, looks[each.spec.a], looks[each.spec.b]) for each in module.contrasts)
    theirs = torch.autograd.grad(wanted, list(module.parameters()), allow_unused=True)
    torch.testing.assert_close(loss, wanted, atol=1e-5, rtol=1e-5)
    for a, b in zip(ours_grads, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, atol=2e-5 * max(1.0, float(b.abs().max())), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_stages_move_exactly_their_parameters(name: str) -> None:
    """In training: the running statistics of batch norms move without a gradient."""
    stages = [stage for alike in ALIKE[name] for stage in registry.system(alike).stages]
    assert all(registry.system(alike).stages for alike in ALIKE[name])
    for stage in {(stage.train, tuple(stage.bounds)): stage for stage in stages}.values():
        module = built(name).module
        fresh = small(name).build().train()
        fresh.load_state_dict(module.state_dict())
        for glob in (*stage.train, *stage.rates, *stage.bounds):
            assert any(fnmatchcase(n, glob) for n, _ in fresh.named_parameters()), f"{stage.name}: {glob} is no parameter"
        moving = trainable(fresh, stage)
        before = {n: p.detach().clone() for n, p in fresh.named_parameters()}
        losses = fresh.losses(read(built(name)))
        assert losses.keys() >= stage.losses.keys()
        if len(small(name).towers) == 2:  # of many senses a stage may leave a pair alone, as ImageBind's does
            assert losses.keys() == stage.losses.keys()
        sum(weight * losses[name] for name, weight in stage.losses.items()).backward()
        torch.optim.SGD(moving.values(), lr=1.0).step()
        moved = {n for n, p in fresh.named_parameters() if not torch.equal(p, before[n])}
        assert moved == moving.keys() and all(any(fnmatchcase(n, glob) for n in moved) for glob in stage.train)


@pytest.mark.parametrize("name", NAMES)
def test_saved_directory_is_the_same(name: str, tmp_path: Path) -> None:
    ours = built(name)
    loaded = Loaded(ours.system, ours.module, ours.tokenizer)
    assert tensors(loaded).keys() == dict(ours.module.named_parameters()).keys()
    save(loaded, tmp_path / "saved")
    again = load_system(tmp_path / "saved")
    assert again.system.but(checkpoints=(), tokenizer=None) == ours.system.but(checkpoints=())
    assert_equal(tensors(again), tensors(loaded))
    fits = [one.scores(pictures(), TEXTS) for one in (DualModel.load(again.system, place("cpu", "fp32")), ours)]
    assert torch.equal(fits[0].cosine, fits[1].cosine) and torch.equal(fits[0].probability, fits[1].probability)
    for alike in ALIKE[name]:
        record("laws", alike, 0.0, "the laws of tests/zoo/test_dual_laws.py")


@pytest.mark.parametrize("name", FIRST.values())
def test_classes(name: str) -> None:
    ours = built(name)
    labels, templates = ["cat", "dog", "red sofa"], ["a photo of a {}.", "{}", "art of {}"]
    found = ours.classify(pictures(), labels, templates=templates)
    assert found.probability.shape == (3, 3) and found.best[0] == labels[int(found.probability[0].argmax())]
    for j, label in enumerate(labels):
        points = ours.embed(texts=[template.format(label) for template in templates]).texts
        mean = F.normalize(F.normalize(points, dim=-1).mean(0), dim=0)
        close(found.cosine[:, j], ours.embed(pictures()).images @ mean)
    assert found.cut == {} and ours.classify(pictures()[0], ["cat", "y" * 300]).cut.keys() == {1}


def test_one_label_says_something_only_where_pairs_stand_alone() -> None:
    (softmax, sigmoid) = (next(n for kind, n in FIRST.items() if (kind is Sigmoid) == alone) for alone in (False, True))
    with pytest.raises(InputError, match="one alone always has probability 1"):
        built(softmax).classify(pictures(), ["cat"])
    assert built(sigmoid).classify(pictures(), ["cat"]).probability.shape == (3, 1)


def test_what_cannot_be_done_is_told() -> None:
    ours = built(NAMES[0])
    for ask, said in (
        (lambda: ours.embed(), "nothing to embed"),
        (lambda: ours.embed([]), "no pictures"),
        (lambda: ours.embed(texts=[]), "no texts"),
        (lambda: ours.scores(pictures(), ["a cat", " "]), "text is empty"),
        (lambda: ours.classify(pictures(), []), "no labels"),
        (lambda: ours.classify(pictures(), ["a", ""]), "one is empty"),
        (lambda: ours.classify(pictures(), ["a", "b", "a"]), "'a' is given twice"),
        (lambda: ours.classify(pictures(), ["a", "b"], templates=["photo"]), "must hold {}"),
        (lambda: ours.classify(pictures(), ["a", "b"], templates=[]), "at least one"),
    ):
        with pytest.raises(InputError, match=said):
            ask()
    with pytest.raises(SpecError, match="no part at 'lm"):
        ours.system.part("lm.")
    with pytest.raises(SpecError, match="map them"):
        ours.system.but(towers__text__project=None, shared=99)
    with pytest.raises(SpecError, match="no such tower"):
        ours.system.but(contrasts__0__b="audio")


def test_control_tokens_in_texts_stay_text() -> None:
    ours = built("clip-vit-b-32")
    policy = ours.system.towers["text"].policy
    ids = policy.encode(ours.tokenizer, "a <|endoftext|> b").ids
    assert ids.count(ours.tokenizer.id("<|endoftext|>")) == 1


def test_a_system_of_towers_is_not_asked(tmp_path: Path) -> None:
    ours = built("clip-vit-b-32")
    save(Loaded(ours.system, ours.module, ours.tokenizer), tmp_path / "saved")
    with pytest.raises(InputError, match="compares and does not answer"):
        model.load(tmp_path / "saved")
    assert isinstance(anyvlm.load(tmp_path / "saved", device="cpu"), DualModel)
    noise(30, 20, 1).save(tmp_path / "picture.png")
    done = run("tokens", str(tmp_path / "picture.png"), "--model", "clip-vit-b-32")
    assert done.code and "answers no questions" in done.err
    shown = run("show", "siglip-vit-b-16-224")
    assert shown.code == 0 and "towers.image.pool  Probe" in shown.out and "Sigmoid" in shown.out
