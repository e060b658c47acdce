"""Tuning of the last map (ProLIP) equals the authors' code, astra-vision/ProLIP at b43e795 (`search_init_hp`), run outside the
repository; and does what the paper says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.errors import SpecError
from anyvlm.system import Pixels
from anyvlm.tiny import tiny_dual
from anyvlm.train.few_shot import fit, last_map, unmapped
from tests.golden import stored
from tests.parity import gap, pixels, record

KINDS = {"vit": "prolip-ft-vit-b-16", "resnet": "prolip-ft-rn50"}
NAMES = [name for name in registry.SYSTEMS if registry.system(name).meta.row == "prolip-ft"]


def start(name: str = "prolip-ft-vit-b-16", shared: int = 32) -> Dual:
    torch.manual_seed(0)
    return tiny_dual(registry.system(name)).but(towers__image__encoder__depth=2, shared=shared).build().eval()


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_authors(kind: str) -> None:
    _, numbers = stored("prolip_ft")
    random = np.random.default_rng(1)

    def drawn(*shape: int) -> Tensor:
        return torch.from_numpy(random.standard_normal(shape).astype(np.float32))

    views, labels = [drawn(8, 24) for _ in range(3)], torch.from_numpy(random.integers(0, 4, 8))
    classes, weight, bias = F.normalize(drawn(4, 12), dim=-1), drawn(24, 12) * 24**-0.5, drawn(12) * 0.1
    dual = tiny_dual(registry.system(KINDS["resnet"])).but(shared=12).build()
    assert last_map(dual).bias is not None  # of a ResNet; it stays
    project = torch.nn.Linear(24, 12, bias=kind == "resnet")
    dual.towers["image"].project = project
    with torch.no_grad():
        project.weight.copy_(weight.T)
        if kind == "resnet":
            project.bias.copy_(bias)
    fit(dual, views, labels, classes, shots=4, lr=1e-2, epochs=10)
    difference = gap(project.weight.detach(), numbers[kind])
    assert difference <= 1e-5, difference
    assert kind == "vit" or torch.equal(project.bias, bias)
    for name in NAMES:
        if ("-rn" in name) == (kind == "resnet"):
            record("golden", name, difference, "astra-vision/ProLIP b43e795")


KINDS_OF = 6


def pictures(count: int, seed: int) -> tuple[Pixels, Tensor]:
    """Of each class its colours, in much noise."""
    draw = torch.Generator().manual_seed(seed)
    colours = torch.randn(KINDS_OF, 3, 1, 1, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(KINDS_OF).repeat(count)
    return pixels(colours[labels] + torch.randn(len(labels), 3, 48, 48, generator=draw), 16), labels


def right(dual: Dual, classes_KE: Tensor) -> tuple[float, Tensor]:
    x, labels = pictures(20, 5)
    with torch.no_grad():
        found = (dual.points("image", x) @ classes_KE.T).argmax(1)
    return float((found == labels).float().mean()), found


def names_of(dual: Dual) -> Tensor:
    """Points that fit a little, as zero-shot names do."""
    x, labels = pictures(4, 6)
    with torch.no_grad():
        points = dual.points("image", x)
    means = torch.stack([points[labels == kind].mean(0) for kind in range(KINDS_OF)])
    noise = torch.randn(means.shape, generator=torch.Generator().manual_seed(2))
    return F.normalize(F.normalize(means - means.mean(0), dim=-1) + 1.2 * F.normalize(noise, dim=-1), dim=-1)


def test_few_shots_are_better_than_none_and_a_huge_weight_changes_nothing() -> None:
    dual = start()
    classes, begun = names_of(dual), {n: p.detach().clone() for n, p in dual.named_parameters()}
    zero, found = right(dual, classes)
    seen = [pictures(16, seed) for seed in (10, 11)]
    views, labels = [unmapped(dual, x) for x, _ in seen], seen[0][1]
    fit(dual, views, labels, classes, shots=16, stay=1e9, lr=1e-5, epochs=100)
    assert torch.equal(right(dual, classes)[1], found)
    assert gap(last_map(dual).weight.detach(), begun["towers.image.project.weight"]) <= 1e-5
    fit(dual, views, labels, classes, shots=16, lr=1e-2, epochs=100)
    few, _ = right(dual, classes)
    assert few > zero + 0.2, (zero, few)
    moved = {n for n, p in dual.named_parameters() if not torch.equal(p, begun[n])}
    assert moved == {"towers.image.project.weight"}


def test_cached_vectors_train_as_the_tower_does() -> None:
    cached, through = start(), start()
    classes = names_of(cached)
    seen = [pictures(2, seed) for seed in (10, 11)]
    fit(cached, [unmapped(cached, x) for x, _ in seen], seen[0][1], classes, shots=2, lr=1e-3, epochs=6)
    weight = last_map(through).weight
    first = weight.detach().clone()
    steps = torch.optim.Adam([weight], lr=1e-3, eps=1e-4)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(steps, 6)
    for epoch in range(6):
        x, labels = seen[(epoch + 1) % 2]
        loss = F.cross_entropy(100 * through.points("image", x) @ classes.T, labels) + 0.5 * (weight - first).square().sum()
        steps.zero_grad()
        loss.backward()
        steps.step()
        falling.step()
    assert gap(last_map(cached).weight.detach(), weight.detach()) <= 1e-6
    assert not torch.equal(weight, first)


def test_what_cannot_be_tuned_is_told() -> None:
    siglip = tiny_dual(registry.system("siglip-vit-b-16-224")).build()
    with pytest.raises(SpecError, match="does not end in a linear map"):
        last_map(siglip)
    with pytest.raises(SpecError, match="no views"):
        fit(start(), [], torch.tensor([0]), torch.ones(1, 32), shots=1)
