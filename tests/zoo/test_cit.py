"""CiT equals the authors' code, run outside the repository on tiny random weights; its layout is a published class's.

facebookresearch/CiT at 5caecad (`CiTCLIPVisionTextDualEncoderModel.forward`, `CiTCLIPLossGrad`), around the encoder and
projector of facebookresearch/moco-v3 at c349e6e (`MoCo_ViT`, on timm 1.0.31).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import save_file

import anyvlm
from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.errors import SpecError
from anyvlm.generate.dual import DualModel
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import Layout
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record, saved, stirred
from tests.zoo.test_dual_parity import CLIP_PICTURES, PICTURES, TEXTS, CLIPImageProcessorPil, chinese_words

NAMES = [name for name in registry.SYSTEMS if registry.system(name).meta.row == "cit"]


def loaded(spec: DualSystem, folder: Path, layout: Layout) -> Dual:
    here = spec.but(checkpoints=(Checkpoint(source=Directory(path=str(folder)), layouts=(layout,)),))
    module = load_module(here, dtype=torch.float32)
    assert isinstance(module, Dual)
    return module.eval()


@torch.no_grad()
def test_as_the_authors(tmp_path: Path) -> None:
    facts, numbers = stored("cit")
    spec = tiny_dual(registry.system("cit-moco-b-16-yfcc15m"), vocab=40).but(towers__image__encoder__depth=2)
    theirs = weights(facts["shapes"])
    for name, tensor in theirs.items():
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    theirs["logit_scale"] = torch.tensor(2.0)
    theirs["vision_model.moco.head.1.num_batches_tracked"] = torch.tensor(7)
    save_file(theirs, tmp_path / "model.safetensors")
    module = loaded(spec, tmp_path, spec.checkpoints[0].layouts[0])
    random = np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 48, 48)).astype(np.float32)), 16)
    ids = torch.from_numpy(random.integers(1, 40, (3, 12)))
    seen = torch.arange(12) < torch.tensor([[4], [12], [7]])
    image, text = module.look("image", x), module.look("text", WordsBatch(ids, seen))
    words = module.towers["text"]
    ours = {
        "image": image.point_BE, "text": text.point_BE, "loss": module.contrast().between(image, text),
        "unmapped": F.normalize(words.pool(words.encoder(ids, seen), seen), dim=-1),
    }  # fmt: skip
    gaps = {name: gap(value, numbers[name]) for name, value in ours.items()}
    assert max(gaps.values()) <= 1e-5, gaps
    for name in NAMES:
        record("golden", name, max(gaps.values()), "facebookresearch/CiT 5caecad, moco-v3 c349e6e")


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
EYES = {
    "dinov2": lambda: hf.Dinov2Model(hf.Dinov2Config(image_size=42, patch_size=14, mlp_ratio=2, **SMALL)),
    "clip": lambda: hf.CLIPVisionModel(hf.CLIPVisionConfig(image_size=42, patch_size=14, intermediate_size=48, **SMALL)),
}


@pytest.mark.parametrize("kind", EYES)
@torch.no_grad()
def test_a_vision_text_dual_encoder_from_its_directory(kind: str, tmp_path: Path) -> None:
    """transformers' class around a vision model of its own: CiT's text tower with its pooler, its maps and scale."""
    words = chinese_words(tmp_path)
    text = hf.BertModel(hf.BertConfig(vocab_size=len(words), intermediate_size=48, max_position_embeddings=24, **SMALL))
    theirs = hf.VisionTextDualEncoderModel(vision_model=EYES[kind](), text_model=text)
    stirred(theirs)
    theirs.logit_scale.fill_(1.3)
    saved(theirs, tmp_path)
    words.save_pretrained(tmp_path)
    processor = CLIPImageProcessorPil(**CLIP_PICTURES)
    processor.save_pretrained(tmp_path)
    ours = anyvlm.load(tmp_path, device="cpu", dtype="fp32")
    assert isinstance(ours, DualModel)
    said = words(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=24)
    out = theirs(**said, **processor(PICTURES, return_tensors="pt"))
    fit, points = ours.scores(PICTURES, TEXTS), ours.embed(PICTURES, TEXTS)
    chance = out.logits_per_image.softmax(-1)
    gaps = gap(points.images, out.image_embeds), gap(points.texts, out.text_embeds), gap(fit.probability, chance)
    assert max(gaps) <= 1e-5, gaps


def test_a_bert_that_writes_is_refused(tmp_path: Path) -> None:
    config = hf.VisionTextDualEncoderConfig.from_vision_text_configs(hf.Dinov2Config(), hf.BertConfig(is_decoder=True))
    config.save_pretrained(tmp_path)
    with pytest.raises(SpecError, match="is_decoder = True"):
        anyvlm.load(tmp_path, device="cpu")


def test_full_size() -> None:
    """Numbers of `hfmodels/moco.py` and of BERT-base."""
    for name in NAMES:
        with torch.device("meta"):
            ours = {n: tuple(p.shape) for n, p in registry.system(name).build().named_parameters()}
        assert ours["towers.image.pool.layers.0.weight"] == (4096, 768) and ours["towers.image.project.weight"] == (512, 256)
        assert ours["towers.text.encoder.words.word.weight"] == (30522, 768) and ours["towers.text.pool.map.bias"] == (768,)
