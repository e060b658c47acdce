"""What must hold for every lesson of the registry, on a tiny student with random weights."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.parts.features import patches
from anyvlm.parts.lesson import Views
from anyvlm.system import Student, VisionSystem
from anyvlm.tiny import tiny_vision
from anyvlm.train.loop import Task, run_stage, trainable
from tests.parity import record
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
    words = torch.tensor([[3, 5, 8, 13, 21], [34, 2, 1, -100, -100]])
    return Views(x_NC, (grid, grid), labels_B=torch.tensor([3, 0]), ids_BT=words)


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
    record("laws", name, 0.0, "the laws of tests/parts/test_lesson.py")


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
    for name, stage, lacks in (("aim-600m", "probe", "labels_B"), ("aimv2-large-patch14-224", "write", "ids_BT")):
        spec = student(name, stage)
        with pytest.raises(SpecError, match=lacks):
            spec.build().losses(Views(views(spec).x_NC, views(spec).grids))


def test_a_lesson_runs_in_the_loop_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """DeepMIM's only stage: the loss falls; stopped half way and begun again, the encoder is the same bit for bit."""
    spec, (stage,) = student("deepmim-vit-b-16", "mask"), registry.system("deepmim-vit-b-16").stages

    def task(steps: int) -> Task[Views]:
        return Task(batch=lambda step: views(spec, step % 2), losses=lambda module, given: module.losses(given), steps=steps)

    def trained(folder: str, *until: int) -> dict[str, torch.Tensor]:
        for steps in until:
            module = stirred(spec.build())
            quick = stage.but(lr=3e-3, warmup=0.0, schedule="constant")
            run_stage(module, quick, task(steps), tmp_path / folder, workers=0, save_every=0.0, quiet=True)
        return module.encoder.state_dict()

    whole, halves = trained("whole", 8), trained("halves", 4, 8)
    assert all(torch.equal(whole[name], halves[name]) for name in whole)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert sum(line["features"] for line in lines[-2:]) < 0.9 * sum(line["features"] for line in lines[:2])
