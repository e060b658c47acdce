"""CapPa equals google-research/big_vision 0127fb6 `models/proj/cappa` (flax 0.12.8), run outside the repository on the same
tiny random weights. `golden/cappa.npz`: logits word by word and at once, the loss of a mixed batch, scores of captions.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anyvlm import registry
from anyvlm.errors import InputError, SpecError
from anyvlm.generate.device import place
from anyvlm.generate.likelihood import log_likelihood, score_answers
from anyvlm.generate.model import Model
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.parts.cut import Cut
from anyvlm.system import VLM, Batch, Pixels, System
from anyvlm.tiny import tiny
from anyvlm.train.loop import trainable
from anyvlm.train.losses import caption
from anyvlm.train.parallel import in_parallel
from tests.golden import FOLDER, weights
from tests.parity import gap, pixels, record
from tests.whole import bytes_and
from tests.zoo.test_laws import stirred

REFERENCE = "google-research/big_vision 0127fb6"
CHOSEN = torch.tensor([True, False, True])


def golden() -> dict[str, Tensor]:
    with np.load(FOLDER / "cappa.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@cache
def given() -> VLM:
    """With the weights that the authors' code was given."""
    vlm = tiny(registry.system("cappa-vit-b-16"), vocab=40).but(lm__context=12).build().eval()
    vlm.load_state_dict(weights({name: tuple(p.shape) for name, p in vlm.named_parameters()}))
    return vlm


def batch() -> Batch:
    """Three pictures and captions, ids 2 to 39, the end 1; ids begin with the padding token 0, as texts shifted by one do."""
    random = np.random.default_rng(1)
    images = torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32))
    text_BT = torch.from_numpy(random.integers(2, 40, (3, 12)))
    lengths = (5, 12, 3)
    for row, length in enumerate(lengths):
        text_BT[row, length - 1], text_BT[row, length:] = 1, 0
    seen_BT = torch.arange(12) < torch.tensor(lengths)[:, None]
    x = pixels(images, 16)
    cuts, reaches = (Cut((48, 48), ((48, 48),)),) * 3, tuple((row, 0, length) for row, length in enumerate(lengths))
    media = {"image": Pixels(x.x_NC, x.grids, cuts, reaches)}
    ids_BT = torch.nn.functional.pad(text_BT[:, :-1], (1, 0)) * seen_BT
    return Batch(
        ids_BT, torch.zeros_like(ids_BT), torch.arange(12).expand(1, 3, 12), seen_BT.long() - 1, media,
        labels_BT=text_BT.masked_fill(~seen_BT, -100),
    )  # fmt: skip


def chosen(share: float, who: Tensor = CHOSEN) -> Batch:
    """Guessed at once with that chance; where it is a half, by a generator that chooses exactly these."""
    if share != 0.5:
        return in_parallel(batch(), given().lm.spec, share)
    seeds = (seed for seed in range(99) if torch.equal(torch.rand(3, generator=torch.Generator().manual_seed(seed)) < 0.5, who))
    return in_parallel(batch(), given().lm.spec, share, torch.Generator().manual_seed(next(seeds)))


@torch.no_grad()
def test_logits_loss_and_scores() -> None:
    vlm, theirs, start = given(), golden(), batch()
    at = start.labels_BT >= 0
    worst = gap(vlm(start)[at], theirs["causal"][at])
    worst = max(worst, gap(vlm(chosen(1.0)), theirs["parallel"]))
    assert gap(vlm(chosen(0.0))[at], vlm(start)[at]) <= 1e-5
    mixed = chosen(0.5)
    loss = caption(vlm.lm, vlm.lm.hidden(vlm.assemble(mixed)), mixed.labels_BT)
    worst = max(worst, gap(loss, theirs["loss"]))
    assert worst <= 1e-5, worst
    assert gap(log_likelihood(vlm, start), theirs["scores"]) <= 1e-4  # sums of 20 to 50
    for name in ("cappa-vit-b-16", "cap-vit-b-16"):
        record("golden", name, worst, REFERENCE)


@torch.no_grad()
def test_what_a_place_depends_on() -> None:
    """At once on no token at all, nor on how many there are; word by word on those before, and in both on the picture."""
    vlm, start = given(), batch()
    for place_, row in ((0, 1), (5, 1), (11, 1)):
        ids = start.ids_BT.clone()
        ids[row, place_] = (ids[row, place_] + 7) % 38 + 2
        other = replace(start, ids_BT=ids)
        whole, changed = (vlm(in_parallel(each, vlm.lm.spec, 1.0)) for each in (start, other))
        assert torch.equal(whole, changed)
        before, after = vlm(start)[row], vlm(other)[row]
        assert [n for n in range(12) if not torch.equal(before[n], after[n])] == list(range(place_, 12))
    short = replace(start, ids_BT=start.ids_BT[:, :3], kind_BT=start.kind_BT[:, :3], pos_PBT=start.pos_PBT[..., :3],
                    seg_BT=start.seg_BT[:, :3], labels_BT=start.labels_BT[:, :3])  # fmt: skip
    assert torch.equal(vlm(in_parallel(short, vlm.lm.spec, 1.0)), vlm(chosen(1.0)))
    media = {"image": replace(start.media["image"], x_NC=start.media["image"].x_NC + 1)}
    assert not torch.allclose(vlm(replace(start, media=media))[1], vlm(start)[1])


def test_samples_that_cannot_be_guessed_are_refused() -> None:
    lm = given().lm.spec
    with pytest.raises(SpecError, match="never writes"):
        in_parallel(batch(), lm.but(silent=0), 1.0)
    with pytest.raises(InputError, match="at most 11 tokens"):
        in_parallel(batch(), lm.but(context=11), 1.0)
    with pytest.raises(InputError, match="stand alone"):
        in_parallel(replace(batch(), seg_BT=batch().seg_BT + 1), lm, 1.0)
    with pytest.raises(InputError, match="labels=True"):
        log_likelihood(given(), replace(batch(), labels_BT=None))


COLOURS = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 40, 210), "white": (225, 225, 225)}


def shade(name: str, seed: int) -> Image.Image:
    """A picture of one colour, a little noisy."""
    noise = np.random.default_rng(seed).integers(-20, 20, (48, 48, 3))
    return Image.fromarray((np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8))


def lesson(system: System, tokenizer: Tokenizer, seed: int) -> Batch:
    policy = system.streams["image"].policy
    talks = [[Message("user", (Picture(""),)), Message("assistant", (name,))] for name in COLOURS]
    plans = [plan(system, tokenizer, talk, sizes=[(48, 48)], reply=False) for talk in talks]
    return collate(system, plans, [policy.arrays(shade(name, seed)) for name in COLOURS], labels=True)


def test_a_toy_learns_both_ways() -> None:
    """It then names colours of new pictures word by word, its scores choose the right ones, and a linear probe of its encoder
    tells them apart.
    """
    tokenizer = Tokenizer(bytes_and("<pad>", "</s>", "<image>"))
    system = tiny(registry.system("cappa-vit-b-16"), vocab=300).but(
        lm__context=8, tokenizer=None, streams__image__encoder__depth=2
    )
    torch.manual_seed(0)
    vlm, (stage,), draw = system.build(), system.stages, torch.Generator().manual_seed(0)
    vlm.encoders.load_state_dict(stirred(system.build()).encoders.state_dict())
    optimiser = torch.optim.AdamW(trainable(vlm, stage).values(), lr=1e-2, betas=(0.9, 0.95))
    batches = [lesson(system, tokenizer, seed) for seed in range(16)]
    for step in range(150):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / 150)
        some = in_parallel(batches[step % 16], system.lm, stage.parallel, draw)
        loss = caption(vlm.lm, vlm.lm.hidden(vlm.assemble(some)), some.labels_BT)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    vlm.eval()
    model = Model(system, vlm, tokenizer, place("cpu", "fp32"))
    for seed, name in enumerate(COLOURS, 1000):
        picture = shade(name, seed)
        assert model.chat([Message("user", (Picture(picture),))], max_tokens=6).text == name
        scores = score_answers(model, picture, list(COLOURS), rows=3)
        assert list(COLOURS)[int(scores.argmax())] == name
        # each is the score it has alone
        assert torch.allclose(scores[1:2], score_answers(model, picture, ["green"]), atol=1e-4)
    with torch.no_grad():
        seen = [vlm.features(lesson(system, tokenizer, seed).media)["image"].x_ND.view(4, 9, -1).mean(1) for seed in range(9)]
    probe = torch.linalg.lstsq(torch.cat(seen[:8]), torch.eye(4).repeat(8, 1)).solution
    assert (seen[8] @ probe).argmax(1).tolist() == [0, 1, 2, 3]
    with pytest.raises(InputError, match="one is empty"):
        score_answers(model, shade("red", 0), ["red", " "])
