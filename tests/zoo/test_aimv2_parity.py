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
from anyvlm.parts.vision.aim import AimViT
from anyvlm.system import VisionSystem
from tests.parity import gap, pixels, record, saved, stirred
from tests.whole import noise
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
