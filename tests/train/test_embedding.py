"""A language model learns to make points: its losses are what they should be, a toy finds captions and goes on writing."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from anyvlm.errors import InputError, SpecError
from anyvlm.generate.device import place
from anyvlm.generate.embedding import EmbeddingModel, picture_question, text_question
from anyvlm.inputs.collate import collate
from anyvlm.inputs.embedding import Embedding
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.parts.soft import SoftPrompt
from anyvlm.seq import causal
from anyvlm.system import VLM, Batch, System
from anyvlm.train.embedding import discriminative
from anyvlm.train.loop import trainable
from anyvlm.zoo.qwen2_vl import QWEN2_VL_2B_INSTRUCT
from tests.parity import record
from tests.whole import noise
from tests.zoo.test_laws import small, stirred, tokenizer

NAME = "vladva-llava-1.5-7b"
COLOURS = ("red", "green", "blue", "white")


def system() -> System:
    """With short questions, as a tiny model looks at all tokens alike."""
    found = small(NAME)
    short = {"template__system": "", "embedding__image": "?", "embedding__text": "{}?"}
    return found.but(streams__image__encoder__depth=8, **short)


def fresh() -> VLM:
    vlm = stirred(system().build())
    assert isinstance(vlm, VLM)
    return vlm


def model(vlm: VLM) -> EmbeddingModel:
    return EmbeddingModel(vlm.spec, vlm, tokenizer(NAME), place("cpu", "fp32"))


def pictures() -> list[Image.Image]:
    """One of each: noise, in which a model of random weights sees more than in a plain wall."""
    return [noise(40, 30, seed) for seed in range(len(COLOURS))]


@cache
def batches() -> tuple[Batch, Batch, Batch]:
    """Pictures, their short captions, and long captions as answers."""
    spec, words = system(), tokenizer(NAME)
    assert spec.embedding is not None
    policy = spec.streams["image"].policy
    arrays = [policy.arrays(picture) for picture in pictures()]
    about = picture_question(spec, spec.embedding, words)
    texts = [text_question(spec, spec.embedding, words, f"a {name} wall") for name in COLOURS]
    told = [
        [Message("user", (Picture(""), "Describe it.")), Message("assistant", (f"All of it is {name}.",))] for name in COLOURS
    ]
    captions = [plan(spec, words, messages, sizes=[(40, 30)], reply=False) for messages in told]
    return (
        collate(spec, [about] * 4, arrays), collate(spec, texts, [[]] * 4), collate(spec, captions, arrays, labels=True)
    )  # fmt: skip


def test_losses_are_those_of_two_lines() -> None:
    vlm, (images, texts, captions) = fresh(), batches()
    losses = discriminative(vlm, images, texts, captions)
    assert vlm.spec.embedding is not None
    logits = vlm.spec.embedding.scale * vlm.points(images) @ vlm.points(texts).T
    same = torch.arange(4)
    wanted = (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2
    said = F.cross_entropy(vlm(captions).flatten(0, 1), captions.labels_BT.flatten())
    torch.testing.assert_close(losses["contrast"], wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(losses["next_token"], said, atol=1e-5, rtol=1e-5)
    stage = vlm.spec.stages[0]
    assert losses.keys() == stage.losses.keys()


def test_a_toy_finds_captions_and_goes_on_writing() -> None:
    torch.manual_seed(0)
    vlm, (images, texts, captions) = system().build(), batches()
    stage = vlm.spec.stages[0]
    frozen = {n: p.detach().clone() for n, p in vlm.named_parameters()}
    moving = trainable(vlm, stage)
    before = float(discriminative(vlm, images, texts, captions)["next_token"].detach())
    optimizer = torch.optim.Adam(moving.values(), lr=1e-2)
    for _ in range(100):
        losses = discriminative(vlm, images, texts, captions)
        optimizer.zero_grad()
        sum(stage.losses[name] * value for name, value in losses.items()).backward()
        optimizer.step()
    assert float(losses["next_token"].detach()) < before + 0.05
    found = model(vlm).scores(pictures(), [f"a {name} wall" for name in COLOURS])
    right = [int((found.cosine.argmax(axis) == torch.arange(4)).sum()) for axis in (0, 1)]
    assert min(right) >= 3, right  # by chance 1 of 4
    assert all(torch.equal(p, frozen[n]) for n, p in vlm.named_parameters() if n in frozen and not n.startswith("soft."))
    record("behaviour", NAME, 0.0, "tests/train/test_embedding.py")


def test_points_are_the_last_state_behind_what_was_learned() -> None:
    vlm, (images, texts, _) = fresh().eval(), batches()
    ours = model(vlm)
    points = ours.embed(pictures(), [f"a {name} wall" for name in COLOURS], batch=3)
    assert points.images is not None and points.texts is not None and vlm.soft is not None
    torch.testing.assert_close(points.images, vlm.points(images).detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(points.texts, vlm.points(texts).detach(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(points.images.norm(dim=-1), torch.ones(4))
    # a plain sequence of the same embeddings, its last state
    one = vlm.assemble(collate(vlm.spec, [text_question(vlm.spec, vlm.spec.embedding, tokenizer(NAME), "a red wall")], [[]]))
    plain = vlm.lm.hidden(causal(torch.cat([vlm.soft.rows[None], one.x_BTD], 1)))[:, -1]
    torch.testing.assert_close(points.texts[:1], F.normalize(plain, dim=-1).detach(), atol=1e-5, rtol=1e-5)
    found = ours.classify(pictures()[0], ["red", "blue"], templates=["a {} wall", "{}"])
    assert torch.allclose(found.probability.sum(1), torch.ones(1)) and ours.width == vlm.spec.lm.width
    # what was learned stands in front of questions for points alone
    answers = vlm(batches()[2]).detach()
    with torch.no_grad():
        vlm.soft.rows.add_(1)
    assert torch.equal(vlm(batches()[2]), answers) and not torch.equal(vlm.points(images), points.images)


def test_soft_prompts_leave_padding_where_it_is() -> None:
    seq = causal(torch.randn(2, 3, 8), torch.tensor([[0, 0, 0], [0, 0, -1]]))
    longer = SoftPrompt(2, 8)(seq)
    assert longer.seg_BT.tolist() == [[0] * 5, [0, 0, 0, 0, -1]] and longer.pos_PBT[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert longer.block_BT[0].tolist() == [0, 1, 2, 3, 4]


def test_what_cannot_make_points_is_told() -> None:
    with pytest.raises(SpecError, match="must hold {}"):
        Embedding(image="one word", text="one word")
    with pytest.raises(InputError, match="empty"):
        model(fresh()).embed(texts=[" "])
    with pytest.raises(SpecError, match="makes no points"):
        EmbeddingModel(system().but(embedding=None, fresh=()), fresh(), tokenizer(NAME), place("cpu", "fp32"))
    spec = system()
    with pytest.raises(SpecError, match="does not follow"):
        spec.but(attention="prefix")
    other = QWEN2_VL_2B_INSTRUCT.but(embedding=spec.embedding)
    with pytest.raises(SpecError, match="each as one array"):
        EmbeddingModel(other, fresh(), tokenizer(NAME), place("cpu", "fp32"))
    plain = spec.but(embedding=None, fresh=()).build()
    with pytest.raises(SpecError, match="makes no points"):
        discriminative(plain, *batches())
    with pytest.raises(SpecError, match="no labels"):
        discriminative(fresh(), *batches()[:2], batches()[0])
    assert np.isfinite(model(fresh()).embed(texts="a wall").texts.numpy()).all()
