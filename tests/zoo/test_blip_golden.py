"""BLIP equals the authors' code: salesforce/BLIP at 056a169, run outside the repository on the same tiny random weights.

`blip_golden.json` holds what it computed: losses, wrong partners and their chances, queues and slow towers over four steps of
pre-training and of retrieval; and the losses, tokens and scores of the fine-tuned networks. Weights and pictures follow from
seeds; files are written in the authors' own names and loaded through their layouts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import models, normalizers, pre_tokenizers
from torch import Tensor

from anyvlm import registry
from anyvlm.generate.engine import Engine
from anyvlm.generate.sampling import Sampling
from anyvlm.inputs.collate import collate
from anyvlm.inputs.messages import Message, Picture
from anyvlm.inputs.plan import plan
from anyvlm.inputs.tokenizer import Tokenizer
from anyvlm.keys import Layout, revert
from anyvlm.match import Match, MatchSystem
from anyvlm.parts.catalog.blip import BLIP_PRETRAINED
from anyvlm.parts.features import patches
from anyvlm.system import VLM, Batch, Checkpoint, System
from anyvlm.train import match as steps
from anyvlm.train.losses import next_token
from anyvlm.train.slow import Pairs, Slow
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import ordered
from tests.parity import record

GOLDEN = json.loads(Path(__file__).with_name("blip_golden.json").read_text())
REFERENCE = "salesforce/BLIP 056a169"
WORDS = [
    "a", "red", "green", "blue", "circle", "square", "star", "oval", "on", "the", "left", "right", "of", "and", "two",
    "picture", "what", "is", "this",
]  # fmt: skip
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
CAPTIONS = ["a red circle", "two blue star on the left", "a green square and a red oval", "the oval right of the star"]
WHO = [0, 1, 1, 2]
SOFT = [0.0, 0.2, 0.4, 0.4]
SMALL = {
    "vocab": len(VOCAB) + 2, "width": 24, "depth": 2, "context": 40, "block__heads": 4, "block__ffn__hidden": 40,
}  # fmt: skip
EYE = {"width": 32, "depth": 2, "heads": 4, "patch": 8, "size": 32, "ffn__hidden": 48}
LM = {f"lm__{name}": value for name, value in SMALL.items()} | {"lm__heads": 4}


def pictures(step: int) -> np.ndarray:
    return np.random.default_rng(100 + step).standard_normal((4, 3, 32, 32)).astype(np.float32)


def queues() -> np.ndarray:
    points = np.random.default_rng(7).standard_normal((2, 12, 6)).astype(np.float32)
    return points / np.linalg.norm(points, axis=-1, keepdims=True)


def weights(system: System | MatchSystem) -> dict[str, Tensor]:
    """Random values for every parameter, in the order of our names."""
    shapes = {name: tuple(p.shape) for name, p in system.build().named_parameters()}
    values = ordered(shapes)
    values |= {"temperature": np.full((), 0.07)} if "temperature" in values else {}
    return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in values.items()}


def loaded(system: System | MatchSystem, layout: Layout, folder: Path) -> VLM | Match:
    """From a file in the authors' names, with what their files hold beside it."""
    theirs = {name: tensor.contiguous() for name, tensor in revert(weights(system), layout, system.part)}
    if layout == BLIP_PRETRAINED:
        own = [name for name in theirs if name.startswith(("visual_encoder.", "text_encoder."))]
        theirs |= {name.replace("_encoder.", "_encoder_m.", 1): theirs[name].clone() for name in own}
        theirs |= {"image_queue": torch.ones(6, 12), "queue_ptr": torch.zeros(1, dtype=torch.long)}
    save_file(theirs, folder / "model.safetensors")
    here = system.but(checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=(layout,)),))
    module = load_module(here, dtype=torch.float32)
    assert isinstance(module, (VLM, Match))
    return module


def pretrained() -> MatchSystem:
    system = registry.system("blip-pretrained-base")
    assert isinstance(system, MatchSystem) and system.captioner is not None
    return system.but(
        encoder=system.encoder.but(**EYE), policy__size=(32, 32), text=system.text.but(**SMALL), shared=6,
        captioner=system.captioner.but(**SMALL, heads=4),
    )  # fmt: skip


def pairs(step: int, who: list[int] | None) -> Pairs:
    texts = [[2, *(VOCAB.index(word) for word in text.split()), 3] for text in CAPTIONS[step:] + CAPTIONS[:step]]
    longest = max(map(len, texts))
    ids_BT = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    return Pairs(
        patches(torch.from_numpy(pictures(step)), 8), ((1, 4, 4),) * 4, ids_BT, ids_BT > 0, beside=len(VOCAB) + 1,
        written=len(VOCAB), who_B=None if who is None else torch.tensor(who[step:] + who[:step]),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["pretrain", "retrieval"])
def test_four_steps_of_training(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden, system, who = GOLDEN[kind], pretrained(), None
    if kind == "retrieval":
        system, who = system.but(captioner=None), WHO
        layout = registry.system("blip-itm-base-coco").checkpoints[0].layouts[1]
    else:
        layout = BLIP_PRETRAINED
    match = loaded(system, layout, tmp_path)
    assert isinstance(match, Match)
    slow = Slow(match, 12)
    slow.image_QE.copy_(torch.from_numpy(queues()[0]))
    slow.text_QE.copy_(torch.from_numpy(queues()[1]))
    optimiser = torch.optim.SGD(match.parameters(), lr=0.02)
    chances: list[Tensor] = []
    picks: Iterator[Tensor] = iter(torch.tensor(golden["picks"]).view(8, 4, 1))  # for images, then for texts, of each step

    def drawn(likely: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
        chances.append(likely)
        return next(picks)

    monkeypatch.setattr(torch, "multinomial", drawn)
    worst = 0.0
    for step, soft in enumerate(SOFT):
        losses = getattr(steps, kind)(match, pairs(step, who), slow, soft)
        for loss, expected in zip(losses.values(), golden["losses"][step], strict=True):
            worst = max(worst, abs(float(loss.detach()) - expected) / expected)
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()
        match.temperature.data.clamp_(*pretrained().stages[0].bounds["temperature"])
    assert worst <= 1e-6, worst
    torch.testing.assert_close(torch.stack(chances).view(4, 8, 4), torch.tensor(golden["chances"]), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(slow.image_QE.flatten()[:24], torch.tensor(golden["image_queue"]), atol=1e-6, rtol=1e-5)
    assert float(match.temperature.detach()) == pytest.approx(golden["temp"], abs=1e-6)
    for towers, expected in ((match, golden["fast"]), (slow.towers, golden["slow"])):
        for tower, size in zip((towers.get_submodule("encoder"), towers.get_submodule("text")), expected, strict=True):
            assert float(sum(p.detach().double().abs().sum() for p in tower.parameters())) == pytest.approx(size, abs=1e-4)
    names = ("blip-pretrained-base", "blip-pretrained-large") if kind == "pretrain" else ()
    for name in names:
        record("golden", name, worst, REFERENCE)


def tokenizer() -> Tokenizer:
    inner = tokenizers.Tokenizer(models.WordPiece({word: id for id, word in enumerate(VOCAB)}, unk_token="[UNK]"))
    inner.normalizer, inner.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    inner.add_special_tokens(VOCAB[:5])
    return Tokenizer(inner, added=("[DEC]", "[ENC]"))


def whole(name: str, folder: Path, changes: dict[str, object]) -> VLM:
    system = registry.system(name)
    assert isinstance(system, System)
    eye = {f"streams__image__encoder__{field}": value for field, value in EYE.items()}
    system = system.but(**LM, **eye, **changes, streams__image__policy__size=(32, 32))
    module = loaded(system, system.checkpoints[0].layouts[1], folder)
    assert isinstance(module, VLM)
    return module


def generated(vlm: VLM, asked: Batch, steps: int) -> list[int]:
    deltas = Engine(vlm).generate(asked, Sampling(max_tokens=steps), decoders=[tokenizer().stream()], ends=())
    return [delta.id for delta in deltas]


def loss_and_tokens(vlm: VLM, asked: str, answers: list[str]) -> tuple[Tensor, int, list[int]]:
    """The mean loss over the answers, how many tokens that are, and the prompt with twelve tokens after it."""
    words, arrays = tokenizer(), list(pictures(0))
    question = Message("user", (Picture(""), asked))
    rows = [
        plan(vlm.spec, words, [question, Message("assistant", (answer,))], sizes=[(32, 32)], reply=False) for answer in answers
    ]
    batch = collate(vlm.spec, rows, [[array] for array in arrays[: len(rows)]], labels=True)
    assert batch.labels_BT is not None
    hidden = vlm.lm.hidden(vlm.lm.begin(vlm.assemble(batch)))
    loss = next_token(vlm.lm, hidden, batch.labels_BT, smoothing=steps.SMOOTHING)
    asked = collate(vlm.spec, [plan(vlm.spec, words, [question], sizes=[(32, 32)])], [[arrays[0]]])
    start = [] if vlm.spec.lm.start is None else [vlm.spec.lm.start]
    return loss, int((batch.labels_BT >= 0).sum()), [*asked.ids_BT[0].tolist(), *start, *generated(vlm, asked, 12)]


@torch.no_grad()
def test_captions(tmp_path: Path) -> None:
    """The words of the prompt are given and not learned; the loss is the mean over all tokens of the batch."""
    vlm = whole("blip-image-captioning-base", tmp_path, {})
    loss, _, ids = loss_and_tokens(vlm, "a picture of ", CAPTIONS)
    assert float(loss) == pytest.approx(GOLDEN["tasks"]["caption"], rel=1e-6)
    assert ids == GOLDEN["tasks"]["caption_ids"]
    for name in ("blip-image-captioning-base", "blip-image-captioning-large"):
        record("golden", name, abs(float(loss) - GOLDEN["tasks"]["caption"]), REFERENCE)


@torch.no_grad()
def test_answers(tmp_path: Path) -> None:
    """The loss of an answer is the sum over its tokens, weighted; a question is asked with [ENC] in front."""
    reader = {f"lm__reader__{name}": value for name, value in SMALL.items()}
    vlm = whole("blip-vqa-base", tmp_path, reader | {"lm__start": len(VOCAB)})
    loss, count, ids = loss_and_tokens(vlm, "what is on the left of this", ["two star"])
    assert float(loss) * count == pytest.approx(GOLDEN["tasks"]["answer"], rel=1e-6)
    assert ids == [*GOLDEN["tasks"]["question_ids"], *GOLDEN["tasks"]["answer_ids"]]
    for name in ("blip-vqa-base", "blip-vqa-capfilt-large"):
        record("golden", name, abs(float(loss) * count - GOLDEN["tasks"]["answer"]), REFERENCE)


@torch.no_grad()
def test_scores(tmp_path: Path) -> None:
    system = pretrained().but(captioner=None)
    match = loaded(system, registry.system("blip-itm-base-coco").checkpoints[0].layouts[1], tmp_path)
    assert isinstance(match, Match)
    some = pairs(0, None)
    rows = match.rows(some.x_NC, some.grids)
    cosine = match.point_image(rows) @ match.point_text(some.ids_BT, some.seen_BT).T
    judged = match.judged(some.begun(some.beside), some.seen_BT, rows)
    worst = max(
        float((ours - torch.tensor(GOLDEN["tasks"][name])).abs().max()) for ours, name in ((cosine, "itc"), (judged, "itm"))
    )
    assert worst <= 1e-6, worst
    for size in ("base", "large"):
        for data in ("coco", "flickr"):
            record("golden", f"blip-itm-{size}-{data}", worst, REFERENCE)
