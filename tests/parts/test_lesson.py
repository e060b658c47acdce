"""What must hold for every lesson of the registry, on a tiny student with random weights."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
import torch

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.parts.features import patches
from anyvlm.parts.lesson import Views
from anyvlm.system import Student, VisionSystem
from anyvlm.tiny import tiny_vision
from anyvlm.train.loop import trainable
from tests.zoo.test_laws import stirred

LESSONS = [
    (name, stage.name)
    for name in sorted(registry.SYSTEMS)
    if isinstance(system := registry.system(name), VisionSystem)
    for stage in system.stages
]


def student(name: str, stage: str) -> Student:
    return tiny_vision(registry.system(name)).student(stage)


def views(spec: Student, seed: int = 0) -> Views:
    """Two items: clips where a patch lasts longer than a picture."""
    draw, eye = torch.Generator().manual_seed(seed), spec.encoder
    side, frames = 3 * eye.patch, 8 * eye.frames if eye.frames > 1 else 1
    items = torch.randn(2, frames, 3, side, side, generator=draw)
    x_NC, grid = torch.cat([patches(item, eye.patch, eye.frames) for item in items]), eye.grid(side, side, frames)
    return Views(x_NC, (grid, grid), labels_B=torch.tensor([3, 0]))


@pytest.mark.parametrize(("name", "stage"), LESSONS)
def test_stages_move_exactly_their_parameters(name: str, stage: str) -> None:
    spec = student(name, stage)
    (step,) = (each for each in registry.system(name).stages if each.name == stage)
    module = stirred(spec.build()).train()
    names = [n for n, _ in module.named_parameters()]
    moving = trainable(module, step)
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    losses = module.losses(views(spec), torch.Generator().manual_seed(0))
    assert losses.keys() == step.losses.keys()
    torch.stack(list(losses.values())).sum().backward()
    torch.optim.SGD(moving.values(), lr=1.0).step()
    moved = {n for n, p in module.named_parameters() if not torch.equal(p, before[n])}
    assert moving.keys() == {n for n in names if any(fnmatchcase(n, glob) for glob in step.train)}
    assert moved <= moving.keys()
    for glob in step.train:
        assert any(fnmatchcase(n, glob) for n in moved), f"nothing of {glob} moves"


@pytest.mark.parametrize(("name", "stage"), LESSONS)
def test_what_is_drawn_follows_the_generator(name: str, stage: str) -> None:
    spec = student(name, stage)
    module = stirred(spec.build().eval())
    one, same = (module.losses(views(spec), torch.Generator().manual_seed(7)) for _ in range(2))
    assert all(torch.equal(one[key], same[key]) for key in one)


def test_an_unknown_stage_is_refused() -> None:
    system = registry.system("aim-600m")
    with pytest.raises(SpecError, match="it has autoregressive, probe"):
        system.student("probing")
    with pytest.raises(SpecError, match="every stage"):
        system.but(lessons={})
    with pytest.raises(SpecError, match="no part at"):
        system.student("probe").part("lm.")
    with pytest.raises(SpecError, match="labels_B"):
        spec = student("aim-600m", "probe")
        spec.build().losses(Views(views(spec).x_NC, views(spec).grids))
