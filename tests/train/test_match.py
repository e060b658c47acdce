"""A tiny BLIP on generated pictures: all three losses fall, a stopped run goes on bit for bit, what is shared stays shared."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from anyvlm import registry
from anyvlm.data.paint import COLOURS
from anyvlm.data.shapes import SHAPES, draw
from anyvlm.errors import SpecError
from anyvlm.match import Match, MatchSystem
from anyvlm.parts.features import patches
from anyvlm.tiny import tiny_match
from anyvlm.train.loop import Task, run_stage
from anyvlm.train.match import pretrain, ramp, retrieval, wrong_partners
from anyvlm.train.slow import Pairs, Slow

SIDE, PATCH, B = 32, 16, 8
HUES = sorted(COLOURS)[:4]
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[DEC]", "[ENC]", "a", *HUES, *SHAPES]


@cache
def system() -> MatchSystem:
    found = registry.system("blip-pretrained-base")
    assert isinstance(found, MatchSystem)
    small = tiny_match(found, vocab=len(WORDS), depth=1)
    return small.but(encoder=small.encoder.but(patch=PATCH, size=SIDE, depth=1), policy__size=(SIDE, SIDE))


def pairs(step: int) -> Pairs:
    """B pictures of one coloured shape each, and their names."""
    random, arrays, texts = np.random.default_rng(step), [], []
    for kind in random.permutation(12)[:B]:  # no two alike, so that every other partner is a wrong one
        colour, shape = HUES[kind % 4], SHAPES[kind // 4]
        icon = draw(random, shape, colour, SIDE - 6)
        canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
        y, x = (SIDE - icon.shape[0]) // 2, (SIDE - icon.shape[1]) // 2
        at = canvas[y : y + icon.shape[0], x : x + icon.shape[1]]
        at[:] = icon[..., :3] + at * (255 - icon[..., 3:].astype(np.int64)) // 255
        arrays.append(canvas.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1)
        texts.append([1, WORDS.index("a"), WORDS.index(colour), WORDS.index(shape), 2])
    ids_BT = torch.tensor(texts)
    side = SIDE // PATCH
    who = torch.tensor([len(WORDS) * text[2] + text[3] for text in texts])
    x_NC = patches(torch.from_numpy(np.stack(arrays)), PATCH)
    return Pairs(x_NC, ((1, side, side),) * B, ids_BT, ids_BT > 0, WORDS.index("[ENC]"), WORDS.index("[DEC]"), who)


def losses(slow: Slow, model: nn.Module, batch: Pairs) -> dict[str, Tensor]:
    assert isinstance(model, Match)
    return pretrain(model, batch, slow, 0.2)  # the loop seeds what is drawn by the number of the step


def train(folder: Path, until: int, steps: int) -> tuple[Match, Slow]:
    """`until` steps of a schedule of `steps`, as if the process had been killed after the last checkpoint."""
    torch.manual_seed(0)
    match = system().build()
    slow = Slow(match, 4 * B, rate=0.9)

    def batch(step: int) -> Pairs:
        if step == until:
            raise KeyboardInterrupt
        return pairs(step)

    stage = system().stages[0].but(lr=5e-3, warmup=0.1)
    try:
        task, save_every = Task(batch, partial(losses, slow), steps, state=slow), 0.0 if steps < 100 else 300.0
        run_stage(match, stage, task, folder, workers=0, save_every=save_every, quiet=True)
    except KeyboardInterrupt:
        assert until < steps
    return match, slow


def test_all_losses_fall(tmp_path: Path) -> None:
    train(tmp_path, 120, 120)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for name, share in {"contrast": 0.4, "match": 0.6, "caption": 0.4}.items():
        first, last = (np.mean([line[name] for line in part]) for part in (log[:10], log[-10:]))
        assert last < share * first, (name, first, last)


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """Slow towers and queues too, which are no parameters."""
    whole, slow = train(tmp_path / "whole", 10, 10)
    train(tmp_path / "parts", 4, 10)
    parts, again = train(tmp_path / "parts", 10, 10)
    for one, other in ((whole.state_dict(), parts.state_dict()), (slow.tensors(), again.tensors())):
        assert one.keys() == other.keys()
        assert [name for name in one if not torch.equal(one[name], other[name])] == []
    fresh = Slow(system().build(), 4 * B)
    assert not torch.equal(slow.image_QE, fresh.image_QE) and int(slow.place) == 10 * B % (4 * B)


def test_text_tower_and_captioner_share_all_but_self_attention(tmp_path: Path) -> None:
    match, _ = train(tmp_path, 2, 2)
    for read, written in zip(match.text.blocks, match.lm.blocks, strict=True):
        for part in ("cross", "norm_cross", "ffn", "norm2"):
            assert read.get_submodule(part) is written.get_submodule(part)
        assert not torch.equal(read.attn.qkv.weight, written.attn.qkv.weight)
    assert match.lm.embed is match.text.embed and match.lm.head.weight is match.text.embed.weight


def test_wrong_partners() -> None:
    same = torch.eye(4, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    likeness = torch.tensor([[9.0, 9, 0, 5], [9, 9, 4, 0], [0, 0, 9, 9], [7, 0, 0, 9]])
    draw = torch.Generator().manual_seed(0)
    drawn = torch.stack([wrong_partners(likeness, same, draw) for _ in range(300)])
    assert not same[torch.arange(4).expand(300, 4), drawn].any()
    assert drawn.mode(0).values.tolist() == [3, 2, 3, 0]  # the likeliest is drawn most
    with pytest.raises(SpecError, match="one picture only"):
        wrong_partners(likeness[:1, :1], same[:1, :1])


def test_what_cannot_be_trained_is_told() -> None:
    match = system().build()
    slow = Slow(match, B + 1)
    with pytest.raises(SpecError, match=f"queue of {B + 1} places"):
        pretrain(match, pairs(0), slow, 0.4)
    alone = system().but(captioner=None).build()
    with pytest.raises(SpecError, match="no captioner"):
        pretrain(alone, pairs(0), Slow(alone, B), 0.4)
    cold = system().but(temperature=None).build()
    with pytest.raises(SpecError, match="no temperature"):
        retrieval(cold, pairs(0), Slow(cold, B), 0.4)


def test_soft_targets_rise_over_two_epochs() -> None:
    assert [ramp(step, 10) for step in (0, 5, 20, 99)] == [0.0, 0.1, 0.4, 0.4]


def test_pictures_of_the_queue_count_as_the_same() -> None:
    """A text whose picture is still in the queue is no wrong answer there."""
    match, batch = system().build(), pairs(0)
    losses = []
    for who in (batch.who_B, torch.full((B,), -100)):
        slow = Slow(match, B)
        slow.who_Q.copy_(who)
        draw = torch.Generator().manual_seed(0)
        losses.append(float(retrieval(match, batch, slow, 0.0, draw)["contrast"].detach()))
        assert torch.equal(slow.who_Q, batch.who_B) and int(slow.place) == 0
    assert losses[0] != losses[1]
