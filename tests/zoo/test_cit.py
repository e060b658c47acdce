"""CiT equals the authors' code, run outside the repository on tiny random weights; its layout is a published class's.

facebookresearch/CiT at 5caecad (`CiTCLIPVisionTextDualEncoderModel.forward`, `CiTCLIPLossGrad`), around the encoder and
projector of facebookresearch/moco-v3 at c349e6e (`MoCo_ViT`, on timm 1.0.31).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import save_file

from anyvlm import registry
from anyvlm.dual import Dual, DualSystem
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import Layout, Mount
from anyvlm.parts.catalog.cit import DUAL_ENDS_HF, POOLER_HF, TEXT_HF
from anyvlm.parts.catalog.dinov2 import DINOV2_HF
from anyvlm.parts.pool import Pick
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record, saved, stirred

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


@torch.no_grad()
def test_as_a_vision_text_dual_encoder(tmp_path: Path) -> None:
    """transformers' class around a vision model of its own: the text tower with its pooler, the maps, the scale."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    theirs = hf.VisionTextDualEncoderModel(
        vision_model=hf.Dinov2Model(hf.Dinov2Config(image_size=48, patch_size=16, mlp_ratio=2, **small)),
        text_model=hf.BertModel(hf.BertConfig(vocab_size=40, intermediate_size=48, **small)),
    )
    stirred(theirs)
    theirs.logit_scale.fill_(1.3)
    saved(theirs, tmp_path)
    base = tiny_dual(registry.system("cit-moco-b-16-yfcc15m"), vocab=40)
    eye = base.towers["image"].encoder
    assert isinstance(eye, ViT)
    spec = base.but(
        towers__image__encoder=eye.but(depth=2, layer_scale=True, ffn__hidden=64, resize=True),
        towers__image__pool=Pick(row="first"), shared=512,
    )  # fmt: skip
    layout = Layout(
        name="hf",
        mounts=(
            Mount(theirs="vision_model.", ours="towers.image.encoder.", keys=DINOV2_HF),
            Mount(theirs="text_model.", ours="towers.text.encoder.", keys=TEXT_HF),
            Mount(theirs="text_model.pooler.", ours="towers.text.pool.", keys=POOLER_HF),
            Mount(theirs="", ours="", keys=DUAL_ENDS_HF),
        ),
    )
    module = loaded(spec, tmp_path, layout)
    images = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(1, 40, (3, 9), generator=torch.Generator().manual_seed(1))
    seen = torch.arange(9) < torch.tensor([[4], [9], [6]])
    out = theirs(input_ids=ids, pixel_values=images, attention_mask=seen.long())
    image, text = module.points("image", pixels(images, 16)), module.points("text", WordsBatch(ids, seen))
    logits = module.contrast().logits(image, text)
    gaps = gap(image, out.image_embeds), gap(text, out.text_embeds), gap(logits, out.logits_per_image)
    assert max(gaps) <= 1e-5, gaps


def test_full_size() -> None:
    """Numbers of `hfmodels/moco.py` and of BERT-base."""
    for name in NAMES:
        with torch.device("meta"):
            ours = {n: tuple(p.shape) for n, p in registry.system(name).build().named_parameters()}
        assert ours["towers.image.pool.layers.0.weight"] == (4096, 768) and ours["towers.image.project.weight"] == (512, 256)
        assert ours["towers.text.encoder.words.word.weight"] == (30522, 768) and ours["towers.text.pool.map.bias"] == (768,)
