"""Towers are trained by the common loop; a batch in parts has the loss and gradients of a whole one."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anyvlm.data.pairs import Pair
from anyvlm.data.views import crop, view
from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import InputError
from anyvlm.inputs.text import WordsBatch
from anyvlm.system import Pixels
from anyvlm.train.cached import in_parts
from anyvlm.train.dual import contrast
from anyvlm.train.loop import run_stage
from anyvlm.train.pairs import pairs_task
from tests.parity import record
from tests.zoo.test_dual_laws import built, read, small

COLOURS = {"red": (220, 30, 30), "green": (20, 180, 40), "blue": (30, 50, 220), "white": (250, 250, 250)}


def cut(batch: dict[str, Pixels | WordsBatch], start: int, stop: int) -> dict[str, Pixels | WordsBatch]:
    """The items start ... stop - 1 of every side; pictures must be of one size."""
    out: dict[str, Pixels | WordsBatch] = {}
    for name, x in batch.items():
        if isinstance(x, Pixels):
            each = len(x.x_NC) // len(x.grids)
            out[name] = Pixels(x.x_NC[start * each : stop * each], x.grids[start:stop])
        else:
            seen = None if x.seen_BT is None else x.seen_BT[start:stop]
            out[name] = WordsBatch(x.ids_BT[start:stop], seen)
    return out


@pytest.mark.parametrize("name", ["clip-vit-b-32", "siglip-vit-b-16-224", "flair-b-16-merged30m", "prolip-b-16", "e-clip"])
def test_a_batch_in_parts_is_the_whole_batch(name: str) -> None:
    ours = built(name)
    module, batch, stage = ours.module, read(ours), ours.system.stages[0]
    assert isinstance(module, Dual)
    alike = torch.tensor([4, 4, 9]) if name == "e-clip" else None
    results = []
    for parts in ([batch], [cut(batch, 0, 2), cut(batch, 2, 3)]):
        module.zero_grad()
        torch.manual_seed(5)  # FLAIR draws captions
        losses = in_parts(module, parts, stage, alike_B=alike)
        sum(stage.losses[key] * value for key, value in losses.items()).backward()
        results.append((losses, {key: p.grad.clone() for key, p in module.named_parameters() if p.grad is not None}))
    module.zero_grad()
    torch.manual_seed(5)
    plain = contrast(module, batch, stage, alike_B=alike)
    sum(stage.losses[key] * value for key, value in plain.items()).backward()
    for losses, grads in results:
        for key, value in plain.items():
            torch.testing.assert_close(losses[key], value, atol=1e-5, rtol=1e-5)
        for key, p in module.named_parameters():
            assert (p.grad is None) == (key not in grads)
            if p.grad is not None:
                torch.testing.assert_close(grads[key], p.grad, atol=1e-5 * max(1.0, float(p.grad.abs().max())), rtol=1e-4)
    module.zero_grad()
    if alike is not None:
        record("behaviour", name, 0.0, "several partners, gradients in parts (tests/train/test_pairs.py)")


def test_parts_leave_out_the_same_patches_twice() -> None:
    ours = built("clip-vit-b-32")
    stage = ours.system.stages[0].but(keep={"image": 0.5})
    batch = read(ours)
    losses = in_parts(ours.module, [cut(batch, 0, 1), cut(batch, 1, 3)], stage, seed=7)
    ours.module.zero_grad()
    losses["image-text"].backward()
    grads = [p.grad.clone() for p in ours.module.towers["image"].parameters() if p.grad is not None]
    ours.module.zero_grad()
    again = in_parts(ours.module, [cut(batch, 0, 1), cut(batch, 1, 3)], stage, seed=7)["image-text"]
    again.backward()
    assert torch.equal(again, losses["image-text"])
    for a, p in zip(grads, (p for p in ours.module.towers["image"].parameters() if p.grad is not None), strict=True):
        assert torch.equal(a, p.grad)
    ours.module.zero_grad()
    with pytest.raises(InputError, match="at least one"):
        in_parts(ours.module, [], stage)


def coloured(count: int) -> list[Pair]:
    pairs, rng = [], np.random.default_rng(0)
    for n in range(count):
        name, rgb = list(COLOURS.items())[n % len(COLOURS)]
        noise = np.clip(np.array(rgb) + rng.normal(0, 12, (40, 40, 3)), 0, 255).astype(np.uint8)
        stream = BytesIO()
        Image.fromarray(noise).save(stream, "PNG")
        pairs.append(Pair(str(n), stream.getvalue(), (f"a {name} thing", name), (n % len(COLOURS),)))
    return pairs


@pytest.mark.parametrize(("name", "part"), [("clip-vit-b-32", None), ("clip-vit-b-32", 2), ("slip-vit-b-16", None)])
def test_towers_learn_colours_in_the_common_loop(name: str, part: int | None, tmp_path: Path) -> None:
    ours, pairs = built(name), coloured(16)
    spec = small(name)
    assert isinstance(spec, DualSystem)
    torch.manual_seed(0)
    module = spec.build()
    stage = spec.stages[0].but(batch=4, epochs=None, steps=40, lr=3e-3, schedule="constant", weight_decay=0.0)
    task = pairs_task(spec, ours.tokenizer, pairs[:4], stage, part=part)
    run_stage(module, stage, task, tmp_path / "run", workers=0, quiet=True)
    log = [line for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines() if line]
    first, last = (of(line) for line in (log[0], log[-1]))
    assert last < 0.5 * first, (first, last)
    assert float(module.contrasts[0].scale.detach().exp()) <= 100.001
    if name == "slip-vit-b-16":
        assert {"view_a", "view_b"} <= task.batch(0).parts[0].keys()
        record("behaviour", name, 0.0, "two views and texts learned together (tests/train/test_pairs.py)")


def of(line: str) -> float:
    return float(json.loads(line)["image-text"])


def test_every_pair_is_met_once_in_an_epoch_and_batches_follow_from_their_step() -> None:
    ours, pairs = built("clip-vit-b-32"), coloured(12)
    stage = ours.system.stages[0].but(batch=4, epochs=2.0, steps=None)
    task = pairs_task(ours.system, ours.tokenizer, pairs, stage)
    assert task.steps == 6
    labels = [task.batch(step).alike_B.tolist() for step in range(3)]
    assert sorted(sum(labels, [])) == sorted(pair.labels[0] for pair in pairs)
    again = task.batch(1).parts[0]
    assert torch.equal(again["image"].x_NC, task.batch(1).parts[0]["image"].x_NC)


def test_what_cannot_be_trained_on_is_told() -> None:
    ours = built("clip-vit-b-32")
    stage = ours.system.stages[0].but(batch=2)
    with pytest.raises(InputError, match="no pairs"):
        pairs_task(ours.system, ours.tokenizer, [], stage)
    good = coloured(1)[0]
    for bad, said in (
        (Pair("x7", b"no picture", ("a cat",)), "picture of 'x7'"),
        (Pair("x8", good.image, ()), "'x8' has no caption"),
    ):
        with pytest.raises(InputError, match=said):
            pairs_task(ours.system, ours.tokenizer, [good, bad], stage).batch(0)


def test_views_are_cuts_with_other_colours() -> None:
    picture, rng = Image.effect_noise((80, 50), 60).convert("RGB"), np.random.default_rng(1)
    for _ in range(20):
        cut_ = crop(picture, rng, (0.5, 1.0))
        assert cut_.width == cut_.height and view(picture, rng).mode == "RGB"
    tall = Image.new("RGB", (3, 400))
    assert crop(tall, rng, (1.0, 1.0)).size == (3, 3)  # nothing of that shape fits: the middle
    twice = [np.asarray(view(picture, np.random.default_rng(2))) for _ in range(2)]
    assert np.array_equal(*twice)
