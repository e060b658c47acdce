"""AIM equals apple/ml-aim bd9e068 `aim-v1`, run outside the repository on the same tiny random weights.

`golden/aim.npz` holds rows, logits of the probe, and rows where attention is prefix-causal.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from anyvlm import registry
from anyvlm.parts.lesson import Views
from anyvlm.parts.next_patch import NextPatchModule, seen_before
from anyvlm.system import Checkpoint, StudentModule, VisionSystem
from anyvlm.tiny import tiny_vision
from anyvlm.train.loop import trainable
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record
from tests.zoo.test_manifest import fits

NAMES = sorted(name for name in registry.SYSTEMS if registry.system(name).meta.row == "aim")
REFERENCE = "apple/ml-aim bd9e068"
BEST, LAST = (1, 2, 3, 4, 5, 6), (-6, -5, -4, -3, -2, -1)


def given(folder: Path, **fields: object) -> VisionSystem:
    """The tiny system whose weights the authors' code was given, in their names."""
    shapes, _ = stored("aim")
    theirs = {k: v.abs() + 0.5 if k == "head.bn.running_var" else v for k, v in weights(shapes).items()}
    save_file(theirs, folder / "model.safetensors")
    system = tiny_vision(registry.system("aim-600m"))
    source = Directory(path=str(folder))
    return system.but(checkpoints=(Checkpoint(source=source, layouts=system.checkpoints[0].layouts),), **fields)


def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((3, 3, 42, 42)).astype(np.float32))


def views() -> Views:
    x = pixels(images(), 14)
    return Views(x.x_NC, x.grids)


@torch.no_grad()
def test_rows_and_probe(tmp_path: Path) -> None:
    """Of the best layers and the last; the probe in evaluation and in training, where its norm follows the batch."""
    _, golden = stored("aim")
    seen, worst = views(), 0.0
    for kind, layers in (("best", BEST), ("last", LAST)):
        system = given(tmp_path, encoder__layers=layers)
        rows = load_module(system)(seen.x_NC, seen.grids)
        worst = max(worst, gap(rows.x_ND.unflatten(0, (3, 9)), golden[kind]))
        student = load_module(system.student("probe"))
        assert isinstance(student, StudentModule)
        worst = max(worst, gap(student.lesson(student.encoder(seen.x_NC, seen.grids)), golden[kind + "_logits"]))
    student.train()
    worst = max(worst, gap(student.lesson(student.encoder(seen.x_NC, seen.grids)), golden["train_logits"]))
    worst = max(worst, gap(student.lesson.pool.mean, golden["mean_after"]))
    assert worst <= 1e-5, worst
    side = load_module(given(tmp_path, encoder__layers=(-2, -1), encoder__averaged=False))(seen.x_NC, seen.grids)
    assert gap(side.x_ND.view(3, 9, 64), torch.cat(list(golden["states"]), -1)) <= 1e-5
    for name in NAMES:
        record("golden", name, worst, REFERENCE)


def module(folder: Path) -> tuple[StudentModule, NextPatchModule]:
    """The student of the first stage, with the authors' weights in its encoder and random ones beside it."""
    system = given(folder)
    torch.manual_seed(0)
    student = system.student("autoregressive").build()
    student.encoder.load_state_dict(load_module(system).state_dict())
    assert isinstance(student.lesson, NextPatchModule)
    return student, student.lesson


@torch.no_grad()
def test_attention_of_the_first_stage(tmp_path: Path) -> None:
    student, lesson = module(tmp_path)
    _, golden = stored("aim")
    assert gap(seen_before(student.encoder, views(), torch.tensor([1, 4, 8])), golden["prefix"]) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("k", [1, 4, 8])
def test_what_a_patch_depends_on(tmp_path: Path, k: int) -> None:
    """In a prefix of k patches on those k alone; behind it on those up to itself."""
    student, lesson = module(tmp_path)
    seen, prefix_B = views(), torch.full((3,), k)
    before = seen_before(student.encoder, seen, prefix_B)
    for changed in range(9):
        x_BnC = seen.x_NC.clone().unflatten(0, (3, 9))
        x_BnC[:, changed] += 1
        after = seen_before(student.encoder, Views(x_BnC.flatten(0, 1), seen.grids), prefix_B)
        moved = {n for n in range(9) if not torch.equal(before[:, n], after[:, n])}
        expected = {n for n in range(9) if n >= changed or (changed < k and n < k)}
        assert moved == expected


def test_the_first_stage_learns(tmp_path: Path) -> None:
    """Pictures of one gradient each: the error falls below half of what guessing the mean gives, 1."""
    student, _ = module(tmp_path)
    (stage, _) = registry.system("aim-600m").stages
    slope = torch.linspace(-1, 1, 42)
    tilt = torch.randn(8, 3, 2, generator=torch.Generator().manual_seed(0))
    pictures = tilt[..., :1, None] * slope[:, None] + tilt[..., 1:, None] * slope
    x = pixels(pictures, 14)
    optimiser = torch.optim.AdamW(trainable(student, stage).values(), lr=3e-3)
    draw = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(60):
        loss = student.losses(Views(x.x_NC, x.grids), draw)["pixels"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.8 and sum(losses[-5:]) / 5 < 0.5, losses[::10]


@pytest.mark.parametrize("name", NAMES)
def test_names_at_full_size(name: str) -> None:
    """Every tensor that the authors' code makes at that size, by shape."""
    system, (tiny, _) = registry.system(name), stored("aim")
    eye = system.encoder
    sizes = {32: eye.width, 48: 4 * eye.width, 96: 3 * eye.width, 7: 1000}
    theirs = {}
    for key, shape in tiny.items():
        whole = tuple(sizes.get(size, size) for size in shape)
        if not key.startswith("trunk.blocks."):
            theirs[key] = whole
        elif key.startswith("trunk.blocks.0."):
            theirs |= {key.replace(".0.", f".{n}.", 1): whole for n in range(eye.depth)}
    fits(system, theirs, system.checkpoints[0].layouts, "aim")
    student = system.student("probe")
    fits(student, theirs, student.checkpoints[0].layouts, "aim")
    record("manifest", name, 0.0, REFERENCE)
