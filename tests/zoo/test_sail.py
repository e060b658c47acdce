"""SAIL equals lezhang7/SAIL at b39de67 (`AlignmentLayer`, `SigLipLoss`), run outside the repository on tiny random weights.

Its frozen towers are transformers' classes there (Dinov2Model; GteModel; MistralModel with nothing hidden but padding) and,
behind the last, the latent attention of nvidia/NV-Embed-v2's remote code. Here the first two are saved by `save_pretrained`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from safetensors.torch import save_file
from torch import Tensor, nn

from anyvlm import registry
from anyvlm.contrasts import MeanSigmoidModule
from anyvlm.dual import Dual
from anyvlm.inputs.text import WordsBatch
from anyvlm.keys import audit, choose
from anyvlm.parts.rope import Rope
from anyvlm.system import Checkpoint
from anyvlm.tiny import tiny_dual
from anyvlm.weights.load import load_module
from anyvlm.weights.sources import Directory
from tests.golden import stored, weights
from tests.parity import gap, pixels, record, saved
from tests.zoo.test_manifest import names

(FACTS, NUMBERS), KINDS = stored("sail"), {"gte": "sail-dinov2-l-gte", "nv2": "sail-dinov2-l-nv2"}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GTE = hf.GteConfig(
    vocab_size=40, intermediate_size=48, type_vocab_size=2, pad_token_id=0,
    rope_parameters={"rope_type": "default", "rope_theta": 160000.0}, **SMALL,
)  # fmt: skip


def filled(model: nn.Module, shapes: object) -> nn.Module:
    model.load_state_dict(weights(shapes), strict=False)
    return model


def read(kind: str, folder: Path) -> None:
    """The text tower's files."""
    if kind == "gte":
        saved(filled(hf.GteModel(GTE), FACTS["shapes"]["gte"]), folder)
        return
    tensors: dict[str, Tensor] = {}
    for name, prefix in (("mistral", "embedding_model."), ("latent", "latent_attention_model.")):
        tensors |= {prefix + each: tensor for each, tensor in weights(FACTS["shapes"][name]).items()}
    save_file(tensors, folder / "model.safetensors")


def loaded(kind: str, folder: Path) -> Dual:
    spec = tiny_dual(registry.system(KINDS[kind]), vocab=40).but(
        towers__image__encoder__depth=2, towers__image__encoder__ffn__hidden=64
    )
    if kind == "gte":
        spec = spec.but(towers__text__encoder__rope__scaling=None)  # transformers' class knows no scaling of this kind
    folders = [folder / name for name in ("eye", "text", "head")]
    for each in folders:
        each.mkdir()
    config = hf.Dinov2Config(image_size=42, patch_size=14, mlp_ratio=2, **SMALL)
    saved(filled(hf.Dinov2Model(config), FACTS["shapes"]["eye"]), folders[0])
    read(kind, folders[1])
    head = weights(FACTS["shapes"]["head"]) | {"logit_scale": torch.tensor([3.0]), "logit_bias": torch.tensor([-4.0])}
    save_file({f"module.{name}": tensor for name, tensor in head.items()}, folders[2] / "model.safetensors")
    checkpoints = tuple(
        Checkpoint(source=Directory(path=str(each)), layouts=was.layouts)
        for each, was in zip(folders, spec.checkpoints, strict=True)
    )
    module = load_module(spec.but(checkpoints=checkpoints), dtype=torch.float32)
    assert isinstance(module, Dual)
    return module.eval()


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_whole(kind: str, tmp_path: Path) -> None:
    module, random = loaded(kind, tmp_path), np.random.default_rng(1)
    x = pixels(torch.from_numpy(random.standard_normal((3, 3, 42, 42)).astype(np.float32)), 14)
    ids = torch.from_numpy(random.integers(1, 40, (3, 12)))
    seen = torch.arange(12) < torch.tensor([[4], [12], [7]])
    image, words, contrast = module.points("image", x), module.towers["text"], module.contrast()
    assert isinstance(contrast, MeanSigmoidModule)
    vector = words.pool(words.encoder(ids, seen), seen)
    text, extra = (F.normalize(words.project(each), dim=-1) for each in (vector, vector.flip(0) * 0.5))
    ours = {
        "image": image, f"{kind}_vector": vector, f"{kind}_text": text, f"{kind}_logits": contrast.logits(image, text),
        f"{kind}_loss": contrast.loss(image, text),
        f"{kind}_loss_two": (contrast.loss(image, text) + contrast.loss(image, extra)) / 2,  # a second caption of each
    }  # fmt: skip
    gaps = {n: gap(value, NUMBERS[n]) / max(1.0, float(NUMBERS[n].abs().max())) for n, value in ours.items()}
    assert max(gaps.values()) <= 1e-5, gaps
    assert gap(module.points("text", WordsBatch(ids, seen)), text) <= 1e-6
    record("golden", KINDS[kind], max(gaps.values()), "lezhang7/SAIL b39de67")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_token_sees_those_behind_it(kind: str, tmp_path: Path) -> None:
    reader = loaded(kind, tmp_path).towers["text"].encoder
    ids = torch.arange(1, 9)[None]
    other = ids.clone()
    other[0, -1] = 30
    assert not torch.allclose(reader(ids)[0, 0], reader(other)[0, 0])
    padded, seen = torch.cat([ids, ids], 1), torch.arange(16)[None] < 8
    assert gap(reader(padded, seen)[:, :8], reader(ids)) <= 1e-5


def test_turns_of_gte() -> None:
    """Alibaba-NLP/new-impl's NTKScalingRotaryEmbedding, in double precision: base and slowest frequency both by the factor."""
    rope = registry.system("sail-dinov2-l-gte").towers["text"].encoder.rope
    assert isinstance(rope, Rope)
    want = 1 / (160000.0 * 2.0) ** (np.arange(0, 64, 2) / 64) / 2.0 ** (2 / 64)
    np.testing.assert_allclose(rope.frequencies(64)[0].numpy(), want, rtol=1e-6)
    assert abs(want[-1] * 160000 ** (62 / 64) - 1 / 2) < 1e-9


def test_full_size() -> None:
    """Frozen towers of the sizes that published config.json files say, in the names their classes write; an empty audit."""
    pairs = {kind: registry.system(name) for kind, name in KINDS.items()}
    large = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
    with torch.device("meta"):
        eye = names(hf.Dinov2Model(hf.Dinov2Config(image_size=518, patch_size=14, **large)))
        gte = names(hf.GteModel(hf.GteConfig(vocab_size=30528, intermediate_size=4096, type_vocab_size=2, **large)))
        mistral = names(hf.MistralModel(hf.MistralConfig()))  # the class's own sizes are those of Mistral-7B-v0.1
        ours = {kind: {n: tuple(p.shape) for n, p in spec.build().named_parameters()} for kind, spec in pairs.items()}
    reads = {"gte": gte, "nv2": {f"embedding_model.{n}": shape for n, shape in mistral.items()}}
    for kind, spec in pairs.items():
        files = zip((eye, reads[kind]), spec.checkpoints[:2], strict=True)
        plans = [(made, choose(made, each.layouts, spec.part)) for made, each in files]
        audit(plans, ours[kind], ("towers.*.project.*", "contrasts.*", "towers.text.pool.*"))
        record("manifest", spec.name, 0.0)
    assert ours["gte"]["towers.image.project.gate.weight"] == (8 * 2048, 2048)
    assert ours["nv2"]["towers.text.project.down.weight"] == (1024, 8 * 4096)
    assert ours["nv2"]["towers.text.pool.kv.weight"] == (2 * 8 * 4096, 4096)
