"""AIMv2 equals transformers': rows of encoders, points of the pair, whole directories; full-size names."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

import anyvlm
from anyvlm import registry
from anyvlm.dual import DualSystem
from anyvlm.generate.dual import DualModel
from anyvlm.generate.vision import VisionModel
from anyvlm.parts.lesson import Views
from anyvlm.parts.vision.aim import AimViT
from anyvlm.system import StudentModule, VisionSystem
from anyvlm.tiny import tiny_vision
from anyvlm.train.loop import trainable
from tests.parity import gap, pixels, record, saved, stirred
from tests.whole import noise
from tests.zoo.test_laws import stirred as stirred_
from tests.zoo.test_manifest import fits, names

TEXTS = ["a photo of a cat.", "two dogs, and a red sofa!", "cat " * 60]
PICTURES = [noise(50, 41, 1), noise(31, 64, 2), noise(90, 90, 3)]
EYE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 42}
TEXT = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
NAMES = sorted(name for name in registry.SYSTEMS if registry.system(name).meta.row == "aimv2")


def letters() -> hf.PreTrainedTokenizerBase:
    all_letters = [*string.ascii_lowercase, *".,!?"]
    vocab = [*all_letters, *(letter + "</w>" for letter in all_letters), "<|startoftext|>", "<|endoftext|>"]
    return hf.CLIPTokenizer(vocab={word: n for n, word in enumerate(vocab)}, merges=[])


def processor(folder: Path) -> CLIPImageProcessorPil:
    made = CLIPImageProcessorPil(size={"shortest_edge": 42}, crop_size={"height": 42, "width": 42})
    made.save_pretrained(folder)
    return made


@pytest.mark.parametrize("native", [False, True])
@torch.no_grad()
def test_encoder(native: bool, tmp_path: Path) -> None:
    theirs = stirred(hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**EYE, is_native=native)))
    seen = processor(saved(theirs, tmp_path))(PICTURES, return_tensors="pt")["pixel_values"]
    ours = anyvlm.load(tmp_path, device="cpu", dtype="fp32")
    assert isinstance(ours, VisionModel)
    assert np.array_equal(np.stack([ours.system.policy.apply(picture) for picture in PICTURES]), seen.numpy())
    worst = gap(torch.stack(ours.encode(PICTURES).items()), theirs(seen).last_hidden_state)
    if native:
        wide = torch.randn(2, 3, 56, 98)
        x = pixels(wide, 14)
        worst = max(worst, gap(ours.encoder(x.x_NC, x.grids).x_ND, theirs(wide).last_hidden_state.flatten(0, 1)))
    assert worst <= 1e-5, worst
    for name in NAMES:
        system = registry.system(name)
        if isinstance(system, VisionSystem) and isinstance(system.encoder, AimViT) != native:
            record("parity", name, worst)


@torch.no_grad()
def test_pair(tmp_path: Path) -> None:
    words = letters()
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = hf.Aimv2Config(
        text_config=TEXT | {"vocab_size": len(words), "max_position_embeddings": 32} | ids, vision_config=EYE, projection_dim=20
    )
    theirs = stirred(hf.Aimv2Model(config))
    theirs.logit_scale.fill_(1.3)
    seen = processor(saved(theirs, tmp_path))(PICTURES, return_tensors="pt")
    words.save_pretrained(tmp_path)
    ours = anyvlm.load(tmp_path, device="cpu", dtype="fp32")
    assert isinstance(ours, DualModel)
    said = words(TEXTS, return_tensors="pt", truncation=True, max_length=32, padding=True)
    out = theirs(**said, **seen)
    points = ours.embed(PICTURES, TEXTS)
    fit = ours.scores(PICTURES, TEXTS)
    worst = max(gap(points.images, out.image_embeds), gap(points.texts, out.text_embeds))
    worst = max(worst, gap(fit.probability, out.logits_per_image.softmax(-1)))
    assert worst <= 1e-5, worst
    record("parity", "aimv2-large-patch14-224-lit", worst)


@pytest.mark.parametrize("name", NAMES)
def test_names_at_full_size(name: str) -> None:
    system = registry.system(name)
    with torch.device("meta"):
        if isinstance(system, DualSystem):
            theirs = names(hf.Aimv2Model(hf.Aimv2Config(projection_dim=768)))
        else:
            eye = system.encoder
            config = hf.Aimv2VisionConfig(
                hidden_size=eye.width, intermediate_size=eye.ffn.hidden, num_hidden_layers=eye.depth,
                num_attention_heads=eye.heads, image_size=getattr(eye, "size", 224), is_native=not hasattr(eye, "size"),
                use_head=False,
            )  # fmt: skip
            theirs = names(hf.Aimv2VisionModel(config))
    fits(system, theirs, system.checkpoints[0].layouts, "hf")
    record("manifest", name, 0.0)


def written() -> tuple[StudentModule, Views]:
    """A tiny student of the first stage; eight pictures of one gradient each, and words that say where it points."""
    student = tiny_vision(registry.system("aimv2-large-patch14-224")).student("write").build()
    torch.manual_seed(0)
    slope, tilt = torch.linspace(-1, 1, 42), torch.randn(8, 2)
    picture = (tilt[:, :1, None] * slope[:, None] + tilt[:, 1:, None] * slope)[:, None].expand(-1, 3, -1, -1)
    x, way = pixels(picture, 14), (tilt > 0).long() @ torch.tensor([1, 2])
    words = torch.stack([way + 1, way + 11, torch.full((8,), 39)], 1)
    words[0, 2] = -100
    return student, Views(x.x_NC, x.grids, ids_BT=words)


@torch.no_grad()
def test_what_is_written_depends_on_what_stands_before() -> None:
    """Patches on those before them and on the prefix, words on all patches and on words before them."""
    (student, views), prefix_B = written(), torch.full((8,), 4)
    stirred_(student)

    def said(x_NC: torch.Tensor, ids_BT: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = Views(x_NC, views.grids, ids_BT=ids_BT.clamp(min=0))
        pixels, words = student.lesson.predicted(student.encoder, seen, prefix_B)
        return (*pixels.unbind(1), *words.unbind(1))

    before = said(views.x_NC, views.ids_BT)
    for patch in range(9):
        x_BnC = views.x_NC.clone().unflatten(0, (8, 9))
        x_BnC[:, patch] += 1
        after = said(x_BnC.flatten(0, 1), views.ids_BT)
        moved = [n for n in range(11) if not torch.equal(before[n], after[n])]
        assert moved == list(range(0 if patch < 4 else patch, 11))
    for word in range(3):
        ids_BT = views.ids_BT.clone()
        ids_BT[:, word] += 1
        after = said(views.x_NC, ids_BT)
        assert [n for n in range(11) if not torch.equal(before[n], after[n])] == list(range(9 + word, 11))


def test_pixels_and_words_are_learned_together() -> None:
    student, views = written()
    (stage,) = registry.system("aimv2-large-patch14-224").stages
    optimiser, draw = torch.optim.AdamW(trainable(student, stage).values(), lr=3e-3), torch.Generator().manual_seed(0)
    lines = []
    for _ in range(60):
        losses = student.losses(views, draw)
        optimiser.zero_grad()
        sum(stage.losses[name] * loss for name, loss in losses.items()).backward()
        optimiser.step()
        lines.append({name: float(loss.detach()) for name, loss in losses.items()})
    assert stage.losses == {"words": 1.0, "pixels": 0.4}
    assert lines[-1]["words"] < 0.3 * lines[0]["words"] and lines[-1]["pixels"] < 0.7 * lines[0]["pixels"], lines[::12]
