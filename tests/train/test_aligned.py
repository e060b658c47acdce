"""Heads between frozen towers, on vectors that were kept (SAIL, LLM2CLIP): they train as behind the towers, and align them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm import registry
from anyvlm.dual import Dual
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Pixels
from anyvlm.tiny import tiny_dual
from anyvlm.train.loop import trainable
from tests.parity import pixels

PAIRS, LENGTH = 48, 8


def start(name: str) -> Dual:
    torch.manual_seed(0)
    spec = tiny_dual(registry.system(name), vocab=64)
    return spec.but(towers__image__encoder__depth=2).build().eval()


def given(module: Dual, noise: int) -> tuple[Pixels, WordsBatch]:
    """Pictures of one colour each, in noise; texts that name it, in tokens that say nothing."""
    draw = torch.Generator().manual_seed(noise)
    colours = torch.randn(PAIRS, 3, 1, 1, generator=torch.Generator().manual_seed(1)) * 2
    side = module.spec.towers["image"].policy.size[0]
    images = colours + 0.3 * torch.randn(PAIRS, 3, side, side, generator=draw)
    ids = torch.randint(PAIRS, 64, (PAIRS, LENGTH), generator=draw)
    ids[:, 0] = ids[:, -1] = torch.arange(PAIRS)
    return pixels(images, module.spec.towers["image"].encoder.patch), WordsBatch(ids, None)


@torch.no_grad()
def kept(module: Dual, x: Pixels, words: WordsBatch) -> tuple[Tensor, Tensor]:
    eye, reader = module.towers["image"], module.towers["text"]
    ((_, rows),) = eye.encoder(x.x_NC, x.grids).groups()
    return eye.pool(rows), reader.pool(reader.encoder(words.ids_BT), None)


def loss_of(module: Dual, image: Tensor, text: Tensor) -> Tensor:
    a, b = (F.normalize(module.towers[n].project(v), dim=-1) for n, v in (("image", image), ("text", text)))
    return module.contrast().loss(a, b)


def right(module: Dual) -> float:
    """Recall at 1 on pictures and texts with other noise."""
    x, words = given(module, 99)
    with torch.no_grad():
        nearest = (module.points("image", x) @ module.points("text", words).T).argmax(1)
    return float((nearest == torch.arange(PAIRS)).float().mean())


@pytest.mark.parametrize("name", ["sail-dinov2-l-gte", "sail-dinov2-l-nv2"])
def test_kept_vectors_align_the_towers(name: str) -> None:
    module = start(name)
    stage, before, chance = module.spec.stages[0], {n: p.detach().clone() for n, p in module.named_parameters()}, 1 / PAIRS
    moving, views = trainable(module, stage), [kept(module, *given(module, noise)) for noise in range(6)]
    steps = torch.optim.Adam(moving.values(), lr=3e-3)
    assert right(module) < 4 * chance
    for step in range(120):
        steps.zero_grad()
        loss_of(module, *views[step % 6]).backward()
        steps.step()
    assert right(module) > 15 * chance
    moved = {n for n, p in module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == moving.keys() and not any(".encoder." in n for n in moved)


@pytest.mark.parametrize("name", ["sail-dinov2-l-gte", "llm2clip-openai-b-16"])
def test_kept_vectors_train_as_the_towers_do(name: str) -> None:
    """A frozen text tower's vectors are kept; of SAIL those of the pictures too, while LLM2CLIP trains the vision tower."""
    through, cached = start(name), start(name)
    stage, both = through.spec.stages[0], ".encoder." not in "".join(trainable(through, through.spec.stages[0]))
    for module in (through, cached):
        steps = torch.optim.SGD(trainable(module, stage).values(), lr=0.05)
        for noise in range(3):
            x, words = given(module, noise)
            if module is through:
                loss = sum(module.losses({"image": x, "text": words}).values())
            elif both:
                loss = loss_of(module, *kept(module, x, words))
            else:
                eye = module.towers["image"]
                ((_, rows),) = eye.encoder(x.x_NC, x.grids).groups()
                loss = loss_of(module, eye.pool(rows), kept(module, x, words)[1])
            steps.zero_grad()
            loss.backward()
            steps.step()
    for (n, a), b in zip(through.named_parameters(), cached.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4, msg=n)
